"""1x1 convolutions as matrix products on a CPU and a GPU, strided ones on the part of the image that they read."""

from __future__ import annotations

from typing import Any

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.base import Array, Layer, describes
from jaxgraphs.layers.conv import BaseConv, Conv1D, Conv2D, Conv3D
from jaxgraphs.passes.base import PassResult, Setting, listed
from jaxgraphs.passes.kernels.pointwise import pointwise_convolve
from jaxgraphs.passes.lowering import lower


@describes
class Pointwise(BaseConv):
    """A convolution whose window has one element."""

    def slide(self, x: Array, kernel: Array) -> Array:
        return pointwise_convolve(x, kernel, strides=self.strides)


@describes
class PointwiseConv1D(Pointwise, Conv1D):
    """A Conv1D with a window of one element."""


@describes
class PointwiseConv2D(Pointwise, Conv2D):
    """A Conv2D with a window of one element."""


@describes
class PointwiseConv3D(Pointwise, Conv3D):
    """A Conv3D with a window of one element."""


_KINDS: dict[type, type[Layer]] = {Conv1D: PointwiseConv1D, Conv2D: PointwiseConv2D, Conv3D: PointwiseConv3D}


class PointwiseConvolution:
    """XLA's gradient of a 1x1 convolution on a CPU runs at a sixth of its forward rate; that of a product does not.

    On a GPU a product takes 0.8 of the convolution's time (docs/scaling.md).
    """

    name = "pointwise"
    idea = "1x1 convolutions are matrix products on a CPU and an NVIDIA GPU"

    def objection(self, setting: Setting) -> str | None:
        """None: the platform is looked at when the step is compiled."""
        return None

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph with each 1x1 convolution over the last axis computed as a product."""
        graph, places = lower(graph, _choose)
        one = "is a product" if len(places) == 1 else "are products"
        return PassResult(graph, (f"{listed(places)} {one} of its input and its kernel",) if places else ())


def _choose(layer: Any) -> type[Layer] | None:
    kind = _KINDS.get(type(layer))
    is_plain = kind is not None and max(layer.kernel_size) == 1 and layer.groups == 1 and not layer.channels_first
    return kind if is_plain else None
