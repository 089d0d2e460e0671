"""Random keys for places in a graph."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphTypeError


def check_key(key: Any, owner: str = "graph.init") -> None:
    """Refuses what is not one random key.

    Raises: GraphTypeError that shows how a key is made.
    """
    is_new = hasattr(key, "dtype") and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    is_old = hasattr(key, "dtype") and key.dtype == "uint32" and key.ndim == 1
    if not is_old and not (is_new and key.ndim == 0):
        raise GraphTypeError(
            f"{owner} needs a random key.",
            received=f"{key.shape} {key.dtype}" if hasattr(key, "dtype") else repr(key),
            expected="one key",
            fix=f"jax.random.key({key if isinstance(key, int) else 0})",
        )


def fold_path(key: jax.Array, path: Sequence[str]) -> jax.Array:
    """A key for a place: depends on the names alone, so that rewriting the rest of a graph leaves it."""
    return jax.random.fold_in(key, zlib.crc32("/".join(path).encode()))
