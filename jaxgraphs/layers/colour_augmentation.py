"""Colours changed at random in training: grey, hue, saturation, and several in a row."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.layers.augmentation import Augmentation, LastAugmentation, RandomBrightness, RandomContrast
from jaxgraphs.layers.base import Array, describes
from jaxgraphs.layers.pictures import grey, hsv_to_rgb, ranged, rgb_to_hsv
from jaxgraphs.symbolic.context import Context

# Keras' smallest number that a denominator may come to.
_EPSILON = 1e-7


def applied(layer: Any, x: Array, key: Array) -> Array:
    """What a layer makes of pictures in training, by a key of their own."""
    return layer.call({}, x, context=Context(train=True, rngs={"dropout": key})).astype(x.dtype)


@describes
class RandomGrayscale(LastAugmentation):
    """In training makes some pictures grey, in all three channels.

    Args:
        factor: the share of them, from 0 to 1.
        data_format: "channels_last" (None is this) or "channels_first".
        seed: accepted as in Keras; the caller's key decides.
    Shapes: (batch, height, width, 3) -> the same, floating.
    Raises: GraphError for a share beyond its bounds.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomGrayscale(0.3)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    factor: float = 0.5
    data_format: Any = None
    seed: int | None = None

    def validate(self) -> None:
        self.bounded((self.factor, self.factor))

    def changed_last(self, x: Array, key: Array) -> Array:
        return jnp.where(self.chosen(key, (self.factor, self.factor), x), grey(x), x)


@describes
class RandomHue(LastAugmentation):
    """In training turns each picture's hues, by up to half of the circle of colours either way.

    Args:
        factor: of half a turn, from 0 to 1; one number is the most, two are the ends of the range.
        value_range: of the pictures.
        data_format, seed: as for `RandomGrayscale`.
    Shapes: (batch, height, width, 3) -> the same, floating.
    Raises: GraphError for a factor beyond its bounds.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomHue(0.2)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    factor: Any
    value_range: Any = (0, 255)
    data_format: Any = None
    seed: int | None = None

    def validate(self) -> None:
        self.bounded(self.factor)

    def changed_last(self, x: Array, key: Array) -> Array:
        first, second = jax.random.split(key)
        shape = (x.shape[0], 1, 1)
        turn = self.between(first, self.bounded(self.factor), shape) * jax.random.rademacher(second, shape, x.dtype) / 2
        hsv = rgb_to_hsv(ranged(x, self.value_range, (0, 1)))
        hue = hsv[..., 0] + turn.astype(x.dtype)
        hue = jnp.where(hue > 1.0, hue - 1.0, hue)
        hue = jnp.where(hue < 0.0, hue + 1.0, hue)
        rgb = hsv_to_rgb(jnp.stack([hue, hsv[..., 1], hsv[..., 2]], -1))
        return ranged(jnp.clip(rgb, 0, 1), (0, 1), self.value_range)


@describes
class RandomSaturation(LastAugmentation):
    """In training multiplies each picture's saturation by f / (1 - f): half of 1 leaves it as it is.

    Args:
        factor: f is drawn from -factor to factor, or between two ends; from -1 to 1.
        value_range: of the pictures; the saturation is kept within it, as in Keras.
        data_format, seed: as for `RandomGrayscale`.
    Shapes: (batch, height, width, 3) -> the same, floating.
    Raises: GraphError for a factor beyond its bounds.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomSaturation((0.4, 0.6))(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    factor: Any
    value_range: Any = (0, 255)
    data_format: Any = None
    seed: int | None = None

    def validate(self) -> None:
        self.bounded(self.factor, -1.0)

    def changed_last(self, x: Array, key: Array) -> Array:
        factor = self.between(key, self.bounded(self.factor, -1.0), (x.shape[0], 1, 1))
        factor = (factor / (1 - factor + _EPSILON)).astype(x.dtype)
        hsv = rgb_to_hsv(x)
        saturation = jnp.clip(hsv[..., 1] * factor, *sorted(self.value_range))
        return hsv_to_rgb(jnp.stack([hsv[..., 0], saturation, hsv[..., 2]], -1))


@describes
class RandomColorDegeneration(LastAugmentation):
    """In training brings each picture nearer to its grey, or away from it: x + f (grey - x).

    Args:
        factor: f is drawn from -factor to factor, or between two ends; from -1 to 1.
        value_range: between which the result is kept.
        data_format, seed: as for `RandomGrayscale`.
    Shapes: (batch, height, width, 3) -> the same, floating.
    Raises: GraphError for a factor beyond its bounds.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomColorDegeneration(0.5)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    factor: Any
    value_range: Any = (0, 255)
    data_format: Any = None
    seed: int | None = None

    def validate(self) -> None:
        self.bounded(self.factor, -1.0)

    def changed_last(self, x: Array, key: Array) -> Array:
        factor = self.between(key, self.bounded(self.factor, -1.0), (x.shape[0], 1, 1, 1)).astype(x.dtype)
        return jnp.clip(x + factor * (grey(x) - x), *sorted(self.value_range))


@describes
class RandomColorJitter(Augmentation):
    """In training changes brightness, then contrast, then saturation, then hue, each where its factor is given.

    Args:
        value_range: of the pictures.
        brightness_factor, contrast_factor, saturation_factor, hue_factor: of the layers of these names, or None.
        seed, data_format: as for `RandomGrayscale`.
    Shapes: (batch, height, width, 3) -> the same, floating.
    Raises: GraphError for a factor beyond its layer's bounds.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomColorJitter(brightness_factor=0.2, hue_factor=0.1)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    value_range: Any = (0, 255)
    brightness_factor: Any = None
    contrast_factor: Any = None
    saturation_factor: Any = None
    hue_factor: Any = None
    seed: int | None = None
    data_format: Any = None

    def validate(self) -> None:
        self._steps()

    def changed(self, x: Array, key: Array) -> Array:
        for layer, own in zip(self._steps(), jax.random.split(key, 4), strict=False):
            x = applied(layer, x, own)
        return x

    def _steps(self) -> list[Augmentation]:
        kinds = (RandomBrightness, RandomContrast, RandomSaturation, RandomHue)
        factors = (self.brightness_factor, self.contrast_factor, self.saturation_factor, self.hue_factor)
        options: Any = {"value_range": self.value_range, "data_format": self.data_format}
        return [kind(factor, **options) for kind, factor in zip(kinds, factors, strict=True) if factor is not None]
