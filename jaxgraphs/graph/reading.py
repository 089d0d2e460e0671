"""Texts made ready for a graph: what its lookup layers read on the host, read."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax

from jaxgraphs.errors import GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.inputs import flatten_inputs
from jaxgraphs.layers.crossing import HashedCrossing
from jaxgraphs.layers.lookup import HostLayer
from jaxgraphs.symbolic.node import SymbolicTensor, is_symbolic, title


class Reading(NamedTuple):
    """What becomes of one of a graph's inputs.

    Args:
        reader: the layer that reads it on the host; None where none does.
        sources: the names of what is read: the input's own, or, where its name is ``text:reader``, ``text``; of a
            crossing, which reads several, ``first+second:reader``.
    """

    reader: HostLayer | None
    sources: tuple[str, ...]


def read_inputs(graph: Graph, values: Any) -> list[Any]:
    """The values with texts replaced by what the graph takes in their place, in the order of its inputs.

    A text that several layers read has an Input for each of them, named ``text:reader``; it is given once, as ``text``.

    Args:
        graph: some inputs of which lead to a StringLookup, a TextVectorization or a Hashing.
        values: as for `graph.apply`; texts as NumPy arrays or, where each input is named or in its place, nested lists.
    Returns: a list for `graph.apply`.
    Raises: GraphError when inputs are missing or misnamed, something is no text, or one Input is read in several ways.

    >>> import jaxgraphs as jg
    >>> from jaxgraphs import layers
    >>> x = jg.Input((4,), dtype="int32", name="text")
    >>> graph = Graph(x, layers.TextVectorization(vocabulary=["the", "cat"], output_sequence_length=4)(x))
    >>> read_inputs(graph, {"text": ["The cat sat!"]})[0].tolist()
    [[2, 3, 1, 0]]
    """
    readings = [reading_of(graph, index) for index in range(len(graph.inputs))]
    flat = _flat(graph, readings, values)
    return [
        value if reading.reader is None else reading.reader.read(value)
        for reading, value in zip(readings, flat, strict=True)
    ]


def _flat(graph: Graph, readings: list[Reading], values: Any) -> list[Any]:
    """The values in the order of the inputs; texts may come as nested lists."""
    names = list(dict.fromkeys(name for reading in readings for name in reading.sources))
    given = None
    if isinstance(values, dict) and set(values) in (set(names), set(graph.input_names)):
        given = values
    elif isinstance(values, list) and len(values) == len(names) > 1:
        given = dict(zip(names, values, strict=True))
    elif len(names) == 1 and not isinstance(values, dict):
        given = {names[0]: values}
    if given is None:
        return flatten_inputs(graph, values)
    return [_given(given, *pair) for pair in zip(graph.input_names, readings, strict=True)]


def _given(values: dict[str, Any], name: str, reading: Reading) -> Any:
    """The value of one input: under its own name, or what it is read of."""
    if name in values:
        return values[name]
    found = [values[source] for source in reading.sources]
    return found if isinstance(reading.reader, HashedCrossing) else found[0]


def reading_of(graph: Graph, index: int) -> Reading:
    """How an input is read, by a layer of the graph or of one within it.

    Raises: GraphValueError when several layers would read it, each in its own way.
    """
    name, found = graph.input_names[index], dict(_readers(graph, graph.inputs[index]))
    if len(found) > 1:
        names = list(found.values())
        raise GraphValueError(
            f"The input {name!r} of {title(graph)} is read by {len(found)} layers, each in its own way.",
            received=", ".join(names),
            expected="an Input for each of them",
            fix=f"Input(..., name='{name}:{names[0]}') and Input(..., name='{name}:{names[1]}')",
        )
    reader, named = next(iter(found.items()), (None, ""))
    stem, colon, last = name.rpartition(":")
    if reader is None or not colon or last != named:
        return Reading(reader, (name,))
    return Reading(reader, tuple(stem.split("+")) if isinstance(reader, HashedCrossing) else (stem,))


def _readers(graph: Graph, tensor: SymbolicTensor) -> list[tuple[HostLayer, str]]:
    """The layers that read an input on the host, with their names."""
    found: list[tuple[HostLayer, str]] = []
    for node in graph.nodes:
        leaves = [leaf for leaf in jax.tree.leaves(node.args) if is_symbolic(leaf)]
        for place in (position for position, leaf in enumerate(leaves) if leaf == tensor):
            if isinstance(node.layer, HostLayer):
                found.append((node.layer, graph.layer_name(node)))
            elif isinstance(node.layer, Graph):
                found += _readers(node.layer, node.layer.inputs[place])
    return found
