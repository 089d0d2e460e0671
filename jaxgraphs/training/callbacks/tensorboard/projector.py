"""The embedding projector's files: vectors and labels as tables, small pictures in one, and what belongs together."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxgraphs.errors import GraphValueError, ShapeMismatchError
from jaxgraphs.training.callbacks.files import told, write_whole
from jaxgraphs.training.callbacks.tensorboard.values import as_bytes, png

FOLDER = "projector"


def labels(name: str, given: Any, rows: int) -> str:
    """The labels of an embedding's rows, as the projector reads them: one line each, with a header above columns.

    Args:
        name: of the layer.
        given: a text for each row; or a mapping from a column's name to its texts; or the path of a file that has
            them in this form.
        rows: of the embedding.
    Raises: GraphValueError when there are more or fewer of them.
    """
    if isinstance(given, (str, os.PathLike)):
        with told(f"The labels of '{name}' cannot be read.", Path(given)):
            lines = Path(given).read_text("utf-8").rstrip("\n").split("\n")
    elif isinstance(given, Mapping):
        lines = [
            "\t".join(map(_word, given)),
            *("\t".join(map(_word, row)) for row in zip(*given.values(), strict=True)),
        ]
    else:
        lines = [_word(label) for label in given]
    has_header = isinstance(given, Mapping) or "\t" in "".join(lines[:1])
    if len(lines) - has_header != rows:
        raise GraphValueError(
            f"The labels of '{name}' are not as many as its rows.",
            received=f"{len(lines) - has_header} labels",
            expected=f"{rows}",
        )
    if isinstance(given, Mapping) and len(given) == 1:
        lines = lines[1:]  # the projector takes a single column's header for a label
    return "\n".join(lines) + "\n"


def write(folder: Path, embeddings: Mapping[str, Any], metadata: Mapping[str, Any], sprites: Mapping[str, Any]) -> None:
    """Writes vectors (rows, features) by layer, with their labels and pictures, and the projector's configuration.

    Args:
        folder: the directory of a TensorBoard run.
        embeddings: arrays by layer.
        metadata: labels by layer, as for `labels`.
        sprites: pictures by layer: (rows, height, width), with channels or without.
    """
    entries = []
    for name, vectors in embeddings.items():
        stem = f"{FOLDER}/{name.replace('/', '.')}"
        table = "\n".join(
            "\t".join(f"{number:.7g}" for number in row) for row in np.asarray(vectors, np.float32).tolist()
        )
        _write(folder / f"{stem}.tsv", table.encode() + b"\n")
        entry = {"tensor_name": name, "tensor_path": f"{stem}.tsv"}
        if name in metadata:
            _write(folder / f"{stem}.labels.tsv", labels(name, metadata[name], len(vectors)).encode())
            entry["metadata_path"] = f"{stem}.labels.tsv"
        picture, size = sprite(name, sprites[name], len(vectors)) if name in sprites else (None, (0, 0))
        if picture is not None:
            _write(folder / f"{stem}.png", png(picture))
        entries.append(_entry(entry, f"{stem}.png" if picture is not None else None, size, np.shape(vectors)))
    _write(folder / "projector_config.pbtxt", "".join(entries).encode())


def sprite(name: str, pictures: Any, rows: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The pictures in one, row by row in a square; and the width and height of each.

    Raises: ShapeMismatchError when there is not one for each row.
    """
    if np.ndim(pictures) not in (3, 4) or len(pictures) != rows:
        raise ShapeMismatchError(
            f"The pictures of '{name}' do not fit its rows.",
            received=str(np.shape(pictures)),
            expected=f"({rows}, height, width), with channels or without",
        )
    tiles = np.stack([as_bytes(each) for each in pictures])
    side = math.ceil(math.sqrt(rows))
    _, height, width, channels = tiles.shape
    square = np.concatenate([tiles, np.zeros((side * side - rows, height, width, channels), np.uint8)])
    square = square.reshape(side, side, height, width, channels).transpose(0, 2, 1, 3, 4)
    return square.reshape(side * height, side * width, channels), (width, height)


def _entry(fields: Mapping[str, str], picture: str | None, size: tuple[int, int], shape: Sequence[int]) -> str:
    """One embedding in the configuration, as a text of protocol messages."""
    lines = [f"  {key}: {json.dumps(value)}" for key, value in fields.items()]
    lines += [f"  tensor_shape: {size_}" for size_ in shape]
    if picture:
        dims = "\n".join(f"    single_image_dim: {pixels}" for pixels in size)
        lines.append(f"  sprite {{\n    image_path: {json.dumps(picture)}\n{dims}\n  }}")
    return "embeddings {\n" + "\n".join(lines) + "\n}\n"


def _word(label: Any) -> str:
    """A label on one line and in one column."""
    return str(label).replace("\t", " ").replace("\n", " ").replace("\r", " ") or " "


def _write(path: Path, data: bytes) -> None:
    write_whole(path, lambda beside: beside.write_bytes(data))
