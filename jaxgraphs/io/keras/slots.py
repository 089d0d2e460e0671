"""Where Keras keeps each array of a layer, beside where we do: the one place that knows both layouts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jaxgraphs.graph.graph import Graph, home_of
from jaxgraphs.graph.places import Path
from jaxgraphs.io.keras.order import keras_layers
from jaxgraphs.layers.base import snake_case
from jaxgraphs.layers.cells import StackedRNNCells
from jaxgraphs.layers.multi_head import GroupQueryAttention, MultiHeadAttention
from jaxgraphs.layers.recurrent import RNN, Recurrent
from jaxgraphs.layers.spectral import VECTOR, SpectralNormalization
from jaxgraphs.layers.wrappers import Bidirectional, TimeDistributed
from jaxgraphs.symbolic.node import innermost
from jaxgraphs.symbolic.spec import TensorSpec

STATE = "batch_stats"
Children = Callable[[Graph], Sequence[tuple[str, str, Any]]]
"""The layers of a graph in Keras' order: class, our name, layer."""


@dataclasses.dataclass(frozen=True)
class Slot:
    """One array of Keras'.

    Args:
        place: its path in a `.weights.h5` file.
        path: its path in our variables, the collection first.
        name: Keras' own for it, such as "kernel".
        spec: its shape and dtype.
        owner: Keras' layer it belongs to, for messages.
        is_trainable: whether it is learned.
        layer: our layer that has it.
        group: the name of the whole graph's layer that it is in; a layer within two of them has it twice.
    """

    place: str
    path: Path
    name: str
    spec: TensorSpec
    owner: str
    is_trainable: bool
    layer: Any = None
    group: str = ""


# Keras' order of a layer's arrays: ours, then Keras' name. What is learned comes before what is carried.
_NAMES: Mapping[str, str] = {
    **{"depthwise_kernel": "depthwise_kernel", "pointwise_kernel": "pointwise_kernel", "kernel": "kernel"},
    **{
        "recurrent_kernel": "recurrent_kernel",
        "embedding": "embeddings",
        "scale": "gamma",
        "gamma": "gamma",
        "alpha": "alpha",
    },
    **{"concat_score_weight": "concat_score_weight", "bias": "bias"},
}
_CARRIED: Mapping[str, str] = {
    **{"mean": "moving_mean", "var": "moving_variance", "count": "count"},
    "stddev": "moving_stddev",
}
_NORMS = ("BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization")


Locate = Callable[[str, Sequence[tuple[str, str]]], Sequence[str]]
"""``locate(container, [(place, name), ...])``: where a file keeps the layers that should be at these places."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the layers of a file are found.

    Args:
        whole: the graph, and `specs`: its arrays by collection.
        children: the layers of each graph in Keras' order.
        locate: their places in a file, which may go by name.
        seen: the place of each layer met so far; Keras keeps one that occurs in several models where it comes first.
            None gives a layer each of its places.
    """

    whole: Graph
    specs: Mapping[str, Any]
    children: Children
    locate: Locate
    seen: dict[Any, str] | None


def slots_of(
    graph: Graph,
    specs: Mapping[str, Any],
    children: Children | None = None,
    locate: Locate | None = None,
    *,
    is_spread: bool = False,
) -> list[Slot]:
    """Every array of a graph in Keras' order, graphs within it included.

    Args:
        specs: the graph's arrays by collection: `graph.variable_specs()`.
        children: the layers of each graph in Keras' order; derived where left out.
        locate: where a file keeps them; by class and order where left out.
        is_spread: whether a layer in several models has each of its places, rather than the first.
    """
    layout = Layout(graph, specs, children or derived_children, locate or by_order, None if is_spread else {})
    return list(_graph_slots(graph, "", (), layout))


def by_order(_container: str, entries: Sequence[tuple[str, str]]) -> list[str]:
    """The places that follow from classes and order."""
    return [place for place, _ in entries]


def derived_children(graph: Graph) -> list[tuple[str, str, Any]]:
    """The layers of a graph in the order that Keras would give them."""
    return [(_kind(layer), graph.layer_name(layer), layer) for layer in keras_layers(graph)]


def _kind(layer: Any) -> str:
    if isinstance(layer, Graph):
        return "Sequential" if layer.kind == "Sequential" else "Functional"
    # Keras' class has another name than the one it is known by.
    return "GroupedQueryAttention" if isinstance(layer, GroupQueryAttention) else layer.kind


def _graph_slots(graph: Graph, place: str, path: Path, layout: Layout) -> Iterator[Slot]:
    counts: dict[str, int] = {}
    found: list[tuple[str, str, Any, Any]] = []
    for kind, name, layer in layout.children(graph):
        stem = snake_case(kind)
        number = counts.get(stem, 0)
        counts[stem] = number + 1
        below = _specs_of(graph, layer, (*path, name), layout)
        if any(below.values()):
            found.append((f"{place}layers/{stem}{f'_{number}' if number else ''}", name, layer, below))
    places = layout.locate(f"{place}layers", [(own, name) for own, name, *_ in found])
    for own, (_, name, layer, below) in zip(places, found, strict=True):
        own = f"{own}/" if layout.seen is None else layout.seen.setdefault(layer, f"{own}/")
        way = (*path, name)
        at = way if isinstance(innermost(layer), Graph) else layout.whole.place(way)
        for slot in layer_slots(layer, below, own, at, layout):
            yield slot if path else dataclasses.replace(slot, group=name)


