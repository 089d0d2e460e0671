"""A graph as boxes and edges, one box for each call, whatever they are drawn with."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.places import Path
from jaxgraphs.inspect.lines import number, shapes
from jaxgraphs.inspect.rows import Row, rows_of
from jaxgraphs.symbolic.node import SymbolicTensor

_LONGEST = 44

# The first that a layer's kind fits says what it does.
_GROUPS = (
    ("input", r"Input$"),
    ("pooling", r"Pool"),
    ("convolution", r"Conv"),
    ("recurrent", r"LSTM|GRU|RNN|Bidirectional|TimeDistributed"),
    ("normalisation", r"Norm|Rescaling|LayerScale"),
    ("attention", r"Attention"),
    ("dense", r"Dense|Embed|Linear"),
    ("merge", r"(Add|Subtract|Multiply|Average|Maximum|Minimum|Concatenate|Dot)$"),
    ("noise", r"Drop|Noise|StochasticDepth"),
    ("activation", r"Activation|ReLU|ELU|Softmax|Tanh|Sigmoid|Relu|Gelu|Silu|Swish"),
    ("shape", r"Flatten|Reshape|Permute|RepeatVector|Padding|Cropping|UpSampling|Masking|GetItem"),
)


@dataclasses.dataclass(frozen=True)
class Box:
    """One call of a layer, or an Input.

    Args:
        key: unique in the whole diagram, such as ``n7``.
        title: the layer's name.
        lines: what is said below the title.
        group: what the layer does, which decides the colour.
        path: the layer's place.
        is_shared: whether the layer has other calls.
        inside: the diagram of a nested graph that is unfolded.
    """

    key: str
    title: str
    lines: tuple[str, ...]
    group: str
    path: Path
    is_shared: bool = False
    inside: Diagram | None = None


class Edge(NamedTuple):
    """From a box to a box that reads it, by number; of a nested graph also which output, and which input."""

    source: int
    target: int
    output: int = 0
    input: int = 0


@dataclasses.dataclass(frozen=True)
class Diagram:
    """Boxes, each after those it reads, and edges.

    Args:
        title: the graph's name.
        boxes, edges: what is drawn.
        inputs, outputs: the numbers of the boxes where data enters, and of those that give the outputs, with which one.
    """

    title: str
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    inputs: tuple[int, ...] = ()
    outputs: tuple[tuple[int, int], ...] = ()

    @property
    def links(self) -> tuple[tuple[int, int], ...]:
        """The pairs of boxes between which there are edges, each once."""
        return tuple(dict.fromkeys((edge.source, edge.target) for edge in self.edges))


def diagram_of(
    graph: Graph, *, show_shapes: bool = True, show_params: bool = False, expand_nested: bool = False
) -> Diagram:
    """The boxes and edges of a graph.

    Args:
        graph: to draw.
        show_shapes, show_params: what is said of each call.
        expand_nested: whether nested graphs are unfolded: each at its first call.
    """
    rows = {row.path: row for row in rows_of(graph)}
    keys = (f"n{index}" for index in itertools.count())
    made: dict[Path, Diagram] = {}
    levels = [row.path for row in rows.values() if row.is_graph] if expand_nested else []
    for path in [*reversed(levels), ()]:
        inner = _at(graph, path)
        made[path] = _level(inner, path, rows, made, keys, show_shapes, show_params)
    return made[()]


def boxes_within(diagram: Diagram) -> Iterator[tuple[Diagram, Box]]:
    """Every box with the diagram it is in, the outermost first."""
    queue = [diagram]
    for each in queue:
        for box in each.boxes:
            yield each, box
            if box.inside is not None:
                queue.append(box.inside)


def group_of(kind: str, is_graph: bool = False) -> str:
    """What a layer of a kind does.

    >>> group_of("SeparableConv2D"), group_of("AveragePooling2D"), group_of("Average"), group_of("Custom")
    ('convolution', 'pooling', 'merge', 'other')
    """
    if is_graph:
        return "nested graph"
    return next((group for group, pattern in _GROUPS if re.search(pattern, kind)), "other")


def shortened(text: str) -> str:
    """A text that fits a box; the middle of a long one is left out."""
    half = (_LONGEST - 1) // 2
    return text if len(text) <= _LONGEST else f"{text[:half]}…{text[-half:]}"


def _at(graph: Graph, path: Path) -> Graph:
    for name in path:
        graph = graph[name]
    return graph


def _level(
    graph: Graph,
    path: Path,
    rows: Mapping[Path, Row],
    made: Mapping[Path, Diagram],
    keys: Iterator[str],
    show_shapes: bool,
    show_params: bool,
) -> Diagram:
    boxes: list[Box] = []
    places: dict[SymbolicTensor, int] = {}
    edges: dict[Edge, None] = {}
    counts: dict[str, int] = {}

    def add(name: str) -> int:
        row = rows[(*path, name)]
        call = counts.get(name, 0)
        counts[name] = call + 1
        inside = made.get(row.path) if call == 0 else None
        lines = tuple(_lines(row, call, show_shapes, show_params))
        group = group_of(row.kind, row.is_graph)
        boxes.append(Box(next(keys), name, lines, group, row.path, len(row.calls) > 1, inside))
        return len(boxes) - 1

    computed = set(graph.nodes)
    for tensor in graph.inputs:
        if tensor.node not in computed or tensor.node.layer is None:
            places[tensor] = add(graph.tensor_name(tensor))
    for node in graph.nodes:
        if node.layer is not None:
            target = add(graph.layer_name(node))
            reads = (Edge(places[tensor], target, tensor.index, entry) for entry, tensor in enumerate(node.parents))
            edges.update((edge, None) for edge in reads)
            places.update((tensor, target) for tensor in node.tensors)
    inputs = tuple(places[tensor] for tensor in graph.inputs)
    outputs = tuple((places[tensor], tensor.index) for tensor in graph.flat_outputs)
    return Diagram(graph.name or graph.default_name, tuple(boxes), tuple(edges), inputs, outputs)


def _lines(row: Row, call: int, show_shapes: bool, show_params: bool) -> Iterator[str]:
    yield row.kind
    if len(row.calls) > 1:
        yield f"shared: call {call + 1} of {len(row.calls)}"
    if show_shapes:
        yield shapes(row.calls[call])
    if show_params and row.params != 0:
        yield f"{number(row.params)} params" + ("" if row.trainable else ", frozen")
