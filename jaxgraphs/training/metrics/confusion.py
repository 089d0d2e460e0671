"""Metrics of a yes-or-no decision at one or many thresholds, all from one histogram of the predictions.

The state counts, for each class, the examples whose prediction lies between two neighbouring thresholds. It is a sum,
and true and false positives at every threshold follow from it at the end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxgraphs.errors import GraphValueError, ShapeMismatchError
from jaxgraphs.training.losses.shapes import divide_or_zero, paired, spread, words
from jaxgraphs.training.metrics.metric import Metric, State, zeros

OUTSIDE_TOP_K = -1e10  # Keras' score for what is not among the k largest


class Counts(NamedTuple):
    """Weighted numbers of examples at each threshold: (thresholds,), or (thresholds, labels)."""

    true_positives: Array
    false_positives: Array
    true_negatives: Array
    false_negatives: Array

    @property
    def precision(self) -> Array:
        return divide_or_zero(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> Array:
        return divide_or_zero(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def sensitivity(self) -> Array:
        return self.recall

    @property
    def specificity(self) -> Array:
        return divide_or_zero(self.true_negatives, self.true_negatives + self.false_positives)


@dataclasses.dataclass(frozen=True)
class Confusion(Metric):
    """What the metrics of this file share: `levels`, the thresholds, and the histogram between them."""

    def levels(self) -> tuple[float, ...]:
        """The thresholds, rising; a prediction is positive where it is above."""
        raise NotImplementedError

    def prepared(self, predictions: Array, targets: Array, weights: Array) -> tuple[Array, ...]:
        """The three arrays as they are counted, of one shape."""
        return predictions, targets, weights

    def empty(self) -> State:
        size = len(self.levels()) + 1
        return {"positive": zeros(size), "negative": zeros(size)}

    def state_of(self, predictions: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> State:
        dtype = zeros().dtype
        scores, truths = paired(self.name, predictions, targets)
        weighed = jnp.ones(scores.shape, dtype) if weights is None else spread(weights, scores.shape, dtype)
        scores, truths, weighed = self.prepared(scores, truths, weighed)
        bins, is_positive = bins_of(scores, self.levels()), truths != 0
        parts = {"positive": is_positive, "negative": ~is_positive}
        return {name: self.histogram(jnp.where(part, weighed, 0), bins) for name, part in parts.items()}

    def histogram(self, weights: Array, bins: Array) -> Array:
        """The sum of `weights` in each of the bins below, between and above the thresholds."""
        return jax.ops.segment_sum(weights.reshape(-1), bins.reshape(-1), num_segments=len(self.levels()) + 1)

    def counts(self, state: State) -> Counts:
        """Positives and negatives, true and false, at each threshold."""
        above = {name: jnp.flip(jnp.cumsum(jnp.flip(part, 0), axis=0), 0) for name, part in state.items()}
        positives, negatives = (above[name] for name in ("positive", "negative"))
        return Counts(positives[1:], negatives[1:], negatives[:1] - negatives[1:], positives[:1] - positives[1:])


def bins_of(scores: Array, levels: Sequence[float]) -> Array:
    """How many of `levels` each score is above."""
    if not is_even(levels):
        return jnp.searchsorted(jnp.asarray(levels, scores.dtype), scores, side="left")
    # Keras finds the bin by rounding where the thresholds divide [0, 1] evenly, which decides scores on a threshold.
    bins = jnp.ceil(jnp.clip(scores, 0.0, 1.0) * (len(levels) - 1)).astype(jnp.int32)
    return jnp.maximum(bins, 1) if levels[0] < 0 else bins


def is_even(levels: Sequence[float]) -> bool:
    """Whether three or more thresholds divide [0, 1] evenly, as nearly as Keras asks."""
    return len(levels) > 2 and np.allclose(levels, np.linspace(0.0, 1.0, len(levels)), atol=1e-7)


@dataclasses.dataclass(frozen=True)
class ThresholdMetric(Confusion):
    """A ratio or count at one threshold, or at each of several.

    Args:
        thresholds: one number in [0, 1], or several, rising; 0.5 where left out.
    """

    thresholds: float | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        given = self.thresholds
        if given is not None and not isinstance(given, int | float):
            # A list would make the description unhashable.
            object.__setattr__(self, "thresholds", tuple(float(level) for level in given))
        check_levels(self.name, () if given is None else self.levels())

    def default(self) -> float:
        return 0.5

    def levels(self) -> tuple[float, ...]:
        if self.thresholds is None:
            return (self.default(),)
        return self.thresholds if isinstance(self.thresholds, tuple) else (float(self.thresholds),)

    def ratio(self, counts: Counts) -> Array:
        """The number at each threshold."""
        raise NotImplementedError

    def compute(self, state: State) -> Array:
        values = self.ratio(self.counts(state))
        return values[0] if len(self.levels()) == 1 else values


@dataclasses.dataclass(frozen=True)
class TruePositives(ThresholdMetric):
    """How many positive examples are predicted so."""

    name: str = dataclasses.field(default="true_positives", kw_only=True)

    def ratio(self, counts: Counts) -> Array:
        return counts.true_positives


@dataclasses.dataclass(frozen=True)
class FalsePositives(ThresholdMetric):
    """How many negative examples are predicted positive."""

    name: str = dataclasses.field(default="false_positives", kw_only=True)

    def ratio(self, counts: Counts) -> Array:
        return counts.false_positives


@dataclasses.dataclass(frozen=True)
class TrueNegatives(ThresholdMetric):
    """How many negative examples are predicted so."""

    name: str = dataclasses.field(default="true_negatives", kw_only=True)

    def ratio(self, counts: Counts) -> Array:
        return counts.true_negatives


@dataclasses.dataclass(frozen=True)
class FalseNegatives(ThresholdMetric):
    """How many positive examples are predicted negative."""

    name: str = dataclasses.field(default="false_negatives", kw_only=True)

    def ratio(self, counts: Counts) -> Array:
        return counts.false_negatives


@dataclasses.dataclass(frozen=True)
class Retrieval(ThresholdMetric):
    """What precision and recall share.

    Args:
        thresholds: one number in [0, 1], or several, rising; 0.5, or none with `top_k`, where left out.
        top_k: counts only the k largest predictions of each example as positive.
        class_id: counts this class only.
    """

    top_k: int | None = None
    class_id: int | None = None

    def default(self) -> float:
        return 0.5 if self.top_k is None else OUTSIDE_TOP_K

    def prepared(self, predictions: Array, targets: Array, weights: Array) -> tuple[Array, ...]:
        if self.top_k is not None:
            least = jax.lax.top_k(predictions, self.top_k)[1]
            is_top = jnp.any(jax.nn.one_hot(least, predictions.shape[-1], dtype=bool), axis=-2)
            predictions = jnp.where(is_top, predictions, OUTSIDE_TOP_K)
        return of_class(self.class_id, predictions, targets, weights)


@dataclasses.dataclass(frozen=True)
class Precision(Retrieval):
    """The share of predicted positives that are positive.

    >>> metric = Precision()
    >>> float(metric.compute(metric.state_of(jnp.array([[0.9], [0.8], [0.2]]), jnp.array([[1], [0], [1]]))))
    0.5
    """

    name: str = dataclasses.field(default="precision", kw_only=True)

    def ratio(self, counts: Counts) -> Array:
        return counts.precision


@dataclasses.dataclass(frozen=True)
class Recall(Retrieval):
    """The share of positives that are predicted so.

    >>> metric = Recall()
    >>> float(metric.compute(metric.state_of(jnp.array([[0.9], [0.8], [0.2]]), jnp.array([[1], [0], [1]]))))
    0.5
    """

    name: str = dataclasses.field(default="recall", kw_only=True)

    def ratio(self, counts: Counts) -> Array:
        return counts.recall


@dataclasses.dataclass(frozen=True)
class Constrained(Confusion):
    """The best of one rate among the thresholds at which another rate reaches a limit.

    Args:
        num_thresholds: how many thresholds divide [0, 1]; one is 0.5.
        class_id: counts this class only.
    """

    num_thresholds: int = 200
    class_id: int | None = None

    limited: ClassVar[str]  # the rate with a limit, which is the field of that name
    reported: ClassVar[str]

    def __post_init__(self) -> None:
        check_levels(self.name, (getattr(self, self.limited),))

    def levels(self) -> tuple[float, ...]:
        return (0.5,) if self.num_thresholds == 1 else tuple(np.linspace(0.0, 1.0, self.num_thresholds).tolist())

    def prepared(self, predictions: Array, targets: Array, weights: Array) -> tuple[Array, ...]:
        return of_class(self.class_id, predictions, targets, weights)

    def compute(self, state: State) -> Array:
        counts = self.counts(state)
        reaches = getattr(counts, self.limited) >= getattr(self, self.limited)
        return jnp.max(jnp.where(reaches, getattr(counts, self.reported), 0.0))


@dataclasses.dataclass(frozen=True)
class SensitivityAtSpecificity(Constrained):
    """The best sensitivity, which is recall, at a specificity of at least `specificity`."""

    specificity: float = dataclasses.field(kw_only=True)
    name: str = dataclasses.field(default="sensitivity_at_specificity", kw_only=True)
    limited: ClassVar = "specificity"
    reported: ClassVar = "sensitivity"


@dataclasses.dataclass(frozen=True)
class SpecificityAtSensitivity(Constrained):
    """The best specificity at a sensitivity of at least `sensitivity`."""

    sensitivity: float = dataclasses.field(kw_only=True)
    name: str = dataclasses.field(default="specificity_at_sensitivity", kw_only=True)
    limited: ClassVar = "sensitivity"
    reported: ClassVar = "specificity"


@dataclasses.dataclass(frozen=True)
class PrecisionAtRecall(Constrained):
    """The best precision at a recall of at least `recall`."""

    recall: float = dataclasses.field(kw_only=True)
    name: str = dataclasses.field(default="precision_at_recall", kw_only=True)
    limited: ClassVar = "recall"
    reported: ClassVar = "precision"


@dataclasses.dataclass(frozen=True)
class RecallAtPrecision(Constrained):
    """The best recall at a precision of at least `precision`."""

    precision: float = dataclasses.field(kw_only=True)
    name: str = dataclasses.field(default="recall_at_precision", kw_only=True)
    limited: ClassVar = "precision"
    reported: ClassVar = "recall"


def of_class(class_id: int | None, *arrays: Array) -> tuple[Array, ...]:
    """One class of arrays whose last axis is the classes; all of it where `class_id` is None."""
    return arrays if class_id is None else tuple(array[..., class_id] for array in arrays)


def check_levels(owner: str, levels: Sequence[float]) -> None:
    """Raises: GraphValueError where `levels` are not in [0, 1], or fall."""
    inside = all(0.0 <= level <= 1.0 for level in levels)
    if not inside or list(levels) != sorted(levels):
        received = ", ".join(str(level) for level in levels)
        raise GraphValueError(f"{owner} cannot use these thresholds.", received=received, expected="0 to 1, rising")


def check_rank(owner: str, predictions: Array, rank: int) -> None:
    """Raises: ShapeMismatchError where `predictions` do not have `rank` axes."""
    if predictions.ndim != rank:
        raise ShapeMismatchError(f"{owner} needs {rank} axes.", received=f"predictions {words(predictions)}")
