"""The passes as a Trainer applies them: to what it trains, to what it evaluates, and to what it predicts with."""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxgraphs.graph.graph import Graph
from jaxgraphs.passes.base import Setting
from jaxgraphs.passes.optimize import Entry, Optimized, chosen, optimize
from jaxgraphs.training.objective import Objective

LOGITS = "logits"
MORE = (LOGITS,)
"""Passes that are not on the graph alone."""


@dataclasses.dataclass(frozen=True)
class Rewriting:
    """What passes made of a Trainer's graphs.

    Args:
        objective: with the graphs that compute its own.
        predicting: of the graph that predicts.
        training, inference: what each pass did in training steps, and in evaluation and prediction.
    """

    objective: Objective
    predicting: Optimized
    training: tuple[Entry, ...]
    inference: tuple[Entry, ...]

    def __str__(self) -> str:
        parts = (("In training:", self.training), ("In evaluation and prediction:", self.inference))
        return "\n".join("\n  ".join([head, *(_indented(entry) for entry in entries)]) for head, entries in parts)


def rewrite(objective: Objective, graph: Graph, passes: Any, *, is_spread: bool) -> Rewriting:
    """Applies the passes.

    Args:
        objective: as bound.
        graph: the graph that predicts.
        passes: as for a Trainer.
        is_spread: whether a mesh was given.
    Raises: GraphError when there is no pass of a name.
    """
    wanted = chosen(passes, MORE) - set(MORE)
    training = optimize(objective.graph, wanted, Setting(is_spread=is_spread))
    evaluating = Setting(training=False, is_spread=is_spread)
    inference = optimize(objective.graph, wanted, evaluating)
    predicting = optimize(graph, wanted, evaluating)
    objective = dataclasses.replace(objective, rewritten=(training.graph, inference.graph))
    first = _logits_entry(objective, passes)
    return Rewriting(objective, predicting, (first, *training.entries), predicting.entries)


def _logits_entry(objective: Objective, passes: Any) -> Entry:
    idea = "a loss behind a softmax or sigmoid is computed from the logits"
    if LOGITS not in chosen(passes, MORE):
        return Entry(LOGITS, idea, objection="switched off")
    pairs = zip(objective.names, objective.kinds, strict=True)
    notes = [f"the loss of {name!r} reads what precedes the {kind}" for name, kind in pairs if kind is not None]
    return Entry(LOGITS, idea, tuple(notes))


def _indented(entry: Entry) -> str:
    return str(entry).replace("\n", "\n  ")


def wants_logits(passes: Any) -> bool:
    """Whether losses are to be computed from logits.

    Raises: GraphError when there is no pass of a name.
    """
    return LOGITS in chosen(passes, MORE)
