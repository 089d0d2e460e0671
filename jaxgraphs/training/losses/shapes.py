"""What losses and metrics do first: one dtype, one rank, and an error where two shapes do not go together."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxgraphs.errors import ShapeMismatchError

EPSILON = 1e-7  # Keras' backend.epsilon(): the least probability whose logarithm is taken


def promoted(values: ArrayLike) -> Array:
    """`values` as float32, or as float64 where they are float64 already: sums in half precision would lose digits."""
    array = jnp.asarray(values)
    return array if array.dtype == jnp.float64 else array.astype(jnp.float32)


def same_rank(predictions: Array, targets: Array) -> tuple[Array, Array]:
    """Adds or drops one last axis of length 1 where the ranks differ by one, so that (batch,) meets (batch, 1).

    Two arrays of (batch,) become (batch, 1): a last axis is what losses average over.

    >>> [array.shape for array in same_rank(jnp.zeros((4, 1)), jnp.zeros(4))]
    [(4, 1), (4, 1)]
    """
    if predictions.ndim == targets.ndim == 1:
        return predictions[:, None], targets[:, None]
    if predictions.ndim == targets.ndim + 1 and predictions.shape[-1] == 1:
        return predictions, targets[..., None]
    if targets.ndim == predictions.ndim + 1 and targets.shape[-1] == 1:
        return (predictions[:, None], targets) if predictions.ndim == 1 else (predictions, targets[..., 0])
    return predictions, targets


def paired(name: str, predictions: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
    """Predictions and targets of one shape and one float dtype, for a loss that compares them element by element.

    Raises: ShapeMismatchError, in the name of the loss or metric `name`, where the shapes differ.
    """
    predictions = promoted(predictions)
    predictions, aligned = same_rank(predictions, jnp.asarray(targets))
    if predictions.shape != aligned.shape:
        raise ShapeMismatchError(
            f"{name} cannot compare predictions with targets.",
            received=f"predictions {words(predictions)}, targets {words(jnp.asarray(targets))}",
            expected=f"targets of {shape_words(predictions.shape)}",
            fix="give the targets the shape of the output, or the output the width of the targets",
        )
    return predictions, aligned.astype(predictions.dtype)


def spread(weights: ArrayLike, shape: tuple[int, ...], dtype: jnp.dtype, *, what: str = "sample_weight") -> Array:
    """`weights` of (batch,) or more axes, repeated over the trailing axes of `shape`.

    Raises: ShapeMismatchError where an axis of `weights` is neither 1 nor that of `shape`.

    >>> spread(jnp.array([1.0, 2.0]), (2, 3), jnp.float32)[1]
    Array([2., 2., 2.], dtype=float32)
    """
    array = jnp.asarray(weights).astype(dtype)
    if array.ndim == len(shape) + 1 and array.shape[-1] == 1:
        array = array[..., 0]
    widened = array.reshape(array.shape + (1,) * (len(shape) - array.ndim))
    fits = widened.ndim == len(shape) and all(a in (1, b) for a, b in zip(widened.shape, shape, strict=True))
    if not fits:
        raise ShapeMismatchError(
            f"{what} does not fit the values it weighs.",
            received=f"{what} {words(jnp.asarray(weights))}",
            expected=f"{shape_words(shape)}, or its leading axes such as {shape_words(shape[:1])}",
            fix="give one weight for each example, or one for each value",
        )
    return jnp.broadcast_to(widened, shape)


def divide_or_zero(numerator: Array, denominator: Array) -> Array:
    """The quotient, and 0 where the denominator is 0: the mean of nothing."""
    nothing = denominator == 0
    return jnp.where(nothing, jnp.zeros_like(numerator), numerator / jnp.where(nothing, 1, denominator))


def shape_words(shape: tuple[int, ...]) -> str:
    """`shape` as errors print it: (4, 10)."""
    return str(tuple(shape))


def words(array: Array) -> str:
    """Shape and dtype as errors print them: (4, 10) float32."""
    return f"{shape_words(array.shape)} {array.dtype}"
