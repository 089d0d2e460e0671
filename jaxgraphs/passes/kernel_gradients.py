"""Gradients of convolutions' kernels as matrix products on a CPU."""

from __future__ import annotations

import math
from typing import Any

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.base import Array, Layer, describes
from jaxgraphs.layers.conv import BaseConv, Conv1D, Conv2D, Conv3D
from jaxgraphs.passes.base import PassResult, Setting, listed
from jaxgraphs.passes.kernels.convolution import convolve_by_products
from jaxgraphs.passes.lowering import lower

# Measured (docs/passes.md): with fewer channels, or in larger windows, the products move more than they multiply.
_LEAST_CHANNELS = 20.0
_MOST_ELEMENTS = 9


@describes
class Producted(BaseConv):
    """A convolution whose kernel's gradient is a matrix product for each element of the window."""

    def slide(self, x: Array, kernel: Array) -> Array:
        if not pays(*kernel.shape[-2:]):
            return super().slide(x, kernel)
        return convolve_by_products(x, kernel, strides=self.strides, padding=self.padding, dilation=self.dilation_rate)


@describes
class ProductedConv1D(Producted, Conv1D):
    """A Conv1D with such a gradient."""


@describes
class ProductedConv2D(Producted, Conv2D):
    """A Conv2D with such a gradient."""


@describes
class ProductedConv3D(Producted, Conv3D):
    """A Conv3D with such a gradient."""


_KINDS: dict[type, type[Layer]] = {Conv1D: ProductedConv1D, Conv2D: ProductedConv2D, Conv3D: ProductedConv3D}


class KernelGradients:
    """XLA takes up to ten times as long for the gradient of a kernel on a CPU as for the convolution itself."""

    name = "kernel_gradients"
    idea = "gradients of convolution kernels are matrix products on a CPU"

    def objection(self, setting: Setting) -> str | None:
        """Not at inference, where there are no gradients."""
        return None if setting.training else "at inference there are no gradients"

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph with products for the gradients of the kernels for which that is faster."""
        graph, places = lower(graph, _choose)
        return PassResult(graph, (f"{listed(places)}: one product for each element of the window",) if places else ())


def pays(channels: int, filters: int) -> bool:
    """Whether a product has enough to multiply for what it reads: harmonic means of channels and filters from 40 on.

    >>> pays(128, 128), pays(32, 32)
    (True, False)
    """
    return channels * filters / (channels + filters) >= _LEAST_CHANNELS


def _choose(layer: Any) -> type[Layer] | None:
    kind = _KINDS.get(type(layer))
    if kind is None or layer.groups > 1 or layer.channels_first:
        return None
    return kind if 1 < math.prod(layer.kernel_size) <= _MOST_ELEMENTS else None
