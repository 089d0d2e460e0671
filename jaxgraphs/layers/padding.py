"""Zeros around a tensor, and a margin cut from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import lax

from jaxgraphs.layers.base import Array, Weights, describes
from jaxgraphs.layers.spatial import SpatialLayer, long_enough, read_pairs, read_sizes
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title
from jaxgraphs.symbolic.spec import Dim

Pairs = tuple[tuple[int, int], ...]


@describes
class BaseMargin(SpatialLayer):
    """What zero padding and cropping share: an argument of (before, after) for each spatial axis."""

    margin: ClassVar[str] = ""

    def _read(self, field: str, value: Any) -> Any:
        if field != self.margin:
            return super()._read(field, value)
        # Along one axis Keras says (before, after), not ((before, after),).
        return read_sizes(self, field, value, 2, 0) if self.rank == 1 else read_pairs(self, field, value, self.rank)

    def pairs(self) -> Pairs:
        """(before, after) for each spatial axis."""
        value = getattr(self, self.margin)
        return (value,) if self.rank == 1 else value


@describes
class BaseZeroPadding(BaseMargin):
    """Zeros around the spatial axes."""

    padding: Any = 1
    data_format: Any = None

    margin: ClassVar[str] = "padding"

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        spatial = dict(zip(self.spatial_axes, self.pairs(), strict=True))
        return jnp.pad(x, [spatial.get(axis, (0, 0)) for axis in range(x.ndim)])


@describes
class ZeroPadding1D(BaseZeroPadding):
    """Zeros before and after a sequence.

    Args:
        padding: how many steps at both ends, or (before, after).
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, steps, channels) -> (batch, before + steps + after, channels).
    Raises: GraphError for a padding that is not made of whole numbers of at least 0.

    >>> from jaxgraphs.symbolic.node import Input
    >>> ZeroPadding1D((2, 0))(Input((10, 3))).shape
    (None, 12, 3)
    """

    rank: ClassVar[int] = 1


@describes
class ZeroPadding2D(BaseZeroPadding):
    """Zeros around an image.

    Args:
        padding: how many rows and columns on every side; (rows, columns); or ((top, bottom), (left, right)).
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, height, width, channels) -> (batch, top + height + bottom, left + width + right, channels).
    Raises: GraphError for a padding that is not made of whole numbers of at least 0.

    >>> from jaxgraphs.symbolic.node import Input
    >>> ZeroPadding2D(((0, 1), (0, 1)))(Input((224, 224, 3))).shape
    (None, 225, 225, 3)
    """

    rank: ClassVar[int] = 2


@describes
class ZeroPadding3D(BaseZeroPadding):
    """Zeros around a volume.

    Args:
        padding: how many on every side; (depth, height, width); or a (before, after) for each of the three.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, depth, height, width, channels), each spatial axis longer by before + after.
    Raises: GraphError for a padding that is not made of whole numbers of at least 0.

    >>> from jaxgraphs.symbolic.node import Input
    >>> ZeroPadding3D((0, 1, 1))(Input((4, 8, 8, 3))).shape
    (None, 4, 10, 10, 3)
    """

    rank: ClassVar[int] = 3


@describes
class BaseCropping(BaseMargin):
    """A margin cut from the spatial axes."""

    margin: ClassVar[str] = "cropping"

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        least = [sum(pair) + 1 for pair in self.pairs()]
        long_enough(self, x, least, f"{title(self)} would leave nothing of its input.", "crop less, or a larger input")
        return crop(x, self.spatial_axes, self.pairs())

    def size_after(self, index: int, size: Dim) -> Dim:
        return size - sum(self.pairs()[index])


def crop(x: Array, axes: Sequence[int], pairs: Sequence[tuple[int, int]]) -> Array:
    """x without (before, after) elements along each of `axes`.

    >>> crop(jnp.arange(5), [0], [(1, 2)]).tolist()
    [1, 2]
    """
    for axis, (before, after) in zip(axes, pairs, strict=True):
        x = lax.slice_in_dim(x, before, x.shape[axis] - after, axis=axis)
    return x


@describes
class Cropping1D(BaseCropping):
    """Cuts the ends of a sequence off.

    Args:
        cropping: how many steps at both ends, or (before, after).
    Shapes: (batch, steps, channels) -> (batch, steps - before - after, channels).
    Raises: GraphError for a cropping that is not made of whole numbers of at least 0, or that leaves nothing.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Cropping1D((1, 2))(Input((10, 3))).shape
    (None, 7, 3)
    """

    cropping: Any = (1, 1)

    rank: ClassVar[int] = 1


@describes
class Cropping2D(BaseCropping):
    """Cuts the margin of an image off.

    Args:
        cropping: how many rows and columns on every side; (rows, columns); or ((top, bottom), (left, right)).
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, height, width, channels) -> (batch, height - top - bottom, width - left - right, channels).
    Raises: GraphError for a cropping that is not made of whole numbers of at least 0, or that leaves nothing.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Cropping2D(((2, 2), (4, 4)))(Input((28, 28, 3))).shape
    (None, 24, 20, 3)
    """

    cropping: Any = ((0, 0), (0, 0))
    data_format: Any = None

    rank: ClassVar[int] = 2


@describes
class Cropping3D(BaseCropping):
    """Cuts the margin of a volume off.

    Args:
        cropping: how many on every side; (depth, height, width); or a (before, after) for each of the three.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, depth, height, width, channels), each spatial axis shorter by before + after.
    Raises: GraphError for a cropping that is not made of whole numbers of at least 0, or that leaves nothing.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Cropping3D(1)(Input((4, 8, 8, 3))).shape
    (None, 2, 6, 6, 3)
    """

    cropping: Any = ((1, 1), (1, 1), (1, 1))
    data_format: Any = None

    rank: ClassVar[int] = 3
