"""A metric as data: sums over examples that begin at zero, add up in any order, and give one number at the end."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxgraphs.training.losses import FunctionLoss, Loss
from jaxgraphs.training.losses.shapes import divide_or_zero, spread

State = dict[str, Array]  # sums only, so that states of several devices or batches merge by addition


@dataclasses.dataclass(frozen=True)
class Metric:
    """A number over all the examples of an epoch, exact however they are cut into batches.

    Args:
        name: in the logs.
    """

    _: dataclasses.KW_ONLY
    name: str = "metric"

    def empty(self) -> State:
        """The sums over no examples."""
        raise NotImplementedError

    def state_of(self, predictions: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> State:
        """The sums over one batch.

        Args:
            predictions, targets: (batch, ...).
            weights: (batch, ...) how often each example, or each position, counts; 0 for padding.
        Raises: ShapeMismatchError where the shapes do not go together.
        """
        raise NotImplementedError

    def merge(self, first: State, second: State) -> State:
        """The sums over the examples of both."""
        return jax.tree.map(jnp.add, first, second)

    def update(
        self, state: State, predictions: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None
    ) -> State:
        """`state` with one more batch: `state_of`, merged."""
        return self.merge(state, self.state_of(predictions, targets, weights))

    def compute(self, state: State) -> Array:
        """The number; 0 where no example has counted."""
        raise NotImplementedError

    def for_output(self, width: int | None, loss: Loss | None = None) -> Self:
        """This metric for an output with `width` features, trained by `loss`; most need to know neither."""
        return self


@dataclasses.dataclass(frozen=True)
class MeanMetric(Metric):
    """The weighted mean of one value per example; values of several positions are averaged over them first."""

    # Whether each position counts as one example, and not each row of positions.
    by_position: ClassVar[bool] = False

    def values(self, predictions: ArrayLike, targets: ArrayLike) -> Array:
        """One value per example, or per position: (batch, ...)."""
        raise NotImplementedError

    def counted(self, targets: ArrayLike) -> Array | None:
        """Which positions the metric itself counts, as booleans; None for all."""
        return None

    def empty(self) -> State:
        return {"total": zeros(), "count": zeros()}

    def state_of(self, predictions: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> State:
        values = self.values(predictions, targets).astype(zeros().dtype)
        if values.ndim == 0:  # a function of the user's that reduced already: the same for every example
            values = jnp.broadcast_to(values, jnp.shape(predictions)[:1])
        counts = jnp.ones_like(values) if weights is None else spread(weights, values.shape, values.dtype)
        counted = self.counted(targets)
        counts = counts if counted is None else counts * counted.reshape(counts.shape).astype(counts.dtype)
        positions = 1 if self.by_position else math.prod(values.shape[1:])
        # What does not count may be infinite or not a number.
        total = jnp.sum(jnp.where(counts == 0, 0, values * counts))
        return {"total": total / positions, "count": jnp.sum(counts) / positions}

    def compute(self, state: State) -> Array:
        return divide_or_zero(state["total"], state["count"])


@dataclasses.dataclass(frozen=True)
class NamedMean(MeanMetric):
    """A mean whose fields, other than the name, are the options of `function(predictions, targets, ...)`."""

    function: ClassVar[Callable[..., Array]]

    def values(self, predictions: ArrayLike, targets: ArrayLike) -> Array:
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "name"}
        return type(self).function(predictions, targets, **given)


@dataclasses.dataclass(frozen=True)
class LossMean(MeanMetric):
    """The mean of a loss, or of a function ``(y_true, y_pred) -> values`` in Keras' order.

    >>> metric = mean_of(lambda y_true, y_pred: abs(y_true - y_pred))
    >>> float(metric.compute(metric.state_of(jnp.array([[1.0], [4.0]]), jnp.array([[0], [0]]))))
    2.5
    """

    loss: Loss = dataclasses.field(kw_only=False)

    def values(self, predictions: ArrayLike, targets: ArrayLike) -> Array:
        return self.loss.values(predictions, targets)

    def counted(self, targets: ArrayLike) -> Array | None:
        return self.loss.counted(targets)


def mean_of(thing: Loss | Callable[[Any, Any], Any]) -> LossMean:
    """The mean of a loss or function, named as Keras names it."""
    given = getattr(thing, "name", None) or getattr(thing, "__name__", type(thing).__name__)
    loss = thing if isinstance(thing, Loss) else FunctionLoss(thing, name=str(given))
    return LossMean(loss, name=given if isinstance(thing, Loss) else snake_case(str(given)))


def snake_case(name: str) -> str:
    """`name` as Keras writes it in logs.

    >>> snake_case("MeanOfThings"), snake_case("<lambda>")
    ('mean_of_things', 'lambda')
    """
    word = re.sub(r"\W+", "", name)
    word = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", word)
    return re.sub("([a-z])([A-Z])", r"\1_\2", word).lower()


def zeros(*shape: int) -> Array:
    """Zeros of the widest float there is: float32, or float64 where JAX has it enabled."""
    return jnp.zeros(shape)
