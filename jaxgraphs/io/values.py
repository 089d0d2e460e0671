"""Constants of calls and configurations as JSON, and back: what JSON lacks is an object with the key "$"."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgraphs.errors import GraphTypeError, GraphValueError
from jaxgraphs.io.tables import FUNCTIONS, PARTS, function_name
from jaxgraphs.layers.initializers import Initializer, make

Special = Callable[[Any], Any]
DTYPES: Mapping[str, Any] = {
    name: jnp.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("bfloat16", "float16", "float32", "float64", "complex64", "complex128"),
    )
}
"""The dtypes a file may name."""
LARGEST = 2**63
"""No whole number in a file is larger; JAX has none."""


def encode(value: Any, special: Special) -> Any:
    """A constant as JSON.

    Args:
        value: numbers, texts, None, slices, arrays, dtypes, known functions, initializers, regularisers, constraints,
            and lists, tuples and dicts of these.
        special: asked first about anything that is not plain; gives JSON, or None where it does not know it.
    Raises: GraphTypeError for anything else.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int) and not isinstance(value, np.generic):
        return value
    if isinstance(value, float) and not isinstance(value, np.generic):
        return value if math.isfinite(value) else {"$": "float", "value": str(value)}
    if type(value) is list:
        return [encode(item, special) for item in value]
    if (known := special(value)) is not None:
        return known
    return _encode_object(value, lambda item: encode(item, special))


def _encode_object(value: Any, inner: Callable[[Any], Any]) -> Any:
    if type(value) is tuple:
        return {"$": "tuple", "items": inner(list(value))}
    if type(value) is dict:
        return {"$": "dict", "items": [[inner(key), inner(item)] for key, item in value.items()]}
    if isinstance(value, slice):
        return {"$": "slice", "items": [inner(value.start), inner(value.stop), inner(value.step)]}
    if value is Ellipsis:
        return {"$": "ellipsis"}
    if isinstance(value, Initializer):
        return {"$": "initializer", "name": value.name, "config": inner(dict(value.config))}
    if PARTS.get(type(value).__name__) is type(value):
        config = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"$": "part", "name": type(value).__name__, "config": inner(config)}
    if (name := function_name(value)) is not None:
        return {"$": "function", "name": name}
    if isinstance(value, functools.partial):
        call = {"function": inner(value.func), "args": inner(value.args), "kwargs": inner(value.keywords)}
        return {"$": "partial", **call}
    if (dtype := _dtype_of(value)) is not None:
        return {"$": "dtype", "name": dtype}
    return _encode_array(value)


def _dtype_of(value: Any) -> str | None:
    """The name of a dtype, or of one of the types that stand for dtypes, such as jnp.float32."""
    if hasattr(value, "shape") and not isinstance(value, np.dtype):
        return None
    try:
        name = np.dtype(value).name
    except TypeError:
        return None
    return name if name in DTYPES else None


def _encode_array(value: Any) -> Any:
    array = np.asarray(value) if hasattr(value, "shape") and hasattr(value, "dtype") else None
    if array is None or array.dtype.name not in DTYPES:
        raise GraphTypeError(
            "A constant cannot be written as JSON.",
            received=f"{type(value).__name__}: {value!r}"[:200],
            expected="numbers, texts, slices, arrays, known functions, and lists, tuples and dicts of these",
        )
    return {"$": "array", "dtype": array.dtype.name, "shape": list(array.shape), "values": _numbers(array)}


def _numbers(array: np.ndarray) -> list[Any]:
    if np.iscomplexobj(array):
        return _numbers(np.stack([np.real(array), np.imag(array)], -1).reshape(-1))
    wide = array.reshape(-1).astype(np.float64) if jnp.issubdtype(array.dtype, jnp.floating) else array.reshape(-1)
    return [
        number if not isinstance(number, float) or math.isfinite(number) else str(number) for number in wide.tolist()
    ]


def decode(value: Any, special: Special) -> Any:
    """The constant of a piece of JSON.

    Args:
        value: what `encode` wrote.
        special: asked first about each object with a "$"; gives a value, or NotImplemented where it does not know it.
    Raises: GraphValueError for what `encode` would not have written.
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST:
        raise GraphValueError(
            "A number in the JSON is too large.", received=str(value)[:40], expected=f"at most {LARGEST}"
        )
    if isinstance(value, list):
        return [decode(item, special) for item in value]
    if not isinstance(value, dict):
        return value
    if (known := special(value)) is not NotImplemented:
        return known
    kind = value.get("$")
    if not isinstance(kind, str) or kind not in _DECODERS:
        raise _malformed(value)
    return _DECODERS[kind](value, lambda item: decode(item, special))


def _malformed(value: Any) -> GraphValueError:
    return GraphValueError("The JSON has a value that is not known.", received=repr(value)[:200])


def _decode_array(value: Any, _inner: Special) -> np.ndarray:
    dtype, shape, numbers = DTYPES[value["dtype"]], tuple(value["shape"]), value["values"]
    parts = 2 if dtype.kind == "c" else 1
    if math.prod(shape) * parts != len(numbers) or any(not isinstance(size, int) or size < 0 for size in shape):
        raise GraphValueError(
            "An array in the JSON does not have the numbers that its shape says.", received=str(shape)
        )
    if dtype.kind in "biu":
        return np.array(numbers, dtype).reshape(shape)
    flat = np.array([float(number) for number in numbers], np.float64)
    return (flat.view(np.complex128) if parts == 2 else flat).astype(dtype).reshape(shape)


def _decode_dict(value: Any, inner: Special) -> dict[Any, Any]:
    return {inner(key): inner(item) for key, item in value["items"]}


def _decode_initializer(value: Any, inner: Special) -> Initializer:
    return make(_text(value["name"]), **inner(value["config"]))


def _decode_part(value: Any, inner: Special) -> Any:
    return PARTS[value["name"]](**inner(value["config"]))


def _decode_partial(value: Any, inner: Special) -> Any:
    return functools.partial(inner(value["function"]), *inner(value["args"]), **inner(value["kwargs"]))


def _decode_float(value: Any, _inner: Special) -> float:
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[value["value"]]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _malformed(value)
    return value


_DECODERS: Mapping[str, Callable[[Any, Special], Any]] = {
    "float": _decode_float,
    "tuple": lambda value, inner: tuple(inner(list(value["items"]))),
    "dict": _decode_dict,
    "slice": lambda value, inner: slice(*inner(list(value["items"]))),
    "ellipsis": lambda value, inner: ...,
    "initializer": _decode_initializer,
    "part": _decode_part,
    "function": lambda value, inner: FUNCTIONS[value["name"]],
    "partial": _decode_partial,
    "dtype": lambda value, inner: DTYPES[value["name"]],
    "array": _decode_array,
}
