"""Many tensors in, one out, along an axis: Concatenate and Dot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import lax

from jaxgraphs.errors import GraphTypeError
from jaxgraphs.layers.base import Array, Weights, describes
from jaxgraphs.layers.feature_norm import unit_length
from jaxgraphs.layers.merge import Merge, masks_of
from jaxgraphs.layers.sizes import axis_in, equal_size, settle, unlike
from jaxgraphs.symbolic.arrays import promote
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title
from jaxgraphs.symbolic.spec import TensorSpec


@describes
class Concatenate(Merge):
    """Its inputs one after another along an axis.

    Masks are concatenated too; an input without one counts in full.

    Args:
        axis: the axis along which sizes may differ.
    Shapes: a list of (batch, ...) equal but for `axis` -> (batch, ...), with the sum of sizes along `axis`.
    Raises: ShapeMismatchError when ranks or other sizes differ; GraphTypeError when not called on a list.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Concatenate()([Input((10, 32)), Input((10, 64))]).shape
    (None, 10, 96)
    """

    axis: int = -1

    def fits(self, specs: Sequence[TensorSpec]) -> bool:
        axis = axis_in(self.axis, specs[0].rank)
        if axis is None or len({spec.rank for spec in specs}) > 1:
            return False
        columns = enumerate(zip(*(spec.dims for spec in specs), strict=True))
        return not any(unlike(column) for index, column in columns if index != axis)

    def expected(self, specs: Sequence[TensorSpec]) -> str:
        return f"one rank, and equal sizes but along axis {self.axis}"

    def fix(self, specs: Sequence[Any], names: Sequence[str]) -> str:
        return "give the branches one shape but for that axis, for example with layers.Flatten or layers.Reshape"

    def call(self, weights: Weights, inputs: Sequence[Array], *, context: Context) -> Array:
        values = list(promote(*inputs))
        axis = self.axis % values[0].ndim
        for index in range(values[0].ndim):
            if index != axis:
                size = equal_size([x.shape[index] for x in values])
                values = [settle(x, index, size) for x in values]
        return jnp.concatenate(values, axis=axis)

    def output_mask(self, context: Context, *args: Any, **_: Any) -> Array | None:
        inputs = args[0]
        masks = masks_of(context, len(inputs))
        known = [mask for mask in masks if mask is not None]
        if not known:
            return None
        whole = jnp.concatenate([_full(mask, x) for mask, x in zip(masks, inputs, strict=True)], axis=self.axis)
        # A step counts if any of its numbers does.
        rank = min(max(mask.ndim for mask in known), whole.ndim - 1)
        return jnp.any(whole, axis=tuple(range(rank, whole.ndim)))


@describes
class Dot(Merge):
    """The products of two inputs summed along one axis of each, example by example.

    Args:
        axes: the axis of both inputs, or one for each; not the batch axis.
        normalize: whether to give vectors along these axes length 1 first: the output is then the cosine.
    Shapes: [(batch, ..., n, ...), (batch, ..., n, ...)] -> (batch, rest of the first, rest of the second), and
        (batch, 1) where nothing is left.
    Raises: ShapeMismatchError when the two sizes differ; GraphTypeError when there are not two inputs.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Dot(axes=(2, 1))([Input((3, 5)), Input((5, 4))]).shape
    (None, 3, 4)
    """

    axes: Any
    normalize: bool = False

    count: ClassVar[int | None] = 2

    def validate(self) -> None:
        pair = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(axis, int) and axis for axis in pair):
            raise GraphTypeError(
                f"{title(self)} sums along one axis of each input, never the batch axis.",
                received=f"axes={self.axes!r}",
                expected="a whole number other than 0, or two of them",
                fix="layers.Dot(axes=-1), or layers.Dot(axes=(2, 1))",
            )

    def fits(self, specs: Sequence[TensorSpec]) -> bool:
        axes = self._axes([spec.rank for spec in specs])
        summed = [spec.dims[axis] for spec, axis in zip(specs, axes, strict=True) if axis]
        return len(summed) == 2 and not unlike(summed) and not unlike([spec.dims[0] for spec in specs])

    def expected(self, specs: Sequence[TensorSpec]) -> str:
        return f"one size along axes {self.axes}"

    def fix(self, specs: Sequence[Any], names: Sequence[str]) -> str:
        return "give both branches one size along these axes, for example with Dense, or choose other axes"

    def call(self, weights: Weights, inputs: Sequence[Array], *, context: Context) -> Array:
        x, y = promote(*inputs)
        first, second = (axis or 0 for axis in self._axes([x.ndim, y.ndim]))
        for a, b in ((0, 0), (first, second)):
            size = equal_size([x.shape[a], y.shape[b]])
            x, y = settle(x, a, size), settle(y, b, size)
        if self.normalize:
            x, y = unit_length(x, first, 1e-7), unit_length(y, second, 1e-7)
        products = lax.dot_general(x, y, (((first,), (second,)), ((0,), (0,))))
        return products[:, None] if products.ndim == 1 else products

    def output_mask(self, context: Context, *args: Any, **_: Any) -> None:
        return None

    def _axes(self, ranks: Sequence[int]) -> list[int | None]:
        pair = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        return [axis_in(axis, rank) for axis, rank in zip(pair, ranks, strict=True)]


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """`inputs` one after another along `axis`; `kwargs` are Concatenate's.

    >>> from jaxgraphs.symbolic.node import Input
    >>> concatenate([Input((32,)), Input((64,))], name="join").shape
    (None, 96)
    """
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: Any = -1, **kwargs: Any) -> Any:
    """The products of two `inputs` summed along `axes`; `kwargs` are Dot's."""
    return Dot(axes=axes, **kwargs)(inputs)


def _full(mask: Array | None, x: Array) -> Array:
    """The mask as booleans of x' own shape; all True where there is none."""
    if mask is None:
        return jnp.ones(x.shape, bool)
    return jnp.broadcast_to(mask.astype(bool).reshape(mask.shape + (1,) * (x.ndim - mask.ndim)), x.shape)
