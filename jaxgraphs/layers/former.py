"""Layers that Keras 1 and 2 had and Keras 3 has not, for the models that were made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxgraphs.errors import ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, Weight, Weights, describes, positive, single_input
from jaxgraphs.layers.core import add_bias, check_floating
from jaxgraphs.layers.extremes import largest
from jaxgraphs.layers.initializers import make
from jaxgraphs.layers.spatial import SpatialLayer
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title
from jaxgraphs.symbolic.spec import TensorSpec


@describes
class Highway(Layer):
    """y = t activation(x W + b) + (1 - t) x, with t = sigmoid(x C + c): a Dense that may let its input through.

    Args:
        activation: a Keras name or a JAX function; None is linear.
        use_bias: whether there are b and c; c starts from ones.
    Shapes: (batch, features) -> the same; both kernels (features, features), both biases (features,).
    Raises: GraphError when the input is not of two axes, or not floating.
    Reference: Srivastava, Greff and Schmidhuber (2015), arXiv 1505.00387.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Highway(activation="relu")(Input((8,))).shape
    (None, 8)
    """

    activation: Any = None
    use_bias: bool = True
    kernel_initializer: Any = "glorot_uniform"
    kernel_regularizer: Any = None
    bias_regularizer: Any = None
    kernel_constraint: Any = None
    bias_constraint: Any = None

    def check(self, *specs: Any, **_: Any) -> None:
        check_floating(self, _row(self, specs))

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        size = specs[0].dims[-1]
        kernel = _limits(self, "kernel")
        kernels = {f"{name}_kernel": Weight((size, size), self.kernel_initializer, **kernel) for name in _WAYS}
        starts = zip(_WAYS, ("zeros", "ones"), strict=True)
        biases = {f"{name}_bias": Weight((size,), make(start), **_limits(self, "bias")) for name, start in starts}
        return {**kernels, **biases} if self.use_bias else kernels

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        new, share = (jnp.matmul(x, weights[f"{name}_kernel"]) for name in _WAYS)
        if self.use_bias:
            new, share = add_bias(new, weights["plain_bias"]), add_bias(share, weights["carry_bias"])
        share = jax.nn.sigmoid(share)
        return share * (self.activation(new) if self.activation else new) + (1 - share) * x


_WAYS = ("plain", "carry")


@describes
class MaxoutDense(Layer):
    """The largest, number by number, of several linear maps of the input.

    Args:
        units: the size of the output's last axis.
        nb_feature: how many maps.
        use_bias: whether each has a bias.
    Shapes: (batch, features) -> (batch, units); kernel (nb_feature, features, units), bias (nb_feature, units).
    Raises: GraphError when a number is not positive, or the input is not of two axes, or not floating.
    Reference: Goodfellow, Warde-Farley, Mirza, Courville and Bengio (2013), ICML, 1319-1327.

    >>> from jaxgraphs.symbolic.node import Input
    >>> MaxoutDense(3)(Input((8,))).shape
    (None, 3)
    """

    units: int
    nb_feature: int = 4
    use_bias: bool = True
    kernel_initializer: Any = "glorot_uniform"
    kernel_regularizer: Any = None
    bias_regularizer: Any = None
    kernel_constraint: Any = None
    bias_constraint: Any = None

    def validate(self) -> None:
        positive(self, units=self.units, nb_feature=self.nb_feature)

    def check(self, *specs: Any, **_: Any) -> None:
        check_floating(self, _row(self, specs))

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        shape = (self.nb_feature, specs[0].dims[-1], self.units)
        made = {"kernel": Weight(shape, self.kernel_initializer, **_limits(self, "kernel"))}
        own = Weight((self.nb_feature, self.units), make("zeros"), **_limits(self, "bias"))
        return made | ({"bias": own} if self.use_bias else {})

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        y = jnp.einsum("bi,fio->bfo", x, weights["kernel"])
        return largest(y + weights["bias"][None] if self.use_bias else y, axis=1)


@describes
class _Local(SpatialLayer):
    """A convolution with a kernel of its own at each place."""

    filters: int
    kernel_size: Any
    strides: Any = 1
    padding: str = "valid"
    data_format: Any = None
    activation: Any = None
    use_bias: bool = True
    kernel_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    kernel_regularizer: Any = None
    bias_regularizer: Any = None
    kernel_constraint: Any = None
    bias_constraint: Any = None

    per_axis: ClassVar[Mapping[str, int]] = {"kernel_size": 1, "strides": 1}
    paddings: ClassVar[tuple[str, ...]] = ("valid",)

    def validate(self) -> None:
        positive(self, filters=self.filters)

    def check_input(self, spec: TensorSpec) -> None:
        check_floating(self, spec)
        sizes = [spec.dims[axis] for axis in self.spatial_axes]
        if any(
            not isinstance(size, int) or size < kernel for size, kernel in zip(sizes, self.kernel_size, strict=True)
        ):
            raise ShapeMismatchError(
                f"{title(self)} has weights for each place, and must know how many there are.",
                expected=f"sides of at least {self.kernel_size}",
            )

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        places = self._places(specs[0].dims)
        window = specs[0].dims[self.channel_axis] * math.prod(self.kernel_size)
        shape = (math.prod(places), window, self.filters)
        made = {"kernel": Weight(shape, self.kernel_initializer, **_limits(self, "kernel"))}
        own = Weight((*places, self.filters), self.bias_initializer, **_limits(self, "bias"))
        return made | ({"bias": own} if self.use_bias else {})

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        places = self._places(x.shape)
        y = jnp.einsum("bpw,pwf->bpf", self._windows(x, places), weights["kernel"])
        y = y.reshape(x.shape[0], *places, self.filters)
        y = y + weights["bias"][None] if self.use_bias else y
        y = jnp.moveaxis(y, -1, 1) if self.channels_first else y
        return self.activation(y) if self.activation else y

    def _places(self, dims: Any) -> tuple[int, ...]:
        """How many places there are along each axis."""
        sizes = [dims[axis] for axis in self.spatial_axes]
        return tuple(
            (size - kernel) // step + 1
            for size, kernel, step in zip(sizes, self.kernel_size, self.strides, strict=True)
        )

    def _windows(self, x: Array, places: tuple[int, ...]) -> Array:
        """(batch, places, numbers in a window), these in the order of the input's axes."""
        for index, (count, kernel, step) in enumerate(zip(places, self.kernel_size, self.strides, strict=True)):
            at = jnp.arange(count)[:, None] * step + jnp.arange(kernel)[None, :]
            # Each axis becomes two, the place and what is within its window.
            x = jnp.take(x, at, axis=self.spatial_axes[index] + index)
        first = self.spatial_axes[0]
        outer = [first + 2 * index for index in range(self.rank)]
        rest = [axis for axis in range(1, x.ndim) if axis not in outer]
        x = x.transpose(0, *outer, *rest)
        return x.reshape(x.shape[0], math.prod(places), math.prod(x.shape[1 + self.rank :]))


