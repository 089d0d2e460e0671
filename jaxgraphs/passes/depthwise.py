"""Depthwise and separable convolutions by platform: shifted products and a matrix product on a CPU, else XLA's own."""

from __future__ import annotations

from typing import Any

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.base import Array, Layer, describes
from jaxgraphs.layers.separable import (
    BaseSeparableConv,
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from jaxgraphs.passes.base import PassResult, Setting, listed
from jaxgraphs.passes.kernels.depthwise import shifted_depthwise
from jaxgraphs.passes.kernels.pointwise import pointwise_convolve
from jaxgraphs.passes.lowering import lower


def _shifted(layer: Any, x: Array, kernel: Array) -> Array:
    return shifted_depthwise(x, kernel, strides=layer.strides, padding=layer.padding, dilation=layer.dilation_rate)


@describes
class ShiftedDepthwiseConv1D(DepthwiseConv1D):
    """A DepthwiseConv1D as shifted products."""

    def slide(self, x: Array, kernel: Array) -> Array:
        return _shifted(self, x, kernel)


@describes
class ShiftedDepthwiseConv2D(DepthwiseConv2D):
    """A DepthwiseConv2D as shifted products."""

    def slide(self, x: Array, kernel: Array) -> Array:
        return _shifted(self, x, kernel)


@describes
class Shifted(BaseSeparableConv):
    """A separable convolution as shifted products and one matrix product."""

    def slide(self, x: Array, kernel: Array) -> Array:
        return _shifted(self, x, kernel)

    def mix(self, x: Array, kernel: Array) -> Array:
        return pointwise_convolve(x, kernel, strides=(1,) * self.rank)


@describes
class ShiftedSeparableConv1D(Shifted, SeparableConv1D):
    """A SeparableConv1D as shifted products and one matrix product."""


@describes
class ShiftedSeparableConv2D(Shifted, SeparableConv2D):
    """A SeparableConv2D as shifted products and one matrix product."""


_KINDS: dict[type, type[Layer]] = {
    DepthwiseConv1D: ShiftedDepthwiseConv1D,
    DepthwiseConv2D: ShiftedDepthwiseConv2D,
    SeparableConv1D: ShiftedSeparableConv1D,
    SeparableConv2D: ShiftedSeparableConv2D,
}


class DepthwiseConvolution:
    """XLA on a CPU runs a grouped convolution five to twenty times slower than the shifted products that it is."""

    name = "depthwise"
    idea = "depthwise and separable convolutions are shifted products on a CPU"

    def objection(self, setting: Setting) -> str | None:
        """None: the platform is looked at when the step is compiled."""
        return None

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph with each depthwise or separable convolution over the last axis computed as shifted products."""
        graph, places = lower(graph, _choose)
        return PassResult(graph, (f"{listed(places)}: products of shifted images",) if places else ())


def _choose(layer: Any) -> type[Layer] | None:
    return None if getattr(layer, "channels_first", False) else _KINDS.get(type(layer))
