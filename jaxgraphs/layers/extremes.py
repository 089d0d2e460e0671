"""The largest and the smallest of numbers, with derivatives that hold in compiled code.

The usual derivative of a maximum asks which numbers equal it. A compiler that computes these a second time, beside the
comparison, may round them another way: products that are added, fused or not. Then none of them equals the maximum, and
the gradient is silently zero: in XLA on a CPU after a b + c d + e, and in a sum of shifted products. Here the place of
the largest number is found once, as a whole number, and of two numbers the derivative asks which is larger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from numpy.lib.array_utils import normalize_axis_tuple

Array = jax.Array
Axes = tuple[int, ...]


def largest(x: Array, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Array:
    """The largest numbers along some axes, as ``jnp.max``; equal ones share the gradient.

    Args:
        axis: one or several; None is all of them.
        keepdims: whether these axes stay, with size 1.

    >>> jax.jit(jax.grad(largest))(jnp.array([1.0, 4.0, 4.0])).tolist()
    [0.0, 0.5, 0.5]
    """
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return jnp.max(x, axis, keepdims=keepdims)
    axes = tuple(sorted(normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)))
    if not axes:
        return x
    y = _largest(axes, x)
    return y if keepdims else jnp.squeeze(y, axes)


def smallest(x: Array, axis: int | Sequence[int] | None = None, *, keepdims: bool = False) -> Array:
    """The smallest numbers along some axes, as ``jnp.min``; arguments as for `largest`.

    >>> float(smallest(jnp.array([1.0, -4.0])))
    -4.0
    """
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return jnp.min(x, axis, keepdims=keepdims)
    return -largest(-x, axis, keepdims=keepdims)


def larger(a: ArrayLike, b: ArrayLike) -> Array:
    """The larger of two numbers, as ``jnp.maximum``; where they are equal each has half of the gradient.

    >>> jax.grad(larger)(2.0, 2.0).item()
    0.5
    """
    a, b = _alike(a, b)
    return _larger(a, b) if jnp.issubdtype(a.dtype, jnp.floating) else jnp.maximum(a, b)


def smaller(a: ArrayLike, b: ArrayLike) -> Array:
    """The smaller of two numbers, as ``jnp.minimum``.

    >>> float(smaller(jnp.float32(1), jnp.float32(2)))
    1.0
    """
    a, b = _alike(a, b)
    return -_larger(-a, -b) if jnp.issubdtype(a.dtype, jnp.floating) else jnp.minimum(a, b)


def _alike(a: ArrayLike, b: ArrayLike) -> list[Array]:
    """Both with one dtype and one shape."""
    dtype = jnp.result_type(a, b)
    return jnp.broadcast_arrays(jnp.asarray(a, dtype), jnp.asarray(b, dtype))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _largest(axes: Axes, x: Array) -> Array:
    return jnp.max(x, axes, keepdims=True)


@_largest.defjvp
def _largest_derivative(axes: Axes, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    y = _largest(axes, x)
    which = (_is_first_largest(x, axes) | (x == y)).astype(x.dtype if x.dtype.itemsize > 4 else jnp.float32)
    share = which / jnp.sum(which, axes, keepdims=True)
    return y, jnp.sum(share.astype(dx.dtype) * dx, axes, keepdims=True)


def _is_first_largest(x: Array, axes: Axes) -> Array:
    """Whether a number is the first of the largest ones along the axes."""
    together = tuple(range(axes[0], axes[0] + len(axes)))
    moved = jnp.moveaxis(x, axes, together)
    sizes = moved.shape
    flat = moved.reshape(*sizes[: axes[0]], math.prod(sizes[each] for each in together), *sizes[together[-1] + 1 :])
    place = jnp.argmax(flat, axes[0], keepdims=True)
    found = lax.broadcasted_iota(place.dtype, flat.shape, axes[0]) == place
    return jnp.moveaxis(found.reshape(sizes), together, axes)


@jax.custom_jvp
def _larger(a: Array, b: Array) -> Array:
    return lax.max(a, b)


@_larger.defjvp
def _larger_derivative(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (a, b), (da, db) = primals, tangents
    share = jnp.where(a > b, 1.0, jnp.where(a < b, 0.0, 0.5)).astype(da.dtype)
    return _larger(a, b), share * da + (1 - share) * db
