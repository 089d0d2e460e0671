"""A vector set beside every step of a sequence whose length is not known beforehand."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jaxgraphs.errors import ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, Weights, describes
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title
from jaxgraphs.symbolic.spec import TensorSpec


@describes
class RepeatAlong(Layer):
    """Repeats a vector at each step of a sequence, as RepeatVector does where the length is known.

    Shapes: [(batch, features), (batch, time, ...)] -> (batch, time, features).
    Raises: GraphError when the inputs are not a vector and a sequence.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RepeatAlong()([Input((32,)), Input((None, 64))]).shape
    (None, None, 32)
    """

    def check(self, *specs: Any, **_: Any) -> None:
        pair = specs[0] if len(specs) == 1 and isinstance(specs[0], (list, tuple)) else specs
        if len(pair) != 2 or not all(isinstance(s, TensorSpec) for s in pair) or pair[0].rank != 2 or pair[1].rank < 3:
            raise ShapeMismatchError(
                f"{title(self)} reads a vector and a sequence.",
                expected="[(batch, features), (batch, time, ...)]",
                fix="RepeatAlong()([vector, sequence])",
            )

    def call(self, weights: Weights, inputs: list[Array], *, context: Context) -> Array:
        vector, sequence = inputs
        return jnp.broadcast_to(vector[:, None, :], (vector.shape[0], sequence.shape[1], vector.shape[1]))

    def output_mask(self, context: Context, *args: Any, **_: Any) -> Any:
        return context.masks[0][1]