@describes
class LocallyConnected1D(_Local):
    """A convolution over time with a kernel of its own at each place.

    Args:
        filters: how many numbers each place gives.
        kernel_size, strides: the length of a window, and the step from one to the next.
        padding: only "valid".
        data_format: "channels_last" (None is this) or "channels_first".
        activation: a Keras name or a JAX function; None is linear.
        use_bias: whether there is a bias for each place.
    Shapes: (batch, steps, features) -> (batch, places, filters); kernel (places, kernel_size features, filters), bias
        (places, filters).
    Raises: GraphError when the steps are not known, or fewer than the kernel's.

    >>> from jaxgraphs.symbolic.node import Input
    >>> LocallyConnected1D(4, 3)(Input((10, 8))).shape
    (None, 8, 4)
    """

    rank: ClassVar[int] = 1


@describes
class LocallyConnected2D(_Local):
    """A convolution over pictures with a kernel of its own at each place, as faces have been told apart by.

    Args: as for `LocallyConnected1D`, with one number or two.
    Shapes: (batch, height, width, channels) -> (batch, rows, columns, filters); kernel (rows columns, numbers in a
        window, filters), bias (rows, columns, filters).
    Raises: GraphError when the sides are not known, or shorter than the kernel's.
    Reference: Taigman, Yang, Ranzato and Wolf (2014), CVPR, 1701-1708.

    >>> from jaxgraphs.symbolic.node import Input
    >>> LocallyConnected2D(4, 3, strides=2)(Input((9, 9, 8))).shape
    (None, 4, 4, 4)
    """

    rank: ClassVar[int] = 2


def _row(layer: Layer, specs: tuple[Any, ...]) -> TensorSpec:
    spec = single_input(layer, specs)
    if spec.rank != 2:
        raise ShapeMismatchError(f"{title(layer)} reads rows of features.", expected="(batch, features)")
    return spec


def _limits(layer: Any, part: str) -> dict[str, Any]:
    """What holds for a layer's kernels, or for its biases."""
    return {"regularizer": getattr(layer, f"{part}_regularizer"), "constraint": getattr(layer, f"{part}_constraint")}
