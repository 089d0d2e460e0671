"""Arrays of older Kerases in today's layout: kernels turned, gates joined, biases added up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxgraphs.io.keras.era import Era

_GATES = {"LSTM": 4, "GRU": 3}
_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose")


def convert(layer: Any, arrays: Sequence[np.ndarray], shapes: Sequence[tuple[int, ...]], era: Era) -> list[np.ndarray]:
    """The arrays of one layer as Keras 3 would keep them.

    Args:
        layer: ours.
        arrays: in the file's order.
        shapes: that are wanted.
        era: of the file.
    """
    kind, given = type(layer).__name__.removesuffix("Cell"), list(arrays)
    if kind in _GATES:
        given = _recurrent(kind, given, shapes)
    if kind in _CONVOLUTIONS and given:
        if era.major == 1:
            given[0] = _old_kernel(kind, given[0], shapes[0], layer.data_format == "channels_first")
        if era.flips_kernels:
            given[0] = np.flip(given[0], tuple(range(given[0].ndim - 2)))
    return [_squeezed(array, shape) for array, shape in zip(given, shapes, strict=True)]


def _squeezed(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Keras kept a separable kernel of one dimension, and the slopes of some activations, with an axis of size 1."""
    squeezed = tuple(size for size in array.shape if size != 1) == tuple(size for size in shape if size != 1)
    return array.reshape(shape) if array.ndim == len(shape) + 1 and squeezed else array


def _old_kernel(kind: str, kernel: np.ndarray, shape: tuple[int, ...], first: bool) -> np.ndarray:
    """Keras 1's kernel: filters first with Theano's ordering, two spatial axes for one dimension."""
    if kind == "Conv1D" and kernel.ndim == 4:
        # (filters, features, length, 1) with Theano's ordering, else (length, 1, features, filters).
        return kernel[:, 0] if kernel[:, 0].shape == shape else np.transpose(kernel, (2, 3, 1, 0))[:, 0]
    if kind == "Conv2D" and first:
        return np.transpose(kernel, (2, 3, 1, 0))
    if kind == "Conv2DTranspose":
        return np.transpose(kernel, (2, 3, 0, 1) if first else (0, 1, 3, 2))
    if kind == "Conv3D" and first:
        return np.transpose(kernel, (2, 3, 4, 1, 0))
    return kernel


def _recurrent(kind: str, arrays: list[np.ndarray], shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    gates = _GATES[kind]
    if len(arrays) == 3 * gates:
        return _joined(kind, arrays)
    if len(arrays) != 3 or len(shapes) != 3 or arrays[2].shape != (2 * gates * shapes[1][0],):
        return arrays
    # CuDNN keeps each gate's kernels transposed, and two biases.
    kernel, recurrent, bias = arrays
    kernel = np.hstack([part.T.reshape(part.shape, order="F") for part in np.hsplit(kernel, gates)])
    recurrent = np.hstack([part.T for part in np.hsplit(recurrent, gates)])
    return [kernel, recurrent, np.add(*np.split(bias, 2)) if kind == "LSTM" else bias.reshape(2, -1)]


def _joined(kind: str, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Keras 1's arrays of each gate apart: kernel, recurrent kernel and bias of i, c, f, o, or of z, r, h."""
    order = (0, 2, 1, 3) if kind == "LSTM" else (0, 1, 2)
    return [np.concatenate([arrays[3 * gate + part] for gate in order], axis=-1) for part in range(3)]
