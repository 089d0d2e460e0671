"""Penalties on weights and constraints of weights, found in the graph's own description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.graph.declared import Path
from jaxgraphs.layers.base import Weight
from jaxgraphs.symbolic.arrays import promote


def penalty(weights: Mapping[Path, Weight], params: Mapping[str, Any]) -> jax.Array | None:
    """The sum of the regularisers of weights, a scalar; None where no weight has one."""
    terms = [weight.regularizer(at(params, path)) for path, weight in weights.items() if weight.regularizer is not None]
    # Half-precision terms are summed in float32.
    return sum(promote(jnp.zeros((), jnp.float32), *terms)) if terms else None  # pyright: ignore[reportReturnType]


def constrain(weights: Mapping[Path, Weight], params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The params brought back to their constraints."""
    for path, weight in weights.items():
        if weight.constraint is not None:
            params = replace_at(params, path, weight.constraint)
    return params


def at(tree: Any, path: Path) -> Any:
    """The leaf at a path of nested mappings."""
    for name in path:
        tree = tree[name]
    return tree


def replace_at(tree: Mapping[str, Any], path: Path, function: Callable[[Any], Any]) -> dict[str, Any]:
    """A copy of nested mappings with the leaf at `path` mapped."""
    name, *rest = path
    inner = replace_at(tree[name], tuple(rest), function) if rest else function(tree[name])
    return {**tree, name: inner}
