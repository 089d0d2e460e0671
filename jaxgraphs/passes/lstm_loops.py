"""LSTMs on a CPU whose loop has what depends on the step before, and nothing else; where memory costs nothing anew.

Products with the input, and the gradients of both kernels, are one product each over all steps. That takes arrays of
all steps at once; where each training step faults their pages in anew, that costs more than it saves. And products that
large want all cores: where branches have one each, small ones within the loop are faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers import activations
from jaxgraphs.layers.base import Array, Layer, Weights, describes
from jaxgraphs.layers.recurrent import LSTM
from jaxgraphs.layers.steps import project
from jaxgraphs.layers.wrappers import Bidirectional
from jaxgraphs.passes.base import PassResult, Setting, listed
from jaxgraphs.passes.gate_tables import Tabled, TabledBidirectional, TabledLSTM
from jaxgraphs.passes.kernels.lstm import lstm_loop
from jaxgraphs.passes.lowering import lower, lowered
from jaxgraphs.startup import keeps_freed_memory
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import PyTree


@describes
class LeanLSTM(LSTM):
    """An LSTM with the usual activations and a derivative of its own."""

    def call(self, weights: Weights, x: Array, initial_state: Any = None, *, context: Context) -> PyTree:
        is_drawn = context.train and (self.dropout or self.recurrent_dropout)
        if is_drawn or not all(isinstance(size, int) and size for size in x.shape):
            return super().call(weights, x, initial_state, context=context)
        mask = self.steps_that_count(context, initial_state)
        if self.go_backwards:
            x, mask = jnp.flip(x, 1), None if mask is None else jnp.flip(mask, 1)
        gates = project(jnp.swapaxes(x, 0, 1), weights["kernel"])
        gates = gates + weights["bias"].reshape(1, 1, -1) if self.use_bias else gates
        live = None if mask is None else jnp.swapaxes(mask, 0, 1)[..., None]
        states = self.start(x, initial_state)
        read: Any = lstm_loop(self.return_sequences, gates, weights["recurrent_kernel"], states, live)
        outputs, (h, c) = read
        y = h if outputs is None else outputs
        if live is not None and self.zero_output_for_mask:
            y = jnp.where(live if self.return_sequences else live[-1], y, 0)
        y = jnp.swapaxes(y, 0, 1) if self.return_sequences else y
        return [y, h, c] if self.return_state else y


@describes
class LeanTabledLSTM(Tabled, LeanLSTM):
    """The same, which may look up its gates."""


@describes
class LeanBidirectional(Bidirectional):
    """A Bidirectional of two such layers."""

    @property
    def forward(self) -> Any:
        return _lean(super().forward)

    @property
    def backward(self) -> Any:
        return _lean(super().backward)


@describes
class LeanTabledBidirectional(LeanBidirectional, TabledBidirectional):
    """The same, whose layers may look up their gates."""


_KINDS: Mapping[type, type[Layer]] = {LSTM: LeanLSTM, TabledLSTM: LeanTabledLSTM}
_PAIRS: Mapping[type, type[Layer]] = {
    Bidirectional: LeanBidirectional,
    TabledBidirectional: LeanTabledBidirectional,
}


class LSTMLoops:
    """The derivative is that of the usual activations: other ones stay."""

    name = "lstm_loops"
    idea = "on a CPU all that does not depend on the step before is computed for all steps of an LSTM at once"

    def objection(self, setting: Setting) -> str | None:
        """Where nothing is differentiated, not on a CPU, where cores are taken, and where memory is faulted in anew."""
        if not setting.training:
            return "for training steps alone"
        if jax.default_backend() != "cpu":
            return f"not on {jax.default_backend()}"
        if setting.is_spread:
            return "a mesh lays the arrays out"
        if setting.devices:
            return "branches have a core each"
        return None if keeps_freed_memory() else "the allocator hands memory back; jg.setup(allocator=True) keeps it"

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph whose LSTMs have such loops."""
        graph, places = lower(graph, _choose)
        return PassResult(graph, (f"{listed(places)}: products over all steps at once",) if places else ())


def _choose(layer: Any) -> type[Layer] | None:
    if type(layer) in _PAIRS:
        pair = (layer.layer, layer.backward_layer or layer.layer)
        return _PAIRS[type(layer)] if all(_choose(inner) is LeanLSTM for inner in pair) else None
    return _KINDS[type(layer)] if type(layer) in _KINDS and _is_usual(layer) else None


def _is_usual(layer: LSTM) -> bool:
    usual = layer.functions == (activations.get("tanh"), activations.get("sigmoid"))
    return usual and not (layer.unroll or layer.recompute)


def _lean(layer: Any) -> Any:
    return lowered(layer, _KINDS[type(layer)])
