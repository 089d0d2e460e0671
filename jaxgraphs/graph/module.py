"""A graph as a Flax module with pure init and apply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.inputs import check_inputs, flatten_inputs
from jaxgraphs.graph.run import run_graph
from jaxgraphs.graph.variables import check_streams, check_variables
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import Ran


class GraphModule(nn.Module):
    """A graph to use inside any Flax model.

    Args:
        graph: what it computes.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((8,))
    >>> module = Graph(x, Dense(3)(x)).module()
    >>> variables = module.init(jax.random.key(0), jax.numpy.ones((2, 8)))
    >>> module.apply(variables, jax.numpy.ones((2, 8))).shape
    (2, 3)
    """

    graph: Graph

    @nn.compact
    def __call__(self, inputs: Any, *, train: bool = False) -> Any:
        values = check_inputs(self.graph, flatten_inputs(self.graph, inputs))
        if self.is_initializing():
            for collection, tree in self.graph.init(_raw_key(self, "params"), values).items():
                for name, value in tree.items():
                    self.put_variable(collection, name, value)
        rngs = (
            {} if self.scope is None else {name: _raw_key(self, name) for name in self.scope.rngs if name != "params"}
        )
        ran = run_graph(self.graph, self.variables, values, Context(train=train, rngs=rngs, name=self.name or "graph"))
        if not self.is_initializing():
            self._put(ran)
        return ran.outputs

    def _put(self, ran: Ran) -> None:
        for collection, tree in updated(self.variables, ran).items():
            if self.is_mutable_collection(collection):
                for name, value in tree.items():
                    self.put_variable(collection, name, value)


def apply_graph(
    graph: Graph,
    variables: Mapping[str, Any],
    inputs: Any,
    *,
    train: bool = False,
    rngs: Mapping[str, jax.Array] | None = None,
    mutable: Any = False,
) -> Any:
    """What `graph.apply` does: outputs, and the collections named in `mutable` where there are any."""
    values = check_inputs(graph, flatten_inputs(graph, inputs))
    check_variables(graph, variables)
    check_streams(rngs)
    ran = run_graph(graph, variables, values, Context(train=train, rngs=dict(rngs or {}), name=graph.name or "graph"))
    if mutable is False or mutable is None:
        return ran.outputs
    changed = updated(variables, ran)
    wanted = (
        set(changed) | set(variables) if mutable is True else {mutable} if isinstance(mutable, str) else set(mutable)
    )
    return ran.outputs, {name: changed.get(name, variables.get(name, {})) for name in sorted(wanted)}


def updated(variables: Mapping[str, Any], ran: Ran) -> dict[str, Any]:
    """The collections that a run changed, whole; the penalties on activations are a collection, "losses"."""
    collections = {name: _merge(variables.get(name, {}), tree) for name, tree in ran.state.items()}
    if ran.losses:
        collections["losses"] = {"activity": ran.losses}
    return collections


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for name, value in new.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merge(merged[name], value) if both else value
    return merged


def _raw_key(module: nn.Module, stream: str) -> jax.Array:
    """The key of a stream for this place: at the top, the very key that the caller gave."""
    assert module.scope is not None
    lazy: Any = module.scope.rngs[stream]
    return lazy.as_jax_rng()
