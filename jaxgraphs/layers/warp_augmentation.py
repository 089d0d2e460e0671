"""Pictures bent at random in training: sheared, seen from aside, rippled; and parts of them erased."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.layers.augmentation import LastAugmentation, Warp, check_fill_mode
from jaxgraphs.layers.base import Array, describes
from jaxgraphs.layers.pictures import gaussian_blur
from jaxgraphs.layers.warp import affine_transform, map_coordinates


@describes
class RandomShear(Warp):
    """In training shifts each row of a picture by its height, and each column by its place.

    Args:
        x_factor, y_factor: pixels for each pixel, either way; or the two ends of the range, from 0 to 1.
        interpolation: "nearest" or "bilinear".
        fill_mode, fill_value: what lies outside: "constant", "nearest", "wrap", "mirror" or "reflect".
        data_format: "channels_last" (None is this) or "channels_first".
        seed: accepted as in Keras; the caller's key decides.
    Shapes: (batch, height, width, channels) -> the same, floating.
    Raises: GraphError for a factor beyond its bounds, or another fill mode.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomShear(0.2, 0.1)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    x_factor: Any = 0.0
    y_factor: Any = 0.0
    interpolation: str = "bilinear"
    fill_mode: str = "reflect"
    fill_value: float = 0.0
    data_format: Any = None
    seed: int | None = None

    def validate(self) -> None:
        super().validate()
        self.bounded(self.x_factor, -1.0)
        self.bounded(self.y_factor, -1.0)

    def transform(self, key: Array, count: Any, height: Any, width: Any) -> Array:
        first, second, third = jax.random.split(key, 3)
        sign = jax.random.rademacher(third, (count,), jnp.float32)
        across = self.between(first, self.bounded(self.x_factor, -1.0), (count,)) * sign
        down = self.between(second, self.bounded(self.y_factor, -1.0), (count,)) * sign
        one, zero = jnp.ones_like(across), jnp.zeros_like(across)
        return jnp.stack([one, across, zero, down, one, zero, zero, zero], 1)


@describes
class RandomPerspective(LastAugmentation):
    """In training shows some pictures as from aside: their corners moved, and all between them.

    Args:
        factor: their share; one number is the most that is drawn, two are the ends of the range; from 0 to 1.
        scale: how far a corner may move, in its own coordinates; from 0 to 1.
        interpolation, data_format, seed: as for `RandomShear`.
        fill_value: what lies outside.
    Shapes: (batch, height, width, channels) -> the same, floating.
    Raises: GraphError for a share or a scale beyond its bounds.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomPerspective(0.5, scale=0.3)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    factor: Any = 1.0
    scale: float = 1.0
    interpolation: str = "bilinear"
    fill_value: float = 0.0
    seed: int | None = None
    data_format: Any = None

    def validate(self) -> None:
        self.bounded(self.factor)
        self.bounded((self.scale, self.scale))

    def changed_last(self, x: Array, key: Array) -> Array:
        first, second = jax.random.split(key)
        count, height, width, _ = x.shape
        corners = jnp.asarray([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], jnp.float32)[None]
        moved = corners * (1 + self.between(first, (-0.5 * self.scale, 0.5 * self.scale), (count, 4, 2)))
        numbers = jax.vmap(homography)(jnp.broadcast_to(corners, moved.shape), moved)
        y = affine_transform(x, numbers, self.interpolation, "constant", self.fill_value)
        return jnp.where(self.chosen(second, self.bounded(self.factor), x), y, x)


def homography(start: Array, end: Array) -> Array:
    """The eight numbers by which `affine_transform` reads at `start` what it shows at `end`.

    Args:
        start, end: (4, 2): four points (x, y) in pixels.
    """
    (start_x, start_y), (end_x, end_y) = start.T, end.T
    zero, one = jnp.zeros_like(end_x), jnp.ones_like(end_x)
    across = jnp.stack([end_x, end_y, one, zero, zero, zero, -start_x * end_x, -start_x * end_y], -1)
    down = jnp.stack([zero, zero, zero, end_x, end_y, one, -start_y * end_x, -start_y * end_y], -1)
    return jnp.linalg.solve(jnp.concatenate([across, down]), jnp.concatenate([start_x, start_y])[:, None])[:, 0]


@describes
class RandomElasticTransform(LastAugmentation):
    """In training ripples some pictures: each pixel read a little aside, by a smooth random field.

    The field is blurred by a bell as wide as the strongest ripples need; Keras cuts weaker ones' off earlier.

    Args:
        factor: their share; one number is the most that is drawn, two are the ends of the range; from 0 to 1.
        scale: of the ripples; one number is the most, two are the ends of the range; from 0 to 1.
        interpolation, fill_mode, fill_value, data_format, seed: as for `RandomShear`.
        value_range: between which the result is kept.
    Shapes: (batch, height, width, channels) -> the same, floating.
    Raises: GraphError for a share or a scale beyond its bounds, or another fill mode.
    Reference: Simard, Steinkraus and Platt (2003), ICDAR, 958-963.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomElasticTransform(0.5)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    factor: Any = 1.0
    scale: Any = 1.0
    interpolation: str = "bilinear"
    fill_mode: str = "reflect"
    fill_value: float = 0.0
    value_range: Any = (0, 255)
    seed: int | None = None
    data_format: Any = None

    def validate(self) -> None:
        self.bounded(self.factor)
        self.bounded(self.scale)
        check_fill_mode(self)

    def changed_last(self, x: Array, key: Array) -> Array:
        keys = jax.random.split(key, 3)
        ends = self.bounded(self.scale)
        y = x if ends[1] == 0 else self._rippled(x, keys[0], self.between(keys[1], ends, ()))
        y = jnp.where(self.chosen(keys[2], self.bounded(self.factor), x), y, x)
        return jnp.clip(y, *sorted(self.value_range))

    def _rippled(self, x: Array, key: Array, scale: Array) -> Array:
        count, height, width, _ = x.shape
        size = int(6 * 0.05 * min(height, width) * self.bounded(self.scale)[1]) | 1
        sigma = 0.05 * min(height, width) * scale
        # Where nothing ripples the bell would have no width.
        spread = jnp.maximum(sigma, 1e-6)
        field = gaussian_blur(jax.random.normal(key, (count, height, width, 2)) * sigma, (size, size), (spread, spread))
        field = field * (0.1 * max(height, width) * scale)
        rows, columns = jnp.meshgrid(jnp.arange(float(height)), jnp.arange(float(width)), indexing="ij")
        order = 0 if self.interpolation == "nearest" else 1

        def read(image: Array, aside: Array) -> Array:
            places = (rows + aside[..., 1], columns + aside[..., 0])
            one = lambda channel: map_coordinates(channel, places, order, self.fill_mode, self.fill_value)  # noqa: E731
            return jax.vmap(one, -1, -1)(image)

        return jax.vmap(read)(x, field)


