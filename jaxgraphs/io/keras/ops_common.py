"""What the tables of operations share: Keras' promotion and broadcasting, axes, and bounds on sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.io.keras.limits import NUMBER, refuse
from jaxgraphs.io.keras.values import policy_name

Function = Callable[..., Any]


def lenient(function: Function) -> Function:
    """`function` under NumPy's rules for ranks and dtypes, whatever JAX has been told; Keras goes by them."""

    def call(*args: Any, **kwargs: Any) -> Any:
        with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
            return function(*args, **kwargs)

    return call


def floating(x: Any) -> jax.Array:
    """Whole numbers as float32; others as they are."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.float32)


def whole(function: Function) -> Function:
    """`function`, whose indices or counts come as int32."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return lenient(function)(*args, **kwargs).astype(jnp.int32)

    return call


def axes(axis: Any) -> Any:
    """Axes of a configuration as JAX takes them."""
    return tuple(axis) if isinstance(axis, (list, tuple)) else axis


def each_axis(size: Any, count: int) -> tuple[int, ...]:
    """One number for each of `count` axes."""
    return tuple(size) if isinstance(size, (list, tuple)) else (size,) * count


def dtype_of(dtype: Any, default: Any) -> Any:
    """A dtype of a configuration, as JAX has it."""
    name = policy_name(dtype)
    return default if name is None else jax.dtypes.canonicalize_dtype(name)


def check_sizes(*sizes: Any) -> None:
    """Refuses sizes beyond reason before anything is made of them."""
    for size in sizes:
        numbers = np.ravel(np.asarray(size, dtype=object)).tolist()
        if any(not isinstance(number, (int, np.integer)) or abs(number) > NUMBER for number in numbers):
            raise refuse("A size in an operation is too large.", str(sizes)[:80])


def is_first(data_format: Any) -> bool:
    """Whether channels come before the spatial axes."""
    return data_format in ("channels_first", "NCHW", "NCW", "NCDHW")


def over_spatial(sizes: Sequence[int], first: bool) -> tuple[int, ...]:
    """Numbers for the spatial axes, with 1 for batch and channels."""
    return (1, 1, *sizes) if first else (1, *sizes, 1)


def constant(value: Any) -> Any:
    """A constant tensor, which files have as nested lists of numbers."""
    if not isinstance(value, list):
        return value
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float64 else array
