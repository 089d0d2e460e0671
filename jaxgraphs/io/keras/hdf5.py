"""HDF5 files read with suspicion: what a model's weights need, and nothing else that the format can do.

Paths are walked one step at a time over hard links. Soft and external links, external and virtual storage, references,
objects, unknown filters and arrays of other shapes than the graph's are refused before a byte of an array is read.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jaxgraphs.errors import GraphError, GraphKeyError, GraphValueError
from jaxgraphs.io.keras.limits import (
    ARRAY_BYTES,
    ATTRIBUTE_BYTES,
    EXPANSION,
    FLOOR_BYTES,
    NAMES,
    TOTAL_BYTES,
    refuse,
)

# gzip, shuffle, fletcher32 (a checksum) and lzf, by HDF5's numbers.
_FILTERS = (1, 2, 3, 32000)
_KINDS = "fiub"
_STEPS = 256


class Store:
    """One HDF5 file.

    Args:
        file: h5py's.
        owner: what the file is, for messages.
    """

    def __init__(self, file: Any, owner: str) -> None:
        self.file, self.owner, self.read_bytes = file, owner, 0

    def group(self, path: str) -> Any:
        """The group at a path, or None where nothing is."""
        found = self._walk(path)
        if found is not None and not isinstance(found, _h5py().Group):
            raise refuse(f"{self.owner} has an array where a group belongs.", path)
        return found

    def dataset(self, path: str) -> Any:
        """The array at a path, not read, or None where nothing is."""
        found = self._walk(path)
        if found is None:
            return None
        if not isinstance(found, _h5py().Dataset):
            raise refuse(f"{self.owner} has a group where an array belongs.", path)
        self._check_storage(found, path)
        return found

    def read(self, path: str, shape: Sequence[int]) -> np.ndarray:
        """The array at a path, which must have this shape.

        Raises: GraphError when it is missing, of another shape, not of numbers, or too large.
        """
        found = self.dataset(path)
        if found is None:
            raise GraphKeyError(f"{self.owner} lacks an array.", received=path)
        if tuple(found.shape) != tuple(shape):
            raise refuse(f"{self.owner} has an array of another shape.", f"{path}: {found.shape}", str(tuple(shape)))
        self.read_bytes += math.prod(found.shape) * found.dtype.itemsize
        if self.read_bytes > TOTAL_BYTES:
            raise refuse(f"{self.owner} has too many numbers.", f"over {TOTAL_BYTES} bytes")
        return np.asarray(found[()])

    def shape(self, path: str) -> tuple[int, ...] | None:
        """The shape that an array declares, or None where nothing is."""
        found = self.dataset(path)
        return None if found is None else tuple(found.shape)

    def text(self, group: Any, name: str) -> str | None:
        """An attribute that is one text; None where there is none."""
        values = self._strings(group, name)
        if values is not None and len(values) != 1:
            raise refuse(f"{self.owner} has a list where a text belongs.", name)
        return None if values is None else values[0]

    def names(self, group: Any, name: str) -> list[str] | None:
        """An attribute that is a list of texts, which Keras splits in numbered parts where it is long."""
        whole = self._strings(group, name)
        if whole is not None:
            return whole
        parts: list[str] = []
        for index in range(NAMES):
            part = self._strings(group, f"{name}{index}")
            if part is None:
                return parts if index else None
            parts.extend(part)
            if len(parts) > NAMES:
                break
        raise refuse(f"{self.owner} has too many names.", name)

    def _walk(self, path: str) -> Any:
        here, steps = self.file, [step for step in path.split("/") if step]
        if len(steps) > _STEPS or "." in steps or ".." in steps:
            raise refuse(f"{self.owner} has a path that cannot be followed.", path[:200])
        for step in steps:
            if not isinstance(here, _h5py().Group):
                return None
            link = here.get(step, getlink=True)
            if link is None:
                return None
            if not isinstance(link, _h5py().HardLink):
                raise refuse(
                    f"{self.owner} has a link to somewhere else.",
                    f"{type(link).__name__} at {path}",
                    "arrays in the file itself",
                )
            here = here[step]
        return here

    def _check_storage(self, dataset: Any, path: str) -> None:
        create = dataset.id.get_create_plist()
        if create.get_external_count() or dataset.is_virtual or create.get_layout() == _h5py().h5d.VIRTUAL:
            raise refuse(f"{self.owner} has an array whose numbers lie in another file.", path)
        filters = [create.get_filter(index)[0] for index in range(create.get_nfilters())]
        if strange := [code for code in filters if code not in _FILTERS]:
            raise refuse(
                f"{self.owner} has an array packed in an unknown way.",
                f"{path}: filter {strange[0]}",
                "gzip, shuffle or lzf",
            )
        if dataset.shape is None or not _is_plain(dataset.dtype):
            raise refuse(f"{self.owner} has an array that is not of numbers.", f"{path}: {dataset.dtype}")
        size, stored = math.prod(dataset.shape) * dataset.dtype.itemsize, dataset.id.get_storage_size()
        if size > ARRAY_BYTES or size > max(FLOOR_BYTES, EXPANSION * stored):
            raise refuse(f"{self.owner} has an array that is too large.", f"{path}: {stored} bytes that become {size}")

    def _strings(self, group: Any, name: str) -> list[str] | None:
        """The texts of an attribute, whose type is looked at before its values."""
        h5py = _h5py()
        if name not in group.attrs:
            return None
        attribute = h5py.h5a.open(group.id, name.encode())
        kind, shape = attribute.get_type(), attribute.shape
        count = math.prod(shape) if shape is not None else 0
        size = count * max(kind.get_size(), 1)
        if not isinstance(kind, h5py.h5t.TypeStringID):
            # Keras writes an empty list as an empty array of floats.
            if count == 0:
                return []
            raise refuse(f"{self.owner} has an attribute that is no text.", name)
        if size > ATTRIBUTE_BYTES or count > NAMES:
            raise refuse(f"{self.owner} has an attribute that is too long.", f"{name}: {size} bytes")
        values = np.ravel(np.asarray(group.attrs[name], dtype=object))
        return [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values]


@contextlib.contextmanager
def opened(file: Any, owner: str) -> Iterator[Store]:
    """The store of an HDF5 file that is open as a Python file; whatever h5py finds wrong becomes a GraphError."""
    h5py = _h5py()
    try:
        with h5py.File(file, "r") as found:
            yield Store(found, owner)
    except GraphError:
        raise
    except (
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        OverflowError,
        MemoryError,
    ) as error:
        raise GraphValueError(
            f"{owner} cannot be read.",
            received=f"{type(error).__name__}: {error}"[:200],
            expected="an HDF5 file from Keras",
        ) from error


def _is_plain(dtype: Any) -> bool:
    """Whether the items are numbers; bfloat16 is stored as two opaque bytes."""
    return (dtype.kind in _KINDS and not dtype.hasobject) or (
        dtype.kind == "V" and dtype.itemsize == 2 and dtype.names is None
    )


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise GraphError(
            "Reading Keras' files needs h5py.", expected="the package h5py", fix='pip install "jaxgraphs[keras]"'
        ) from error
    return h5py
