"""MNIST in the layout that Keras publishes: one npz of x_train, y_train, x_test and y_test.

Reference: LeCun, Bottou, Bengio and Haffner (1998), Gradient-Based Learning Applied to Document Recognition,
Proceedings of the IEEE 86(11), 2278-2324.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from jaxgraphs.data.reading import require_file
from jaxgraphs.data.split import Dataset, Split
from jaxgraphs.errors import GraphValueError, combine

_NAMES = ("x_train", "y_train", "x_test", "y_test")
_MOST_BYTES = 1 << 30
_FIX = "use the mnist.npz that Keras publishes"


def load(path: str | Path) -> Dataset:
    """The images and labels of MNIST, or of another set in its layout such as Fashion-MNIST.

    Args:
        path: the npz, or the directory that holds `mnist.npz`.
    Returns: Dataset with inputs float32 (n, 28, 28, 1), brightness in 0..1, and targets int32 (n,), digits 0 to 9.
    Raises: GraphValueError when the file is not there, is no npz, is cut short, holds pickled objects or too much, or
        when an array lacks or has another shape or dtype; all such mismatches at once.

    >>> load("nowhere/mnist.npz")
    Traceback (most recent call last):
    jaxgraphs.errors.GraphValueError: There is no file to read.
      where:    nowhere/mnist.npz
      received: nothing there
    """
    file = require_file(Path(path) / "mnist.npz" if Path(path).is_dir() else path)
    try:
        arrays = _read(file)
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, GraphValueError):
            raise
        raise GraphValueError("This is no npz of arrays.", where=str(file), received=str(error), fix=_FIX) from error
    _check(arrays, file)
    return Dataset(*(_split(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")))


def _read(file: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        missing = [name for name in _NAMES if f"{name}.npy" not in archive.namelist()]
        if missing:
            raise combine("Arrays are missing from the npz.", missing, where=str(file), fix=_FIX)
        # The headers are believed only up to a limit: numpy allocates what they claim before it reads.
        claimed = sum(_claimed_bytes(archive, name) for name in _NAMES)
    if claimed > _MOST_BYTES:
        raise GraphValueError("The arrays are too large.", where=str(file), received=f"{claimed} bytes", fix=_FIX)
    with np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in _NAMES}


def _claimed_bytes(archive: zipfile.ZipFile, name: str) -> int:
    with archive.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    return math.prod(shape) * dtype.itemsize


def _check(arrays: dict[str, np.ndarray], file: Path) -> None:
    errors = [
        f"{name}: {array.shape} {array.dtype} is not {expected}"
        for name, array in arrays.items()
        if (expected := _misfit(name, array))
    ]
    for part in ("train", "test"):
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if not errors and len(images) != len(labels):
            errors.append(f"x_{part} has {len(images)} images, y_{part} {len(labels)} labels")
        if not errors and labels.size and not 0 <= labels.min() <= labels.max() <= 9:
            errors.append(f"y_{part}: labels {labels.min()} to {labels.max()} are not digits")
    if errors:
        raise combine("The arrays are not MNIST's.", errors, where=str(file), fix=_FIX)


def _misfit(name: str, array: np.ndarray) -> str | None:
    """What the array should have been, where it is something else."""
    if name.startswith("x"):
        return None if array.shape[1:] == (28, 28) and array.dtype == np.uint8 else "(n, 28, 28) uint8"
    return None if array.ndim == 1 and np.issubdtype(array.dtype, np.integer) else "(n,) integers"


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    return Split((images.astype(np.float32) / np.float32(255))[..., None], labels.astype(np.int32))
