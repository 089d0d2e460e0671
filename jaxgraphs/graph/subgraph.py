"""A part of a graph as a graph: from any tensors to any others, those within nested graphs included.

A tensor within a nested graph gets out by an output that the nested graph is given for it; what the nested graph then
computes for nobody is left out. Levels are planned from the outermost inwards and built from the innermost outwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax

from jaxgraphs.errors import GraphValueError
from jaxgraphs.graph.graph import Graph, graph_between, places_of
from jaxgraphs.graph.paths import Reading, locate, read
from jaxgraphs.graph.places import Path
from jaxgraphs.graph.rewrite import inputs_before, remake, substitute_tensors
from jaxgraphs.symbolic.node import Node, PyTree, SymbolicTensor, is_symbolic, record

Key = tuple[tuple[Node, ...], SymbolicTensor]
"""A tensor as one level sees it: the calls of nested graphs that lead to it, and the tensor in the innermost one."""


@dataclasses.dataclass
class _Level:
    """One graph on the way to what is wanted: what it must give, and the calls needed for that."""

    graph: Graph
    keys: dict[Key, None]
    nodes: frozenset[Node] = frozenset()


@dataclasses.dataclass(frozen=True)
class _Built:
    """A nested graph with other outputs: where each tensor comes out, and which of the old inputs remain."""

    graph: Graph
    places: Mapping[Key, int]
    inputs: tuple[int, ...]


def subgraph(graph: Graph, outputs: PyTree, inputs: PyTree | None = None, name: str | None = None) -> Graph:
    """The calls that lead to some tensors of a graph, as a graph of its own that the same variables feed.

    Args:
        graph: to take from.
        outputs: names or tensors: one, or a list or dict of them. ``"lstm:1"`` is the second call of a shared layer,
            ``"inner/dense"`` a layer within a nested graph, of which only what is needed remains.
        inputs: likewise, where data is to enter; None is the graph's own inputs, without those that are not needed.
        name: of the new graph.
    Raises: GraphError when something is not there, a shared layer's call is not said, or other inputs are needed.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((8,))
    >>> graph = Graph(x, Dense(3, name="y")(Dense(5, name="hidden")(x)))
    >>> subgraph(graph, "hidden").outputs.shape
    (None, 5)
    """
    readings = jax.tree.map(lambda thing: _reading(graph, thing), outputs)
    levels = _plan(graph, [key for reading in jax.tree.leaves(readings, is_leaf=_is_reading) for key in _keys(reading)])
    found, names = _build_all(levels)
    ends = jax.tree.map(lambda reading: _ends(reading, found), readings, is_leaf=_is_reading)
    if inputs is None:
        starts = _remaining_inputs(graph, found, jax.tree.leaves(ends))
    else:
        starts = jax.tree.map(lambda thing: _entry(graph, thing, found), inputs)
    flat = jax.tree.leaves(starts)
    names |= _entry_names(graph, flat, jax.tree.leaves(ends), found)
    return Graph(starts, ends, name, names=names, places=places_of(graph))


def reached(
    outputs: Iterable[SymbolicTensor], stops: Iterable[SymbolicTensor]
) -> tuple[set[Node], set[SymbolicTensor]]:
    """The calls that tensors depend on, no further than `stops`; and the tensors on the way."""
    stops, nodes, tensors = set(stops), set(), set()
    stack = list(outputs)
    while stack:
        tensor = stack.pop()
        tensors.add(tensor)
        if tensor not in stops and tensor.node not in nodes:
            nodes.add(tensor.node)
            stack.extend(tensor.node.parents)
    return nodes, tensors


def _reading(graph: Graph, thing: Any) -> Reading:
    """A place by name or by tensor."""
    return locate(graph, thing) if is_symbolic(thing) else read(graph, thing)


def _is_reading(value: Any) -> bool:
    return isinstance(value, Reading)


def _keys(reading: Reading) -> list[Key]:
    return [(reading.calls, tensor) for tensor in jax.tree.leaves(reading.outputs)]


def _ends(reading: Reading, found: Mapping[Key, SymbolicTensor]) -> PyTree:
    return jax.tree.map(lambda tensor: found[reading.calls, tensor], reading.outputs)


def _plan(graph: Graph, keys: Sequence[Key]) -> dict[Path, _Level]:
    """Every graph from which something is to get out, outermost first, with what it must give."""
    levels: dict[Path, _Level] = {(): _Level(graph, dict.fromkeys(keys))}
    queue: list[Path] = [()]
    for path in queue:
        level = levels[path]
        goals = [tensor for calls, tensor in level.keys if not calls]
        opened = dict.fromkeys(calls[0] for calls, _ in level.keys if calls)
        goals += [tensor for node in opened for tensor in node.parents]
        nodes, tensors = reached(goals, level.graph.inputs)
        level.nodes = frozenset(nodes | set(opened))
        for layer in dict.fromkeys(node.layer for node in opened):
            inner = (*path, level.graph.layer_name(layer))
            read_outputs = _read_outputs(layer, level.graph.calls(layer), tensors)
            deeper = [(calls[1:], tensor) for calls, tensor in level.keys if calls and calls[0].layer is layer]
            levels[inner] = _Level(layer, dict.fromkeys([*read_outputs, *deeper]))
            queue.append(inner)
    return levels


def _read_outputs(layer: Graph, calls: Iterable[Node], tensors: set[SymbolicTensor]) -> list[Key]:
    """The outputs of a nested graph that some call's readers want."""
    wanted = {index for call in calls for index, tensor in enumerate(call.tensors) if tensor in tensors}
    return [((), tensor) for index, tensor in enumerate(layer.flat_outputs) if index in wanted]


