"""Layers that hand on what they read, with a mark or a function of the user's: Identity, Masking, Lambda."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp

from jaxgraphs.errors import GraphTypeError, ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, Weights, describes, single_input
from jaxgraphs.layers.regularizers import L1L2
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import PyTree, title


@describes
class Identity(Layer):
    """Its input, one tensor or several in any arrangement, with masks.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Identity()(Input((3,))).shape
    (None, 3)
    """

    supports_masking: ClassVar[bool] = True

    def call(self, weights: Weights, x: PyTree, *, context: Context) -> PyTree:
        return x

    def output_mask(self, context: Context, *args: Any, **_: Any) -> PyTree:
        return context.masks[0] if context.masks else None


@describes
class ActivityRegularization(Layer):
    """Its input, and a penalty of l1 sum |x| + l2 sum x² over the batch size, joined to the loss.

    Args:
        l1, l2: the two factors, 0 or more.
    Shapes: any -> the same.

    >>> from jaxgraphs.symbolic.node import Input
    >>> ActivityRegularization(l2=0.01)(Input((3,))).shape
    (None, 3)
    """

    l1: float = 0.0
    l2: float = 0.0

    supports_masking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "activity_regularizer", L1L2(self.l1, self.l2))
        super().__post_init__()

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return x


@describes
class Masking(Layer):
    """Makes a mask: steps whose numbers all equal `mask_value` are left out by later layers and losses, and set to 0.

    Args:
        mask_value: a number, or one for each feature.
    Shapes: (batch, ..., features) -> the same; the mask is (batch, ...).
    Raises: ShapeMismatchError when there is no axis of features.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Masking(-1.0)(Input((10, 3))).shape
    (None, 10, 3)
    """

    mask_value: Any = 0.0

    def check(self, *specs: Any, **_: Any) -> None:
        if single_input(self, specs).rank < 2:
            raise ShapeMismatchError(f"{title(self)} compares features.", expected="(batch, ..., features)")

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return jnp.where(self._counts(x)[..., None], x, jnp.zeros_like(x))

    def output_mask(self, context: Context, *args: Any, **_: Any) -> Array:
        return self._counts(args[0])

    def _counts(self, x: Array) -> Array:
        absent = jnp.asarray(self.mask_value, x.dtype)
        return jnp.any(x != absent.reshape((1,) * (x.ndim - absent.ndim) + absent.shape), axis=-1)


@describes
class Lambda(Layer):
    """A function of the user's as a layer.

    Args:
        function: a JAX function of the input, one tensor or a list; where it has parameters `mask` or `training`, it
            is told them.
        output_shape: accepted as in Keras; what the function returns decides.
        mask: the output's mask, or a function (inputs, mask) -> mask; None is no mask.
        arguments: keyword arguments for the function.
    Raises: GraphTypeError when `function` cannot be called; what the function cannot compute is an error at the call.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Lambda(lambda x, power: x**power, arguments={"power": 2})(Input((3,))).shape
    (None, 3)
    """

    function: Callable[..., Any]
    output_shape: Any = None
    mask: Any = None
    arguments: Any = dataclasses.field(default=None)

    def validate(self) -> None:
        if not callable(self.function):
            raise GraphTypeError(
                f"{title(self)} wraps a function.",
                received=repr(self.function),
                expected="a JAX function of the input",
                fix="layers.Lambda(lambda x: x**2)",
            )

    def call(self, weights: Weights, inputs: PyTree, *, context: Context) -> PyTree:
        told = {"mask": _mask(context), "training": context.train}
        wanted = {name: value for name, value in told.items() if name in _parameters(self.function)}
        return self.function(inputs, **{**(self.arguments or {}), **wanted})

    def output_mask(self, context: Context, *args: Any, **_: Any) -> Any:
        return self.mask(args[0], _mask(context)) if callable(self.mask) else self.mask


def _mask(context: Context) -> Any:
    """The input's mask, or the list of masks where the input is a list."""
    return context.masks[0] if context.masks else None


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # built-in functions may have no signature
        return ()
