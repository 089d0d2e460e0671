"""The same numbers in another shape: Flatten, Reshape, Permute, RepeatVector."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp

from jaxgraphs.errors import GraphValueError, ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, Weights, describes, positive, single_input
from jaxgraphs.layers.noise import checked_data_format
from jaxgraphs.layers.sizes import settle
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title
from jaxgraphs.symbolic.spec import is_known


@describes
class Flatten(Layer):
    """Each example's numbers in one row.

    Args:
        data_format: "channels_last" (also None), or "channels_first", whose channels are moved last before.
    Shapes: (batch, ...) -> (batch, product of the other sizes).

    >>> from jaxgraphs.symbolic.node import Input
    >>> Flatten()(Input((10, 64))).shape
    (None, 640)
    """

    data_format: str | None = None

    def validate(self) -> None:
        checked_data_format(self, self.data_format)

    def check(self, *specs: Any, **_: Any) -> None:
        needs_batch(self, single_input(self, specs).rank)

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        if self.data_format == "channels_first" and x.ndim > 2:
            x = jnp.moveaxis(x, 1, -1)
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))


@describes
class Reshape(Layer):
    """Each example's numbers in the same order in another shape.

    Args:
        target_shape: sizes without the batch; one may be -1, which is what is left.
    Shapes: (batch, ...) -> (batch, *target_shape).
    Raises: GraphError when the numbers of the two shapes differ.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Reshape((-1, 2, 2))(Input((12,))).shape
    (None, 3, 2, 2)
    """

    target_shape: Any

    def __post_init__(self) -> None:
        if isinstance(self.target_shape, int):
            object.__setattr__(self, "target_shape", (self.target_shape,))
        super().__post_init__()

    def validate(self) -> None:
        sizes = self.target_shape if isinstance(self.target_shape, tuple) else (None,)
        if not all(isinstance(size, int) and size >= -1 for size in sizes) or sizes.count(-1) > 1:
            raise GraphValueError(
                f"{title(self)} needs a shape.",
                received=f"target_shape={self.target_shape!r}",
                expected="whole numbers without the batch size; one may be -1",
                fix="layers.Reshape((-1, 64))",
            )

    def check(self, *specs: Any, **_: Any) -> None:
        spec = single_input(self, specs)
        needs_batch(self, spec.rank)
        if not is_known(spec.dims[1:]):
            return
        numbers, rest = math.prod(spec.dims[1:]), math.prod(size for size in self.target_shape if size != -1)
        if numbers != rest if -1 not in self.target_shape else not rest or numbers % rest:
            raise ShapeMismatchError(
                f"{title(self)} cannot arrange {numbers} numbers as {self.target_shape}.",
                expected=f"{'a multiple of ' if -1 in self.target_shape else ''}{rest} numbers in each example",
                fix="-1 stands for the size that is left",
            )

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        if -1 not in self.target_shape:
            # A size of the input that is not known yet is what makes the numbers of the two shapes equal.
            x = settle(x.reshape(x.shape[0], math.prod(x.shape[1:])), 1, math.prod(self.target_shape))
        return x.reshape(x.shape[0], *self.target_shape)


@describes
class Permute(Layer):
    """Axes in another order.

    Args:
        dims: for each axis of the output the input's; 1 is the first after the batch.
    Shapes: (batch, ...) -> (batch, ... in that order).
    Raises: GraphError when `dims` is no order of the input's axes.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Permute((2, 1))(Input((10, 64))).shape
    (None, 64, 10)
    """

    dims: Any

    def validate(self) -> None:
        if not isinstance(self.dims, tuple) or sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise GraphValueError(
                f"{title(self)} needs an order of axes.",
                received=f"dims={self.dims!r}",
                expected="each of 1, 2, ... once; 1 is the first axis after the batch",
                fix="layers.Permute((2, 1))",
            )

    def check(self, *specs: Any, **_: Any) -> None:
        if single_input(self, specs).rank != len(self.dims) + 1:
            raise ShapeMismatchError(
                f"{title(self)} orders {len(self.dims)} axes.",
                expected=f"{len(self.dims)} axes after the batch",
                fix="name each axis of the input in dims",
            )

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return jnp.transpose(x, (0, *self.dims))


@describes
class RepeatVector(Layer):
    """A vector at each of n steps.

    Args:
        n: how many.
    Shapes: (batch, features) -> (batch, n, features).
    Raises: GraphError when n is not positive or the input is no vector.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RepeatVector(3)(Input((32,))).shape
    (None, 3, 32)
    """

    n: int

    def validate(self) -> None:
        positive(self, n=self.n)

    def check(self, *specs: Any, **_: Any) -> None:
        if single_input(self, specs).rank != 2:
            raise ShapeMismatchError(
                f"{title(self)} repeats vectors.", expected="(batch, features)", fix="layers.Flatten() makes a vector"
            )

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return jnp.repeat(x[:, None, :], self.n, axis=1)


def needs_batch(layer: Layer, rank: int) -> None:
    """Refuses a scalar."""
    if not rank:
        raise ShapeMismatchError(f"{title(layer)} needs a batch axis.", expected="(batch, ...)")
