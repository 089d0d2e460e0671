"""Convolution itself, as pure functions of arrays: the one place where the layers meet XLA's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array

_SPATIAL = {1: "W", 2: "HW", 3: "DHW"}


def convolve(
    x: Array,
    kernel: Array,
    *,
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int],
    groups: int = 1,
    channels_first: bool = False,
) -> Array:
    """y[p, f] = Σ x[p stride + q dilation, c] kernel[q, c, f] over the window q and the channels c of f's group.

    Args:
        x: (batch, *spatial, channels), or (batch, channels, *spatial) with `channels_first`.
        kernel: (*window, channels / groups, filters), of x's dtype.
        strides, dilation: one number for each spatial axis.
        padding: "valid"; "same", with zeros for ceil(size / stride) outputs, the odd one at the end; "causal", with
            all zeros in front, so that no output sees a later input.
        groups: into how many parts channels and filters are split.
    Returns: (batch, *places, filters), arranged as x.

    >>> x, kernel = jnp.arange(4.0).reshape(1, 4, 1), jnp.ones((2, 1, 1))
    >>> convolve(x, kernel, strides=(1,), padding="causal", dilation=(1,)).ravel().tolist()
    [0.0, 1.0, 3.0, 5.0]
    """
    if padding == "causal":
        x, padding = _pad_front(x, (kernel.shape[0] - 1) * dilation[0], channels_first), "valid"
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=tuple(strides),
        padding=padding.upper(),
        rhs_dilation=tuple(dilation),
        dimension_numbers=_arrangement(x.ndim - 2, channels_first),
        feature_group_count=groups,
    )


def depthwise_convolve(
    x: Array,
    kernel: Array,
    *,
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int],
    channels_first: bool = False,
) -> Array:
    """Convolves each channel alone with `multiplier` kernels of its own.

    Args: as for `convolve`, but kernel is (*window, channels, multiplier).
    Returns: (batch, *places, channels * multiplier): the outputs of one channel are neighbours.

    >>> x, kernel = jnp.ones((1, 3, 2)), jnp.array([[[1.0], [10.0]]])
    >>> depthwise_convolve(x, kernel, strides=(1,), padding="valid", dilation=(1,))[0, 0].tolist()
    [1.0, 10.0]
    """
    channels, multiplier = kernel.shape[-2:]
    return convolve(
        x,
        kernel.reshape(*kernel.shape[:-2], 1, channels * multiplier),
        strides=strides,
        padding=padding,
        dilation=dilation,
        groups=channels,
        channels_first=channels_first,
    )


def convolve_transpose(
    x: Array,
    kernel: Array,
    *,
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int],
    output_padding: Sequence[int] | None = None,
    channels_first: bool = False,
) -> Array:
    """The gradient of `convolve` with respect to its input, as a map from places back to a larger x.

    Args:
        x: (batch, *spatial, channels).
        kernel: (*window, filters, channels).
        padding: "valid" gives (size - 1) stride + max(window, stride) along an axis, "same" gives size stride.
        output_padding: how many elements to add at the end, less than the stride; None gives the sizes above.
    Returns: (batch, *larger, filters).

    >>> x, kernel = jnp.ones((1, 2, 1)), jnp.ones((2, 1, 1))
    >>> convolve_transpose(x, kernel, strides=(2,), padding="valid", dilation=(1,)).ravel().tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    rank = x.ndim - 2
    extra = (None,) * rank if output_padding is None else output_padding
    pads = [
        transpose_padding((size - 1) * spread + 1, stride, padding, more)
        for size, stride, spread, more in zip(kernel.shape[:rank], strides, dilation, extra, strict=True)
    ]
    return lax.conv_transpose(
        x,
        kernel,
        tuple(strides),
        padding=pads,
        rhs_dilation=tuple(dilation),
        dimension_numbers=_arrangement(rank, channels_first),
        transpose_kernel=True,
    )


def transpose_padding(window: int, stride: int, padding: str, output_padding: int | None) -> tuple[int, int]:
    """What a transposed convolution adds before and after an axis whose elements lie `stride` apart.

    The size before is (size - 1) stride - window + 2; Keras, as TensorFlow, wants the sizes that `convolve_transpose`
    states.
    """
    if padding == "valid":
        more = max(stride - window, 0) if output_padding is None else output_padding
        return window - 1, window - 1 + more
    total = window + stride - 2 if output_padding is None else window + window % 2 - 2 + output_padding
    before = min(-(-total // 2), window - 1)
    return before, total - before


def finish(y: Array, bias: Array | None, activation: Callable[[Array], Array] | None, channels_first: bool) -> Array:
    """activation(y + bias), the bias along the channels."""
    if bias is not None:
        y = y + bias.reshape((1, -1) + (1,) * (y.ndim - 2) if channels_first else (1,) * (y.ndim - 1) + (-1,))
    return activation(y) if activation else y


def _arrangement(rank: int, channels_first: bool) -> tuple[str, str, str]:
    """The axes of input, kernel and output as XLA is told them."""
    spatial = _SPATIAL[rank]
    data = f"NC{spatial}" if channels_first else f"N{spatial}C"
    return data, f"{spatial}IO", data


def _pad_front(x: Array, count: int, channels_first: bool) -> Array:
    widths = [(0, 0)] * x.ndim
    widths[2 if channels_first else 1] = (count, 0)
    return jnp.pad(x, widths)
