"""What all jobs share: training, and each output's score beside what it would be without looking."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from jaxgraphs.data.split import Dataset
from jaxgraphs.errors import GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.jobs.base import Options, Outcome
from jaxgraphs.training import optimizers
from jaxgraphs.training.balancing import COLLECTION
from jaxgraphs.training.callbacks import Callback, Run
from jaxgraphs.training.processes import fetched
from jaxgraphs.training.trainer import Trainer

_BASELINES = {"accuracy": "majority", "mae": "mean_mae", "mse": "mean_mse"}
_IN_WORDS = {"accuracy": "the commonest answer", "mae": "the mean", "mse": "the mean"}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a job trains where the user does not say.

    Args:
        loss, loss_weights: as in `Trainer`.
        rate: of Adam.
        epochs, batch_size: how long.
    """

    loss: Any
    rate: float
    epochs: int
    batch_size: int
    loss_weights: Any = None


@dataclasses.dataclass(frozen=True)
class Score:
    """One metric of one output on the test rows.

    Args:
        output: its name; "" where the graph has only one.
        metric: "accuracy", "mae" or "mse".
        value: of the model; `baseline`: of the commonest answer or the mean of the training rows.
    """

    output: str
    metric: str
    value: float
    baseline: float

    def results(self) -> dict[str, float]:
        """Both numbers by name, such as {"kind_accuracy": ..., "kind_majority": ...}."""
        prefix = f"{self.output}_" if self.output else ""
        return {prefix + self.metric: self.value, prefix + _BASELINES[self.metric]: self.baseline}

    def line(self) -> tuple[str, str]:
        """A label and a text for people."""
        return " ".join(filter(None, ("test", self.output, self.metric))), (
            f"{self.value:.3f} ({_IN_WORDS[self.metric]}: {self.baseline:.3f})"
        )


def form_of(
    options: Options, job: str, forms: Sequence[str], *, has_tasks: bool = False, takes_columns: bool = False
) -> str:
    """The form of the graph that is asked for, the first where none is.

    Raises: GraphValueError when there is no such form, or a task is given to a job that has none.
    """
    form = options.model or forms[0]
    if form not in forms:
        raise GraphValueError(f"There is no such form of {job}.", received=repr(form), expected=" or ".join(forms))
    if options.task is not None and not has_tasks:
        received = f"task {options.task}"
        raise GraphValueError(f"The data of {job} has no tasks.", received=received, fix="leave the task out")
    if (options.targets or options.inputs) and not takes_columns:
        raise GraphValueError(
            f"The columns that {job} reads are settled.",
            received=", ".join((*options.targets, *options.inputs)),
            fix="jaxgraphs train table --data FILE --target COLUMN reads any",
        )
    return form


def fit(
    options: Options,
    graph: Graph,
    data: Dataset,
    recipe: Recipe,
    *,
    source: str,
    form: str,
    extra: Mapping[str, str] | None = None,
    notes: Mapping[str, float] | None = None,
) -> Outcome:
    """Trains `graph` and scores it.

    Args:
        options: the user's choices, which stand above the recipe's.
        data: rows to train on and to test on.
        source: where the data comes from, in words.
        form: of the graph.
        extra: as in `Outcome`.
        notes: further numbers to report, such as the best score that is possible.
    """
    baselines = _by_output(graph, data.baselines())
    metrics = [list(scores) for scores in baselines.values()]
    optimizer = optimizers.adam(recipe.rate)
    trainer = Trainer(graph, optimizer, recipe.loss, recipe.loss_weights, metrics, mesh=options.mesh)
    size = options.batch_size or recipe.batch_size
    ended = _Ended()
    began = time.monotonic()
    state, history = trainer.fit(
        trainer.init(jax.random.key(options.seed)),
        data.train.inputs,
        data.train.targets,
        epochs=options.epochs or recipe.epochs,
        batch_size=size,
        verbose=options.verbose,
        callbacks=[*options.callbacks, ended],
        resume=options.resume,
    )
    seconds = time.monotonic() - began
    report_of_run = _resumed(options.resume, ended.count, len(history.epoch))
    logs = trainer.evaluate(state, data.test.inputs, data.test.targets, batch_size=500)
    scores = _scores(baselines, logs)
    results = {
        "data": source,
        "train": len(data.train),
        "test": len(data.test),
        "model": form,
        "parameters": graph.count_params(),
        "epochs": len(history.epoch),
        **{name: value for score in scores for name, value in score.results().items()},
        **(notes or {}),
        "seconds": round(seconds, 1),
    }
    report = _report(graph, results, scores, notes or {}, f"Adam at {recipe.rate}, batches of {size}")
    report.update(report_of_run)
    if history.stopped:
        results["stopped"] = report["stopped"] = history.stopped
    # What balanced the losses is of the training, not of the model.
    variables = {name: tree for name, tree in fetched(state.variables).items() if name != COLLECTION}
    return Outcome(graph, variables, report, results, dict(extra or {}))


class _Ended(Callback):
    """Counts the epochs that end in this process."""

    def __init__(self) -> None:
        self.count = 0

    def on_epoch_end(self, run: Run) -> None:
        self.count += 1


def _resumed(directory: str | None, ended: int, epochs: int) -> dict[str, str]:
    """What is told of a run that was there before."""
    if directory is None or ended == epochs:
        return {}
    if ended == 0:
        return {"resumed": f"{directory} had all {epochs} epochs, nothing was trained; --epochs {2 * epochs} goes on"}
    return {"resumed": f"{directory} had {epochs - ended} of these epochs"}


def _by_output(graph: Graph, baselines: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """The baselines in the order of the outputs; one output alone needs no name."""
    if len(graph.output_names) == 1:
        return {"": baselines.get(graph.output_names[0], baselines)}
    return {name: baselines[name] for name in graph.output_names}


def _scores(baselines: Mapping[str, Mapping[str, float]], logs: Mapping[str, float]) -> list[Score]:
    return [
        Score(name, metric, logs[f"{name}_{metric}" if name else metric], baseline)
        for name, metrics in baselines.items()
        for metric, baseline in metrics.items()
    ]


def _report(
    graph: Graph, results: Mapping[str, Any], scores: Sequence[Score], notes: Mapping[str, float], manner: str
) -> dict[str, str]:
    ends = f"{', '.join(graph.input_names)} -> {', '.join(graph.output_names)}"
    return {
        "data": f"{results['data']}: {results['train']:,} training examples, {results['test']:,} test examples",
        "graph": f"{graph.name} ({results['model']}): {ends}",
        "parameters": f"{results['parameters']:,}",
        "epochs": f"{results['epochs']} ({manner})",
        **dict(score.line() for score in scores),
        **{name.replace("_", " "): f"{value:.3f}" for name, value in notes.items()},
        "seconds": f"{results['seconds']}",
    }
