"""A job: data, a graph, training, and a report of each output beside its trivial baseline."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from jaxgraphs.graph.graph import Graph


@dataclasses.dataclass(frozen=True)
class Options:
    """What a user may choose; None is the job's own choice.

    Args:
        data: a directory or file; None is data made by the job itself.
        task: which of several tasks the data has.
        size: how many training examples.
        model: which form of the graph.
        epochs, batch_size: how long to train.
        seed: of data, parameters and order.
        verbose: 0 silent, 1 a progress bar, 2 a line an epoch.
        callbacks, resume: passed to `Trainer.fit`.
        targets, inputs: of a file of one's own, the columns to predict, and those to predict them from; all others
            where none are named.
        mesh: passed to `Trainer`: devices to train on, those of several processes among them.
    """

    data: str | None = None
    task: int | None = None
    size: int | None = None
    model: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    seed: int = 0
    verbose: int = 1
    callbacks: tuple[Any, ...] = ()
    resume: str | None = None
    targets: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    mesh: Any = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a job made.

    Args:
        graph, variables: the trained model.
        report: label -> text, in the order in which it is shown.
        results: the same numbers for machines.
        extra: what must be saved beside the model for it to be used, as JSON texts by name.
    """

    graph: Graph
    variables: Mapping[str, Any]
    report: Mapping[str, str]
    results: Mapping[str, Any]
    extra: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Job:
    """A name, one line about it, and what it does.

    Args:
        name: on the command line.
        summary: one line.
        models: the forms of its graph, the usual one first.
        run: Options -> Outcome.
    """

    name: str
    summary: str
    models: tuple[str, ...]
    run: Callable[[Options], Outcome] = dataclasses.field(repr=False)
