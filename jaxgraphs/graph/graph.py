"""A graph: the calls that lead from inputs to outputs, as immutable data, and the one walk that reads it."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax

from jaxgraphs.errors import GraphKeyError, GraphTypeError, GraphValueError, ShapeMismatchError, did_you_mean
from jaxgraphs.graph.facade import GraphMethods
from jaxgraphs.graph.names import derive_names, unique
from jaxgraphs.graph.places import Home, Path, Use, choose_places
from jaxgraphs.symbolic.node import (
    UNKNOWN,
    Inferred,
    Node,
    Operation,
    PyTree,
    SymbolicTensor,
    Variables,
    check_name,
    describe_call,
    innermost,
    is_symbolic,
    record,
    title,
)
from jaxgraphs.symbolic.spec import TensorSpec, is_known


@dataclasses.dataclass(frozen=True, eq=False, init=False, repr=False)
class Graph(GraphMethods):
    """The calls that lead from `inputs` to `outputs`, each after the calls it reads.

    Args:
        inputs: symbolic tensors, where data enters: one, or a list, dict or nesting. An inner tensor may be one;
            the value given for it then stands.
        outputs: symbolic tensors: one, or a list, dict or nesting of them.
        name: of the graph when it is called as a layer.
        names: names to keep, by layer or Input node, for a graph made from another.
        places: where arrays are to stay, by path, for the same.
    Raises: GraphError when an output does not depend on the inputs alone, an input is not used, two given names are
        alike, a shared layer would need weights of two shapes, or there is a cycle.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((8,), name="x")
    >>> graph = Graph(x, Dense(3, name="y")(x))
    >>> variables = graph.init(jax.random.key(0))
    >>> graph.apply(variables, jax.numpy.ones((2, 8))).shape
    (2, 3)
    """

    inputs: tuple[SymbolicTensor, ...]
    outputs: PyTree
    nodes: tuple[Node, ...]
    name: str | None
    names: Mapping[Any, str]
    places: Mapping[Path, Path]
    input_structure: Any
    created: int

    def __init__(
        self,
        inputs: PyTree,
        outputs: PyTree,
        name: str | None = None,
        *,
        names: Mapping[Any, str] | None = None,
        places: Mapping[Path, Path] | None = None,
    ) -> None:
        check_name(name, "Graph")
        _check_ends(jax.tree.leaves(inputs, is_leaf=_is_none), jax.tree.leaves(outputs, is_leaf=_is_none))
        flat_inputs, structure = jax.tree.flatten(inputs)
        flat_outputs, out_structure = jax.tree.flatten(outputs)
        nodes = graph_between(flat_inputs, flat_outputs)
        self._set(tuple(flat_inputs), jax.tree.unflatten(out_structure, flat_outputs), nodes, name, structure)
        self._name(names or {}, places or {})
        _check_shared(self)

    def _set(
        self, inputs: tuple[SymbolicTensor, ...], outputs: PyTree, nodes: tuple[Node, ...], name: str | None, form: Any
    ) -> None:
        fields = {"inputs": inputs, "outputs": outputs, "nodes": nodes, "name": name, "input_structure": form}
        for field, value in {**fields, "created": time.perf_counter_ns()}.items():
            object.__setattr__(self, field, value)

    def _name(self, names: Mapping[Any, str], places: Mapping[Path, Path]) -> None:
        """Gives the layers their names, and their arrays their places."""
        taken = {place[0] for path, place in places.items() if path != place}
        object.__setattr__(self, "names", derive_names(self.nodes, self.inputs, names, taken))
        object.__setattr__(self, "places", choose_places(uses_of(self), places))

    def __copy__(self) -> Graph:
        """The graph itself: it never changes."""
        return self

    def __deepcopy__(self, _memo: Any) -> Graph:
        """The graph itself: it never changes, and its layers' identity is what shares weights."""
        return self

    @property
    def kind(self) -> str:
        """The class as a user knows it."""
        return type(self).__name__

    @property
    def default_name(self) -> str:
        """The stem of a derived name, as in Keras."""
        return "functional"

    @property
    def flat_outputs(self) -> tuple[SymbolicTensor, ...]:
        """The outputs in order, whatever their arrangement."""
        return tuple(jax.tree.leaves(self.outputs))

    @property
    def layers(self) -> tuple[Any, ...]:
        """The layers called, each once, in the order in which they are first called."""
        return tuple(dict.fromkeys(node.layer for node in self.nodes if node.layer is not None))

    @functools.cached_property
    def input_names(self) -> tuple[str, ...]:
        """The names under which data is given: keys where the inputs were given as a dict, else the Inputs' names."""
        keys = _dict_keys(self.input_structure, len(self.inputs))
        return keys or tuple(self.tensor_name(tensor) for tensor in self.inputs)

    @functools.cached_property
    def output_names(self) -> tuple[str, ...]:
        """The names of losses, metrics and targets: keys where the outputs are a dict, else the layers' names."""
        keys = _dict_keys(jax.tree.structure(self.outputs), len(self.flat_outputs))
        return keys or unique(self.tensor_name(tensor) for tensor in self.flat_outputs)

    def layer_name(self, thing: Any) -> str:
        """The name in this graph of a layer, or of the layer or Input of a node."""
        key = thing.layer if isinstance(thing, Node) and thing.layer is not None else thing
        return self.names[key]

    def place(self, path: Path) -> Path:
        """Where the arrays of the layer at a path are: there, unless they are shared and in another place."""
        return self.places.get(path, path)

    def tensor_name(self, tensor: SymbolicTensor) -> str:
        """The name in this graph of the layer that makes a tensor."""
        return self.names.get(tensor, None) or self.layer_name(tensor.node)

    def calls(self, layer: Any) -> tuple[Node, ...]:
        """The calls of one layer, in order."""
        return tuple(node for node in self.nodes if node.layer is layer)

    def sharing(self, layer: Any) -> tuple[Node, ...]:
        """The graph's own calls that compute with a layer's arrays: the layer's, and those of layers that hold it."""
        root = innermost(layer)
        return tuple(node for node in self.nodes if node.layer is layer or innermost(node.layer) is root)

    def __getitem__(self, name: str) -> Any:
        """The layer of that name.

        Raises: GraphKeyError when there is none.
        """
        by_name = {self.names[layer]: layer for layer in self.layers}
        if name not in by_name:
            raise GraphKeyError(
                f"There is no layer {name!r} in the graph.", expected=did_you_mean(str(name), list(by_name))
            )
        return by_name[name]

    def __repr__(self) -> str:
        label = f" {self.name!r}" if self.name else ""
        ends = f"{len(self.inputs)} inputs, {len(self.flat_outputs)} outputs"
        return f"<{self.kind}{label}: {len(self.layers)} layers, {ends}>"

    def __call__(self, *args: Any, **kwargs: Any) -> PyTree:
        """Calls the graph as a layer: on tensors arranged as its inputs, as a list, or as a dict by input name."""
        if not args and not kwargs:
            raise GraphTypeError(f"{title(self)} was called on nothing.", expected=f"inputs {list(self.input_names)}")
        if strange := sorted(set(kwargs) - {"training"}):
            raise GraphTypeError(
                f"{title(self)} does not take this argument.",
                received=", ".join(strange),
                expected="inputs, and training=",
            )
        values = args[0] if len(args) == 1 else list(args)
        return record(self, tuple(self.flatten_inputs(values)), kwargs)


