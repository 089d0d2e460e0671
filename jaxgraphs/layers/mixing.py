"""Pictures mixed at random in training: with each other, or by several augmentations in a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxgraphs.errors import GraphValueError
from jaxgraphs.layers.augmentation import (
    Augmentation,
    LastAugmentation,
    RandomBrightness,
    RandomContrast,
    RandomRotation,
    RandomTranslation,
)
from jaxgraphs.layers.base import Array, describes, positive
from jaxgraphs.layers.colour_augmentation import RandomColorDegeneration, applied
from jaxgraphs.layers.histograms import AutoContrast, Equalization
from jaxgraphs.layers.tone_augmentation import RandomPosterization, RandomSharpness, Solarization
from jaxgraphs.layers.warp_augmentation import RandomShear, rectangle
from jaxgraphs.symbolic.node import title


@describes
class CutMix(LastAugmentation):
    """In training puts a rectangle of one picture into another, for all of a batch.

    The layer mixes pictures alone; Keras mixes labels too where both come in one dict, outside of models.

    Args:
        factor: of the Beta distribution that the shares are drawn from; one number is the most, two are the ends.
        seed: accepted as in Keras; the caller's key decides.
        data_format: "channels_last" (None is this) or "channels_first".
    Shapes: (batch, height, width, channels) -> the same, floating.
    Raises: GraphError for a factor beyond 0 and 1.
    Reference: Yun, Han, Oh, Chun, Choe and Yoo (2019), ICCV, 6023-6032.

    >>> from jaxgraphs.symbolic.node import Input
    >>> CutMix()(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    factor: Any = 1.0
    seed: int | None = None
    data_format: Any = None

    def validate(self) -> None:
        self.bounded(self.factor)

    def changed_last(self, x: Array, key: Array) -> Array:
        keys = jax.random.split(key, 4)
        alpha = self.between(keys[0], self.bounded(self.factor), ()) + 1e-6
        side = jnp.sqrt(1.0 - jax.random.beta(keys[1], alpha, alpha, (x.shape[0],)))
        within = rectangle(keys[2], jnp.stack([side, side], 1), x)
        return jnp.where(within, x[jax.random.permutation(keys[3], x.shape[0])], x)


@describes
class MixUp(Augmentation):
    """In training lays one picture over another: w x + (1 - w) x', for all of a batch.

    The layer mixes pictures alone; Keras mixes labels too where both come in one dict, outside of models.

    Args:
        alpha: w is drawn from Beta(alpha, alpha); positive.
        data_format, seed: as for `CutMix`.
    Shapes: (batch, height, width, channels) -> the same, floating.
    Raises: GraphError when alpha is not positive.
    Reference: Zhang, Cisse, Dauphin and Lopez-Paz (2018), ICLR.

    >>> from jaxgraphs.symbolic.node import Input
    >>> MixUp()(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    alpha: float = 0.2
    data_format: Any = None
    seed: int | None = None

    def validate(self) -> None:
        if self.alpha <= 0:
            raise GraphValueError(f"{title(self)} needs a positive alpha.", received=f"alpha={self.alpha!r}")

    def changed(self, x: Array, key: Array) -> Array:
        first, second = jax.random.split(key)
        weight = self.each(jax.random.beta(first, self.alpha, self.alpha, (x.shape[0],)), x)
        return weight * x + (1.0 - weight) * x[jax.random.permutation(second, x.shape[0])]


class _Several(Augmentation):
    """Some of eleven augmentations, each as strong as `factor` says."""

    value_range: Any
    factor: Any
    interpolation: str
    data_format: Any

    def geometric(self) -> list[Any]:
        """The changes that AugMix takes where it takes few."""
        ends = self.bounded(self.factor)
        where: Any = {"interpolation": self.interpolation, "data_format": self.data_format}
        tones: Any = {"value_range": self.value_range, "data_format": self.data_format}
        return [
            RandomShear(ends, ends, **where),
            RandomTranslation(ends, ends, **where),
            RandomRotation(ends, **where),
            RandomPosterization(max(1, int(8 * ends[1])), **tones),
            Solarization(ends, ends, **tones),
            AutoContrast(self.value_range),
            Equalization(**tones),
        ]

    def every(self) -> list[Any]:
        """All eleven."""
        ends = self.bounded(self.factor)
        tones: Any = {"value_range": self.value_range, "data_format": self.data_format}
        kinds: Sequence[Any] = (RandomBrightness, RandomColorDegeneration, RandomContrast, RandomSharpness)
        return [*self.geometric(), *(kind(ends, **tones) for kind in kinds)]


def _one_of(layers: Sequence[Any], number: Array, x: Array, key: Array) -> Array:
    """The layer of a number applied to pictures; beyond the last none is."""
    branches = [lambda x, layer=layer: applied(layer, x, key) for layer in layers]
    return lax.switch(number, [*branches, lambda x: x], x)


@describes
class RandAugment(_Several):
    """In training applies some of eleven augmentations one after another, the same for all of a batch.

    Args:
        value_range: of the pictures.
        num_ops: how many.
        factor: how strong; one number is the most, two are the ends of the range; from 0 to 1.
        interpolation: "nearest" or "bilinear".
        seed, data_format: as for `CutMix`.
    Shapes: (batch, height, width, 3) -> the same, floating.
    Raises: GraphError for a factor beyond its bounds, or a number that is not positive.
    Reference: Cubuk, Zoph, Shlens and Le (2020), CVPR Workshops, 3008-3017.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RandAugment(num_ops=1)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    value_range: Any = (0, 255)
    num_ops: int = 2
    factor: Any = 0.5
    interpolation: str = "bilinear"
    seed: int | None = None
    data_format: Any = None

    def validate(self) -> None:
        self.bounded(self.factor)
        positive(self, num_ops=self.num_ops)

    def changed(self, x: Array, key: Array) -> Array:
        layers, keys = self.every(), jax.random.split(key, self.num_ops + 1)
        numbers = jax.random.randint(keys[0], (self.num_ops,), 0, len(layers))
        for number, own in zip(numbers, keys[1:], strict=True):
            x = _one_of(layers, number, x, own)
        return x


@describes
class AugMix(_Several):
    """In training mixes pictures with several chains of augmentations of them, the same for all of a batch.

    Args:
        value_range: of the pictures, between which the result is kept.
        num_chains, chain_depth: how many chains, and of how many augmentations each.
        factor: how strong; one number is the most, two are the ends of the range; from 0 to 1.
        alpha: of the Dirichlet distribution of the chains' weights, and of the Beta distribution of their share.
        all_ops: whether brightness, colour, contrast and sharpness are among them.
        interpolation: "nearest" or "bilinear".
        seed, data_format: as for `CutMix`.
    Shapes: (batch, height, width, 3) -> the same, floating.
    Raises: GraphError for a factor beyond its bounds, or a number that is not positive.
    Reference: Hendrycks, Mu, Cubuk, Zoph, Gilmer and Lakshminarayanan (2020), ICLR.

    >>> from jaxgraphs.symbolic.node import Input
    >>> AugMix(num_chains=1, chain_depth=1)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    value_range: Any = (0, 255)
    num_chains: int = 3
    chain_depth: int = 3
    factor: Any = 0.3
    alpha: float = 1.0
    all_ops: bool = True
    interpolation: str = "bilinear"
    seed: int | None = None
    data_format: Any = None

    def validate(self) -> None:
        self.bounded(self.factor)
        positive(self, num_chains=self.num_chains, chain_depth=self.chain_depth)

    def changed(self, x: Array, key: Array) -> Array:
        first, second, third = jax.random.split(key, 3)
        weights = jax.random.dirichlet(first, jnp.full((self.num_chains,), self.alpha)).astype(x.dtype)
        share = jax.random.beta(second, self.alpha, self.alpha).astype(x.dtype)
        chains = [self._chain(x, own) for own in jax.random.split(third, self.num_chains)]
        mixed = sum(weight * chain for weight, chain in zip(weights, chains, strict=True))
        return jnp.clip(share * x + (1 - share) * mixed, *sorted(self.value_range))

    def _chain(self, x: Array, key: Array) -> Array:
        layers = self.every() if self.all_ops else self.geometric()
        for own in jax.random.split(key, self.chain_depth):
            first, second = jax.random.split(own)
            x = _one_of(layers, jax.random.randint(first, (), 0, len(layers) + 1), x, second)
        return x
