"""Sizes that are not known yet, met by layers that need two of them to be equal.

While shapes are inferred, and while a graph is exported, a size may be a symbol. A layer that needs it to be another
size says so here: the symbol is taken to be that size. With arrays of known shape nothing happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.symbolic.spec import Dim

Array = jax.Array


def settle(x: Array, axis: int, size: Dim) -> Array:
    """`x` with its unknown size along `axis` taken to be `size`; x itself where the two are one already.

    A size of 1 is repeated, as broadcasting would; sizes that are known and unlike are left for the caller to meet.

    >>> settle(jnp.ones((2, 3)), 1, 3).shape
    (2, 3)
    """
    if is_same(x.shape[axis], size) or (isinstance(x.shape[axis], int) and isinstance(size, int)):
        return x
    return jnp.take(x, jnp.arange(size), axis=axis, mode="clip")


def common_size(sizes: Sequence[Dim]) -> Dim:
    """The size that arrays broadcast to: a known one where there is one, else the first unknown one.

    >>> common_size([1, 4, 4])
    4
    """
    wide = [size for size in sizes if not is_same(size, 1)]
    known = [size for size in wide if isinstance(size, int)]
    return (known or wide or [1])[0]


def equal_size(sizes: Sequence[Dim]) -> Dim:
    """The size that all are taken to be: a known one where there is one, else the first.

    >>> from jaxgraphs.symbolic.spec import BATCH
    >>> equal_size([BATCH, 4])
    4
    """
    return next((size for size in sizes if isinstance(size, int)), sizes[0])


def is_same(a: Dim, b: Dim) -> bool:
    """Whether two sizes are known to be equal."""
    return bool(a == b)


def unlike(sizes: Sequence[Dim]) -> bool:
    """Whether two sizes are numbers and differ; symbols may turn out to be anything.

    >>> unlike([3, 4]), unlike([3, 3])
    (True, False)
    """
    return len({size for size in sizes if isinstance(size, int)}) > 1


def axis_in(axis: Any, rank: int) -> int | None:
    """The axis counted from the front, or None where there is no such axis.

    >>> axis_in(-1, 4), axis_in(4, 4)
    (3, None)
    """
    return axis % rank if isinstance(axis, int) and -rank <= axis < rank else None
