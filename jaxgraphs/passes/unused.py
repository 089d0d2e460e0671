"""Outputs of nested graphs that nothing reads, dropped with the calls that lead to them alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax

from jaxgraphs.errors import GraphValueError
from jaxgraphs.graph.graph import Graph, graph_between, places_of
from jaxgraphs.graph.paths import graphs_within
from jaxgraphs.graph.places import Path
from jaxgraphs.graph.rewrite import arranged_as, inputs_before, remake, substitute_tensors
from jaxgraphs.passes.base import PassResult, Setting
from jaxgraphs.passes.calls import effects
from jaxgraphs.symbolic.node import Node, SymbolicTensor

Kept = Mapping[Path, tuple[int, ...]]
"""The numbers of the outputs that are kept of each nested graph."""


class UnusedCalls:
    """A graph has no calls that its outputs do not need; a graph nested in it may have, where not all of it is read.

    Calls that move statistics, or add a penalty to the loss, stay; so do those of layers that draw random numbers.
    """

    name = "unused"
    idea = "calls in nested graphs whose outputs nothing reads are dropped"

    def objection(self, setting: Setting) -> str | None:
        """None: it applies everywhere."""
        return None

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph whose nested graphs have the outputs that are read."""
        kept, notes = _find(graph, setting.training)
        return PassResult(_without(graph, kept), notes) if notes else PassResult(graph)


def _find(graph: Graph, training: bool) -> tuple[dict[Path, tuple[int, ...]], tuple[str, ...]]:
    """What is kept of each nested graph, the outer ones first; and what that drops, in words."""
    alive: dict[Path, tuple[Node, ...]] = {(): graph.nodes}
    kept: dict[Path, tuple[int, ...]] = {}
    notes: list[str] = []
    for path, outer in graphs_within(graph):
        outputs = [outer.flat_outputs[index] for index in kept[path]] if path in kept else list(outer.flat_outputs)
        for layer in dict.fromkeys(node.layer for node in alive[path] if isinstance(node.layer, Graph)):
            place = (*path, outer.layer_name(layer))
            used = _used(layer, alive[path], outputs)
            left = _left(layer, used, training)
            alive[place] = layer.nodes if left is None else left
            if left is not None:
                kept[place] = used
                count = len(layer.nodes) - len(left)
                notes.append(f"{'/'.join(place)!r}: {count} call{'s' if count > 1 else ''} that nothing reads")
    return kept, tuple(notes)


def _used(layer: Graph, nodes: Sequence[Node], outputs: Sequence[SymbolicTensor]) -> tuple[int, ...]:
    """The numbers of a nested graph's outputs that are read in the graph around it."""
    read = [*outputs, *(parent for node in nodes for parent in node.parents)]
    return tuple(sorted({tensor.index for tensor in read if tensor.node.layer is layer}))


def _left(graph: Graph, used: tuple[int, ...], training: bool) -> tuple[Node, ...] | None:
    """The calls that are needed for some of the outputs; None where nothing is to be dropped."""
    if len(used) == len(graph.flat_outputs):
        return None
    try:
        left = graph_between(graph.inputs, [graph.flat_outputs[index] for index in used])
    except GraphValueError:  # an input would be without use, and the calls around would have to change
        return None
    dropped = set(graph.nodes) - set(left)
    return left if dropped and not any(any(effects(node, training=training)) for node in dropped) else None


def _without(graph: Graph, kept: Kept) -> Graph:
    rebuilt: dict[Path, Graph] = {}
    for path, inner in reversed(graphs_within(graph)):
        rebuilt[path] = _rebuilt(inner, path, kept, rebuilt)
    return rebuilt[()]


def _rebuilt(graph: Graph, path: Path, kept: Kept, rebuilt: Mapping[Path, Graph]) -> Graph:
    layers = {layer: rebuilt.get((*path, graph.layer_name(layer)), layer) for layer in graph.layers}
    if path not in kept and all(new is old for old, new in layers.items()):
        return graph
    tensors = inputs_before(graph)
    wanted = {graph.flat_outputs[index] for index in kept.get(path, range(len(graph.flat_outputs)))}
    for node in graph.nodes:
        if node.layer is not None and all(parent in tensors for parent in node.parents):
            place = (*path, graph.layer_name(node))
            tensors.update(_called(node, layers[node.layer], tensors, kept.get(place)))
    if path not in kept:
        return arranged_as(graph, tensors, layers)
    names = {layers.get(owner, owner): name for owner, name in graph.names.items()}
    inputs = jax.tree.unflatten(graph.input_structure, [tensors[tensor] for tensor in graph.inputs])
    outputs = [tensors[tensor] for tensor in graph.flat_outputs if tensor in wanted]
    return Graph(inputs, outputs, graph.name, names=names, places=places_of(graph))


def _called(node: Node, layer: Any, tensors: Any, used: tuple[int, ...] | None) -> dict[Any, Any]:
    args = substitute_tensors(node.args, tensors)
    if used is None:
        made = remake(node, layer, args, infer=False)
        return dict(zip(node.tensors, made.tensors, strict=True))
    specs = tuple(node.specs[index] for index in used)
    made = Node(layer, args, specs, jax.tree.structure([0] * len(specs)), node.variables, created=node.created)
    return {SymbolicTensor(node, index): tensor for index, tensor in zip(used, made.tensors, strict=True)}
