"""Broadcasting and promotion spelled out, so that they hold under JAX's strict settings too."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array


def align_ranks(*arrays: Any) -> tuple[Array, ...]:
    """The arrays with leading axes of size 1 added until all have one rank: NumPy's rule, said aloud.

    >>> [a.shape for a in align_ranks(jnp.ones((2, 3)), jnp.ones(3))]
    [(2, 3), (1, 3)]
    """
    values = [jnp.asarray(array) for array in arrays]
    rank = max(value.ndim for value in values)
    return tuple(value.reshape((1,) * (rank - value.ndim) + value.shape) for value in values)


def promote(*arrays: Any) -> tuple[Array, ...]:
    """The arrays in the dtype that JAX's standard promotion gives them all."""
    with jax.numpy_dtype_promotion("standard"):
        dtype = jnp.result_type(*arrays)
    return tuple(jnp.asarray(array, dtype) for array in arrays)


def promote_floats(tree: Any, dtype: Any = None) -> Any:
    """The tree with its floating arrays in one dtype: `dtype`, or the one they promote to; others are left alone."""
    leaves, structure = jax.tree.flatten(tree)
    floats = [leaf for leaf in leaves if is_float_array(leaf)]
    if not floats:
        return tree
    if dtype is None:
        with jax.numpy_dtype_promotion("standard"):
            dtype = jnp.result_type(*(leaf.dtype for leaf in floats))
    return jax.tree.unflatten(structure, [leaf.astype(dtype) if is_float_array(leaf) else leaf for leaf in leaves])


def is_float_array(value: Any) -> bool:
    """Whether `value` is an array of floating numbers, complex ones left out."""
    return hasattr(value, "dtype") and hasattr(value, "astype") and jnp.issubdtype(value.dtype, jnp.floating)