@dataclasses.dataclass(frozen=True)
class Step:
    """Where the walk stands: one call of one layer that is not itself a graph.

    Args:
        node: the call.
        path: names of the layer and of the graphs around it, outermost first.
        home: where its arrays are: at `path`, unless they are shared and elsewhere.
        call_path: the same with the number of each call, for what differs from call to call, such as random keys.
        training: True or False where a call around it said so.
    """

    node: Node
    path: Path
    home: Home
    call_path: Path
    training: bool | None = None


@dataclasses.dataclass
class _Frame:
    """A graph being walked: what is known so far, and who waits for its outputs."""

    graph: Graph
    env: dict[SymbolicTensor, Any]
    remaining: Any
    caller: Node | None
    path: tuple[str, ...]
    call_path: tuple[str, ...]
    training: bool | None
    counts: Counter[str] = dataclasses.field(default_factory=Counter)


NodeCall = Callable[[Step, tuple[Any, ...], Mapping[str, Any]], Sequence[Any]]


def evaluate(
    graph: Graph, call: NodeCall, values: Sequence[Any], *, is_leaf: Callable[[Any], bool] | None = None
) -> PyTree:
    """Walks `graph` once, the graphs within it included, without recursion.

    Args:
        graph: what to walk.
        call: ``call(step, args, kwargs)`` gives the outputs of one layer, flat: arrays, specs or costs.
        values: one for each input.
    Returns: the values of the outputs, in their arrangement.
    """
    frames = [_frame(graph, values, None, (), (), None)]
    while True:
        frame = frames[-1]
        node = next(frame.remaining, None)
        if node is None:
            frames.pop()
            results = [frame.env[tensor] for tensor in frame.graph.flat_outputs]
            if not frames:
                return jax.tree.unflatten(jax.tree.structure(graph.outputs), results)
            _store(frames[-1], frame.caller, results)
            continue
        if node.layer is None:
            continue
        args, kwargs = _resolve(node, frame.env)
        step = _step(graph, frame, node)
        if isinstance(node.layer, Graph):
            training = kwargs.get("training")
            training = step.training if training is None else training
            frames.append(_frame(node.layer, args, node, step.path, step.call_path, training))
        else:
            _store(frame, node, call(step, args, kwargs))


