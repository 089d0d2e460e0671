"""A graph as rows of data: one for each layer, with all of its calls."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgraphs.graph.count import leaves_with_path, size_of
from jaxgraphs.graph.graph import Graph, Step, home_of
from jaxgraphs.graph.places import Path
from jaxgraphs.graph.run import infer_step
from jaxgraphs.inspect.cost import CallCost
from jaxgraphs.symbolic.node import UNKNOWN, Node, SymbolicTensor, is_symbolic
from jaxgraphs.symbolic.spec import TensorSpec

Shape = tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a layer.

    Args:
        connected_to: what it reads, as ``layer[call][output]``.
        output_shapes: one for each output; None where nothing is known yet.
    """

    connected_to: tuple[str, ...]
    output_shapes: tuple[Shape | None, ...]


class Held(NamedTuple):
    """One array: how many numbers it has and in how many bytes, None where that is not known; whether it is learned."""

    size: int | None
    bytes: int | None
    is_learned: bool


@dataclasses.dataclass(frozen=True)
class Row:
    """One layer, nested graph or Input.

    Args:
        name: in its graph.
        kind: the class as a user knows it.
        calls: every call of the layer, in order; an Input has one.
        params: how many numbers it holds, learned or not; None where a size is not known.
        trainable_params: how many of them are learned.
        weight_bytes: of these numbers.
        trainable: whether what it holds is learned; for a nested graph, whether anything in it is.
        path: the names of the graphs around it, outermost first, and its own.
        arrays: what it holds by place: `path`, or elsewhere where it is shared; None where nothing is known.
        is_graph: whether it is a nested graph, whose layers are rows of their own.
        flops: floating-point operations of all calls; None where costs were not asked for.
        bytes: read and written by all calls.
        share: of the graph's floating-point operations, from 0 to 1.
        per_device: bytes of its numbers that each device holds; None where no arrays were shown.
    """

    name: str
    kind: str
    calls: tuple[Call, ...]
    params: int | None
    trainable_params: int | None
    weight_bytes: int | None
    trainable: bool
    path: Path
    arrays: Mapping[Path, Held] | None = dataclasses.field(repr=False)
    is_graph: bool = False
    flops: int | None = None
    bytes: int | None = None
    share: float | None = None
    per_device: int | None = None

    @property
    def depth(self) -> int:
        """How many graphs are around it, the outermost left out."""
        return len(self.path) - 1

    @property
    def output_shape(self) -> Any:
        """The first call's shape, or a list of them where there are several outputs."""
        shapes = self.calls[0].output_shapes
        return shapes[0] if len(shapes) == 1 else list(shapes)

    @property
    def connected_to(self) -> tuple[str, ...]:
        """What all calls read, in order."""
        return tuple(name for call in self.calls for name in call.connected_to)


@dataclasses.dataclass(frozen=True)
class Totals:
    """The numbers of a whole graph; None where a size is not known.

    Args:
        trainable, non_trainable, total: how many numbers there are.
        bytes: of these numbers.
        flops, moved: operations of all calls, and bytes that they read and write; None where not asked for.
    """

    trainable: int | None
    non_trainable: int | None
    total: int | None
    bytes: int | None
    flops: int | None = None
    moved: int | None = None


@dataclasses.dataclass
class _Level:
    """A graph and the specs of its inputs at its first call."""

    graph: Graph
    inputs: Sequence[TensorSpec]
    rows: dict[str, Row] = dataclasses.field(default_factory=dict)


def rows_of(graph: Graph, costs: Iterable[CallCost] = ()) -> tuple[Row, ...]:
    """The rows of a graph, each nested graph's directly after its own; linear in the number of calls."""
    levels: dict[Path, _Level] = {(): _Level(graph, graph.input_specs())}
    queue: list[Path] = [()]
    for path in queue:
        inner = _read_level(graph, levels[path], path)
        levels |= inner
        queue.extend(inner)
    for path in reversed(queue[1:]):
        rows = levels[path[:-1]].rows
        rows[path[-1]] = _with_contents(rows[path[-1]], levels[path].rows.values())
    return _with_costs(_in_order(levels), costs)


def totals_of(rows: Iterable[Row], costs: Sequence[CallCost] | None = None) -> Totals:
    """The sums over the outermost rows; what several hold counts once."""
    arrays = _together(row for row in rows if row.depth == 0)
    total, trainable, held = _sums(arrays)
    others = None if trainable is None or total is None else total - trainable
    flops = None if costs is None else sum(cost.flops for cost in costs)
    moved = None if costs is None else sum(cost.bytes for cost in costs)
    return Totals(trainable, others, total, held, flops, moved)


def _read_level(whole: Graph, level: _Level, path: Path) -> dict[Path, _Level]:
    """Fills in the rows of one graph, and returns the graphs nested in it."""
    graph, nested = level.graph, {}
    specs = dict(zip(graph.inputs, level.inputs, strict=True))
    numbers, calls = _call_numbers(graph), {}
    for tensor in graph.inputs:
        name = graph.tensor_name(tensor)
        call = Call((), (_shape(specs[tensor]),))
        level.rows[name] = Row(name, "Input", (call,), 0, 0, 0, True, (*path, name), {})
    for node in graph.nodes:
        if node.layer is None:
            continue
        name = graph.layer_name(node)
        args, kwargs = _resolved(node, specs)
        step = Step(node, (*path, name), home_of(whole, (*path, name), node.layer), ())
        variables, outputs = _inferred(step, args, kwargs)
        specs |= {tensor: spec for tensor, spec in zip(node.tensors, outputs, strict=True) if tensor not in specs}
        call = Call(_sources(graph, node, numbers), tuple(_shape(spec) for spec in outputs))
        calls.setdefault(name, []).append(call)
        if numbers[node] == 0:
            level.rows[name] = _row(step, call, variables)
            if isinstance(node.layer, Graph):
                read = [spec for spec in jax.tree.leaves(args) if isinstance(spec, TensorSpec)]
                nested[(*path, name)] = _Level(node.layer, read)
    for name, each in calls.items():
        level.rows[name] = dataclasses.replace(level.rows[name], calls=tuple(each))
    return nested


