"""Recurrent branches that do not read each other, each on a host device of its own.

A step of a recurrent layer is too small for XLA to spread over cores, and the steps follow one another: one core works.
Two layers of which neither reads the other may run at one time, which only the graph can tell.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.paths import Path, graphs_within
from jaxgraphs.graph.rewrite import arranged_as, inputs_before, remake, substitute_tensors
from jaxgraphs.layers.recurrent import Recurrent
from jaxgraphs.passes.base import PassResult, Setting, listed
from jaxgraphs.passes.side_by_side import AXIS, Opened, SideBySide, cost_of_step
from jaxgraphs.symbolic.node import Node, SymbolicTensor, is_symbolic, record

# The busiest device may have this share of the work; with more, a second device saves less than it costs.
_MOST = 0.8


@dataclasses.dataclass(frozen=True)
class _Group:
    """Calls that run side by side, in their order, and the device's number for each."""

    nodes: tuple[Node, ...]
    places: tuple[int, ...]


class RecurrentBranches:
    """Whether a batch is large enough is seen when a step is compiled, and decided there."""

    name = "branches"
    idea = "recurrent layers that do not read each other run at one time, each on a host device of its own"

    def objection(self, setting: Setting) -> str | None:
        """Where there is one device, or the graph is spread over several already."""
        if setting.is_spread:
            return "a mesh lays the arrays out"
        if not setting.training:
            return "for training steps alone"
        return None if len(setting.devices) > 1 else "the CPU is one device; jg.setup(host_devices=2) makes it two"

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph with such layers computed together."""
        mesh = branch_mesh(setting.devices)
        notes: list[str] = []
        rewritten: dict[Path, Graph] = {}
        for path, inner in reversed(graphs_within(graph)):
            groups = _groups(inner, mesh.shape[AXIS])
            rewritten[path] = _rewrite_level(inner, path, groups, mesh, rewritten)
            notes += [_note(inner, path, group) for group in groups]
        return PassResult(rewritten[()], tuple(notes))


def branch_mesh(devices: Sequence[Any]) -> Mesh:
    """Devices along the axis of branches; a batch's rows are whole on each."""
    return Mesh(np.array(devices).reshape(1, -1), ("data", AXIS))


def has_branches(graph: Graph) -> bool:
    """Whether recurrent layers of a graph can be computed at one time."""
    return any(_groups(inner, 2) for _, inner in graphs_within(graph))


def _note(graph: Graph, path: Path, group: _Group) -> str:
    names = ["/".join((*path, graph.layer_name(node))) for node in group.nodes]
    # Two calls of one layer are two branches.
    same = " (one layer, called more than once)" if len(set(names)) < len(names) else ""
    return f"{listed(names)} run side by side{same}, where a batch has work enough"


def _groups(graph: Graph, devices: int) -> list[_Group]:
    """Calls that may run at one time, of which none comes after a reader of another: else calls change their order."""
    found: list[list[Node]] = []
    open_group: list[Node] = []
    after: dict[Node, bool] = {}  # whether a call reads one of the open group, at whatever distance
    for node in graph.nodes:
        reads = any(parent.node in open_group or after.get(parent.node, False) for parent in node.parents)
        if reads and open_group:
            found, open_group, after = [*found, open_group], [], {}
        elif _may_move(graph, node) and _is_alike(node, open_group):
            open_group.append(node)
    groups = [group for nodes in [*found, open_group] if (group := _placed(nodes, devices)) is not None]
    return _whole(graph, groups)


def _whole(graph: Graph, groups: list[_Group]) -> list[_Group]:
    """The groups without those that have some calls of a layer of which others stay where they are."""
    grouped = {node for group in groups for node in group.nodes}
    kept = [group for group in groups if all(set(graph.sharing(node.layer)) <= grouped for node in group.nodes)]
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


def _is_alike(node: Node, group: Sequence[Node]) -> bool:
    """Whether the layers agree on dtypes, as they will have to."""
    return all(node.layer.dtype == other.layer.dtype for other in group)  # pyright: ignore


def _placed(nodes: Sequence[Node], devices: int) -> _Group | None:
    """The calls spread over devices, the most work first, each to where least is; None where that does not pay."""
    work = [cost_of_step(node.layer, int(node.args[0][0].shape[-1])) for node in nodes]
    loads, places = [0.0] * devices, [0] * len(nodes)
    for index in sorted(range(len(nodes)), key=lambda index: -work[index]):
        places[index] = loads.index(min(loads))
        loads[places[index]] += work[index]
    return _Group(tuple(nodes), tuple(places)) if nodes and max(loads) <= _MOST * sum(loads) else None


def _rewrite_level(
    graph: Graph, path: Path, groups: Sequence[_Group], mesh: Mesh, rewritten: Mapping[Path, Graph]
) -> Graph:
    layers = {layer: rewritten.get((*path, graph.layer_name(layer)), layer) for layer in graph.layers}
    if not groups and all(new is old for old, new in layers.items()):
        return graph
    last = {group.nodes[-1]: group for group in groups}
    grouped = {node for group in groups for node in group.nodes}
    opened = {node.layer: Opened(node.layer, dtype=node.layer.dtype) for node in grouped}  # pyright: ignore
    tensors = inputs_before(graph)
    for node in graph.nodes:
        if node in last:
            tensors.update(_together(last[node], opened, mesh, tensors))
        elif node.layer is not None and node not in grouped:
            made = remake(node, layers[node.layer], substitute_tensors(node.args, tensors), infer=False)
            tensors.update(zip(node.tensors, made.tensors, strict=True))
    return arranged_as(graph, tensors, {**layers, **opened})


def _together(
    group: _Group, opened: Mapping[Any, Opened], mesh: Mesh, tensors: Mapping[SymbolicTensor, SymbolicTensor]
) -> dict[SymbolicTensor, SymbolicTensor]:
    """What stands for the outputs of the calls of a group."""
    calls = []
    for node in group.nodes:
        args, kwargs = substitute_tensors(node.args, tensors)
        arrays = remake(node, opened[node.layer], (args, kwargs))
        calls.append((arrays.outputs, args, kwargs))
    layers = tuple(node.layer for node in group.nodes)
    outputs = record(SideBySide(layers, group.places, mesh, dtype=layers[0].dtype), tuple(calls), {})
    # In the place of the last call, which may come before others that do not belong to the group.
    made = dataclasses.replace(outputs[0].node, created=group.nodes[-1].created)
    return dict(zip([tensor for node in group.nodes for tensor in node.tensors], made.tensors, strict=True))
