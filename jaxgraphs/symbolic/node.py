"""Who was called on what: layers, calls and the tensors between them. No arrays here, and nothing that changes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.errors import DTypeMismatchError, GraphError, GraphTypeError, GraphValueError, ShapeMismatchError
from jaxgraphs.symbolic.arrays import align_ranks, promote
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.infer import infer
from jaxgraphs.symbolic.spec import BATCH, TensorSpec, check_shape

PyTree = Any
Variables = Mapping[str, PyTree]
"""Arrays by collection: ``{"params": ..., "batch_stats": ...}``."""


@dataclasses.dataclass(frozen=True)
class Ran:
    """What a call gave: outputs, a mask for each (or None), new state by collection, losses of its activations."""

    outputs: PyTree
    masks: PyTree = None
    state: Variables = dataclasses.field(default_factory=dict)
    losses: tuple[Any, ...] = ()


class Inferred(NamedTuple):
    """What is known of a call before there are numbers: specs of arrays and outputs, and the latter's arrangement."""

    variables: Variables
    specs: tuple[TensorSpec, ...]
    structure: Any


@runtime_checkable
class Layer(Protocol):
    """What can be called in a graph: a description without arrays."""

    @property
    def name(self) -> str | None:
        """The name given by the user; None where a graph is to derive one."""
        ...

    @property
    def created(self) -> int:
        """When the layer was made; only the order of two such times means anything."""
        ...

    @property
    def kind(self) -> str:
        """The class as a user knows it, such as ``Dense``."""
        ...

    @property
    def default_name(self) -> str:
        """The stem of a derived name, such as ``dense``."""
        ...

    def variable_specs(self, *args: Any, **kwargs: Any) -> Variables:
        """The TensorSpecs of the layer's arrays by collection, for a call on `args` (TensorSpecs and constants)."""
        ...

    def init(self, key: jax.Array, *args: Any, **kwargs: Any) -> Variables:
        """The arrays themselves, drawn from `key`."""
        ...

    def infer(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Inferred:
        """What a call on TensorSpecs and constants would give."""
        ...

    def run(self, variables: Variables, args: tuple[Any, ...], kwargs: Mapping[str, Any], context: Context) -> Ran:
        """Computes one call; pure."""
        ...


UNKNOWN = TensorSpec((), None)
"""The spec of a tensor of which nothing is known yet."""


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """One call of one layer; a layer called twice has two nodes and one set of params.

    Args:
        layer: what was called; None marks an Input.
        args: the positional and keyword arguments of the call; leaves are SymbolicTensors or constants.
        specs: one for each output.
        structure: how the outputs are arranged, as JAX describes it.
        variables: shape and dtype of the layer's arrays by collection; a size may be a symbol.
        name: the given name of an Input.
    """

    layer: Any
    args: PyTree = dataclasses.field(repr=False)
    specs: tuple[TensorSpec, ...]
    structure: Any = dataclasses.field(repr=False)
    variables: Variables = dataclasses.field(default_factory=dict, repr=False)
    name: str | None = None
    created: int = dataclasses.field(default_factory=time.perf_counter_ns, repr=False)

    @property
    def tensors(self) -> tuple[SymbolicTensor, ...]:
        """The outputs, flat and in order."""
        return tuple(SymbolicTensor(self, index) for index in range(len(self.specs)))

    @property
    def outputs(self) -> PyTree:
        """The outputs as the layer arranged them."""
        return jax.tree.unflatten(self.structure, self.tensors)

    @property
    def parents(self) -> tuple[SymbolicTensor, ...]:
        """The tensors that the call reads, in order."""
        return tuple(leaf for leaf in jax.tree.leaves(self.args) if is_symbolic(leaf))

    @property
    def is_inferred(self) -> bool:
        """Whether the specs are known; those of a Sequential without an Input are not, until it is called."""
        return UNKNOWN not in self.specs

    @property
    def label(self) -> str:
        """The node as an error message calls it: the given name, or else the kind of layer."""
        if self.layer is None:
            return self.name or "input"
        return self.layer.name or self.layer.default_name


@dataclasses.dataclass(frozen=True)
class SymbolicTensor:
    """An edge of the graph: output number `index` of `node`.

    It stands for an array that does not exist yet. Operators and indexing add calls to the graph:

    >>> x = Input((8,), name="x")
    >>> (2.0 * x[:, :4]).shape
    (None, 4)
    """

    node: Node
    index: int = 0

    @property
    def spec(self) -> TensorSpec:
        """Shape and dtype, unknown sizes as symbols."""
        return self.node.specs[self.index]

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The sizes with the batch axis first; None is unknown."""
        return self.spec.shape

    @property
    def dtype(self) -> Any:
        """The dtype."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """The number of axes, the batch axis included."""
        return self.spec.rank

    @property
    def name(self) -> str:
        """The name of the layer that makes the tensor, with its output's number after the first."""
        return self.node.label + (f"[{self.index}]" if self.index else "")

    def __repr__(self) -> str:
        return f"<SymbolicTensor {self.name}: {self.spec}>"

    def __add__(self, other: Any) -> SymbolicTensor:
        return operate("add", self, other)

    def __radd__(self, other: Any) -> SymbolicTensor:
        return operate("add", other, self)

    def __sub__(self, other: Any) -> SymbolicTensor:
        return operate("subtract", self, other)

    def __rsub__(self, other: Any) -> SymbolicTensor:
        return operate("subtract", other, self)

    def __mul__(self, other: Any) -> SymbolicTensor:
        return operate("multiply", self, other)

    def __rmul__(self, other: Any) -> SymbolicTensor:
        return operate("multiply", other, self)

    def __truediv__(self, other: Any) -> SymbolicTensor:
        return operate("divide", self, other)

    def __rtruediv__(self, other: Any) -> SymbolicTensor:
        return operate("divide", other, self)

    def __pow__(self, other: Any) -> SymbolicTensor:
        return operate("power", self, other)

    def __rpow__(self, other: Any) -> SymbolicTensor:
        return operate("power", other, self)

    def __matmul__(self, other: Any) -> SymbolicTensor:
        return operate("matmul", self, other)

    def __rmatmul__(self, other: Any) -> SymbolicTensor:
        return operate("matmul", other, self)

    def __neg__(self) -> SymbolicTensor:
        return operate("negative", self)

    def __abs__(self) -> SymbolicTensor:
        return operate("absolute", self)

    def __getitem__(self, index: Any) -> SymbolicTensor:
        return operate("get_item", self, index)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> SymbolicTensor:
        """NumPy's operators with an array on the left, such as ``np.ones(3) * x``."""
        if method == "__call__" and not kwargs and ufunc.__name__ in OPERATORS:
            return operate(ufunc.__name__, *inputs)
        name = ufunc.__name__ if method == "__call__" else "sum"
        raise _no_value(self, "passed to NumPy", f"jg.layer(jnp.{name})(x) puts the function into the graph")

    def __bool__(self) -> bool:
        raise _no_value(self, "used as a condition", "jg.layer(jnp.where)(condition, a, b) chooses inside the graph")

    def __array__(self, *_args: Any, **_kwargs: Any) -> np.ndarray:
        raise _no_value(self, "passed to NumPy", "jg.layer(jnp.tanh)(x) puts a function into the graph")

    def __float__(self) -> float:
        raise _no_value(self, "converted to a number", "call graph.apply(variables, inputs) for its value")

    __int__ = __index__ = __complex__ = __float__

    def __iter__(self) -> Iterator[Any]:
        raise _no_value(self, "iterated over", "index it, as in x[:, 0]")

    def __len__(self) -> int:
        raise _no_value(self, "asked for its length", "read x.shape; the batch size is not known yet")


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = "float32",
    name: str | None = None,
    *,
    batch_shape: Any = None,
) -> SymbolicTensor:
    """A place where data enters a graph.

    Args:
        shape: sizes without the batch axis; None is unknown.
        batch_size: the batch axis' size where it is fixed.
        dtype: of the array that will be given.
        name: the key under which data is given; derived by the graph when left out.
        batch_shape: the whole shape, in place of `shape` and `batch_size`.
    Returns: a symbolic tensor of shape (batch, *shape).
    Raises: GraphError when the shape, the dtype or the name cannot be used.

    >>> Input((None,), dtype="int32", name="text")
    <SymbolicTensor text: (batch, None) int32>
    """
    owner = f"Input {name!r}" if name else "Input"
    if (shape is None) == (batch_shape is None):
        raise GraphValueError(f"{owner} needs `shape` or `batch_shape`, one of the two.", fix="Input((28, 28, 1))")
    if shape is None:
        batch_size, *shape = check_shape(batch_shape, owner) or (None,)
    check_name(name, owner)
    (batch_size,), sizes = check_shape((batch_size,), owner), check_shape(shape, owner)
    batch = BATCH if batch_size is None else batch_size
    spec = TensorSpec.of_shape((0, *sizes), dtype)
    spec = TensorSpec((batch, *spec.dims[1:]), spec.dtype)
    return SymbolicTensor(Node(None, (), (spec,), jax.tree.structure(0), name=name))


