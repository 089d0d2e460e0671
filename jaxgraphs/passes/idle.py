"""Calls that give back what they read, dropped: always linear activations and the like, for inference dropout too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.places import Path
from jaxgraphs.layers import activations
from jaxgraphs.layers.core import Activation, Dropout
from jaxgraphs.layers.noise import (
    AlphaDropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from jaxgraphs.layers.passing import Identity
from jaxgraphs.passes.base import PassResult, Setting, listed
from jaxgraphs.passes.calls import Call, Rule, layers_within, rewrite_calls, told_to_train
from jaxgraphs.symbolic.node import SymbolicTensor

_DISTURBING = (
    *(Dropout, AlphaDropout, GaussianDropout, GaussianNoise),
    *(SpatialDropout1D, SpatialDropout2D, SpatialDropout3D),
)


class IdleCalls:
    """What changes nothing is not computed; XLA sees most of it too, but a graph without it shows other passes more."""

    name = "idle"
    idea = "calls that change nothing are dropped, at inference dropout and noise among them"

    def objection(self, setting: Setting) -> str | None:
        """None: it applies everywhere."""
        return None

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph without idle calls."""
        if not any(_gives_back(layer, not setting.training) for layer in layers_within(graph)):
            return PassResult(graph)
        told = told_to_train(graph)
        places: list[str] = []

        def rule(inner: Graph, path: Path) -> Rule:
            is_quiet = not setting.training and path not in told

            def drop(call: Call) -> Sequence[SymbolicTensor] | None:
                if not _is_idle(call, is_quiet):
                    return None
                places.append(call.place)
                return (call.args[0][0],)

            return drop

        graph = rewrite_calls(graph, rule)
        gives = "gives" if len(places) == 1 else "give"
        return PassResult(graph, (f"{listed(places)} {gives} back what is read",) if places else ())


def _is_idle(call: Call, is_quiet: bool) -> bool:
    read = call.single
    # A layer may also change the dtype, or add a penalty to the loss.
    if read is None or call.is_given or call.node.specs != (read.spec,):
        return False
    layer = call.layer
    return getattr(layer, "activity_regularizer", None) is None and _gives_back(layer, is_quiet)


def _gives_back(layer: Any, is_quiet: bool) -> bool:
    kind = type(layer)
    if kind in _DISTURBING:
        return is_quiet or not (layer.stddev if kind is GaussianNoise else layer.rate)
    return kind is Identity or (kind is Activation and layer.activation is activations.linear)
