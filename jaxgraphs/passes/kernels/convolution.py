"""A convolution whose kernel's gradient is computed by matrix products on a CPU, one for each element of the window.

XLA writes that gradient as a convolution with a window as large as the image, which on a CPU takes up to six times as
long as the convolution itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxgraphs.layers.convolve import convolve

Array = jax.Array
Axes = tuple[int, ...]


class _Slide(NamedTuple):
    """How a window moves, as `convolve` takes it."""

    strides: Axes
    padding: str
    dilation: Axes


def convolve_by_products(
    x: Array, kernel: Array, *, strides: Sequence[int], padding: str, dilation: Sequence[int]
) -> Array:
    """What `convolve` computes, with another gradient on a CPU.

    Args: as for `convolve`, with the channels last and in one group.

    There is a reverse-mode derivative to any order, and no forward-mode one.

    >>> x, kernel = jnp.arange(4.0).reshape(1, 4, 1), jnp.ones((2, 1, 1))
    >>> total = lambda k: convolve_by_products(x, k, strides=(1,), padding="valid", dilation=(1,)).sum()
    >>> jax.grad(total)(kernel).ravel().tolist()
    [3.0, 6.0]
    """
    return _convolved(_Slide(tuple(strides), padding, tuple(dilation)), x, kernel)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _convolved(slide: _Slide, x: Array, kernel: Array) -> Array:
    return convolve(x, kernel, **slide._asdict())


def _forward(slide: _Slide, x: Array, kernel: Array) -> tuple[Array, Any]:
    return _convolved(slide, x, kernel), (x, kernel)


def _backward(slide: _Slide, kept: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = kept
    plain = partial(convolve, **slide._asdict())
    (by_x,) = jax.linear_transpose(lambda x: plain(x, kernel), x)(g)
    by_kernel = lax.platform_dependent(
        x,
        g,
        cpu=partial(_products, slide, kernel.shape),
        default=lambda x, g: jax.linear_transpose(lambda kernel: plain(x, kernel), kernel)(g)[0],
    )
    return by_x, by_kernel


_convolved.defvjp(_forward, _backward)


def _products(slide: _Slide, shape: Axes, x: Array, g: Array) -> Array:
    """Σ over places of x[place stride + q dilation, c] g[place, f], for each element q of the window."""
    x, places = _padded(slide, shape[:-2], x), g.shape[1:-1]
    flat = g.reshape(-1, g.shape[-1])
    each = [
        jnp.matmul(_read(slide, x, element, places).reshape(-1, x.shape[-1]).T, flat)
        for element in product(*map(range, shape[:-2]))
    ]
    return jnp.stack(each).reshape(shape)


def _padded(slide: _Slide, window: Axes, x: Array) -> Array:
    reach = tuple((size - 1) * spread + 1 for size, spread in zip(window, slide.dilation, strict=True))
    if slide.padding == "causal":
        pads = [(reach[0] - 1, 0)]
    else:
        pads = lax.padtype_to_pads(x.shape[1:-1], reach, slide.strides, slide.padding.upper())
    widths = [(0, 0, 0), *((before, after, 0) for before, after in pads), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), widths)


def _read(slide: _Slide, x: Array, element: Axes, places: Axes) -> Array:
    """What one element of the window reads at every place."""
    starts = [number * spread for number, spread in zip(element, slide.dilation, strict=True)]
    ends = [
        start + (place - 1) * stride + 1 for start, place, stride in zip(starts, places, slide.strides, strict=True)
    ]
    return lax.slice(x, (0, *starts, 0), (x.shape[0], *ends, x.shape[-1]), (1, *slide.strides, 1))
