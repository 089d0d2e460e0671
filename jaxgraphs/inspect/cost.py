"""What a graph costs, call by call: floating-point operations, and bytes read and written."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from jaxgraphs.errors import GraphError, GraphKeyError, GraphValueError, did_you_mean
from jaxgraphs.graph.graph import Graph, Step, evaluate
from jaxgraphs.inspect.flops import count_flops
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import UNKNOWN, SymbolicTensor, title
from jaxgraphs.symbolic.spec import TensorSpec, check_shape, symbols

ASSUMED_SIZE = 128
"""What stands for a size that neither the graph nor the caller gives."""

Sizes = Mapping[str, int | Sequence[int]]


@dataclasses.dataclass(frozen=True)
class CallCost:
    """What one call of one layer costs at inference.

    Args:
        path: names of the layer and of the graphs around it.
        call_path: the same with the number of each call.
        flops: floating-point operations; a multiplication and an addition are two.
        bytes: of the inputs and arrays read and of the outputs written, each once.
    """

    path: tuple[str, ...]
    call_path: tuple[str, ...]
    flops: int
    bytes: int


def flops(graph: Graph, batch_size: int = 1, sizes: Sizes | None = None) -> int:
    """The floating-point operations of a graph at inference; as `costs`.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((8,))
    >>> flops(Graph(x, Dense(3, use_bias=False)(x)))
    48
    """
    return sum(cost.flops for cost in costs(graph, batch_size, sizes))


def costs(graph: Graph, batch_size: int = 1, sizes: Sizes | None = None) -> tuple[CallCost, ...]:
    """The cost of every call, in order, those in nested graphs included; a shared layer's calls each count.

    Read off the computation as JAX traces it, without masks and without training. XLA may compute less, where it fuses
    or leaves out what is not used.

    Args:
        graph: of which the inputs are known.
        batch_size: how many examples.
        sizes: for inputs with sizes that are not known, by the input's name: one number for all of them, or the whole
            shape without the batch. 128 is assumed for the others.
    Raises: GraphError when the inputs are not known, or the sizes do not fit them.

    >>> from jaxgraphs.layers.core import Embedding
    >>> from jaxgraphs.symbolic.node import Input
    >>> text = Input((None,), dtype="int32", name="text")
    >>> [cost.bytes for cost in costs(Graph(text, Embedding(10, 4)(text)), sizes={"text": 5})]
    [260]
    """
    specs = input_specs(graph, batch_size, sizes or {})
    found: list[CallCost] = []
    known: dict[Any, tuple[tuple[TensorSpec, ...], int, int]] = {}

    def call(step: Step, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[TensorSpec]:
        leaves, structure = jax.tree.flatten((args, kwargs))
        # A shared layer is traced once for all calls on the same shapes; constants may have no hash.
        is_plain = all(isinstance(leaf, TensorSpec) for leaf in leaves)
        key = (step.node.layer, tuple(leaves), structure) if is_plain else step
        if key not in known:
            known[key] = _placed(step, lambda: _measure(step.node.layer, args, kwargs))
        outputs, operations, moved = known[key]
        found.append(CallCost(step.path, step.call_path, operations, moved))
        return outputs

    evaluate(graph, call, specs)
    return tuple(found)


def input_specs(graph: Graph, batch_size: int, sizes: Sizes) -> list[TensorSpec]:
    """The specs of the inputs with numbers for all sizes."""
    if UNKNOWN in graph.input_specs():
        raise GraphValueError(
            f"{title(graph)} has no Input, so that its shapes are not known.",
            fix="Sequential([Input((8,)), ...]), or call it on a tensor of another graph",
        )
    names = [graph.tensor_name(tensor) for tensor in graph.inputs]
    for name in sizes:
        if name not in names:
            raise GraphKeyError(f"There is no input {name!r} to give a size.", expected=did_you_mean(str(name), names))
    pairs = zip(graph.inputs, names, strict=True)
    return [_settled(tensor, name, batch_size, sizes.get(name)) for tensor, name in pairs]


def _settled(tensor: SymbolicTensor, name: str, batch_size: int, given: Any) -> TensorSpec:
    spec = tensor.spec
    if given is not None and not isinstance(given, int):
        shape = (batch_size, *check_shape(given, f"sizes[{name!r}]"))
        if len(shape) != spec.rank or any(b not in (None, a) for a, b in zip(shape[1:], spec.shape[1:], strict=False)):
            raise GraphValueError(
                f"The sizes given do not fit the input {name!r}.",
                received=str(given),
                expected=f"{spec}, without the batch",
            )
        return TensorSpec(shape, spec.dtype)
    assumed = ASSUMED_SIZE if given is None else given
    return spec.substitute({symbol: batch_size if symbol == "batch" else assumed for symbol in symbols(spec.dims)})


def _measure(layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[tuple[TensorSpec, ...], int, int]:
    """Output specs, operations and bytes of one call."""
    variables = layer.variable_specs(*args, **kwargs)
    leaves, structure = jax.tree.flatten((variables, (args, kwargs)))
    places = [index for index, leaf in enumerate(leaves) if isinstance(leaf, TensorSpec)]

    def function(*arrays: jax.Array) -> Any:
        filled = list(leaves)
        for index, array in zip(places, arrays, strict=True):
            filled[index] = array
        arrays_by_collection, (plain_args, plain_kwargs) = jax.tree.unflatten(structure, filled)
        # A layer called with training=True draws random numbers.
        rngs = {"dropout": jax.random.key(0)}
        context = Context(rngs=rngs, masks=jax.tree.map(lambda _: None, plain_args), name=title(layer))
        return layer.run(arrays_by_collection, plain_args, plain_kwargs, context).outputs

    read = [leaves[index] for index in places]
    jaxpr, outputs = jax.make_jaxpr(function, return_shape=True)(*(spec.struct() for spec in read))
    written = tuple(TensorSpec.of(leaf) for leaf in jax.tree.leaves(outputs))
    return written, count_flops(jaxpr), sum(nbytes(spec) for spec in (*read, *written))


def nbytes(spec: TensorSpec) -> int:
    """The bytes of an array whose sizes are all known."""
    return math.prod(spec.dims) * jax.numpy.dtype(spec.dtype).itemsize


def _placed(step: Step, measure: Callable[[], Any]) -> Any:
    """The measure, or an error that says at which call and on which sizes it failed."""
    try:
        return measure()
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise GraphError(
            f"The cost of {title(step.node.layer)} is not known at these sizes: {reason}",
            where="/".join(step.path),
            fix=f'give sizes={{"input": ...}}; {ASSUMED_SIZE} is assumed where a size is not known',
        ) from error
