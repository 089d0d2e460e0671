"""Functions of TensorFlow that are nobody else's, or whose arguments are: what tf.keras records beyond `keras.ops`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxgraphs.errors import GraphValueError
from jaxgraphs.io.keras.ops_common import Function, axes, constant, each_axis, is_first, lenient
from jaxgraphs.io.keras.ops_images import extract_patches, resize_as_tensorflow
from jaxgraphs.io.keras.ops_networks import conv, depthwise, pool
from jaxgraphs.layers.pooling import average_pool, max_pool
from jaxgraphs.symbolic.arrays import promote


def _pooled(function: Function) -> Function:
    """`tf.nn.max_pool` and kin, which name a size for batch and channels too."""

    def call(input: Any, ksize: Any, strides: Any, padding: str, data_format: Any = None, name: Any = None) -> Any:
        sizes, steps = (_spatial(part, data_format) for part in (ksize, strides))
        return pool(function)(input, sizes, steps, padding, data_format)

    return call


def _spatial(size: Any, data_format: Any) -> Any:
    """The numbers of the two spatial axes, where there are four with those of batch and channels."""
    if not isinstance(size, (list, tuple)) or len(size) != 4:
        return size
    return tuple(size[2:] if is_first(data_format) else size[1:3])


def _convolved(function: Function) -> Function:
    """`tf.nn.conv2d` and `depthwise_conv2d`, in the arguments of either of TensorFlow's versions."""

    def call(
        input: Any,
        filter: Any = None,
        strides: Any = 1,
        padding: str = "VALID",
        data_format: Any = None,
        dilations: Any = None,
        *,
        filters: Any = None,
        rate: Any = None,
        name: Any = None,
        use_cudnn_on_gpu: bool = True,
    ) -> Any:
        kernel = jnp.asarray(constant(filter if filters is None else filters))
        dilation = _spatial(rate if dilations is None else dilations, data_format)
        steps = 1 if strides is None else _spatial(strides, data_format)
        return function(input, kernel, steps, padding, data_format, 1 if dilation is None else dilation)

    return lenient(call)


def _extract_patches(
    images: Any, sizes: Any, strides: Any, rates: Any = (1, 1, 1, 1), padding: str = "VALID", name: Any = None
) -> Any:
    size, step, rate = (_spatial(part, None) for part in (sizes, strides, rates))
    return extract_patches(images, size, step, rate, padding)


def _norm(tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: bool = False, name: Any = None) -> Any:
    order = None if ord in ("euclidean", "fro") else ord
    return jnp.linalg.norm(tensor, ord=order, axis=axes(axis), keepdims=keepdims)


def _bias_add(value: Any, bias: Any, data_format: Any = None, name: Any = None) -> Any:
    bias = jnp.asarray(constant(bias), value.dtype)
    return value + (bias.reshape(-1, *[1] * (value.ndim - 2)) if is_first(data_format) else bias)


def _band_part(input: Any, num_lower: int, num_upper: int, name: Any = None) -> Any:
    """A matrix with zeros but for a band; a negative number keeps that whole side."""
    rows, columns = (lax.broadcasted_iota(jnp.int32, input.shape[-2:], axis) for axis in (0, 1))
    below = (num_lower < 0) | (rows - columns <= num_lower)
    above = (num_upper < 0) | (columns - rows <= num_upper)
    return jnp.where(below & above, input, jnp.zeros((), input.dtype))


def _response_normalized(
    input: Any, depth_radius: int = 5, bias: float = 1.0, alpha: float = 1.0, beta: float = 0.5, name: Any = None
) -> Any:
    """x / (bias + alpha sum x²)^beta, the sum over 2 depth_radius + 1 channels: AlexNet's."""
    window = (*[1] * (input.ndim - 1), 2 * each_axis(depth_radius, 1)[0] + 1)
    sums = lax.reduce_window(jnp.square(input), 0.0, lax.add, window, [1] * input.ndim, "SAME")
    return input / (bias + alpha * sums) ** beta


