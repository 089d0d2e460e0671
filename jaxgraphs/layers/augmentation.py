"""Pictures changed at random in training, and left alone at inference: one draw for each picture of a batch."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from jaxgraphs.errors import GraphValueError
from jaxgraphs.layers.base import Array, Weights, describes, positive
from jaxgraphs.layers.resizing import crop_to_ratio, resize
from jaxgraphs.layers.spatial import SpatialLayer
from jaxgraphs.layers.warp import FILL_MODES, affine_transform
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title


class Augmentation(SpatialLayer):
    """A layer that has its say in training alone; a subclass says what it makes of floating pictures (`changed`)."""

    rank: ClassVar[int] = 2

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(self.compute_dtype or jnp.float32)
        return self.changed(x, context.key()).astype(x.dtype) if context.train else x

    def changed(self, x: Array, key: Array) -> Array:
        """The pictures, changed by what `key` draws."""
        return x

    def range_of(self, factor: Any) -> tuple[float, float]:
        """A factor's two ends: one number stands for as much either way."""
        ends = tuple(sorted(factor)) if isinstance(factor, (tuple, list)) else (-abs(factor), abs(factor))
        if len(ends) != 2:
            raise GraphValueError(
                f"{title(self)} needs a number or two for a range.", received=repr(factor), expected="such as 0.2"
            )
        return ends

    def draw(self, key: Array, factor: Any, count: Any) -> Array:
        """(count,) numbers from a factor's range."""
        low, high = self.range_of(factor)
        return jax.random.uniform(key, (count,), jnp.float32, low, high)

    def bounded(self, factor: Any, low: float = 0.0, high: float = 1.0) -> tuple[float, float]:
        """A factor's two ends, which lie between two bounds; one number reaches from the lower, or from its negative.

        Raises: GraphError for ends that lie beyond.
        """
        ends = factor if isinstance(factor, (tuple, list)) else (max(-abs(factor), low), abs(factor))
        if len(ends) != 2 or min(ends) > high or max(ends) < low or (ends is not factor and ends[1] > high):
            raise GraphValueError(
                f"{title(self)} needs a number or two for a range.",
                received=repr(factor),
                expected=f"from {low} to {high}",
            )
        return min(ends), max(ends)

    def between(self, key: Array, ends: tuple[float, float], shape: tuple[Any, ...]) -> Array:
        """Numbers drawn evenly between two ends."""
        return jax.random.uniform(key, shape, jnp.float32, *ends)

    def chosen(self, key: Array, ends: tuple[float, float], x: Array) -> Array:
        """For each picture whether it is changed, with a chance that is itself drawn between two ends."""
        first, second = jax.random.split(key)
        shape = (x.shape[0], *[1] * (x.ndim - 1))
        return jax.random.uniform(second, shape) < self.between(first, ends, shape)

    def each(self, values: Array, x: Array) -> Array:
        """One number for each picture, to be multiplied or added."""
        return values.astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1))


class LastAugmentation(Augmentation):
    """An augmentation of pictures with channels last, whatever the layer's own order (`changed_last`)."""

    def changed(self, x: Array, key: Array) -> Array:
        y = self.changed_last(jnp.moveaxis(x, 1, -1) if self.channels_first else x, key)
        return jnp.moveaxis(y, -1, 1) if self.channels_first else y

    def changed_last(self, x: Array, key: Array) -> Array:
        """(batch, height, width, channels), changed by what `key` draws."""
        raise NotImplementedError


class Warp(LastAugmentation):
    """Pictures read at other places; the fields `fill_mode`, `fill_value` and `interpolation` say how."""

    fill_mode: str
    fill_value: float
    interpolation: str
    interpolations: ClassVar[tuple[str, ...]] = ("nearest", "bilinear")

    def validate(self) -> None:
        check_fill_mode(self)

    def changed_last(self, x: Array, key: Array) -> Array:
        numbers = self.transform(key, *x.shape[:3])
        return affine_transform(x, numbers, self.interpolation, self.fill_mode, self.fill_value)

    def transform(self, key: Array, count: Any, height: Any, width: Any) -> Array:
        """(count, 8): for each picture the numbers that `affine_transform` takes."""
        raise NotImplementedError


