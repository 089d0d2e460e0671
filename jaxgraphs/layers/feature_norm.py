"""Normalisations of each example by itself: of layers, by root mean square, of groups, to unit length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import lax

from jaxgraphs.errors import GraphValueError, ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, Weight, Weights, describes, single_input
from jaxgraphs.layers.core import check_floating
from jaxgraphs.layers.initializers import make
from jaxgraphs.layers.norm import affine, affine_weights, axes_of, widen
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title


@describes
class _PerExample(Layer):
    """What these layers share: a floating input and axes that it has."""

    def check(self, *specs: Any, **_: Any) -> None:
        spec = single_input(self, specs)
        check_floating(self, spec)
        axes_of(self, spec)


@describes
class LayerNormalization(_PerExample):
    """y = scale (x - mean) / sqrt(variance + epsilon) + bias, mean and variance along `axis` of each example.

    Args:
        axis: one axis or several.
        epsilon: added to the variance, in its unit.
        center, scale: whether a bias is added, and whether a scale multiplies.
        rms_scaling: x is divided and scaled, but neither centred nor shifted; RMSNormalization is the layer for that.
    Shapes: (batch, ...) -> the same; scale and bias have the sizes along `axis`.
    Raises: GraphError when there is no such axis or the input is not floating.
    Reference: Ba, Kiros and Hinton (2016), arXiv:1607.06450.

    >>> from jaxgraphs.symbolic.node import Input
    >>> LayerNormalization()(Input((10, 64))).shape
    (None, 10, 64)
    """

    axis: Any = -1
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: Any = "zeros"
    gamma_initializer: Any = "ones"
    beta_regularizer: Any = None
    gamma_regularizer: Any = None
    beta_constraint: Any = None
    gamma_constraint: Any = None
    rms_scaling: bool = False

    supports_masking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.rms_scaling:
            object.__setattr__(self, "scale", True)
            object.__setattr__(self, "center", False)
        super().__post_init__()

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        return affine_weights(self, tuple(specs[0].dims[axis] for axis in axes_of(self, specs[0])))

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        wide, axes = widen(x), _axes(self.axis, x.ndim)
        centred = wide - jnp.mean(wide, axes, keepdims=True)
        inverse = lax.rsqrt(jnp.mean(jnp.square(centred), axes, keepdims=True) + self.epsilon)
        y = (wide if self.rms_scaling else centred) * inverse
        return affine(weights, y, _sizes_along(x, axes)).astype(x.dtype)


@describes
class RMSNormalization(_PerExample):
    """y = scale x / sqrt(mean of x² + epsilon), the mean along `axis` of each example.

    Args:
        axis: one axis or several.
        epsilon: added to the mean square, in its unit.
    Shapes: (batch, ...) -> the same; scale has the sizes along `axis`.
    Raises: GraphError when there is no such axis or the input is not floating.
    Reference: Zhang and Sennrich (2019), NeurIPS 32.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RMSNormalization()(Input((10, 64))).shape
    (None, 10, 64)
    """

    axis: Any = -1
    epsilon: float = 1e-6

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        return {"scale": Weight(tuple(specs[0].dims[axis] for axis in axes_of(self, specs[0])), make("ones"))}

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        wide, axes = widen(x), _axes(self.axis, x.ndim)
        y = wide * lax.rsqrt(jnp.mean(jnp.square(wide), axes, keepdims=True) + self.epsilon)
        return affine(weights, y, _sizes_along(x, axes)).astype(x.dtype)


@describes
class GroupNormalization(_PerExample):
    """y = scale (x - mean) / sqrt(variance + epsilon) + bias, over each group of channels of each example.

    Args:
        groups: how many; it divides the channels. 1 normalises all channels together, -1 each by itself.
        axis: the axis of channels, not the batch axis.
        epsilon: added to the variance, in its unit.
        center, scale: whether a bias is added, and whether a scale multiplies.
    Shapes: (batch, ...) -> the same; scale and bias (channels,).
    Raises: GraphError when the groups do not divide the channels, or their number is not known.
    Reference: Wu and He (2018), ECCV, 3-19.

    >>> from jaxgraphs.symbolic.node import Input
    >>> GroupNormalization(groups=4)(Input((28, 28, 16))).shape
    (None, 28, 28, 16)
    """

    groups: int = 32
    axis: int = -1
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: Any = "zeros"
    gamma_initializer: Any = "ones"
    beta_regularizer: Any = None
    gamma_regularizer: Any = None
    beta_constraint: Any = None
    gamma_constraint: Any = None

    supports_masking: ClassVar[bool] = True

    def validate(self) -> None:
        if not isinstance(self.groups, int) or (self.groups < 1 and self.groups != -1):
            raise GraphValueError(
                f"{title(self)} needs a whole number of groups.",
                received=f"groups={self.groups!r}",
                expected="1 or more, or -1 for one group for each channel",
            )

    def check(self, *specs: Any, **_: Any) -> None:
        super().check(*specs)
        (axis,) = axes_of(self, specs[0])
        channels = specs[0].dims[axis]
        if axis == 0 or not isinstance(channels, int) or channels % self.groups:
            raise ShapeMismatchError(
                f"{title(self)} cannot divide its channels into {self.groups} groups.",
                expected=f"a known number of channels along axis {self.axis}, a multiple of {self.groups}",
                fix=f"GroupNormalization(groups=...) with a divisor of {channels}"
                if isinstance(channels, int)
                else "Input with a known number of channels",
            )

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        (axis,) = axes_of(self, specs[0])
        return affine_weights(self, (specs[0].dims[axis],))

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        axis = self.axis % x.ndim
        groups = x.shape[axis] if self.groups == -1 else self.groups
        split = (*x.shape[:axis], groups, x.shape[axis] // groups, *x.shape[axis + 1 :])
        wide = widen(x).reshape(split)
        axes = tuple(place for place in range(1, wide.ndim) if place != axis)
        centred = wide - jnp.mean(wide, axes, keepdims=True)
        y = centred * lax.rsqrt(jnp.mean(jnp.square(centred), axes, keepdims=True) + self.epsilon)
        return affine(weights, y.reshape(x.shape), _sizes_along(x, (axis,))).astype(x.dtype)


@describes
class UnitNormalization(_PerExample):
    """Vectors along `axis` scaled to length 1; those of length 0 stay 0.

    Args:
        axis: one axis or several.
    Shapes: (batch, ...) -> the same.
    Raises: GraphError when there is no such axis or the input is not floating.

    >>> from jaxgraphs.symbolic.node import Input
    >>> UnitNormalization()(Input((10, 64))).shape
    (None, 10, 64)
    """

    axis: Any = -1

    supports_masking: ClassVar[bool] = True

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return unit_length(x, self.axis, 1e-12)


def unit_length(x: Array, axis: Any, shortest: float) -> Array:
    """x over its length along `axis`; vectors shorter than `shortest` are divided by that."""
    wide = widen(x)
    square = jnp.sum(jnp.square(wide), axis, keepdims=True)
    # The larger of two squares, rather than of two lengths, keeps the gradient finite at 0.
    return (wide * lax.rsqrt(jnp.maximum(square, shortest**2))).astype(x.dtype)


def _axes(axis: Any, rank: int) -> tuple[int, ...]:
    return tuple(sorted(place % rank for place in (axis if isinstance(axis, tuple) else (axis,))))


def _sizes_along(x: Array, axes: tuple[int, ...]) -> tuple[Any, ...]:
    """x' shape with 1 for every other axis."""
    return tuple(size if axis in axes else 1 for axis, size in enumerate(x.shape))
