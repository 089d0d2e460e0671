"""Shapes that tf.keras records as tensors (`tf.shape(x)[0]`), computed while the graph is made.

In a graph of arrays a shape is known, or one of its sizes is open, as the batch is. Calls that compute with shapes
alone are therefore no calls of the graph; where their results go into another call, they are numbers there.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxgraphs.errors import GraphValueError
from jaxgraphs.symbolic.node import is_symbolic


@dataclasses.dataclass(frozen=True)
class Sizes:
    """A size, or a list of them; None is open."""

    value: Any


_SHAPES = ("shape", "compat.v1.shape", "keras.backend.shape", "keras.backend.int_shape")
_SAME = ("convert_to_tensor", "cast", "identity", "stack", "concat", "compat.v1.pack")
_FLAT = ("stack", "concat", "compat.v1.pack")
_NUMBERS: Mapping[str, Callable[[Any, Any], Any]] = {
    **{"math.multiply": operator.mul, "math.add": operator.add, "__operators__.add": operator.add},
    **{"math.subtract": operator.sub, "math.floordiv": operator.floordiv, "math.floormod": operator.mod},
    **{
        "math.truediv": operator.truediv,
        "math.divide": operator.truediv,
        "math.pow": operator.pow,
        "pow": operator.pow,
    },
    **{"math.maximum": max, "math.minimum": min, "multiply": operator.mul, "add": operator.add},
    **{"subtract": operator.sub, "divide": operator.truediv},
}
_ROOTS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("math.sqrt", "sqrt", "keras.backend.sqrt"), math.sqrt),
    "math.rsqrt": lambda size: 1.0 / math.sqrt(size),
}


def computed(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Sizes] | None:
    """The results of a call that computes with shapes alone; None for any other call.

    >>> computed("__operators__.getitem", [Sizes([None, 4])], {"slice_spec": 1})
    [Sizes(value=4)]
    """
    if function in _SHAPES and len(args) == 1 and is_symbolic(args[0]):
        return [Sizes(list(args[0].shape))]
    if not _mentions([*args, *kwargs.values()]) or any(map(is_symbolic, _leaves([*args, *kwargs.values()]))):
        return None
    plain, named = [_plain(arg) for arg in args], {name: _plain(value) for name, value in kwargs.items()}
    if function == "__operators__.getitem":
        return [Sizes(_item(plain[0], named.get("slice_spec", plain[-1])))]
    if function == "unstack" and isinstance(plain[0], list):
        return [Sizes(size) for size in plain[0]]
    if function in _SAME:
        return [Sizes(_flat(plain[0]) if function in _FLAT else plain[0])]
    if function == "math.reduce_prod":
        sizes = _flat(plain[0])
        return [Sizes(None if None in sizes else math.prod(sizes))]
    return _number(function, [*plain, *(named[name] for name in ("y",) if name in named)])


def _number(function: Any, operands: list[Any]) -> list[Sizes] | None:
    """A number made of one size or two; open where one of them is."""
    known = _NUMBERS.get(function) if len(operands) == 2 else _ROOTS.get(function) if len(operands) == 1 else None
    if known is None or any(isinstance(operand, list) for operand in operands):
        return None
    return [Sizes(None if None in operands else known(*operands))]


def settled(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], place: str) -> tuple[tuple[Any, ...], Any]:
    """The arguments of a call with numbers for sizes.

    Raises: GraphValueError where a size is open and the call needs its number.
    """
    if not _mentions([*args, *kwargs.values()]):
        return tuple(args), kwargs
    plain, named = tuple(_plain(arg) for arg in args), {name: _plain(value) for name, value in kwargs.items()}
    if function in ("reshape", "compat.v1.reshape"):
        named = {name: _target(value) if name == "shape" else value for name, value in named.items()}
        return (plain[0], *(_target(value) for value in plain[1:])), named
    if function == "broadcast_to":
        return plain, named
    if any(value is None for value in _leaves([plain, [named[name] for name in kwargs if _mentions(kwargs[name])]])):
        raise GraphValueError(
            "A call needs the number of a size that is left open.",
            where=place,
            received=f"tf.shape(...) in the arguments of {function}",
            expected="a size that the model's inputs fix, or a reshape",
        )
    return plain, named


def _target(shape: Any) -> Any:
    """The shape of a reshape: an open size in front is the batch, and elsewhere what is left."""
    sizes = shape if isinstance(shape, list) else [shape]
    if sizes and sizes[0] is None:
        rest = [-1 if size is None else size for size in sizes[1:]]
        return [None if -1 in rest else -1, *rest]
    return [-1 if size is None else size for size in sizes]


def _item(sizes: Any, key: Any) -> Any:
    key = key[0] if isinstance(key, (list, tuple)) and len(key) == 1 else key
    if not isinstance(sizes, list) or not isinstance(key, (int, slice)):
        raise GraphValueError("A shape is taken apart in a way that is not known here.", received=repr(key)[:80])
    return sizes[key]


def _plain(value: Any) -> Any:
    if isinstance(value, Sizes):
        return value.value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _flat(value: Any) -> list[Any]:
    return [leaf for item in value for leaf in _flat(item)] if isinstance(value, list) else [value]


def _mentions(value: Any) -> bool:
    return any(isinstance(leaf, Sizes) for leaf in _leaves(value))


def _leaves(value: Any) -> list[Any]:
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, (list, tuple)) else [value]
