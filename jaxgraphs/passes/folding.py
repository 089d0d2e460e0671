"""Batch normalisation folded, for inference, into the layer before or after it: a scale and a shift of its arrays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
from jax import lax

from jaxgraphs.graph.graph import Graph, shared_places
from jaxgraphs.graph.paths import graphs_within
from jaxgraphs.graph.places import Path, at
from jaxgraphs.layers.base import Array
from jaxgraphs.layers.conv import Conv1D, Conv2D, Conv3D
from jaxgraphs.layers.core import Dense
from jaxgraphs.layers.norm import BatchNormalization
from jaxgraphs.layers.separable import (
    BaseDepthwiseConv,
    BaseSeparableConv,
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from jaxgraphs.passes.base import Arrange, PassResult, Setting, Variables
from jaxgraphs.passes.calls import Call, Rule, layers_within, rewrite_calls, told_to_train
from jaxgraphs.symbolic.node import Node, SymbolicTensor, innermost

Arrays = Mapping[str, Array]
_FOLDABLE = (
    *(Dense, Conv1D, Conv2D, Conv3D),
    *(DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D),
)


class Fold(NamedTuple):
    """One normalisation that goes into one layer.

    Args:
        path: of the graph that both are in.
        norm, layer: the two; `norm_path` and `layer_path` are their paths.
        side: where the normalisation stands.
    """

    path: Path
    norm: BatchNormalization
    layer: Any
    norm_path: Path
    layer_path: Path
    side: Literal["before", "after"]


class FoldedNormalization:
    """y = scale (x - mean) / sqrt(variance + epsilon) + bias is x s + t with s and t that do not depend on x.

    After a layer without an activation it scales the kernel's columns. Before a layer it scales the kernel's rows, and
    t goes through the kernel into the bias; that is exact where no zeros are padded.
    """

    name = "folding"
    idea = "batch normalisation is part of the layer before or after it"

    def objection(self, setting: Setting) -> str | None:
        """Not in training; and not where the new graph has to be fed by the old arrays."""
        if setting.training:
            return "in training the statistics are the batch's"
        return None if setting.may_arrange else "the arrays are to stay as they are"

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph without the normalisations that can be folded, and what makes its arrays."""
        if not any(type(layer) is BatchNormalization for layer in layers_within(graph)):
            return PassResult(graph)
        told, shared = told_to_train(graph), shared_places(graph)
        folds = [fold for path, inner in graphs_within(graph) if path not in told for fold in _folds(inner, path)]
        folds = [fold for fold in folds if not shared & {graph.place(fold.norm_path), graph.place(fold.layer_path)}]
        if not folds:
            return PassResult(graph)
        notes = tuple(f"{'/'.join(f.norm_path)!r} is in {f.layer_path[-1]!r} {_WORDS[f.side]} it" for f in folds)
        return PassResult(rewrite_calls(graph, lambda _, path: _rule(path, folds)), notes, _arrange(graph, folds))


_WORDS = {"before": "after", "after": "before"}


def _folds(graph: Graph, path: Path) -> list[Fold]:
    """The normalisations of one graph that go into a neighbour."""
    around = _Around(graph)
    folds = []
    for node in graph.nodes:
        if type(node.layer) is BatchNormalization and around.is_alone(node):
            before, after = around.before(node), around.after(node)
            neighbour, side = (before, "after") if before is not None else (after, "before")
            if neighbour is not None:
                norm_path, layer_path = ((*path, graph.layer_name(each)) for each in (node, neighbour))
                folds.append(Fold(path, node.layer, neighbour.layer, norm_path, layer_path, side))
    return folds


class _Around:
    """What stands around the calls of one graph."""

    def __init__(self, graph: Graph) -> None:
        self.computed = {node for node in graph.nodes if node.layer is not None}
        self.calls = Counter(innermost(node.layer) for node in self.computed)
        self.given = {tensor.node for tensor in graph.inputs}
        self.readers: dict[SymbolicTensor, list[Node | None]] = {tensor: [None] for tensor in graph.flat_outputs}
        for node in graph.nodes:
            for tensor in node.parents:
                self.readers.setdefault(tensor, []).append(node)

    def is_alone(self, node: Node) -> bool:
        """Whether a call is its layer's only one, reads one tensor, and gives nothing but its output."""
        args, kwargs = node.args
        is_bare = len(args) == len(node.parents) == 1 and not kwargs and node.layer.activity_regularizer is None
        return is_bare and self.calls[node.layer] == 1 and node not in self.given

    def before(self, norm: Node) -> Node | None:
        """The call that the normalisation can be folded into, of those before it."""
        node = norm.parents[0].node
        is_linear = self._takes(node, norm) and node.layer.activation is None
        return node if is_linear and self.readers[norm.parents[0]] == [norm] else None

    def after(self, norm: Node) -> Node | None:
        """The call that the normalisation can be folded into, of those that read it."""
        read = self.readers.get(norm.tensors[0], [])
        node = read[0] if len(read) == 1 else None
        return node if node is not None and self._takes(node, norm) and _is_exact(node.layer) else None

    def _takes(self, node: Node, norm: Node) -> bool:
        """Whether a layer's kernel has the axis along which a normalisation works."""
        if node not in self.computed or type(node.layer) not in _FOLDABLE or not self.is_alone(node):
            return False
        axis = getattr(node.layer, "channel_axis", norm.specs[0].rank - 1)
        is_fitting = isinstance(norm.layer.axis, int) and norm.layer.axis % norm.specs[0].rank == axis
        return is_fitting and str(node.layer.dtype) == str(norm.layer.dtype)


def _is_exact(layer: Any) -> bool:
    """Whether a shift of a layer's input is a shift of its output: not where zeros are padded, or groups are apart."""
    if isinstance(layer, Dense):
        return True
    return (layer.padding == "valid" or max(layer.kernel_size) == 1) and getattr(layer, "groups", 1) == 1


