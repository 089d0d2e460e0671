"""New graphs from old: layers mapped, replaced, frozen. The old graph is intact; its variables feed the new one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import jax

from jaxgraphs.errors import GraphError, GraphKeyError, GraphTypeError, ShapeMismatchError, did_you_mean
from jaxgraphs.graph.graph import Graph, places_of
from jaxgraphs.graph.paths import find_layer, layer_paths
from jaxgraphs.graph.places import Path
from jaxgraphs.symbolic.node import Node, SymbolicTensor, is_symbolic, record, title

Change = Callable[[Path, Any], Any]
Tensors = dict[SymbolicTensor, SymbolicTensor]


def rebuild(graph: Graph, change: Change, *, infer: bool = True) -> Graph:
    """A copy of a graph with layers changed; what does not change is not copied.

    Shared layers stay shared, names stay, and a nested graph of which something changes is itself rebuilt, once, with
    all its calls.

    Args:
        graph: to copy.
        change: ``change(path, layer)`` gives the layer that stands in a layer's place: itself, or another. It is asked
            about nested graphs as well as about the layers in them; about a shared layer at each of its paths until
            it gives another, which then stands at all of them.
        infer: whether the new layers' outputs may be of other shapes or dtypes, so that they are found anew.
    Returns: the new graph; the old one where nothing changes.
    Raises: GraphError when a layer does not fit what another now gives it.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((8,))
    >>> wide = rebuild(Graph(x, Dense(3)(x)), lambda path, layer: layer.replace(units=5))
    >>> wide.outputs.shape, wide["dense"].units
    ((None, 5), 5)
    """
    new: dict[Any, Any] = {}
    for path, layer in layer_paths(graph).items():
        if new.get(layer, layer) is layer:
            new[layer] = change(path, layer)
    for thing in _inwards_first(graph):
        changed = new.get(thing, thing)
        if changed is thing and isinstance(thing, Graph):
            changed = _rebuild_level(thing, new, infer)
        new[thing] = _holding(changed, new)
    return new[graph]


def map_layers(graph: Graph, function: Callable[[str, Any], Any], *, infer: bool = True) -> Graph:
    """A copy of a graph with ``function(path, layer)`` in place of each layer that is not itself a graph.

    Args:
        graph: to copy.
        function: a path such as ``"inner/dense"`` and the layer there -> the layer to have there instead.
        infer: as in `rebuild`.
    """
    return rebuild(
        graph, lambda path, layer: layer if isinstance(layer, Graph) else function("/".join(path), layer), infer=infer
    )


def replace(graph: Graph, name: str, layer: Any) -> Graph:
    """The graph with another layer in the place of one, at each of its calls.

    Args:
        graph: to copy.
        name: of the layer, or its path in a nested graph, such as ``"inner/dense"``.
        layer: takes the old name unless it has one; one that is in the graph already shares its weights.
    Raises: GraphError when there is no such layer, or the new one does not fit there.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((8,))
    >>> replace(Graph(x, Dense(3, name="y")(x)), "y", Dense(5)).outputs.shape
    (None, 5)
    """
    wanted = find_layer(graph, name)
    if isinstance(layer, type) or not hasattr(layer, "infer"):
        received = f"the class {layer.__name__}" if isinstance(layer, type) else type(layer).__name__
        raise GraphTypeError(
            f"What replaces {name!r} is a layer.", received=received, fix="jg.layer(thing) makes one of a function"
        )
    try:
        return rebuild(graph, lambda path, old: layer if path == wanted else old)
    except GraphError as error:
        what = f"{title(layer)} cannot take the place of {name!r}: {error.what}"
        raise type(error)(
            what, where=error.where, received=error.received, expected=error.expected, fix=error.fix
        ) from error


def freeze(graph: Graph, pattern: str | Iterable[str] = "*") -> Graph:
    """The graph with layers whose params are not learned: no gradient, no optimizer state.

    Args:
        graph: to copy.
        pattern: of paths, one or several, such as ``"block1*"`` or ``"xception/*"``; a nested graph is all in it.
    Raises: GraphKeyError when a pattern fits no path.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((8,))
    >>> freeze(Graph(x, Dense(3)(x)), "dense*")["dense"].trainable
    False
    """
    return _set_trainable(graph, pattern, False)


def unfreeze(graph: Graph, pattern: str | Iterable[str] = "*") -> Graph:
    """The graph with layers whose params are learned again; as `freeze`."""
    return _set_trainable(graph, pattern, True)


def substitute_tensors(args: Any, tensors: Mapping[SymbolicTensor, SymbolicTensor]) -> Any:
    """The arguments of a call with other tensors in them.

    Raises: ShapeMismatchError when one of the tensors is no longer there.
    """
    leaves, structure = jax.tree.flatten(args)
    missing = [leaf for leaf in leaves if is_symbolic(leaf) and leaf not in tensors]
    if missing:
        raise ShapeMismatchError(
            f"Output number {missing[0].index} is read, and there is none.",
            where=f"{missing[0].name} -> ...",
            expected="as many outputs as before",
        )
    return jax.tree.unflatten(structure, [tensors[leaf] if is_symbolic(leaf) else leaf for leaf in leaves])


def remake(node: Node, layer: Any, args: Any, *, infer: bool = True) -> Node:
    """The call with another layer or other arguments; itself where both are as they were.

    It keeps its place in the order of calls, by which shared layers draw their random numbers.
    """
    reads = tuple(leaf for leaf in jax.tree.leaves(args) if is_symbolic(leaf))
    is_same = layer is node.layer
    if is_same and reads == node.parents:
        return node
    is_fitting = is_same and [tensor.spec for tensor in reads] == [tensor.spec for tensor in node.parents]
    if is_fitting or not infer or not all(tensor.node.is_inferred for tensor in reads):
        return Node(layer, args, node.specs, node.structure, node.variables, created=node.created)
    return dataclasses.replace(jax.tree.leaves(record(layer, *args))[0].node, created=node.created)


def inputs_before(graph: Graph) -> Tensors:
    """Each tensor that a graph does not compute, as its own substitute."""
    computed = {node for node in graph.nodes if node.layer is not None}
    return {tensor: tensor for tensor in graph.inputs if tensor.node not in computed}


def _inwards_first(graph: Graph) -> list[Any]:
    """The graph and all layers in it, each once, after those that it calls or holds."""
    done: dict[Any, None] = {}
    stack: list[tuple[Any, bool]] = [(graph, False)]
    while stack:
        thing, is_open = stack.pop()
        if is_open:
            done[thing] = None
        elif thing not in done:
            held = getattr(thing, "held", None)
            within = thing.layers if isinstance(thing, Graph) else () if held is None else (held,)
            stack.append((thing, True))
            stack.extend((inner, False) for inner in within)
    return list(done)


def _rebuild_level(graph: Graph, new: Mapping[Any, Any], infer: bool) -> Graph:
    """One graph, all that is in it already rebuilt."""
    layers = {layer: new[layer] for layer in graph.layers}
    if all(made is old for old, made in layers.items()):
        return graph
    tensors = inputs_before(graph)
    for node in graph.nodes:
        if node.layer is not None:
            made = remake(node, layers[node.layer], substitute_tensors(node.args, tensors), infer=infer)
            tensors.update(zip(node.tensors, made.tensors, strict=False))
    return arranged_as(graph, tensors, layers)


def _holding(layer: Any, new: Mapping[Any, Any]) -> Any:
    """The layer, or that which holds what now stands for the layer that it held."""
    held = getattr(layer, "held", None)
    made = held if held is None else new.get(held, None) or _holding(held, new)
    return layer if made is held else layer.holding(made)


def arranged_as(graph: Graph, tensors: Tensors, layers: Mapping[Any, Any]) -> Graph:
    """The graph on substituted tensors: of its own class, with its arrangement and its names.

    Args:
        graph: the old one.
        tensors: what stands for each of its tensors.
        layers: what stands for each of its layers, and takes its name.
    """
    inputs = jax.tree.unflatten(graph.input_structure, list(graph.inputs))
    outputs = substitute_tensors(graph.outputs, tensors)
    names = {tensors.get(owner, owner) if is_symbolic(owner) else owner: name for owner, name in graph.names.items()}
    for old, new in layers.items():
        if new is not old and new not in graph.names and not (new.name and _is_renamed(old, new)):
            names[new] = graph.layer_name(old)
    # A Sequential stays one: its constructor would make its calls anew.
    made = object.__new__(type(graph))
    Graph.__init__(made, substitute_tensors(inputs, tensors), outputs, graph.name, names=names, places=places_of(graph))
    return made


def _is_renamed(old: Any, new: Any) -> bool:
    return new.name != old.name


def _set_trainable(graph: Graph, pattern: str | Iterable[str], trainable: bool) -> Graph:
    patterns = [pattern] if isinstance(pattern, str) else list(pattern)
    _check_patterns(graph, patterns)

    def change(path: Path, layer: Any) -> Any:
        prefixes = ("/".join(path[:length]) for length in range(1, len(path) + 1))
        is_chosen = any(fnmatchcase(prefix, each) for prefix in prefixes for each in patterns)
        if not is_chosen or getattr(layer, "trainable", trainable) == trainable:
            return layer
        return layer.replace(trainable=trainable)

    # Being learned or not changes no shape.
    return rebuild(graph, change, infer=False)


def _check_patterns(graph: Graph, patterns: Sequence[str]) -> None:
    paths = ["/".join(path) for path in layer_paths(graph)]
    empty = [each for each in patterns if not any(fnmatchcase(path, each) for path in paths)]
    if empty or not patterns:
        raise GraphKeyError(
            f"No layer of {title(graph)} fits the pattern {empty[0]!r}." if empty else "No pattern was given.",
            received=", ".join(map(repr, patterns)) or "nothing",
            expected=did_you_mean(empty[0] if empty else "*", paths),
            fix='"block1*" is every layer whose path starts so; "*" is every layer',
        )
