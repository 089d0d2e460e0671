"""The area under a curve of two rates, as Keras sums it over thresholds."""

from __future__ import annotations

import dataclasses
from typing import Self

import jax
import jax.numpy as jnp
from jax import Array

from jaxgraphs.errors import GraphValueError, did_you_mean
from jaxgraphs.training.losses import Loss
from jaxgraphs.training.losses.shapes import EPSILON, divide_or_zero
from jaxgraphs.training.metrics.confusion import Confusion, Counts, check_levels, check_rank
from jaxgraphs.training.metrics.metric import State, zeros

CURVES = ("ROC", "PR", "PRGAIN")
METHODS = ("interpolation", "minoring", "majoring")


@dataclasses.dataclass(frozen=True)
class AUC(Confusion):
    """The area under the ROC curve, or under that of precision over recall.

    Args:
        num_thresholds: how many thresholds divide [0, 1].
        curve: ``ROC``, ``PR`` or ``PRGAIN`` (precision gain over recall gain).
        summation_method: ``interpolation``, or the lower or upper bound by ``minoring`` or ``majoring``.
        thresholds: in place of `num_thresholds`, numbers in [0, 1].
        multi_label: whether each column is a label of its own, whose areas are averaged; needs `num_labels`.
        num_labels: how many columns there are; known of itself in a `Trainer`.
        label_weights: one weight for each column.
        from_logits: whether the predictions precede the sigmoid.
    Raises: GraphValueError for an unknown curve or method, or thresholds out of range.
    Reference: Davis and Goadrich (2006), The relationship between precision-recall and ROC curves, ICML.

    >>> metric = AUC()
    >>> state = metric.state_of(jnp.array([[0.1], [0.4], [0.35], [0.8]]), jnp.array([[0], [0], [1], [1]]))
    >>> float(metric.compute(state))
    0.75
    """

    num_thresholds: int = 200
    curve: str = "ROC"
    summation_method: str = "interpolation"
    thresholds: tuple[float, ...] | None = None
    multi_label: bool = False
    num_labels: int | None = None
    label_weights: tuple[float, ...] | None = None
    from_logits: bool = False
    name: str = dataclasses.field(default="auc", kw_only=True)

    def __post_init__(self) -> None:
        for field in ("thresholds", "label_weights"):
            given = getattr(self, field)
            if given is not None:
                # A list would make the description unhashable.
                object.__setattr__(self, field, tuple(float(value) for value in given))
        for value, known in ((self.curve.upper(), CURVES), (self.summation_method.lower(), METHODS)):
            if value not in known:
                raise GraphValueError(f"{self.name} has no {value!r}.", fix=did_you_mean(value, known))
        check_levels(self.name, sorted(self.thresholds or ()))
        if self.num_thresholds < 2:
            raise GraphValueError(f"{self.name} needs thresholds.", received=f"num_thresholds={self.num_thresholds}")

    def levels(self) -> tuple[float, ...]:
        size = self.num_thresholds
        inner = sorted(self.thresholds) if self.thresholds else [i / (size - 1) for i in range(1, size - 1)]
        # Outside [0, 1], so that the first threshold takes every prediction and the last one none.
        return (-EPSILON, *inner, 1.0 + EPSILON)

    def for_output(self, width: int | None, loss: Loss | None = None) -> Self:
        return dataclasses.replace(self, num_labels=self.num_labels or width) if self.multi_label else self

    def empty(self) -> State:
        if not self.multi_label:
            return super().empty()
        if self.num_labels is None:
            raise GraphValueError(f"{self.name} needs to know how many labels there are.", fix="AUC(num_labels=...)")
        shape = (len(self.levels()) + 1, self.num_labels)
        return {"positive": zeros(*shape), "negative": zeros(*shape)}

    def prepared(self, predictions: Array, targets: Array, weights: Array) -> tuple[Array, ...]:
        if self.multi_label:
            check_rank(self.name, predictions, 2)
        if self.label_weights is not None and not self.multi_label:
            weights = weights * jnp.broadcast_to(jnp.asarray(self.label_weights, weights.dtype), weights.shape)
        return jax.nn.sigmoid(predictions) if self.from_logits else predictions, targets, weights

    def histogram(self, weights: Array, bins: Array) -> Array:
        by_column = super().histogram
        return (
            jax.vmap(by_column, in_axes=1, out_axes=1)(weights, bins) if self.multi_label else by_column(weights, bins)
        )

    def compute(self, state: State) -> Array:
        counts = self.counts(state)
        interpolates_precision = self.curve.upper() == "PR" and self.summation_method.lower() == "interpolation"
        areas = _interpolated_precision(counts) if interpolates_precision else self._rectangles(counts)
        by_label = jnp.sum(areas, axis=0)
        if not self.multi_label:
            return by_label
        weights = jnp.asarray(self.label_weights or (1.0,) * len(by_label), by_label.dtype)
        return divide_or_zero(jnp.sum(by_label * weights), jnp.sum(weights))

    def _rectangles(self, counts: Counts) -> Array:
        x, y = _axes(counts, self.curve.upper())
        heights = {
            "interpolation": lambda: (y[:-1] + y[1:]) / 2.0,
            "minoring": lambda: jnp.minimum(y[:-1], y[1:]),
            "majoring": lambda: jnp.maximum(y[:-1], y[1:]),
        }[self.summation_method.lower()]()
        return (x[:-1] - x[1:]) * heights


def _axes(counts: Counts, curve: str) -> tuple[Array, Array]:
    """The curve's points, from the lowest threshold on."""
    if curve == "ROC":
        return divide_or_zero(counts.false_positives, counts.false_positives + counts.true_negatives), counts.recall
    if curve == "PR":
        return counts.recall, counts.precision
    true_positives, false_positives, true_negatives, false_negatives = counts
    scale = divide_or_zero(true_positives + false_negatives, true_negatives + false_positives)
    recall_gain = 1.0 - scale * divide_or_zero(false_negatives, true_positives)
    precision_gain = 1.0 - scale * divide_or_zero(false_positives, true_positives)
    nothing_found = true_positives == 0
    return jnp.where(nothing_found, 0.0, jnp.maximum(recall_gain, 0.0)), jnp.where(nothing_found, 1.0, precision_gain)


def _interpolated_precision(counts: Counts) -> Array:
    """Areas under precision over recall, where true positives grow linearly between two thresholds."""
    found, claimed = counts.true_positives, counts.true_positives + counts.false_positives
    gained = found[:-1] - found[1:]
    slope = divide_or_zero(gained, jnp.maximum(claimed[:-1] - claimed[1:], 0.0))
    intercept = found[1:] - slope * claimed[1:]
    both = (claimed[:-1] > 0) & (claimed[1:] > 0)
    ratio = jnp.where(both, divide_or_zero(claimed[:-1], claimed[1:]), 1.0)
    positives = jnp.maximum(found[1:] + counts.false_negatives[1:], 0.0)
    return divide_or_zero(slope * (gained + intercept * jnp.log(ratio)), positives)
