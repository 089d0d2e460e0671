"""Logits beside the outputs: where an output ends in softmax or sigmoid, what precedes it becomes an output too.

A loss computed from logits is exact where the one computed from probabilities is clipped and has no gradient.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import jax

from jaxgraphs.graph.graph import Graph, places_of
from jaxgraphs.layers import activations
from jaxgraphs.layers.base import Layer
from jaxgraphs.layers.core import Activation
from jaxgraphs.symbolic.node import Node, Operation, SymbolicTensor, is_symbolic

Kind = Literal["softmax", "sigmoid"]

_KINDS: dict[Any, Kind] = {
    activations.softmax: "softmax",
    jax.nn.softmax: "softmax",
    jax.nn.sigmoid: "sigmoid",
}
# Layers whose activation is the last thing they compute; a recurrent layer's is not.
_ENDS = ("Dense", "EinsumDense", "Conv", "SeparableConv", "DepthwiseConv", "Activation")


def final_activation(tensor: SymbolicTensor) -> Kind | None:
    """The activation that a tensor ends in, where it is a softmax over the last axis or a sigmoid.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> final_activation(Dense(3, activation="softmax")(Input((8,))))
    'softmax'
    """
    layer, node = tensor.node.layer, tensor.node
    if isinstance(layer, Graph):
        return final_activation(layer.flat_outputs[tensor.index]) if node.is_inferred else None
    if isinstance(layer, Operation):
        is_plain = len(jax.tree.leaves(node.args)) == 1
        return _KINDS.get(layer.function) if is_plain else None
    if isinstance(layer, Layer) and layer.kind.startswith(_ENDS) and "LSTM" not in layer.kind:
        return _KINDS.get(getattr(layer, "activation", None))
    if isinstance(layer, Layer) and layer.kind == "Softmax":
        return "softmax" if getattr(layer, "axis", None) in (-1, tensor.spec.rank - 1) else None
    return None


def with_logits(graph: Graph, wanted: Sequence[bool]) -> tuple[Graph, tuple[Kind | None, ...]]:
    """The graph with more outputs: the flat outputs, then the logits of those that are `wanted` and have some.

    Args:
        graph: any graph; it stays as it is.
        wanted: for each flat output, whether its logits are asked for.
    Returns: a graph whose outputs are one flat list, fed by the same variables; and for each output of `graph` the
        activation that follows its logits, or None where it has none.
    """
    kinds: tuple[Kind | None, ...] = tuple(
        final_activation(tensor) if want else None for tensor, want in zip(graph.flat_outputs, wanted, strict=True)
    )
    targets: dict[SymbolicTensor, Kind] = {
        tensor: kind for tensor, kind in zip(graph.flat_outputs, kinds, strict=True) if kind is not None
    }
    if not targets:
        return _regraph(graph, list(graph.flat_outputs), dict(graph.names)), kinds
    new, logits, names = _rewrite(graph, targets)
    outputs = [new[tensor] for tensor in graph.flat_outputs]
    outputs += [logits[tensor] for tensor, kind in zip(graph.flat_outputs, kinds, strict=True) if kind is not None]
    return _regraph(graph, outputs, names), kinds


def _regraph(graph: Graph, outputs: list[SymbolicTensor], names: dict[Any, str]) -> Graph:
    inputs = jax.tree.unflatten(graph.input_structure, graph.inputs)
    return Graph(inputs, outputs, graph.name, names=names, places=places_of(graph))


@dataclasses.dataclass(frozen=True)
class _Bare:
    """What stands for a layer that ends in an activation: what gives its logits, and for which of its outputs."""

    layer: Any  # None where the layer is nothing but the activation
    kind: Kind
    indices: tuple[int, ...]


def _rewrite(
    graph: Graph, targets: dict[SymbolicTensor, Kind]
) -> tuple[dict[Any, Any], dict[Any, Any], dict[Any, str]]:
    """New tensors for old ones, logits of the targets, and the names to keep."""
    bare = {tensor.node.layer: _bare(tensor.node.layer, kind, targets) for tensor, kind in targets.items()}
    names = dict(graph.names) | {new.layer: graph.names[old] for old, new in bare.items() if new.layer is not None}
    new: dict[SymbolicTensor, SymbolicTensor] = {tensor: tensor for tensor in graph.inputs}
    logits: dict[SymbolicTensor, SymbolicTensor] = {}
    for node in graph.nodes:
        if node.layer in bare:
            _replace_call(node, bare[node.layer], new, logits)
        else:
            moved = _moved(node, new)
            new.update((old, fresh) for old, fresh in zip(node.tensors, moved.tensors, strict=True) if old not in new)
    return new, logits, names


def _bare(layer: Any, kind: Kind, targets: dict[SymbolicTensor, Kind]) -> _Bare:
    if isinstance(layer, Graph):
        wanted = {tensor.index for tensor in targets if tensor.node.layer is layer}
        inner, _ = with_logits(layer, [index in wanted for index in range(len(layer.flat_outputs))])
        return _Bare(inner, kind, tuple(sorted(wanted)))
    if isinstance(layer, Operation) or layer.kind in ("Activation", "Softmax"):
        return _Bare(None, kind, (0,))
    return _Bare(layer.replace(activation=None), kind, (0,))


def _replace_call(node: Node, bare: _Bare, new: dict[Any, Any], logits: dict[Any, Any]) -> None:
    args, kwargs = _mapped(node, new)
    if isinstance(bare.layer, Graph):
        results = jax.tree.leaves(bare.layer(list(args), **kwargs))
        new.update(zip(node.tensors, results, strict=False))
        logits.update(
            (SymbolicTensor(node, index), results[len(node.specs) + place]) for place, index in enumerate(bare.indices)
        )
        return
    old = SymbolicTensor(node)
    logits[old] = next(leaf for leaf in jax.tree.leaves(args)) if bare.layer is None else bare.layer(*args, **kwargs)
    new[old] = Activation(bare.kind)(logits[old])


def _moved(node: Node, new: dict[Any, Any]) -> Node:
    """The call on the new tensors; the very same node where nothing before it changed."""
    if all(new.get(parent, parent) == parent for parent in node.parents):
        return node
    return Node(node.layer, _mapped(node, new), node.specs, node.structure, node.variables, node.name)


def _mapped(node: Node, new: dict[Any, Any]) -> Any:
    leaves, structure = jax.tree.flatten(node.args)
    return jax.tree.unflatten(structure, [new.get(leaf, leaf) if is_symbolic(leaf) else leaf for leaf in leaves])
