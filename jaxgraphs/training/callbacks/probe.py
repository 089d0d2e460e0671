"""What a graph computes for some examples, call by call: for histograms, and to find where numbers went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.inputs import check_inputs
from jaxgraphs.graph.run import nodes_of, run_graph
from jaxgraphs.symbolic.context import Context
from jaxgraphs.training.callbacks.base import Run
from jaxgraphs.training.feeding import Arrays, arrays_of, batch_of, unpack
from jaxgraphs.training.step import Batch

EXAMPLES = 32
"""How many validation examples stand for a batch where there is none."""


def some_batch(run: Run) -> Batch | None:
    """The run's batch; else its first validation examples; None where that would mean to read from an iterator."""
    if run.data is not None:
        return run.data
    data = run.validation
    if isinstance(data, tuple):
        data = arrays_of(run.graph, *unpack(data))
    if not isinstance(data, Arrays):
        return None
    batch = batch_of(data.take(slice(0, EXAMPLES)))
    return Batch(tuple(check_inputs(run.graph, batch.inputs)), batch.targets)


def activations(
    graph: Graph, variables: Mapping[str, Any], batch: Batch, read: Callable[[Any], Any] = lambda outputs: outputs
) -> dict[str, Any]:
    """What each call of a layer gives at inference, by place, in the order of the graph; pure.

    Args:
        graph: and the `variables` that feed it.
        batch: of which the inputs are read.
        read: makes of a call's outputs what is wanted of them.
    Returns: such as ``{"inner/dense": ..., "lstm": ..., "lstm:1": ...}``; ``:1`` is a shared layer's second call.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> from jaxgraphs.training.objective import Targets
    >>> x = Input((3,), name="x")
    >>> graph = Graph(x, Dense(2, name="y")(x))
    >>> batch = Batch((jnp.ones((4, 3)),), Targets((None,), (None,)))
    >>> activations(graph, graph.init(jax.random.key(0)), batch, read=jnp.shape)
    {'y': (4, 2)}
    """
    found: dict[str, Any] = {}

    def wrap(step: Any, compute: Callable[..., Any]) -> Callable[..., Any]:
        def computed(*args: Any) -> Any:
            result = compute(*args)
            found[place(step.call_path)] = read(result[0])
            return result

        return computed

    context = Context(name=graph.name or "graph", present=batch.targets.present)
    run_graph(graph, variables, batch.inputs, context, wrap=wrap)
    return found


def place(call_path: tuple[str, ...]) -> str:
    """A call as `graph.subgraph` names it.

    >>> place(("inner#0", "dense#1"))
    'inner/dense:1'
    """
    parts = (part.rpartition("#") for part in call_path)
    return "/".join(name if call == "0" else f"{name}:{call}" for name, _, call in parts)


def weights_in_order(graph: Graph, variables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(path, array) of all weights and of all state, layer by layer in the order of the graph."""
    for path in dict.fromkeys(path for path, _ in nodes_of(graph)):
        for tree in variables.values():
            for name in path:
                tree = tree.get(name, {})
            for keys, array in jax.tree_util.tree_leaves_with_path(tree):
                yield "/".join((*path, *(str(getattr(key, "key", key)) for key in keys))), array


def is_finite(tree: Any) -> bool:
    """Whether no floating number in a tree is infinite or not a number."""
    floats = (leaf for leaf in map(jnp.asarray, jax.tree.leaves(tree)) if jnp.issubdtype(leaf.dtype, jnp.inexact))
    return all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in floats)
