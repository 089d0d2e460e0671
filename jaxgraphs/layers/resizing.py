"""Tensors of another size: up-sampling by whole factors, resizing to given sizes, cutting out the centre."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from jaxgraphs.errors import GraphTypeError, GraphValueError
from jaxgraphs.layers.base import Array, Weights, describes, positive
from jaxgraphs.layers.padding import crop
from jaxgraphs.layers.spatial import SpatialLayer
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


def repeat_each(x: Array, axes: Sequence[int], times: Sequence[int]) -> Array:
    """x with each element repeated in place along each of `axes`.

    >>> repeat_each(jnp.array([1, 2]), [0], [2]).tolist()
    [1, 1, 2, 2]
    """
    for axis, count in zip(axes, times, strict=True):
        x = jnp.repeat(x, count, axis=axis)
    return x


def resize(x: Array, axes: Sequence[int], sizes: Sequence[Any], method: str, antialias: bool = False) -> Array:
    """x interpolated to `sizes` along `axes`, pixels taken as areas, as TensorFlow 2 does.

    Whole numbers are rounded and kept within their dtype.
    """
    shape = list(x.shape)
    for axis, size in zip(axes, sizes, strict=True):
        shape[axis] = size
    if jnp.issubdtype(x.dtype, jnp.inexact) or method == "nearest":
        return jax.image.resize(x, shape, method, antialias=antialias)
    limits = jnp.iinfo(x.dtype)
    resized = jnp.round(jax.image.resize(x.astype(jnp.float32), shape, method, antialias=antialias))
    return jnp.clip(resized, limits.min, limits.max).astype(x.dtype)


@describes
class UpSampling1D(SpatialLayer):
    """Repeats each step in place.

    Args:
        size: how many times.
    Shapes: (batch, steps, channels) -> (batch, steps size, channels).
    Raises: GraphError for a size that is not a positive whole number.

    >>> from jaxgraphs.symbolic.node import Input
    >>> UpSampling1D(3)(Input((None, 4))).shape
    (None, None, 4)
    """

    size: int = 2

    rank: ClassVar[int] = 1

    def validate(self) -> None:
        if not isinstance(self.size, int):
            raise GraphTypeError(f"{title(self)} needs one whole number as its size.", received=f"size={self.size!r}")
        positive(self, size=self.size)

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return repeat_each(x, self.spatial_axes, (self.size,))


@describes
class UpSampling2D(SpatialLayer):
    """An image with each pixel repeated, or interpolated, to a whole multiple of its size.

    Args:
        size: factors of rows and columns; one number stands for both.
        data_format: "channels_last" (None is this) or "channels_first".
        interpolation: "nearest" repeats; "bilinear", "bicubic", "lanczos3" and "lanczos5" interpolate.
    Shapes: (batch, height, width, channels) -> (batch, height size[0], width size[1], channels).
    Raises: GraphError for factors that are not positive and for an unknown interpolation.

    >>> from jaxgraphs.symbolic.node import Input
    >>> UpSampling2D(2, interpolation="bilinear")(Input((7, 7, 16))).shape
    (None, 14, 14, 16)
    """

    size: Any = (2, 2)
    data_format: Any = None
    interpolation: str = "nearest"

    rank: ClassVar[int] = 2
    per_axis: ClassVar[Mapping[str, int]] = {"size": 1}
    interpolations: ClassVar[tuple[str, ...]] = INTERPOLATIONS

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        if self.interpolation == "nearest":
            return repeat_each(x, self.spatial_axes, self.size)
        sizes = [x.shape[axis] * factor for axis, factor in zip(self.spatial_axes, self.size, strict=True)]
        return resize(x, self.spatial_axes, sizes, self.interpolation)


@describes
class UpSampling3D(SpatialLayer):
    """A volume with each element repeated in place.

    Args:
        size: factors of depth, height and width; one number stands for all.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, depth, height, width, channels), each spatial axis multiplied by its factor.
    Raises: GraphError for factors that are not positive.

    >>> from jaxgraphs.symbolic.node import Input
    >>> UpSampling3D((1, 2, 2))(Input((4, 4, 4, 2))).shape
    (None, 4, 8, 8, 2)
    """

    size: Any = (2, 2, 2)
    data_format: Any = None

    rank: ClassVar[int] = 3
    per_axis: ClassVar[Mapping[str, int]] = {"size": 1}

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return repeat_each(x, self.spatial_axes, self.size)


@describes
class Resizing(SpatialLayer):
    """An image interpolated to a given size.

    Args:
        height, width: of the output, in pixels.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos3" or "lanczos5".
        crop_to_aspect_ratio: whether to cut the longer side first, so that nothing is stretched.
        pad_to_aspect_ratio: whether to lengthen the shorter side first with `fill_value`.
        fill_mode: "constant", the only one that Keras has.
        fill_value: what is added by pad_to_aspect_ratio.
        antialias: whether to average over several pixels when shrinking.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, rows, columns, channels) -> (batch, height, width, channels), of the input's dtype.
    Raises: GraphError for sizes that are not positive, an unknown interpolation, and both ways to keep the ratio.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Resizing(299, 299)(Input((None, None, 3))).shape
    (None, 299, 299, 3)
    """

    height: int
    width: int
    interpolation: str = "bilinear"
    crop_to_aspect_ratio: bool = False
    pad_to_aspect_ratio: bool = False
    fill_mode: str = "constant"
    fill_value: float = 0.0
    antialias: bool = False
    data_format: Any = None

    rank: ClassVar[int] = 2
    interpolations: ClassVar[tuple[str, ...]] = INTERPOLATIONS

    def validate(self) -> None:
        positive(self, height=self.height, width=self.width)
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise GraphValueError(
                f"{title(self)} is to keep the ratio of the sides in two ways.",
                received="crop_to_aspect_ratio=True, pad_to_aspect_ratio=True",
                expected="one of them at most",
            )
        if self.fill_mode != "constant":
            raise GraphValueError(
                f"{title(self)} cannot use this fill_mode.",
                received=f"fill_mode={self.fill_mode!r}",
                expected="'constant'",
            )

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        target = (self.height, self.width)
        if self.crop_to_aspect_ratio:
            x = crop_to_ratio(x, self.spatial_axes, target)
        if self.pad_to_aspect_ratio:
            x = pad_to_ratio(x, self.spatial_axes, target, self.fill_value)
        return resize(x, self.spatial_axes, target, self.interpolation, self.antialias)


@describes
class CenterCrop(SpatialLayer):
    """The centre of an image; an image that is too small is cut to the ratio of the sides and resized.

    Args:
        height, width: of the output, in pixels.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, rows, columns, channels) -> (batch, height, width, channels), floating.
    Raises: GraphError for sizes that are not positive.

    >>> from jaxgraphs.symbolic.node import Input
    >>> CenterCrop(224, 224)(Input((256, 256, 3))).shape
    (None, 224, 224, 3)
    """

    height: int
    width: int
    data_format: Any = None

    rank: ClassVar[int] = 2

    def validate(self) -> None:
        positive(self, height=self.height, width=self.width)

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(self.compute_dtype or jnp.float32)
        target = (self.height, self.width)
        margins = [x.shape[axis] - size for axis, size in zip(self.spatial_axes, target, strict=True)]
        if min(margins) >= 0:
            return crop(x, self.spatial_axes, [(margin // 2, margin - margin // 2) for margin in margins])
        return resize(crop_to_ratio(x, self.spatial_axes, target), self.spatial_axes, target, "bilinear")


def fitting_sizes(sizes: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """For each side, the length that gives the ratio of `target` while the other side stays.

    >>> fitting_sizes((10, 30), (1, 2))
    (15, 20)
    """
    (height, width), (rows, columns) = sizes, target
    return int(width * rows / columns), int(height * columns / rows)


def crop_to_ratio(x: Array, axes: Sequence[int], target: tuple[int, int]) -> Array:
    """The largest centred part of x whose sides have the ratio of `target`."""
    sizes = (x.shape[axes[0]], x.shape[axes[1]])
    for axis, size, fitting in zip(axes, sizes, fitting_sizes(sizes, target), strict=True):
        kept = max(min(size, fitting), 1)
        start = (size - kept) // 2
        x = lax.slice_in_dim(x, start, start + kept, axis=axis)
    return x


def pad_to_ratio(x: Array, axes: Sequence[int], target: tuple[int, int], fill: float) -> Array:
    """x with as much `fill` on both ends of one side as brings the sides near the ratio of `target`.

    As in Keras both ends get the same, so that an odd rest is left out.
    """
    sizes = (x.shape[axes[0]], x.shape[axes[1]])
    widths = [(0, 0)] * x.ndim
    for axis, size, fitting in zip(axes, sizes, fitting_sizes(sizes, target), strict=True):
        margin = max(fitting - size, 0) // 2
        widths[axis] = (margin, margin)
    return jnp.pad(x, widths, constant_values=jnp.asarray(fill, x.dtype))
