"""The walk over arrays, over keys and over specs: what `apply`, `init` and a call of a graph as a layer compute."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax

from jaxgraphs.errors import GraphError, GraphKeyError, combine
from jaxgraphs.graph.graph import Step, evaluate, infer_node
from jaxgraphs.graph.places import Path, over
from jaxgraphs.layers.base import pending
from jaxgraphs.layers.drawing import drawn
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.keys import fold_path
from jaxgraphs.symbolic.node import Inferred, Node, PyTree, Ran, Variables, located, title
from jaxgraphs.symbolic.spec import TensorSpec, is_known

if TYPE_CHECKING:
    from jaxgraphs.graph.graph import Graph

Wrap = Callable[[Step, Callable[..., Any]], Callable[..., Any]]


@dataclasses.dataclass(frozen=True)
class Masked:
    """A value on an edge with its mask."""

    value: Any
    mask: Any = None


def run_graph(
    graph: Graph,
    variables: Variables,
    values: Sequence[Any],
    context: Context,
    masks: Sequence[Any] | None = None,
    *,
    wrap: Wrap | None = None,
) -> Ran:
    """Computes the graph on arrays; pure.

    Args:
        variables: arrays by collection, layer and name.
        values: one array for each input, in order; `masks` likewise.
        context: whether to train, and a key for each stream.
        wrap: ``wrap(step, function)`` gives the function that stands for one call's, such as `jax.checkpoint` of it.
    Returns: outputs and masks in the outputs' arrangement, changed state by collection, penalties on activations.
    """
    state: dict[str, Any] = {}
    losses: list[Any] = []

    def call(step: Step, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[Any]:
        layer = step.node.layer
        arrays = {name: step.home.read(tree) for name, tree in variables.items()}
        for name, tree in state.items():
            if (newer := step.home.read(tree)) is not None:
                arrays[name] = over(arrays.get(name), newer)
        arrays = {name: value for name, value in arrays.items() if value is not None}
        _check_present(step, arrays)
        plain_args, plain_kwargs = _unmask((args, dict(kwargs)), "value")
        training = context.train if step.training is None else step.training
        rngs = {name: fold_path(key, step.call_path) for name, key in context.rngs.items()}
        inner = context.replace(train=training, rngs=rngs, masks=_unmask(args, "mask"), name="/".join(step.path))

        def compute(arrays: Any, plain_args: Any, plain_kwargs: Any) -> tuple[Any, ...]:
            try:
                ran = layer.run(arrays, plain_args, plain_kwargs, inner)
            except GraphError:
                raise
            except Exception as error:
                _explain(error, step, plain_args, plain_kwargs)
                raise
            return ran.outputs, ran.masks, ran.state, ran.losses

        compute = compute if wrap is None else wrap(step, compute)
        outputs, out_masks, updates, penalties = compute(arrays, plain_args, plain_kwargs)
        for name, update in updates.items():
            step.home.write(state.setdefault(name, {}), over(arrays.get(name) or {}, update))
        losses.extend(penalties)
        return _mask_each(outputs, out_masks)

    masks = [None] * len(values) if masks is None else masks
    with_masks = [Masked(value, mask) for value, mask in zip(values, masks, strict=True)]
    result = evaluate(graph, call, with_masks)
    return Ran(_unmask(result, "value"), _unmask(result, "mask"), state, tuple(losses))


def infer_graph(graph: Graph, specs: Sequence[TensorSpec]) -> Inferred:
    """Specs of the graph's arrays and outputs for inputs of these specs."""
    variables: dict[str, Any] = {}

    def call(step: Step, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[TensorSpec]:
        inferred = infer_step(step, args, kwargs)
        for name, tree in inferred.variables.items():
            step.home.write(variables.setdefault(name, {}), tree)
        return inferred.specs

    outputs = evaluate(graph, call, specs)
    leaves, structure = jax.tree.flatten(outputs)
    return Inferred(variables, tuple(leaves), structure)


def init_graph(graph: Graph, key: jax.Array, specs: Sequence[TensorSpec]) -> Variables:
    """Arrays for every layer, each layer from a key that depends on its path alone.

    Raises: GraphValueError that lists the layers whose arrays' sizes are not known from `specs`.
    """
    variables: dict[str, Any] = {"params": {}}
    unsettled: list[str] = []
    done: set[tuple[Path, Any]] = set()

    def call(step: Step, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[TensorSpec]:
        inferred = infer_step(step, args, kwargs)
        # A layer that holds another may carry state of its own beside the other's arrays.
        if (step.home.path, step.node.layer) not in done:
            done.add((step.home.path, step.node.layer))
            unknown = [leaf for leaf in jax.tree.leaves(inferred.variables) if not is_known(leaf.dims)]
            if unknown:
                unsettled.append(f"{'/'.join(step.path)} needs an array of {', '.join(map(str, unknown))}")
            elif inferred.variables and not unsettled:
                waiting = pending(step.node.layer, fold_path(key, step.home.path), *args, **kwargs)
                for name, tree in waiting.items():
                    known = step.home.read(variables.setdefault(name, {}))
                    step.home.write(variables[name], tree if known is None else over(tree, known))
        return inferred.specs

    evaluate(graph, call, specs)
    if unsettled:
        raise combine(
            "Sizes of weights depend on input sizes that are not known.",
            unsettled,
            fix="give the sizes in Input, or an example of the data: graph.init(key, inputs)",
        )
    return drawn(variables)


def infer_step(step: Step, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Inferred:
    """What was inferred when the call was made, where it is made on the same specs again; else anew."""
    node = step.node
    try:
        return infer_node(node, args, kwargs)
    except GraphError as error:
        raise located(error, node.layer, node.parents, _received(args, kwargs)) from error
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        where = "/".join(step.path)
        said = f"{title(node.layer)} cannot be computed: {reason}"
        raise GraphError(said, where=where, received=_received(args, kwargs)) from error


def _received(*args: Any) -> str:
    return ", ".join(str(leaf) for leaf in jax.tree.leaves(args) if isinstance(leaf, TensorSpec))


def _explain(error: Exception, step: Step, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Says where a call failed, and what of; as inference does, where the arrays' sizes are to blame."""
    specs = jax.tree.map(lambda leaf: TensorSpec.of(leaf) if isinstance(leaf, jax.Array) else leaf, (args, kwargs))
    try:
        infer_step(step, *specs)
    except GraphError as clearer:
        raise clearer from error
    error.add_note(f"in {title(step.node.layer)} at '{'/'.join(step.path)}', which received {_received(specs)}")


def _check_present(step: Step, arrays: Mapping[str, Any]) -> None:
    absent = [name for name in step.node.variables if name not in arrays]
    if absent:
        place = "/".join(step.path)
        raise GraphKeyError(
            f"The variables have no arrays for the layer '{place}'.",
            where=place,
            received=f"collections {sorted(arrays) or 'none'} for this layer",
            expected=f"{', '.join(absent)}: {step.home.path}",
            fix="graph.init(key) makes variables for this graph",
        )


def _unmask(tree: PyTree, part: str) -> PyTree:
    return jax.tree.map(
        lambda leaf: getattr(leaf, part) if isinstance(leaf, Masked) else (leaf if part == "value" else None), tree
    )


def _mask_each(outputs: PyTree, masks: PyTree) -> list[Masked]:
    """The outputs, flat, each with its mask; one mask for several outputs belongs to the first."""
    leaves, _ = jax.tree.flatten(outputs)
    flat = jax.tree.leaves(masks, is_leaf=lambda leaf: leaf is None)
    if len(flat) != len(leaves):
        flat = [*flat[:1], *[None] * (len(leaves) - 1)]
    return [Masked(value, mask) for value, mask in zip(leaves, flat, strict=True)]


def steps_of(graph: Graph) -> tuple[Step, ...]:
    """Every call of a layer, nested graphs' included, in the order of the walk."""
    found: list[Step] = []

    def call(step: Step, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[Any]:
        found.append(step)
        return [None] * len(step.node.specs)

    evaluate(graph, call, [None] * len(graph.inputs))
    return tuple(found)


def nodes_of(graph: Graph) -> tuple[tuple[Path, Node], ...]:
    """The same, as the place of its arrays and the call."""
    return tuple((step.home.path, step.node) for step in steps_of(graph))
