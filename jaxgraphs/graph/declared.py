"""The weights that a graph's layers declare, with their regularisers and constraints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxgraphs.graph.graph import Graph, Step, evaluate
from jaxgraphs.graph.places import Path
from jaxgraphs.graph.run import infer_step
from jaxgraphs.layers.base import Layer, Weight, split_call
from jaxgraphs.symbolic.spec import TensorSpec


def declared(graph: Graph, specs: Sequence[TensorSpec]) -> dict[str, Any]:
    """The Weights of the catalogue's trainable layers, nested as the params are.

    Args:
        specs: of the inputs.
    Returns: layer name -> weight name -> Weight; graphs within the graph are nested in it.
    """
    found: dict[str, Any] = {}

    def call(step: Step, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[TensorSpec]:
        layer = step.node.layer
        if isinstance(layer, Layer) and layer.trainable:
            plain_args, plain_kwargs, _ = split_call(args, kwargs)
            step.home.write(found, layer.weights(*plain_args, **plain_kwargs))
        return infer_step(step, args, kwargs).specs

    evaluate(graph, call, specs)
    return found


def learned(graph: Graph) -> dict[Path, Weight]:
    """The declared weights that are learned, by their path in params."""
    found: dict[Path, Weight] = {}
    stack: list[tuple[Path, Any]] = [((), declared(graph, graph.input_specs()))]
    while stack:
        path, value = stack.pop()
        if not isinstance(value, Weight):
            stack.extend(((*path, name), inner) for name, inner in reversed(list(value.items())))
        elif value.collection == "params":
            found[path] = value
    return found
