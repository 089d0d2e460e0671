"""Operations on pictures: those of `keras.ops.image`, one picture or a batch of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from jaxgraphs.io.keras.ops_common import Function, check_sizes, each_axis, floating, is_first, lenient
from jaxgraphs.layers.convolve import depthwise_convolve
from jaxgraphs.layers.pictures import gaussian_blur, grey, hsv_to_rgb, rgb_to_hsv
from jaxgraphs.layers.resizing import Resizing
from jaxgraphs.layers.resizing import resize as interpolate
from jaxgraphs.layers.warp import affine_transform, map_coordinates
from jaxgraphs.symbolic.context import Context


def _batched(function: Function) -> Function:
    """`function` of a batch of pictures with channels last, for one picture and for channels first too."""

    def call(images: Any, *args: Any, data_format: Any = None, **kwargs: Any) -> Any:
        single, first = images.ndim == 3, is_first(data_format)
        x = images[None] if single else images
        y = function(jnp.moveaxis(x, 1, -1) if first else x, *args, **kwargs)
        y = jnp.moveaxis(y, -1, 1) if first else y
        return y[0] if single else y

    return lenient(call)


def _resize(
    images: Any,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
) -> Any:
    check_sizes(*size)
    ratio: Any = {"crop_to_aspect_ratio": crop_to_aspect_ratio, "pad_to_aspect_ratio": pad_to_aspect_ratio}
    height, width = size
    layer = Resizing(
        height, width, interpolation, fill_mode=fill_mode, fill_value=fill_value, antialias=antialias, **ratio
    )
    return layer.call({}, images, context=Context(train=False))


def resize_as_tensorflow(
    images: Any, size: Any, method: Any = "bilinear", preserve_aspect_ratio: bool = False, antialias: bool = False
) -> Any:
    """`tf.image.resize` of a batch; floating except for "nearest"."""
    check_sizes(*size)
    method = {"ResizeMethod.BILINEAR": "bilinear", 0: "bilinear", 1: "nearest", 2: "bicubic"}.get(method, method)
    x = images if method == "nearest" else floating(images)
    return interpolate(x, (1, 2), tuple(size), method, antialias)


def extract_patches(images: Any, size: Any, strides: Any = None, dilation_rate: Any = 1, padding: str = "valid") -> Any:
    """Each window's pixels as the channels of one pixel."""
    window = each_axis(size, images.ndim - 2)
    check_sizes(*window)
    steps = window if not strides else each_axis(strides, len(window))
    count, channels = math.prod(window), images.shape[-1]
    check_sizes(count * count)
    kernel = jnp.eye(count, dtype=images.dtype).reshape(*window, 1, count)
    found = depthwise_convolve(
        images,
        jnp.tile(kernel, (*(1,) * len(window), channels, 1)),
        strides=steps,
        padding=padding.lower(),
        dilation=each_axis(dilation_rate, len(window)),
    )
    places = found.shape[:-1]
    return jnp.swapaxes(found.reshape(*places, channels, count), -1, -2).reshape(*places, count * channels)


def _margins(images: Any, start: Any, end: Any, target: Any, axis: int, sign: int) -> tuple[int, int]:
    """What to add or to cut before and after an axis; two of the three numbers are given."""
    size = images.shape[axis]
    if start is None:
        start = sign * (target - size) - end
    if end is None:
        end = sign * (target - size) - start
    check_sizes(start, end)
    return start, end


def _pad(
    images: Any,
    top_padding: Any = None,
    left_padding: Any = None,
    bottom_padding: Any = None,
    right_padding: Any = None,
    target_height: Any = None,
    target_width: Any = None,
) -> Any:
    rows = _margins(images, top_padding, bottom_padding, target_height, 1, 1)
    columns = _margins(images, left_padding, right_padding, target_width, 2, 1)
    return jnp.pad(images, ((0, 0), rows, columns, (0, 0)))


def _crop(
    images: Any,
    top_cropping: Any = None,
    left_cropping: Any = None,
    bottom_cropping: Any = None,
    right_cropping: Any = None,
    target_height: Any = None,
    target_width: Any = None,
) -> Any:
    top, bottom = _margins(images, top_cropping, bottom_cropping, target_height, 1, -1)
    left, right = _margins(images, left_cropping, right_cropping, target_width, 2, -1)
    return images[:, top : images.shape[1] - bottom, left : images.shape[2] - right]


def _blurred(images: Any, kernel_size: Sequence[int] = (3, 3), sigma: Sequence[float] = (1.0, 1.0)) -> Any:
    check_sizes(*kernel_size)
    return gaussian_blur(images, kernel_size, sigma)


IMAGES: Mapping[str, Function] = {
    "Resize": _batched(_resize),
    "RGBToGrayscale": _batched(lambda images: grey(images).astype(images.dtype)),
    "RGBToHSV": _batched(rgb_to_hsv),
    "HSVToRGB": _batched(hsv_to_rgb),
    "ExtractPatches": _batched(extract_patches),
    "PadImages": _batched(_pad),
    "CropImages": _batched(_crop),
    "AffineTransform": _batched(affine_transform),
    "GaussianBlur": _batched(_blurred),
    "MapCoordinates": lenient(map_coordinates),
}
"""Class of `keras.ops.image` -> function of arrays."""