@describes
class RandomErasing(LastAugmentation):
    """In training covers a rectangle of some pictures.

    Args:
        factor: their share; one number is the most that is drawn, two are the ends of the range; from 0 to 1.
        scale: the squares of the rectangle's sides, as shares of the picture's; one number is the most, two the ends.
        fill_value: a number, one for each channel, or None for noise.
        value_range: between which what covers is kept.
        seed, data_format: as for `RandomShear`.
    Shapes: (batch, height, width, channels) -> the same, floating.
    Raises: GraphError for a share or a scale beyond its bounds.
    Reference: Zhong, Zheng, Kang, Li and Yang (2020), AAAI 34, 13001-13008.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomErasing(0.5, fill_value=0.0)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    factor: Any = 1.0
    scale: Any = (0.02, 0.33)
    fill_value: Any = None
    value_range: Any = (0, 255)
    seed: int | None = None
    data_format: Any = None

    def validate(self) -> None:
        self.bounded(self.factor)
        self.bounded(self.scale)

    def changed_last(self, x: Array, key: Array) -> Array:
        keys = jax.random.split(key, 4)
        sides = jnp.sqrt(self.between(keys[0], self.bounded(self.scale), (x.shape[0], 2)))
        covered = rectangle(keys[1], sides, x) & self.chosen(keys[2], self.bounded(self.factor), x)
        return jnp.where(covered, jnp.clip(self._filling(keys[3], x), *sorted(self.value_range)), x)

    def _filling(self, key: Array, x: Array) -> Array:
        if self.fill_value is None:
            return jax.random.normal(key, x.shape, x.dtype) * self.value_range[1]
        return jnp.broadcast_to(jnp.asarray(self.fill_value, x.dtype).reshape(1, 1, 1, -1), x.shape)


def rectangle(key: Array, sides: Array, x: Array) -> Array:
    """(batch, height, width, 1) booleans: a rectangle at a random place of each picture.

    Args:
        sides: (batch, 2): its width and its height, as shares of the picture's.
    """
    wide, tall = (_stretch(own, sides[:, index], x.shape[2 - index]) for index, own in enumerate(jax.random.split(key)))
    return (tall[:, :, None] & wide[:, None, :])[..., None]


def _stretch(key: Array, share: Array, size: int) -> Array:
    """(batch, size) booleans: a run of a share of an axis."""
    length = (share * size)[:, None]
    start = jax.random.uniform(key, length.shape) * (size - length)
    places = jnp.arange(size, dtype=jnp.float32)[None, :]
    return (places >= start) & (places < start + length)
