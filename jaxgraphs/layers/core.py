"""The layers that most graphs are made of: Dense, Embedding, Activation, Dropout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxgraphs.errors import DTypeMismatchError, GraphValueError, ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, Weight, Weights, describes, positive, single_input
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title
from jaxgraphs.symbolic.spec import TensorSpec


def add_bias(x: Array, bias: Array) -> Array:
    """x + bias along the last axis."""
    return x + bias.reshape((1,) * (x.ndim - 1) + (-1,))


@describes
class Dense(Layer):
    """y = activation(x kernel + bias) along the last axis.

    Args:
        units: the size of the last axis of the output.
        activation: a Keras name or a JAX function; None is linear.
        use_bias: whether there is a bias.
    Shapes: (batch, ..., features) -> (batch, ..., units); kernel (features, units), bias (units,).
    Raises: GraphError when `units` is not positive, or the input is not floating or has no feature axis.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Dense(32, activation="relu")(Input((10, 8))).shape
    (None, 10, 32)
    """

    units: int
    activation: Any = None
    use_bias: bool = True
    kernel_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    kernel_regularizer: Any = None
    bias_regularizer: Any = None
    kernel_constraint: Any = None
    bias_constraint: Any = None

    supports_masking: ClassVar[bool] = True

    def validate(self) -> None:
        positive(self, units=self.units)

    def check(self, *specs: Any, **_: Any) -> None:
        spec = single_input(self, specs)
        if spec.rank < 2:
            raise ShapeMismatchError(
                f"{title(self)} needs an axis of features.",
                expected="(batch, ..., features)",
                fix="layers.Reshape((1,)) makes one of a vector of numbers",
            )
        check_floating(self, spec)

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        kernel = Weight(
            (specs[0].dims[-1], self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        bias = Weight(
            (self.units,),
            self.bias_initializer,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )
        return {"kernel": kernel, "bias": bias} if self.use_bias else {"kernel": kernel}

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        y = self.product(x, weights["kernel"])
        y = add_bias(y, weights["bias"]) if self.use_bias else y
        return self.activation(y) if self.activation else y

    def product(self, x: Array, kernel: Array) -> Array:
        """x kernel, along the last axis of x."""
        return jnp.matmul(x, kernel) if x.ndim == 2 else jnp.tensordot(x, kernel, axes=1)


def look_up(table: Array, ids: Array) -> Array:
    """The table's rows of these numbers; those outside the table read its nearest row, as XLA does for Keras."""
    return jnp.take(table, wide(ids), axis=0, mode="clip")


def wide(ids: Array) -> Array:
    """Ids in a dtype that has room for the number of any row; where there is none XLA reads and writes elsewhere."""
    return ids.astype(jnp.int32) if ids.dtype.itemsize < 4 else ids


@describes
class Embedding(Layer):
    """Looks up a row of a table for each whole number.

    Args:
        input_dim: how many rows; ids run from 0 to input_dim - 1.
        output_dim: the length of a row.
        mask_zero: whether id 0 is padding, which later layers and losses leave out.
    Shapes: (batch, ...) whole numbers -> (batch, ..., output_dim); embedding (input_dim, output_dim).
    Raises: GraphError when a size is not positive or the input is not of whole numbers.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Embedding(10_000, 64)(Input((None,), dtype="int32")).shape
    (None, None, 64)
    """

    input_dim: int
    output_dim: int
    embeddings_initializer: Any = "uniform"
    embeddings_regularizer: Any = None
    embeddings_constraint: Any = None
    mask_zero: bool = False

    def validate(self) -> None:
        positive(self, input_dim=self.input_dim, output_dim=self.output_dim)

    def check(self, *specs: Any, **_: Any) -> None:
        spec = single_input(self, specs)
        if not jnp.issubdtype(spec.dtype, jnp.integer):
            raise DTypeMismatchError(
                f"{title(self)} looks up whole numbers.",
                expected="an integer dtype, such as int32",
                fix='Input((None,), dtype="int32")',
            )

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        table = Weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )
        return {"embedding": table}

    def call(self, weights: Weights, ids: Array, *, context: Context) -> Array:
        return look_up(weights["embedding"], ids)

    def output_mask(self, context: Context, *args: Any, **_: Any) -> Array | None:
        return args[0] != 0 if self.mask_zero else context.mask


@describes
class Activation(Layer):
    """Applies a function to each number.

    Args:
        activation: a Keras name or a JAX function.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Activation("relu")(Input((3,))).shape
    (None, 3)
    """

    activation: Any

    supports_masking: ClassVar[bool] = True

    def validate(self) -> None:
        if self.activation is None:
            raise GraphValueError(f"{title(self)} needs a function.", received="None", fix='Activation("relu")')

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return self.activation(x)


@describes
class Dropout(Layer):
    """In training sets each number to 0 with probability `rate` and divides the others by 1 - rate.

    Args:
        rate: from 0 to 1.
        noise_shape: a shape that broadcasts to the input's; None is the input's own. Axes of size 1 drop together.
        seed: accepted as in Keras; the caller's key decides.
    Reference: Srivastava et al. (2014), JMLR 15, 1929-1958.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Dropout(0.5)(Input((3,))).shape
    (None, 3)
    """

    rate: float
    noise_shape: Any = None
    seed: int | None = None

    supports_masking: ClassVar[bool] = True

    def validate(self) -> None:
        if not 0 <= self.rate <= 1:
            raise GraphValueError(f"{title(self)} needs a rate from 0 to 1.", received=f"rate={self.rate!r}")

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        if not context.train or self.rate == 0:
            return x
        return drop(x, context.key(), self.rate, self.noise_shape)


def drop(x: Array, key: Array, rate: float, noise_shape: Any = None) -> Array:
    """x with numbers dropped with probability `rate`, the rest scaled up; `noise_shape` broadcasts to x."""
    if rate >= 1:
        return jnp.zeros_like(x)
    shape = (
        x.shape
        if noise_shape is None
        else tuple(size if wanted is None else wanted for size, wanted in zip(x.shape, noise_shape, strict=True))
    )
    kept = jax.random.bernoulli(key, 1 - rate, shape)
    return jnp.where(kept, x / (1 - rate), jnp.zeros_like(x))


def check_floating(layer: Layer, spec: TensorSpec) -> None:
    """Refuses whole numbers where a layer multiplies."""
    if not jnp.issubdtype(spec.dtype, jnp.inexact):
        raise DTypeMismatchError(
            f"{title(layer)} multiplies, and its input is of {spec.dtype}.",
            expected="a floating dtype",
            fix="Embedding looks ids up; layers.Rescaling(1.0) makes numbers floating",
        )
