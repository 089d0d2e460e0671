"""Metrics that are means over examples: errors, losses and cross-entropies."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Self

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxgraphs.training import losses
from jaxgraphs.training.losses import Loss
from jaxgraphs.training.losses.shapes import paired, promoted
from jaxgraphs.training.metrics.metric import MeanMetric, NamedMean, State


@dataclasses.dataclass(frozen=True)
class MeanSquaredError(NamedMean):
    """Mean of the squared error."""

    name: str = dataclasses.field(default="mean_squared_error", kw_only=True)
    function: ClassVar = staticmethod(losses.mean_squared_error)


@dataclasses.dataclass(frozen=True)
class MeanAbsoluteError(NamedMean):
    """Mean of the absolute error."""

    name: str = dataclasses.field(default="mean_absolute_error", kw_only=True)
    function: ClassVar = staticmethod(losses.mean_absolute_error)


@dataclasses.dataclass(frozen=True)
class MeanAbsolutePercentageError(NamedMean):
    """Mean of the absolute error in per cent of the target."""

    name: str = dataclasses.field(default="mean_absolute_percentage_error", kw_only=True)
    function: ClassVar = staticmethod(losses.mean_absolute_percentage_error)


@dataclasses.dataclass(frozen=True)
class MeanSquaredLogarithmicError(NamedMean):
    """Mean of the squared error of log(1 + value)."""

    name: str = dataclasses.field(default="mean_squared_logarithmic_error", kw_only=True)
    function: ClassVar = staticmethod(losses.mean_squared_logarithmic_error)


@dataclasses.dataclass(frozen=True)
class LogCoshError(NamedMean):
    """Mean of log(cosh(error))."""

    name: str = dataclasses.field(default="logcosh", kw_only=True)
    function: ClassVar = staticmethod(losses.log_cosh)


@dataclasses.dataclass(frozen=True)
class Hinge(NamedMean):
    """Mean of the hinge loss."""

    name: str = dataclasses.field(default="hinge", kw_only=True)
    function: ClassVar = staticmethod(losses.hinge)


@dataclasses.dataclass(frozen=True)
class SquaredHinge(NamedMean):
    """Mean of the squared hinge loss."""

    name: str = dataclasses.field(default="squared_hinge", kw_only=True)
    function: ClassVar = staticmethod(losses.squared_hinge)


@dataclasses.dataclass(frozen=True)
class CategoricalHinge(NamedMean):
    """Mean of the categorical hinge loss."""

    name: str = dataclasses.field(default="categorical_hinge", kw_only=True)
    function: ClassVar = staticmethod(losses.categorical_hinge)


@dataclasses.dataclass(frozen=True)
class KLDivergence(NamedMean):
    """Mean of the Kullback-Leibler divergence, in nats."""

    name: str = dataclasses.field(default="kl_divergence", kw_only=True)
    function: ClassVar = staticmethod(losses.kl_divergence)


@dataclasses.dataclass(frozen=True)
class Poisson(NamedMean):
    """Mean of the Poisson loss."""

    name: str = dataclasses.field(default="poisson", kw_only=True)
    function: ClassVar = staticmethod(losses.poisson)


@dataclasses.dataclass(frozen=True)
class BinaryCrossentropy(NamedMean):
    """Mean of the binary cross-entropy, in nats."""

    from_logits: bool = False
    label_smoothing: float = 0.0
    name: str = dataclasses.field(default="binary_crossentropy", kw_only=True)
    function: ClassVar = staticmethod(losses.binary_crossentropy)


@dataclasses.dataclass(frozen=True)
class CategoricalCrossentropy(NamedMean):
    """Mean of the cross-entropy of one-hot targets, in nats."""

    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1
    name: str = dataclasses.field(default="categorical_crossentropy", kw_only=True)
    function: ClassVar = staticmethod(losses.categorical_crossentropy)


@dataclasses.dataclass(frozen=True)
class SparseCategoricalCrossentropy(NamedMean):
    """Mean of the cross-entropy of integer classes, in nats, over targets that are not `ignore_class`."""

    from_logits: bool = False
    ignore_class: int | None = None
    axis: int = -1
    name: str = dataclasses.field(default="sparse_categorical_crossentropy", kw_only=True)
    function: ClassVar = staticmethod(losses.sparse_categorical_crossentropy)

    def counted(self, targets: ArrayLike) -> Array | None:
        return None if self.ignore_class is None else jnp.asarray(targets) != self.ignore_class


@dataclasses.dataclass(frozen=True)
class CosineSimilarity(MeanMetric):
    """Mean of the cosine of the angle between prediction and target: 1 is the best.

    >>> metric = CosineSimilarity()
    >>> float(metric.compute(metric.state_of(jnp.array([[0.0, 2.0]]), jnp.array([[0.0, 1.0]]))))
    1.0
    """

    axis: int = -1
    name: str = dataclasses.field(default="cosine_similarity", kw_only=True)

    def values(self, predictions: ArrayLike, targets: ArrayLike) -> Array:
        return -losses.cosine_similarity(predictions, targets, axis=self.axis)


@dataclasses.dataclass(frozen=True)
class RootMeanSquaredError(MeanMetric):
    """Root of the mean of the squared error over all examples.

    >>> metric = RootMeanSquaredError()
    >>> float(metric.compute(metric.state_of(jnp.array([[3.0], [3.0]]), jnp.array([[0.0], [6.0]]))))
    3.0
    """

    name: str = dataclasses.field(default="root_mean_squared_error", kw_only=True)

    def values(self, predictions: ArrayLike, targets: ArrayLike) -> Array:
        predictions, targets = paired(self.name, predictions, targets)
        return jnp.square(predictions - targets)

    def compute(self, state: State) -> Array:
        return jnp.sqrt(super().compute(state))


@dataclasses.dataclass(frozen=True)
class Perplexity(MeanMetric):
    """exp of the mean cross-entropy over all positions: among how many equally likely classes the model hesitates.

    Args:
        from_logits: whether the predictions precede the softmax; follows the output's loss.

    Targets are integer classes or one-hot, as their shape says.

    >>> metric = Perplexity()
    >>> round(float(metric.compute(metric.state_of(jnp.full((1, 4), 0.25), jnp.array([2])))), 4)
    4.0
    """

    from_logits: bool = False
    name: str = dataclasses.field(default="perplexity", kw_only=True)
    by_position: ClassVar = True

    def values(self, predictions: ArrayLike, targets: ArrayLike) -> Array:
        predictions = promoted(predictions)
        is_sparse = losses.classification_kind(predictions.shape, jnp.shape(targets)) == "sparse"
        nats = losses.sparse_categorical_crossentropy if is_sparse else losses.categorical_crossentropy
        return nats(predictions, targets, from_logits=self.from_logits)

    def compute(self, state: State) -> Array:
        return jnp.exp(super().compute(state))

    def for_output(self, width: int | None, loss: Loss | None = None) -> Self:
        return dataclasses.replace(self, from_logits=self.from_logits or bool(getattr(loss, "from_logits", False)))
