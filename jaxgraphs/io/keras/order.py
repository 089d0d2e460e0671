"""The order in which Keras lists the layers of a functional model: by their distance from the outputs.

Weight files are laid out in that order, so that a graph made by hand and Keras' own twin of it must agree on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxgraphs.graph.graph import Graph
from jaxgraphs.symbolic.node import Node, Operation, SymbolicTensor


def keras_layers(graph: Graph) -> list[Any]:
    """The layers of a graph, graphs within it as one, without operations and inputs, in Keras' order."""
    if graph.kind == "Sequential":
        return [layer for layer in graph.layers if not isinstance(layer, Operation)]
    ordered, first = _traversal(graph)
    depths: dict[Any, int] = {}
    at: dict[Node, int] = {}
    for node in reversed(ordered):
        owner = _owner(node)
        depth = depths[owner] = at[node] = max(at.get(node, 0), depths.get(owner, 0))
        for parent in node.parents:
            at[parent.node] = max(at.get(parent.node, 0), depth + 1)
    owners = sorted(depths, key=lambda owner: (-depths[owner], first[owner]))
    return [owner for owner in owners if not isinstance(owner, (Node, Operation))]


def _owner(node: Node) -> Any:
    return node if node.layer is None else node.layer


def _traversal(graph: Graph) -> tuple[list[Node], dict[Any, int]]:
    """The nodes, each after those it reads, found from the outputs; and when each layer was first met on the way."""
    inputs, done, order, first = set(graph.inputs), set(), [], {}
    for output in graph.flat_outputs:
        stack: list[tuple[SymbolicTensor, bool]] = [(output, False)]
        while stack:
            tensor, is_left = stack.pop()
            node = tensor.node
            if is_left:
                if node not in done:
                    done.add(node)
                    order.append(node)
                continue
            if node in done:
                continue
            first.setdefault(_owner(node), len(first))
            stack.append((tensor, True))
            if tensor not in inputs:
                stack.extend((parent, False) for parent in reversed(_parents(node)))
    return order, first


def _parents(node: Node) -> Sequence[SymbolicTensor]:
    return node.parents