def _inferred(step: Step, args: Any, kwargs: Any) -> tuple[Any, tuple[TensorSpec, ...]]:
    """The specs of a call's arrays and outputs; None for arrays of which nothing is known."""
    if UNKNOWN in jax.tree.leaves((args, kwargs)):
        return None, (UNKNOWN,) * len(step.node.specs)
    inferred = infer_step(step, args, kwargs)
    return inferred.variables, inferred.specs


def _resolved(node: Node, specs: Mapping[SymbolicTensor, TensorSpec]) -> Any:
    leaves, structure = jax.tree.flatten(node.args)
    return jax.tree.unflatten(structure, [specs[leaf] if is_symbolic(leaf) else leaf for leaf in leaves])


def _call_numbers(graph: Graph) -> dict[Node, int]:
    """Which of its layer's calls each is, from 0."""
    counts: dict[Any, int] = {}
    numbers = {}
    for node in graph.nodes:
        owner = node if node.layer is None else node.layer
        numbers[node] = counts.get(owner, 0)
        counts[owner] = numbers[node] + 1
    return numbers


def _sources(graph: Graph, node: Node, numbers: Mapping[Node, int]) -> tuple[str, ...]:
    return tuple(
        f"{graph.tensor_name(tensor)}[{numbers.get(tensor.node, 0)}][{tensor.index}]" for tensor in node.parents
    )


def _shape(spec: TensorSpec) -> Shape | None:
    return None if spec == UNKNOWN else spec.shape


def _row(step: Step, call: Call, variables: Any) -> Row:
    """A layer's row; that of a nested graph is completed from its layers' rows."""
    layer, path = step.node.layer, step.path
    is_learned = bool(getattr(layer, "trainable", True))
    arrays = None if variables is None else dict(_held(step, variables, is_learned))
    params, learned, held = _sums(arrays)
    return Row(path[-1], layer.kind, (call,), params, learned, held, is_learned, path, arrays, isinstance(layer, Graph))


def _held(step: Step, variables: Any, is_learned: bool) -> Iterator[tuple[Path, Held]]:
    """The arrays of one layer by place, the collection first."""
    for (collection, *inner), spec in leaves_with_path(variables):
        is_param = collection == "params"
        yield (collection, *step.home.of(tuple(inner))), Held(size_of(spec), _bytes(spec), is_param and is_learned)


def _bytes(spec: TensorSpec) -> int | None:
    size = size_of(spec)
    return None if size is None else size * jnp.dtype(spec.dtype).itemsize


def _with_contents(row: Row, rows: Iterable[Row]) -> Row:
    rows = list(rows)
    arrays = _together(rows)
    params, learned, held = _sums(arrays)
    is_learned = any(inner.trainable for inner in rows if inner.kind != "Input")
    return dataclasses.replace(
        row, params=params, trainable_params=learned, weight_bytes=held, trainable=is_learned, arrays=arrays
    )


def _together(rows: Iterable[Row]) -> dict[Path, Held] | None:
    """The arrays of several rows, each once; None where those of one are not known."""
    found: dict[Path, Held] = {}
    for row in rows:
        if row.arrays is None:
            return None
        for place, held in row.arrays.items():
            is_learned = held.is_learned and found.get(place, held).is_learned
            found[place] = held._replace(is_learned=is_learned)
    return found


def _sums(arrays: Mapping[Path, Held] | None) -> tuple[int | None, int | None, int | None]:
    """How many numbers there are, how many of them are learned, and their bytes; None where that is not known."""
    if arrays is None:
        return None, None, None
    sizes, learned = _sum(held.size for held in arrays.values()), [held for held in arrays.values() if held.is_learned]
    return sizes, _sum(held.size for held in learned), _sum(held.bytes for held in arrays.values())


def _in_order(levels: Mapping[Path, _Level]) -> list[Row]:
    """All rows, each nested graph's after its own."""
    rows: list[Row] = []
    stack = [iter(levels[()].rows.values())]
    while stack:
        row = next(stack[-1], None)
        if row is None:
            stack.pop()
            continue
        rows.append(row)
        if row.path in levels:
            stack.append(iter(levels[row.path].rows.values()))
    return rows


def _with_costs(rows: Sequence[Row], costs: Iterable[CallCost]) -> tuple[Row, ...]:
    """The rows with what their calls, and the calls within them, cost."""
    costs = list(costs)
    if not costs:
        return tuple(rows)
    spent: dict[Path, tuple[int, int]] = {}
    for cost in costs:
        for length in range(1, len(cost.path) + 1):
            flops, moved = spent.get(cost.path[:length], (0, 0))
            spent[cost.path[:length]] = (flops + cost.flops, moved + cost.bytes)
    whole = max(sum(cost.flops for cost in costs), 1)

    def complete(row: Row) -> Row:
        flops, moved = spent.get(row.path, (0, 0))
        return dataclasses.replace(row, flops=flops, bytes=moved, share=flops / whole)

    return tuple(complete(row) for row in rows)


def _sum(values: Iterable[int | None]) -> int | None:
    """The sum; None where one is not known."""
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total
