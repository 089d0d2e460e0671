"""Pooling to a given size, whatever the size of the input: the windows adapt, the output does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from jaxgraphs.layers.base import Array, Weights, describes
from jaxgraphs.layers.core import check_floating
from jaxgraphs.layers.extremes import largest
from jaxgraphs.layers.spatial import SpatialLayer
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.spec import TensorSpec


def adaptive_windows(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Window i of `count` runs from floor(i size / count) to ceil((i + 1) size / count), its end left out.

    Returns: (count, longest) places, and of the same shape whether a place belongs to the window.

    >>> places, inside = adaptive_windows(5, 2)
    >>> places.tolist(), inside.tolist()
    ([[0, 1, 2], [2, 3, 4]], [[True, True, True], [True, True, True]])
    """
    index = np.arange(count)
    start, end = index * size // count, -(-(index + 1) * size // count)
    places = start[:, None] + np.arange(np.max(end - start))[None, :]
    return np.minimum(places, size - 1), places < end[:, None]


def mean_inside(windows: Array, inside: Array, axis: int) -> Array:
    """The mean along `axis` of what is `inside`, which broadcasts to `windows`."""
    total = jnp.sum(jnp.where(inside, windows, jnp.zeros_like(windows)), axis=axis)
    return total / jnp.sum(inside, axis=axis).astype(windows.dtype)


def max_inside(windows: Array, inside: Array, axis: int) -> Array:
    """The largest number along `axis` of what is `inside`, which broadcasts to `windows`."""
    return largest(jnp.where(inside, windows, jnp.full_like(windows, -jnp.inf)), axis=axis)


@describes
class BaseAdaptivePooling(SpatialLayer):
    """What the adaptive poolings share; a subclass says how a window becomes a number."""

    output_size: Any
    data_format: Any = None

    per_axis: ClassVar[Mapping[str, int]] = {"output_size": 1}
    reduce: ClassVar[Callable[[Array, Array, int], Array]]

    def check_input(self, spec: TensorSpec) -> None:
        check_floating(self, spec)

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        for axis, count in zip(self.spatial_axes, self.output_size, strict=True):
            places, inside = adaptive_windows(x.shape[axis], count)
            windows = jnp.take(x, places, axis=axis)
            mask = jnp.asarray(inside.reshape(*(1,) * axis, *inside.shape, *(1,) * (x.ndim - axis - 1)))
            x = self.reduce(windows, mask, axis + 1)
        return x


@describes
class BaseAdaptiveAveragePooling(BaseAdaptivePooling):
    """The mean of each window."""

    reduce: ClassVar[Callable[[Array, Array, int], Array]] = staticmethod(mean_inside)


@describes
class BaseAdaptiveMaxPooling(BaseAdaptivePooling):
    """The largest number of each window."""

    reduce: ClassVar[Callable[[Array, Array, int], Array]] = staticmethod(max_inside)


@describes
class AdaptiveAveragePooling1D(BaseAdaptiveAveragePooling):
    """The means of `output_size` windows that together cover a sequence.

    Args:
        output_size: how many steps the output has.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, steps, channels) -> (batch, output_size, channels).
    Raises: GraphError for a size that is not positive and for whole numbers as input.

    >>> from jaxgraphs.symbolic.node import Input
    >>> AdaptiveAveragePooling1D(4)(Input((None, 3))).shape
    (None, 4, 3)
    """

    rank: ClassVar[int] = 1


@describes
class AdaptiveAveragePooling2D(BaseAdaptiveAveragePooling):
    """The means of `output_size` windows that together cover an image.

    Args:
        output_size: rows and columns of the output; one number stands for both.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, height, width, channels) -> (batch, *output_size, channels).
    Raises: GraphError for a size that is not positive and for whole numbers as input.

    >>> from jaxgraphs.symbolic.node import Input
    >>> AdaptiveAveragePooling2D((2, 3))(Input((7, 8, 3))).shape
    (None, 2, 3, 3)
    """

    rank: ClassVar[int] = 2


@describes
class AdaptiveAveragePooling3D(BaseAdaptiveAveragePooling):
    """The means of `output_size` windows that together cover a volume.

    Args:
        output_size: depth, height and width of the output; one number stands for all.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, depth, height, width, channels) -> (batch, *output_size, channels).
    Raises: GraphError for a size that is not positive and for whole numbers as input.

    >>> from jaxgraphs.symbolic.node import Input
    >>> AdaptiveAveragePooling3D(2)(Input((4, 5, 6, 3))).shape
    (None, 2, 2, 2, 3)
    """

    rank: ClassVar[int] = 3


@describes
class AdaptiveMaxPooling1D(BaseAdaptiveMaxPooling):
    """The largest numbers of `output_size` windows that together cover a sequence.

    Args:
        output_size: how many steps the output has.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, steps, channels) -> (batch, output_size, channels).
    Raises: GraphError for a size that is not positive and for whole numbers as input.

    >>> from jaxgraphs.symbolic.node import Input
    >>> AdaptiveMaxPooling1D(4)(Input((None, 3))).shape
    (None, 4, 3)
    """

    rank: ClassVar[int] = 1


@describes
class AdaptiveMaxPooling2D(BaseAdaptiveMaxPooling):
    """The largest numbers of `output_size` windows that together cover an image.

    Args:
        output_size: rows and columns of the output; one number stands for both.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, height, width, channels) -> (batch, *output_size, channels).
    Raises: GraphError for a size that is not positive and for whole numbers as input.

    >>> from jaxgraphs.symbolic.node import Input
    >>> AdaptiveMaxPooling2D(2)(Input((7, 8, 3))).shape
    (None, 2, 2, 3)
    """

    rank: ClassVar[int] = 2


@describes
class AdaptiveMaxPooling3D(BaseAdaptiveMaxPooling):
    """The largest numbers of `output_size` windows that together cover a volume.

    Args:
        output_size: depth, height and width of the output; one number stands for all.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, depth, height, width, channels) -> (batch, *output_size, channels).
    Raises: GraphError for a size that is not positive and for whole numbers as input.

    >>> from jaxgraphs.symbolic.node import Input
    >>> AdaptiveMaxPooling3D(2)(Input((4, 5, 6, 3))).shape
    (None, 2, 2, 2, 3)
    """

    rank: ClassVar[int] = 3
