"""jg.layer: any Flax Linen module, Flax NNX module or pure function as a layer of a graph."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphTypeError
from jaxgraphs.layers.base import snake_case
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import (
    Inferred,
    Operation,
    PyTree,
    Ran,
    Variables,
    check_name,
    infer_call,
    record,
    same_shape_mask,
    title,
)
from jaxgraphs.symbolic.node import Layer as LayerProtocol
from jaxgraphs.symbolic.spec import TensorSpec, is_known, substitute, symbols

# Flax modules say in one of these ways whether they are trained; True where the value is that of `train`.
_TRAIN_ARGUMENTS = {
    "train": True,
    "training": True,
    "is_training": True,
    "deterministic": False,
    "use_running_average": False,
}
# Sizes that stand for unknown ones while a module draws its params.
_EXAMPLE_SIZE = 64


def layer(thing: Any, name: str | None = None) -> Any:
    """Makes a layer of a Flax Linen module, a Flax NNX module (or a factory of one), or a pure JAX function.

    Args:
        thing: a Linen module such as ``nn.Dense(32)``; an NNX factory, ``lambda rngs: nnx.Linear(4, 32, rngs=rngs)``,
            recognised by its argument `rngs`; or a function of arrays such as ``jnp.tanh``.
        name: of the layer; derived by the graph when left out.
    Returns: a layer; called twice, it shares its weights.
    Raises: GraphTypeError for anything else.

    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((4,))
    >>> layer(nn.Dense(32))(x).shape, layer(jnp.tanh)(x).shape, layer(lambda a, b: a * b)(x, x).shape
    ((None, 32), (None, 4), (None, 4))
    """
    check_name(name, "jg.layer")
    if not inspect.isclass(thing) and isinstance(thing, LayerProtocol):
        return _already(thing, name)
    if isinstance(thing, nn.Module):
        return LinenLayer(thing, name=name or thing.name, default_name=snake_case(type(thing).__name__))
    if isinstance(thing, _nnx_modules()):
        return LinenLayer(_linen_of_instance(thing), name=name, default_name=snake_case(type(thing).__name__))
    if _makes_nnx(thing):
        return LinenLayer(_linen_of_factory(thing), name=name, default_name=_stem(thing))
    if callable(thing) and not inspect.isclass(thing):
        return Operation(thing, name=name, default_name=_stem(thing))
    is_class = inspect.isclass(thing)
    raise GraphTypeError(
        "jg.layer cannot make a layer of this.",
        received=f"the class {thing.__name__}" if is_class else f"{thing!r}",
        expected="a Flax Linen module, an NNX module or a factory of one (rngs) -> module, or a function of arrays",
        fix=f"jg.layer({thing.__name__}(...))" if is_class else "jg.layer(nn.Dense(32)) or jg.layer(jnp.tanh)",
    )


def _already(thing: Any, name: str | None) -> Any:
    """A layer is itself; its name was given when it was made."""
    if name in (None, thing.name):
        return thing
    raise GraphTypeError(
        f"{title(thing)} is a layer already.",
        received=f"name={name!r}",
        fix=f"give the name when it is made: {thing.kind}(..., name={name!r})",
    )


@dataclasses.dataclass(frozen=True, eq=False)
class LinenLayer:
    """A Flax Linen module as a layer; its collections are kept under the layer's name.

    Args:
        linen: the module.
        name: given by the user, or None.
        default_name: the stem of the derived name.
        trainable: whether its params are learned.
    """

    linen: nn.Module
    name: str | None = None
    default_name: str = "module"
    trainable: bool = True
    created: int = dataclasses.field(default_factory=time.perf_counter_ns, repr=False)

    @property
    def kind(self) -> str:
        """The module's class."""
        return type(self.linen).__name__

    def replace(self, **changes: Any) -> LinenLayer:
        """A layer of its own with some fields changed."""
        return dataclasses.replace(self, **changes)

    def variable_specs(self, *args: Any, **kwargs: Any) -> Variables:
        """TensorSpecs of the module's arrays by collection."""
        try:
            return self._variable_specs(args, kwargs)
        # Whatever a module raises on symbolic sizes, an example of the sizes decides.
        except Exception:
            if not _unknown((args, kwargs)):
                raise
        return self._variable_specs(*_with_example_sizes((args, kwargs)))

    def infer(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Inferred:
        """What a call on TensorSpecs and constants would give."""
        return infer_call(self, args, kwargs)

    def _variable_specs(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Variables:
        structs, fill = _split((args, kwargs))

        def init(*arrays: jax.Array) -> Variables:
            inner_args, inner_kwargs = fill(arrays)
            return self.linen.init(_streams(jax.random.key(0)), *inner_args, **self._options(inner_kwargs, False))

        return jax.tree.map(TensorSpec.of, dict(jax.eval_shape(init, *(spec.struct() for spec in structs))))

    def init(self, key: jax.Array, *args: Any, **kwargs: Any) -> Variables:
        """The arrays, drawn as the module draws them; unknown sizes are stood for by an example."""
        args, kwargs = _with_example_sizes((args, kwargs))
        structs, fill = _split((args, kwargs))

        def draw(key: jax.Array) -> Variables:
            inner_args, inner_kwargs = fill([jnp.zeros(spec.dims, spec.dtype) for spec in structs])
            return self.linen.init(_streams(key), *inner_args, **self._options(inner_kwargs, False))

        return dict(jax.jit(draw)(key))

    def run(self, variables: Variables, args: tuple[Any, ...], kwargs: Mapping[str, Any], context: Context) -> Ran:
        """Applies the module; a mask goes on where the output has its input's shape."""
        kwargs = dict(kwargs)
        training = kwargs.pop("training", None)
        train = context.train if training is None else bool(training)
        state = [name for name in variables if name != "params"]
        options = self._options(kwargs, train)
        mutable: Any = state if train and state else False
        result = self.linen.apply(dict(variables), *args, rngs=dict(context.rngs), mutable=mutable, **options)
        outputs, updates = result if mutable else (result, {})
        return Ran(outputs, same_shape_mask(args, context.masks, outputs), dict(updates))

    def __call__(self, *args: Any, **kwargs: Any) -> PyTree:
        """Adds a call to the graph."""
        return record(self, args, kwargs)

    def _options(self, kwargs: Mapping[str, Any], train: bool) -> dict[str, Any]:
        """The keyword arguments with the module's own way of saying `train`."""
        parameters = inspect.signature(type(self.linen).__call__).parameters
        ways = {name: train is same for name, same in _TRAIN_ARGUMENTS.items() if name in parameters}
        unset = {name: value for name, value in ways.items() if getattr(self.linen, name, None) is None}
        return {**unset, **kwargs}


def _split(arguments: PyTree) -> tuple[list[TensorSpec], Callable[[Any], Any]]:
    """The specs among the arguments, and a function that puts arrays in their places."""
    leaves, structure = jax.tree.flatten(arguments)
    places = [index for index, leaf in enumerate(leaves) if isinstance(leaf, TensorSpec)]

    def fill(arrays: Any) -> Any:
        filled = list(leaves)
        for index, array in zip(places, arrays, strict=True):
            filled[index] = array
        return jax.tree.unflatten(structure, filled)

    return [leaves[index] for index in places], fill


def _unknown(arguments: PyTree) -> tuple[str, ...]:
    leaves = [leaf for leaf in jax.tree.leaves(arguments) if isinstance(leaf, TensorSpec)]
    return symbols(size for leaf in leaves for size in leaf.dims)


def _with_example_sizes(arguments: PyTree) -> PyTree:
    sizes = dict.fromkeys(_unknown(arguments), _EXAMPLE_SIZE)

    def settle(leaf: Any) -> Any:
        if not isinstance(leaf, TensorSpec) or is_known(leaf.dims):
            return leaf
        return TensorSpec(tuple(substitute(size, sizes) for size in leaf.dims), leaf.dtype)

    return jax.tree.map(settle, arguments)


def _streams(key: jax.Array) -> dict[str, jax.Array]:
    return {"params": key, "dropout": key, "default": key}


def _makes_nnx(thing: Any) -> bool:
    """Whether `thing` is a factory of NNX modules: a class of them, or a function with an argument `rngs`."""
    target = thing.func if isinstance(thing, functools.partial) else thing
    if inspect.isclass(target):
        return issubclass(target, _nnx_modules())
    try:
        return callable(thing) and "rngs" in inspect.signature(thing).parameters
    except (TypeError, ValueError):
        return False


def _nnx_modules() -> tuple[type, ...]:
    """The class of all NNX modules, where there can be one: NNX takes a while to import, and few graphs have any."""
    nnx = sys.modules.get("flax.nnx")
    return () if nnx is None else (nnx.Module,)


def _linen_of_factory(factory: Any) -> nn.Module:
    from flax.nnx import bridge

    return bridge.ToLinen(factory, skip_rng=False)


def _linen_of_instance(module: Any) -> nn.Module:
    """A Linen module that starts from the arrays of an NNX module."""
    from flax import nnx
    from flax.nnx import bridge

    # A copy is made within each trace, so that the user's own module is never written to.
    return bridge.ToLinen(lambda rngs: nnx.clone(module), skip_rng=False)


def _stem(thing: Any) -> str:
    target = thing.func if isinstance(thing, functools.partial) else thing
    return snake_case(getattr(target, "__name__", type(target).__name__)) or "lambda"
