"""Asking any saved model: about rows of a file, or about arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxgraphs.data.reading import require_file
from jaxgraphs.data.rows import read_rows
from jaxgraphs.data.table import TableEncoder
from jaxgraphs.errors import GraphValueError, combine
from jaxgraphs.graph.graph import Graph

ROWS = 256


def ask_rows(graph: Graph, variables: Mapping[str, Any], encoder: str, path: str) -> dict[str, np.ndarray]:
    """What the model says about each row of a CSV, JSON-lines or Parquet file, in the file's own words.

    Args:
        graph, variables: the model.
        encoder: JSON of the `TableEncoder` that was saved with it.
        path: of the file, with the columns of the inputs.
    Returns: output -> one answer for each row.
    Raises: GraphError when a column is missing or rows are broken.
    """
    read = TableEncoder.from_json(encoder)
    rows, faults = read_rows(path, read.columns)
    if faults:
        raise combine("Rows of the file cannot be read.", [str(fault) for fault in faults], where=path)
    outputs = _outputs(graph, variables, read.encode([row.values for row in rows]))
    return read.decode(outputs)


def ask_arrays(graph: Graph, variables: Mapping[str, Any], path: str) -> dict[str, np.ndarray]:
    """What the model says about arrays.

    Args:
        graph, variables: the model.
        path: an .npz of arrays by input name, or an .npy for the only input; batch first, no pickles.
    Returns: output -> array, batch first.
    Raises: GraphError when the file is something else or its arrays do not fit.
    """
    try:
        # Opened here: numpy leaves the file open when it is no archive.
        with open(require_file(path), "rb") as file:
            read = np.load(file, allow_pickle=False)
            values = read if isinstance(read, np.ndarray) else {name: read[name] for name in read.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise GraphValueError("This is no file of arrays.", where=path, received=str(error)) from error
    return _outputs(graph, variables, values)


def _outputs(graph: Graph, variables: Mapping[str, Any], values: Any) -> dict[str, np.ndarray]:
    """The outputs by name, some rows at a time."""
    apply = jax.jit(graph.apply)
    rows = {len(leaf) if np.ndim(leaf) else 0 for leaf in jax.tree.leaves(values)}
    if len(rows) != 1 or 0 in rows:
        raise GraphValueError("The inputs need one number of rows.", received=", ".join(map(str, sorted(rows))))
    parts = []
    for start in range(0, rows.pop(), ROWS):
        piece = jax.tree.map(lambda leaf, at=start: leaf[at : at + ROWS], values)
        parts.append(jax.tree.leaves(jax.device_get(apply(variables, piece))))
    return {name: np.concatenate(leaves) for name, *leaves in zip(graph.output_names, *parts, strict=True)}
