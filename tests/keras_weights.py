"""Keras' weights under our names: by the layers' names, and by the order of the weights within a layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgraphs.graph.graph import Graph

ORDER = (
    *("depthwise_kernel", "pointwise_kernel", "embedding", "kernel", "recurrent_kernel"),
    *("scale", "bias", "mean", "var"),
)
"""Our names in the order of Keras' ``layer.weights``; a layer has some of them."""


def variables_of(model: Any, graph: Graph) -> dict[str, Any]:
    """The weights of a Keras model as variables of `graph`, whose layers have the same names.

    Raises: AssertionError where a layer, the number of its weights or the shape of one differs.
    """
    arrays = {id(weight): np.asarray(weight) for weight in model.weights}
    return _arranged(model, graph, arrays, ("params", "batch_stats"))


def gradients_of(model: Any, graph: Graph, gradients: Any) -> Any:
    """Keras' gradients, one for each trainable weight in its order, as params of `graph`."""
    arrays = {id(weight): value for weight, value in zip(model.trainable_variables, gradients, strict=True)}
    return _arranged(model, graph, arrays, ("params",))["params"]


def _arranged(model: Any, graph: Graph, arrays: Mapping[int, Any], collections: tuple[str, ...]) -> dict[str, Any]:
    specs = {name: tree for name, tree in graph.variable_specs().items() if name in collections}
    found: dict[str, Any] = {name: {} for name in specs}
    left = dict(arrays)
    for path, weights in _layers(model):
        layer = {name: tree for name, whole in specs.items() if (tree := _at(whole, path)) is not None}
        kept = [left.pop(id(weight)) for weight in weights if id(weight) in left]
        _fill(found, layer, path, kept)
    assert not left, f"{len(left)} weights of Keras belong to no layer"
    return found


def _layers(model: Any) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    """(path, weights) of every layer that has some, those of nested models under the models' names."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from (((layer.name, *path), weights) for path, weights in _layers(layer))
        elif weights := [weight for weight in layer.weights if "seed" not in weight.path]:
            yield (layer.name,), weights


def _fill(found: dict[str, Any], layer: Mapping[str, Any], path: tuple[str, ...], arrays: list[Any]) -> None:
    """Puts a layer's arrays, in Keras' order, where the specs by collection have their names."""
    leaves = [(name, place, spec) for name, tree in layer.items() for place, spec in _leaves(tree)]
    inner = list(dict.fromkeys(place[:-1] for _, place, _ in leaves))
    leaves.sort(key=lambda leaf: (inner.index(leaf[1][:-1]), ORDER.index(leaf[1][-1])))
    assert len(leaves) == len(arrays), f"{'/'.join(path)}: {len(arrays)} weights in Keras, {len(leaves)} here"
    for (name, place, spec), array in zip(leaves, arrays, strict=True):
        assert spec.dims == array.shape, f"{'/'.join((*path, *place))}: {array.shape} in Keras, {spec.dims} here"
        tree = found[name]
        for key in (*path, *place[:-1]):
            tree = tree.setdefault(key, {})
        tree[place[-1]] = jnp.asarray(array)


def _leaves(tree: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from (((key, *rest), spec) for rest, spec in _leaves(value))
        else:
            yield (key,), value


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if name not in tree:
            return None
        tree = tree[name]
    return tree
