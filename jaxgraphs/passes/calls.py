"""A graph rewritten call by call, in nested graphs first; and what a call does beside giving its outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.paths import graphs_within
from jaxgraphs.graph.places import Path
from jaxgraphs.graph.rewrite import arranged_as, inputs_before, remake, substitute_tensors
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import Node, SymbolicTensor, is_symbolic
from jaxgraphs.symbolic.spec import TensorSpec


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a graph that is being rewritten.

    Args:
        graph: the old graph that the call is in, and `path` where that is.
        node: the old call.
        layer: what is called: a nested graph is already rewritten.
        args: the arguments, already on the new graph's tensors.
        layers: what is called in the place of each layer of the graph.
    """

    graph: Graph
    path: Path
    node: Node
    layer: Any
    args: Any
    layers: dict[Any, Any] = dataclasses.field(default_factory=dict)

    @property
    def place(self) -> str:
        """The path of the layer, as notes have it."""
        return "/".join((*self.path, self.graph.layer_name(self.node)))

    @property
    def is_given(self) -> bool:
        """Whether an output of the call is among the graph's inputs, so that data enters there."""
        return any(tensor.node is self.node for tensor in self.graph.inputs)

    def kept(self) -> tuple[SymbolicTensor, ...]:
        """The outputs of the call as it was, on the new graph's tensors."""
        return remake(self.node, self.layers.get(self.node.layer, self.layer), self.args, infer=False).tensors

    def of(self, layer: Any, args: Any = None) -> tuple[SymbolicTensor, ...]:
        """The outputs of another layer that is called here, under the old one's name."""
        self.layers[self.node.layer] = layer
        return remake(self.node, layer, self.args if args is None else args).tensors

    @property
    def single(self) -> SymbolicTensor | None:
        """The one tensor that the call reads, where it has no other argument."""
        args, kwargs = self.args
        is_single = len(args) == 1 and is_symbolic(args[0]) and not kwargs
        return args[0] if is_single else None


Rule = Callable[[Call], Sequence[SymbolicTensor] | None]
"""What stands for a call's outputs, or None where the call stays."""


def rewrite_calls(graph: Graph, rule: Callable[[Graph, Path], Rule]) -> Graph:
    """The graph with other tensors in the place of some calls' outputs; itself where there are none.

    Args:
        graph: any; layers, names and the order of calls stay.
        rule: ``rule(graph, path)`` gives the rule for the calls of a graph at a path, in their order.
    """
    rewritten: dict[Path, Graph] = {}
    for path, inner in reversed(graphs_within(graph)):
        rewritten[path] = _rewrite_level(inner, path, rule(inner, path), rewritten)
    return rewritten[()]


def _rewrite_level(graph: Graph, path: Path, rule: Rule, rewritten: Mapping[Path, Graph]) -> Graph:
    layers = {layer: rewritten.get((*path, graph.layer_name(layer)), layer) for layer in graph.layers}
    # Rules know a layer as it was before any of its calls was rewritten.
    known = dict(layers)
    tensors = inputs_before(graph)
    is_changed = False
    for node in graph.nodes:
        if node.layer is None:
            continue
        args = substitute_tensors(node.args, tensors)
        call = Call(graph, path, node, known[node.layer], args, layers)
        made = rule(call)
        new = call.kept() if made is None else made
        is_changed |= any(a is not b and a != b for a, b in zip(new, node.tensors, strict=True))
        tensors.update(zip(node.tensors, new, strict=True))
    return arranged_as(graph, tensors, layers) if is_changed else graph


def layers_within(graph: Graph) -> Iterator[Any]:
    """The layers of a graph and of those nested in it: a quick look at whether a pass has anything to do."""
    for _, inner in graphs_within(graph):
        yield from inner.layers


def told_to_train(graph: Graph) -> frozenset[Path]:
    """The paths of nested graphs a call of which says training=True, and of the graphs in them."""
    told: set[Path] = set()
    for path, inner in graphs_within(graph):
        for node in inner.nodes:
            if isinstance(node.layer, Graph) and (path in told or node.args[1].get("training")):
                told.add((*path, inner.layer_name(node)))
    return frozenset(told)


class Effects(NamedTuple):
    """What a call does beside giving its outputs: draws random numbers, moves state, adds to the loss."""

    draws: bool
    moves: bool
    penalises: bool


def effects(node: Node, *, training: bool) -> Effects:
    """What a call does beside giving its outputs, found by tracing it; where that fails, everything."""
    try:
        return _traced(node, training)
    except Exception:  # a layer that cannot be traced alone is left alone
        return Effects(True, True, True)


def is_pure(node: Node, *, training: bool) -> bool:
    """Whether a call does nothing but give its outputs."""
    return not any(effects(node, training=training))


def _traced(node: Node, training: bool) -> Effects:
    found: list[Any] = []

    def run(key: jax.Array, variables: Any, args: Any) -> Any:
        plain, kwargs = args
        masks = jax.tree.map(lambda _: None, plain)
        ran = node.layer.run(variables, plain, kwargs, Context(train=training, rngs={"dropout": key}, masks=masks))
        found.append(ran)
        return ran.outputs, ran.state, ran.losses

    leaves, structure = jax.tree.flatten((node.variables, _specs(node.args)))
    places = [index for index, leaf in enumerate(leaves) if isinstance(leaf, TensorSpec)]

    def on_arrays(key: jax.Array, *arrays: jax.Array) -> Any:
        filled = list(leaves)
        for index, array in zip(places, arrays, strict=True):
            filled[index] = array
        return run(key, *jax.tree.unflatten(structure, filled))

    traced = jax.make_jaxpr(on_arrays)(jax.random.key(0), *(leaves[index].struct() for index in places))
    return Effects(_reads(traced.jaxpr, 0), bool(jax.tree.leaves(found[0].state)), bool(found[0].losses))


def _specs(args: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.spec if is_symbolic(leaf) else leaf, args)


def _reads(jaxpr: Any, index: int) -> bool:
    """Whether an output depends on argument number `index`."""
    reached = {jaxpr.invars[index]}
    for equation in jaxpr.eqns:
        if any(_is_in(variable, reached) for variable in equation.invars):
            reached.update(equation.outvars)
    return any(_is_in(variable, reached) for variable in jaxpr.outvars)


def _is_in(variable: Any, variables: Iterable[Any]) -> bool:
    # Literals stand among the variables, and have no hash.
    return type(variable).__hash__ is not None and variable in variables
