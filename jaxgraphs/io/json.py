"""A graph as versioned JSON, and back. Reading is data only: names are looked up in fixed tables, or asked for.

The document lists layers, each once, with what a layer contains before it; a graph is an entry of the same list, and
the last entry is the whole. So sharing survives, nothing can refer to itself, and nothing here recurses over the graph.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from jaxgraphs.errors import GraphError, GraphTypeError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.names import unique
from jaxgraphs.graph.sequential import Sequential
from jaxgraphs.io.tables import PARTS, function_name
from jaxgraphs.io.values import encode
from jaxgraphs.layers.base import Layer
from jaxgraphs.layers.initializers import Initializer
from jaxgraphs.layers.wrap import LinenLayer
from jaxgraphs.symbolic.node import Node, Operation, SymbolicTensor, is_symbolic
from jaxgraphs.symbolic.spec import BATCH

FORMAT, VERSION = "jaxgraphs", 1


def to_json(graph: Graph) -> str:
    """The graph as JSON: what `from_json` reads.

    Functions and modules that are in no table are written by name, and asked for on reading.

    Raises: GraphTypeError when a constant of a call, or an arrangement of tensors, has no form in JSON.
    """
    return json.dumps(to_document(graph), allow_nan=False)


def to_document(graph: Graph) -> dict[str, Any]:
    """The same before it is text: dicts, lists, texts and numbers."""
    things = list(_in_order(graph))
    writer = _Writer({id(thing): place for place, thing in enumerate(things)}, _custom_names(things), {})
    return {"format": FORMAT, "version": VERSION, "layers": [writer.entry(thing) for thing in things]}


def is_layer(value: Any) -> bool:
    """Whether a value in a configuration is itself a layer or a graph."""
    return isinstance(value, (Layer, Graph, Operation, LinenLayer))


def layers_in(value: Any) -> list[Any]:
    """The layers in a value of a configuration, itself or in lists."""
    return [leaf for leaf in jax.tree.leaves(value, is_leaf=is_layer) if is_layer(leaf)]


def fields_of(layer: Layer) -> dict[str, Any]:
    """The arguments of a layer by name."""
    return {field.name: getattr(layer, field.name) for field in _fields(type(layer)) if field.name != "created"}


def _fields(cls: Any) -> Iterator[dataclasses.Field[Any]]:
    return (field for field in dataclasses.fields(cls) if field.init)


def _inner(thing: Any) -> list[Any]:
    """The layers within a layer: those a graph calls, those a wrapper hands its call to."""
    if isinstance(thing, Graph):
        return list(thing.layers)
    return layers_in(list(fields_of(thing).values())) if isinstance(thing, Layer) else []


def _in_order(graph: Graph) -> Iterator[Any]:
    """Each layer once, after those within it; the graph comes last."""
    done: set[int] = set()
    stack: list[tuple[Any, bool]] = [(graph, False)]
    while stack:
        thing, is_open = stack.pop()
        if id(thing) in done:
            continue
        if is_open:
            done.add(id(thing))
            yield thing
        else:
            stack.append((thing, True))
            stack.extend((inner, False) for inner in reversed(_inner(thing)))


def is_custom(value: Any) -> bool:
    """Whether a value is a function that is in no table."""
    if not callable(value) or isinstance(value, (type, Initializer, functools.partial)) or is_layer(value):
        return False
    return (
        type(value) is not PARTS.get(type(value).__name__) and function_name(value) is None and not is_symbolic(value)
    )


def _custom_names(things: list[Any]) -> dict[int, str]:
    """A name for each function and module that is in no table, by identity."""
    found: dict[int, str] = {}

    def note(value: Any) -> None:
        for leaf in jax.tree.leaves(value):
            target = leaf.func if isinstance(leaf, functools.partial) else leaf
            if is_custom(target):
                found.setdefault(id(target), custom_name(target))

    for thing in things:
        if isinstance(thing, LinenLayer):
            found.setdefault(id(thing), thing.kind)
        elif isinstance(thing, Operation):
            note(thing.function)
        elif isinstance(thing, Layer):
            note(list(fields_of(thing).values()))
        if isinstance(thing, Graph):
            note([node.args for node in thing.nodes])
    return dict(zip(found, unique(found.values()), strict=True))


def custom_name(function: Any) -> str:
    """What a function is called in a file: its own name; a lambda has none."""
    name = getattr(function, "__qualname__", type(function).__name__).split(".")[-1]
    return "lambda" if name == "<lambda>" else name


@dataclasses.dataclass(frozen=True)
class _Writer:
    """Turns layers into entries of the document.

    Args:
        places: of each layer among the entries, by identity.
        customs: the names of what is in no table, by identity.
        sizes: the names of unknown sizes, filled as they are met.
    """

    places: Mapping[int, int]
    customs: Mapping[int, str]
    sizes: dict[str, str]

    def entry(self, thing: Any) -> dict[str, Any]:
        """One layer, function, module or graph."""
        if isinstance(thing, Graph):
            return {"graph": self._graph(thing)}
        given = {"name": thing.name, "default_name": thing.default_name}
        if isinstance(thing, Operation):
            dropped = {} if thing.keeps_mask else {"keeps_mask": False}
            return {"function": self._value(thing.function, thing), **given, **dropped}
        if isinstance(thing, LinenLayer):
            return {"module": self.customs[id(thing)], "trainable": thing.trainable, **given}
        config = {name: self._value(value, thing) for name, value in fields_of(thing).items()}
        return {"class": thing.kind, "config": config}

    def _graph(self, graph: Graph) -> dict[str, Any]:
        kind = "Sequential" if type(graph) is Sequential else "Graph"
        names = [[self.places[id(layer)], graph.names[layer]] for layer in graph.layers]
        common: dict[str, Any] = {"class": kind, "name": graph.name, "names": names}
        if graph.places:
            common["places"] = [[list(path), list(place)] for path, place in graph.places.items()]
        if not all(node.is_inferred for node in graph.nodes):
            return {**common, "chain": [self.places[id(node.layer)] for node in graph.nodes[1:]]}
        computed = set(graph.nodes)
        outside = [tensor for tensor in graph.inputs if tensor.node not in computed]
        numbers: dict[Any, int] = {item: number for number, item in enumerate([*outside, *graph.nodes])}

        def refer(value: Any) -> Any:
            if not is_symbolic(value):
                return self._special(value)
            place = [numbers[value], 0] if value in numbers else [numbers[value.node], value.index]
            return {"$": "tensor", "at": place}

        nodes = [self._input(graph, tensor, tensor.name) for tensor in outside]
        nodes += [self._node(graph, node, refer) for node in graph.nodes]
        inputs = jax.tree.unflatten(graph.input_structure, graph.inputs)
        ends = {"inputs": _arranged(inputs, refer), "outputs": _arranged(graph.outputs, refer)}
        return {**common, "nodes": nodes, **ends}

    def _node(self, graph: Graph, node: Node, refer: Callable[[Any], Any]) -> dict[str, Any]:
        if node.layer is None:
            return self._input(graph, SymbolicTensor(node), node.name)
        args, kwargs = node.args
        try:
            return {
                "layer": self.places[id(node.layer)],
                "args": encode(list(args), refer),
                "kwargs": encode(kwargs, refer),
            }
        except GraphError as error:
            raise _placed(error, graph.layer_name(node)) from error

    def _input(self, graph: Graph, tensor: SymbolicTensor, given: str | None) -> dict[str, Any]:
        spec = tensor.spec
        sizes = [self._size(size) for size in spec.dims]
        return {"input": graph.tensor_name(tensor), "given": given, "shape": sizes, "dtype": str(spec.dtype)}

    def _size(self, size: Any) -> int | str:
        if isinstance(size, int):
            return size
        # An expression of symbols is a symbol of its own here; equal ones stay equal.
        return "batch" if size == BATCH else self.sizes.setdefault(str(size), f"s{len(self.sizes)}")

    def _value(self, value: Any, layer: Any) -> Any:
        try:
            return encode(value, self._special)
        except GraphError as error:
            raise _placed(error, layer.name or layer.default_name) from error

    def _special(self, value: Any) -> Any:
        if is_layer(value):
            return {"$": "layer", "at": self.places[id(value)]}
        return {"$": "custom", "name": self.customs[id(value)]} if id(value) in self.customs else None


def _arranged(tensors: Any, refer: Callable[[Any], Any]) -> Any:
    try:
        return encode(tensors, refer)
    except GraphError as error:
        raise GraphTypeError(
            "The arrangement of a graph's inputs or outputs has no form in JSON.",
            received=type(tensors).__name__,
            expected="a tensor, or lists, tuples and dicts of tensors",
        ) from error


def _placed(error: GraphError, where: str) -> GraphError:
    return type(error)(error.what, where=where, received=error.received, expected=error.expected, fix=error.fix)
