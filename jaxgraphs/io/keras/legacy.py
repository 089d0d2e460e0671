"""Weights as Keras 1, 2 and tf.keras lay them out in HDF5: a list of arrays for each layer of the model."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import groupby
from typing import Any

import numpy as np

from jaxgraphs.errors import GraphKeyError, GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.places import Path
from jaxgraphs.io.keras.era import Era, major_of
from jaxgraphs.io.keras.eras import convert
from jaxgraphs.io.keras.hdf5 import Store
from jaxgraphs.io.keras.limits import refuse
from jaxgraphs.io.keras.slots import Children, Slot, slots_of
from jaxgraphs.io.keras.weights import assemble, check, likeness

_PIECES = {"LSTM": 12, "GRU": 9}
# What weights are called in files, whatever the era.
_WORDS = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", "embeddings")
_Group = list[tuple[str, tuple[int, ...]]]


def legacy_variables(
    graph: Graph, store: Store, root: str, era: Era, children: Children | None = None
) -> dict[str, Any]:
    """The variables of a graph from an older file.

    Args:
        root: the group with the list of layers: "model_weights", or "" in a file of weights alone.
    Raises: GraphError when layers, or the shapes of their arrays, do not fit.
    """
    return assemble(legacy_arrays(graph, store, root, era, children))


def legacy_arrays(
    graph: Graph, store: Store, root: str, era: Era, children: Children | None = None
) -> dict[Slot, np.ndarray]:
    """The arrays as the file has them: those of a layer that is within several others once for each."""
    # Each of the model's layers lists an array once, however many layers in it have it.
    slots = list({(slot.group, slot.path): slot for slot in slots_of(graph, graph.variable_specs(), children)}.values())
    wanted: dict[str, list[Slot]] = {}
    for slot in slots:
        wanted.setdefault(slot.group, []).append(slot)
    groups = _groups(store, root)
    arrays: dict[Slot, np.ndarray] = {}
    for name, stored in _paired(wanted, groups).items():
        arrays.update(_layer(store, wanted[name], groups[stored], era, name))
    check(slots, {slot: arrays[slot].shape if slot in arrays else None for slot in slots})
    return arrays


def differing(arrays: Mapping[Slot, np.ndarray]) -> list[Path]:
    """The places of arrays that a graph has as one, and the file with several numbers."""
    first: dict[Path, np.ndarray] = {}
    return [
        slot.path[1:] for slot, array in arrays.items() if not np.array_equal(array, first.setdefault(slot.path, array))
    ]


def _groups(store: Store, root: str) -> dict[str, _Group]:
    """For each layer of the file that has arrays, their paths and declared shapes."""
    top = store.group(root) if root else store.file
    names = None if top is None else store.names(top, "layer_names")
    if names is None:
        raise GraphKeyError(
            "The HDF5 file has no list of layers.", received=root or "its root", expected="the attribute layer_names"
        )
    groups: dict[str, _Group] = {}
    for name in names:
        place = f"{root}/{name}" if root else name
        group = store.group(place)
        if group is None or name in groups:
            raise refuse("The HDF5 file lists a layer that is not there, or twice.", name)
        listed = [weight for weight in store.names(group, "weight_names") or [] if "seed_generator" not in weight]
        shapes = [store.shape(f"{place}/{weight}") for weight in listed]
        if None in shapes:
            raise refuse("The HDF5 file lists an array that is not there.", f"{place}/{listed[shapes.index(None)]}")
        if listed:
            groups[name] = [(f"{place}/{weight}", shape or ()) for weight, shape in zip(listed, shapes, strict=True)]
    return groups


def _paired(wanted: Mapping[str, Any], groups: Mapping[str, Any]) -> dict[str, str]:
    """Which of the file's layers each of ours is: that of its name, or else the one in its place."""
    if all(name in groups for name in wanted):
        return {name: name for name in wanted}
    if len(wanted) != len(groups):
        raise GraphValueError(
            "The weights are of a model with other layers.",
            received=f"{len(groups)} layers with arrays: {', '.join(list(groups)[:12])}",
            expected=f"{len(wanted)} layers with arrays: {', '.join(list(wanted)[:12])}",
        )
    return dict(zip(wanted, groups, strict=True))


