"""Convolutions that treat each channel alone: depthwise, and separable, which mixes the channels afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from jaxgraphs.layers.base import Array, Weights, describes, positive
from jaxgraphs.layers.conv import ROOM, spread_window
from jaxgraphs.layers.convolve import convolve, depthwise_convolve, finish
from jaxgraphs.layers.core import check_floating
from jaxgraphs.layers.spatial import SpatialLayer, known_channels, named_weight, window_fits, window_places, with_bias
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.spec import Dim, TensorSpec


@describes
class BaseDepthwiseConv(SpatialLayer):
    """What DepthwiseConv1D and DepthwiseConv2D share."""

    kernel_size: Any
    strides: Any = 1
    padding: str = "valid"
    depth_multiplier: int = 1
    data_format: Any = None
    dilation_rate: Any = 1
    activation: Any = None
    use_bias: bool = True
    depthwise_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    depthwise_regularizer: Any = None
    bias_regularizer: Any = None
    depthwise_constraint: Any = None
    bias_constraint: Any = None

    per_axis: ClassVar[Mapping[str, int]] = {"kernel_size": 1, "strides": 1, "dilation_rate": 1}
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")

    def validate(self) -> None:
        positive(self, depth_multiplier=self.depth_multiplier)

    def check_input(self, spec: TensorSpec) -> None:
        check_floating(self, spec)
        known_channels(self, spec)

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        channels = specs[0].dims[self.channel_axis]
        kernel = named_weight(self, "depthwise", (*self.kernel_size, channels, self.depth_multiplier))
        return with_bias(self, {"kernel": kernel}, channels * self.depth_multiplier)

    def size_after(self, index: int, size: Dim) -> Dim:
        reach = spread_window(self.kernel_size, self.dilation_rate)[index]
        return window_places(size, reach, self.strides[index], self.padding)

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        if self.padding == "valid":
            window_fits(self, x, spread_window(self.kernel_size, self.dilation_rate), ROOM)
        return finish(self.slide(x, weights["kernel"]), weights.get("bias"), self.activation, self.channels_first)

    def slide(self, x: Array, kernel: Array) -> Array:
        """The convolution of each channel alone."""
        return depthwise_convolve(
            x,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            channels_first=self.channels_first,
        )


@describes
class DepthwiseConv1D(BaseDepthwiseConv):
    """Convolves each channel alone along time; channel c gives outputs c depth_multiplier and those next to it.

    Args:
        kernel_size: how many steps a window covers.
        strides: how many steps lie between windows.
        padding: "valid" for none, "same" for ceil(steps / strides) outputs.
        depth_multiplier: how many kernels each channel has.
        data_format: "channels_last" (None is this) or "channels_first".
        dilation_rate: how many steps lie between a window's elements.
        activation: a Keras name or a JAX function; None is linear.
        use_bias: whether there is a bias.
    Shapes: (batch, steps, channels) -> (batch, places, channels depth_multiplier);
        kernel (kernel_size, channels, depth_multiplier), bias (channels depth_multiplier,).
    Raises: GraphError for sizes that are not positive, an unknown number of channels, and a window longer than the
        input with "valid".

    >>> from jaxgraphs.symbolic.node import Input
    >>> DepthwiseConv1D(3, depth_multiplier=2)(Input((10, 4))).shape
    (None, 8, 8)
    """

    rank: ClassVar[int] = 1


@describes
class DepthwiseConv2D(BaseDepthwiseConv):
    """Convolves each channel alone over an image; channel c gives outputs c depth_multiplier and those next to it.

    Args:
        kernel_size: rows and columns of a window; one number stands for both, here and below.
        strides: rows and columns between windows.
        padding: "valid" for none, "same" for ceil(size / stride) outputs along each axis.
        depth_multiplier: how many kernels each channel has.
        data_format: "channels_last" (None is this) or "channels_first".
        dilation_rate: rows and columns between a window's elements.
        activation: a Keras name or a JAX function; None is linear.
        use_bias: whether there is a bias.
    Shapes: (batch, height, width, channels) -> (batch, rows, columns, channels depth_multiplier);
        kernel (*kernel_size, channels, depth_multiplier), bias (channels depth_multiplier,).
    Raises: GraphError as DepthwiseConv1D.
    Reference: Sifre (2014), Rigid-motion scattering for image classification; Howard et al. (2017), arXiv 1704.04861.

    >>> from jaxgraphs.symbolic.node import Input
    >>> DepthwiseConv2D(3, padding="same")(Input((8, 8, 16))).shape
    (None, 8, 8, 16)
    """

    rank: ClassVar[int] = 2


@describes
class BaseSeparableConv(SpatialLayer):
    """What SeparableConv1D and SeparableConv2D share."""

    filters: int
    kernel_size: Any
    strides: Any = 1
    padding: str = "valid"
    data_format: Any = None
    dilation_rate: Any = 1
    depth_multiplier: int = 1
    activation: Any = None
    use_bias: bool = True
    depthwise_initializer: Any = "glorot_uniform"
    pointwise_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    depthwise_regularizer: Any = None
    pointwise_regularizer: Any = None
    bias_regularizer: Any = None
    depthwise_constraint: Any = None
    pointwise_constraint: Any = None
    bias_constraint: Any = None

    per_axis: ClassVar[Mapping[str, int]] = {"kernel_size": 1, "strides": 1, "dilation_rate": 1}
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")

    def validate(self) -> None:
        positive(self, filters=self.filters, depth_multiplier=self.depth_multiplier)

    def check_input(self, spec: TensorSpec) -> None:
        check_floating(self, spec)
        known_channels(self, spec)

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        channels = specs[0].dims[self.channel_axis]
        inner, point = channels * self.depth_multiplier, (1,) * self.rank
        kernels = {
            "depthwise_kernel": named_weight(self, "depthwise", (*self.kernel_size, channels, self.depth_multiplier)),
            "pointwise_kernel": named_weight(self, "pointwise", (*point, inner, self.filters)),
        }
        return with_bias(self, kernels, self.filters)

    def size_after(self, index: int, size: Dim) -> Dim:
        reach = spread_window(self.kernel_size, self.dilation_rate)[index]
        return window_places(size, reach, self.strides[index], self.padding)

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        if self.padding == "valid":
            window_fits(self, x, spread_window(self.kernel_size, self.dilation_rate), ROOM)
        y = self.mix(self.slide(x, weights["depthwise_kernel"]), weights["pointwise_kernel"])
        return finish(y, weights.get("bias"), self.activation, self.channels_first)

    def slide(self, x: Array, kernel: Array) -> Array:
        """The convolution of each channel alone."""
        return depthwise_convolve(
            x,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            channels_first=self.channels_first,
        )

    def mix(self, x: Array, kernel: Array) -> Array:
        """The product over the channels at each place."""
        one = (1,) * self.rank
        return convolve(x, kernel, strides=one, padding="valid", dilation=one, channels_first=self.channels_first)


@describes
class SeparableConv1D(BaseSeparableConv):
    """A depthwise convolution along time, then a dense layer over the channels at each step.

    Args:
        filters: the number of channels of the output.
        kernel_size: how many steps a window covers.
        strides: how many steps lie between windows.
        padding: "valid" for none, "same" for ceil(steps / strides) outputs.
        data_format: "channels_last" (None is this) or "channels_first".
        dilation_rate: how many steps lie between a window's elements.
        depth_multiplier: how many depthwise kernels each channel has.
        activation: a Keras name or a JAX function; None is linear.
        use_bias: whether there is a bias.
    Shapes: (batch, steps, channels) -> (batch, places, filters); depthwise_kernel (kernel_size, channels,
        depth_multiplier), pointwise_kernel (1, channels depth_multiplier, filters), bias (filters,).
    Raises: GraphError for sizes that are not positive, an unknown number of channels, and a window longer than the
        input with "valid".

    >>> from jaxgraphs.symbolic.node import Input
    >>> SeparableConv1D(6, 3)(Input((10, 4))).shape
    (None, 8, 6)
    """

    rank: ClassVar[int] = 1


@describes
class SeparableConv2D(BaseSeparableConv):
    """A depthwise convolution over an image, then a dense layer over the channels at each place.

    Args:
        filters: the number of channels of the output.
        kernel_size: rows and columns of a window; one number stands for both, here and below.
        strides: rows and columns between windows.
        padding: "valid" for none, "same" for ceil(size / stride) outputs along each axis.
        data_format: "channels_last" (None is this) or "channels_first".
        dilation_rate: rows and columns between a window's elements.
        depth_multiplier: how many depthwise kernels each channel has.
        activation: a Keras name or a JAX function; None is linear.
        use_bias: whether there is a bias.
    Shapes: (batch, height, width, channels) -> (batch, rows, columns, filters); depthwise_kernel (*kernel_size,
        channels, depth_multiplier), pointwise_kernel (1, 1, channels depth_multiplier, filters), bias (filters,).
    Raises: GraphError as SeparableConv1D.
    Reference: Chollet (2017), Xception: Deep Learning with Depthwise Separable Convolutions, CVPR.

    >>> from jaxgraphs.symbolic.node import Input
    >>> SeparableConv2D(64, 3, activation="relu")(Input((64, 64, 3))).shape
    (None, 62, 62, 64)
    """

    rank: ClassVar[int] = 2


SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
