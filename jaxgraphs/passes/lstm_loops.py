"""LSTMs on a CPU with a derivative of their own, where memory costs nothing anew.

Where there is one device, a loop has what depends on the step before, and nothing else: products with the input, and
the gradients of both kernels, are one product each over all steps. Products that large want all cores; where branches
have one each, small ones within the loop are faster. Either way arrays of all steps are made that the usual loop, told
to compute its gates again, does without: where each training step faults their pages in anew, that costs more than it
saves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers import activations
from jaxgraphs.layers.base import Array, Weights, describes
from jaxgraphs.layers.recurrent import LSTM
from jaxgraphs.layers.wrappers import Bidirectional
from jaxgraphs.passes.base import PassResult, Setting, listed
from jaxgraphs.passes.gate_tables import Tabled, TabledBidirectional, TabledLSTM
from jaxgraphs.passes.kernels.lstm import lstm_loop, lstm_steps
from jaxgraphs.passes.kernels.product import flat_product
from jaxgraphs.passes.lowering import Kind, lower, lowered
from jaxgraphs.startup import keeps_freed_memory
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import PyTree


@describes
class LeanLSTM(LSTM):
    """An LSTM with the usual activations and a derivative of its own.

    Args:
        within: whether the products with the input are taken in the loop.
    """

    _: dataclasses.KW_ONLY
    within: bool = False

    def call(self, weights: Weights, x: Array, initial_state: Any = None, *, context: Context) -> PyTree:
        is_drawn = context.train and (self.dropout or self.recurrent_dropout)
        if is_drawn or not all(isinstance(size, int) and size for size in x.shape):
            return super().call(weights, x, initial_state, context=context)
        mask = self.steps_that_count(context, initial_state)
        if self.go_backwards:
            x, mask = jnp.flip(x, 1), None if mask is None else jnp.flip(mask, 1)
        live = None if mask is None else jnp.swapaxes(mask, 0, 1)[..., None]
        states = self.start(x, initial_state)
        read: Any = self._read(weights, x, states, live)
        outputs, (h, c) = read
        y = h if outputs is None else outputs
        if live is not None and self.zero_output_for_mask:
            y = jnp.where(live if self.return_sequences else live[-1], y, 0)
        y = jnp.swapaxes(y, 0, 1) if self.return_sequences else y
        return [y, h, c] if self.return_state else y

    def _read(self, weights: Weights, x: Array, states: Any, live: Array | None) -> Any:
        bias = weights["bias"] if self.use_bias else None
        if self.within:
            arrays = {"kernel": weights["kernel"], "recurrent_kernel": weights["recurrent_kernel"], "bias": bias}
            return lstm_steps(self.return_sequences, x, arrays, states, live)
        x = jnp.swapaxes(x, 0, 1)
        gates = x if weights["kernel"] is None else flat_product(x, weights["kernel"])
        gates = gates if bias is None else gates + bias.reshape(1, 1, -1)
        return lstm_loop(self.return_sequences, gates, weights["recurrent_kernel"], states, live)


@describes
class LeanTabledLSTM(Tabled, LeanLSTM):
    """The same, which may look up its gates."""


@describes
class LeanBidirectional(Bidirectional):
    """A Bidirectional of two such layers."""

    _: dataclasses.KW_ONLY
    within: bool = False

    @property
    def forward(self) -> Any:
        return _lean(super().forward, self.within)

    @property
    def backward(self) -> Any:
        return _lean(super().backward, self.within)


@describes
class LeanTabledBidirectional(LeanBidirectional, TabledBidirectional):
    """The same, whose layers may look up their gates."""


_KINDS: Mapping[type, Kind] = {LSTM: LeanLSTM, TabledLSTM: LeanTabledLSTM}
_PAIRS: Mapping[type, Kind] = {
    Bidirectional: LeanBidirectional,
    TabledBidirectional: LeanTabledBidirectional,
}


class LSTMLoops:
    """The derivative is that of the usual activations: other ones stay."""

    name = "lstm_loops"
    idea = "on a CPU an LSTM's derivative keeps little of a step, and its products are over all steps on one device"

    def objection(self, setting: Setting) -> str | None:
        """Where nothing is differentiated, not on a CPU, and where memory is faulted in anew."""
        if not setting.training:
            return "for training steps alone"
        if jax.default_backend() != "cpu":
            return f"not on {jax.default_backend()}"
        if setting.is_spread:
            return "a mesh lays the arrays out"
        return None if keeps_freed_memory() else "the allocator hands memory back; jg.setup(allocator=True) keeps it"

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph whose LSTMs have such loops."""
        within = bool(setting.devices)

        def choose(layer: Any) -> Kind | None:
            kind = _choose(layer)
            return None if kind is None else partial(kind, within=within)

        graph, places = lower(graph, choose)
        how = "gates alone are kept of each step" if within else "products over all steps at once"
        return PassResult(graph, (f"{listed(places)}: {how}",) if places else ())


def _choose(layer: Any) -> Kind | None:
    if type(layer) in _PAIRS:
        pair = (layer.layer, layer.backward_layer or layer.layer)
        return _PAIRS[type(layer)] if all(_choose(inner) is LeanLSTM for inner in pair) else None
    return _KINDS[type(layer)] if type(layer) in _KINDS and _is_usual(layer) else None


def _is_usual(layer: LSTM) -> bool:
    usual = layer.functions == (activations.get("tanh"), activations.get("sigmoid"))
    return usual and not (layer.unroll or layer.recompute)


def _lean(layer: Any, within: bool) -> Any:
    return lowered(layer, partial(_KINDS[type(layer)], within=within))
