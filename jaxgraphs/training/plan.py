"""How a training runs beside what it trains: dtypes, devices, parts of a batch, steps in a call; checked once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgraphs.errors import GraphValueError, did_you_mean
from jaxgraphs.graph.graph import Graph
from jaxgraphs.passes.branches import branch_mesh
from jaxgraphs.passes.convolving import convolutions
from jaxgraphs.passes.side_by_side import AXIS
from jaxgraphs.training.batch import Batch
from jaxgraphs.training.filling import ALONE
from jaxgraphs.training.gradient import Way
from jaxgraphs.training.objective import Objective
from jaxgraphs.training.precision import Precision, check_precision, is_scaled, scaled, with_precision
from jaxgraphs.training.remat import remat_wrap
from jaxgraphs.training.sharding import Layout, make_layout, make_mesh

PyTree = Any
Strategy = Literal["jit", "pmap"]
_STRATEGIES = ("jit", "pmap")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a Trainer was asked for, beside the graph and its objective.

    Args:
        precision: which dtype layers compute in.
        accumulate: in how many parts a batch's gradient is computed.
        remat: which layers are computed again in the backward pass.
        steps_per_call: how many batches one compiled call trains on.
        strategy: "jit", or "pmap": each device computes its rows by itself.
        layout: where arrays lie; None is one device.
    """

    precision: Precision = None
    accumulate: int = 1
    remat: str | Sequence[str] | None = None
    steps_per_call: int = 1
    strategy: Strategy = "jit"
    layout: Layout | None = None

    def graph(self, graph: Graph) -> Graph:
        """The graph in the plan's precision."""
        return with_precision(graph, self.precision)

    def objective(self, objective: Objective) -> Objective:
        """The objective in the plan's precision."""
        return dataclasses.replace(objective, graph=self.graph(objective.graph))

    def optimizer(self, optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
        """The optimizer, on scaled gradients where the precision asks for it."""
        return scaled(optimizer) if is_scaled(self.precision) else optimizer

    def way(self, graph: Graph) -> Way:
        """How gradients are found."""
        is_unrolled = jax.default_backend() == "cpu" and bool(convolutions(graph))
        way = Way(self.accumulate, is_unrolled, remat_wrap(graph, self.remat))
        if self.strategy == "pmap" and self.layout is not None:
            return dataclasses.replace(way, mesh=self.layout.mesh, axis=self.layout.axis)
        return way

    def laid_out(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """The step, whose state leaves it laid out as it came."""
        layout = self.layout
        if layout is None:
            return step

        def constrained(state: Any, sums: PyTree, batch: Batch) -> Any:
            state, sums, logs = step(state, sums, batch)
            sums = layout.constrain_whole(sums) if self.is_beside else sums
            return layout.constrain(state), sums, logs

        return constrained

    def place(self, state: Any) -> Any:
        """The state where it lies."""
        return state if self.layout is None else self.layout.place(state)

    def place_whole(self, tree: PyTree) -> PyTree:
        """Arrays that all devices have, such as running sums; left as they are within one process."""
        is_one = self.layout is None or (self.layout.share is None and not self.is_beside)
        return tree if is_one or self.layout is None else self.layout.place_whole(tree)

    @property
    def is_beside(self) -> bool:
        """Whether there are several devices for the sake of branches alone."""
        return self.layout is not None and AXIS in self.layout.mesh.axis_names

    def beside(self, devices: Sequence[Any]) -> Plan:
        """The same with everything whole on each of some devices, that compute branches at one time."""
        layout = make_layout(branch_mesh(devices), None, {}) if devices else self.layout
        return dataclasses.replace(self, layout=layout)

    def alone(self, tree: PyTree) -> PyTree:
        """What one device has, where each has all: to evaluate and to predict is no work for branches."""
        return jax.tree.map(_of_one, tree) if self.is_beside else tree

    def variables(self, graph: Graph, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """Given variables in the dtypes that the graph's have."""
        if "float64" not in check_precision(self.precision).values():
            return variables
        specs = graph.variable_specs()
        return {
            name: jax.tree.map(lambda leaf, spec: leaf.astype(spec.dtype), tree, specs[name]) if name in specs else tree
            for name, tree in variables.items()
        }

    def place_batch(self, batch: Batch, *, can_pad: bool) -> Batch:
        """The batch's rows on their devices, filled up with marked rows to a multiple of the devices.

        Raises: GraphValueError where rows cannot be marked, do not divide evenly, and each device has to have some.
        """
        if self.layout is None:
            return batch
        if self.layout.share is not None:
            return self.layout.place_rows(_evened(batch, len(self.layout.share.held), can_pad=can_pad))
        missing = -len(batch.inputs[0]) % self.layout.shards
        if missing and not can_pad and self.strategy == "pmap":
            raise GraphValueError(
                "The rows of a batch do not divide evenly among the devices.",
                received=f"{len(batch.inputs[0])} rows for {self.layout.shards} devices",
                expected=f"a multiple; {ALONE}",
                fix='another batch_size, or strategy="jit"',
            )
        return self.layout.place_rows(filled_up(batch, missing) if missing and can_pad else batch)


def make_plan(
    graph: Graph,
    *,
    precision: Precision,
    accumulate: int,
    remat: Any,
    steps_per_call: int,
    strategy: str,
    mesh: Any,
    sharding_rules: Any,
) -> Plan:
    """The plan that a Trainer's arguments describe.

    Raises: GraphError when one of them does not fit.
    """
    check_precision(precision)
    for name, value in (("accumulate", accumulate), ("steps_per_call", steps_per_call)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise GraphValueError(f"`{name}` is a whole number from 1.", received=repr(value))
    if strategy not in _STRATEGIES:
        raise GraphValueError(f"There is no strategy {strategy!r}.", fix=did_you_mean(str(strategy), _STRATEGIES))
    if steps_per_call > 1:
        _check_loop(graph)
    if mesh is None and (strategy == "pmap" or sharding_rules is not None):
        mesh = make_mesh()
    layout = None if mesh is None else make_layout(mesh, sharding_rules, graph.variable_specs().get("params", {}))
    if strategy == "pmap" and layout is not None and layout.rules:
        raise GraphValueError(
            "Under pmap each device has all params.",
            received=f"sharding_rules for {', '.join(map(repr, layout.rules))}",
            fix='strategy="jit" for params that are spread over devices',
        )
    return Plan(precision, accumulate, remat, steps_per_call, "pmap" if strategy == "pmap" else "jit", layout)


def _of_one(leaf: Any) -> Any:
    is_on_each = isinstance(leaf, jax.Array) and leaf.is_fully_replicated
    return leaf.addressable_data(0) if is_on_each else leaf


def _evened(batch: Batch, devices: int, *, can_pad: bool) -> Batch:
    """A process's rows, of one number on each of its devices; marked, as other processes' rows may have to be."""
    size = len(batch.inputs[0])
    if can_pad:
        return filled_up(batch, -size % devices)
    if size % devices:
        raise GraphValueError(
            "The rows of a batch do not divide evenly among the devices of a process.",
            received=f"{size} rows for {devices} devices",
            expected=f"a multiple; {ALONE}",
            fix="another batch_size",
        )
    return batch


def filled_up(batch: Batch, missing: int) -> Batch:
    """The batch with so many copies of its first row behind, marked as not real."""
    size = len(batch.inputs[0])
    rows = np.concatenate([np.arange(size), np.zeros(missing, int)])
    filled = jax.tree.map(lambda leaf: leaf[rows], batch)
    marks = jnp.ones(size, bool) if batch.targets.present is None else jnp.asarray(batch.targets.present)
    present: Any = jnp.concatenate([marks, jnp.zeros(missing, bool)])
    return dataclasses.replace(filled, targets=dataclasses.replace(filled.targets, present=present))


def _check_loop(graph: Graph) -> None:
    if jax.default_backend() == "cpu" and convolutions(graph):
        raise GraphValueError(
            "Several steps in a call would be slower here: XLA on a CPU runs convolutions within a loop up to a "
            "hundred times slower than outside.",
            received="steps_per_call above 1 for a graph with convolutions",
            fix="steps_per_call=1 on a CPU",
        )
