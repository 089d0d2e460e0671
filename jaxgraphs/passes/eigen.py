"""Convolutions on a CPU computed by Eigen, which XLA has beside YNNPACK and takes for what YNNPACK declines.

By default XLA gives two-dimensional float32 convolutions to YNNPACK. It sees the gradient of a kernel as a convolution
with a window as large as the image, for which YNNPACK takes two to four times as long as Eigen, and is no faster
forward. Which of the two is chosen is an option of the compiler, not of the arithmetic in the graph.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping

import jax

from jaxgraphs.graph.graph import Graph
from jaxgraphs.passes.base import PassResult, Setting, listed
from jaxgraphs.passes.convolving import convolutions

_OPTION = "xla_cpu_experimental_ynn_fusion_type"
# XLA's own list but for convolutions: matrix products and sums stay with YNNPACK.
OPTIONS: Mapping[str, str] = {_OPTION: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"}


class EigenConvolutions:
    """The graph stays as it is: the compiler is told."""

    name = "eigen"
    idea = "on a CPU the step is compiled with Eigen's convolutions in the place of YNNPACK's"

    def objection(self, setting: Setting) -> str | None:
        """Where another compiles the step, not on a CPU, where the user chose, and where XLA has no choice."""
        if not setting.is_compiled:
            return "for steps that a Trainer compiles"
        if jax.default_backend() != "cpu":
            return f"not on {jax.default_backend()}"
        if _OPTION in os.environ.get("XLA_FLAGS", ""):
            return "XLA_FLAGS says what YNNPACK computes"
        return None if can_choose() else f"jax {jax.__version__} has no such option"

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph itself, and the compiler's options where a layer convolves."""
        places = convolutions(graph)
        if not places:
            return PassResult(graph)
        return PassResult(graph, (f"{listed(places)}: compiled to Eigen's convolution",), options=OPTIONS)


def chooses_eigen(options: Mapping[str, str]) -> bool:
    """Whether options of the compiler are, or have, those of this pass."""
    return _OPTION in options


@functools.cache
def can_choose() -> bool:
    """Whether this XLA knows the option and its values: asked of the compiler, once."""
    try:
        jax.jit(lambda x: x, compiler_options=dict(OPTIONS)).lower(0.0).compile()
    except (RuntimeError, ValueError):
        return False
    return True
