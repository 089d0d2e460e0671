"""Dense layers and the projections of attention on more than rows, as products of two matrices on a CPU."""

from __future__ import annotations

from typing import Any

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.run import nodes_of
from jaxgraphs.layers.base import Array, Layer, describes
from jaxgraphs.layers.core import Dense
from jaxgraphs.layers.einsum import EinsumDense, Equation
from jaxgraphs.layers.multi_head import GroupQueryAttention, MultiHeadAttention
from jaxgraphs.passes.base import PassResult, Setting, listed
from jaxgraphs.passes.kernels.product import product
from jaxgraphs.passes.lowering import lower


@describes
class Flat(Layer):
    """A layer that sees its input as rows."""

    def product(self, x: Array, kernel: Array, axes: int = 1) -> Array:
        return product(x, kernel, axes)


@describes
class FlatDense(Flat, Dense):
    """A Dense that sees its input as rows."""


@describes
class FlatEinsumDense(EinsumDense):
    """An EinsumDense that sees its input as rows, where its equation is a product over last axes."""

    def product(self, x: Array, kernel: Array) -> Array:
        axes = last_axes(self.equation)
        return super().product(x, kernel) if axes is None else product(x, kernel, axes)


@describes
class FlatMultiHeadAttention(Flat, MultiHeadAttention):
    """A MultiHeadAttention whose projections see their inputs as rows."""


@describes
class FlatGroupQueryAttention(Flat, GroupQueryAttention):
    """A GroupQueryAttention whose projections see their inputs as rows."""


_KINDS: dict[type, type[Layer]] = {
    Dense: FlatDense,
    EinsumDense: FlatEinsumDense,
    MultiHeadAttention: FlatMultiHeadAttention,
    GroupQueryAttention: FlatGroupQueryAttention,
}


class FlatProducts:
    """A kernel's gradient over several axes XLA on a CPU computes from copies, turned about, and not by YNNPACK."""

    name = "products"
    idea = "on a CPU dense layers and projections of attention see several axes of their input as one of rows"

    def objection(self, setting: Setting) -> str | None:
        """Under a mesh axes may lie on several devices, and one axis of them all may not."""
        return "a mesh lays the arrays out" if setting.is_spread else None

    def rewrite(self, graph: Graph, setting: Setting) -> PassResult:
        """The graph with such layers; those that read rows stay."""
        wide = {node.layer for _, node in nodes_of(graph) if any(tensor.spec.rank > 2 for tensor in node.parents)}
        graph, places = lower(graph, lambda layer: _choose(layer) if layer in wide else None)
        return PassResult(graph, (f"{listed(places)}: products of two matrices",) if places else ())


def last_axes(equation: str) -> int | None:
    """Over how many last axes of the first operand, first ones of the second, an einsum is a product; None: it is none.

    >>> last_axes("btd,dnh->btnh"), last_axes("...nh,nhd->...d"), last_axes("btd,dt->bt")
    (1, 2, None)
    """
    parts = Equation.of(equation)
    if parts is None or parts.elided == "right":
        return None
    x, kernel = parts.read, parts.kernel
    count = len([letter for letter in kernel if letter not in parts.made])
    is_product = count > 0 and x.endswith(kernel[:count]) and parts.made == x[:-count] + kernel[count:]
    return count if is_product else None


def _choose(layer: Any) -> type[Layer] | None:
    if type(layer) is EinsumDense and last_axes(layer.equation) is None:
        return None
    return _KINDS.get(type(layer))
