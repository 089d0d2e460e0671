"""A batch as steps read it, and params apart by whether they are learned."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from jaxgraphs.training.objective import Targets

PyTree = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Batch:
    """Inputs in the graph's order, and targets."""

    inputs: tuple[Any, ...]
    targets: Targets


def partition(params: PyTree, mask: PyTree) -> tuple[PyTree, PyTree]:
    """The learned and the fixed arrays, each with None in the other's places: the optimizer sees no frozen one."""
    learned = jax.tree.map(lambda leaf, is_learned: leaf if is_learned else None, params, mask)
    fixed = jax.tree.map(lambda leaf, is_learned: None if is_learned else leaf, params, mask)
    return learned, fixed


def combine(learned: PyTree, fixed: PyTree) -> PyTree:
    """The inverse of `partition`."""
    return jax.tree.map(lambda a, b: b if a is None else a, learned, fixed, is_leaf=lambda leaf: leaf is None)
