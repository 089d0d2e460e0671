"""Numbers made ready for a network: Rescaling, Normalization, CategoryEncoding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.errors import DTypeMismatchError, GraphTypeError, GraphValueError, ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, Weight, Weights, describes, positive, single_input
from jaxgraphs.layers.initializers import make
from jaxgraphs.layers.sizes import axis_in
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title

# Keras' smallest standard deviation.
_EPSILON = 1e-7


@describes
class Rescaling(Layer):
    """y = x scale + offset; whole numbers become floating.

    Args:
        scale, offset: a number, or one for each size of the last axis.
    Shapes: (batch, ...) -> the same.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Rescaling(1 / 127.5, offset=-1.0)(Input((28, 28, 3), dtype="uint8")).dtype
    dtype('float32')
    """

    scale: Any
    offset: Any = 0.0

    supports_masking: ClassVar[bool] = True

    def check(self, *specs: Any, **_: Any) -> None:
        single_input(self, specs)

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        x = as_floating(self, x)
        return x * _last_axes(self.scale, x) + _last_axes(self.offset, x)


@describes
class Normalization(Layer):
    """y = (x - mean) / sqrt(variance), or the way back; `adapt` finds both in data.

    Without mean and variance they are carried as state, 0 and 1 at first, which a ported model fills.

    Args:
        axis: the axis or axes along which each place has a mean of its own; None is one mean for all.
        mean, variance: numbers, or an array with the sizes along `axis`.
        invert: whether to compute x sqrt(variance) + mean instead.
    Shapes: (batch, ...) -> the same; mean and var have the sizes along `axis`, count is one whole number.
    Raises: GraphError when only one of the two is given, or the input lacks an axis.

    >>> from jaxgraphs.symbolic.node import Input
    >>> layer = Normalization().adapt(np.array([[0.0, 5.0], [2.0, 5.0]]))
    >>> layer.mean, layer.variance
    ((1.0, 5.0), (1.0, 0.0))
    """

    axis: Any = -1
    mean: Any = None
    variance: Any = None
    invert: bool = False

    supports_masking: ClassVar[bool] = True

    def validate(self) -> None:
        if (self.mean is None) != (self.variance is None) or np.shape(self.mean) != np.shape(self.variance):
            raise GraphValueError(
                f"{title(self)} needs mean and variance together, and of one shape.",
                received=f"mean={self.mean!r}, variance={self.variance!r}",
                fix="Normalization().adapt(data) finds both",
            )

    def check(self, *specs: Any, **_: Any) -> None:
        spec = single_input(self, specs)
        if any(axis_in(axis, spec.rank) is None for axis in self._wanted):
            raise ShapeMismatchError(
                f"{title(self)} has axis={self.axis!r}, and its input has {spec.rank} axes.",
                expected=f"axes from {-spec.rank} to {spec.rank - 1}, or None",
            )
        sizes = [spec.dims[axis] for axis in self._axes(spec.rank)]
        if self.mean is not None and not _broadcasts(np.shape(self.mean), sizes):
            raise ShapeMismatchError(
                f"{title(self)} has means of another shape than its input.",
                expected=f"{np.shape(self.mean)} along axis {self.axis}",
                fix="adapt the layer to data of this shape",
            )

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        if self.mean is not None:
            return {}
        sizes = tuple(specs[0].dims[axis] for axis in self._axes(specs[0].rank))
        # Keras counts what it was adapted to; the number is kept so that its files have a place for it.
        count = Weight((), make("zeros"), "batch_stats", dtype="int32")
        return {
            "mean": Weight(sizes, make("zeros"), "batch_stats"),
            "var": Weight(sizes, make("ones"), "batch_stats"),
            "count": count,
        }

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        x = as_floating(self, x)
        known = self.mean is not None
        mean = self._spread(self.mean if known else weights["mean"], x)
        variance = self._spread(self.variance if known else weights["var"], x)
        deviation = jnp.maximum(jnp.sqrt(variance), _EPSILON)
        return x * deviation + mean if self.invert else (x - mean) / deviation

    def adapt(self, data: Any) -> Normalization:
        """The same layer with the mean and the variance of data.

        Args:
            data: an array, the batch axis first, or an iterable of batches; of a tuple the first counts.
        Raises: GraphTypeError when there is no batch.
        """
        batches = [data] if hasattr(data, "shape") else _batches(data)
        count, mean, variance = 0, np.zeros(()), np.zeros(())
        for batch in batches:
            numbers = np.asarray(batch, np.float64)
            axes = tuple(axis for axis in range(numbers.ndim) if axis not in self._axes(numbers.ndim))
            size = int(np.prod([numbers.shape[axis] for axis in axes]))
            share, own_mean, own = size / (count + size), numbers.mean(axes), numbers.var(axes)
            # Two parts' variance: the mean of both, and how far the parts' means lie apart.
            variance = variance * (1 - share) + own * share + (own_mean - mean) ** 2 * share * (1 - share)
            mean, count = mean + (own_mean - mean) * share, count + size
        if not count:
            raise GraphTypeError(f"{title(self)} was adapted to no data.", expected="an array, or batches of one")
        return self.replace(mean=mean.tolist(), variance=variance.tolist())

    @property
    def _wanted(self) -> tuple[int, ...]:
        return () if self.axis is None else self.axis if isinstance(self.axis, tuple) else (self.axis,)

    def _axes(self, rank: int) -> tuple[int, ...]:
        return tuple(sorted(axis % rank for axis in self._wanted))

    def _spread(self, values: Any, x: Array) -> Array:
        """The values laid along the kept axes, the last along the last."""
        array = jnp.asarray(values, x.dtype)
        shape = [1] * x.ndim
        for axis, size in zip(reversed(self._axes(x.ndim)), reversed(array.shape), strict=False):
            shape[axis] = size
        return array.reshape(shape)


@describes
class CategoryEncoding(Layer):
    """Whole numbers below `num_tokens` as vectors of that length.

    Args:
        num_tokens: how many categories.
        output_mode: "one_hot" is a vector for each number; "multi_hot" has a 1 for each category that occurs along the
            last axis, and "count" how often it does.
        sparse: only False; arrays are dense.
    Shapes: (batch, n) -> (batch, num_tokens); with "one_hot" (batch, ..., num_tokens), a last axis of size 1 dropped.
    Raises: GraphError for another mode, or an input that is not of whole numbers.

    >>> from jaxgraphs.symbolic.node import Input
    >>> CategoryEncoding(5, output_mode="count")(Input((3,), dtype="int32")).shape
    (None, 5)
    """

    num_tokens: int
    output_mode: str = "multi_hot"
    sparse: bool = False

    def validate(self) -> None:
        positive(self, num_tokens=self.num_tokens)
        if self.output_mode not in ("one_hot", "multi_hot", "count") or self.sparse:
            raise GraphValueError(
                f"{title(self)} knows three output modes, all dense.",
                received=f"output_mode={self.output_mode!r}, sparse={self.sparse}",
                expected="'one_hot', 'multi_hot' or 'count', and sparse=False",
            )

    def check(self, *specs: Any, **_: Any) -> None:
        spec = single_input(self, specs[:1])
        if not jnp.issubdtype(spec.dtype, jnp.integer):
            raise DTypeMismatchError(
                f"{title(self)} encodes whole numbers.", expected="an integer dtype", fix='Input((3,), dtype="int32")'
            )
        if self.output_mode != "one_hot" and spec.rank != 2:
            raise ShapeMismatchError(
                f"{title(self)} encodes a row of numbers as one vector.",
                expected="(batch, n)",
                fix="CategoryEncoding(..., output_mode='one_hot') takes other shapes",
            )

    def call(self, weights: Weights, x: Array, *, context: Context, count_weights: Array | None = None) -> Array:
        dtype = self.compute_dtype or jnp.float32
        if self.output_mode == "one_hot":
            drop = x.ndim > 1 and isinstance(x.shape[-1], int) and x.shape[-1] == 1
            return jax.nn.one_hot(x[..., 0] if drop else x, self.num_tokens, dtype=dtype)
        hot = jax.nn.one_hot(x, self.num_tokens, dtype=dtype)
        if self.output_mode == "multi_hot":
            return jnp.max(hot, axis=1)
        return jnp.sum(hot if count_weights is None else hot * count_weights.astype(dtype)[..., None], axis=1)


def as_floating(layer: Layer, x: Array) -> Array:
    """x as floating numbers: its own, the layer's, or float32 where it has whole ones."""
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(layer.compute_dtype or jnp.float32)


def _last_axes(values: Any, x: Array) -> Array:
    array = jnp.asarray(values, x.dtype)
    return array.reshape((1,) * (x.ndim - array.ndim) + array.shape)


def _broadcasts(shape: tuple[int, ...], sizes: list[Any]) -> bool:
    pairs = zip(reversed(shape), reversed(sizes), strict=False)
    return len(shape) <= len(sizes) and all(a in (1, b) or not isinstance(b, int) for a, b in pairs)


def _batches(data: Any) -> Iterable[Any]:
    if not isinstance(data, Iterable):
        raise GraphTypeError(
            "Normalization cannot be adapted to this.", received=repr(data), expected="an array, or batches"
        )
    return (batch[0] if isinstance(batch, tuple) else batch for batch in data)