def _layer(store: Store, slots: list[Slot], stored: _Group, era: Era, name: str) -> dict[Slot, np.ndarray]:
    """The arrays of one of the model's layers."""
    # What the graph has twice under one name may be shared in the file, which then has it once.
    once = {likeness(slot): slot for slot in reversed(slots)}
    for some in (slots, list(reversed(once.values()))):
        for order in _orders(some):
            pieces = _pieces(order, len(stored))
            if pieces is not None and _fits(pieces, stored):
                arrays = _read(store, pieces, stored, era)
                return arrays if some is slots else {slot: arrays[once[likeness(slot)]] for slot in slots}
    shown = ", ".join(f"{path.rsplit('/', 1)[-1]} {shape}" for path, shape in stored[:8])
    raise GraphValueError(
        f"The arrays of the layer {name!r} do not fit the graph.",
        received=shown,
        expected=", ".join(f"{slot.name} {tuple(slot.spec.dims)}" for slot in slots[:8]),
        fix="use the weights of a model with the same layers",
    )


def _orders(slots: list[Slot]) -> list[list[Slot]]:
    """The orders in which Kerases have listed a layer's arrays: what is learned first, or layer by layer.

    A frozen part counts as not learned in some, and as what it is in others.
    """
    learned = [slot for slot in slots if slot.is_trainable]
    params = [slot for slot in slots if slot.path[0] == "params"]
    return [
        [*learned, *(slot for slot in slots if slot not in learned)],
        slots,
        [*params, *(slot for slot in slots if slot not in params)],
    ]


def _pieces(order: list[Slot], count: int) -> list[tuple[list[Slot], int]] | None:
    """The slots in runs of one layer, each with how many of the file's arrays it takes; None where the sum differs."""
    runs = [list(run) for _, run in groupby(order, key=lambda slot: id(slot.layer))]
    plain = [(run, len(run)) for run in runs]
    apart = [(run, _PIECES.get(type(run[0].layer).__name__.removesuffix("Cell"), len(run))) for run in runs]
    return next((pieces for pieces in (plain, apart) if sum(size for _, size in pieces) == count), None)


def _fits(pieces: list[tuple[list[Slot], int]], stored: _Group) -> bool:
    place = 0
    for run, size in pieces:
        part = stored[place : place + size]
        place += size
        if size == len(run):
            same = all(
                _same_size(slot, shape) and _same_word(slot, path)
                for slot, (path, shape) in zip(run, part, strict=True)
            )
        else:
            same = sum(math.prod(shape) for _, shape in part) == sum(math.prod(slot.spec.dims) for slot in run)
        if not same:
            return False
    return True


def _same_size(slot: Slot, shape: tuple[int, ...]) -> bool:
    """Whether an array can become the slot's: as many numbers, or CuDNN's twice as many biases."""
    size, wanted = math.prod(shape), math.prod(slot.spec.dims)
    return size == wanted or (slot.name == "bias" and size == 2 * wanted and type(slot.layer).__name__ == "LSTM")


def _same_word(slot: Slot, path: str) -> bool:
    last = re.sub(r"(_\d+)?(:\d+)?$", "", path.rsplit("/", 1)[-1])
    named = [word for word in _WORDS if last == word]
    return not named or slot.name not in _WORDS or slot.name == named[0]


def _read(store: Store, pieces: list[tuple[list[Slot], int]], stored: _Group, era: Era) -> dict[Slot, np.ndarray]:
    arrays: dict[Slot, np.ndarray] = {}
    place = 0
    for run, size in pieces:
        given = [store.read(path, shape) for path, shape in stored[place : place + size]]
        place += size
        shapes = [tuple(slot.spec.dims) for slot in run]
        arrays.update(zip(run, convert(run[0].layer, given, shapes, era), strict=False))
    return arrays


def is_legacy(store: Store, root: str = "") -> bool:
    """Whether a file of weights is laid out in the older way."""
    group = store.group(root) if root else store.file
    return group is not None and store.names(group, "layer_names") is not None


def era_of(store: Store, root: str) -> Era:
    """What the file says of the Keras that wrote it, in the group of weights or at its root."""
    groups = [group for group in (store.group(root) if root else None, store.file) if group is not None]
    texts = {
        name: next((text for group in groups if (text := store.text(group, name))), None)
        for name in ("keras_version", "backend")
    }
    return Era(major_of(texts["keras_version"]), texts["backend"])
