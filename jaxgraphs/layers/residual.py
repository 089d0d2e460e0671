"""What deep networks put on their residual branches: StochasticDepth and LayerScale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxgraphs.errors import ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, Weight, Weights, describes, positive, single_input
from jaxgraphs.layers.core import check_floating, drop
from jaxgraphs.layers.initializers import make
from jaxgraphs.layers.noise import check_rate
from jaxgraphs.layers.sizes import unlike
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title


@describes
class StochasticDepth(Layer):
    """In training sets whole examples to 0 with probability `drop_path_rate` and divides the others by 1 minus it.

    Args:
        drop_path_rate: from 0 to 1.
    Shapes: (batch, ...) -> the same.
    Raises: GraphError for another rate, or an input that is not floating.
    Reference: Huang et al. (2016), ECCV, 646-661.

    >>> from jaxgraphs.symbolic.node import Input
    >>> StochasticDepth(0.2)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    drop_path_rate: float

    def validate(self) -> None:
        check_rate(self, "drop_path_rate", self.drop_path_rate)

    def check(self, *specs: Any, **_: Any) -> None:
        check_floating(self, single_input(self, specs))

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        if not context.train or not self.drop_path_rate:
            return x
        return drop(x, context.key(), self.drop_path_rate, (None,) + (1,) * (x.ndim - 1))


@describes
class LayerScale(Layer):
    """y = gamma x, with a learned gamma for each channel that starts small.

    Args:
        init_values: the first value of gamma.
        projection_dim: how many channels there are.
    Shapes: (batch, ..., projection_dim) -> the same; gamma (projection_dim,).
    Raises: ShapeMismatchError when the input has another number of channels.
    Reference: Touvron et al. (2021), ICCV, 32-42.

    >>> from jaxgraphs.symbolic.node import Input
    >>> LayerScale(1e-6, 3)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    init_values: float
    projection_dim: int

    def validate(self) -> None:
        positive(self, projection_dim=self.projection_dim)

    def check(self, *specs: Any, **_: Any) -> None:
        spec = single_input(self, specs)
        check_floating(self, spec)
        if not spec.dims or unlike([spec.dims[-1], self.projection_dim]):
            raise ShapeMismatchError(
                f"{title(self)} scales {self.projection_dim} channels.",
                expected=f"(batch, ..., {self.projection_dim})",
                fix="give projection_dim the input's number of channels",
            )

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        return {"gamma": Weight((self.projection_dim,), make("constant", value=self.init_values))}

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return x * weights["gamma"].reshape((1,) * (x.ndim - 1) + (-1,))