def _frame(
    graph: Graph, values: Sequence[Any], caller: Node | None, path: Any, call_path: Any, training: Any
) -> _Frame:
    env = dict(zip(graph.inputs, values, strict=True))
    return _Frame(graph, env, iter(graph.nodes), caller, path, call_path, training)


def _step(graph: Graph, frame: _Frame, node: Node) -> Step:
    name = frame.graph.layer_name(node)
    frame.counts[name] += 1
    path = (*frame.path, name)
    home = Home(path) if isinstance(node.layer, Graph) else home_of(graph, path, node.layer)
    return Step(node, path, home, (*frame.call_path, f"{name}#{frame.counts[name] - 1}"), frame.training)


def home_of(graph: Graph, path: Path, layer: Any) -> Home:
    """Where a graph has the arrays of the layer at a path, or of the graph nested there."""
    root = innermost(layer)
    if not isinstance(root, Graph):
        return Home(graph.place(path))
    if not graph.places:
        return Home(path)
    places = {root.place(inner): graph.place((*path, *inner)) for inner, _ in leaves_of(root)}
    return Home(path, tuple((inner, place) for inner, place in places.items() if place != (*path, *inner)))


def uses_of(graph: Graph) -> list[Use]:
    """The ways to the layers that a graph and those within it compute with, in the order of the calls."""
    uses: list[Use] = []
    for layer in graph.layers:
        name, root = graph.names[layer], innermost(layer)
        if isinstance(root, Graph):
            rank = 1 if root is layer else 2
            uses += [Use((name, *path), leaf, (name, *root.place(path)), rank) for path, leaf in leaves_of(root)]
        elif not isinstance(root, Operation):
            uses.append(Use((name,), root, (name,), 0 if root is layer else 2))
    return uses


def leaves_of(graph: Graph) -> list[tuple[Path, Any]]:
    """The layers that may have arrays, by path: those of nested graphs, and of graphs within other layers, too."""
    found: list[tuple[Path, Any]] = []
    stack: list[tuple[Path, Any]] = [((), graph)]
    while stack:
        path, root = stack.pop()
        if isinstance(root, Graph):
            inner = [((*path, root.names[layer]), innermost(layer)) for layer in root.layers]
            stack.extend(reversed(inner))
        elif not isinstance(root, Operation):
            found.append((path, root))
    return found


