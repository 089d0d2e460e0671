"""What is known of a tensor before there are numbers: its shape, unknown sizes included, and its dtype."""

from __future__ import annotations

import dataclasses
import operator
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import export

from jaxgraphs.errors import GraphTypeError, GraphValueError

Dim = Any
"""A size: an int, or a JAX symbolic dimension such as ``d1 - 2``."""

# JAX compares symbols of one scope only. The scope holds no constraint, so it changes no result.
_SCOPE = export.SymbolicScope()
BATCH: Dim = export.symbolic_shape("batch", scope=_SCOPE)[0]
"""The number of examples, shared by every Input that does not fix it."""

_NAME = re.compile(r"[A-Za-z_]\w*")
_OPERATIONS = {"floordiv": lambda a, b: a // b, "mod": lambda a, b: a % b, "max": max, "min": min}


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """Shape and dtype of a tensor.

    Args:
        dims: one size for each axis, the batch axis included; an unknown size is a symbol.
        dtype: a NumPy or JAX dtype.

    >>> spec = TensorSpec.of_shape((None, 28, 28, 1), "float32")
    >>> spec.shape, spec.rank
    ((None, 28, 28, 1), 4)
    """

    dims: tuple[Dim, ...]
    dtype: Any

    @classmethod
    def of_shape(cls, shape: Iterable[int | None], dtype: Any) -> TensorSpec:
        """A spec with a symbol of its own for each None; a leading None is the batch."""
        dims = tuple(
            (BATCH if axis == 0 else unknown_dim()) if size is None else size for axis, size in enumerate(shape)
        )
        return cls(dims, canonical_dtype(dtype))

    @classmethod
    def of(cls, value: Any) -> TensorSpec:
        """The spec of an array, or of anything else with a shape and a dtype."""
        return cls(tuple(value.shape), value.dtype)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The sizes, None where one is unknown."""
        return tuple(size if isinstance(size, int) else None for size in self.dims)

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.dims)

    def struct(self) -> jax.ShapeDtypeStruct:
        """The same for `jax.eval_shape`, symbols and all."""
        return jax.ShapeDtypeStruct(self.dims, self.dtype)

    def substitute(self, sizes: Mapping[str, Dim]) -> TensorSpec:
        """The spec with symbols replaced by sizes or by other symbols."""
        return TensorSpec(tuple(substitute(dim, sizes) for dim in self.dims), self.dtype)

    def __reduce__(self) -> Any:
        # A symbol means the same in another process only by its name.
        return _rebuild, (tuple(dim if isinstance(dim, int) else str(dim) for dim in self.dims), self.dtype)

    def __str__(self) -> str:
        words = [_word(size) for size in self.dims]
        return f"({', '.join(words)}{',' if len(words) == 1 else ''}) {self.dtype}"


def _rebuild(dims: tuple[int | str, ...], dtype: Any) -> TensorSpec:
    return TensorSpec(tuple(dim if isinstance(dim, int) else named_dim(dim) for dim in dims), dtype)


def canonical_dtype(dtype: Any) -> Any:
    """The dtype that JAX computes with: float64 is float32 unless 64-bit numbers are enabled."""
    try:
        return jax.dtypes.canonicalize_dtype(dtype)
    except TypeError as error:
        raise GraphTypeError(
            "There is no such dtype.", received=repr(dtype), expected="a name such as 'float32', or a NumPy dtype"
        ) from error


def unknown_dim() -> Dim:
    """A size not known yet, equal to nothing but itself."""
    return export.symbolic_shape(f"d{uuid.uuid4().hex}", scope=_SCOPE)[0]


def named_dim(name: str) -> Dim:
    """The symbol of that name."""
    return export.symbolic_shape(name, scope=_SCOPE)[0]


def is_known(dims: Iterable[Dim]) -> bool:
    """Whether every size is a number."""
    return all(isinstance(size, int) for size in dims)


def symbols(dims: Iterable[Dim]) -> tuple[str, ...]:
    """The names of the symbols that `dims` are made of, in order of appearance."""
    names = (name for size in dims if not isinstance(size, int) for name in _NAME.findall(str(size)))
    return tuple(dict.fromkeys(name for name in names if name not in _OPERATIONS))


def substitute(dim: Dim, sizes: Mapping[str, Dim]) -> Dim:
    """One size with symbols replaced.

    >>> substitute(BATCH * 2 + 1, {"batch": 3})
    7
    """
    if isinstance(dim, int):
        return dim
    return _value(str(dim), {name: sizes[name] if name in sizes else named_dim(name) for name in symbols([dim])})


def check_shape(shape: Any, owner: str) -> tuple[int | None, ...]:
    """A shape as a tuple of positive ints and Nones, or an error that names `owner`."""
    sizes: Sequence[Any] = (shape,) if isinstance(shape, (int, np.integer)) else shape
    try:
        sizes = tuple(None if size is None else operator.index(size) for size in sizes)
    except (TypeError, ValueError) as error:
        raise GraphTypeError(
            f"{owner} has no usable shape.",
            received=repr(shape),
            expected="a tuple of ints and Nones",
            fix="(28, 28, 1)",
        ) from error
    if any(size is not None and size < 0 for size in sizes):
        raise GraphValueError(
            f"{owner} has a negative size.", received=repr(shape), expected="sizes of 0 or more, or None"
        )
    return sizes


def _value(expression: str, sizes: Mapping[str, Dim]) -> Dim:
    """The value of a symbolic size as JAX prints it: sums, products, powers, floordiv, mod, max, min."""
    import ast

    def value(node: ast.expr) -> Dim:
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.Name(id=name):
                return sizes[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -value(operand)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return value(left) + value(right)
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                return value(left) - value(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return value(left) * value(right)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return value(left) ** value(right)
            case ast.Call(func=ast.Name(id=name), args=[left, right]):
                return _operate(name, value(left), value(right))
        raise GraphValueError("A symbolic size has an operation that is not known.", received=expression)

    # JAX prints powers as ^, which binds less tightly in Python.
    return value(ast.parse(expression.replace("^", "**"), mode="eval").body)


def _operate(name: str, left: Dim, right: Dim) -> Dim:
    if name in ("max", "min") and not is_known((left, right)):
        # Python's own would need to know which is larger.
        return export.symbolic_shape(f"{name}({left}, {right})", scope=_SCOPE)[0]
    return _OPERATIONS[name](left, right)


def _word(size: Dim) -> str:
    if isinstance(size, int):
        return str(size)
    return "batch" if size == BATCH else "None"