def check_fill_mode(layer: Any) -> None:
    """Refuses a `fill_mode` that there is not."""
    if layer.fill_mode not in FILL_MODES:
        raise GraphValueError(
            f"{title(layer)} cannot fill so.",
            received=f"fill_mode={layer.fill_mode!r}",
            expected=", ".join(FILL_MODES),
        )


@describes
class RandomFlip(Augmentation):
    """In training mirrors every other picture, on average.

    Args:
        mode: "horizontal", "vertical" or "horizontal_and_vertical", which turns a picture by half a circle.
        seed: accepted as in Keras; the caller's key decides.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, height, width, channels) -> the same, floating.
    Raises: GraphError for another mode.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomFlip("horizontal")(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    mode: str = "horizontal_and_vertical"
    seed: int | None = None
    data_format: Any = None

    def validate(self) -> None:
        if self.mode not in ("horizontal", "vertical", "horizontal_and_vertical"):
            raise GraphValueError(
                f"{title(self)} cannot flip so.",
                received=f"mode={self.mode!r}",
                expected="'horizontal', 'vertical' or 'horizontal_and_vertical'",
            )

    def changed(self, x: Array, key: Array) -> Array:
        vertical, horizontal = self.spatial_axes
        axes = [axis for axis, name in ((vertical, "vertical"), (horizontal, "horizontal")) if name in self.mode]
        flips = jax.random.bernoulli(key, 0.5, (x.shape[0], *[1] * (x.ndim - 1)))
        return jnp.where(flips, jnp.flip(x, axes), x)


@describes
class RandomRotation(Warp):
    """In training turns each picture about its centre.

    Args:
        factor: of a whole turn, either way; or the two ends of the range, counter-clockwise positive.
        fill_mode, fill_value: what lies outside: "constant", "nearest", "wrap", "mirror" or "reflect".
        interpolation: "nearest" or "bilinear".
        seed, data_format: as for `RandomFlip`.
    Shapes: (batch, height, width, channels) -> the same, floating.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomRotation(0.1)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    factor: Any
    fill_mode: str = "reflect"
    interpolation: str = "bilinear"
    seed: int | None = None
    fill_value: float = 0.0
    data_format: Any = None

    def transform(self, key: Array, count: Any, height: Any, width: Any) -> Array:
        angle = self.draw(key, self.factor, count) * (2 * math.pi)
        cos, sin, zero = jnp.cos(angle), jnp.sin(angle), jnp.zeros_like(angle)
        x, y = (width - 1) / 2, (height - 1) / 2
        return jnp.stack([cos, -sin, x - x * cos + y * sin, sin, cos, y - x * sin - y * cos, zero, zero], 1)


@describes
class RandomZoom(Warp):
    """In training stretches each picture from its centre; above 0 what is seen becomes smaller.

    Args:
        height_factor, width_factor: of the side, either way, or the two ends; None for the width keeps the ratio.
        fill_mode, fill_value, interpolation, seed, data_format: as for `RandomRotation`.
    Shapes: (batch, height, width, channels) -> the same, floating.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomZoom(0.2)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    height_factor: Any
    width_factor: Any = None
    fill_mode: str = "reflect"
    interpolation: str = "bilinear"
    seed: int | None = None
    fill_value: float = 0.0
    data_format: Any = None

    def transform(self, key: Array, count: Any, height: Any, width: Any) -> Array:
        first, second = jax.random.split(key)
        tall = 1.0 + self.draw(first, self.height_factor, count)
        wide = tall if self.width_factor is None else 1.0 + self.draw(second, self.width_factor, count)
        zero, x, y = jnp.zeros_like(tall), (width - 1) / 2, (height - 1) / 2
        return jnp.stack([wide, zero, x * (1.0 - wide), zero, tall, y * (1.0 - tall), zero, zero], 1)


@describes
class RandomTranslation(Warp):
    """In training moves each picture, down and to the right where the factor is positive.

    Args:
        height_factor, width_factor: of the side, either way, or the two ends of the range.
        fill_mode, fill_value, interpolation, seed, data_format: as for `RandomRotation`.
    Shapes: (batch, height, width, channels) -> the same, floating.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomTranslation(0.2, 0.2)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    height_factor: Any
    width_factor: Any
    fill_mode: str = "reflect"
    interpolation: str = "bilinear"
    seed: int | None = None
    fill_value: float = 0.0
    data_format: Any = None

    def transform(self, key: Array, count: Any, height: Any, width: Any) -> Array:
        first, second = jax.random.split(key)
        down = self.draw(first, self.height_factor, count) * height
        right = self.draw(second, self.width_factor, count) * width
        one, zero = jnp.ones_like(down), jnp.zeros_like(down)
        return jnp.stack([one, zero, -right, zero, one, -down, zero, zero], 1)


