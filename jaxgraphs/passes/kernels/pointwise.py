"""Convolution with a window of one element as a matrix product, which XLA multiplies faster than it convolves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
from jax import lax

from jaxgraphs.layers.convolve import convolve
from jaxgraphs.passes.kernels.product import product

Array = jax.Array


def pointwise_convolve(x: Array, kernel: Array, *, strides: Sequence[int]) -> Array:
    """y[p, f] = Σ x[p stride, c] kernel[c, f]: on a CPU and an NVIDIA GPU a product, elsewhere XLA's convolution.

    Args:
        x: (batch, *spatial, channels).
        kernel: (1, ..., 1, channels, filters), of x's dtype.
        strides: one number for each spatial axis.
    Returns: (batch, *places, filters), ceil(size / stride) places along each axis.

    >>> import jax.numpy as jnp
    >>> x, kernel = jnp.arange(4.0).reshape(1, 4, 1), jnp.full((1, 1, 1), 10.0)
    >>> pointwise_convolve(x, kernel, strides=(3,)).ravel().tolist()
    [0.0, 30.0]
    """
    strides = tuple(strides)
    multiplied, default = partial(_product, strides), partial(_convolved, strides)
    return lax.platform_dependent(x, kernel, cpu=multiplied, cuda=multiplied, default=default)


def _product(strides: tuple[int, ...], x: Array, kernel: Array) -> Array:
    # What no window covers is left out before the product.
    if max(strides) > 1:
        x = x[(slice(None), *(slice(None, None, stride) for stride in strides))]
    return product(x, kernel.reshape(kernel.shape[-2:]))


def _convolved(strides: tuple[int, ...], x: Array, kernel: Array) -> Array:
    return convolve(x, kernel, strides=strides, padding="valid", dilation=(1,) * len(strides))
