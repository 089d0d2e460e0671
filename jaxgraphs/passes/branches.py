"""Recurrent branches that do not read each other, each on a host device of its own.

A step of a recurrent layer is too small for XLA to spread over cores, and the steps follow one another: one core works.
Two layers of which neither reads the other may run at one time, which only the graph can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.paths import graphs_within
from jaxgraphs.passes.base import PassResult, Setting
from jaxgraphs.passes.grouping import Group, cost_of_step, independent, join
from jaxgraphs.passes.side_by_side import AXIS, SideBySide

# The busiest device may have this share of the work; with more, a second device saves less than it costs.
_MOST = 0.8


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
        devices = mesh.shape[AXIS]

        def joined(group: Group) -> SideBySide:
            layers: tuple[Any, ...] = tuple(node.layer for node in group)
            return SideBySide(layers, tuple(_places(group, devices) or ()), mesh, dtype=layers[0].dtype)

        graph, names = join(graph, lambda inner: _groups(inner, devices), joined)
        return PassResult(graph, tuple(f"{each} run side by side, where a batch has work enough" for each in names))


def branch_mesh(devices: Sequence[Any]) -> Mesh:
    """Devices along the axis of branches; a batch's rows are whole on each."""
    return Mesh(np.array(devices).reshape(1, -1), ("data", AXIS))


def has_branches(graph: Graph) -> bool:
    """Whether recurrent layers of a graph can be computed at one time."""
    return any(_groups(inner, 2) for _, inner in graphs_within(graph))


def _groups(graph: Graph, devices: int) -> list[Group]:
    return independent(graph, pays=lambda group: _places(group, devices))


def _places(group: Group, devices: int) -> list[int] | None:
    """The calls spread over devices, the most work first, each to where least is; None where that does not pay."""
    work = [cost_of_step(node.layer, int(node.args[0][0].shape[-1])) for node in group]
    loads, places = [0.0] * devices, [0] * len(group)
    for index in sorted(range(len(group)), key=lambda index: -work[index]):
        places[index] = loads.index(min(loads))
        loads[places[index]] += work[index]
    return places if max(loads) <= _MOST * sum(loads) else None
