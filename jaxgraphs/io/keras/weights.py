"""Arrays of a file, or of a live model, as a graph's variables; shapes are compared before anything is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.errors import GraphKeyError, ShapeMismatchError, combine
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.places import Path
from jaxgraphs.io.keras.slots import Children, Slot, slots_of
from jaxgraphs.io.keras.sources import FileSource


class Source(Protocol):
    """Where arrays come from, by the paths of Keras 3's weight files."""

    def shape(self, path: str) -> tuple[int, ...] | None:
        """The shape of the array at a path; None where there is none."""
        ...

    def read(self, path: str, shape: Sequence[int]) -> np.ndarray:
        """The array at a path, of this shape."""
        ...

    def named(self, container: str) -> Mapping[str, str]:
        """The places in a container of layers, by the layers' names; empty where names are not kept."""
        ...


def variables_from(graph: Graph, source: Source, children: Children | None = None) -> dict[str, Any]:
    """The variables of a graph from a source laid out as Keras 3 does.

    Layers are matched by name where the source has all the names, else by class and order.

    Raises: GraphError that lists every array that is missing or of another shape.
    """
    slots, places = _placed(graph, source, children)
    places = _elsewhere(slots, places, source)
    # Keras keeps a layer that is within several others where it first comes upon it.
    known = sorted(slots, key=lambda slot: source.shape(places[slot.place]) is not None)
    slots = list({slot.path: slot for slot in known}.values())
    check(slots, {slot: source.shape(places[slot.place]) for slot in slots})
    return assemble({slot: source.read(places[slot.place], slot.spec.dims) for slot in slots})


def several(graph: Graph, source: FileSource, children: Children) -> list[Path]:
    """The places of arrays that a graph has as one, and the source as several."""
    slots, places = _placed(graph, source, children, is_spread=True)
    alike: dict[Path, dict[str, None]] = {}
    for slot in slots:
        alike.setdefault(slot.path[1:], {})[places[slot.place]] = None
    return [path for path, found in alike.items() if not source.is_one(list(found))]


def _placed(
    graph: Graph, source: Source, children: Children | None, *, is_spread: bool = False
) -> tuple[list[Slot], dict[str, str]]:
    """The arrays of a graph, and where each place of theirs is in the source."""
    specs = graph.variable_specs()

    def locate(container: str, entries: Sequence[tuple[str, str]]) -> list[str]:
        known = source.named(container)
        by_name = [known.get(name) for _, name in entries]
        return [place for place, _ in entries] if None in by_name else [f"{container}/{place}" for place in by_name]

    slots = slots_of(graph, specs, children, locate, is_spread=is_spread)
    return slots, {slot.place: _place(source, slot) for slot in slots}


def _place(source: Source, slot: Slot) -> str:
    """The slot's place, or that of the one layer of its name where the file keeps a wrapped layer elsewhere."""
    if source.shape(slot.place) is not None:
        return slot.place
    *_, last = slot.place.split("/")
    name: Any = getattr(slot.layer, "name", None)
    known = source.named("layers")
    return f"layers/{known[name]}/vars/{last}" if name in known else slot.place


def _elsewhere(slots: Sequence[Slot], places: Mapping[str, str], source: Source) -> dict[str, str]:
    """The places, for what the source lacks that of the one array like it: Keras keeps a shared layer once."""
    known: dict[Any, set[str]] = {}
    for slot in slots:
        if source.shape(places[slot.place]) is not None:
            known.setdefault(likeness(slot), set()).add(places[slot.place])
    found = dict(places)
    for slot in slots:
        like = known.get(likeness(slot), ())
        if len(like) == 1 and source.shape(places[slot.place]) is None:
            (found[slot.place],) = like
    return found


def likeness(slot: Slot) -> Any:
    """What the arrays of one layer have in common that a graph has twice; a layer without a name is like none."""
    name = getattr(slot.layer, "name", None)
    return slot if name is None else (name, type(slot.layer), slot.path[0], slot.path[-2:], slot.spec)


def check(slots: Sequence[Slot], shapes: Mapping[Slot, tuple[int, ...] | None]) -> None:
    """Refuses a file in which an array is missing or of another shape, all of them at once."""
    missing = [f"{slot.owner}: {slot.name} {slot.spec} at {slot.place}" for slot in slots if shapes[slot] is None]
    unfit = [
        f"{slot.owner}: {slot.name} is {shapes[slot]}, expected {tuple(slot.spec.dims)}"
        for slot in slots
        if shapes[slot] is not None and tuple(shapes[slot] or ()) != tuple(slot.spec.dims)
    ]
    if missing:
        raise GraphKeyError(
            f"The weights lack {len(missing)} of the graph's arrays.",
            received="\n".join([*missing[:12], *([f"and {len(missing) - 12} more"] if len(missing) > 12 else [])]),
            fix="use the weights of a model with the same layers",
        )
    if unfit:
        error = combine(
            "Arrays in the weights have other shapes than the graph's.",
            unfit[:12],
            fix="use the weights of a model with the same layers",
        )
        raise ShapeMismatchError(error.what, received=error.received, fix=error.fix)


def assemble(arrays: Mapping[Slot, np.ndarray]) -> dict[str, Any]:
    """Variables by collection, layer and name, each in its own dtype."""
    variables: dict[str, Any] = {"params": {}}
    for slot, array in arrays.items():
        tree = variables
        for name in slot.path[:-1]:
            tree = tree.setdefault(name, {})
        tree[slot.path[-1]] = as_array(array, slot.spec.dtype)
    return variables


def as_array(array: np.ndarray, dtype: Any) -> jax.Array:
    """The numbers in the graph's dtype; bfloat16 comes from HDF5 as pairs of bytes."""
    if array.dtype.kind == "V" and array.dtype.itemsize == 2:
        array = array.view(jnp.bfloat16)
    return jnp.asarray(array.astype(dtype))
