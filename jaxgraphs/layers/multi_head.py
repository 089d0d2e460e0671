"""Attention of many heads with learned projections: MultiHeadAttention and GroupQueryAttention."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphTypeError, GraphValueError, ShapeMismatchError
from jaxgraphs.layers.attention import causal_mask, check_dropout
from jaxgraphs.layers.base import Array, Layer, Weight, Weights, describes, positive
from jaxgraphs.layers.core import check_floating, drop
from jaxgraphs.layers.einsum import by_axes
from jaxgraphs.layers.sizes import unlike
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title
from jaxgraphs.symbolic.spec import TensorSpec


@describes
class _Heads(Layer):
    """What both do: project, compare, mask, read, project back. Fields that both have are declared by each."""

    supports_masking: ClassVar[bool] = True

    def __call__(self, query: Any, value: Any, key: Any = None, **kwargs: Any) -> Any:
        """Adds a call to the graph.

        Args:
            query, value, key: symbolic tensors; without a key the value is the key.
            attention_mask: booleans that broadcast to (batch, queries, steps), True where a query may read a step.
            return_attention_scores: whether to return (output, proportions).
            use_causal_mask: whether a query reads no later step than its own.
        """
        # Masks go with positional arguments, so the three are always given so.
        return super().__call__(query, value, *([] if key is None else [key]), **kwargs)

    def check(self, *specs: Any, **_: Any) -> None:
        if len(specs) not in (2, 3) or not all(isinstance(spec, TensorSpec) for spec in specs):
            raise GraphTypeError(
                f"{title(self)} reads a query, a value and, if it differs, a key, each by itself.",
                received=f"{len(specs)} argument(s)",
                fix=f"layers.{self.kind}(...)(x, x) attends from x to itself",
            )
        query, value, key = specs[0], specs[1], specs[-1]
        fits = len({spec.rank for spec in specs}) == 1 and query.rank >= 3
        if not fits or any(unlike(sizes) for sizes in zip(value.dims[1:-1], key.dims[1:-1], strict=True)):
            raise ShapeMismatchError(
                f"{title(self)} cannot compare its inputs.",
                expected="query (batch, queries, n), value (batch, steps, m), key (batch, steps, k), or more axes",
                fix="give value and key as many steps",
            )
        for spec in specs:
            check_floating(self, spec)

    def output_mask(self, context: Context, *args: Any, **kwargs: Any) -> Any:
        mask = _mask_of("query", context, kwargs)
        return (mask, None) if kwargs.get("return_attention_scores") else mask

    def projections(self, query: TensorSpec, value: TensorSpec, key: TensorSpec) -> dict[str, tuple[Any, int]]:
        """The shape of each projection's kernel, and how many of its leading axes are inputs."""
        raise GraphTypeError(f"{self.kind} does not say how it projects.", fix="define projections(self, ...)")

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        shapes = self.projections(specs[0], specs[1], specs[-1])
        return {name: self._projection(shape, inputs) for name, (shape, inputs) in shapes.items()}

    def _projection(self, shape: tuple[Any, ...], inputs: int) -> dict[str, Weight]:
        options: Any = self
        kernel = Weight(
            shape,
            by_axes(options.kernel_initializer, range(inputs)),
            regularizer=options.kernel_regularizer,
            constraint=options.kernel_constraint,
        )
        bias = Weight(
            shape[inputs:],
            options.bias_initializer,
            regularizer=options.bias_regularizer,
            constraint=options.bias_constraint,
        )
        return {"kernel": kernel, "bias": bias} if options.use_bias else {"kernel": kernel}

    def attention_axes_of(self, rank: int) -> tuple[int, ...]:
        """The axes along which queries and steps lie."""
        return (1,)

    def call(
        self,
        weights: Weights,
        query: Array,
        value: Array,
        key: Array | None = None,
        *,
        context: Context,
        query_mask: Array | None = None,
        value_mask: Array | None = None,
        key_mask: Array | None = None,
        attention_mask: Array | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        options: Any = self
        key = value if key is None else key
        given = {"query_mask": query_mask, "value_mask": value_mask, "key_mask": key_mask}
        asked = {name: _mask_of(name, context, given) for name in ("query", "value", "key")}
        masks = _masks(query, value, asked, use_causal_mask, options.sliding_window)
        heads = {"query": query, "key": key, "value": value}
        heads = {name: self.shared(name, self.project(weights[name], x, 1)) for name, x in heads.items()}
        axes = self.attention_axes_of(query.ndim)
        # Keras' fused kernel reads evenly where a mask leaves no step; its plain computation reads nothing there.
        fused = not options.dropout and not return_attention_scores and query.ndim == 3
        probs = _proportions(heads["query"], heads["key"], axes, [*masks, attention_mask], keep_empty=fused)
        kept = drop(probs, context.key(), options.dropout) if context.train and options.dropout else probs
        output = jnp.einsum(_equations(query.ndim + 1, axes)[1], kept, heads["value"])
        if options.use_gate:
            output = output * jax.nn.sigmoid(self.project(weights["gate"], query, 1))
        output = self.project(weights["output"], output, 2)
        return (output, probs) if return_attention_scores else output

    def project(self, weights: Mapping[str, Array], x: Array, axes: int) -> Array:
        """x times a kernel along its last `axes` axes, plus the bias where there is one."""
        y = self.product(x, weights["kernel"], axes)
        if "bias" not in weights:
            return y
        bias = weights["bias"]
        return y + bias.reshape((1,) * (y.ndim - bias.ndim) + bias.shape)

    def product(self, x: Array, kernel: Array, axes: int) -> Array:
        """x times a kernel along the last `axes` axes of x."""
        return jnp.tensordot(x, kernel, axes=axes)

    def shared(self, name: str, heads: Array) -> Array:
        """The projected `name`, with as many heads as the query has."""
        return heads


@describes
class MultiHeadAttention(_Heads):
    """Attention of several heads side by side: each projects query, key and value to its own, and reads by itself.

    Called on (query, value) or (query, value, key). Masks of query, value and key, `attention_mask` and the causal
    mask all have to let a step through; the output has the query's mask.

    Args:
        num_heads: how many heads.
        key_dim: the width of each head's query and key; scores are divided by its square root.
        value_dim: the width of each head's value; None is `key_dim`.
        dropout: the probability that a proportion is dropped in training, from 0 to 1.
        use_bias: whether the projections have biases.
        output_shape: the sizes that replace the query's last; None keeps it.
        attention_axes: the axes along which to attend; None is all but the batch's and the features'.
        sliding_window: how many steps away, its own included, a query reads on either side; None is all.
        flash_attention: accepted as in Keras; XLA chooses how to compute.
        use_gate: whether a sigmoid of the query gates what the heads read.
        seed: accepted as in Keras; the caller's key decides.
    Shapes: (batch, queries, n), (batch, steps, m), (batch, steps, k) -> (batch, queries, n), and the proportions
        (batch, heads, queries, steps); params are query, key, value and output, each a kernel and a bias.
    Raises: GraphError when a size is not positive or the inputs do not go together.
    Reference: Vaswani et al. (2017), NeurIPS 30.

    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((None, 16))
    >>> MultiHeadAttention(num_heads=2, key_dim=8)(x, x, use_causal_mask=True).shape
    (None, None, 16)
    """

    num_heads: int
    key_dim: int
    value_dim: int | None = None
    dropout: float = 0.0
    use_bias: bool = True
    output_shape: Any = None
    attention_axes: Any = None
    sliding_window: int | None = None
    flash_attention: bool | None = None
    kernel_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    kernel_regularizer: Any = None
    bias_regularizer: Any = None
    kernel_constraint: Any = None
    bias_constraint: Any = None
    use_gate: bool = False
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("output_shape", "attention_axes"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, int) else value)
        super().__post_init__()

    def validate(self) -> None:
        positive(self, num_heads=self.num_heads, key_dim=self.key_dim)
        optional = {
            "value_dim": self.value_dim,
            "sliding_window": self.sliding_window,
            "output_shape": self.output_shape,
        }
        positive(self, **{name: value for name, value in optional.items() if value is not None})
        check_dropout(self, self.dropout)

    def check(self, *specs: Any, **_: Any) -> None:
        super().check(*specs)
        rank = specs[0].rank
        if any(not 0 < axis < rank - 1 for axis in self.attention_axes_of(rank)):
            raise ShapeMismatchError(
                f"{title(self)} has attention_axes={self.attention_axes!r}.",
                expected=f"axes from 1 to {rank - 2}: neither the batch's nor the features'",
            )

    def projections(self, query: TensorSpec, value: TensorSpec, key: TensorSpec) -> dict[str, tuple[Any, int]]:
        heads, key_dim, value_dim = self.num_heads, self.key_dim, self.value_dim or self.key_dim
        gate = {"gate": ((query.dims[-1], heads, value_dim), 1)} if self.use_gate else {}
        return {
            "query": ((query.dims[-1], heads, key_dim), 1),
            "key": ((key.dims[-1], heads, key_dim), 1),
            **gate,
            "value": ((value.dims[-1], heads, value_dim), 1),
            "output": ((heads, value_dim, *(self.output_shape or query.dims[-1:])), 2),
        }

    def attention_axes_of(self, rank: int) -> tuple[int, ...]:
        if self.attention_axes is None:
            return tuple(range(1, rank - 1))
        return tuple(axis if axis >= 0 else rank + axis for axis in self.attention_axes)


