"""Recurrent layers on a GPU: products before the loop, several steps a turn, and one loop for layers side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.base import Array, Layer, Weights, describes
from jaxgraphs.layers.recurrent import GRU, LSTM, Recurrent, SimpleRNN
from jaxgraphs.layers.wrappers import Bidirectional
from jaxgraphs.passes.base import PassResult, Setting, listed
from jaxgraphs.passes.grouping import Group, Together, independent, join, masks_of
from jaxgraphs.passes.kernels.loops import Reading, read
from jaxgraphs.passes.lowering import lower
from jaxgraphs.symbolic.arrays import promote_floats
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import PyTree, Ran


@describes
class OneLoop(Together):
    """Calls of recurrent layers that do not read each other, in one loop where their sizes agree."""

    def call(self, weights: Weights, *calls: Any, context: Context) -> PyTree:
        readings = [
            _reading(layer, arrays, context.replace(masks=masks), *args, **kwargs)
            for layer, (arrays, args, kwargs), masks in zip(self.layers, calls, masks_of(context, calls), strict=True)
        ]
        return [leaf for outputs in read(readings) for leaf in jax.tree.leaves(outputs)]


def _reading(layer: Any, weights: Weights, context: Context, x: Array, initial_state: Any = None) -> Reading:
    return Reading(layer, weights, x, initial_state, context)


@describes
class Looped(Recurrent):
    """A recurrent layer whose products with the input come before the loop."""

    def call(self, weights: Weights, x: Array, initial_state: Any = None, *, context: Context) -> PyTree:
        return read([Reading(self, weights, x, initial_state, context)])[0]


@describes
class LoopedLSTM(Looped, LSTM):
    """An LSTM with its products before the loop."""


@describes
class LoopedGRU(Looped, GRU):
    """A GRU with its products before the loop."""


@describes
class LoopedSimpleRNN(Looped, SimpleRNN):
    """A SimpleRNN with its products before the loop."""


@describes
class LoopedBidirectional(Bidirectional):
    """A Bidirectional whose two layers are read in one loop."""

    def run_pair(self, calls: Iterable[tuple[Any, ...]]) -> list[Ran]:
        readings = []
        for layer, variables, args, kwargs, context in calls:
            arrays = promote_floats((variables.get("params", {}), args, kwargs), layer.compute_dtype)
            readings.append(_reading(layer, arrays[0], context, *arrays[1], **arrays[2]))
        return [Ran(outputs, None, {}, ()) for outputs in read(readings)]


_KINDS: Mapping[type, type[Layer]] = {
    LSTM: LoopedLSTM,
    GRU: LoopedGRU,
    SimpleRNN: LoopedSimpleRNN,
    Bidirectional: LoopedBidirectional,
}


class OneLoopPass:
    """On a CPU the products are faster within the loop, and on a TPU nothing was measured."""

    name = "one_loop"
    idea = "on a GPU recurrent layers multiply what they read before the loop, and those side by side have one loop"

    def objection(self, setting: Setting) -> str | None:
        """Elsewhere than on a GPU."""
        backend = jax.default_backend()
        return None if backend == "gpu" else f"not on {backend}"

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph with fewer and shorter loops."""
        notes: list[str] = []
        if not setting.is_spread:
            graph, names = join(graph, _groups, _joined)
            notes += [f"{each} are read in one loop" for each in names]
        graph, places = lower(graph, lambda layer: _KINDS[type(layer)] if _is_looped(layer) else None)
        notes += [f"{listed(places)}: products with the input come before the loop"] if places else []
        return PassResult(graph, tuple(notes))


def _groups(graph: Graph) -> list[Group]:
    return independent(graph, may_join=lambda node: type(node.layer) in _KINDS and _is_looped(node.layer))


def _joined(group: Group) -> OneLoop:
    layers: tuple[Any, ...] = tuple(node.layer for node in group)
    return OneLoop(layers, dtype=layers[0].dtype)


def _is_looped(layer: Any) -> bool:
    """Whether a layer's loop can be written so; one that has others in it must have two such, and no penalty."""
    if type(layer) is Bidirectional:
        pair = (layer.layer, layer.backward_layer or layer.layer)
        return all(type(inner) in _KINDS and _is_looped(inner) and not inner.activity_regularizer for inner in pair)
    return type(layer) in _KINDS and not (layer.unroll or layer.recompute)
