"""Recurrent calls that do not read each other: which they are, and one call put in the place of several."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.paths import graphs_within
from jaxgraphs.graph.places import Path
from jaxgraphs.graph.rewrite import arranged_as, inputs_before, remake, substitute_tensors
from jaxgraphs.layers.base import Array, Layer, Weights, describes
from jaxgraphs.layers.recurrent import Recurrent
from jaxgraphs.passes.base import listed
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import Node, PyTree, SymbolicTensor, is_symbolic, record

Group = Sequence[Node]
Find = Callable[[Graph], Iterable[Group]]


@describes
class Opened(Layer):
    """In a recurrent layer's place: gives the layer's arrays rather than what it computes of them."""

    layer: Any

    def weights(self, *specs: Any, **kwargs: Any) -> Mapping[str, Any]:
        return self.layer.weights(*specs, **kwargs)

    def call(self, weights: Weights, *args: Any, context: Context, **_: Any) -> PyTree:
        return dict(weights)


@describes
class Together(Layer):
    """Calls of recurrent layers that do not read each other, as one call.

    Args:
        layers: one for each call.
    Call: ``layer((arrays, args, kwargs), ...)`` for each of `layers`; gives the outputs of all, flat.
    """

    layers: tuple[Any, ...]

    def output_mask(self, context: Context, *calls: Any, **_: Any) -> PyTree:
        masks: list[Any] = []
        for layer, (_, args, kwargs), own in zip(self.layers, calls, masks_of(context, calls), strict=True):
            found = layer.output_mask(context.replace(masks=own), *args, **kwargs)
            masks += found if isinstance(found, list) else [found]
        return masks


def masks_of(context: Context, calls: Sequence[Any]) -> list[Any]:
    """The masks of each call's arguments."""
    return [masks[1] for masks in context.masks] if context.masks else [()] * len(calls)


def cost_of_step(layer: Any, features: int) -> float:
    """Multiplications of one step for one row."""
    return layer.gates * layer.units * (layer.units + features)


def work_of(layer: Any, x: Array) -> float:
    """Multiplications of all steps of one call; what is looked up needs no product with the kernel."""
    return float(x.shape[0] * x.shape[1]) * cost_of_step(layer, x.shape[-1])


def independent(
    graph: Graph,
    *,
    may_join: Callable[[Node], bool] = lambda node: True,
    pays: Callable[[Group], Any] = lambda group: 1,
) -> list[Group]:
    """Two calls or more that may run at one time, none after a reader of another: else calls change their order.

    Args:
        may_join: whether a recurrent call may be one of a group.
        pays: whether a group is worth its while.
    """
    found: list[list[Node]] = []
    open_group: list[Node] = []
    after: dict[Node, bool] = {}  # whether a call reads one of the open group, at whatever distance
    for node in graph.nodes:
        reads = any(parent.node in open_group or after.get(parent.node, False) for parent in node.parents)
        if reads and open_group:
            found, open_group, after = [*found, open_group], [], {}
        elif _may_move(graph, node) and may_join(node) and _is_alike(node, open_group):
            open_group.append(node)
    return _whole(graph, [group for group in [*found, open_group] if len(group) > 1 and pays(group)])


def _whole(graph: Graph, groups: list[Group]) -> list[Group]:
    """The groups without those that have some calls of a layer of which others stay where they are."""
    grouped = {node for group in groups for node in group}
    kept = [group for group in groups if all(set(graph.sharing(node.layer)) <= grouped for node in group)]
    return kept if len(kept) == len(groups) else _whole(graph, kept)


def _may_move(graph: Graph, node: Node) -> bool:
    layer = node.layer
    if not isinstance(layer, Recurrent) or not hasattr(layer, "units") or layer.activity_regularizer is not None:
        return False
    # Random numbers depend on the call's place in the graph, which changes.
    draws = getattr(layer, "dropout", 0.0) or getattr(layer, "recurrent_dropout", 0.0)
    args, kwargs = node.args
    # Data may enter at the call, and an output has the name of its layer.
    is_given = any(tensor.node is node for tensor in (*graph.inputs, *graph.flat_outputs))
    is_plain = node.is_inferred and bool(args) and is_symbolic(args[0]) and not {"mask", "training"} & set(kwargs)
    return is_plain and not draws and not is_given


def _is_alike(node: Node, group: Group) -> bool:
    """Whether the layers agree on dtypes, as they will have to."""
    return all(node.layer.dtype == other.layer.dtype for other in group)  # pyright: ignore


def join(graph: Graph, find: Find, joined: Callable[[Group], Together]) -> tuple[Graph, list[str]]:
    """The graph with one call in the place of each group's, and the names of each group's layers.

    Args:
        find: the groups of a graph.
        joined: what computes a group.
    """
    notes: list[str] = []
    rewritten: dict[Path, Graph] = {}
    for path, inner in reversed(graphs_within(graph)):
        groups = list(find(inner))
        rewritten[path] = _rewrite_level(inner, path, groups, joined, rewritten)
        notes += [_named(inner, path, group) for group in groups]
    return rewritten[()], notes


def _named(graph: Graph, path: Path, group: Group) -> str:
    names = ["/".join((*path, graph.layer_name(node))) for node in group]
    # Two calls of one layer are two branches.
    return listed(names) + (" (one layer, called more than once)" if len(set(names)) < len(names) else "")


def _rewrite_level(
    graph: Graph,
    path: Path,
    groups: Sequence[Group],
    joined: Callable[[Group], Together],
    rewritten: Mapping[Path, Graph],
) -> Graph:
    layers = {layer: rewritten.get((*path, graph.layer_name(layer)), layer) for layer in graph.layers}
    if not groups and all(new is old for old, new in layers.items()):
        return graph
    last = {group[-1]: group for group in groups}
    grouped = {node for group in groups for node in group}
    opened = {node.layer: Opened(node.layer, dtype=node.layer.dtype) for node in grouped}  # pyright: ignore
    tensors = inputs_before(graph)
    for node in graph.nodes:
        if node in last:
            tensors.update(_joined(last[node], joined(last[node]), opened, tensors))
        elif node.layer is not None and node not in grouped:
            made = remake(node, layers[node.layer], substitute_tensors(node.args, tensors), infer=False)
            tensors.update(zip(node.tensors, made.tensors, strict=True))
    return arranged_as(graph, tensors, {**layers, **opened})


def _joined(
    group: Group, layer: Together, opened: Mapping[Any, Opened], tensors: Mapping[SymbolicTensor, SymbolicTensor]
) -> dict[SymbolicTensor, SymbolicTensor]:
    """What stands for the outputs of the calls of a group."""
    calls = []
    for node in group:
        args, kwargs = substitute_tensors(node.args, tensors)
        arrays = remake(node, opened[node.layer], (args, kwargs))
        calls.append((arrays.outputs, args, kwargs))
    outputs = record(layer, tuple(calls), {})
    # In the place of the last call, which may come before others that do not belong to the group.
    made = dataclasses.replace(outputs[0].node, created=group[-1].created)
    return dict(zip([tensor for node in group for tensor in node.tensors], made.tensors, strict=True))
