"""Maxima of small windows as maxima of shifted images on a CPU."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.base import Array, Layer, Weights, describes
from jaxgraphs.layers.pooling import (
    BaseMaxPooling,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from jaxgraphs.passes.base import PassResult, Setting, listed
from jaxgraphs.passes.kernels.pooling import shifted_max_pool
from jaxgraphs.passes.lowering import lower
from jaxgraphs.symbolic.context import Context

# The code grows with the window; larger ones are rare.
_MOST_ELEMENTS = 9


@describes
class ShiftedMaxPooling(BaseMaxPooling):
    """The largest of shifted images."""

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        is_fitting = jnp.issubdtype(x.dtype, jnp.floating) and _is_sized(x)
        return shifted_max_pool(x, *self.windows(x)) if is_fitting else super().call(weights, x, context=context)


@describes
class ShiftedMaxPooling1D(ShiftedMaxPooling, MaxPooling1D):
    """A MaxPooling1D of shifted sequences."""


@describes
class ShiftedMaxPooling2D(ShiftedMaxPooling, MaxPooling2D):
    """A MaxPooling2D of shifted images."""


@describes
class ShiftedMaxPooling3D(ShiftedMaxPooling, MaxPooling3D):
    """A MaxPooling3D of shifted volumes."""


_KINDS: dict[type, type[Layer]] = {
    MaxPooling1D: ShiftedMaxPooling1D,
    MaxPooling2D: ShiftedMaxPooling2D,
    MaxPooling3D: ShiftedMaxPooling3D,
}


class ShiftedPooling:
    """XLA's gradient of a maximum walks over the windows number by number, on a CPU on one core.

    Means of windows are left to it: it is as fast, and with windows one place apart twice as fast.
    """

    name = "pooling"
    idea = "maxima of small windows are computed from shifted images on a CPU"

    def objection(self, setting: Setting) -> str | None:
        """None: the platform is looked at when the step is compiled."""
        return None

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph with shifted images for pooling windows."""
        graph, places = lower(graph, _choose)
        return PassResult(graph, (f"{listed(places)}: largest of shifted images",) if places else ())


def _choose(layer: Any) -> type[Layer] | None:
    kind = _KINDS.get(type(layer))
    return kind if kind is not None and math.prod(layer.pool_size) <= _MOST_ELEMENTS else None


def _is_sized(x: Array) -> bool:
    return all(isinstance(size, int) for size in x.shape)
