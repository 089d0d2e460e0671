"""Metrics that sum each column of the output by itself: F scores and the coefficient of determination."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal, Self

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxgraphs.errors import GraphValueError
from jaxgraphs.training.losses import Loss
from jaxgraphs.training.losses.shapes import EPSILON, divide_or_zero, paired, spread
from jaxgraphs.training.metrics.metric import Metric, State, zeros

AVERAGES = (None, "micro", "macro", "weighted")


@dataclasses.dataclass(frozen=True)
class ByColumn(Metric):
    """What the metrics of this file share: how many columns there are, and the sums over each.

    Args:
        columns: the number of the output's features; known of itself in a `Trainer`.
    """

    _: dataclasses.KW_ONLY
    columns: int | None = None

    sums: ClassVar[tuple[str, ...]]

    def each(self, predictions: Array, targets: Array) -> dict[str, Array]:
        """What is summed, of the shape of `predictions`: one array for each of `sums`."""
        raise NotImplementedError

    def for_output(self, width: int | None, loss: Loss | None = None) -> Self:
        return dataclasses.replace(self, columns=self.columns or width)

    def empty(self) -> State:
        if self.columns is None:
            raise GraphValueError(f"{self.name} needs to know how many columns there are.", fix="give columns=...")
        return {name: zeros(self.columns) for name in self.sums}

    def state_of(self, predictions: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> State:
        predictions, targets = paired(self.name, predictions, targets)
        counts = (
            jnp.ones_like(predictions) if weights is None else spread(weights, predictions.shape, predictions.dtype)
        )
        leading = tuple(range(predictions.ndim - 1))
        each = self.each(predictions, targets)
        dtype = zeros().dtype
        return {
            name: jnp.sum(jnp.where(counts == 0, 0, values * counts).astype(dtype), axis=leading)
            for name, values in each.items()
        }


@dataclasses.dataclass(frozen=True)
class FBetaScore(ByColumn):
    """(1 + beta²) precision recall / (beta² precision + recall), for each class or averaged.

    Args:
        average: None for one score a class; ``micro`` counts all classes as one, ``macro`` averages the scores,
            ``weighted`` by the number of each class's examples.
        beta: how much more recall counts than precision; positive.
        threshold: over which a prediction is positive; where None, only the largest of each example is.
    Raises: GraphValueError for an unknown average, or a beta that is not positive.
    """

    average: Literal["micro", "macro", "weighted"] | None = None
    beta: float = 1.0
    threshold: float | None = None
    name: str = dataclasses.field(default="fbeta_score", kw_only=True)
    sums: ClassVar = ("true_positives", "false_positives", "false_negatives")

    def __post_init__(self) -> None:
        if self.average not in AVERAGES:
            raise GraphValueError(
                f"{self.name} has no average {self.average!r}.", expected=", ".join(map(repr, AVERAGES))
            )
        if not self.beta > 0:
            raise GraphValueError(f"{self.name} cannot use beta={self.beta}.", expected="a number above 0")

    def each(self, predictions: Array, targets: Array) -> dict[str, Array]:
        if self.threshold is None:
            # Nothing but zeros chooses no class.
            chosen = (predictions >= jnp.max(predictions, axis=-1, keepdims=True)) & (jnp.abs(predictions) > 1e-9)
        else:
            chosen = predictions > self.threshold
        positive = chosen.astype(targets.dtype)
        values = (positive * targets, positive * (1.0 - targets), (1.0 - positive) * targets)
        return dict(zip(self.sums, values, strict=True))

    def compute(self, state: State) -> Array:
        found, claimed, missed = (state[name] for name in self.sums)
        if self.average == "micro":
            found, claimed, missed = jnp.sum(found), jnp.sum(claimed), jnp.sum(missed)
        precision, recall = found / (found + claimed + EPSILON), found / (found + missed + EPSILON)
        square = self.beta**2
        scores = (1.0 + square) * precision * recall / (square * precision + recall + EPSILON)
        if self.average == "weighted":
            examples = found + missed
            return jnp.sum(scores * examples / (jnp.sum(examples) + EPSILON))
        return scores if self.average is None else jnp.mean(scores)


@dataclasses.dataclass(frozen=True)
class F1Score(FBetaScore):
    """The harmonic mean of precision and recall: `FBetaScore` with a beta of 1.

    >>> metric = F1Score(average="macro", columns=2)
    >>> state = metric.state_of(jnp.array([[0.9, 0.1], [0.2, 0.8]]), jnp.array([[1, 0], [0, 1]]))
    >>> round(float(metric.compute(state)), 4)
    1.0
    """

    name: str = dataclasses.field(default="f1_score", kw_only=True)


@dataclasses.dataclass(frozen=True)
class R2Score(ByColumn):
    """The coefficient of determination: 1 - (sum of squared errors) / (sum of squared deviations from the mean).

    Args:
        class_aggregation: ``uniform_average`` over the columns, ``variance_weighted_average``, or None for each.
    Raises: GraphValueError for an unknown aggregation.

    >>> metric = R2Score(columns=1)
    >>> float(metric.compute(metric.state_of(jnp.array([[1.0], [3.0]]), jnp.array([[1.0], [3.0]]))))
    1.0
    """

    class_aggregation: Literal["uniform_average", "variance_weighted_average"] | None = "uniform_average"
    name: str = dataclasses.field(default="r2_score", kw_only=True)
    sums: ClassVar = ("count", "total", "squares", "residuals")

    def __post_init__(self) -> None:
        known = (None, "uniform_average", "variance_weighted_average")
        if self.class_aggregation not in known:
            raise GraphValueError(
                f"{self.name} has no class_aggregation {self.class_aggregation!r}.",
                expected=", ".join(map(repr, known)),
            )

    def each(self, predictions: Array, targets: Array) -> dict[str, Array]:
        values = (jnp.ones_like(targets), targets, jnp.square(targets), jnp.square(targets - predictions))
        return dict(zip(self.sums, values, strict=True))

    def compute(self, state: State) -> Array:
        count, total, squares, residuals = (state[name] for name in self.sums)
        variation = squares - total * divide_or_zero(total, count)
        scores = jnp.where(variation == 0, 0.0, 1.0 - divide_or_zero(residuals, variation))
        if self.class_aggregation == "variance_weighted_average":
            return divide_or_zero(jnp.sum(variation * scores), jnp.sum(variation))
        return scores if self.class_aggregation is None else jnp.mean(scores)
