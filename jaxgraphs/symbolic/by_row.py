"""Whether a function computes each row of a batch from that row alone, whatever the number of rows.

The batch's size is a symbol, so that in a traced program the axis of rows shows in every array's shape. A row stays by
itself where no step reads along that axis, joins it to another one, or asks how long it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend.core

from jaxgraphs.symbolic.spec import BATCH, TensorSpec, symbols

PyTree = Any

# fmt: off
_ELEMENTWISE = frozenset(
    {
        "abs", "acos", "acosh", "add", "add_any", "and", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil",
        "clamp", "complex", "conj", "convert_element_type", "copy", "copy_p", "cos", "cosh", "digamma", "div", "eq",
        "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "floor", "ge", "gt", "igamma", "igammac", "imag",
        "integer_pow", "is_finite", "le", "lgamma", "log", "log1p", "logistic", "lt", "max", "min", "mul", "ne", "neg",
        "nextafter", "not", "optimization_barrier", "or", "population_count", "pow", "real", "reduce_precision", "rem",
        "round", "rsqrt", "select_n", "shift_left", "shift_right_arithmetic", "shift_right_logical", "sign", "sin",
        "sinh", "sqrt", "square", "stop_gradient", "sub", "tan", "tanh", "xor"
    }
)
# The axis of rows may go elsewhere in these, or be given; that it is there, and whole, is all that is asked.
_MOVING = frozenset(
    {
        "broadcast_in_dim", "dot_general", "dynamic_slice", "expand_dims", "iota", "slice", "split", "squeeze", "stack",
        "tile", "top_k", "transpose", "unstack"
    }
)
# fmt: on
# Name -> the parameter that names the axes along which it reads.
_ALONG = {
    **dict.fromkeys(("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or"), "axes"),
    **dict.fromkeys(("argmax", "argmin"), "axes"),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"), "axis"),
    **{"rev": "dimensions", "sort": "dimension", "concatenate": "dimension"},
}
# fmt: off
# What is made of other programs, each of which is looked at.
_NESTED = frozenset(
    {
        "checkpoint", "closed_call", "cond", "core_call", "custom_jvp_call", "custom_lin", "custom_vjp_call",
        "custom_vjp_call_jaxpr", "jit", "pjit", "platform_index", "remat", "remat2", "scan", "while"
    }
)
# fmt: on


def is_by_row(function: Callable[..., PyTree], specs: Sequence[TensorSpec], rows: Sequence[bool]) -> bool:
    """Whether it is so, as far as the traced program tells: True is sure, False may be too careful.

    Args:
        function: a pure JAX function of as many arrays as there are `specs`.
        rows: for each array whether its first axis is that of rows; the others are the same for all rows.

    >>> x = TensorSpec.of_shape((None, 3), "float32")
    >>> is_by_row(lambda x: x / x.sum(-1, keepdims=True), [x], [True])
    True
    >>> is_by_row(lambda x: x - x.mean(0), [x], [True]), is_by_row(lambda x: (x**2).mean(), [x], [True])
    (False, False)
    """
    dims = [(BATCH, *spec.dims[1:]) if first else spec.dims for spec, first in zip(specs, rows, strict=True)]
    structs = [jax.ShapeDtypeStruct(shape, spec.dtype) for shape, spec in zip(dims, specs, strict=True)]
    try:
        program = jax.make_jaxpr(function)(*structs).jaxpr
    except Exception:  # whatever the function says of symbols, or of such arrays at all
        return False
    return _keeps_rows(program) and all(_axis(value) == 0 for value in program.outvars)


class _Mixed(Exception):
    """An array of which no one axis has the rows."""


def _axis(value: Any) -> int | None:
    """The axis of rows of a value in a traced program, or None.

    Raises: _Mixed where there are two, or rows and something else are on one.
    """
    found = [axis for axis, size in enumerate(getattr(value.aval, "shape", ())) if _has_rows(size)]
    if len(found) > 1 or (found and value.aval.shape[found[0]] != BATCH):
        raise _Mixed
    return found[0] if found else None


def _has_rows(size: Any) -> bool:
    return not isinstance(size, int) and str(BATCH) in symbols((size,))


def _keeps_rows(program: Any) -> bool:
    try:
        return all(map(_keeps, program.eqns))
    except _Mixed:
        return False


def _keeps(step: Any) -> bool:
    """Whether one step of a traced program leaves each row by itself."""
    name, given = step.primitive.name, step.params
    read, made = [_axis(value) for value in step.invars], [_axis(value) for value in step.outvars]
    if name == "dim_as_value":
        return not _has_rows(given["dim"])
    if all(axis is None for axis in (*read, *made)):
        return True
    if name in _NESTED:
        inner = [_keeps_rows(each) for each in jax.extend.core.jaxprs_in_params(given)]
        return bool(inner) and all(inner) and not _has_rows(given.get("length", 0))
    if None in made:
        return False
    own = next((axis for axis in read if axis is not None), None)
    if name in _ELEMENTWISE or name in _MOVING:
        return True
    if name in _ALONG:
        along = given[_ALONG[name]]
        return own not in (along if isinstance(along, (tuple, list)) else (along,))
    special = _SPECIAL.get(name)
    return special is not None and bool(special(step, read, made))


def _reshape(step: Any, read: Sequence[int | None], made: Sequence[int | None]) -> bool:
    before, after = step.invars[0].aval.shape[: read[0]], step.outvars[0].aval.shape[: made[0]]
    # What lies before the rows stays there.
    return read[0] is not None and math.prod(before) == math.prod(after)


def _pad(step: Any, read: Sequence[int | None], _made: Sequence[int | None]) -> bool:
    return read[0] is not None and tuple(step.params["padding_config"][read[0]]) == (0, 0, 0)


def _convolution(step: Any, read: Sequence[int | None], made: Sequence[int | None]) -> bool:
    numbers = step.params["dimension_numbers"]
    is_there = (read[0], made[0]) == (numbers.lhs_spec[0], numbers.out_spec[0])
    return is_there and read[1] is None and step.params["batch_group_count"] == 1


def _gather(step: Any, read: Sequence[int | None], _made: Sequence[int | None]) -> bool:
    """Rows of a table that is the same for all; or, of each row, places that are the same for all or its own."""
    (table, places), numbers = read[:2], step.params["dimension_numbers"]
    if table is None or step.params["slice_sizes"][table] == BATCH:
        return True
    pairs = zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True)
    return (table, places) in pairs


def _window(step: Any, read: Sequence[int | None], _made: Sequence[int | None]) -> bool:
    own, given = read[0], step.params
    return own is not None and given["window_dimensions"][own] == 1 and tuple(given["padding"][own]) == (0, 0)


_SPECIAL: dict[str, Callable[[Any, Sequence[int | None], Sequence[int | None]], bool]] = {
    "reshape": _reshape,
    "pad": _pad,
    "conv_general_dilated": _convolution,
    "gather": _gather,
    **dict.fromkeys(("reduce_window_sum", "reduce_window_max", "reduce_window_min"), _window),
}
