"""Gate tables: an embedding's table times a recurrent layer's kernel, computed once for all tokens and then looked up.

A recurrent layer multiplies each token's row by its kernel. Where a batch has many more tokens than the vocabulary has
words, it is less work to multiply the whole table and to look up the products; unless these are so much wider than the
rows that moving them costs more than the products.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.places import Path
from jaxgraphs.layers.base import Array, Layer, Weights, describes
from jaxgraphs.layers.core import Embedding, look_up
from jaxgraphs.layers.recurrent import GRU, LSTM, Recurrent, SimpleRNN
from jaxgraphs.layers.wrappers import Bidirectional
from jaxgraphs.passes.base import PassResult, Setting
from jaxgraphs.passes.calls import Call, Rule, layers_within, rewrite_calls
from jaxgraphs.passes.lowering import lowered
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import Node, PyTree, SymbolicTensor, is_symbolic

# Measured (docs/passes.md): to look a number up and to add to its gradient takes as long as so many multiplications.
_MOVED = 120
_MARGIN = 1.5


@describes
class OpenEmbedding(Embedding):
    """An Embedding that gives the rows it was asked for, and its whole table."""

    def call(self, weights: Weights, ids: Array, *, context: Context) -> PyTree:
        return [super().call(weights, ids, context=context), weights["embedding"]]

    def output_mask(self, context: Context, *args: Any, **_: Any) -> PyTree:
        return [super().output_mask(context, *args), None]


@describes
class Tabled(Recurrent):
    """A recurrent layer that may be told of which embedding its input is: the ids, and the table."""

    def call(
        self,
        weights: Weights,
        x: Array,
        initial_state: Any = None,
        *,
        ids: Any = None,
        table: Any = None,
        context: Context,
    ) -> PyTree:
        is_dropping = context.train and getattr(self, "dropout", 0.0)
        if ids is None or is_dropping or not _pays(ids, table, weights["kernel"]):
            return super().call(weights, x, initial_state, context=context)
        gates = look_up(jnp.matmul(table, weights["kernel"]), ids)
        return super().call({**weights, "kernel": None}, gates, initial_state, context=context)


@describes
class TabledLSTM(Tabled, LSTM):
    """An LSTM that looks up its gates."""


@describes
class TabledGRU(Tabled, GRU):
    """A GRU that looks up its gates."""


@describes
class TabledSimpleRNN(Tabled, SimpleRNN):
    """A SimpleRNN that looks up its products."""


@describes
class TabledBidirectional(Bidirectional):
    """A Bidirectional whose two layers look up their gates."""

    @property
    def forward(self) -> Any:
        return _tabled(super().forward)

    @property
    def backward(self) -> Any:
        return _tabled(super().backward)

    def handed_on(self, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        return {name: kwargs[name] for name in ("ids", "table") if name in kwargs}


_KINDS: Mapping[type, type[Layer]] = {
    LSTM: TabledLSTM,
    GRU: TabledGRU,
    SimpleRNN: TabledSimpleRNN,
    Bidirectional: TabledBidirectional,
}


class GateTables:
    """Whether a batch has tokens enough is seen when a step is compiled, and decided there."""

    name = "gate_tables"
    idea = "an embedding times a recurrent kernel is computed for each word of the vocabulary, and looked up"

    def objection(self, setting: Setting) -> str | None:
        """Not where arrays lie on several devices, as the table might be cut; nor where products cost nothing."""
        if setting.is_spread:
            return "a mesh lays the arrays out"
        return "on a GPU products take next to no time" if jax.default_backend() == "gpu" else None

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph whose recurrent layers look up what they read from embeddings."""
        notes: list[str] = []
        if not any(type(layer) is Embedding for layer in layers_within(graph)):
            return PassResult(graph)

        def rule(inner: Graph, path: Path) -> Rule:
            return _Level(inner, notes)

        return PassResult(rewrite_calls(graph, rule), tuple(notes))


class _Level:
    """The calls of one graph. An embedding is opened when a recurrent layer reads it.

    Args:
        opened, tabled: what stands for embeddings and recurrent layers.
        tables: ids and table of each tensor of rows, in the new graph.
    """

    def __init__(self, graph: Graph, notes: list[str]) -> None:
        computed = set(graph.nodes) - {tensor.node for tensor in graph.inputs}
        read = {node: _embedding_read(node, computed) for node in graph.nodes if _is_tabled(node.layer)}
        pairs = {node.layer: embedding for node, embedding in read.items() if embedding is not None}
        self.opened = {embedding: lowered(embedding, OpenEmbedding) for embedding in pairs.values()}
        self.tabled = {layer: _tabled(layer) for layer in pairs}
        self.tables: dict[SymbolicTensor, dict[str, SymbolicTensor]] = {}
        self.notes = notes

    def __call__(self, call: Call) -> Sequence[SymbolicTensor] | None:
        if call.layer in self.opened:
            return self._open(call)
        return self._look_up(call) if call.layer in self.tabled else None

    def _open(self, call: Call) -> Sequence[SymbolicTensor]:
        rows, table = call.of(self.opened[call.layer])
        self.tables[rows] = {"ids": call.args[0][0], "table": table}
        return (rows,)

    def _look_up(self, call: Call) -> Sequence[SymbolicTensor]:
        args, kwargs = call.args
        more = self.tables.get(args[0], {}) if len(args) == 1 else {}
        if more:
            words, _ = more["table"].spec.dims
            self.notes.append(f"{call.place!r}: where a batch has tokens enough for a table of {words} words")
        return call.of(self.tabled[call.layer], (args, {**kwargs, **more}))


def pays(tokens: int, words: int, width: int, gates: int) -> bool:
    """Whether looking up costs less than multiplying: for what is saved on each token, against the table.

    Args:
        tokens: in a batch.
        words: rows of the table, each of `width` numbers.
        gates: columns of the kernel.

    >>> pays(12_800, 2_500, 256, 128), pays(12_800, 2_500, 64, 128)
    (True, False)
    """
    product = width * gates
    return tokens * (product + _MOVED * (width - gates)) > _MARGIN * words * product


def _pays(ids: Array, table: Array, kernel: Array) -> bool:
    return pays(ids.size, table.shape[0], table.shape[1], kernel.shape[-1])


def _is_tabled(layer: Any) -> bool:
    """Whether a layer's products can be looked up; one that has another layer in it must have one such."""
    if type(layer) is Bidirectional:
        return all(_is_tabled(inner) for inner in (layer.layer, layer.backward_layer or layer.layer))
    return type(layer) in _KINDS


def _embedding_read(node: Node, computed: Collection[Node]) -> Any:
    """The embedding whose rows a call reads, where the graph computes them."""
    source: Any = next(iter(node.args[0]), None)
    if not is_symbolic(source) or source.node not in computed:
        return None
    layer = source.node.layer
    return layer if type(layer) is Embedding and layer.activity_regularizer is None else None


def _tabled(layer: Any) -> Any:
    return lowered(layer, _KINDS[type(layer)])