def shared_places(graph: Graph) -> frozenset[Path]:
    """The places of arrays with which layers at several paths compute."""
    counts = Counter(graph.place(use.path) for use in uses_of(graph))
    return frozenset(place for place, count in counts.items() if count > 1)


def places_of(graph: Graph) -> dict[Path, Path]:
    """The place of every layer's arrays by path, for a graph that is made from this one."""
    return {use.path: graph.place(use.path) for use in uses_of(graph)}


def _resolve(node: Node, env: Mapping[SymbolicTensor, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call with values in place of symbolic tensors."""
    leaves, structure = jax.tree.flatten(node.args)
    return jax.tree.unflatten(structure, [env[leaf] if is_symbolic(leaf) else leaf for leaf in leaves])


def _store(frame: _Frame, node: Node | None, results: Sequence[Any]) -> None:
    assert node is not None
    for tensor, value in zip(node.tensors, results, strict=True):
        # An input may be an inner edge; the value the caller gave for it stands.
        frame.env.setdefault(tensor, value)


def graph_between(inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]) -> tuple[Node, ...]:
    """The calls needed to get from `inputs` to `outputs`, each after the calls it reads.

    Raises: GraphValueError when an output needs an Input that is not among `inputs`, when one of `inputs` is not
        needed, or when calls wait for each other.
    """
    given, used = set(inputs), set()
    order: dict[Node, None] = {}
    missing: dict[SymbolicTensor, SymbolicTensor] = {}
    for output in outputs:
        active: set[Node] = set()
        stack: list[tuple[SymbolicTensor, bool]] = [(output, False)]
        while stack:
            tensor, is_done = stack.pop()
            node = tensor.node
            if is_done:
                active.discard(node)
                order[node] = None
            elif tensor in given:
                used.add(tensor)
                if node.layer is None:
                    order[node] = None
            elif node.layer is None:
                missing.setdefault(tensor, output)
            elif node in active:
                raise _cycle(node)
            elif node not in order:
                active.add(node)
                stack.append((tensor, True))
                stack.extend(
                    (parent, False) for parent in reversed(node.parents) if parent.node not in order or parent in given
                )
    if missing:
        raise _missing(missing, given)
    _check_used(inputs, used, outputs)
    # A call is made after those that it reads, so this order is a topological one, and it reads like the user's code.
    return tuple(sorted(order, key=lambda node: node.created))


def _is_none(leaf: Any) -> bool:
    return leaf is None


def _check_ends(inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    for side, tensors in (("inputs", inputs), ("outputs", outputs)):
        strangers = [type(tensor).__name__ for tensor in tensors if not is_symbolic(tensor)]
        if strangers or not tensors:
            raise GraphTypeError(
                f"The {side} of a Graph are symbolic tensors.",
                received=", ".join(strangers) or "none",
                expected="what jg.Input or a layer called on a symbolic tensor returns",
            )
    twice = [tensor.name for tensor, count in Counter(inputs).items() if count > 1]
    if twice:
        raise GraphValueError("An input is given twice.", received=", ".join(twice), fix="give each Input once")


def _check_used(inputs: Iterable[SymbolicTensor], used: set[SymbolicTensor], outputs: Sequence[SymbolicTensor]) -> None:
    unused = [tensor.name for tensor in inputs if tensor not in used]
    if unused:
        raise GraphValueError(
            f"{'An input is' if len(unused) == 1 else f'{len(unused)} inputs are'} not used by any output.",
            where=f"{', '.join(unused)} -> nothing",
            received="outputs " + ", ".join(dict.fromkeys(tensor.name for tensor in outputs)),
            fix=f"connect {' and '.join(unused)} to an output, or leave it out of the Graph's inputs",
        )


def _missing(missing: Mapping[SymbolicTensor, SymbolicTensor], given: Iterable[SymbolicTensor]) -> GraphValueError:
    names = [tensor.name for tensor in missing]
    return GraphValueError(
        f"The outputs need {'an Input' if len(names) == 1 else f'{len(names)} Inputs'} that the Graph was not given.",
        where="; ".join(f"{tensor.name} -> ... -> {output.name}" for tensor, output in missing.items()),
        received="inputs " + (", ".join(sorted(tensor.name for tensor in given)) or "none"),
        expected=f"{', '.join(names)} among them",
        fix=f"Graph([..., {', '.join(names)}], outputs)",
    )


def _cycle(node: Node) -> GraphValueError:
    return GraphValueError(
        "The calls form a cycle: a call waits for its own output.",
        where=describe_call(node.layer, node.parents),
        expected="a graph without cycles",
        fix="a loop over time belongs in a recurrent layer or in jg.layer of a function with jax.lax.scan",
    )


def _check_shared(graph: Graph) -> None:
    """A shared layer has one set of weights, so each of its calls must need the same shapes."""
    _check_calls(graph)
    if graph.places and UNKNOWN not in [tensor.spec for tensor in graph.inputs]:
        _check_places(graph)


def _check_places(graph: Graph) -> None:
    """The same for a layer that is shared by several graphs."""
    shared = shared_places(graph)
    layers = {place: use.layer for use in uses_of(graph) if (place := graph.place(use.path)) in shared}
    first: dict[Path, tuple[Step, Any, Variables]] = {}

    def call(step: Step, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[TensorSpec]:
        variables, specs, _ = infer_node(step.node, args, kwargs)
        for place, needed in step.home.apart(variables):
            other, received, known = first.setdefault(place, (step, args, needed))
            if place in layers and not _same_variables(known, needed):
                raise _unlike(layers[place], ["/".join(each.path) for each in (other, step)], [received, args])
        return specs

    evaluate(graph, call, [tensor.spec for tensor in graph.inputs])


def infer_node(node: Node, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Inferred:
    """What was inferred when the call was made, where it is made on the same specs again; else anew."""
    now = [leaf for leaf in jax.tree.leaves((args, kwargs)) if isinstance(leaf, TensorSpec)]
    if now == [tensor.spec for tensor in node.parents] and node.is_inferred:
        return Inferred(node.variables, node.specs, node.structure)
    return node.layer.infer(args, kwargs)


def _unlike(layer: Any, places: Sequence[str], received: Sequence[Any]) -> ShapeMismatchError:
    shown = ([str(leaf) for leaf in jax.tree.leaves(args) if isinstance(leaf, TensorSpec)] for args in received)
    return ShapeMismatchError(
        f"{title(layer)} is shared, and its calls need weights of different shapes.",
        where="; ".join(places),
        received="; ".join(map(", ".join, shown)),
        expected="inputs of one width at each call",
        fix=f"use a {layer.kind} of its own for each, or bring the inputs to one width",
    )


def _check_calls(graph: Graph) -> None:
    first: dict[Any, Node] = {}
    for node in graph.nodes:
        other = first.setdefault(innermost(node.layer), node) if node.layer is not None else node
        if other is not node and not _same_variables(other.variables, node.variables):
            calls = (other, node)
            places = [describe_call(node.layer, call.parents) for call in calls]
            raise _unlike(node.layer, places, [[tensor.spec for tensor in call.parents] for call in calls])


def _same_variables(a: Variables, b: Variables) -> bool:
    """Whether two calls need the same arrays, as far as is known; each may carry state of its own beside them."""
    a, b = ({name: tree for name, tree in each.items() if name in a and name in b} for each in (a, b))
    if jax.tree.structure(a) != jax.tree.structure(b):
        return False
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(one == other or not is_known(one.dims) or not is_known(other.dims) for one, other in pairs)


def _dict_keys(structure: Any, count: int) -> tuple[str, ...] | None:
    """The keys of a flat dict; joined by slashes where dicts and lists are nested in it."""
    example = jax.tree.unflatten(structure, list(range(count)))
    if not isinstance(example, dict):
        return None
    paths = jax.tree_util.tree_leaves_with_path(example)
    return tuple("/".join(str(getattr(key, "key", getattr(key, "idx", key))) for key in path) for path, _ in paths)
