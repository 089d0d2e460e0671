"""Pictures whose values are spread over the whole range: by their ends, by their histogram, or tile by tile."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxgraphs.layers.augmentation import LastAugmentation
from jaxgraphs.layers.base import Array, Weights, describes, positive
from jaxgraphs.layers.pictures import ranged
from jaxgraphs.layers.preprocessing import as_floating
from jaxgraphs.layers.spatial import SpatialLayer
from jaxgraphs.symbolic.context import Context

_TONES = 256


@describes
class AutoContrast(SpatialLayer):
    """Stretches each channel of each picture over the whole range; a channel of one value stays as it is.

    Args:
        value_range: of the pictures.
    Shapes: (batch, height, width, channels) -> the same, floating.

    >>> from jaxgraphs.symbolic.node import Input
    >>> AutoContrast()(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    value_range: Any = (0, 255)

    rank: ClassVar[int] = 2

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        x = as_floating(self, x)
        ends = sorted(self.value_range)
        y = ranged(x, ends, (0, 255))
        low, high = jnp.min(y, (1, 2), keepdims=True), jnp.max(y, (1, 2), keepdims=True)
        is_flat = high == low
        scale = 255.0 / jnp.where(is_flat, 1.0, high - low)
        y = jnp.clip(y * scale - low * scale, 0.0, 255.0)
        return jnp.where(is_flat, x, ranged(y, (0, 255), ends)).astype(x.dtype)


@describes
class Equalization(LastAugmentation):
    """In training makes the values of each channel, over the whole batch, about equally frequent.

    Args:
        value_range: of the pictures.
        bins: how many values are told apart.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, height, width, channels) -> the same, floating.
    Raises: GraphError when `bins` is not positive.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Equalization()(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    value_range: Any = (0, 255)
    bins: int = 256
    data_format: Any = None

    def validate(self) -> None:
        positive(self, bins=self.bins)

    def changed_last(self, x: Array, key: Array) -> Array:
        y = jax.vmap(self._equalized, -1, -1)(ranged(x, self.value_range, (0, 255)))
        return ranged(y, (0, 255), self.value_range)

    def _equalized(self, channel: Array) -> Array:
        """One channel of all pictures, with values from 0 to 255."""
        places = jnp.clip((channel.astype(jnp.float32) * (self.bins - 1) / 255).astype(jnp.int32), 0, self.bins - 1)
        counts = jnp.zeros(self.bins, jnp.int32).at[places.ravel()].add(1)
        total = jnp.cumsum(counts)
        first = total[jnp.argmax(total > 0)]
        rest = jnp.maximum(total[-1] - first, 1).astype(jnp.float32)
        tones = jnp.clip(jnp.round((total - first).astype(jnp.float32) * 255 / rest), 0, 255)
        return jnp.where(jnp.count_nonzero(counts) <= 1, channel, tones[places].astype(channel.dtype))


@describes
class ContrastLimitedAdaptiveHistogramEqualization(SpatialLayer):
    """Makes the values of each tile about equally frequent, no value more than so often, and blends the tiles.

    Args:
        value_range: of the pictures.
        clip_limit: how often a value may occur, as a multiple of the mean; what is over is spread over all values.
        tile_grid_size: how many tiles there are, down and across.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, height, width, channels) -> the same, floating.
    Raises: GraphError when there are no tiles.
    Reference: Zuiderveld (1994), Graphics Gems IV, 474-485.

    >>> from jaxgraphs.symbolic.node import Input
    >>> ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(2, 2))(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    value_range: Any = (0, 255)
    clip_limit: float = 4.0
    tile_grid_size: Any = (8, 8)
    data_format: Any = None

    rank: ClassVar[int] = 2

    def validate(self) -> None:
        positive(self, tile_grid_size=tuple(self.tile_grid_size))

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        x = as_floating(self, x)
        first = self.channels_first
        pictures = ranged(x.astype(jnp.float32), self.value_range, (0, 255))
        pictures = pictures if first else jnp.moveaxis(pictures, -1, 1)
        y = jax.vmap(jax.vmap(self._equalized))(pictures)
        return ranged(y if first else jnp.moveaxis(y, 1, -1), (0, 255), self.value_range).astype(x.dtype)

    def _equalized(self, picture: Array) -> Array:
        """One channel of one picture, (height, width), with values from 0 to 255."""
        (height, width), (down, across) = picture.shape, self.tile_grid_size
        tall, wide = -(-height // down), -(-width // across)
        padded = jnp.pad(picture, ((0, tall * down - height), (0, wide * across - width)), mode="symmetric")
        tones = jnp.clip(padded, 0, _TONES - 1).astype(jnp.int32)
        tiles = tones.reshape(down, tall, across, wide).transpose(0, 2, 1, 3).reshape(down * across, tall * wide)
        curves = jax.vmap(self._curve)(tiles).reshape(down, across, _TONES)
        return _blended(curves, tones, tall, wide)[:height, :width]

    def _curve(self, tones: Array) -> Array:
        """What each tone of a tile becomes."""
        counts = jnp.zeros(_TONES, jnp.float32).at[tones].add(1.0)
        if self.clip_limit > 0:
            kept = jnp.minimum(counts, self.clip_limit * tones.size / _TONES)
            counts = kept + jnp.sum(counts - kept) / _TONES
        total = jnp.cumsum(counts)
        first = jnp.min(total)
        rest = tones.size - first
        return jnp.clip((total - first) * 255.0 / jnp.where(rest == 0, 1.0, rest), 0, 255)


def _blended(curves: Array, tones: Array, tall: int, wide: int) -> Array:
    """Each pixel by the curves of the four tiles whose centres are about it, weighted by how near they are."""
    padded = jnp.pad(curves, ((1, 1), (1, 1), (0, 0)), mode="edge")
    up, down, vertical = _neighbours(tones.shape[0], tall)
    left, right, horizontal = _neighbours(tones.shape[1], wide)
    across = horizontal[None, :]

    def row(of: Array) -> Array:
        return (
            padded[of[:, None], left[None, :], tones] * (1.0 - across)
            + padded[of[:, None], right[None, :], tones] * across
        )

    return row(up) * (1.0 - vertical[:, None]) + row(down) * vertical[:, None]


def _neighbours(size: int, step: int) -> tuple[Array, Array, Array]:
    """For each place along an axis the tiles before and after it, and how far it is from the first to the second."""
    place = (jnp.arange(size, dtype=jnp.float32) - step / 2.0) / step + 1.0
    before = jnp.floor(place)
    last = size // step + 1
    tiles = [jnp.clip(tile, 0, last).astype(jnp.int32) for tile in (before, before + 1.0)]
    return tiles[0], tiles[1], place - before
