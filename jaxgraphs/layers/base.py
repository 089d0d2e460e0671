"""A layer is a frozen description that yields a Flax module; calling it adds a call to the graph."""

from __future__ import annotations

import dataclasses
import functools
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, cast, dataclass_transform

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphError, GraphTypeError, did_you_mean
from jaxgraphs.layers import activations, constraints, initializers, regularizers
from jaxgraphs.layers.drawing import Draw, drawn
from jaxgraphs.symbolic.arrays import promote_floats
from jaxgraphs.symbolic.context import Context, Stateful
from jaxgraphs.symbolic.keys import fold_path
from jaxgraphs.symbolic.node import Inferred, PyTree, Ran, Variables, check_name, infer_call, record, title
from jaxgraphs.symbolic.spec import Dim, TensorSpec, canonical_dtype

Array = jax.Array
Weights = Mapping[str, Any]
"""A layer's arrays by name, params and state together; wrappers nest them."""

LayerT = TypeVar("LayerT", bound=type)


@dataclass_transform(frozen_default=True)
def describes(cls: LayerT) -> LayerT:
    """Makes a class a frozen dataclass compared by identity: two layers with equal fields do not share weights."""
    described = dataclasses.dataclass(frozen=True, eq=False)(cls)
    construct = described.__init__

    @functools.wraps(construct)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        _check_arguments(described, args, kwargs)
        construct(self, *args, **kwargs)

    described.__init__ = __init__
    return described


