"""Pictures read at other places than their pixels': turned, moved, stretched."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy import ndimage

FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")
"""What may lie outside a picture."""


def map_coordinates(
    inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: float = 0.0
) -> Any:
    """Values at places between the elements: the nearest (order 0), or the mean of the neighbours by distance.

    Args:
        inputs: an array of any rank.
        coordinates: (rank, ...), in elements along each axis.
        order: 0 or 1.
        fill_mode: what lies outside: "constant", "nearest", "wrap", "mirror" or "reflect".
        fill_value: for "constant".
    Returns: an array of the shape of one coordinate, of the inputs' dtype.
    """
    is_floating = jnp.issubdtype(inputs.dtype, jnp.floating)
    values = inputs.astype(jnp.float32) if is_floating else inputs
    places = [jnp.asarray(coordinate, jnp.float32) for coordinate in coordinates]
    return ndimage.map_coordinates(values, places, order, fill_mode, fill_value).astype(inputs.dtype)


def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
) -> Any:
    """Each picture read at other places: of output (x, y) the place (a x + b y + c, d x + e y + f) / (g x + h y + 1).

    Args:
        images: (batch, height, width, channels).
        transform: (8,), or (batch, 8): a to h, in pixels.
        interpolation: "nearest" or "bilinear".
        fill_mode, fill_value: for places outside, as `map_coordinates` has them.
    """
    batch, height, width, _ = images.shape
    numbers = jnp.asarray(transform, jnp.float32)
    numbers = jnp.broadcast_to(numbers, (batch, 8)) if numbers.ndim == 1 else numbers
    read = functools.partial(_read, order=0 if interpolation == "nearest" else 1, mode=fill_mode, fill=fill_value)
    y, x = jnp.meshgrid(jnp.arange(height, dtype=jnp.float32), jnp.arange(width, dtype=jnp.float32), indexing="ij")
    return jax.vmap(lambda image, t: read(image, *_moved(x, y, t)))(images, numbers)


def _moved(x: Any, y: Any, t: Any) -> tuple[Any, Any]:
    below = t[6] * x + t[7] * y + 1.0
    return (t[0] * x + t[1] * y + t[2]) / below, (t[3] * x + t[4] * y + t[5]) / below


def _read(image: Any, x: Any, y: Any, *, order: int, mode: str, fill: float) -> Any:
    return jax.vmap(lambda c: map_coordinates(c, (y, x), order, mode, fill), in_axes=-1, out_axes=-1)(image)
