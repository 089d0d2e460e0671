"""Activations with arguments or weights of their own: ReLU, LeakyReLU, PReLU, ELU, Softmax."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphValueError, ShapeMismatchError
from jaxgraphs.layers.activations import relu
from jaxgraphs.layers.base import Array, Layer, Weight, Weights, describes, single_input
from jaxgraphs.layers.sizes import axis_in
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title


@describes
class ReLU(Layer):
    """x where threshold < x, at most max_value; negative_slope (x - threshold) below.

    Args:
        max_value: the largest output; None is no limit.
        negative_slope: of the part below the threshold; 0 or more.
        threshold: 0 or more.
    Shapes: any -> the same.
    Raises: GraphValueError for a negative argument.

    >>> from jaxgraphs.symbolic.node import Input
    >>> ReLU(max_value=6.0)(Input((3,))).shape
    (None, 3)
    """

    max_value: float | None = None
    negative_slope: float = 0.0
    threshold: float = 0.0

    supports_masking: ClassVar[bool] = True

    def validate(self) -> None:
        if min(self.max_value or 0, self.negative_slope, self.threshold) < 0:
            raise GraphValueError(
                f"{title(self)} has a negative argument.",
                received=f"max_value={self.max_value}, negative_slope={self.negative_slope}, "
                f"threshold={self.threshold}",
                expected="numbers of 0 or more, and None for no max_value",
            )

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        y = jnp.where(x > self.threshold, x, jnp.zeros_like(x)) if self.threshold else relu(x)
        y = y if self.max_value is None else jnp.clip(y, 0, self.max_value)
        return y - self.negative_slope * jax.nn.relu(self.threshold - x) if self.negative_slope else y


@describes
class LeakyReLU(Layer):
    """x where positive, else negative_slope x.

    Args:
        negative_slope: 0 or more.
    Shapes: any -> the same.
    Raises: GraphValueError for a negative slope.
    Reference: Maas, Hannun and Ng (2013), ICML workshop on deep learning for audio, speech and language processing.

    >>> from jaxgraphs.symbolic.node import Input
    >>> LeakyReLU()(Input((3,))).shape
    (None, 3)
    """

    negative_slope: float = 0.3

    supports_masking: ClassVar[bool] = True

    def validate(self) -> None:
        if self.negative_slope < 0:
            raise GraphValueError(
                f"{title(self)} has a negative slope.",
                received=f"negative_slope={self.negative_slope!r}",
                expected="a number of 0 or more",
            )

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return jax.nn.leaky_relu(x, self.negative_slope)


@describes
class PReLU(Layer):
    """x where positive, else alpha x, with alpha learned for each place of an example.

    Args:
        shared_axes: axes along which alpha is the same, counted with the batch as 0; (1, 2) leaves one for each channel
            of an image.
    Shapes: (batch, ...) -> the same; alpha has the sizes without the batch, 1 along shared axes.
    Raises: ShapeMismatchError when the input lacks a shared axis.
    Reference: He et al. (2015), ICCV, 1026-1034.

    >>> from jaxgraphs.symbolic.node import Input
    >>> PReLU(shared_axes=[1, 2])(Input((28, 28, 3))).shape
    (None, 28, 28, 3)
    """

    alpha_initializer: Any = "zeros"
    alpha_regularizer: Any = None
    alpha_constraint: Any = None
    shared_axes: Any = None

    supports_masking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if isinstance(self.shared_axes, int):
            object.__setattr__(self, "shared_axes", (self.shared_axes,))
        super().__post_init__()

    def check(self, *specs: Any, **_: Any) -> None:
        spec = single_input(self, specs)
        if any(axis_in(axis, spec.rank) in (None, 0) for axis in self.shared_axes or ()):
            raise ShapeMismatchError(
                f"{title(self)} shares alpha along axes that the input lacks.",
                expected=f"shared_axes from 1 to {spec.rank - 1}",
                fix=f"PReLU(shared_axes={list(range(1, spec.rank - 1))}) shares all but the channels",
            )

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        spec = specs[0]
        shared = {axis_in(axis, spec.rank) for axis in self.shared_axes or ()}
        shape = tuple(1 if axis in shared else spec.dims[axis] for axis in range(1, spec.rank))
        alpha = Weight(
            shape, self.alpha_initializer, regularizer=self.alpha_regularizer, constraint=self.alpha_constraint
        )
        return {"alpha": alpha}

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return jax.nn.relu(x) - weights["alpha"][None] * jax.nn.relu(-x)


@describes
class ELU(Layer):
    """x where positive, else alpha (exp x - 1).

    Args:
        alpha: minus the limit far below 0.
    Shapes: any -> the same.
    Reference: Clevert, Unterthiner and Hochreiter (2016), ICLR, arXiv:1511.07289.

    >>> from jaxgraphs.symbolic.node import Input
    >>> ELU()(Input((3,))).shape
    (None, 3)
    """

    alpha: float = 1.0

    supports_masking: ClassVar[bool] = True

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return jax.nn.elu(x, self.alpha)


@describes
class Softmax(Layer):
    """exp x over its sum along `axis`; a mask of the input's rank leaves numbers out, which become 0.

    A mask of lower rank is one of steps: it goes on to the output and changes no number.

    Args:
        axis: one axis, or several that sum to 1 together.
    Shapes: any -> the same.
    Raises: ShapeMismatchError when the input lacks an axis.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Softmax()(Input((3,))).shape
    (None, 3)
    """

    axis: Any = -1

    supports_masking: ClassVar[bool] = True

    def check(self, *specs: Any, **_: Any) -> None:
        spec = single_input(self, specs)
        axes = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        if not axes or any(axis_in(axis, spec.rank) is None for axis in axes):
            raise ShapeMismatchError(
                f"{title(self)} has axis={self.axis!r}, and its input has {spec.rank} axes.",
                expected=f"axes from {-spec.rank} to {spec.rank - 1}",
                fix="axis=-1 is the last",
            )

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        mask = context.mask
        if mask is None or mask.ndim != x.ndim:
            return jax.nn.softmax(x, axis=self.axis)
        counts = mask if mask.dtype == bool else mask > 0.5
        # Keras' numbers: low enough for a share of 0, and within float16.
        low = -3e4 if x.dtype == jnp.float16 else -1e9
        probs = jax.nn.softmax(jnp.where(counts, x, jnp.full_like(x, low)), axis=self.axis)
        return jnp.where(counts, probs, jnp.zeros_like(probs))
