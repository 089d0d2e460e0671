"""jg.to_keras_weights: variables written as Keras 3 writes them, so that Keras' own twin of a graph can load them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxgraphs.errors import GraphError, GraphTypeError, GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.variables import check_variables
from jaxgraphs.io.keras.slots import Slot, slots_of
from jaxgraphs.layers.spectral import KERNELS, VECTOR
from jaxgraphs.writing import whole


def to_keras_weights(graph: Graph, variables: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes a `.weights.h5` file that ``model.load_weights(path)`` of Keras 3 takes.

    The model is Keras' twin of the graph: the same layers, connected alike; names need not agree. The file appears
    whole or not at all.

    Args:
        graph: of layers of the catalogue.
        variables: its arrays.
        path: ends in ``.weights.h5``.
    Raises: GraphError when an array is missing, a layer has no twin in Keras, or the file cannot be written.
    """
    if not isinstance(graph, Graph):
        raise GraphTypeError("Weights are written for a graph.", received=type(graph).__name__)
    if not str(path).endswith(".weights.h5"):
        raise GraphValueError(
            "Keras asks that a file of weights has this ending.", received=str(path), expected="....weights.h5"
        )
    check_variables(graph, variables)
    slots = slots_of(graph, graph.variable_specs())
    _check_written(slots, variables)
    try:
        with whole(Path(path)) as temporary:
            _write(temporary, graph, slots, variables)
    except OSError as error:
        raise GraphValueError("The file cannot be written.", where=str(path), received=str(error)[:200]) from error


def _check_written(slots: list[Slot], variables: Mapping[str, Any]) -> None:
    """Every array of ours has a place in Keras' file."""
    places: dict[str, list[Slot]] = {}
    for slot in slots:
        places.setdefault(slot.place, []).append(slot)
    clashing = [alike for alike in places.values() if len(alike) > 1 and not _equal(alike, variables)]
    if clashing:
        first = clashing[0]
        raise GraphError(
            "A layer stands in several models, and its weights there differ; Keras shares them.",
            received=", ".join("/".join(slot.path) for slot in first),
            fix="give both the same arrays",
        )


def _equal(slots: list[Slot], variables: Mapping[str, Any]) -> bool:
    arrays = [np.asarray(_at(variables, slot)) for slot in slots]
    return all(np.array_equal(array, arrays[0]) for array in arrays)


def _at(variables: Mapping[str, Any], slot: Slot) -> Any:
    found: Any = variables
    for name in slot.path:
        found = found[name]
    return found


def _write(file: Path, graph: Graph, slots: list[Slot], variables: Mapping[str, Any]) -> None:
    import h5py

    with h5py.File(file, "w") as store:
        store.create_group("vars").attrs["name"] = graph.name or graph.default_name
        store.create_group("layers")
        for slot in slots:
            if slot.place in store:
                continue
            array = np.asarray(_at(variables, slot))
            if array.dtype.name == "bfloat16":
                # As Keras does: the bytes, with the dtype noted beside them.
                store.create_dataset(slot.place, data=array.view(np.dtype("V2"))).attrs["dtype"] = "bfloat16"
            else:
                store.create_dataset(slot.place, data=array)
            group = slot.place.rsplit("/", 1)[0]
            if slot.name == VECTOR:
                # Keras counts the kernel that is normalised as an array of the layer around it too.
                store.create_dataset(f"{group}/0", data=np.asarray(_kernel_beside(variables, slot)))
            store[group].attrs["name"] = slot.owner


def _kernel_beside(variables: Mapping[str, Any], slot: Slot) -> Any:
    """The kernel that a vector of spectral normalisation belongs to."""
    arrays: Any = variables["params"]
    for name in slot.path[1:-1]:
        arrays = arrays[name]
    return next(arrays[name] for name in KERNELS if name in arrays)
