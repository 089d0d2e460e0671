"""Pooling over windows: the largest or the mean of what each window covers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgraphs.layers.base import Array, Weights, describes
from jaxgraphs.layers.core import check_floating
from jaxgraphs.layers.spatial import SpatialLayer, window_fits, window_places
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.spec import Dim, TensorSpec


def max_pool(x: Array, window: Sequence[int], strides: Sequence[int], padding: str) -> Array:
    """The largest number of each window; what "same" adds never wins.

    Args:
        x: numbers, of any arrangement of axes.
        window, strides: one number for each axis of x, 1 along batch and channels.
        padding: "valid" or "same".
    """
    floating = jnp.issubdtype(x.dtype, jnp.inexact)
    least = np.array(-np.inf if floating else jnp.iinfo(x.dtype).min, x.dtype)
    return lax.reduce_window(x, least, lax.max, tuple(window), tuple(strides), padding.upper())


def average_pool(x: Array, window: Sequence[int], strides: Sequence[int], padding: str) -> Array:
    """The mean of each window; what "same" adds is left out of it. Arguments as for `max_pool`."""
    total = _sum_pool(x, window, strides, padding)
    if padding == "valid":
        return total / math.prod(window)
    for axis, (size, stride) in enumerate(zip(window, strides, strict=True)):
        if size > 1:
            # How many elements a window covers is a product over the axes, and small to compute so.
            count = _sum_pool(jnp.ones((x.shape[axis],), x.dtype), (size,), (stride,), padding)
            total = total / count.reshape([-1 if other == axis else 1 for other in range(x.ndim)])
    return total


def _sum_pool(x: Array, window: Sequence[int], strides: Sequence[int], padding: str) -> Array:
    return lax.reduce_window(x, np.array(0, x.dtype), lax.add, tuple(window), tuple(strides), padding.upper())


@describes
class BasePooling(SpatialLayer):
    """What the windowed poolings share; a subclass says how a window becomes a number."""

    pool_size: Any
    strides: Any = None
    padding: str = "valid"
    data_format: Any = None

    per_axis: ClassVar[Mapping[str, int]] = {"pool_size": 1, "strides": 1}
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")

    def windows(self, x: Array) -> tuple[tuple[int, ...], tuple[int, ...], str]:
        """Window and strides for every axis of x, and the padding; or an error where a window has no place."""
        if self.padding == "valid":
            window_fits(self, x, self.pool_size, 'padding="same", a smaller pool_size, or a larger input')
        return self._all_axes(self.pool_size), self._all_axes(self.strides or self.pool_size), self.padding

    def size_after(self, index: int, size: Dim) -> Dim:
        stride = (self.strides or self.pool_size)[index]
        return window_places(size, self.pool_size[index], stride, self.padding)

    def _all_axes(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        return (1, 1, *sizes) if self.channels_first else (1, *sizes, 1)


@describes
class BaseMaxPooling(BasePooling):
    """The largest number of each window."""

    pool_size: Any = 2

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return max_pool(x, *self.windows(x))


@describes
class BaseAveragePooling(BasePooling):
    """The mean of each window."""

    def check_input(self, spec: TensorSpec) -> None:
        check_floating(self, spec)

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return average_pool(x, *self.windows(x))


@describes
class MaxPooling1D(BaseMaxPooling):
    """The largest number of each window along time, for each channel.

    Args:
        pool_size: how many steps a window covers.
        strides: how many steps lie between windows; None is pool_size.
        padding: "valid" for none, "same" for ceil(steps / strides) outputs.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, steps, channels) -> (batch, places, channels).
    Raises: GraphError for sizes that are not positive, and a window longer than the input with "valid".

    >>> from jaxgraphs.symbolic.node import Input
    >>> MaxPooling1D(5)(Input((500, 128))).shape
    (None, 100, 128)
    """

    rank: ClassVar[int] = 1


@describes
class MaxPooling2D(BaseMaxPooling):
    """The largest number of each window of an image, for each channel.

    Args:
        pool_size: rows and columns of a window; one number stands for both, here and below.
        strides: rows and columns between windows; None is pool_size.
        padding: "valid" for none, "same" for ceil(size / stride) outputs along each axis.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, height, width, channels) -> (batch, rows, columns, channels).
    Raises: GraphError for sizes that are not positive, and a window larger than the input with "valid".

    >>> from jaxgraphs.symbolic.node import Input
    >>> MaxPooling2D(3, strides=2)(Input((35, 35, 8))).shape
    (None, 17, 17, 8)
    """

    rank: ClassVar[int] = 2


@describes
class MaxPooling3D(BaseMaxPooling):
    """The largest number of each window of a volume, for each channel.

    Args:
        pool_size: depth, height and width of a window; one number stands for all, here and below.
        strides: how far windows lie apart; None is pool_size.
        padding: "valid" for none, "same" for ceil(size / stride) outputs along each axis.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, depth, height, width, channels) -> (batch, *places, channels).
    Raises: GraphError as MaxPooling2D.

    >>> from jaxgraphs.symbolic.node import Input
    >>> MaxPooling3D()(Input((8, 8, 8, 2))).shape
    (None, 4, 4, 4, 2)
    """

    rank: ClassVar[int] = 3


@describes
class AveragePooling1D(BaseAveragePooling):
    """The mean of each window along time, for each channel; padding is left out of the mean.

    Args:
        pool_size: how many steps a window covers.
        strides: how many steps lie between windows; None is pool_size.
        padding: "valid" for none, "same" for ceil(steps / strides) outputs.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, steps, channels) -> (batch, places, channels).
    Raises: GraphError for sizes that are not positive, whole numbers as input, and a window longer than the input with
        "valid".

    >>> layer = AveragePooling1D(3, strides=1, padding="same").module()
    >>> layer.apply({}, jnp.array([[[1.0], [2.0], [6.0]]])).ravel().tolist()
    [1.5, 3.0, 4.0]
    """

    rank: ClassVar[int] = 1


@describes
class AveragePooling2D(BaseAveragePooling):
    """The mean of each window of an image, for each channel; padding is left out of the mean.

    Args:
        pool_size: rows and columns of a window; one number stands for both, here and below.
        strides: rows and columns between windows; None is pool_size.
        padding: "valid" for none, "same" for ceil(size / stride) outputs along each axis.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, height, width, channels) -> (batch, rows, columns, channels).
    Raises: GraphError as AveragePooling1D.

    >>> from jaxgraphs.symbolic.node import Input
    >>> AveragePooling2D(3, strides=1, padding="same")(Input((28, 28, 256))).shape
    (None, 28, 28, 256)
    """

    rank: ClassVar[int] = 2


@describes
class AveragePooling3D(BaseAveragePooling):
    """The mean of each window of a volume, for each channel; padding is left out of the mean.

    Args:
        pool_size: depth, height and width of a window; one number stands for all, here and below.
        strides: how far windows lie apart; None is pool_size.
        padding: "valid" for none, "same" for ceil(size / stride) outputs along each axis.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, depth, height, width, channels) -> (batch, *places, channels).
    Raises: GraphError as AveragePooling1D.

    >>> from jaxgraphs.symbolic.node import Input
    >>> AveragePooling3D((1, 2, 2))(Input((8, 8, 8, 2))).shape
    (None, 8, 4, 4, 2)
    """

    rank: ClassVar[int] = 3


MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
