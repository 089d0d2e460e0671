"""TrainState, and the steps that turn one state and one batch into the next: pure, each compiled once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxgraphs.graph.count import trainable_mask
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.run import run_graph
from jaxgraphs.symbolic.context import Context
from jaxgraphs.training.batch import Batch, combine, partition
from jaxgraphs.training.gradient import Way, forward, make_gradient
from jaxgraphs.training.objective import Objective
from jaxgraphs.training.precision import kept_where_skipped, loss_scale, widened
from jaxgraphs.training.regularization import constrain

Array = jax.Array
PyTree = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that a training run carries from step to step; a pytree.

    Args:
        step: how many steps were made, an int32 scalar.
        params: what is learned, by layer and name.
        model_state: what layers carry, such as batch statistics, by collection.
        opt_state: the optimizer's, learning rate included.
        key: from which each step's random keys are derived.
    """

    step: Array
    params: PyTree
    model_state: PyTree
    opt_state: PyTree
    key: Array

    @property
    def variables(self) -> dict[str, Any]:
        """What `graph.apply` takes."""
        return {"params": self.params, **self.model_state}

    def replace(self, **changes: Any) -> TrainState:
        """The same with some fields changed."""
        return dataclasses.replace(self, **changes)


def init_state(
    graph: Graph, optimizer: optax.GradientTransformation, key: Array, variables: Mapping[str, Any] | None
) -> TrainState:
    """The state before the first step: fresh arrays, or those given."""
    init_key, run_key = jax.random.split(key)
    variables = graph.init(init_key) if variables is None else variables
    params = variables.get("params", {})
    model_state = {name: tree for name, tree in variables.items() if name != "params"}
    learned, _ = partition(params, trainable_mask(graph, params))
    return TrainState(jnp.zeros((), jnp.int32), params, model_state, optimizer.init(learned), run_key)


def make_train_step(
    objective: Objective, optimizer: optax.GradientTransformation, way: Way | None = None
) -> Callable[..., Any]:
    """(state, sums, batch) -> (state, sums, logs): one step of the optimizer, and the epoch's running sums.

    Args:
        way: how the gradient is found; all at once where left out.
    """
    gradient = make_gradient(objective, way or Way())

    def train_step(state: TrainState, sums: PyTree, batch: Batch) -> tuple[TrainState, PyTree, dict[str, Array]]:
        learned, fixed = partition(state.params, trainable_mask(objective.graph, state.params))
        key = jax.random.fold_in(state.key, state.step)

        found = gradient(learned, fixed, state.model_state, batch, key, loss_scale(state.opt_state))
        gradients, (total, parts, model_state, outputs, masks) = found
        changes, opt_state = optimizer.update(gradients, state.opt_state, learned)
        params = constrain(objective.declared, combine(optax.apply_updates(learned, changes), fixed))
        model_state = kept_where_skipped(opt_state, model_state, state.model_state)
        sums = objective.accumulate(sums, total, parts, outputs, masks, batch.targets)
        state = TrainState(state.step + 1, params, model_state, opt_state, state.key)
        return state, sums, objective.logs(sums)

    return train_step


def make_many_steps(step: Callable[..., Any]) -> Callable[..., Any]:
    """(state, sums, batches) -> (state, sums, logs): a step for each of several batches, stacked, in one call."""

    def many_steps(state: TrainState, sums: PyTree, batches: Batch) -> tuple[TrainState, PyTree, dict[str, Array]]:
        def one(carry: tuple[TrainState, PyTree], batch: Batch) -> tuple[Any, dict[str, Array]]:
            state, sums, logs = step(*carry, batch)
            return (state, sums), logs

        (state, sums), logs = jax.lax.scan(one, (state, sums), batches)
        return state, sums, jax.tree.map(lambda leaf: leaf[-1], logs)

    return many_steps


def make_eval_step(objective: Objective) -> Callable[..., Any]:
    """(variables, sums, batch) -> sums: the running sums with one more batch, computed as at inference."""

    def eval_step(variables: Mapping[str, Any], sums: PyTree, batch: Batch) -> PyTree:
        state = {name: tree for name, tree in variables.items() if name != "params"}
        _, (total, parts, _, outputs, masks) = forward(objective, variables["params"], state, batch, train=False)
        return objective.accumulate(sums, total, parts, outputs, masks, batch.targets)

    return eval_step


def make_predict_step(graph: Graph) -> Callable[..., Any]:
    """(variables, inputs) -> outputs, as at inference; those of half precision as float32."""

    def predict_step(variables: Mapping[str, Any], inputs: tuple[Array, ...]) -> PyTree:
        return widened(run_graph(graph, variables, inputs, Context(name=graph.name or "graph")).outputs)

    return predict_step
