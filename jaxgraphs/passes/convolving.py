"""Which graphs convolve, as far as their layers tell."""

from __future__ import annotations

from typing import Any

from jaxgraphs.graph.count import leaves_with_path
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.run import nodes_of
from jaxgraphs.layers.base import Layer, in_fields
from jaxgraphs.layers.wrap import LinenLayer


def convolutions(graph: Graph) -> list[str]:
    """The paths of the layers that convolve, nested graphs' included; each once.

    >>> from jaxgraphs.layers.conv import Conv2D
    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((8, 8, 3))
    >>> convolutions(Graph(x, Dense(2)(Conv2D(4, 3, name="edges")(x))))
    ['edges']
    """
    found = ["/".join(path) for path, node in nodes_of(graph) if _convolves(node.layer)]
    # What a Flax module does shows in its arrays alone: a kernel over two axes or more.
    modules = [path for path, node in nodes_of(graph) if isinstance(node.layer, LinenLayer)]
    arrays = list(leaves_with_path(graph.variable_specs().get("params", {}))) if modules else []
    kernels = [path for path, array in arrays if path[-1] == "kernel" and len(array.shape) > 3]
    found += ["/".join(one) for one in modules if any(path[: len(one)] == tuple(one) for path in kernels)]
    return [*dict.fromkeys(found)]


def _convolves(layer: Any) -> bool:
    """Whether a layer, or one that it holds, is a convolution."""
    return "Conv" in layer.kind or any(_convolves(item) for item in in_fields(layer) if isinstance(item, Layer))
