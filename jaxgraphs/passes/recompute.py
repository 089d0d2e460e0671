"""Recurrent layers that compute a step's gates again in the backward pass rather than keep them.

A step's gates are many times the states that are carried on. By default, each training step on a CPU faults the pages
of all that it keeps in anew, which takes longer than to compute it a second time. Where freed memory stays with the
process that is no longer so, and the gates are kept.
"""

from __future__ import annotations

from typing import Any

import jax

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.places import Path
from jaxgraphs.graph.rewrite import rebuild
from jaxgraphs.layers.recurrent import Recurrent
from jaxgraphs.layers.wrappers import Bidirectional
from jaxgraphs.passes.base import PassResult, Setting, listed
from jaxgraphs.startup import keeps_freed_memory


class RecomputedGates:
    """An accelerator would pay for it with launches, and has the memory in its reach."""

    name = "recompute"
    idea = "on a CPU the gates of recurrent steps are computed again in the backward pass rather than kept"

    def objection(self, setting: Setting) -> str | None:
        """Where nothing is differentiated, elsewhere than on a CPU, and where memory costs nothing anew."""
        if not setting.training:
            return "for training steps alone"
        if jax.default_backend() != "cpu":
            return f"not on {jax.default_backend()}"
        return "the allocator keeps freed memory" if keeps_freed_memory() else None

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph whose recurrent layers keep their states alone."""
        places: list[str] = []
        # A layer that is shared by others stays shared.
        made: dict[Any, Any] = {}

        def change(path: Path, layer: Any) -> Any:
            changed = _recomputing(layer, made)
            places.extend([] if changed is layer else ["/".join(path)])
            return changed

        changed = rebuild(graph, change, infer=False)
        return PassResult(changed, (f"{listed(places)}: states alone are kept",) if places else ())


def _recomputing(layer: Any, made: dict[Any, Any]) -> Any:
    if isinstance(layer, Bidirectional):
        both = {"layer": layer.layer, "backward_layer": layer.backward_layer}
        changed = {name: _recomputing(inner, made) for name, inner in both.items()}
        return layer if changed == both else made.setdefault(layer, layer.replace(**changed))
    if not isinstance(layer, Recurrent) or layer.recompute or layer.unroll:
        return layer
    return made.setdefault(layer, layer.replace(recompute=True))
