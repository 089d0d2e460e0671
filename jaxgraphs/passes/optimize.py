"""The passes in their order, chosen by name, applied one after another; and the report of what they did."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxgraphs.errors import GraphTypeError, GraphValueError, did_you_mean
from jaxgraphs.graph.graph import Graph
from jaxgraphs.passes.base import Arrange, Pass, Setting, Variables
from jaxgraphs.passes.branches import RecurrentBranches
from jaxgraphs.passes.constants import FoldedConstants
from jaxgraphs.passes.depthwise import DepthwiseConvolution
from jaxgraphs.passes.eigen import EigenConvolutions
from jaxgraphs.passes.folding import FoldedNormalization
from jaxgraphs.passes.gate_tables import GateTables
from jaxgraphs.passes.idle import IdleCalls
from jaxgraphs.passes.kernel_gradients import KernelGradients
from jaxgraphs.passes.lstm_loops import LSTMLoops
from jaxgraphs.passes.merging import Merging
from jaxgraphs.passes.one_loop import OneLoopPass
from jaxgraphs.passes.pointwise import PointwiseConvolution
from jaxgraphs.passes.pooling import ShiftedPooling
from jaxgraphs.passes.products import FlatProducts
from jaxgraphs.passes.recompute import RecomputedGates
from jaxgraphs.passes.unused import UnusedCalls

PASSES: tuple[Pass, ...] = (
    UnusedCalls(),
    IdleCalls(),
    FoldedConstants(),
    Merging(),
    FoldedNormalization(),
    GateTables(),
    RecomputedGates(),
    LSTMLoops(),
    OneLoopPass(),
    RecurrentBranches(),
    FlatProducts(),
    PointwiseConvolution(),
    DepthwiseConvolution(),
    EigenConvolutions(),
    KernelGradients(),
    ShiftedPooling(),
)
"""Every pass on graphs, in the order in which they are applied."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a report says of one pass.

    Args:
        name, idea: the pass'.
        notes: what it rewrote, a sentence for each place; empty where it found nothing.
        objection: why it was not applied; None where it was.
    """

    name: str
    idea: str
    notes: tuple[str, ...] = ()
    objection: str | None = None

    def __str__(self) -> str:
        head = f"{self.name}: {self.idea}"
        if self.objection is not None:
            return f"{head}\n    off: {self.objection}"
        return "\n    ".join([head, *(self.notes or ["nothing to do"])])


@dataclasses.dataclass(frozen=True)
class Optimized:
    """A graph after the passes.

    Args:
        graph: computes what the old graph did.
        entries: what each pass did.
        steps: what makes the arrays that feed it of the old graph's, one after another; often none is needed.
        options: XLA's, by name, that a step on it is to be compiled with.
    """

    graph: Graph
    entries: tuple[Entry, ...] = ()
    steps: tuple[Arrange, ...] = ()
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def arrange(self, variables: Variables) -> Variables:
        """The arrays that feed the graph, from those of the old one; pure."""
        for step in self.steps:
            variables = step(variables)
        return variables


def optimize(graph: Graph, passes: Any = "all", setting: Setting | None = None) -> Optimized:
    """Applies passes to a graph.

    Args:
        graph: any; it stays as it is.
        passes: "all"; None for none; or names, such as ``["merging"]``.
        setting: how the graph will be run; for training on one device where left out.
    Raises: GraphError when there is no pass of a name.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> x, layer = Input((4,)), Dense(3, name="y")
    >>> done = optimize(Graph(x, [layer(x), layer(x)]))
    >>> len(done.graph.nodes), [entry.notes for entry in done.entries if entry.notes]
    (2, [("'y' is called twice on the same tensors: computed once",)])
    """
    setting = setting or Setting()
    entries: list[Entry] = []
    steps: list[Arrange] = []
    wanted = chosen(passes)
    for each in PASSES:
        objection = each.objection(setting) if each.name in wanted else "switched off"
        notes: Sequence[str] = ()
        if objection is None:
            graph, notes, arrange, options = each.rewrite(graph, setting)
            steps += [] if arrange is None else [arrange]
            setting = dataclasses.replace(setting, options={**setting.options, **options})
        entries.append(Entry(each.name, each.idea, tuple(notes), objection))
    return Optimized(graph, tuple(entries), tuple(steps), setting.options)


def chosen(passes: Any, more: Iterable[str] = ()) -> frozenset[str]:
    """The names of the passes that are wanted.

    Args:
        passes: "all"; None for none; or names.
        more: names of passes that are not on graphs, and so are not in `PASSES`.
    Raises: GraphError when there is no pass of a name.
    """
    known = [each.name for each in PASSES] + list(more)
    if passes is None or (isinstance(passes, str) and passes == "all"):
        return frozenset(known if passes else ())
    names = [passes] if isinstance(passes, str) else passes
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise GraphTypeError("`passes` names passes.", received=repr(passes), expected='"all", None, or names')
    names = list(names)
    for name in names:
        if name not in known:
            raise GraphValueError(f"There is no pass {name!r}.", expected=did_you_mean(name, known))
    return frozenset(names)
