"""Layers one after another, as a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax

from jaxgraphs.errors import GraphTypeError, GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.places import Path
from jaxgraphs.symbolic.node import UNKNOWN, Node, SymbolicTensor, check_name, is_symbolic


class Sequential(Graph):
    """A graph in which each layer reads the one before it.

    Without a leading Input the shapes are settled when the graph is called on a tensor, or by ``init(key, inputs)``.

    Args:
        layers: layers or graphs; the first may be an `Input`.
        name: of the graph when it is called as a layer.
        names: names to keep, by layer, for a graph made from another.
        places: where arrays are to stay, by path, for the same.
    Raises: GraphError when something in the list is not a layer, or a layer does not fit the one before it.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> Sequential([Input((8,)), Dense(32, activation="relu"), Dense(3)]).count_params()
    387
    >>> Sequential([Dense(3)]).init(jax.random.key(0), jax.numpy.ones((2, 8)))["params"]["dense"]["kernel"].shape
    (8, 3)
    """

    def __init__(
        self,
        layers: Sequence[Any],
        name: str | None = None,
        *,
        names: Mapping[Any, str] | None = None,
        places: Mapping[Path, Path] | None = None,
    ) -> None:
        layers = list(layers) if isinstance(layers, (list, tuple)) else [layers]
        _check(layers)
        if is_symbolic(layers[0]):
            tensor = layers[0]
            for layer in layers[1:]:
                tensor = layer(tensor)
            super().__init__(layers[0], tensor, name, names=names, places=places)
        else:
            self._describe(layers, name)
            self._name(names or {}, places or {})

    def _describe(self, layers: Sequence[Any], name: str | None) -> None:
        """The chain of calls, of which no shape is known yet."""
        check_name(name, "Sequential")
        leaf = jax.tree.structure(0)
        nodes = [Node(None, (), (UNKNOWN,), leaf)]
        for layer in layers:
            nodes.append(Node(layer, ((SymbolicTensor(nodes[-1]),), {}), (UNKNOWN,), leaf))
        start, end = SymbolicTensor(nodes[0]), SymbolicTensor(nodes[-1])
        self._set((start,), end, tuple(nodes), name, leaf)

    @property
    def default_name(self) -> str:
        """The stem of a derived name, as in Keras."""
        return "sequential"


def _check(layers: Sequence[Any]) -> None:
    if not layers or (len(layers) == 1 and is_symbolic(layers[0])):
        raise GraphValueError(
            "A Sequential needs at least one layer.", fix="Sequential([Input((8,)), layers.Dense(3)])"
        )
    strangers = [
        f"number {index}: {f'the class {layer.__name__}' if isinstance(layer, type) else type(layer).__name__}"
        for index, layer in enumerate(layers)
        if (isinstance(layer, type) or not hasattr(layer, "infer")) and not (index == 0 and is_symbolic(layer))
    ]
    if strangers:
        raise GraphTypeError(
            "A Sequential is made of layers.",
            received="\n".join(strangers),
            expected="layers or graphs; an Input only at the start",
            fix="jg.layer(function) makes a layer of a function or of a Flax module",
        )
