"""Tones and edges changed at random in training: inverted, posterised, solarised, sharpened, blurred."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphValueError
from jaxgraphs.layers.augmentation import Augmentation, LastAugmentation
from jaxgraphs.layers.base import Array, describes
from jaxgraphs.layers.convolve import depthwise_convolve
from jaxgraphs.layers.pictures import gaussian_blur, ranged
from jaxgraphs.symbolic.node import title


@describes
class RandomInvert(Augmentation):
    """In training turns some pictures into their negatives: the most of the range, less x.

    Args:
        factor: their share; one number is the most that is drawn, two are the ends of the range; from 0 to 1.
        value_range: of the pictures.
        seed: accepted as in Keras; the caller's key decides.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, height, width, channels) -> the same, floating.
    Raises: GraphError for a share beyond its bounds.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomInvert(0.5)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    factor: Any = 1.0
    value_range: Any = (0, 255)
    seed: int | None = None
    data_format: Any = None

    def validate(self) -> None:
        self.bounded(self.factor)

    def changed(self, x: Array, key: Array) -> Array:
        return jnp.where(self.chosen(key, self.bounded(self.factor), x), self.value_range[1] - x, x)


@describes
class RandomPosterization(Augmentation):
    """In training keeps the first bits of each value, of eight: fewer tones.

    Args:
        factor: how many bits, from 1 to 8; two numbers are the least, and one more than the most.
        value_range: of the pictures.
        data_format, seed: as for `RandomInvert`.
    Shapes: (batch, height, width, channels) -> the same, floating.
    Raises: GraphError for a factor beyond its bounds.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomPosterization(3)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    factor: Any
    value_range: Any = (0, 255)
    data_format: Any = None
    seed: int | None = None

    def validate(self) -> None:
        self.bounded(self.factor, 1, 8)

    def changed(self, x: Array, key: Array) -> Array:
        low, high = (int(end) for end in self.bounded(self.factor, 1, 8))
        bits = jax.random.randint(key, (x.shape[0], *[1] * (x.ndim - 1)), low, max(high, low + 1))
        shift = (8 - bits).astype(jnp.uint8)
        whole = ranged(x, self.value_range, (0, 255)).astype(jnp.uint8)
        kept = jnp.left_shift(jnp.right_shift(whole, shift), shift).astype(x.dtype)
        return ranged(kept, (0, 255), self.value_range)


@describes
class Solarization(Augmentation):
    """In training adds to each picture, then inverts what is not below a threshold.

    Args:
        addition_factor, threshold_factor: from 0 to 1 of the range; one number is the most, two are the ends.
        value_range: of the pictures.
        seed, data_format: as for `RandomInvert`.
    Shapes: (batch, height, width, channels) -> the same, floating.
    Raises: GraphError for a factor beyond its bounds.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Solarization(0.1, 0.5)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    addition_factor: Any = 0.0
    threshold_factor: Any = 0.0
    value_range: Any = (0, 255)
    seed: int | None = None
    data_format: Any = None

    def validate(self) -> None:
        self.bounded(self.addition_factor)
        self.bounded(self.threshold_factor)

    def changed(self, x: Array, key: Array) -> Array:
        first, second = jax.random.split(key)
        addition, threshold = (
            self._drawn(own, factor, x)
            for own, factor in ((first, self.addition_factor), (second, self.threshold_factor))
        )
        y = jnp.clip(ranged(x, self.value_range, (0, 255)) + addition, 0, 255)
        return ranged(jnp.where(y < threshold, y, 255 - y), (0, 255), self.value_range)

    def _drawn(self, key: Array, factor: Any, x: Array) -> Array:
        # Keras' lower end is not of the range, but of 1.
        low, high = self.bounded(factor)
        return self.between(key, (low, high * 255), (x.shape[0], *[1] * (x.ndim - 1))).astype(x.dtype)


@describes
class RandomSharpness(LastAugmentation):
    """In training brings each picture nearer to a smoothed one, or away from it: x + (1 - 2 f) (smooth - x).

    Args:
        factor: f, from 0 to 1; one number is the most, two are the ends of the range.
        value_range: between which the result is kept.
        data_format, seed: as for `RandomInvert`.
    Shapes: (batch, height, width, channels) -> the same, floating.
    Raises: GraphError for a factor beyond its bounds.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomSharpness(0.5)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    factor: Any
    value_range: Any = (0, 255)
    data_format: Any = None
    seed: int | None = None

    def validate(self) -> None:
        self.bounded(self.factor)

    def changed_last(self, x: Array, key: Array) -> Array:
        factor = self.between(key, self.bounded(self.factor), (x.shape[0], 1, 1, 1)).astype(x.dtype) * 2
        kernel = jnp.full((3, 3), 1 / 13, x.dtype).at[1, 1].set(5 / 13)
        kernel = jnp.broadcast_to(kernel[:, :, None, None], (3, 3, x.shape[-1], 1))
        smooth = depthwise_convolve(x, kernel, strides=(1, 1), padding="same", dilation=(1, 1))
        return jnp.clip(x + (1.0 - factor) * (smooth - x), *sorted(self.value_range))


@describes
class RandomGaussianBlur(LastAugmentation):
    """In training blurs some pictures by a Gaussian bell, the same for all of a batch.

    Args:
        factor: their share; one number is the most that is drawn, two are the ends of the range; from 0 to 1.
        kernel_size: of the bell in pixels, odd; two numbers are its height and its width.
        sigma: the bell's width; one number is the most, two are the ends of the range; from 0 to 1.
        value_range: between which the result is kept.
        data_format, seed: as for `RandomInvert`.
    Shapes: (batch, height, width, channels) -> the same, floating.
    Raises: GraphError for a share or a width beyond its bounds, or an even kernel.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandomGaussianBlur(0.5, kernel_size=5)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    factor: Any = 1.0
    kernel_size: Any = 3
    sigma: Any = 1.0
    value_range: Any = (0, 255)
    data_format: Any = None
    seed: int | None = None

    def validate(self) -> None:
        self.bounded(self.factor)
        self.bounded(self.sigma)
        if len(self._sizes) != 2 or any(not isinstance(size, int) or size % 2 != 1 for size in self._sizes):
            raise GraphValueError(
                f"{title(self)} needs an odd kernel.",
                received=f"kernel_size={self.kernel_size!r}",
                expected="such as 3",
            )

    @property
    def _sizes(self) -> tuple[int, ...]:
        size = self.kernel_size
        return tuple(size) if isinstance(size, (tuple, list)) else (size, size)

    def changed_last(self, x: Array, key: Array) -> Array:
        first, second = jax.random.split(key)
        sigma = self.between(first, self.bounded(self.sigma), (2,)) + 1e-6
        blurred = gaussian_blur(x, self._sizes, (sigma[0], sigma[1]))
        y = jnp.where(self.chosen(second, self.bounded(self.factor), x), blurred, x)
        return jnp.clip(y, *sorted(self.value_range))
