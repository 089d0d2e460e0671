"""A function's jaxpr computed again with what converters to other formats lack put in simpler terms.

Loops that run backwards become loops over what has been turned around; the largest number of each window becomes the
largest of so many slices. The numbers are the same.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core


def plainly(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of arrays in simpler terms, its outputs as one flat tuple.

    >>> total = lambda x: jax.lax.scan(lambda c, y: (c + y, c), 0.0, x, reverse=True)[1]
    >>> "reverse=True" in str(jax.make_jaxpr(plainly(total))(jnp.arange(3.0)))
    False
    """

    def call(*args: Any) -> Any:
        return tuple(_evaluate(jax.make_jaxpr(function)(*args), *args))

    return call


def _evaluate(closed: Any, *args: Any) -> list[Any]:
    values: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    values |= dict(zip(closed.jaxpr.invars, args, strict=True))

    def read(variable: Any) -> Any:
        return variable.val if isinstance(variable, core.Literal) else values[variable]

    for equation in closed.jaxpr.eqns:
        outputs = _apply(equation, [read(variable) for variable in equation.invars])
        values |= dict(zip(equation.outvars, outputs, strict=True))
    return [read(variable) for variable in closed.jaxpr.outvars]


def _apply(equation: Any, args: list[Any]) -> Sequence[Any]:
    name, params = equation.primitive.name, equation.params
    inner = next((params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in params), None)
    if name == "scan":
        return _scan(args, inner, params)
    if name == "reduce_window_max":
        return [_largest(args[0], params)]
    # Functions within functions are written out, so that what is in them is seen.
    if inner is not None and name not in ("while", "cond") and isinstance(inner, core.ClosedJaxpr):
        return _evaluate(inner, *args)
    outputs = equation.primitive.bind(*args, **params)
    return outputs if equation.primitive.multiple_results else [outputs]


def _scan(args: list[Any], inner: Any, params: Any) -> Sequence[Any]:
    consts, count = params["num_consts"], params["num_carry"]
    fixed, carry, every = args[:consts], args[consts : consts + count], args[consts + count :]

    def body(carry: Any, now: Any) -> tuple[list[Any], list[Any]]:
        outputs = _evaluate(inner, *fixed, *carry, *now)
        return outputs[:count], outputs[count:]

    turn = functools.partial(jnp.flip, axis=0) if params["reverse"] else lambda x: x
    last, found = lax.scan(body, carry, [turn(x) for x in every], length=params["length"])
    return [*last, *(turn(x) for x in found)]


def _largest(x: Any, params: Any) -> Any:
    """The largest number of each window, as the largest of a slice for each place in the window."""
    window, strides, dilation = params["window_dimensions"], params["window_strides"], params["window_dilation"]
    floating = jnp.issubdtype(x.dtype, jnp.inexact)
    least = np.array(-np.inf if floating else jnp.iinfo(x.dtype).min, x.dtype)
    if any(pair != (0, 0) for pair in map(tuple, params["padding"])):
        x = jnp.pad(x, params["padding"], constant_values=least)
    parts = []
    for place in itertools.product(*(range(size) for size in window)):
        part = x
        for axis, (offset, size, stride, spread) in enumerate(zip(place, window, strides, dilation, strict=True)):
            if size > 1 or stride > 1:
                count = (x.shape[axis] - (size - 1) * spread - 1) // stride + 1
                start = offset * spread
                part = lax.slice_in_dim(part, start, start + (count - 1) * stride + 1, stride, axis)
        parts.append(part)
    return functools.reduce(jnp.maximum, parts)
