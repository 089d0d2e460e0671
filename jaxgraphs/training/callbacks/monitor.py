"""What a callback watches: one number of the logs, and which way is better, as Keras decides it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxgraphs.errors import GraphError, GraphValueError, did_you_mean
from jaxgraphs.training import metrics
from jaxgraphs.training.callbacks.base import Run
from jaxgraphs.training.callbacks.memory import Remembering
from jaxgraphs.training.losses import FunctionLoss
from jaxgraphs.training.metrics.named import CLASSES

HIGHER_IS_BETTER = (
    metrics.Accuracy, metrics.BinaryAccuracy, metrics.CategoricalAccuracy, metrics.SparseCategoricalAccuracy,
    metrics.TopKCategoricalAccuracy, metrics.SparseTopKCategoricalAccuracy, metrics.ShapeAccuracy, metrics.AUC,
    metrics.Precision, metrics.Recall, metrics.SensitivityAtSpecificity, metrics.SpecificityAtSensitivity,
    metrics.PrecisionAtRecall, metrics.RecallAtPrecision, metrics.FBetaScore, metrics.R2Score,
    metrics.CosineSimilarity,
)  # fmt: skip
UNDECIDED = (metrics.TruePositives, metrics.FalsePositives, metrics.TrueNegatives, metrics.FalseNegatives)


class Monitor(Remembering):
    """A callback that watches whether a number gets better.

    Args:
        monitor: its name in the logs, such as ``"val_loss"``.
        mode: ``"min"``, ``"max"``, or ``"auto"``: by what the number is.
        min_delta: the smallest change that counts as better.
    """

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise GraphValueError(
                f"{type(self).__name__} does not know this mode.",
                received=repr(mode),
                expected="'auto', 'min' or 'max'",
            )
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(min_delta)
        super().__init__()

    def value(self, run: Run) -> float | None:
        """The number now; None in an epoch without validation.

        Raises: GraphValueError when no epoch has a number of that name.
        """
        if self.monitor in run.logs:
            return _scalar(run.logs[self.monitor], self.monitor)
        if run.batch is None and run.validation is not None and self.monitor.removeprefix("val_") in run.logs:
            return None
        raise _absent(self, run)

    def is_better(self, run: Run, value: float, reference: float | None) -> bool:
        """Whether `value` is better than `reference`, by more than `min_delta`."""
        if reference is None:
            return True
        is_higher_better = self.direction(run) == "max"
        delta = self.min_delta if is_higher_better else -self.min_delta
        # Compared in float32 as in Keras: logs have no more digits, and two that are equal there are a tie.
        with np.errstate(over="ignore", invalid="ignore"):
            new, old = np.float32(value - delta), np.float32(reference)
        return bool(new > old if is_higher_better else new < old)

    def direction(self, run: Run) -> str:
        """``"min"`` or ``"max"``.

        Raises: GraphValueError when it does not follow from the name.
        """
        objective = None if run.trainer is None else run.trainer.objective
        found = direction_in(objective, self.monitor) if self.mode == "auto" else self.mode
        if found is None:
            raise GraphValueError(
                f"{type(self).__name__} cannot tell whether '{self.monitor}' should rise or fall.",
                received="mode='auto'",
                fix="mode='max' or mode='min'",
            )
        return found


def direction_of(metric: Any) -> str | None:
    """Which way a metric gets better: ``"min"``, ``"max"``, or None where that depends on what is wanted.

    >>> direction_of(metrics.AUC()), direction_of(metrics.MeanSquaredError())
    ('max', 'min')
    """
    if isinstance(metric, HIGHER_IS_BETTER):
        return "max"
    if isinstance(metric, metrics.LossMean):
        return None if isinstance(metric.loss, FunctionLoss) else "min"
    return "min" if isinstance(metric, CLASSES) and not isinstance(metric, UNDECIDED) else None


def direction_in(objective: Any, name: str) -> str | None:
    """Which way a number of the logs gets better: a loss falls, a metric as `direction_of` says.

    Args:
        objective: whose logs these are; where None, only losses are known.
        name: in the logs, of training or of validation.
    """
    name = name.removeprefix("val_")
    if name == "loss" or name.endswith("_loss"):
        return "min"
    bound = [] if objective is None else objective.each_metric()
    return next((direction_of(metric) for _, each, metric, _ in bound if each == name), None)


def _scalar(value: Any, name: str) -> float:
    if np.ndim(value):
        raise GraphValueError(
            f"'{name}' is several numbers, and one is needed to say what is better.",
            received=f"shape {np.shape(value)}",
        )
    return float(value)


def _otherwise(name: str, names: Sequence[str]) -> str:
    """What to type where there is no validation data: for a name that may be misspelt besides."""
    near = name if name in names else next(iter(difflib.get_close_matches(name, names, n=1)), "loss")
    split = "fit(..., validation_split=0.2)"
    return f"{split}, or monitor='{near}'" if near == name else f"{split} and monitor='val_{near}', or monitor='{near}'"


def _absent(callback: Monitor, run: Run) -> GraphError:
    name, names = callback.monitor, list(run.logs)
    what = f"{type(callback).__name__} watches '{name}', which is not among the logs."
    if run.batch is not None and name.startswith("val_"):
        return GraphValueError(
            what,
            expected="a number of the training batches",
            fix="save_freq='epoch': validation comes at an epoch's end",
        )
    if name.startswith("val_") and run.validation is None:
        return GraphValueError(
            what,
            received="fit without validation data",
            expected=", ".join(names),
            fix=_otherwise(name.removeprefix("val_"), names),
        )
    return GraphValueError(what, expected=did_you_mean(name, names))
