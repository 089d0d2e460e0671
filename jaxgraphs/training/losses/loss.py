"""A loss as data: which function, with which options, reduced how."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxgraphs.errors import GraphTypeError
from jaxgraphs.training.losses.reduction import MEANS, check_reduction, reduce
from jaxgraphs.training.losses.shapes import promoted, same_rank

Activation = Literal["softmax", "sigmoid"]


@dataclasses.dataclass(frozen=True)
class Loss:
    """The loss of one output: a pure function of predictions and targets, its options, and a reduction.

    Args:
        reduction: as in Keras: ``sum_over_batch_size`` (the mean), ``mean``, ``mean_with_sample_weight``, ``sum`` or
            ``none``.
        name: the loss in messages.
    Raises: GraphValueError for an unknown reduction, or an option out of its range.
    """

    _: dataclasses.KW_ONLY
    reduction: str | None = "sum_over_batch_size"
    name: str = "loss"

    # The activation that this loss undoes, where it can be computed from what precedes it.
    activation: ClassVar[Activation | None] = None
    # (predictions, targets) -> what `values` are the means of along the last axis, where they are means.
    elements: ClassVar[Callable[..., Array] | None] = None

    def __post_init__(self) -> None:
        check_reduction(self.reduction)

    def values(self, predictions: ArrayLike, targets: ArrayLike) -> Array:
        """One loss per example, or per position: (batch, ...).

        Raises: ShapeMismatchError where predictions and targets do not go together.
        """
        raise NotImplementedError

    def counted(self, targets: ArrayLike) -> Array | None:
        """Which positions the loss itself counts, as booleans; None for all."""
        return None

    def reduced(
        self,
        predictions: ArrayLike,
        targets: ArrayLike,
        weights: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        *,
        present: ArrayLike | None = None,
    ) -> Array:
        """The loss of a batch: `values`, then `reduce` with the reduction of this loss.

        Args:
            predictions, targets: as for `values`.
            weights: (batch, ...) sample weights.
            mask: (batch, ...) booleans, False where a position does not count.
            present: (batch,) booleans, False for rows that only pad the batch.
        Returns: a scalar; (batch, ...) with ``reduction="none"``.
        Raises: ShapeMismatchError where the shapes do not go together.
        """
        elements, counted = type(self).elements, self.counted(targets)
        is_plain = all(each is None for each in (weights, mask, present, counted)) and self.reduction in MEANS
        if elements is not None and is_plain and jnp.size(predictions):
            # The mean of means of as many numbers is the mean of all, which takes one pass.
            return jnp.mean(elements(predictions, targets))
        values = self.values(predictions, targets)
        if counted is not None:
            counted = counted.reshape(values.shape)
            mask = counted if mask is None else counted & jnp.asarray(mask).astype(bool)
        return reduce(values, weights, mask, self.reduction, present=present)

    def on_logits(self, kind: Activation) -> Self | None:
        """This loss for predictions that precede the activation `kind`; None where it cannot be computed from them."""
        if kind != self.activation or getattr(self, "from_logits", True):
            return None
        return dataclasses.replace(self, from_logits=True)  # pyright: ignore[reportCallIssue]


@dataclasses.dataclass(frozen=True)
class NamedLoss(Loss):
    """A loss whose fields, other than those of `Loss`, are the options of `function(predictions, targets, ...)`."""

    function: ClassVar[Callable[..., Array]]

    def values(self, predictions: ArrayLike, targets: ArrayLike) -> Array:
        return type(self).function(predictions, targets, **options(self))


@dataclasses.dataclass(frozen=True)
class FunctionLoss(Loss):
    """A loss given as a function ``(y_true, y_pred) -> values``, in Keras' order.

    As in Keras both arrive as floats of one dtype, of one rank where one of them has a last axis of length 1.

    Raises: GraphTypeError for a function that does not take two arguments, or returns nothing.

    >>> float(FunctionLoss(lambda y_true, y_pred: abs(y_true - y_pred)).reduced(jnp.array([1.0]), jnp.array([3])))
    2.0
    """

    function: Callable[[Any, Any], Any] = dataclasses.field(kw_only=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            inspect.signature(self.function).bind(None, None)
        except TypeError as error:
            raise GraphTypeError(
                f"The function {self.name!r} cannot be a loss or a metric.",
                received=str(error),
                expected="a function (y_true, y_pred) -> values",
            ) from error
        except ValueError:  # what is not written in Python may not say what it takes
            return

    def values(self, predictions: ArrayLike, targets: ArrayLike) -> Array:
        predictions, targets = promoted(predictions), jnp.asarray(targets)
        if predictions.ndim != targets.ndim:
            predictions, targets = same_rank(predictions, targets)
        try:
            values = self.function(targets.astype(predictions.dtype), predictions)
        except Exception as error:
            error.add_note(f"in {self.name!r}, a function of (y_true, y_pred), which are JAX's: jnp in the place of np")
            raise
        if values is None:
            fix = "end the function with a return"
            raise GraphTypeError(f"The function {self.name!r} returned nothing.", expected="values", fix=fix)
        return jnp.asarray(values)


def options(loss: Loss) -> dict[str, Any]:
    """The fields of `loss` that its function takes."""
    shared = {field.name for field in dataclasses.fields(Loss)}
    return {field.name: getattr(loss, field.name) for field in dataclasses.fields(loss) if field.name not in shared}