def _specs_of(graph: Graph, layer: Any, path: Path, layout: Layout) -> dict[str, Any]:
    """The arrays of a layer by collection, as it arranges them itself."""
    home = home_of(layout.whole, path, layer)
    specs = {key: home.read(tree) or {} for key, tree in layout.specs.items()}
    needed = graph.calls(layer)[0].variables
    if not needed or isinstance(innermost(layer), Graph):
        return specs
    # Another layer, with the same arrays, may have more beside them.
    return {key: {name: tree[name] for name in needed.get(key, {}) if name in tree} for key, tree in specs.items()}


def layer_slots(layer: Any, specs: Any, place: str, path: Path, layout: Layout) -> Iterator[Slot]:
    """The arrays of one layer.

    Args:
        specs: the layer's arrays by collection.
        place, path: where Keras and we keep the layer; of a graph, or a layer around one, the path to it.
    """
    if not any(specs.values()):
        return
    if isinstance(layer, Graph):
        yield from _graph_slots(layer, place, path, layout)
        return
    specs, own = _apart(layer, specs)
    for slot in _own_slots(layer, own, place, path):
        # Keras counts the kernel of the layer within as the first array of the layer around it, and writes it twice.
        yield dataclasses.replace(slot, place=f"{place}vars/1")
    for part, names, inner in _parts(layer):
        below = specs
        for name in names:
            below = {key: _below(tree, name) for key, tree in below.items()}
        yield from layer_slots(inner, below, f"{place}{part}", (*path, *names), layout)
    if not _parts(layer):
        yield from _own_slots(layer, specs, place, path)


def _apart(layer: Any, specs: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The arrays of the layer within a layer, and what is beside them."""
    if not isinstance(layer, SpectralNormalization):
        return specs, {}
    state = dict(specs.get(STATE, {}))
    own = {STATE: {VECTOR: state.pop(VECTOR)}} if VECTOR in state else {}
    return {**specs, STATE: state}, own


def _parts(layer: Any) -> list[tuple[str, Path, Any]]:
    """The layers within a layer: Keras' place, our names that lead there, the layer."""
    if isinstance(layer, Bidirectional):
        return [("forward_layer/", ("forward",), layer.forward), ("backward_layer/", ("backward",), layer.backward)]
    if isinstance(layer, (TimeDistributed, SpectralNormalization)):
        return [("layer/", (), layer.layer)]
    if isinstance(layer, RNN):
        return [("cell/", (), layer.cell)]
    if isinstance(layer, StackedRNNCells):
        counts: dict[str, int] = {}
        places = []
        for cell in layer.cells:
            stem = snake_case(cell.kind)
            counts[stem] = counts.get(stem, -1) + 1
            places.append(f"cells/{stem}{f'_{counts[stem]}' if counts[stem] else ''}/")
        return [
            (place, (f"cell_{index}",), cell)
            for index, (place, cell) in enumerate(zip(places, layer.cells, strict=True))
        ]
    return []


def _own_slots(layer: Any, specs: Any, place: str, path: Path) -> Iterator[Slot]:
    if isinstance(layer, (MultiHeadAttention, GroupQueryAttention)):
        for part in ("query", "key", "gate", "value", "output"):
            inner = {key: _below(tree, part) for key, tree in specs.items()}
            # Keras has no public names for the parts of the second, and writes its private ones.
            private = "_" if isinstance(layer, GroupQueryAttention) else ""
            yield from _flat_slots(layer, inner, f"{place}{private}{part}_dense/vars/", (*path, part))
        return
    cell = "cell/" if isinstance(layer, Recurrent) else ""
    yield from _flat_slots(layer, specs, f"{place}{cell}vars/", path)


def _flat_slots(layer: Any, specs: Any, place: str, path: Path) -> Iterator[Slot]:
    is_trainable = getattr(layer, "trainable", True)
    kind, index = type(layer).__name__, 0
    for collection in ("params", *(key for key in specs if key != "params")):
        tree = specs.get(collection) or {}
        for name in _ordered(tree):
            shown = _shown(kind, collection, name)
            learned = collection == "params" and is_trainable
            yield Slot(
                f"{place}{index}",
                (collection, *path, name),
                shown,
                tree[name],
                path[-1] if path else kind,
                learned,
                layer,
            )
            index += 1


def _ordered(tree: Mapping[str, Any]) -> list[str]:
    """Names in Keras' order; those of a layer of the user's own in theirs."""
    known = [name for name in (*_NAMES, *_CARRIED) if name in tree]
    return [*known, *(name for name in tree if name not in known)]


def _shown(kind: str, collection: str, name: str) -> str:
    if collection == STATE:
        return (
            {"mean": "mean", "var": "variance"}.get(name, name) if kind == "Normalization" else _CARRIED.get(name, name)
        )
    if name == "bias" and kind in _NORMS:
        return "beta"
    if name == "scale" and kind not in _NORMS:
        return "scale"
    return _NAMES.get(name, name)


def _below(tree: Any, name: str) -> Any:
    found = tree.get(name) if isinstance(tree, Mapping) else None
    return {} if found is None else found
