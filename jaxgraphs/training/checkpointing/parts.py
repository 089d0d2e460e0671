"""What one process of several writes of a checkpoint: those pieces of the arrays that lie on its devices."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

_DTYPES = "dtypes"


@dataclasses.dataclass(frozen=True)
class Part:
    """Which part of a checkpoint a process writes.

    Args:
        index: of the process; the first one commits.
        count: how many processes there are.
        attempt: sets this writing apart from earlier ones of the same checkpoint.
    """

    index: int
    count: int
    attempt: int


def pieces(arrays: Mapping[str, Any], *, is_first: bool) -> dict[str, np.ndarray]:
    """The pieces that this process has to write, so that all processes' make up each array once.

    Args:
        arrays: by name; those within one process are written by the first.
    Returns: name and place, such as ``"params/kernel@0:4,0:8"`` -> numbers.
    """
    found = {}
    for name, array in arrays.items():
        if isinstance(array, jax.Array) and not array.is_fully_addressable:
            own = [shard for shard in array.addressable_shards if shard.replica_id == 0]
            found |= {_named(name, shard.index, array.shape): np.asarray(shard.data) for shard in own}
        elif is_first:
            found[_named(name, (slice(None),) * np.ndim(array), np.shape(array))] = np.asarray(array)
    return found


def save_pieces(path: Path, parts: Mapping[str, np.ndarray]) -> None:
    """Writes pieces of any dtype, as bytes."""
    dtypes = {name: str(piece.dtype) for name, piece in parts.items()}
    flat = {name: np.frombuffer(np.ascontiguousarray(piece).tobytes(), np.uint8) for name, piece in parts.items()}
    save_file(flat, path, {_DTYPES: json.dumps(dtypes)})


def load_pieces(paths: Iterable[Path]) -> dict[str, np.ndarray]:
    """The arrays that the pieces of all processes make up."""
    found: dict[str, list[tuple[list[slice], np.ndarray]]] = {}
    for path in paths:
        with safe_open(path, "numpy") as file:
            dtypes = json.loads(file.metadata()[_DTYPES])
            for key, dtype in dtypes.items():
                name, spans = _parsed(key)
                shape = [span.stop - span.start for span in spans]
                piece = file.get_tensor(key).view(np.dtype(dtype)).reshape(shape)
                found.setdefault(name, []).append((spans, piece))
    return {name: _assembled(parts) for name, parts in found.items()}


def _assembled(parts: list[tuple[list[slice], np.ndarray]]) -> np.ndarray:
    shape = [max(spans[axis].stop for spans, _ in parts) for axis in range(len(parts[0][0]))]
    whole = np.empty(shape, parts[0][1].dtype)
    if sum(piece.size for _, piece in parts) != whole.size:
        raise ValueError("pieces of an array are missing")
    for spans, piece in parts:
        whole[tuple(spans)] = piece
    return whole


def _named(name: str, index: tuple[slice, ...], shape: tuple[int, ...]) -> str:
    spans = [span.indices(size)[:2] for span, size in zip(index, shape, strict=True)]
    return name + "@" + ",".join(f"{start}:{stop}" for start, stop in spans)


def _parsed(key: str) -> tuple[str, list[slice]]:
    name, _, text = key.rpartition("@")
    return name, [slice(*map(int, span.split(":"))) for span in text.split(",") if span]