@describes
class GroupQueryAttention(_Heads):
    """MultiHeadAttention in which groups of query heads share one head of key and value.

    Called as MultiHeadAttention is.

    Args:
        head_dim: the width of each head; scores are divided by its square root.
        num_query_heads: how many heads read.
        num_key_value_heads: how many heads are read; it divides `num_query_heads`.
        dropout, use_bias, sliding_window, flash_attention, use_gate, seed: as in MultiHeadAttention.
    Shapes: (batch, queries, n), (batch, steps, m), (batch, steps, k) -> (batch, queries, n), and the proportions
        (batch, query heads, queries, steps); params are query, key, value and output, each a kernel and a bias.
    Raises: GraphError when a size is not positive, or the heads do not divide.
    Reference: Ainslie et al. (2023), EMNLP, 4895-4901.

    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((10, 16))
    >>> GroupQueryAttention(head_dim=8, num_query_heads=4, num_key_value_heads=2)(x, x).shape
    (None, 10, 16)
    """

    head_dim: int
    num_query_heads: int
    num_key_value_heads: int
    dropout: float = 0.0
    use_bias: bool = True
    sliding_window: int | None = None
    flash_attention: bool | None = None
    kernel_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    kernel_regularizer: Any = None
    bias_regularizer: Any = None
    kernel_constraint: Any = None
    bias_constraint: Any = None
    use_gate: bool = False
    seed: int | None = None

    @property
    def default_name(self) -> str:
        """Keras names the class so inside."""
        return "grouped_query_attention"

    def validate(self) -> None:
        positive(self, head_dim=self.head_dim, num_query_heads=self.num_query_heads)
        positive(self, num_key_value_heads=self.num_key_value_heads)
        positive(self, **({} if self.sliding_window is None else {"sliding_window": self.sliding_window}))
        check_dropout(self, self.dropout)
        if self.num_query_heads % self.num_key_value_heads:
            raise GraphValueError(
                f"{title(self)} cannot share its heads out evenly.",
                received=f"num_query_heads={self.num_query_heads}, num_key_value_heads={self.num_key_value_heads}",
                expected="num_key_value_heads to divide num_query_heads",
            )

    def check(self, *specs: Any, **_: Any) -> None:
        super().check(*specs)
        if specs[0].rank != 3:
            raise ShapeMismatchError(
                f"{title(self)} reads sequences.",
                expected="(batch, steps, features) for query, value and key",
                fix="layers.Reshape((-1, features)) makes one sequence of several axes",
            )

    def projections(self, query: TensorSpec, value: TensorSpec, key: TensorSpec) -> dict[str, tuple[Any, int]]:
        read, width, asked = self.num_key_value_heads, self.head_dim, self.num_query_heads
        gate = {"gate": ((query.dims[-1], asked, width), 1)} if self.use_gate else {}
        return {
            "query": ((query.dims[-1], asked, width), 1),
            "key": ((key.dims[-1], read, width), 1),
            **gate,
            "value": ((value.dims[-1], read, width), 1),
            "output": ((asked, width, query.dims[-1]), 2),
        }

    def shared(self, name: str, heads: Array) -> Array:
        return heads if name == "query" else jnp.repeat(heads, self.num_query_heads // self.num_key_value_heads, axis=2)


def _equations(rank: int, axes: tuple[int, ...]) -> tuple[str, str]:
    """The einsums of query and key to scores, and of proportions and value to the output.

    Args:
        rank: of the projected arrays: (batch, ..., heads, width).
        axes: along which they attend; other axes are like the batch's.

    >>> _equations(4, (1,))
    ('abcd,aBcd->acbB', 'acbB,aBcd->abcd')
    """
    asked = string.ascii_lowercase[:rank]
    read = "".join(letter.upper() if axis in axes else letter for axis, letter in enumerate(asked))
    alike = "".join(letter for axis, letter in enumerate(asked[:-1]) if axis not in axes)
    scores = alike + "".join(asked[axis] for axis in axes) + "".join(read[axis] for axis in axes)
    return f"{asked},{read}->{scores}", f"{scores},{read}->{asked}"


def _proportions(
    query: Array, key: Array, axes: tuple[int, ...], masks: list[Array | None], *, keep_empty: bool
) -> Array:
    """(batch, ..., heads, queries, steps): the softmax of the scaled scores, where the masks let it."""
    equation = _equations(query.ndim, axes)[0]
    # At least float32 for the scores: a softmax of half-precision numbers loses small proportions.
    wide = query.dtype if jnp.finfo(query.dtype).bits >= 32 else jnp.float32
    scores = jnp.einsum(equation, query * query.shape[-1] ** -0.5, key, preferred_element_type=wide)
    last = tuple(range(scores.ndim - len(axes), scores.ndim))
    counts = _joined(masks, scores.ndim, len(axes))
    if counts is None:
        return jax.nn.softmax(scores, axis=last).astype(query.dtype)
    probs = jax.nn.softmax(jnp.where(counts, scores, jnp.full_like(scores, -1e9)), axis=last)
    return (probs if keep_empty else jnp.where(counts, probs, jnp.zeros_like(probs))).astype(query.dtype)


def _joined(masks: list[Array | None], rank: int, axes: int) -> Array | None:
    """Where all masks are True, at the rank of the scores: axes that a mask lacks go before queries and steps."""
    joined = None
    for mask in masks:
        if mask is not None:
            split = max(mask.ndim - 2 * axes, 0)
            mask = mask.astype(bool).reshape(mask.shape[:split] + (1,) * (rank - mask.ndim) + mask.shape[split:])
            joined = mask if joined is None else joined & mask
    return joined


def _mask_of(name: str, context: Context, given: Mapping[str, Any]) -> Array | None:
    """The mask of one of query, value and key: the one given by hand, else the one that came with it."""
    if given.get(f"{name}_mask") is not None:
        return given[f"{name}_mask"]
    index = ("query", "value", "key").index(name)
    return context.masks[index] if index < len(context.masks) else None


def _masks(
    query: Array, value: Array, asked: Mapping[str, Array | None], causal: bool, window: int | None
) -> list[Array | None]:
    """What each mask lets through, each laid out to broadcast to (batch, queries, steps)."""
    rows, columns, keys = asked["query"], asked["value"], asked["key"]
    laid = [None if rows is None else rows[:, :, None]]
    laid += [None if mask is None else mask[:, None, :] for mask in (columns, keys)]
    if causal:
        laid.append(causal_mask(query.shape[1], value.shape[1])[None])
    if window is not None:
        apart = jnp.arange(query.shape[1])[:, None] - jnp.arange(value.shape[1])[None, :]
        laid.append((jnp.abs(apart) < window)[None])
    return laid
