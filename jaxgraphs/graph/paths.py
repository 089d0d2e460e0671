"""Places in a graph by path: ``"dense"``, ``"inner/dense"`` in a nested graph, ``"lstm:1"`` for a second call."""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxgraphs.errors import GraphKeyError, GraphTypeError, GraphValueError, did_you_mean
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.places import Path
from jaxgraphs.symbolic.node import Node, PyTree, SymbolicTensor, title


class Place(NamedTuple):
    """A layer of a graph, or an Input's tensor, and which of the layer's calls is meant where that was said."""

    graph: Graph
    name: str
    owner: Any
    call: int | None


class Reading(NamedTuple):
    """Tensors of a graph, or of one nested in it: the calls of the nested graphs, outermost first, and the tensors."""

    calls: tuple[Node, ...]
    outputs: PyTree


def graphs_within(graph: Graph) -> tuple[tuple[Path, Graph], ...]:
    """The graph and those nested in it with their paths; each comes after the graph around it."""
    found: list[tuple[Path, Graph]] = [((), graph)]
    for path, outer in found:
        inner = (layer for layer in outer.layers if isinstance(layer, Graph))
        found.extend(((*path, outer.layer_name(layer)), layer) for layer in inner)
    return tuple(found)


def layer_paths(graph: Graph) -> dict[Path, Any]:
    """The layers by path, nested graphs and the layers in them included."""
    return {(*path, inner.layer_name(layer)): layer for path, inner in graphs_within(graph) for layer in inner.layers}


def find_layer(graph: Graph, text: str) -> Path:
    """The path of a layer, checked.

    Raises: GraphKeyError when nothing is there; GraphValueError when an Input is there.
    """
    places = _places(graph, text)
    if isinstance(places[-1].owner, SymbolicTensor):
        raise GraphValueError(f"{text!r} is an Input.", expected="the name of a layer")
    if any(place.call is not None for place in places):
        raise GraphValueError(
            f"{text!r} is one call of a layer.", expected="the layer, all of its calls", fix=repr(_joined(places))
        )
    return tuple(place.name for place in places)


def read(graph: Graph, text: str) -> Reading:
    """The outputs of the layer or Input at a path, as its call arranged them.

    Raises: GraphKeyError when nothing is there; GraphValueError when a shared layer's call is not said.
    """
    *outer, last = _places(graph, text)
    calls = tuple(_call(place, text) for place in outer)
    return Reading(calls, last.owner if isinstance(last.owner, SymbolicTensor) else _call(last, text).outputs)


def locate(graph: Graph, tensor: SymbolicTensor) -> Reading:
    """Where a tensor is, in a graph or in a graph nested in it.

    Raises: GraphKeyError when it is in none; GraphValueError when it is in a graph that is called several times.
    """
    for path, inner in graphs_within(graph):
        if tensor in inner.inputs or tensor.node in inner.nodes:
            return Reading(_calls(graph, path), tensor)
    raise GraphKeyError(
        f"{title(graph)} does not compute the tensor '{tensor.name}'.",
        received=repr(tensor),
        expected="a tensor between the graph's inputs and outputs, or the name of a layer",
    )


def _places(graph: Graph, text: str) -> list[Place]:
    """The nested graphs that lead to a layer, and the layer."""
    if not isinstance(text, str):
        raise GraphTypeError("A place in a graph is a name.", received=repr(text), expected='such as "inner/dense"')
    places: list[Place] = []
    inner, rest = graph, text
    while rest or not places:
        found = _longest(inner, rest) if isinstance(inner, Graph) else None
        if found is None:
            raise _unknown(graph, text, places, rest)
        name, place = found
        places.append(place)
        inner, rest = place.owner, rest[len(name) + 1 :]
    return places


def _longest(graph: Graph, text: str) -> tuple[str, Place] | None:
    """The place that the longest beginning of a path names; names may themselves have slashes and colons in them."""
    owners: dict[str, Any] = {graph.tensor_name(tensor): tensor for tensor in graph.inputs}
    owners |= {graph.layer_name(layer): layer for layer in graph.layers}
    end = len(text)
    while end > 0:
        head = text[:end]
        name, colon, call = head.rpartition(":")
        if head in owners:
            return head, Place(graph, head, owners[head], None)
        if colon and call.isdecimal() and name in owners:
            return head, Place(graph, name, owners[name], int(call))
        end = text.rfind("/", 0, end)
    return None


def _call(place: Place, text: str) -> Node:
    """The call of a layer that is meant."""
    calls = place.graph.calls(place.owner)
    if place.call is None and len(calls) > 1:
        raise GraphValueError(
            f"The layer {place.name!r} is called {len(calls)} times, and {text!r} does not say which call is meant.",
            expected=" or ".join(f"'{place.name}:{index}'" for index in range(len(calls))),
            fix=f"{place.name}:0 is the first call",
        )
    if (place.call or 0) >= len(calls):
        raise GraphKeyError(
            f"The layer {place.name!r} has no call {place.call}.",
            received=repr(text),
            expected=" or ".join(f"'{place.name}:{index}'" for index in range(len(calls))),
        )
    return calls[place.call or 0]


def _calls(graph: Graph, path: Path) -> tuple[Node, ...]:
    calls = []
    for name in path:
        calls.append(_call(Place(graph, name, graph[name], None), "/".join(path)))
        graph = graph[name]
    return tuple(calls)


def _joined(places: list[Place]) -> str:
    return "/".join(place.name for place in places)


def _unknown(graph: Graph, text: str, places: list[Place], rest: str) -> GraphKeyError:
    if places and not isinstance(places[-1].owner, Graph):
        return GraphKeyError(
            f"There is nothing within {_joined(places)!r}.", received=repr(text), expected="the path of a layer"
        )
    inner = places[-1].owner if places else graph
    owners = [inner.tensor_name(tensor) for tensor in inner.inputs]
    owners += [inner.layer_name(layer) for layer in inner.layers]
    prefix = "".join(f"{place.name}/" for place in places)
    return GraphKeyError(
        f"There is nothing named {text!r} in {title(graph)}.",
        expected=did_you_mean(prefix + rest, [prefix + name for name in dict.fromkeys(owners)]),
    )
