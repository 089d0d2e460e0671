"""The arrangement of a step's batch, found once for each form in which batches are given.

On an accelerator a small step takes a fraction of a millisecond, as long as a batch takes to be looked at: names,
order, shapes and dtypes. Arrays that lie where those of a batch of the same form lay need it no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.core import Tracer

PyTree = Any


def remembering(arrange: Callable[[PyTree], PyTree]) -> Callable[[PyTree], PyTree]:
    """The same function, which finds the arrangement of device arrays of one form once.

    Args:
        arrange: of which the result depends on the tree's form, and holds the given arrays themselves where it may.
            Where it makes any of them anew, as when it moves or converts them, it is asked each time.

    >>> import jax.numpy as jnp
    >>> asked = []
    >>> swap = remembering(lambda pair: asked.append(pair) or pair[::-1])
    >>> swap((jnp.ones(1), jnp.ones(2)))[0].shape, swap((jnp.ones(1), jnp.ones(2)))[0].shape, len(asked)
    ((2,), (2,), 1)
    """
    known: dict[Any, tuple[Any, list[int]]] = {}

    def remembered(tree: PyTree) -> PyTree:
        leaves, structure = jax.tree.flatten(tree)
        if not all(isinstance(leaf, jax.Array) and not isinstance(leaf, Tracer) for leaf in leaves):
            return arrange(tree)
        form = structure, *((leaf.shape, leaf.dtype, leaf.sharding) for leaf in leaves)
        if form in known:
            arrangement, places = known[form]
            return jax.tree.unflatten(arrangement, [leaves[place] for place in places])
        arranged = arrange(tree)
        if (found := _places(arranged, leaves)) is not None:
            known[form] = found
        return arranged

    return remembered


def _places(arranged: PyTree, leaves: list[Any]) -> tuple[Any, list[int]] | None:
    """The arrangement, and which of the given arrays is at each place; None where that cannot be told."""
    made, structure = jax.tree.flatten(arranged)
    places = {id(leaf): place for place, leaf in enumerate(leaves)}
    # An array that was given twice does not say which of the two is meant.
    is_told = len(places) == len(leaves) and all(id(leaf) in places for leaf in made)
    return (structure, [places[id(leaf)] for leaf in made]) if is_told else None