@describes
class RandomContrast(Augmentation):
    """In training brings each channel of a picture nearer to its mean, or away from it: (x - mean) f + mean.

    Args:
        factor: f is drawn from 1 - factor to 1 + factor; two numbers are what is taken and what is added.
        value_range: between which the result is kept.
        seed: accepted as in Keras; the caller's key decides.
    Shapes: (batch, height, width, channels) -> the same, floating.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomContrast(0.2)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    factor: Any
    value_range: Any = (0, 255)
    seed: int | None = None
    data_format: Any = None

    def changed(self, x: Array, key: Array) -> Array:
        less, more = self.factor if isinstance(self.factor, (tuple, list)) else (self.factor, self.factor)
        factor = self.each(self.draw(key, (1.0 - less, 1.0 + more), x.shape[0]), x)
        mean = jnp.mean(x, self.spatial_axes, keepdims=True)
        return jnp.clip((x - mean) * factor + mean, *self.value_range)


@describes
class RandomBrightness(Augmentation):
    """In training makes each picture brighter or darker.

    Args:
        factor: of the whole range, either way, or the two ends.
        value_range: between which the result is kept.
        seed: accepted as in Keras; the caller's key decides.
    Shapes: (batch, height, width, channels) -> the same, floating.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomBrightness(0.2)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    factor: Any
    value_range: Any = (0, 255)
    seed: int | None = None
    data_format: Any = None

    def changed(self, x: Array, key: Array) -> Array:
        low, high = sorted(self.value_range)
        return jnp.clip(x + self.each(self.draw(key, self.factor, x.shape[0]) * (high - low), x), low, high)


@describes
class RandomCrop(Augmentation):
    """A part of each picture: in training from a place drawn for the whole batch, at inference as it is.

    Args:
        height, width: of the part, in pixels.
        seed, data_format: as for `RandomFlip`.
    Shapes: (batch, rows, columns, channels) -> (batch, height, width, channels), floating; pictures that are too small
        are cut to the ratio of the sides and resized.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomCrop(6, 6)(Input((8, 8, 3))).shape
    (None, 6, 6, 3)
    """

    height: int
    width: int
    seed: int | None = None
    data_format: Any = None

    def validate(self) -> None:
        positive(self, height=self.height, width=self.width)

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(self.compute_dtype or jnp.float32)
        margins = [x.shape[axis] - size for axis, size in zip(self.spatial_axes, self._target, strict=True)]
        if context.train and min(margins) > 0:
            return self._part(x, context.key(), margins)
        return resize(crop_to_ratio(x, self.spatial_axes, self._target), self.spatial_axes, self._target, "bilinear")

    def _part(self, x: Array, key: Array, margins: list[Any]) -> Array:
        keys = jax.random.split(key, 2)
        for axis, size, margin, one in zip(self.spatial_axes, self._target, margins, keys, strict=True):
            x = lax.dynamic_slice_in_dim(x, jax.random.randint(one, (), 0, margin + 1), size, axis)
        return x

    @property
    def _target(self) -> tuple[int, int]:
        return self.height, self.width
