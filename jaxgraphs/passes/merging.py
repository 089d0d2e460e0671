"""Equal calls of one layer, merged: what is computed twice from the same tensors is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.paths import graphs_within
from jaxgraphs.graph.places import Path
from jaxgraphs.passes.base import PassResult, Setting
from jaxgraphs.passes.calls import Call, Rule, is_pure, rewrite_calls
from jaxgraphs.symbolic.node import SymbolicTensor, is_symbolic


class Merging:
    """A call of a layer on what the layer was called on before gives what it gave before.

    Calls that draw random numbers, move statistics or add a penalty to the loss are left alone.
    """

    name = "merging"
    idea = "equal calls of one layer are computed once"

    def objection(self, setting: Setting) -> str | None:
        """None: it applies everywhere."""
        return None

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph in which each pure call is made once."""
        notes: list[str] = []
        if not any(_is_shared(inner) for _, inner in graphs_within(graph)):
            return PassResult(graph)

        def rule(inner: Graph, path: Path) -> Rule:
            return _Level(setting.training, notes)

        return PassResult(rewrite_calls(graph, rule), tuple(notes))


class _Level:
    """The calls of one graph so far, by what they are made on."""

    def __init__(self, training: bool, notes: list[str]) -> None:
        self.training, self.notes = training, notes
        self.seen: dict[Any, tuple[SymbolicTensor, ...]] = {}

    def __call__(self, call: Call) -> Sequence[SymbolicTensor] | None:
        key = None if call.is_given else _key(call)
        if key is None:
            return None
        if key not in self.seen:
            self.seen[key] = call.kept()
            return self.seen[key]
        if is_pure(call.node, training=self.training):
            self.notes.append(f"{call.place!r} is called twice on the same tensors: computed once")
            return self.seen[key]
        return None


def _is_shared(graph: Graph) -> bool:
    """Whether a layer is called more than once."""
    return len(graph.layers) < sum(node.layer is not None for node in graph.nodes)


def _key(call: Call) -> Any:
    """What two equal calls have in common; None where a constant cannot be compared."""
    leaves, structure = jax.tree.flatten(call.args)
    if not all(is_symbolic(leaf) or isinstance(leaf, (bool, int, float, str, np.generic)) for leaf in leaves):
        return None
    return call.layer, structure, tuple((type(leaf), leaf) for leaf in leaves)
