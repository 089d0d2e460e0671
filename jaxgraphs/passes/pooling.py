"""Pooling over small windows as shifted images on a CPU."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.base import Array, Layer, Weights, describes
from jaxgraphs.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    BaseAveragePooling,
    BaseMaxPooling,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
    average_pool,
)
from jaxgraphs.passes.base import PassResult, Setting, listed
from jaxgraphs.passes.kernels.pooling import shifted_max_pool, shifted_sum_pool
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
class ShiftedAveragePooling(BaseAveragePooling):
    """The mean of shifted images."""

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        if not _is_sized(x):
            return super().call(weights, x, context=context)
        return average_pool(x, *self.windows(x), total=shifted_sum_pool(x, *self.windows(x)))


@describes
class ShiftedMaxPooling1D(ShiftedMaxPooling, MaxPooling1D):
    """A MaxPooling1D of shifted sequences."""


@describes
class ShiftedMaxPooling2D(ShiftedMaxPooling, MaxPooling2D):
    """A MaxPooling2D of shifted images."""


@describes
class ShiftedMaxPooling3D(ShiftedMaxPooling, MaxPooling3D):
    """A MaxPooling3D of shifted volumes."""


@describes
class ShiftedAveragePooling1D(ShiftedAveragePooling, AveragePooling1D):
    """An AveragePooling1D of shifted sequences."""


@describes
class ShiftedAveragePooling2D(ShiftedAveragePooling, AveragePooling2D):
    """An AveragePooling2D of shifted images."""


@describes
class ShiftedAveragePooling3D(ShiftedAveragePooling, AveragePooling3D):
    """An AveragePooling3D of shifted volumes."""


_KINDS: dict[type, type[Layer]] = {
    MaxPooling1D: ShiftedMaxPooling1D,
    MaxPooling2D: ShiftedMaxPooling2D,
    MaxPooling3D: ShiftedMaxPooling3D,
    AveragePooling1D: ShiftedAveragePooling1D,
    AveragePooling2D: ShiftedAveragePooling2D,
    AveragePooling3D: ShiftedAveragePooling3D,
}


class ShiftedPooling:
    """XLA on a CPU walks over each window number by number, and its gradient of a maximum does so on one core."""

    name = "pooling"
    idea = "pooling over small windows is computed from shifted images on a CPU"

    def objection(self, setting: Setting) -> str | None:
        """None: the platform is looked at when the step is compiled."""
        return None

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph with shifted images for pooling windows."""
        graph, places = lower(graph, _choose)
        return PassResult(graph, (f"{listed(places)}: largest or mean of shifted images",) if places else ())


def _choose(layer: Any) -> type[Layer] | None:
    kind = _KINDS.get(type(layer))
    if kind is None or math.prod(layer.pool_size) > _MOST_ELEMENTS:
        return None
    return kind if isinstance(layer, BaseMaxPooling) or _skips(layer) else None


def _skips(layer: Any) -> bool:
    """Whether windows overlap and yet move by more than one place: XLA is as fast with the other sums."""
    strides = layer.strides or layer.pool_size
    return 1 < max(strides) < max(layer.pool_size)


def _is_sized(x: Array) -> bool:
    return all(isinstance(size, int) for size in x.shape)
