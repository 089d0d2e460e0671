"""Attention without projections: Attention (Luong's) and AdditiveAttention (Bahdanau's)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphTypeError, GraphValueError, ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, Weight, Weights, describes
from jaxgraphs.layers.core import check_floating, drop
from jaxgraphs.layers.initializers import make
from jaxgraphs.layers.sizes import equal_size, settle, unlike
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title
from jaxgraphs.symbolic.spec import Dim


@describes
class _Attention(Layer):
    """What both read: [query, value] or [query, value, key], and the query's mask, which is the output's."""

    def check(self, *specs: Any, **_: Any) -> None:
        inputs = specs[0] if len(specs) == 1 and isinstance(specs[0], (list, tuple)) else ()
        if len(inputs) not in (2, 3):
            raise GraphTypeError(
                f"{title(self)} reads a list of two or three tensors.",
                received=f"a list of {len(inputs)}" if inputs else f"{len(specs)} argument(s), the first not a list",
                expected="[query, value] or [query, value, key]",
                fix=f"layers.{self.kind}()([query, value])",
            )
        query, value, key = query_value_key(inputs)
        if (
            {query.rank, value.rank, key.rank} != {3}
            or unlike([query.dims[-1], key.dims[-1]])
            or unlike([value.dims[1], key.dims[1]])
        ):
            raise ShapeMismatchError(
                f"{title(self)} cannot compare its inputs.",
                expected="query (batch, queries, n), value (batch, steps, m), key (batch, steps, n); or no key",
                fix="layers.Dense brings query and key to one width",
            )
        for spec in (query, value, key):
            check_floating(self, spec)

    def output_mask(self, context: Context, *args: Any, **kwargs: Any) -> Any:
        mask = mask_at(context, 0)
        return (mask, None) if kwargs.get("return_attention_scores") else mask


@describes
class Attention(_Attention):
    """softmax(query keyᵀ) value: each query reads the values in proportion to how well it goes with their keys.

    Called on [query, value] or [query, value, key]; `return_attention_scores=True` returns the proportions too, and
    `use_causal_mask=True` lets a query read no later step than its own. The value's mask leaves steps out; where the
    query's mask is False the output is 0.

    Args:
        use_scale: whether a learned number multiplies the scores.
        score_mode: "dot" for the products, "concat" for a learned number times the sum of tanh(query + key).
        dropout: the probability that a proportion is dropped in training, from 0 to 1.
        seed: accepted as in Keras; the caller's key decides.
    Shapes: [(batch, queries, n), (batch, steps, m), (batch, steps, n)] -> (batch, queries, m); scale and
        concat_score_weight () in params.
    Raises: GraphError when the inputs do not go together.
    Reference: Luong, Pham and Manning (2015), EMNLP, 1412-1421.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Attention()([Input((5, 8)), Input((7, 8))]).shape
    (None, 5, 8)
    """

    use_scale: bool = False
    score_mode: str = "dot"
    dropout: float = 0.0
    seed: int | None = None

    def validate(self) -> None:
        check_dropout(self, self.dropout)
        if self.score_mode not in ("dot", "concat"):
            raise GraphValueError(
                f"{title(self)} knows two ways to compare.",
                received=f"score_mode={self.score_mode!r}",
                expected="'dot' or 'concat'",
            )

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        names = ["scale"] * self.use_scale + ["concat_score_weight"] * (self.score_mode == "concat")
        return {name: Weight((), make("ones")) for name in names}

    def call(
        self,
        weights: Weights,
        inputs: Sequence[Array],
        *,
        context: Context,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        query, value, key = query_value_key(inputs)
        output, probs = attend(self._scores(weights, query, key), value, context, self.dropout, use_causal_mask)
        return (output, probs) if return_attention_scores else output

    def _scores(self, weights: Weights, query: Array, key: Array) -> Array:
        if self.score_mode == "dot":
            scores = jnp.matmul(*_one_width(query, jnp.swapaxes(key, 1, 2), 2, 1))
            return scores * weights["scale"] if self.use_scale else scores
        pairs = _pairs(query, key)
        pairs = weights["scale"] * pairs if self.use_scale else pairs
        return weights["concat_score_weight"] * jnp.sum(jnp.tanh(pairs), axis=-1)


@describes
class AdditiveAttention(_Attention):
    """Attention with scores that are the sum of scale tanh(query + key).

    Called as Attention is.

    Args:
        use_scale: whether `scale` is learned; it is 1 otherwise.
        dropout: the probability that a proportion is dropped in training, from 0 to 1.
        seed: accepted as in Keras; the caller's key decides.
    Shapes: [(batch, queries, n), (batch, steps, m), (batch, steps, n)] -> (batch, queries, m); scale (n,) in params.
    Raises: GraphError when the inputs do not go together.
    Reference: Bahdanau, Cho and Bengio (2015), ICLR, arXiv:1409.0473.

    >>> from jaxgraphs.symbolic.node import Input
    >>> AdditiveAttention()([Input((5, 8)), Input((7, 8))]).shape
    (None, 5, 8)
    """

    use_scale: bool = True
    dropout: float = 0.0
    seed: int | None = None

    def validate(self) -> None:
        check_dropout(self, self.dropout)

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        return {"scale": Weight((specs[0][0].dims[-1],), make("glorot_uniform"))} if self.use_scale else {}

    def call(
        self,
        weights: Weights,
        inputs: Sequence[Array],
        *,
        context: Context,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        query, value, key = query_value_key(inputs)
        bent = jnp.tanh(_pairs(query, key))
        bent = weights["scale"].reshape(1, 1, 1, -1) * bent if self.use_scale else bent
        output, probs = attend(jnp.sum(bent, axis=-1), value, context, self.dropout, use_causal_mask)
        return (output, probs) if return_attention_scores else output


def attend(scores: Array, value: Array, context: Context, dropout: float, causal: bool) -> tuple[Array, Array]:
    """The values in proportion to the softmax of `scores`, and the proportions.

    Args:
        scores: (batch, queries, steps).
        value: (batch, steps, m).
        context: its masks are [query's, value's, ...].
        dropout: of the proportions in training.
        causal: whether a query reads no later step than its own.
    """
    counts = _counts(scores, mask_at(context, 1), causal)
    if counts is not None:
        # Keras takes this much away; a query with no step left then reads by its scores alone.
        scores = jnp.where(counts, scores, scores - (65504.0 if scores.dtype == jnp.float16 else 1e9))
    probs = jax.nn.softmax(scores, axis=-1)
    kept = drop(probs, context.key(), dropout) if context.train and dropout else probs
    output = jnp.matmul(*_one_width(kept, value, 2, 1))
    asked = mask_at(context, 0)
    if asked is None:
        return output, probs
    return jnp.where(asked.astype(bool)[..., None], output, jnp.zeros_like(output)), probs


def query_value_key(inputs: Sequence[Any]) -> tuple[Any, Any, Any]:
    """The three inputs; the key is the value where there are two."""
    return inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else inputs[1]


def mask_at(context: Context, index: int) -> Array | None:
    """The mask of one input of a list, or None."""
    masks = context.masks[0] if context.masks else None
    return masks[index] if masks is not None and index < len(masks) else None


def causal_mask(queries: Dim, steps: Dim) -> Array:
    """(queries, steps): True where the step is no later than the query.

    >>> causal_mask(2, 3).tolist()
    [[True, False, False], [True, True, False]]
    """
    return jnp.arange(queries)[:, None] >= jnp.arange(steps)[None, :]


def check_dropout(layer: Layer, rate: float) -> None:
    """Refuses a rate that is no probability."""
    if not 0 <= rate <= 1:
        raise GraphValueError(f"{title(layer)} needs a dropout from 0 to 1.", received=f"dropout={rate!r}")


def _counts(scores: Array, mask: Array | None, causal: bool) -> Array | None:
    counts = None if mask is None else mask.astype(bool)[:, None, :]
    if not causal:
        return counts
    earlier = causal_mask(scores.shape[1], scores.shape[2])[None]
    return earlier if counts is None else counts & earlier


def _pairs(query: Array, key: Array) -> Array:
    """(batch, queries, steps, n): each query plus each key."""
    query, key = _one_width(query, key, -1, -1)
    return query[:, :, None, :] + key[:, None, :, :]


def _one_width(a: Array, b: Array, axis: int, other: int) -> tuple[Array, Array]:
    """Both with the unknown one of two sizes that have to be equal taken to be the other."""
    size = equal_size([a.shape[axis], b.shape[other]])
    return settle(a, axis, size), settle(b, other, size)
