"""Layers that disturb their input in training and leave it alone at inference."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphValueError, ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, Weights, describes, single_input
from jaxgraphs.layers.core import check_floating, drop
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title

# Of the SELU activation; their product is what it tends to far below 0.
_ALPHA = 1.6732632423543772848170429916717
_SCALE = 1.0507009873554804934193349852946


@describes
class GaussianNoise(Layer):
    """In training adds noise of mean 0.

    Args:
        stddev: the noise's standard deviation, in the input's unit; from 0 to 1.
        seed: accepted as in Keras; the caller's key decides.
    Shapes: any -> the same.
    Raises: GraphError for another stddev, or an input that is not floating.

    >>> from jaxgraphs.symbolic.node import Input
    >>> GaussianNoise(0.1)(Input((3,))).shape
    (None, 3)
    """

    stddev: float
    seed: int | None = None

    supports_masking: ClassVar[bool] = True

    def validate(self) -> None:
        check_rate(self, "stddev", self.stddev)

    def check(self, *specs: Any, **_: Any) -> None:
        check_floating(self, single_input(self, specs))

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        if not context.train or not self.stddev:
            return x
        return x + self.stddev * jax.random.normal(context.key(), x.shape, x.dtype)


@describes
class GaussianDropout(Layer):
    """In training multiplies by noise of mean 1 and variance rate / (1 - rate).

    Args:
        rate: from 0 to 1; 1 is left out, as the noise has no bounds there.
        seed: accepted as in Keras; the caller's key decides.
    Shapes: any -> the same.
    Raises: GraphError for another rate, or an input that is not floating.
    Reference: Srivastava et al. (2014), JMLR 15, 1929-1958.

    >>> from jaxgraphs.symbolic.node import Input
    >>> GaussianDropout(0.5)(Input((3,))).shape
    (None, 3)
    """

    rate: float
    seed: int | None = None

    supports_masking: ClassVar[bool] = True

    def validate(self) -> None:
        if not 0 <= self.rate < 1:
            raise GraphValueError(f"{title(self)} needs a rate from 0 to below 1.", received=f"rate={self.rate!r}")

    def check(self, *specs: Any, **_: Any) -> None:
        check_floating(self, single_input(self, specs))

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        if not context.train or not self.rate:
            return x
        stddev = (self.rate / (1 - self.rate)) ** 0.5
        return x * (1 + stddev * jax.random.normal(context.key(), x.shape, x.dtype))


@describes
class AlphaDropout(Layer):
    """In training sets numbers to SELU's lower limit with probability `rate`, and keeps mean 0 and variance 1.

    Args:
        rate: from 0 to 1; 1 is left out, as nothing would be kept to scale.
        noise_shape: a shape that broadcasts to the input's; None is the input's own. Axes of size 1 drop together.
        seed: accepted as in Keras; the caller's key decides.
    Shapes: any -> the same.
    Raises: GraphError for another rate, or an input that is not floating.
    Reference: Klambauer et al. (2017), NeurIPS 30.

    >>> from jaxgraphs.symbolic.node import Input
    >>> AlphaDropout(0.5)(Input((3,))).shape
    (None, 3)
    """

    rate: float
    noise_shape: Any = None
    seed: int | None = None

    supports_masking: ClassVar[bool] = True

    def validate(self) -> None:
        if not 0 <= self.rate < 1:
            raise GraphValueError(f"{title(self)} needs a rate from 0 to below 1.", received=f"rate={self.rate!r}")

    def check(self, *specs: Any, **_: Any) -> None:
        spec = single_input(self, specs)
        check_floating(self, spec)
        if self.noise_shape is not None and len(self.noise_shape) != spec.rank:
            raise ShapeMismatchError(
                f"{title(self)} has a noise_shape of another rank than its input.",
                expected=f"{spec.rank} sizes, each 1, None or the input's",
                fix="None in noise_shape stands for the input's own size",
            )

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        if not context.train or not self.rate:
            return x
        sizes = self.noise_shape or (None,) * x.ndim
        shape = tuple(own if size is None else size for size, own in zip(sizes, x.shape, strict=True))
        low = -_ALPHA * _SCALE
        kept = jax.random.bernoulli(context.key(), 1 - self.rate, shape)
        factor = ((1 - self.rate) * (1 + self.rate * low**2)) ** -0.5
        return factor * jnp.where(kept, x, jnp.full_like(x, low)) - factor * low * self.rate


@describes
class _SpatialDropout(Layer):
    """Whole feature maps are dropped together."""

    supports_masking: ClassVar[bool] = True
    rank: ClassVar[int] = 3

    def validate(self) -> None:
        check_rate(self, "rate", self._options()[0])

    def check(self, *specs: Any, **_: Any) -> None:
        spec = single_input(self, specs)
        check_floating(self, spec)
        if spec.rank != self.rank:
            raise ShapeMismatchError(
                f"{title(self)} drops whole feature maps.",
                expected=f"{self.rank} axes: the batch, {self.rank - 2} in space or time, and the features",
                fix=f"layers.SpatialDropout{spec.rank - 2}D" if 3 <= spec.rank <= 5 else "layers.Dropout",
            )

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        rate, data_format = self._options()
        if not context.train or not rate:
            return x
        alike = (1,) * (self.rank - 2)
        first = data_format == "channels_first"
        return drop(x, context.key(), rate, (None, None, *alike) if first else (None, *alike, None))

    def _options(self) -> tuple[float, str]:
        fields: Any = self
        return fields.rate, checked_data_format(self, getattr(fields, "data_format", None))


@describes
class SpatialDropout1D(_SpatialDropout):
    """In training drops whole features of a sequence with probability `rate` and scales the others up.

    Args:
        rate: from 0 to 1.
        seed: accepted as in Keras; the caller's key decides.
    Shapes: (batch, time, features) -> the same.
    Raises: GraphError for another rate or rank, or an input that is not floating.
    Reference: Tompson et al. (2015), CVPR, 648-656.

    >>> from jaxgraphs.symbolic.node import Input
    >>> SpatialDropout1D(0.5)(Input((10, 3))).shape
    (None, 10, 3)
    """

    rate: float
    seed: int | None = None


@describes
class SpatialDropout2D(_SpatialDropout):
    """In training drops whole channels of an image with probability `rate` and scales the others up.

    Args:
        rate: from 0 to 1.
        data_format: "channels_last" (also None) or "channels_first".
        seed: accepted as in Keras; the caller's key decides.
    Shapes: (batch, rows, columns, channels), or (batch, channels, rows, columns) -> the same.
    Raises, Reference: as SpatialDropout1D.

    >>> from jaxgraphs.symbolic.node import Input
    >>> SpatialDropout2D(0.5)(Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    rate: float
    data_format: str | None = None
    seed: int | None = None

    rank: ClassVar[int] = 4


@describes
class SpatialDropout3D(_SpatialDropout):
    """In training drops whole channels of a volume with probability `rate` and scales the others up.

    Args:
        rate: from 0 to 1.
        data_format: "channels_last" (also None) or "channels_first".
        seed: accepted as in Keras; the caller's key decides.
    Shapes: (batch, depth, rows, columns, channels), or (batch, channels, depth, rows, columns) -> the same.
    Raises, Reference: as SpatialDropout1D.

    >>> from jaxgraphs.symbolic.node import Input
    >>> SpatialDropout3D(0.5)(Input((4, 8, 8, 3))).shape
    (None, 4, 8, 8, 3)
    """

    rate: float
    data_format: str | None = None
    seed: int | None = None

    rank: ClassVar[int] = 5


def check_rate(layer: Layer, name: str, value: float) -> None:
    """Refuses what is not from 0 to 1."""
    if not 0 <= value <= 1:
        raise GraphValueError(f"{title(layer)} needs {name} from 0 to 1.", received=f"{name}={value!r}")


def checked_data_format(layer: Layer, value: Any) -> str:
    """ "channels_last" or "channels_first"; None is the former."""
    if value in (None, "channels_last", "channels_first"):
        return value or "channels_last"
    raise GraphValueError(
        f"{title(layer)} knows two orders of axes.",
        received=f"data_format={value!r}",
        expected="'channels_last' or 'channels_first'",
    )
