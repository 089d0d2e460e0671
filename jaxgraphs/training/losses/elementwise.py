"""Losses that compare predictions with targets element by element, each the mean or sum over the last axis."""

from __future__ import annotations

import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import ArrayLike

from jaxgraphs.layers.extremes import larger, largest
from jaxgraphs.training.losses.shapes import EPSILON, paired


def squared_errors(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """(p - y)² for each element: what `mean_squared_error` averages over the last axis.

    Raises: ShapeMismatchError when the shapes differ.

    >>> squared_errors(jnp.array([[1.0, 3.0]]), jnp.array([[0.0, 0.0]])).tolist()
    [[1.0, 9.0]]
    """
    return optax.squared_error(*paired("mean_squared_error", predictions, targets))


def mean_squared_error(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """Per-example mean squared error: mean over the last axis of (p - y)².

    Args:
        predictions, targets: (batch, ..., features) of one shape and one unit.
    Returns: (batch, ...) in the unit squared, float32 (float64 for float64 predictions).
    Raises: ShapeMismatchError when the shapes differ.

    >>> float(mean_squared_error(jnp.array([[1.0, 3.0]]), jnp.array([[0.0, 0.0]]))[0])
    5.0
    """
    return jnp.mean(squared_errors(predictions, targets), axis=-1)


def absolute_errors(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """|p - y| for each element: what `mean_absolute_error` averages over the last axis.

    Raises: ShapeMismatchError when the shapes differ.

    >>> absolute_errors(jnp.array([[1.0, -3.0]]), jnp.array([[0.0, 0.0]])).tolist()
    [[1.0, 3.0]]
    """
    predictions, targets = paired("mean_absolute_error", predictions, targets)
    return jnp.abs(predictions - targets)


def mean_absolute_error(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """Per-example mean absolute error: mean over the last axis of |p - y|.

    Args:
        predictions, targets: (batch, ..., features) of one shape and one unit.
    Returns: (batch, ...) in that unit.
    Raises: ShapeMismatchError when the shapes differ.

    >>> float(mean_absolute_error(jnp.array([[1.0, -3.0]]), jnp.array([[0.0, 0.0]]))[0])
    2.0
    """
    return jnp.mean(absolute_errors(predictions, targets), axis=-1)


def mean_absolute_percentage_error(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """Per-example mean absolute percentage error: 100 times the mean over the last axis of |p - y| / max(|y|, 1e-7).

    Args:
        predictions, targets: (batch, ..., features) of one shape and one unit.
    Returns: (batch, ...) in per cent.
    Raises: ShapeMismatchError when the shapes differ.

    >>> float(mean_absolute_percentage_error(jnp.array([[3.0]]), jnp.array([[2.0]]))[0])
    50.0
    """
    predictions, targets = paired("mean_absolute_percentage_error", predictions, targets)
    return 100.0 * jnp.mean(jnp.abs((targets - predictions) / jnp.maximum(jnp.abs(targets), EPSILON)), axis=-1)


def mean_squared_logarithmic_error(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """Per-example mean squared logarithmic error: mean over the last axis of (log(1 + p) - log(1 + y))².

    Args:
        predictions, targets: (batch, ..., features) of one shape; values under 1e-7 are read as 1e-7.
    Returns: (batch, ...), without a unit.
    Raises: ShapeMismatchError when the shapes differ.

    >>> round(float(mean_squared_logarithmic_error(jnp.array([[1.7182817]]), jnp.array([[0.0]]))[0]), 5)
    1.0
    """
    predictions, targets = paired("mean_squared_logarithmic_error", predictions, targets)
    logs = [jnp.log(jnp.maximum(values, EPSILON) + 1.0) for values in (predictions, targets)]
    return jnp.mean(jnp.square(logs[0] - logs[1]), axis=-1)


def huber(predictions: ArrayLike, targets: ArrayLike, *, delta: float = 1.0) -> Array:
    """Per-example Huber loss: r²/2 where |r| <= delta, else delta (|r| - delta/2), averaged over the last axis.

    Args:
        predictions, targets: (batch, ..., features) of one shape and one unit.
        delta: the residual |r| where the two regimes meet, in that unit; positive.
    Returns: (batch, ...) in the unit squared.
    Raises: ShapeMismatchError when the shapes differ.
    Reference: Huber (1964), Annals of Mathematical Statistics 35(1), 73-101.

    >>> float(huber(jnp.array([[3.0]]), jnp.array([[0.0]]))[0])
    2.5
    """
    return jnp.mean(optax.huber_loss(*paired("huber", predictions, targets), delta=delta), axis=-1)


def log_cosh(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """Per-example log-cosh error: mean over the last axis of log(cosh(p - y)), near r²/2 and then near |r| - log 2.

    Args:
        predictions, targets: (batch, ..., features) of one shape and one unit.
    Returns: (batch, ...).
    Raises: ShapeMismatchError when the shapes differ.

    >>> float(log_cosh(jnp.array([[0.5]]), jnp.array([[0.5]]))[0])
    0.0
    """
    return jnp.mean(optax.log_cosh(*paired("log_cosh", predictions, targets)), axis=-1)


def poisson(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """Per-example Poisson loss: mean over the last axis of p - y log(p + 1e-7).

    Args:
        predictions: (batch, ..., features) expected counts, positive.
        targets: observed counts of the same shape.
    Returns: (batch, ...).
    Raises: ShapeMismatchError when the shapes differ.

    >>> float(poisson(jnp.array([[1.0]]), jnp.array([[0.0]]))[0])
    1.0
    """
    predictions, targets = paired("poisson", predictions, targets)
    return jnp.mean(predictions - targets * jnp.log(predictions + EPSILON), axis=-1)


def kl_divergence(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """Per-example Kullback-Leibler divergence: sum over the last axis of y log(y / p), both held in [1e-7, 1].

    Args:
        predictions, targets: (batch, ..., classes) probabilities.
    Returns: (batch, ...) in nats.
    Raises: ShapeMismatchError when the shapes differ.
    Reference: Kullback and Leibler (1951), Annals of Mathematical Statistics 22(1), 79-86.

    >>> float(kl_divergence(jnp.array([[0.5, 0.5]]), jnp.array([[0.5, 0.5]]))[0])
    0.0
    """
    predictions, targets = paired("kl_divergence", predictions, targets)
    predictions, targets = jnp.clip(predictions, EPSILON, 1.0), jnp.clip(targets, EPSILON, 1.0)
    return jnp.sum(targets * jnp.log(targets / predictions), axis=-1)


def cosine_similarity(predictions: ArrayLike, targets: ArrayLike, *, axis: int = -1) -> Array:
    """Per-example cosine loss: minus the cosine of the angle between p and y; -1 where they point one way.

    Args:
        predictions, targets: (batch, ..., features) of one shape.
        axis: the axis that holds the vectors.
    Returns: (batch, ...) in [-1, 1]; 0 where either vector is 0.
    Raises: ShapeMismatchError when the shapes differ.

    >>> float(cosine_similarity(jnp.array([[0.0, 2.0]]), jnp.array([[0.0, 1.0]]))[0])
    -1.0
    """
    predictions, targets = paired("cosine_similarity", predictions, targets)
    # Optax holds the squared norm above its epsilon, Keras the norm.
    return -optax.cosine_similarity(predictions, targets, epsilon=EPSILON**2, axis=axis)


def hinge(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """Per-example hinge loss: mean over the last axis of max(1 - y p, 0).

    Args:
        predictions: (batch, ..., features) scores.
        targets: -1 or 1, of the same shape; where every target is 0 or 1, 0 is read as -1.
    Returns: (batch, ...).
    Raises: ShapeMismatchError when the shapes differ.

    >>> float(hinge(jnp.array([[0.25]]), jnp.array([[1.0]]))[0])
    0.75
    """
    predictions, targets = paired("hinge", predictions, targets)
    return jnp.mean(optax.hinge_loss(predictions, _signs(targets)), axis=-1)


def squared_hinge(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """Per-example squared hinge loss: mean over the last axis of max(1 - y p, 0)²; arguments as for `hinge`.

    Raises: ShapeMismatchError when the shapes differ.

    >>> float(squared_hinge(jnp.array([[0.5]]), jnp.array([[1.0]]))[0])
    0.25
    """
    predictions, targets = paired("squared_hinge", predictions, targets)
    return jnp.mean(jnp.square(optax.hinge_loss(predictions, _signs(targets))), axis=-1)


def categorical_hinge(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """Per-example hinge between the right class and the strongest other: max(1 + max((1 - y) p) - sum(y p), 0).

    Args:
        predictions: (batch, ..., classes) scores.
        targets: one-hot, of the same shape.
    Returns: (batch, ...).
    Raises: ShapeMismatchError when the shapes differ.

    >>> float(categorical_hinge(jnp.array([[2.0, 0.5]]), jnp.array([[1, 0]]))[0])
    0.0
    """
    predictions, targets = paired("categorical_hinge", predictions, targets)
    right = jnp.sum(targets * predictions, axis=-1)
    strongest_other = largest((1.0 - targets) * predictions, axis=-1)
    return larger(strongest_other - right + 1.0, 0.0)


def _signs(targets: Array) -> Array:
    """Targets of 0 and 1 as -1 and 1; others as they are."""
    is_binary = jnp.all((targets == 0) | (targets == 1))
    return jnp.where(is_binary, 2.0 * targets - 1.0, targets)
