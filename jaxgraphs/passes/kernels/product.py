"""A product over last axes as one of two matrices, whose derivatives XLA multiplies without turning arrays about."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array


def product(x: Array, kernel: Array, axes: int = 1) -> Array:
    """Σ x[..., k] kernel[k, ...]: on a CPU of x as a matrix of rows, elsewhere over its axes as they are.

    Args:
        x: (..., *k).
        kernel: (*k, *outputs), of x's dtype.
        axes: how many axes k has.
    Returns: (..., *outputs).

    >>> product(jnp.ones((2, 3, 4)), jnp.ones((4, 5))).shape
    (2, 3, 5)
    """
    return lax.platform_dependent(x, kernel, cpu=partial(flat_product, axes=axes), default=partial(_over, axes))


def flat_product(x: Array, kernel: Array, axes: int = 1) -> Array:
    """The same by two matrices on any platform."""
    rows, outputs = x.shape[: x.ndim - axes], kernel.shape[axes:]
    inner = math.prod(kernel.shape[:axes])
    flat = jnp.matmul(x.reshape(math.prod(rows), inner), kernel.reshape(inner, math.prod(outputs)))
    return flat.reshape(*rows, *outputs)


def _over(axes: int, x: Array, kernel: Array) -> Array:
    return jnp.tensordot(x, kernel, axes=axes)