def _build_all(levels: Mapping[Path, _Level]) -> tuple[dict[Key, SymbolicTensor], dict[Any, str]]:
    """The tensors of the outermost graph by key, and the names to keep in it."""
    built: dict[Path, dict[Any, _Built]] = {path: {} for path in levels}
    for path, level in reversed(list(levels.items())):
        found = _build(level, built[path])
        names = dict(level.graph.names)
        names |= {new.graph: names[old] for old, new in built[path].items()}
        if path:
            built[path[:-1]][level.graph] = _closed(level, found, names)
        else:
            return found, names
    raise AssertionError("the outermost graph is the first level")


def _build(level: _Level, nested: Mapping[Any, _Built]) -> dict[Key, SymbolicTensor]:
    """The calls of one graph made again where they read a nested graph that has changed."""
    tensors = inputs_before(level.graph)
    found: dict[Key, SymbolicTensor] = {}
    for node in level.graph.nodes:
        if node.layer is None or node not in level.nodes:
            continue
        args = substitute_tensors(node.args, tensors)
        built = nested.get(node.layer)
        if built is None:
            tensors.update(zip(node.tensors, remake(node, node.layer, args).tensors, strict=True))
            continue
        made = _call(built, args, node)
        found |= {((node, *calls), tensor): made.tensors[place] for (calls, tensor), place in built.places.items()}
        for old, inner in zip(node.tensors, node.layer.flat_outputs, strict=True):
            if ((), inner) in built.places:
                tensors[old] = made.tensors[built.places[(), inner]]
    return found | {((), old): new for old, new in tensors.items()}


def _call(built: _Built, args: Any, old: Node) -> Node:
    """The call of a nested graph with its new outputs, in its place in the order of calls."""
    positional, keywords = args
    positional = tuple(positional[index] for index in built.inputs)
    if old.is_inferred:
        made = jax.tree.leaves(record(built.graph, positional, keywords))[0].node
        return dataclasses.replace(made, created=old.created)
    # Nothing is known in a Sequential without an Input until it is called.
    structure = jax.tree.structure(built.graph.outputs)
    specs = old.specs[:1] * len(built.places)
    return Node(built.graph, (positional, keywords), specs, structure, created=old.created)


def _closed(level: _Level, found: Mapping[Key, SymbolicTensor], names: Mapping[Any, str]) -> _Built:
    """A nested graph that gives what is wanted of it."""
    outputs = [found[key] for key in level.keys]
    inputs = [found[(), tensor] for tensor in level.graph.inputs if ((), tensor) in found]
    _, needed = reached(outputs, inputs)
    places = tuple(index for index, tensor in enumerate(level.graph.inputs) if found.get(((), tensor)) in needed)
    used = [found[(), level.graph.inputs[place]] for place in places]
    graph = Graph(used, outputs, level.graph.name, names=names, places=places_of(level.graph))
    return _Built(graph, {key: index for index, key in enumerate(level.keys)}, places)


def _remaining_inputs(graph: Graph, found: Mapping[Key, SymbolicTensor], ends: Sequence[SymbolicTensor]) -> PyTree:
    """The graph's inputs in their arrangement, without those that `ends` do not need."""
    inputs = [found.get(((), tensor), tensor) for tensor in graph.inputs]
    _, needed = reached(ends, inputs)
    return _keep(jax.tree.unflatten(graph.input_structure, inputs), lambda tensor: tensor in needed)


def _keep(tree: PyTree, is_kept: Callable[[SymbolicTensor], bool]) -> PyTree:
    """The tensors that are kept, in what remains of their dicts and lists; None where nothing does."""
    if is_symbolic(tree):
        return tree if is_kept(tree) else None
    if isinstance(tree, Mapping):
        kept = {name: inner for name, value in tree.items() if (inner := _keep(value, is_kept)) is not None}
    else:
        kept = [inner for value in tree if (inner := _keep(value, is_kept)) is not None]
    return kept or None


def _entry(graph: Graph, thing: Any, found: Mapping[Key, SymbolicTensor]) -> PyTree:
    """The tensors at which data is to enter."""
    reading = _reading(graph, thing)
    if reading.calls:
        inner = graph.layer_name(reading.calls[0])
        raise GraphValueError(
            f"Data cannot enter within the nested graph {inner!r}.",
            received=repr(thing),
            expected="a tensor or a name of the graph itself",
            fix=f"graph[{inner!r}].subgraph(outputs, inputs) takes the nested graph apart",
        )
    return jax.tree.map(lambda tensor: found.get(((), tensor), tensor), reading.outputs)


def _entry_names(
    graph: Graph, starts: Sequence[SymbolicTensor], ends: Sequence[SymbolicTensor], found: Mapping[Key, SymbolicTensor]
) -> dict[SymbolicTensor, str]:
    """Names for inner tensors at which data enters: their layers', unless the layer itself still has its name."""
    olds = {new: old for (calls, old), new in found.items() if not calls}
    called = {node.layer for node in graph_between(starts, ends) if node.layer is not None}
    names: dict[SymbolicTensor, str] = {}
    for tensor in starts:
        name = graph.tensor_name(olds.get(tensor, tensor))
        if tensor.node.layer is not None and tensor.node.layer not in called and name not in names.values():
            names[tensor] = name
    return names