def _rule(path: Path, folds: Sequence[Fold]) -> Rule:
    """The normalisations of the graph at a path are left out, and the layers beside them have a bias."""
    here = [fold for fold in folds if fold.path == path]
    norms = {fold.norm for fold in here}
    biased = {fold.layer: fold.layer.replace(use_bias=True) for fold in here}

    def fold(call: Call) -> Sequence[SymbolicTensor] | None:
        if call.layer in norms:
            return (call.args[0][0],)
        return call.of(biased[call.layer]) if call.layer in biased else None

    return fold


def _arrange(graph: Graph, folds: Sequence[Fold]) -> Arrange:
    """The arrays of the old graph -> those of the new one."""

    def arrange(variables: Variables) -> Variables:
        for fold in folds:
            place, norm_place = ("params", *graph.place(fold.layer_path)), graph.place(fold.norm_path)
            scale, shift = _affine(variables, fold, norm_place)
            variables = _with(variables, place, _folded(fold, at(variables, place), scale, shift))
            for collection in ("params", "batch_stats"):
                variables = _with(variables, (collection, *norm_place), None)
        return variables

    return arrange


def _affine(variables: Variables, fold: Fold, place: Path) -> tuple[Array, Array]:
    """What the normalisation, whose arrays are at `place`, multiplies by, and what it adds then."""
    trees = [at(variables, (collection, *place)) or {} for collection in ("params", "batch_stats")]
    arrays = {name: value for tree in trees for name, value in tree.items()}
    scale = lax.rsqrt(arrays["var"] + fold.norm.epsilon)
    scale = scale * arrays["scale"] if "scale" in arrays else scale
    shift = -arrays["mean"] * scale
    return scale, shift + arrays["bias"] if "bias" in arrays else shift


def _folded(fold: Fold, arrays: Arrays, scale: Array, shift: Array) -> Arrays:
    kinds = (("separable", BaseSeparableConv), ("each", BaseDepthwiseConv), ("all", object))
    kind = next(name for name, base in kinds if isinstance(fold.layer, base))
    return _WAYS[kind, fold.side](arrays, scale, shift)


def _after(arrays: Arrays, scale: Array, shift: Array, kernel: str = "kernel") -> Arrays:
    """(x kernel + bias) scale + shift, the scale along the last axis of the kernel."""
    bias = arrays["bias"] * scale + shift if "bias" in arrays else shift
    return {**arrays, kernel: arrays[kernel] * _last(scale, arrays[kernel]), "bias": bias}


def _after_each(arrays: Arrays, scale: Array, shift: Array) -> Arrays:
    """The same where each channel has kernels of its own: the last two axes are the channels of the output."""
    shape = arrays["kernel"].shape
    flat = {**arrays, "kernel": arrays["kernel"].reshape(*shape[:-2], math.prod(shape[-2:]))}
    return {**(folded := _after(flat, scale, shift)), "kernel": folded["kernel"].reshape(shape)}


def _before(arrays: Arrays, scale: Array, shift: Array) -> Arrays:
    """(x scale + shift) kernel + bias, the scale along the last axis of the kernel but one."""
    kernel = arrays["kernel"]
    more = jnp.matmul(shift, _window_sum(kernel))
    return {**arrays, "kernel": kernel * _last_but_one(scale, kernel), "bias": _plus(arrays, more)}


def _before_each(arrays: Arrays, scale: Array, shift: Array) -> Arrays:
    """The same where each channel has kernels of its own."""
    kernel = arrays["kernel"]
    more = (_window_sum(kernel) * shift.reshape(-1, 1)).reshape(-1)
    return {**arrays, "kernel": kernel * _last_but_one(scale, kernel), "bias": _plus(arrays, more)}


def _before_separable(arrays: Arrays, scale: Array, shift: Array) -> Arrays:
    """The same through both kernels."""
    inner = _before_each({"kernel": arrays["depthwise_kernel"]}, scale, shift)
    more = jnp.matmul(inner["bias"], _window_sum(arrays["pointwise_kernel"]))
    return {**arrays, "depthwise_kernel": inner["kernel"], "bias": _plus(arrays, more)}


def _after_separable(arrays: Arrays, scale: Array, shift: Array) -> Arrays:
    return _after(arrays, scale, shift, "pointwise_kernel")


_WAYS: Mapping[tuple[str, str], Callable[[Arrays, Array, Array], Arrays]] = {
    ("all", "after"): _after,
    ("all", "before"): _before,
    ("each", "after"): _after_each,
    ("each", "before"): _before_each,
    ("separable", "after"): _after_separable,
    ("separable", "before"): _before_separable,
}


def _plus(arrays: Arrays, more: Array) -> Array:
    return arrays["bias"] + more if "bias" in arrays else more


def _window_sum(kernel: Array) -> Array:
    """The kernel summed over its window: what it makes of an input that is the same everywhere."""
    return jnp.sum(kernel, axis=tuple(range(kernel.ndim - 2)))


def _last(vector: Array, kernel: Array) -> Array:
    return vector.reshape((1,) * (kernel.ndim - 1) + (-1,))


def _last_but_one(vector: Array, kernel: Array) -> Array:
    return vector.reshape((1,) * (kernel.ndim - 2) + (-1, 1))


def _with(tree: Any, path: Path, value: Any) -> Any:
    """A copy of nested mappings with another value at a path; None takes away what is there."""
    name, *rest = path
    if not rest:
        return {**{key: kept for key, kept in tree.items() if key != name}, **({} if value is None else {name: value})}
    return {**tree, name: _with(tree[name], tuple(rest), value)} if name in tree else tree
