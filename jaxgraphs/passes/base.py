"""What a pass is: a graph in, a graph out that computes the same from the same arrays, and in words what was done."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from jaxgraphs.graph.graph import Graph

Variables = Mapping[str, Any]
Arrange = Callable[[Variables], Variables]


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a pass may know of how a graph is to be run.

    Args:
        training: whether steps are trained on it; False is inference, where nothing is drawn and no state moves.
        is_spread: whether its batches or arrays lie on several devices already, by a mesh.
        may_arrange: whether the new graph may be fed by other arrays, computed once from those of the old one.
        devices: host devices that a step may compute branches on, each of which has all arrays.
        is_compiled: whether the step is compiled with what passes choose of XLA's options.
        options: what passes before this one chose.
    """

    training: bool = True
    is_spread: bool = False
    may_arrange: bool = False
    devices: tuple[Any, ...] = ()
    is_compiled: bool = False
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)


class PassResult(NamedTuple):
    """What a pass made of a graph.

    Args:
        graph: the new one; the old one where the pass found nothing.
        notes: what was rewritten and why, a sentence for each place.
        arrange: the arrays of the old graph -> those of the new one; None says that they are the same.
        options: XLA's, by name, that the step is to be compiled with.
    """

    graph: Graph
    notes: tuple[str, ...] = ()
    arrange: Arrange | None = None
    options: Mapping[str, str] = {}


class Pass(Protocol):
    """One idea of how a graph may be computed otherwise.

    Names, paths and shapes of params stay, so that a checkpoint does not know of passes; outputs and gradients are the
    same within rounding. Only where `Setting.may_arrange` says so are the arrays others, computed from those of the
    old graph. A pass that finds nothing returns the very graph it was given.
    """

    name: str
    """What it is switched on and off by."""
    idea: str
    """What it does, as a plan says it."""

    def objection(self, setting: Setting) -> str | None:
        """Why it does not apply in this setting; None where it does."""
        ...

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph rewritten; pure."""
        ...


def listed(names: list[str], most: int = 3) -> str:
    """Names in a sentence, of many the first few.

    >>> listed(["a", "b"]), listed(["a", "b", "c", "d", "e"])
    ("'a', 'b'", "'a', 'b', 'c' and 2 more")
    """
    shown = ", ".join(map(repr, names[:most]))
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
