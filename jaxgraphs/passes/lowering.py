"""Layers computed by other arithmetic: a class in a class' place, with the same arguments, weights and name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.places import Path
from jaxgraphs.graph.rewrite import rebuild
from jaxgraphs.layers.base import Layer

Kind = Callable[..., Layer]
"""A subclass of a layer's class, some of its arguments given or not."""


def lowered(layer: Layer, kind: Kind) -> Any:
    """The layer as one of a subclass of its class."""
    fields = {field.name: getattr(layer, field.name) for field in dataclasses.fields(layer) if field.init}
    return kind(**fields)


def lower(graph: Graph, choose: Callable[[Any], Kind | None]) -> tuple[Graph, list[str]]:
    """The graph with some layers of other classes, and the paths of these.

    Args:
        graph: any; it stays as it is.
        choose: the class that is to compute a layer; None leaves the layer alone.
    """
    places: list[str] = []

    def change(path: Path, layer: Any) -> Any:
        kind = choose(layer)
        if kind is None:
            return layer
        places.append("/".join(path))
        return lowered(layer, kind)

    # The arithmetic changes no shape.
    return rebuild(graph, change, infer=False), places