def _added(inputs: Any, name: Any = None) -> Any:
    return functools.reduce(jnp.add, promote(*inputs))


def _resized_images(x: Any, height_factor: int, width_factor: int, data_format: Any, interpolation: str = "nearest"):
    """`keras.backend.resize_images`: by whole factors."""
    last = jnp.moveaxis(x, 1, -1) if is_first(data_format) else x
    size = (last.shape[1] * height_factor, last.shape[2] * width_factor)
    y = resize_as_tensorflow(last, size, interpolation)
    return jnp.moveaxis(y, -1, 1) if is_first(data_format) else y


def _contrasted(images: Any, contrast_factor: float) -> Any:
    mean = jnp.mean(images, axis=(-3, -2), keepdims=True)
    return (images - mean) * contrast_factor + mean


def _logits_crossentropy(labels: Any = None, logits: Any = None, name: Any = None) -> Any:
    return jnp.maximum(logits, 0) - logits * labels + jnp.log1p(jnp.exp(-jnp.abs(logits)))


def _checked(tensor: Any, message: Any = None, name: Any = None) -> Any:
    return tensor


def _ensured(x: Any, shape: Any, name: Any = None) -> Any:
    wrong = [
        (size, wanted)
        for size, wanted in zip(x.shape, shape, strict=False)
        if isinstance(size, int) and wanted is not None and size != wanted
    ]
    if wrong or len(shape) != x.ndim:
        raise GraphValueError("A tensor has not the shape that the model asks for.", received=str(x.shape))
    return x


TENSORFLOW: Mapping[str, Function] = {
    "image.resize": resize_as_tensorflow,
    **dict.fromkeys(("image.extract_patches", "compat.v1.extract_image_patches"), lenient(_extract_patches)),
    **dict.fromkeys(("nn.max_pool", "nn.max_pool2d", "compat.v1.nn.max_pool"), _pooled(max_pool)),
    **dict.fromkeys(("nn.avg_pool", "nn.avg_pool2d", "compat.v1.nn.avg_pool"), _pooled(average_pool)),
    **dict.fromkeys(("nn.conv2d", "compat.v1.nn.conv2d", "nn.convolution"), _convolved(conv)),
    **dict.fromkeys(("nn.depthwise_conv2d", "compat.v1.nn.depthwise_conv2d"), _convolved(depthwise)),
    **dict.fromkeys(("norm", "linalg.norm", "compat.v1.norm"), _norm),
    **dict.fromkeys(("shape", "compat.v1.shape"), lambda input, out_type=None, name=None: jnp.asarray(input.shape)),
    **dict.fromkeys(("add_n", "math.add_n"), _added),
    **dict.fromkeys(("nn.local_response_normalization", "nn.lrn"), lenient(_response_normalized)),
    "nn.gelu": lambda features, approximate=False, name=None: jax.nn.gelu(features, approximate=approximate),
    "nn.bias_add": lenient(_bias_add),
    "nn.crelu": lambda features, axis=-1, name=None: jax.nn.relu(jnp.concatenate([features, -features], axis)),
    "nn.sigmoid_cross_entropy_with_logits": lenient(_logits_crossentropy),
    "linalg.band_part": _band_part,
    "linalg.diag_part": lambda input, name=None: jnp.diagonal(input, 0, -2, -1),
    "linalg.trace": lambda x, name=None: jnp.trace(x, 0, -2, -1),
    "linalg.matrix_transpose": lambda a, name=None: jnp.swapaxes(a, -1, -2),
    "image.flip_left_right": lambda image: jnp.flip(image, -2),
    "image.flip_up_down": lambda image: jnp.flip(image, -3),
    "image.adjust_brightness": lambda image, delta: image + jnp.asarray(delta, image.dtype),
    "image.adjust_contrast": lenient(_contrasted),
    "keras.backend.resize_images": _resized_images,
    "debugging.check_numerics": _checked,
    "ensure_shape": _ensured,
}
"""Name of a function of TensorFlow -> the same of arrays, in its own arguments."""
