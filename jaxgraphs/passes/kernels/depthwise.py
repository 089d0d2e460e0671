"""Depthwise convolution as a sum of shifted products: on a CPU, where XLA's grouped convolution is slow.

One number T = Σ g[o, c] x[o stride + q dilation, c] k[q, c] over places o, window q and channels c says it all: the
convolution is its derivative by g, and the gradients of that are the derivatives by x and by k. So each of the three
has the other two as its derivatives, to any order, and none holds more than its arguments. What autodiff makes of the
sum holds a copy of the input for each element of the window.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgraphs.layers.convolve import depthwise_convolve

Array = jax.Array

_SPATIAL = {1: "W", 2: "HW", 3: "DHW"}


@dataclasses.dataclass(frozen=True)
class _Window:
    """Where a window goes: everything but the arrays, for each spatial axis.

    Args:
        sizes: of the input; `reach`: of the window.
        strides, dilation: between windows, and between a window's elements.
        before, after: how many zeros there are at the ends.
    """

    sizes: tuple[int, ...]
    reach: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def turned(self) -> _Window:
        """The window of the gradient by the input, over places that have been set apart and padded."""
        apart = tuple(
            size + (reach - 1) * spread
            for size, reach, spread in zip(self.sizes, self.reach, self.dilation, strict=True)
        )
        none = (0,) * len(apart)
        return _Window(apart, self.reach, (1,) * len(apart), self.dilation, none, none)

    @property
    def places(self) -> tuple[int, ...]:
        """The sizes of the output."""
        return tuple(
            (size + before + after - (reach - 1) * spread - 1) // stride + 1
            for size, reach, stride, spread, before, after in zip(
                self.sizes, self.reach, self.strides, self.dilation, self.before, self.after, strict=True
            )
        )


def shifted_depthwise(
    x: Array,
    kernel: Array,
    *,
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int],
    channels_first: bool = False,
) -> Array:
    """What `depthwise_convolve` computes: on a CPU as shifted products, elsewhere by XLA's grouped convolution.

    Args: as for `depthwise_convolve`. Sizes of the spatial axes must be numbers for the products to be used.
    Returns: (batch, *places, channels * multiplier).

    Half precision is summed in float32. There is a reverse-mode derivative to any order, and no forward-mode one.

    >>> x, kernel = jnp.ones((1, 3, 2)), jnp.array([[[1.0], [10.0]]])
    >>> shifted_depthwise(x, kernel, strides=(1,), padding="valid", dilation=(1,))[0, 0].tolist()
    [1.0, 10.0]
    """
    reach, (channels, multiplier) = kernel.shape[:-2], kernel.shape[-2:]
    if channels_first or not all(isinstance(size, int) for size in x.shape[1:]):
        options = {"strides": strides, "padding": padding, "dilation": dilation, "channels_first": channels_first}
        return depthwise_convolve(x, kernel, **options)
    window = _window(x.shape[1:-1], reach, tuple(strides), tuple(dilation), padding)
    # A channel with several kernels is that many channels.
    x = x if multiplier == 1 else jnp.repeat(x, multiplier, axis=-1)
    return _output(window, x, kernel.reshape(*reach, channels * multiplier))


def _window(
    sizes: tuple[int, ...], reach: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...], padding: str
) -> _Window:
    spread = tuple((size - 1) * step + 1 for size, step in zip(reach, dilation, strict=True))
    causal = [(spread[0] - 1, 0)]
    pads = causal if padding == "causal" else lax.padtype_to_pads(sizes, spread, strides, padding.upper())
    before, after = zip(*pads, strict=True)
    return _Window(sizes, reach, strides, dilation, before, after)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _output(window: _Window, x: Array, kernel: Array) -> Array:
    """dT/dg: the convolution of x (batch, *sizes, channels) and kernel (*reach, channels)."""
    return lax.platform_dependent(x, kernel, cpu=partial(_shifted_output, window), default=partial(_grouped, window))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _input_gradient(window: _Window, kernel: Array, g: Array) -> Array:
    """dT/dx, from kernel and g (batch, *places, channels)."""
    return lax.platform_dependent(
        kernel, g, cpu=partial(_shifted_input_gradient, window), default=partial(_grouped_input_gradient, window)
    )


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _kernel_gradient(window: _Window, x: Array, g: Array) -> Array:
    """dT/dk, from x and g."""
    return lax.platform_dependent(
        x, g, cpu=partial(_shifted_kernel_gradient, window), default=partial(_grouped_kernel_gradient, window)
    )


def _kept(function: Any) -> Callable[..., Any]:
    """The forward part of a derivative that needs the arguments alone."""
    return lambda window, a, b: (function(window, a, b), (a, b))


_output.defvjp(
    _kept(_output),
    lambda window, kept, g: (_input_gradient(window, kept[1], g), _kernel_gradient(window, kept[0], g)),
)
_input_gradient.defvjp(
    _kept(_input_gradient),
    lambda window, kept, x: (_kernel_gradient(window, x, kept[1]), _output(window, x, kept[0])),
)
_kernel_gradient.defvjp(
    _kept(_kernel_gradient),
    lambda window, kept, kernel: (_input_gradient(window, kernel, kept[1]), _output(window, kept[0], kernel)),
)


def _shifted_output(window: _Window, x: Array, kernel: Array) -> Array:
    return _sum_of_products(window, _padded(window, x), kernel)


def _shifted_input_gradient(window: _Window, kernel: Array, g: Array) -> Array:
    """The convolution of g, its places `strides` apart, with the kernel turned round."""
    pads = [
        ((reach - 1) * spread - before, size - 1 + before - (place - 1) * stride, stride - 1)
        for size, place, reach, stride, spread, before in zip(
            window.sizes, window.places, window.reach, window.strides, window.dilation, window.before, strict=True
        )
    ]
    apart = lax.pad(g, jnp.zeros((), g.dtype), [(0, 0, 0), *pads, (0, 0, 0)])
    turned = jnp.flip(kernel, range(len(window.reach)))
    return _sum_of_products(window.turned, apart, turned)


def _shifted_kernel_gradient(window: _Window, x: Array, g: Array) -> Array:
    """Every element of the window in one pass over x and g: XLA makes one loop of a reduction of several arrays."""
    wide = _wide(x)
    products = [part.astype(wide) * g.astype(wide) for part in _parts(window, _padded(window, x))]
    zeros = [np.zeros((), wide)] * len(products)
    # Along the last spatial axis first: with all of them at once the loop is half as fast, and on one core.
    sums = lax.reduce(products, zeros, lambda a, b: [p + q for p, q in zip(a, b, strict=True)], (g.ndim - 2,))
    rest = tuple(range(g.ndim - 2))
    return jnp.stack([jnp.sum(part, axis=rest) for part in sums]).reshape(*window.reach, -1).astype(x.dtype)


def _sum_of_products(window: _Window, x: Array, kernel: Array) -> Array:
    """The convolution of an input that has its padding."""
    wide = _wide(x)
    rows = kernel.reshape(-1, *(1,) * (x.ndim - 1), kernel.shape[-1]).astype(wide)
    # Begun by a zero that the compiler does not know to be one: each sum then has one product, which is rounded in one
    # way wherever a reader computes it again. Of two products either may be fused with their sum, so that a maximum and
    # its derivative, which asks what equals it, could differ in the last digit, and the gradient was lost.
    total = 0 * rows[0]
    for part, row in zip(_parts(window, x), rows, strict=True):
        total = total + part.astype(wide) * row
    return total.astype(x.dtype)


def _parts(window: _Window, x: Array) -> Iterator[Array]:
    """For each element of the window, what it reads at every place."""
    for element in product(*map(range, window.reach)):
        first = [number * spread for number, spread in zip(element, window.dilation, strict=True)]
        last = [
            start + (place - 1) * stride + 1
            for start, place, stride in zip(first, window.places, window.strides, strict=True)
        ]
        ends = (x.shape[0], *last, x.shape[-1])
        yield lax.slice(x, (0, *first, 0), ends, (1, *window.strides, 1))


def _padded(window: _Window, x: Array) -> Array:
    pads = [(0, 0, 0), *((a, b, 0) for a, b in zip(window.before, window.after, strict=True)), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), pads)


def _wide(x: Array) -> Any:
    """What is summed in: float32 for half precision, which would lose what small products add."""
    return np.dtype(np.float32) if x.dtype.itemsize < 4 else x.dtype


def _grouped(window: _Window, x: Array, kernel: Array) -> Array:
    spatial = _SPATIAL[len(window.reach)]
    return lax.conv_general_dilated(
        x,
        jnp.expand_dims(kernel, -2),
        window.strides,
        list(zip(window.before, window.after, strict=True)),
        rhs_dilation=window.dilation,
        dimension_numbers=(f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"),
        feature_group_count=x.shape[-1],
    )


def _grouped_input_gradient(window: _Window, kernel: Array, g: Array) -> Array:
    x = jax.ShapeDtypeStruct((g.shape[0], *window.sizes, g.shape[-1]), g.dtype)
    return jax.linear_transpose(lambda x: _grouped(window, x, kernel), x)(g)[0]


def _grouped_kernel_gradient(window: _Window, x: Array, g: Array) -> Array:
    kernel = jax.ShapeDtypeStruct((*window.reach, g.shape[-1]), g.dtype)
    return jax.linear_transpose(lambda kernel: _grouped(window, x, kernel), kernel)(g)[0]