def _check_arguments(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Python's own complaint about arguments, with the names that the layer knows."""
    fields = [field for field in dataclasses.fields(cls) if field.init]
    known = [field.name for field in fields if field.name != "created"]
    taken = {*known, "created"}
    plain = [field.name for field in fields if not field.kw_only]
    needed = [f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    strange = [name for name in kwargs if name not in taken]
    problems = [f"{name!r} is not an argument; did you mean {did_you_mean(name, known)}" for name in strange]
    problems += [f"{name!r} is given twice" for name in plain[: len(args)] if name in kwargs]
    problems += [f"{name!r} is missing" for name in needed if name not in kwargs and name not in plain[: len(args)]]
    problems += [f"{len(args)} arguments without a name, of at most {len(plain)}"] if len(args) > len(plain) else []
    if problems:
        raise GraphTypeError(f"The arguments of {cls.__name__} do not fit.", received="\n".join(problems))


@dataclasses.dataclass(frozen=True, eq=False)
class Weight:
    """One array that a layer has, before it exists.

    Args:
        shape: sizes; one may be a symbol until data settles it.
        initializer: (key, shape, dtype) -> array.
        collection: "params" for what is learned, "batch_stats" for what is carried.
        regularizer: array -> scalar penalty, or None.
        constraint: array -> array, applied after each update, or None.
        dtype: None is the layer's own.
    """

    shape: tuple[Dim, ...]
    initializer: Callable[..., Array]
    collection: str = "params"
    regularizer: Callable[[Array], Array] | None = None
    constraint: Callable[[Array], Array] | None = None
    dtype: Any = None


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """What every layer of the catalogue has.

    A subclass is decorated with `describes`, lists its arguments as fields in Keras' order, and says three things:
    which arrays it has (`weights`), what it computes (`call`), and, where it matters, what becomes of a mask
    (`output_mask`). It may refuse configurations (`validate`) and inputs (`check`).

    Args:
        name: unique within a graph; derived there when left out.
        trainable: whether its params are learned.
        dtype: as Keras' policies: "bfloat16" computes and stores so, "mixed_bfloat16" stores float32; None computes in
            what the inputs and the params promote to.
        activity_regularizer: penalty on the outputs, joined to the loss.
    """

    name: str | None = None
    trainable: bool = True
    dtype: Any = None
    activity_regularizer: Any = None
    created: int = dataclasses.field(default_factory=time.perf_counter_ns, repr=False)

    supports_masking: ClassVar[bool] = False
    """Whether the first input's mask is the output's."""

    def __post_init__(self) -> None:
        check_name(self.name, self.kind)
        for field in dataclasses.fields(self):
            self._normalise(field.name, getattr(self, field.name))
        self.validate()

    def _normalise(self, field: str, value: Any) -> None:
        """Keras' names become functions, and lists tuples, once and for all."""
        for ending, get in _TABLES:
            if field == ending or field.endswith("_" + ending):
                value = get(value)
        if isinstance(value, list):
            value = tuple(value)
        object.__setattr__(self, field, value)

    def validate(self) -> None:
        """Refuses a configuration that makes no sense, with a GraphError."""

    def check(self, *specs: Any, **kwargs: Any) -> None:
        """Refuses inputs that do not fit, with a GraphError; `specs` are arranged as the arguments of the call."""

    def weights(self, *specs: Any, **kwargs: Any) -> Mapping[str, Any]:
        """The arrays of the layer by name (Weight, or nested mappings of them) for inputs of these specs."""
        return {}

    def call(self, weights: Weights, *args: Any, context: Context, **kwargs: Any) -> PyTree | Stateful:
        """The outputs, computed from arrays; pure. New state comes back in a Stateful."""
        raise GraphTypeError(
            f"{self.kind} does not say what it computes.", fix="define call(self, weights, x, *, context)"
        )

    def output_mask(self, context: Context, *args: Any, **kwargs: Any) -> PyTree:
        """The mask of the output: for the time-preserving layers the input's, for others none."""
        return context.mask if self.supports_masking else None

    @property
    def kind(self) -> str:
        """The class' name."""
        return type(self).__name__

    @property
    def default_name(self) -> str:
        """The class' name as Keras derives it: LSTM -> lstm, Conv2D -> conv2d, MaxPooling2D -> max_pooling2d."""
        return snake_case(self.kind)

    @property
    def held(self) -> Any:
        """A layer within this one whose arrays, by its own names, are this one's; None where there is none."""
        return None

    def holding(self, layer: Any) -> Any:
        """This layer with another in the place of the one that it holds."""
        raise GraphTypeError(f"{self.kind} holds no other layer.", fix="define held and holding")

    @property
    def variable_dtype(self) -> Any:
        """What the arrays are stored in."""
        return canonical_dtype("float32" if self.dtype is None or str(self.dtype).startswith("mixed_") else self.dtype)

    @property
    def compute_dtype(self) -> Any:
        """What the layer computes in; None is what inputs and params promote to."""
        return None if self.dtype is None else canonical_dtype(str(self.dtype).removeprefix("mixed_"))

    def replace(self, **changes: Any) -> Any:
        """A layer of its own with some arguments changed."""
        return dataclasses.replace(self, **changes)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Adds a call to the graph; `mask=` and `training=` are as in Keras."""
        return record(self, args, kwargs)

    def module(self, name: str | None = None) -> LayerModule:
        """The layer as a Flax module.

        >>> from jaxgraphs.layers.core import Dense
        >>> module = Dense(3).module()
        >>> jax.tree.map(jax.numpy.shape, module.init(jax.random.key(0), jax.numpy.ones((2, 4))))
        {'params': {'bias': (3,), 'kernel': (4, 3)}}
        """
        return LayerModule(self, name=name)

    def variable_specs(self, *args: Any, **kwargs: Any) -> Variables:
        """TensorSpecs of the arrays by collection."""
        args, kwargs, _ = split_call(args, kwargs)
        self.check(*args, **kwargs)
        weights = self.weights(*args, **kwargs)
        return by_collection(map_weights(lambda _, weight: self._spec(weight), weights), weights)

    def infer(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Inferred:
        """What a call on TensorSpecs and constants would give."""
        return infer_call(self, args, kwargs)

    def init(self, key: Array, *args: Any, **kwargs: Any) -> Variables:
        """The arrays, each drawn from a key of its own that depends on its name alone."""
        return drawn(self.draws(key, *args, **kwargs))

    def draws(self, key: Array, *args: Any, **kwargs: Any) -> Variables:
        """What `init` gives, with a Draw in the place of each array."""
        args, kwargs, _ = split_call(args, kwargs)
        weights = self.weights(*args, **kwargs)
        waiting = map_weights(lambda path, weight: self._draw(fold_path(key, path), weight), weights)
        return by_collection(waiting, weights)

    def run(self, variables: Variables, args: tuple[Any, ...], kwargs: Mapping[str, Any], context: Context) -> Ran:
        """One call: options read, dtypes agreed, outputs, mask, new state and penalty on the activations."""
        args, kwargs, options = split_call(args, kwargs)
        if options.get("training") is not None:
            context = context.replace(train=bool(options["training"]))
        if options.get("mask") is not None:
            context = context.replace(masks=_as_masks(options["mask"], args))
        if not self.trainable:
            context = context.replace(train=context.train and not self.frozen_means_inference)
        params, args, kwargs = promote_floats((variables.get("params", {}), args, kwargs), self.compute_dtype)
        state = {name: value for key, tree in variables.items() if key != "params" for name, value in tree.items()}
        outputs = self.call(merge_trees(params, state), *args, context=context, **kwargs)
        updates: Variables = {}
        if isinstance(outputs, Stateful):
            outputs, updates = outputs.outputs, {"batch_stats": outputs.state}
        masks = self.output_mask(context, *args, **kwargs)
        return Ran(outputs, masks, updates, self._penalties(outputs, context.present))

    frozen_means_inference: ClassVar[bool] = False
    """Whether trainable=False makes the layer behave as at inference, as Keras' BatchNormalization does."""

    def _penalties(self, outputs: PyTree, present: Array | None) -> tuple[Array, ...]:
        if self.activity_regularizer is None:
            return ()
        return tuple(self._penalty(leaf, present) for leaf in jax.tree.leaves(outputs))

    def _penalty(self, leaf: Array, present: Array | None) -> Array:
        """Divided by the batch size, as in Keras, so that it does not grow with it; rows that only pad do not count."""
        if present is None or leaf.shape[0] != present.shape[0]:
            return self.activity_regularizer(leaf) / leaf.shape[0]
        rows = present.reshape(-1, *[1] * (leaf.ndim - 1))
        penalty = self.activity_regularizer(jnp.where(rows, leaf, jnp.zeros_like(leaf)))
        return penalty / jnp.maximum(jnp.sum(present), 1).astype(penalty.dtype)

    def _spec(self, weight: Weight) -> TensorSpec:
        return TensorSpec(tuple(weight.shape), canonical_dtype(weight.dtype or self.variable_dtype))

    def _draw(self, key: Array, weight: Weight) -> Draw:
        spec = self._spec(weight)
        return Draw(key, weight.initializer, cast(tuple[int, ...], spec.dims), spec.dtype)


class LayerModule(nn.Module):
    """A layer as a Flax module: ``module.init(key, x)``, ``module.apply(variables, x, train=True)``."""

    layer: Layer

    @nn.compact
    def __call__(self, *args: Any, train: bool = False, **kwargs: Any) -> Any:
        specs = jax.tree.map(lambda leaf: TensorSpec.of(leaf) if hasattr(leaf, "dtype") else leaf, (args, kwargs))
        if self.is_initializing():
            drawn = self.layer.init(self.make_rng("params"), *specs[0], **specs[1])
        else:
            self.layer.variable_specs(*specs[0], **specs[1])
            drawn = {}
        variables = {
            collection: {name: self._variable(collection, name, value) for name, value in tree.items()}
            for collection, tree in (drawn or self.variables).items()
        }
        rngs = {"dropout": self.make_rng("dropout")} if train and self.has_rng("dropout") else {}
        masks = jax.tree.map(lambda _: None, args)
        context = Context(train=train, rngs=rngs, masks=masks, name=self.name or self.layer.default_name)
        ran = self.layer.run(variables, args, kwargs, context)
        for collection, tree in ran.state.items():
            if self.is_mutable_collection(collection) and not self.is_initializing():
                for name, value in tree.items():
                    self.put_variable(collection, name, value)
        return ran.outputs

    def _variable(self, collection: str, name: str, value: Any) -> Any:
        if collection == "params":
            return self.param(name, lambda _: value)
        return self.variable(collection, name, lambda: value).value


def pending(layer: Any, key: Array, *args: Any, **kwargs: Any) -> Variables:
    """What ``layer.init`` gives; with Draws in the place of arrays, where the layer draws as Layer does."""
    is_usual = getattr(type(layer), "init", None) is Layer.init
    return layer.draws(key, *args, **kwargs) if is_usual else layer.init(key, *args, **kwargs)


def split_call(
    args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
    """The options of a call that every layer has, `mask` and `training`, apart from the layer's own arguments."""
    options = {name: kwargs[name] for name in ("mask", "training") if name in kwargs}
    return tuple(args), {name: value for name, value in kwargs.items() if name not in options}, options


def map_weights(function: Callable[[tuple[str, ...], Weight], Any], weights: Mapping[str, Any]) -> dict[str, Any]:
    """`function(path, weight)` for each Weight of a nested mapping."""

    def visit(path: tuple[str, ...], value: Any) -> Any:
        if isinstance(value, Weight):
            return function(path, value)
        return {name: visit((*path, name), inner) for name, inner in value.items()}

    return {name: visit((name,), value) for name, value in weights.items()}


def by_collection(tree: Mapping[str, Any], weights: Mapping[str, Any]) -> dict[str, Any]:
    """A tree arranged as `weights`, split into one tree for each collection; empty branches are dropped."""
    result: dict[str, Any] = {}

    def visit(path: tuple[str, ...], value: Any, weight: Any) -> None:
        if isinstance(weight, Weight):
            place = result.setdefault(weight.collection, {})
            for name in path[:-1]:
                place = place.setdefault(name, {})
            place[path[-1]] = value
            return
        for name, inner in weight.items():
            visit((*path, name), value[name], inner)

    visit((), tree, weights)
    return result


def merge_trees(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested mappings as one; a name that both have must be a mapping in both."""
    merged = dict(a)
    for name, value in b.items():
        merged[name] = merge_trees(merged[name], value) if name in merged else value
    return merged


def snake_case(name: str) -> str:
    """Keras' way from a class to a name.

    >>> [snake_case(name) for name in ("LSTM", "Conv2D", "MaxPooling2D", "GlobalAveragePooling1D", "PReLU")]
    ['lstm', 'conv2d', 'max_pooling2d', 'global_average_pooling1d', 'p_re_lu']
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def single_input(layer: Layer, specs: tuple[Any, ...]) -> TensorSpec:
    """The one spec that a layer of one input was called on, or a GraphError."""
    if len(specs) == 1 and isinstance(specs[0], TensorSpec):
        return specs[0]
    raise GraphTypeError(
        f"{title(layer)} reads one tensor.",
        received=f"{len(jax.tree.leaves(specs))} tensors" if len(jax.tree.leaves(specs)) != 1 else "one in a list",
        expected="a single tensor",
        fix="join several first, for example layers.concatenate([a, b])",
    )


def in_fields(layer: Any) -> list[Any]:
    """What the fields of a layer hold, tuples taken apart: numbers, functions, other layers."""
    values = [getattr(layer, field.name) for field in dataclasses.fields(layer)]
    return [item for value in values for item in (value if isinstance(value, tuple) else (value,))]


def positive(layer: Layer, **values: Any) -> None:
    """Refuses numbers that are not whole and positive, named as the user wrote them."""
    for name, value in values.items():
        items = value if isinstance(value, tuple) else (value,)
        if not all(isinstance(item, int) and not isinstance(item, bool) and item > 0 for item in items):
            raise GraphError(f"{title(layer)} needs {name} to be positive whole numbers.", received=f"{name}={value!r}")


def _as_masks(mask: Any, args: tuple[Any, ...]) -> Any:
    """A mask given by hand, in the arrangement of the arguments."""
    if len(args) == 1 and not isinstance(mask, (list, tuple)):
        count = len(jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(args), [mask, *[None] * (count - 1)])
    return (
        (mask,)
        if len(args) == 1
        else (mask, *[None] * (len(args) - 1))
        if not isinstance(mask, (list, tuple))
        else tuple(mask)
    )


_TABLES: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("activation", activations.get),
    ("initializer", initializers.get),
    ("regularizer", regularizers.get),
    ("constraint", constraints.get),
)
