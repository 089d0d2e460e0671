"""A table of rows that is read both ways: from ids to rows, and from vectors to a number for each id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from jaxgraphs.errors import DTypeMismatchError, ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, Weight, Weights, describes, positive, single_input
from jaxgraphs.layers.core import look_up
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title


@describes
class ReversibleEmbedding(Layer):
    """Looks up a row of a table for each whole number; called with ``reverse=True``, x tableᵀ: the way back.

    Args:
        input_dim: how many rows; ids run from 0 to input_dim - 1.
        output_dim: the length of a row.
        tie_weights: whether one table serves both ways; else there is a second one, (output_dim, input_dim).
        embeddings_initializer, embeddings_regularizer, embeddings_constraint: of the table; the initializer of both.
        mask_zero: whether id 0 is padding, which later layers and losses leave out.
        reverse_dtype: in which the way back is computed; None is the layer's.
        logit_soft_cap: a bound c on what the way back gives, as c tanh(y / c); None is none.
    Shapes: (batch, ...) whole numbers -> (batch, ..., output_dim); back, (batch, ..., output_dim) ->
        (batch, ..., input_dim).
    Raises: GraphError when a size is not positive, or the input fits neither way.

    >>> from jaxgraphs.symbolic.node import Input
    >>> table = ReversibleEmbedding(10_000, 64)
    >>> table(table(Input((None,), dtype="int32")), reverse=True).shape
    (None, None, 10000)
    """

    input_dim: int
    output_dim: int
    tie_weights: bool = True
    embeddings_initializer: Any = "uniform"
    embeddings_regularizer: Any = None
    embeddings_constraint: Any = None
    mask_zero: bool = False
    reverse_dtype: Any = None
    logit_soft_cap: float | None = None

    def validate(self) -> None:
        positive(self, input_dim=self.input_dim, output_dim=self.output_dim)

    def check(self, *specs: Any, reverse: bool = False) -> None:
        spec = single_input(self, specs)
        if not reverse and not jnp.issubdtype(spec.dtype, jnp.integer):
            raise DTypeMismatchError(
                f"{title(self)} looks up whole numbers.",
                expected="an integer dtype, such as int32",
                fix="reverse=True goes from vectors to ids",
            )
        if reverse and (not spec.rank or spec.dims[-1] != self.output_dim):
            raise ShapeMismatchError(
                f"{title(self)} goes back from vectors as long as its rows.",
                expected=f"(batch, ..., {self.output_dim})",
            )

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        table = Weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )
        back = Weight((self.output_dim, self.input_dim), self.embeddings_initializer)
        return {"embedding": table} if self.tie_weights else {"embedding": table, "reverse_embedding": back}

    def call(self, weights: Weights, x: Array, *, context: Context, reverse: bool = False) -> Array:
        if not reverse:
            return look_up(weights["embedding"], x)
        kernel = weights["embedding"].T if self.tie_weights else weights["reverse_embedding"]
        if self.reverse_dtype is not None:
            x, kernel = x.astype(self.reverse_dtype), kernel.astype(self.reverse_dtype)
        logits = jnp.tensordot(x, kernel, axes=1)
        cap = self.logit_soft_cap
        return logits if cap is None else jnp.tanh(logits / cap) * cap

    def output_mask(self, context: Context, *args: Any, reverse: bool = False) -> Array | None:
        return args[0] != 0 if self.mask_zero and not reverse else None
