"""Gradients of convolutions' kernels as matrix products on a CPU."""

from __future__ import annotations

import math

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.run import nodes_of
from jaxgraphs.layers.base import Array, describes
from jaxgraphs.layers.conv import Conv2D
from jaxgraphs.passes.base import PassResult, Setting, listed
from jaxgraphs.passes.eigen import chooses_eigen
from jaxgraphs.passes.kernels.convolution import convolve_by_products
from jaxgraphs.passes.lowering import lower
from jaxgraphs.symbolic.node import Node

# Measured (docs/passes.md): with fewer channels, or in larger windows, the products move more than they multiply.
_LEAST_CHANNELS = 20.0
_MOST_ELEMENTS = 9


@describes
class ProductedConv2D(Conv2D):
    """A Conv2D whose kernel's gradient is a matrix product for each element of the window."""

    def slide(self, x: Array, kernel: Array) -> Array:
        return convolve_by_products(x, kernel, strides=self.strides, padding=self.padding, dilation=self.dilation_rate)


class KernelGradients:
    """XLA takes up to ten times as long for the gradient of an image's kernel on a CPU as for the convolution."""

    name = "kernel_gradients"
    idea = "gradients of convolution kernels are matrix products on a CPU"

    def objection(self, setting: Setting) -> str | None:
        """Not at inference, where there are no gradients, nor where Eigen computes them as fast."""
        if not setting.training:
            return "at inference there are no gradients"
        return "Eigen's are faster" if chooses_eigen(setting.options) else None

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph with products for the gradients of the kernels for which that is faster."""
        fitting = {node.layer for _, node in nodes_of(graph) if _is_fitting(node)}
        graph, places = lower(graph, lambda layer: ProductedConv2D if layer in fitting else None)
        return PassResult(graph, (f"{listed(places)}: one product for each element of the window",) if places else ())


def pays(channels: int, filters: int) -> bool:
    """Whether a product has enough to multiply for what it reads: harmonic means of channels and filters from 40 on.

    >>> pays(128, 128), pays(32, 32)
    (True, False)
    """
    return channels * filters / (channels + filters) >= _LEAST_CHANNELS


def _is_fitting(node: Node) -> bool:
    layer = node.layer
    # Over one axis XLA's gradient is as fast as the convolution.
    if type(layer) is not Conv2D or layer.groups > 1 or layer.channels_first:
        return False
    return 1 < math.prod(layer.kernel_size) <= _MOST_ELEMENTS and pays(*node.variables["params"]["kernel"].dims[-2:])
