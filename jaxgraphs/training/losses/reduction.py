"""From one value per example to one value: Keras' reductions, sample weights and masks."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxgraphs.errors import GraphValueError, did_you_mean
from jaxgraphs.training.losses.shapes import divide_or_zero, promoted, spread

MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
REDUCTIONS = (*MEANS, "sum", "none")


def reduce(
    values: ArrayLike,
    weights: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    reduction: str | None = "sum_over_batch_size",
    *,
    present: ArrayLike | None = None,
) -> Array:
    """Per-example losses to a scalar, weighted and masked as in Keras.

    ``sum_over_batch_size`` and ``mean`` divide the weighted sum by the number of values, time positions included and
    masked ones left out; weights do not enter the divisor. ``mean_with_sample_weight`` divides by the sum of weights.

    Args:
        values: (batch, ...) losses.
        weights: (batch, ...) sample weights, repeated over the trailing axes of `values`.
        mask: (batch, ...) booleans, False where a position does not count.
        reduction: one of ``REDUCTIONS``; None is ``none``: weighted values, not reduced.
        present: (batch,) booleans, False for rows that only pad the batch: the result is that without them.
    Returns: a scalar, float32 (float64 for float64 values); 0 where nothing counts. With ``none``, as `values`.
    Raises: GraphValueError for an unknown reduction, and for a single value where rows only pad the batch;
        ShapeMismatchError where weights or mask do not fit.

    >>> float(reduce(jnp.array([1.0, 3.0]), weights=jnp.array([1.0, 0.5])))
    1.25
    >>> float(reduce(jnp.array([[1.0, 9.0], [3.0, 5.0]]), mask=jnp.array([[True, False], [True, True]])))
    3.0
    """
    check_reduction(reduction)
    losses = promoted(values)
    if losses.ndim == 0:  # a function of the user's that reduced already
        if present is not None:
            raise GraphValueError(
                "A loss gives one number for a batch of which some rows only fill it up, and cannot leave them out.",
                expected="a value for each example, such as jnp.mean(..., axis=-1)",
                fix="or a number of examples that batches, devices and parts of a batch divide evenly",
            )
        if weights is None:
            return losses
        losses = jnp.broadcast_to(losses, jnp.shape(weights))
    counted = _counted(losses, mask, present)
    if counted is not None:
        # What does not count may be infinite or not a number.
        losses = jnp.where(counted, losses, 0)
    spread_weights = None if weights is None else spread(weights, losses.shape, losses.dtype)
    weighted = losses if spread_weights is None else losses * spread_weights
    if reduction in (None, "none"):
        return weighted
    total = jnp.sum(weighted)
    return total if reduction == "sum" else divide_or_zero(total, _divisor(losses, spread_weights, counted, reduction))


def check_reduction(reduction: str | None) -> None:
    """Raises: GraphValueError for a reduction Keras does not have."""
    if reduction is not None and reduction not in REDUCTIONS:
        raise GraphValueError(f"There is no reduction {reduction!r}.", fix=did_you_mean(str(reduction), REDUCTIONS))


def _counted(losses: Array, mask: ArrayLike | None, present: ArrayLike | None) -> Array | None:
    """Which of `losses` count, as booleans of their shape; None where all do."""
    limits = [
        spread(jnp.asarray(limit).astype(bool), losses.shape, jnp.dtype(bool), what=what)
        for limit, what in ((mask, "mask"), (present, "present"))
        if limit is not None
    ]
    return jnp.all(jnp.stack(limits), axis=0) if limits else None


def _divisor(losses: Array, weights: Array | None, counted: Array | None, reduction: str | None) -> Array:
    if reduction != "mean_with_sample_weight":
        weights = None
    each = jnp.ones_like(losses) if weights is None else weights
    return jnp.sum(each if counted is None else jnp.where(counted, each, 0))