@dataclasses.dataclass(frozen=True, eq=False)
class Operation:
    """A function of arrays without weights, such as an operator, as a layer.

    Args:
        function: pure; takes arrays and constants.
        name: given by the user, or None.
        default_name: the stem of the derived name.
        keeps_mask: whether an output of its input's shape has that input's mask; Keras' operations drop masks.
    """

    function: Callable[..., PyTree] = dataclasses.field(repr=False)
    name: str | None = None
    default_name: str = "operation"
    keeps_mask: bool = True
    created: int = dataclasses.field(default_factory=time.perf_counter_ns, repr=False)

    @property
    def kind(self) -> str:
        """The class as a user knows it."""
        return "".join(word.capitalize() for word in self.default_name.split("_"))

    def variable_specs(self, *_args: Any, **_kwargs: Any) -> Variables:
        """None: an operation has no arrays."""
        return {}

    def init(self, key: jax.Array, *_args: Any, **_kwargs: Any) -> Variables:
        """None: an operation has no arrays."""
        return {}

    def infer(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Inferred:
        """What a call on TensorSpecs and constants would give."""
        return infer_call(self, args, kwargs)

    def run(self, variables: Variables, args: tuple[Any, ...], kwargs: Mapping[str, Any], context: Context) -> Ran:
        """Calls the function; a mask goes on where the output has its input's shape, unless masks are dropped."""
        outputs = self.function(*args, **kwargs)
        return Ran(outputs, same_shape_mask(args, context.masks, outputs) if self.keeps_mask else None)

    def __call__(self, *args: Any, **kwargs: Any) -> PyTree:
        """Adds a call to the graph."""
        return record(self, args, kwargs)


def same_shape_mask(args: PyTree, masks: PyTree, outputs: PyTree) -> Any:
    """The mask of the first argument that has one, where the output has that argument's shape; else None."""
    values, kept = jax.tree.leaves(args), jax.tree.leaves(masks, is_leaf=lambda leaf: leaf is None)
    if len(values) != len(kept) or not hasattr(outputs, "shape"):
        return None
    fitting = (
        mask for value, mask in zip(values, kept, strict=True) if mask is not None and value.shape == outputs.shape
    )
    return next(fitting, None)


def record(layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> PyTree:
    """Adds a call of `layer` to the graph and returns its outputs, symbolic.

    Raises: GraphError when there is no symbolic tensor among the arguments, or when the layer cannot take them.
    """
    arguments = (tuple(args), dict(kwargs))
    leaves, structure = jax.tree.flatten(arguments)
    if not any(is_symbolic(leaf) for leaf in leaves):
        raise _no_tensor(layer, leaves)
    # Lists are copied here, so that a caller who changes one later does not change the graph.
    arguments = jax.tree.unflatten(structure, leaves)
    specs = jax.tree.unflatten(structure, [leaf.spec if is_symbolic(leaf) else leaf for leaf in leaves])
    try:
        inferred = layer.infer(*specs)
    except GraphError as error:
        raise located(error, layer, leaves, _received(leaves)) from error.__cause__
    except Exception as error:
        raise _unfit(error, layer, leaves) from error
    if not inferred.specs:
        raise _nothing(layer, leaves)
    return Node(layer, arguments, inferred.specs, inferred.structure, inferred.variables).outputs


def infer_call(layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Inferred:
    """What a call would give, by running the layer on shapes alone."""
    variables = layer.variable_specs(*args, **kwargs)
    function, specs = on_arrays(layer, variables, args, kwargs)
    return Inferred(variables, *infer(lambda *arrays: function(*arrays).outputs, specs))


def on_arrays(
    layer: Any, variables: Variables, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, train: bool = False
) -> tuple[Callable[..., Ran], list[TensorSpec]]:
    """A call as a function of arrays alone, and what they are: first the layer's own, then what it reads."""
    leaves, structure = jax.tree.flatten((variables, (args, kwargs)))
    places = [index for index, leaf in enumerate(leaves) if isinstance(leaf, TensorSpec)]

    def function(*arrays: jax.Array) -> Ran:
        filled = list(leaves)
        for index, array in zip(places, arrays, strict=True):
            filled[index] = array
        filled_variables, (filled_args, filled_kwargs) = jax.tree.unflatten(structure, filled)
        masks = jax.tree.map(lambda _: None, filled_args)
        # Random numbers are drawn where it trains, or the call says `training=True`; shapes do not depend on the key.
        rngs = {"dropout": jax.random.key(0)} if train or kwargs.get("training") else {}
        context = Context(train=train, rngs=rngs, masks=masks, name=layer.name or layer.default_name)
        return layer.run(filled_variables, filled_args, filled_kwargs, context)

    return function, [leaves[index] for index in places]


_NO_OPERANDS = (str, bytes, list, tuple, dict, set)


def operate(name: str, *args: Any) -> SymbolicTensor:
    """One of the operators that symbolic tensors have, by name."""
    strangers = [arg for arg in args if arg is None or callable(arg) or isinstance(arg, _NO_OPERANDS)]
    if strangers and name != "get_item":
        raise GraphTypeError(
            f"The operator '{name}' cannot combine a symbolic tensor with this.",
            where=describe_call(Operation(OPERATORS[name], default_name=name), args),
            received=", ".join(type(stranger).__name__ for stranger in strangers),
            expected="a symbolic tensor, an array or a number",
        )
    return Operation(OPERATORS[name], default_name=name)(*args)


def _broadcasting(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """`function` of two arrays with NumPy's broadcasting and promotion."""

    def operator(a: Any, b: Any) -> jax.Array:
        return function(*align_ranks(*promote(a, b)))

    return operator


def _matmul(a: Any, b: Any) -> jax.Array:
    a, b = promote(a, b)
    rank = max(a.ndim, b.ndim)
    if min(a.ndim, b.ndim) > 1 and a.ndim != b.ndim:
        a, b = (jnp.expand_dims(x, tuple(range(rank - x.ndim))) for x in (a, b))
    return jnp.matmul(a, b)


def _get_item(x: jax.Array, index: Any) -> jax.Array:
    _check_index(x.shape, index if isinstance(index, tuple) else (index,))
    return x[index]


def _check_index(shape: tuple[Any, ...], index: tuple[Any, ...]) -> None:
    """Refuses a number beyond the end of an axis; JAX would quietly read the last place instead."""
    if not all(entry is None or entry is Ellipsis or isinstance(entry, (int, slice)) for entry in index):
        return
    entries = [entry for entry in index if entry is not None]
    cut = entries.index(Ellipsis) if Ellipsis in entries else len(entries)
    after = entries[cut + 1 :]
    sizes = (*zip(shape, entries[:cut]), *zip(shape[len(shape) - len(after) :], after))  # noqa: B905
    for size, entry in sizes:
        if isinstance(entry, int) and isinstance(size, int) and not -size <= entry < size:
            raise ShapeMismatchError(
                f"The index {entry} is beyond the end of an axis.",
                expected=f"from {-size} to {size - 1} for an axis of {size}; axis 0 is the batch",
            )


OPERATORS: Mapping[str, Callable[..., jax.Array]] = {
    "add": _broadcasting(jnp.add),
    "subtract": _broadcasting(jnp.subtract),
    "multiply": _broadcasting(jnp.multiply),
    "divide": _broadcasting(jnp.divide),
    "power": _broadcasting(jnp.power),
    "matmul": _matmul,
    "negative": jnp.negative,
    "absolute": jnp.abs,
    "get_item": _get_item,
}
"""What the operators of symbolic tensors compute."""


def innermost(layer: Any) -> Any:
    """The layer whose arrays a layer computes with: itself, or the one that it wraps without adding to its names."""
    while (held := getattr(layer, "held", None)) is not None:
        layer = held
    return layer


def is_symbolic(value: Any) -> bool:
    """Whether `value` is an edge of a graph rather than an array or a constant."""
    return isinstance(value, SymbolicTensor)


def check_name(name: Any, owner: str) -> None:
    """Names are words in messages and keys of params: a text, not empty, without control characters."""
    if name is not None and (not isinstance(name, str) or not name or not name.isprintable()):
        raise GraphValueError(
            f"{owner} has a name that cannot be used.", received=repr(name), expected="a text, not empty"
        )


def describe_call(layer: Any, tensors: Sequence[Any]) -> str:
    """Where a call stands: ``text, image -> join``."""
    names = ", ".join(tensor.name for tensor in tensors if is_symbolic(tensor))
    return f"{names} -> {layer.name or layer.default_name}"


def title(layer: Any) -> str:
    """A layer as a sentence names it: ``Add 'join'``, or ``Add`` where it has no name yet."""
    return f"{layer.kind} {layer.name!r}" if layer.name else layer.kind


def _received(leaves: Sequence[Any]) -> str:
    return ", ".join(str(leaf.spec) for leaf in leaves if is_symbolic(leaf))


def _no_tensor(layer: Any, leaves: Sequence[Any]) -> GraphTypeError:
    return GraphTypeError(
        f"{title(layer)} was called on no symbolic tensor.",
        received=", ".join(type(leaf).__name__ for leaf in leaves) or "no argument",
        expected="at least one symbolic tensor, from jg.Input or from another layer",
        fix="describe the graph on symbolic tensors, then graph.apply(variables, arrays)",
    )


def located(error: GraphError, layer: Any, tensors: Sequence[Any], received: str) -> GraphError:
    """The error with the place and what was received filled in, where it does not say them itself."""
    where, received = error.where or describe_call(layer, tensors), error.received or received
    return type(error)(error.what, where=where, received=received, expected=error.expected, fix=error.fix)


def _nothing(layer: Any, leaves: Sequence[Any]) -> GraphTypeError:
    return GraphTypeError(
        f"{title(layer)} returned no array.",
        where=describe_call(layer, leaves),
        expected="an array, or a list or dict of arrays",
        fix="end the function with a return",
    )


def _unfit(error: Exception, layer: Any, leaves: Sequence[Any]) -> GraphError:
    """JAX's own complaint, with the place in the graph."""
    reason = str(error).strip().split("\n")[0]
    # JAX tells shapes from dtypes in its words only.
    words = ((DTypeMismatchError, "dtypes"), (ShapeMismatchError, "shapes"), (ShapeMismatchError, "same shape"))
    usual = ShapeMismatchError if isinstance(error, ValueError) else GraphTypeError
    kind = next((kind for kind, word in words if word in reason), usual)
    return kind(
        f"{title(layer)} cannot be computed from its inputs: {reason}",
        where=describe_call(layer, leaves),
        received=_received(leaves),
        expected="shapes and dtypes that the layer's computation accepts",
        fix="look at the shapes before this call; tensor.shape and tensor.dtype show them",
    )


def _no_value(tensor: SymbolicTensor, what: str, fix: str) -> GraphTypeError:
    return GraphTypeError(
        f"The symbolic tensor '{tensor.name}' was {what}, but it has no value yet.",
        received=f"{tensor.spec}, symbolic",
        expected="an array",
        fix=fix,
    )
