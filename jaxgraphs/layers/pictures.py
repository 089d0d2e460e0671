"""Colours and blur of pictures with channels last: what augmentations and ported operations share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jaxgraphs.layers.convolve import depthwise_convolve

_GREY = (0.2989, 0.5870, 0.1140)


def grey(images: Any) -> Any:
    """One channel, of the brightness that an eye sees."""
    weights = jnp.asarray(_GREY, images.dtype).reshape((1,) * (images.ndim - 1) + (3,))
    return jnp.sum(images * weights, axis=-1, keepdims=True)


def rgb_to_hsv(images: Any) -> Any:
    """Hue, saturation and value, each from 0 to 1."""
    images = jnp.where(jnp.abs(images) < jnp.finfo(images.dtype).eps, 0.0, images)
    red, green, blue = (images[..., index] for index in range(3))
    value, least = jnp.max(images, -1), jnp.min(images, -1)
    spread = value - least
    sixth = 1.0 / (6.0 * jnp.where(spread > 0, spread, 1.0))
    hue = jnp.where(value == green, sixth * (blue - red) + 1 / 3, sixth * (red - green) + 2 / 3)
    hue = jnp.where(spread > 0, jnp.where(value == red, sixth * (green - blue), hue), 0.0)
    saturation = jnp.where(value > 0, spread / jnp.where(value > 0, value, 1.0), 0.0)
    return jnp.stack([hue + (hue < 0.0).astype(hue.dtype), saturation, value], -1)


def hsv_to_rgb(images: Any) -> Any:
    """The way back from hue, saturation and value."""
    hue, saturation, value = (images[..., index] for index in range(3))
    turn = jnp.mod(hue, 1.0) * 6.0
    colours = (jnp.abs(turn - 3.0) - 1.0, 2.0 - jnp.abs(turn - 2.0), 2.0 - jnp.abs(turn - 4.0))
    return jnp.stack([value * (1.0 - saturation * (1.0 - jnp.clip(c, 0.0, 1.0))) for c in colours], -1)


def gaussian_blur(images: Any, kernel_size: Sequence[int] = (3, 3), sigma: Sequence[Any] = (1.0, 1.0)) -> Any:
    """Each channel convolved with a Gaussian bell of `sigma` pixels; of both pairs the first number is across."""
    columns, rows = (_bell(size, width) for size, width in zip(kernel_size, sigma, strict=True))
    kernel = (rows[:, None] * columns[None, :]).astype(images.dtype)
    kernel = jnp.broadcast_to(kernel[:, :, None, None], (*kernel.shape, images.shape[-1], 1))
    return depthwise_convolve(images, kernel, strides=(1, 1), padding="same", dilation=(1, 1))


def _bell(size: int, sigma: Any) -> Any:
    places = jnp.arange(size, dtype=jnp.float32) - (size - 1) / 2
    bell = jnp.exp(-0.5 * jnp.square(places / sigma))
    return bell / jnp.sum(bell)


def ranged(images: Any, original: Sequence[float], target: Sequence[float]) -> Any:
    """Pictures with values of one range as those of another.

    >>> float(ranged(jnp.array(0.5), (0, 1), (0, 255)))
    127.5
    """
    if tuple(original) == tuple(target):
        return images
    return (images - original[0]) / (original[1] - original[0]) * (target[1] - target[0]) + target[0]
