"""Penalties on weights and constraints of weights, found in the graph's own description."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.graph.graph import Graph, Step, evaluate
from jaxgraphs.graph.run import infer_step
from jaxgraphs.layers.base import Layer, Weight, map_weights, split_call
from jaxgraphs.symbolic.spec import TensorSpec

Path = tuple[str, ...]


def declared_weights(graph: Graph) -> dict[Path, Weight]:
    """Every learned weight of the catalogue's layers by its path in params: layer names, then the weight's."""
    found: dict[Path, Weight] = {}

    def call(step: Step, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sequence[TensorSpec]:
        layer = step.node.layer
        if isinstance(layer, Layer) and layer.trainable:
            plain_args, plain_kwargs, _ = split_call(args, kwargs)
            for path, weight in _flat(layer.weights(*plain_args, **plain_kwargs)):
                if weight.collection == "params":
                    found[(*step.path, *path)] = weight
        return infer_step(step, args, kwargs).specs

    evaluate(graph, call, graph.input_specs())
    return found


def penalty(weights: Mapping[Path, Weight], params: Mapping[str, Any]) -> jax.Array | None:
    """The sum of the regularisers of weights, a scalar; None where no weight has one."""
    terms = [weight.regularizer(at(params, path)) for path, weight in weights.items() if weight.regularizer is not None]
    return sum(terms[1:], start=terms[0].astype(jnp.float32)) if terms else None


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


def _flat(weights: Mapping[str, Any]) -> Iterator[tuple[Path, Weight]]:
    found: list[tuple[Path, Weight]] = []
    map_weights(lambda path, weight: found.append((path, weight)), weights)
    return iter(found)
