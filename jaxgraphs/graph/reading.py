"""Texts made ready for a graph: what its lookup layers read on the host, read."""

from __future__ import annotations

from typing import Any

import jax

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.inputs import flatten_inputs
from jaxgraphs.layers.lookup import HostLayer
from jaxgraphs.symbolic.node import SymbolicTensor, is_symbolic


def read_inputs(graph: Graph, values: Any) -> list[Any]:
    """The values with texts replaced by what the graph takes in their place, in the order of its inputs.

    Args:
        graph: some inputs of which lead to a StringLookup, a TextVectorization or a Hashing.
        values: as for `graph.apply`; texts as NumPy arrays or, where each input is named or in its place, nested lists.
    Returns: a list for `graph.apply`.
    Raises: GraphError when inputs are missing or misnamed, or something is no text.

    >>> import jaxgraphs as jg
    >>> from jaxgraphs import layers
    >>> x = jg.Input((4,), dtype="int32", name="text")
    >>> graph = Graph(x, layers.TextVectorization(vocabulary=["the", "cat"], output_sequence_length=4)(x))
    >>> read_inputs(graph, {"text": ["The cat sat!"]})[0].tolist()
    [[2, 3, 1, 0]]
    """
    readers = [reader_of(graph, index) for index in range(len(graph.inputs))]
    flat = _flat(graph, values)
    return [value if reader is None else reader.read(value) for reader, value in zip(readers, flat, strict=True)]


def _flat(graph: Graph, values: Any) -> list[Any]:
    """The values in the order of the inputs; texts may come as nested lists."""
    if isinstance(values, dict) and set(values) == set(graph.input_names):
        return [values[name] for name in graph.input_names]
    if isinstance(values, list) and len(values) == len(graph.inputs) > 1:
        return values
    if len(graph.inputs) == 1 and not isinstance(values, dict):
        return [values]
    return flatten_inputs(graph, values)


def reader_of(graph: Graph, index: int) -> HostLayer | None:
    """The layer that reads an input on the host, in the graph or in one within it; None where none does."""
    tensor = graph.inputs[index]
    for node in graph.nodes:
        leaves = [leaf for leaf in jax.tree.leaves(node.args) if is_symbolic(leaf)]
        for place in (position for position, leaf in enumerate(leaves) if _is(leaf, tensor)):
            if isinstance(node.layer, HostLayer):
                return node.layer
            if isinstance(node.layer, Graph) and (inner := reader_of(node.layer, place)) is not None:
                return inner
    return None


def _is(leaf: SymbolicTensor, tensor: SymbolicTensor) -> bool:
    return leaf.node is tensor.node and leaf.index == tensor.index
