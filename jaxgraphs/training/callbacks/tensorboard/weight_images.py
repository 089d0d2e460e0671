"""Weights as pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

MOST = 32
"""A convolution's picture shows no more filters than this, and of each no more input channels."""


def picture(weight: Any) -> np.ndarray | None:
    """One picture (height, width, channels) of a weight, from 0 at its least number to 1 at its greatest.

    A vector is a row and a matrix lies on its longer side. A 2D convolution's filters stand side by side: in colour
    where they read three channels, else a row of tiles for each channel. None is for what has no such form.
    """
    array = np.nan_to_num(np.asarray(weight).astype(np.float32))
    span = array.max(initial=0.0) - array.min(initial=0.0) if array.size else 0.0
    array = (array - array.min(initial=0.0)) / (span or 1.0)
    if array.size == 0 or array.ndim not in (1, 2, 4):
        return None
    if array.ndim == 4:
        return _filters(array)
    array = np.atleast_2d(array)
    return (array.T if array.shape[0] > array.shape[1] else array)[:, :, None]


def _filters(kernel: np.ndarray) -> np.ndarray:
    """(height, width, in, out) as tiles with a line between them."""
    height, width, channels, _ = kernel.shape
    if channels == 3:
        tiles = kernel[..., None, :MOST].transpose(3, 4, 0, 1, 2)
    else:
        tiles = kernel[:, :, :MOST, :MOST].transpose(2, 3, 0, 1)[..., None]
    padded = np.pad(tiles, ((0, 0), (0, 0), (0, 1), (0, 1), (0, 0)))
    rows, columns, _, _, depth = padded.shape
    return padded.transpose(0, 2, 1, 3, 4).reshape(rows * (height + 1), columns * (width + 1), depth)
