"""How many floating-point operations a traced computation makes: read off its jaxpr, without running it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax.numpy as jnp

# One operation for each number of the output, where the operands are floating.
_ELEMENTWISE = """
    abs acos acosh add add_any asin asinh atan atan2 atanh cbrt ceil clamp cos cosh digamma div eq erf erf_inv erfc exp
    exp2 expm1 floor ge gt integer_pow is_finite le lgamma log log1p logistic lt max min mul ne neg nextafter pow rem
    round rsqrt sign sin sinh sqrt square sub tan tanh
"""
# One for each number of the input but the first of each group that is reduced.
_REDUCTIONS = "argmax argmin reduce_max reduce_min reduce_prod reduce_sum"
_RUNNING = "cumlogsumexp cummax cummin cumprod cumsum"
_WINDOWS = "reduce_window reduce_window_max reduce_window_min reduce_window_sum"


def count_flops(jaxpr: Any) -> int:
    """The floating-point operations of a jaxpr.

    A multiplication and an addition are two. Moving, selecting and converting numbers is free, and so is arithmetic on
    whole numbers. The body of a `scan` counts once for each of its steps; of a `cond` the dearest branch counts; a
    `while` whose number of turns is not known counts as one turn. Convolutions count every place of the kernel, the
    padding included, as in the published tables; those that fan out count the given numbers only.

    Args:
        jaxpr: from `jax.make_jaxpr`.

    >>> import jax
    >>> count_flops(jax.make_jaxpr(lambda x, w: jnp.tanh(x @ w))(jnp.ones((2, 8)), jnp.ones((8, 3))))
    102
    """
    return sum(_flops(equation) for equation in _open(jaxpr).eqns)


def _flops(equation: Any) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "cond":
        return max(count_flops(branch) for branch in params["branches"])
    if name == "dot_general":
        return _dot(equation)
    if name == "conv_general_dilated":
        return _convolution(equation)
    # Windows and scatters hold the jaxpr of one addition, which their own rule counts.
    if name in _WINDOWS.split() or name.startswith("scatter"):
        return _arithmetic(name, equation)
    inner = sum(count_flops(each) for each in _inner(params))
    return params["length"] * inner if name == "scan" else inner or _arithmetic(name, equation)


def _arithmetic(name: str, equation: Any) -> int:
    operands, output = equation.invars, equation.outvars[0]
    if not any(_is_floating(operand) for operand in operands):
        return 0
    if name in _ELEMENTWISE.split():
        return _size(output)
    if name in _REDUCTIONS.split():
        return _size(operands[0]) - _size(output)
    if name in _RUNNING.split():
        return _size(operands[0])
    if name in _WINDOWS.split():
        return _size(output) * (math.prod(equation.params["window_dimensions"]) - 1)
    if name in ("scatter-add", "scatter_add"):
        return _size(operands[2])
    return _size(output) * 5 * _log2(equation.params["fft_lengths"]) if name == "fft" else 0


def _dot(equation: Any) -> int:
    (contracted, _), _ = equation.params["dimension_numbers"]
    shape = equation.invars[0].aval.shape
    return 2 * _size(equation.outvars[0]) * math.prod(shape[axis] for axis in contracted)


def _convolution(equation: Any) -> int:
    kernel = equation.invars[1].aval.shape
    _, *others = equation.params["dimension_numbers"].rhs_spec
    places = math.prod(kernel[axis] for axis in others)
    # Between the numbers of a dilated input are zeros, with which nothing need be multiplied.
    zeros = math.prod(equation.params["lhs_dilation"])
    return 2 * _size(equation.outvars[0]) * places // zeros


def _inner(params: Mapping[str, Any]) -> Iterator[Any]:
    """The jaxprs that an equation calls; of custom derivatives only the function itself."""
    derivatives = ("jvp_jaxpr_fun", "jvp_jaxpr_thunk", "fwd_jaxpr_thunk", "bwd", "cond_jaxpr")
    for name, value in params.items():
        if name not in derivatives:
            yield from (each for each in (value if isinstance(value, (tuple, list)) else (value,)) if _is_jaxpr(each))


def _is_jaxpr(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(getattr(value, "jaxpr", None), "eqns")


def _open(jaxpr: Any) -> Any:
    return jaxpr if hasattr(jaxpr, "eqns") else jaxpr.jaxpr


def _is_floating(variable: Any) -> bool:
    dtype = getattr(variable.aval, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jnp.inexact)


def _size(variable: Any) -> int:
    return math.prod(variable.aval.shape)


def _log2(lengths: Any) -> int:
    return math.ceil(math.log2(max(math.prod(lengths), 1)))
