"""The passes as a Trainer applies them: to what it trains, to what it evaluates, and to what it predicts with."""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import Any

import jax

from jaxgraphs.graph.graph import Graph
from jaxgraphs.passes.base import Setting
from jaxgraphs.passes.branches import RecurrentBranches, has_branches
from jaxgraphs.passes.optimize import Entry, Optimized, chosen, optimize
from jaxgraphs.training.objective import Objective
from jaxgraphs.training.rows import ROWS

LOGITS = "logits"
MORE = (LOGITS, ROWS)
"""Passes that are not on the graph alone."""


@dataclasses.dataclass(frozen=True, repr=False)
class Rewriting:
    """What passes make of a Trainer's graphs, each made when it is first asked for.

    Args:
        graph: what the objective computes.
        predicted: what is computed to predict.
        passes: as given to the Trainer.
        is_spread: whether a mesh was given.
        devices: host devices that branches may be computed on.
        logits: what was done before there was an objective.
        rows: what is done around the step.
    """

    graph: Graph
    predicted: Graph
    passes: Any
    is_spread: bool
    devices: tuple[Any, ...]
    logits: Entry
    rows: Entry

    @functools.cached_property
    def training(self) -> Optimized:
        """The objective's graph for training steps."""
        return self._optimized(self.graph, training=True)

    @functools.cached_property
    def evaluating(self) -> Optimized:
        """The objective's graph for evaluation."""
        return self._optimized(self.graph, training=False)

    @functools.cached_property
    def predicting(self) -> Optimized:
        """The graph for prediction."""
        return self._optimized(self.predicted, training=False)

    def computing(self, train: bool) -> Graph:
        """What computes the objective's graph."""
        return self.training.graph if train else self.evaluating.graph

    def _optimized(self, graph: Graph, *, training: bool) -> Optimized:
        setting = Setting(training=training, is_spread=self.is_spread, devices=self.devices, is_compiled=True)
        return optimize(graph, _on_graphs(self.passes), setting)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        parts = (
            ("In training:", (self.logits, *self.training.entries, self.rows)),
            ("In evaluation and prediction:", self.predicting.entries),
        )
        return "\n".join("\n  ".join([head, *(_indented(entry) for entry in entries)]) for head, entries in parts)


def rewrite(
    objective: Objective, graph: Graph, passes: Any, *, is_spread: bool, devices: tuple[Any, ...] = (), rows: Entry
) -> tuple[Objective, Rewriting]:
    """The objective computed by graphs that passes have rewritten, and what they do.

    Args:
        objective: as bound.
        graph: the graph that predicts.
        passes: as for a Trainer.
        is_spread: whether a mesh was given.
        devices: host devices that branches may be computed on.
        rows: what is done for the rows of tables.
    Raises: GraphError when there is no pass of a name.
    """
    logits = _logits_entry(objective, passes)
    rewriting = Rewriting(objective.graph, graph, passes, is_spread, devices, logits, rows)
    return dataclasses.replace(objective, rewritten=rewriting.computing), rewriting


def wants_logits(passes: Any) -> bool:
    """Whether losses are to be computed from logits.

    Raises: GraphError when there is no pass of a name.
    """
    return LOGITS in chosen(passes, MORE)


def objection_to_rows(passes: Any, *, is_spread: bool) -> str | None:
    """Why the rows of tables are not moved by themselves."""
    if ROWS not in chosen(passes, MORE):
        return "switched off"
    return "a mesh lays the arrays out" if is_spread else None


def _on_graphs(passes: Any) -> frozenset[str]:
    return chosen(passes, MORE) - set(MORE)


def _logits_entry(objective: Objective, passes: Any) -> Entry:
    idea = "a loss behind a softmax or sigmoid is computed from the logits"
    if not wants_logits(passes):
        return Entry(LOGITS, idea, objection="switched off")
    pairs = zip(objective.names, objective.kinds, strict=True)
    notes = [f"the loss of {name!r} reads what precedes the {kind}" for name, kind in pairs if kind is not None]
    return Entry(LOGITS, idea, tuple(notes))


def _indented(entry: Entry) -> str:
    return str(entry).replace("\n", "\n  ")


def branch_devices(graph: Graph, passes: Any) -> tuple[Any, ...]:
    """The host devices on which a graph's recurrent branches are to be computed; none where there is nothing to place.

    Two, where the user made the CPU several devices with a core for each.
    """
    devices = jax.local_devices()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    is_able = jax.default_backend() == "cpu" and jax.process_count() == 1 and 2 <= len(devices) <= cores
    is_wanted = is_able and RecurrentBranches.name in _on_graphs(passes)
    return tuple(devices[:2]) if is_wanted and has_branches(graph) else ()
