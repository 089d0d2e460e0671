"""Random keys for places in a graph."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import jax


def fold_path(key: jax.Array, path: Sequence[str]) -> jax.Array:
    """A key for a place: depends on the names alone, so that rewriting the rest of a graph leaves it."""
    return jax.random.fold_in(key, zlib.crc32("/".join(path).encode()))
