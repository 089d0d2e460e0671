"""Operations of neural networks: those of `keras.ops.nn`, convolutions and normalisations above all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.io.keras.ops_common import (
    Function,
    axes,
    check_sizes,
    dtype_of,
    each_axis,
    floating,
    is_first,
    lenient,
    over_spatial,
)
from jaxgraphs.io.keras.values import keras_sparsemax
from jaxgraphs.layers import activations, adaptive_pooling
from jaxgraphs.layers.activations import ACTIVATIONS
from jaxgraphs.layers.convolve import convolve, convolve_transpose, depthwise_convolve
from jaxgraphs.layers.pooling import average_pool, max_pool
from jaxgraphs.symbolic.arrays import promote
from jaxgraphs.symbolic.context import Context

# Keras' smallest number that a probability or a variance may come to.
_EPSILON = 1e-7


def pool(function: Function) -> Function:
    """Pooling over the axes between the batch and the channels, or after both."""

    def call(inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: Any = None) -> Any:
        sizes = each_axis(pool_size, inputs.ndim - 2)
        steps = sizes if strides is None else each_axis(strides, inputs.ndim - 2)
        check_sizes(*sizes, *steps)
        window, stride = (over_spatial(part, is_first(data_format)) for part in (sizes, steps))
        return function(inputs, window, stride, padding.lower())

    return call


def _adaptive(kind: str) -> Function:
    """Pooling to a given size, by the layer that does it."""

    def call(inputs: Any, output_size: Any, data_format: Any = None) -> Any:
        cls = {1: f"{kind}1D", 2: f"{kind}2D", 3: f"{kind}3D"}[inputs.ndim - 2]
        layer = _ADAPTIVE[cls](each_axis(output_size, inputs.ndim - 2), data_format=data_format)
        return layer.call({}, inputs, context=Context(train=False))

    return call


_ADAPTIVE: Mapping[str, Any] = {
    cls.__name__: cls
    for cls in (
        *(adaptive_pooling.AdaptiveAveragePooling1D, adaptive_pooling.AdaptiveAveragePooling2D),
        *(adaptive_pooling.AdaptiveAveragePooling3D, adaptive_pooling.AdaptiveMaxPooling1D),
        *(adaptive_pooling.AdaptiveMaxPooling2D, adaptive_pooling.AdaptiveMaxPooling3D),
    )
}


def _options(inputs: Any, strides: Any, padding: str, dilation: Any, data_format: Any) -> dict[str, Any]:
    rank = inputs.ndim - 2
    check_sizes(each_axis(strides, rank), each_axis(dilation, rank))
    return {
        "strides": each_axis(strides, rank),
        "padding": padding.lower(),
        "dilation": each_axis(dilation, rank),
        "channels_first": is_first(data_format),
    }


def conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: Any = None,
    dilation_rate: Any = 1,
) -> Any:
    """A convolution; the groups follow from how many channels the kernel reads."""
    inputs, kernel = promote(inputs, kernel)
    options = _options(inputs, strides, padding, dilation_rate, data_format)
    channels = inputs.shape[1 if options["channels_first"] else -1]
    return convolve(inputs, kernel, groups=channels // kernel.shape[-2], **options)


def depthwise(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: Any = None,
    dilation_rate: Any = 1,
) -> Any:
    """A convolution of each channel by itself."""
    inputs, kernel = promote(inputs, kernel)
    return depthwise_convolve(inputs, kernel, **_options(inputs, strides, padding, dilation_rate, data_format))


def _separable(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: Any = None,
    dilation_rate: Any = 1,
) -> Any:
    between = depthwise(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(between, pointwise_kernel, data_format=data_format)


def _transposed(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: Any = None,
    dilation_rate: Any = 1,
) -> Any:
    inputs, kernel = promote(inputs, kernel)
    extra = None if output_padding is None else each_axis(output_padding, inputs.ndim - 2)
    options = _options(inputs, strides, padding, dilation_rate, data_format)
    return convolve_transpose(inputs, kernel, output_padding=extra, **options)


def _moments(x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False) -> Any:
    along = tuple(axes) if isinstance(axes, (list, tuple)) else axes
    return [jnp.mean(x, along, keepdims=keepdims), jnp.var(x, along, keepdims=keepdims)]


def _batch_norm(
    x: Any, mean: Any, variance: Any, offset: Any = None, scale: Any = None, axis: int = -1, epsilon: float = 1e-3
) -> Any:
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    mean, variance = (jnp.reshape(part, shape) for part in (mean, variance))
    inverse = jax.lax.rsqrt(variance + epsilon)
    inverse = inverse if scale is None else inverse * jnp.reshape(scale, shape)
    shift = -mean * inverse if offset is None else jnp.reshape(offset, shape) - mean * inverse
    return x * inverse + shift


def _rms_norm(x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None) -> Any:
    along = _sorted(axis)
    y = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), along, keepdims=True) + (epsilon or _EPSILON))
    return y if scale is None else y * _spread(scale, x, along)


def _layer_norm(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: Any = -1,
    epsilon: float | None = None,
    rms_scaling: bool = False,
) -> Any:
    along = _sorted(axis)
    variance = jnp.var(x, along, keepdims=True)
    inverse = jax.lax.rsqrt(variance + (_EPSILON if epsilon is None else epsilon))
    inverse = inverse if gamma is None else inverse * _spread(gamma, x, along)
    if rms_scaling:
        return x * inverse
    y = (x - jnp.mean(x, along, keepdims=True)) * inverse
    return y if beta is None else y + _spread(beta, x, along)


def _sorted(axis: Any) -> tuple[int, ...]:
    return tuple(sorted(axis)) if isinstance(axis, (list, tuple)) else (axis,)


def _spread(values: Any, x: Any, along: tuple[int, ...]) -> Any:
    values = jnp.asarray(values, x.dtype)
    if values.ndim == x.ndim:
        return values
    kept = {axis % x.ndim for axis in along}
    return values.reshape([size if axis in kept else 1 for axis, size in enumerate(x.shape)])


def _attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: Any = None,
    is_causal: bool = False,
    flash_attention: Any = None,
    attn_logits_soft_cap: float | None = None,
) -> Any:
    """softmax(q k' scale + bias) v over (batch, time, heads, features)."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    if key.shape[2] != query.shape[2]:
        key, value = (jnp.repeat(part, query.shape[2] // key.shape[2], axis=2) for part in (key, value))
    logits = jnp.einsum("btnh,bsnh->bnts", query, key).astype(jnp.float32) * scale
    logits = logits if bias is None else logits + bias
    if attn_logits_soft_cap is not None:
        logits = jnp.tanh(logits / attn_logits_soft_cap) * attn_logits_soft_cap
    allowed = jnp.ones(logits.shape[-2:], bool)
    allowed = jnp.tril(allowed) if is_causal else allowed
    allowed = allowed if mask is None else allowed & jnp.asarray(mask, bool)
    probs = jax.nn.softmax(jnp.where(allowed, logits, jnp.finfo(logits.dtype).min), axis=-1)
    return jnp.einsum("bnts,bsnh->btnh", probs.astype(value.dtype), value)


def space_to_depth(x: Any, block_size: int, data_format: Any = "channels_last") -> Any:
    """Squares of pixels as channels of one pixel: YOLO's reorganisation."""
    if is_first(data_format):
        return jnp.moveaxis(space_to_depth(jnp.moveaxis(x, 1, -1), block_size), -1, 1)
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // block_size, block_size, width // block_size, block_size, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(
        batch, height // block_size, width // block_size, block_size * block_size * channels
    )


def depth_to_space(x: Any, block_size: int, data_format: Any = "channels_last") -> Any:
    """Channels of one pixel as a square of pixels: the way back, and super-resolution's shuffle."""
    if is_first(data_format):
        return jnp.moveaxis(depth_to_space(jnp.moveaxis(x, 1, -1), block_size), -1, 1)
    batch, height, width, channels = x.shape
    depth = channels // block_size**2
    x = x.reshape(batch, height, width, block_size, block_size, depth)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height * block_size, width * block_size, depth)


def _multi_hot(inputs: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Any:
    check_sizes(num_classes)
    ids = jnp.asarray(inputs).astype(jnp.int32)
    hot = jax.nn.one_hot(ids, num_classes, axis=axis, dtype=dtype_of(dtype, jnp.float32))
    return jnp.max(hot, axis=1 if ids.ndim > 1 else 0)


def _binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    output, target = floating(output), floating(target)
    if from_logits:
        return -target * jax.nn.log_sigmoid(output) - (1.0 - target) * jax.nn.log_sigmoid(-output)
    probs = jnp.clip(output, _EPSILON, 1.0 - _EPSILON)
    return -target * jnp.log(probs) - (1.0 - target) * jnp.log(1.0 - probs)


def _categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    return -jnp.sum(floating(target) * _log_probs(output, from_logits, axis), axis=axis)


def _sparse_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    target = jnp.asarray(target).astype(jnp.int32)
    target = target[..., 0] if target.ndim == output.ndim and target.shape[-1] == 1 else target
    hot = jax.nn.one_hot(target, output.shape[axis], axis=axis)
    return -jnp.sum(hot * _log_probs(output, from_logits, axis), axis=axis)


def _log_probs(output: Any, from_logits: bool, axis: int) -> Any:
    output = floating(output)
    if from_logits:
        return jax.nn.log_softmax(output, axis=axis)
    probs = output / jnp.sum(output, axis=axis, keepdims=True)
    return jnp.log(jnp.clip(probs, _EPSILON, 1.0 - _EPSILON))


def _signal_to_noise(x1: Any, x2: Any, max_val: float) -> Any:
    return 20.0 * jnp.log10(jnp.asarray(max_val, jnp.float32)) - 10.0 * jnp.log10(jnp.mean(jnp.square(x1 - x2)))


def _in_top_k(targets: Any, predictions: Any, k: int) -> Any:
    of_target = jnp.take_along_axis(predictions, targets[:, None], axis=-1)
    return jnp.sum(predictions > of_target, axis=-1) < k


NETWORKS: Mapping[str, Function] = {
    "Conv": conv,
    "DepthwiseConv": depthwise,
    "SeparableConv": _separable,
    "ConvTranspose": _transposed,
    "MaxPool": pool(max_pool),
    "AveragePool": pool(average_pool),
    "AdaptiveMaxPool": _adaptive("AdaptiveMaxPooling"),
    "AdaptiveAveragePool": _adaptive("AdaptiveAveragePooling"),
    "Moments": _moments,
    "BatchNorm": lenient(_batch_norm),
    "RMSNorm": lenient(_rms_norm),
    "LayerNorm": lenient(_layer_norm),
    "DotProductAttention": lenient(_attention),
    "SpaceToDepth": space_to_depth,
    "DepthToSpace": depth_to_space,
    "MultiHot": _multi_hot,
    "BinaryCrossentropy": lenient(_binary_crossentropy),
    "CategoricalCrossentropy": lenient(_categorical_crossentropy),
    "SparseCategoricalCrossentropy": lenient(_sparse_crossentropy),
    "PSNR": lenient(_signal_to_noise),
    "InTopK": lenient(_in_top_k),
    "Polar": lenient(lambda abs_, angle: jax.lax.complex(abs_ * jnp.cos(angle), abs_ * jnp.sin(angle))),
    "HardShrink": lambda x, threshold=0.5: activations.hard_shrink(x, threshold),
    "SoftShrink": lambda x, threshold=0.5: activations.soft_shrink(x, threshold),
    "Threshold": lambda x, threshold, default_value: jnp.where(x > threshold, x, jnp.asarray(default_value, x.dtype)),
    "Sparsemax": lambda x, axis=-1: keras_sparsemax(x, axis),
    "SparsePlus": lambda x: ACTIVATIONS["sparse_plus"](floating(x)),
    "SparseSigmoid": lambda x: ACTIVATIONS["sparse_sigmoid"](floating(x)),
    "Squareplus": lambda x, b=4: jax.nn.squareplus(floating(x), b),
    "LogSoftmax": lambda x, axis=-1: jax.nn.log_softmax(floating(x), axis=axes(axis)),
}
"""Class of `keras.ops.nn` -> function of arrays."""

TYPED = ("MultiHot",)
"""The operations among them whose dtype is an argument."""
