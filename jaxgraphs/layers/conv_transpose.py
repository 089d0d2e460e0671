"""Transposed convolution: from the places of a convolution back to a larger input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from jaxgraphs.errors import GraphValueError
from jaxgraphs.layers.base import Array, Weights, describes, positive
from jaxgraphs.layers.conv import refuse_stride_with_dilation
from jaxgraphs.layers.convolve import convolve_transpose, finish
from jaxgraphs.layers.core import check_floating
from jaxgraphs.layers.spatial import SpatialLayer, known_channels, named_weight, with_bias
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title
from jaxgraphs.symbolic.spec import TensorSpec


@describes
class BaseConvTranspose(SpatialLayer):
    """What the transposed convolutions share: everything but the number of spatial axes."""

    filters: int
    kernel_size: Any
    strides: Any = 1
    padding: str = "valid"
    output_padding: Any = None
    data_format: Any = None
    dilation_rate: Any = 1
    activation: Any = None
    use_bias: bool = True
    kernel_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    kernel_regularizer: Any = None
    bias_regularizer: Any = None
    kernel_constraint: Any = None
    bias_constraint: Any = None

    per_axis: ClassVar[Mapping[str, int]] = {"kernel_size": 1, "strides": 1, "dilation_rate": 1, "output_padding": 0}
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")

    def validate(self) -> None:
        positive(self, filters=self.filters)
        refuse_stride_with_dilation(self, self.strides, self.dilation_rate)
        extra = self.output_padding or (0,) * self.rank
        if any(more >= stride for more, stride in zip(extra, self.strides, strict=True)):
            raise GraphValueError(
                f"{title(self)} has more output padding than strides.",
                received=f"output_padding={self.output_padding}, strides={self.strides}",
                expected="output_padding below strides along each axis",
            )

    def check_input(self, spec: TensorSpec) -> None:
        check_floating(self, spec)
        known_channels(self, spec)

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        channels = specs[0].dims[self.channel_axis]
        kernel = named_weight(self, "kernel", (*self.kernel_size, self.filters, channels))
        return with_bias(self, {"kernel": kernel}, self.filters)

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        y = convolve_transpose(
            x,
            weights["kernel"],
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            output_padding=self.output_padding,
            channels_first=self.channels_first,
        )
        return finish(y, weights.get("bias"), self.activation, self.channels_first)


@describes
class Conv1DTranspose(BaseConvTranspose):
    """The transpose of Conv1D: each step adds a window's worth of numbers to a longer sequence.

    Args:
        filters: the number of channels of the output.
        kernel_size: how many steps a window covers.
        strides: how many steps of the output lie between windows; above 1 only with dilation_rate 1.
        padding: "valid" for (steps - 1) strides + max(kernel_size, strides) steps, "same" for steps strides.
        output_padding: steps to add at the end, fewer than strides; None gives the sizes above.
        data_format: "channels_last" (None is this) or "channels_first".
        dilation_rate: how many steps lie between a window's elements.
        activation: a Keras name or a JAX function; None is linear.
        use_bias: whether there is a bias.
    Shapes: (batch, steps, channels) -> (batch, more_steps, filters); kernel (kernel_size, filters, channels),
        bias (filters,).
    Raises: GraphError for sizes that are not positive, output_padding not below strides, strides with dilation, and an
        unknown number of channels.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Conv1DTranspose(4, 3, strides=2)(Input((10, 8))).shape
    (None, 21, 4)
    """

    rank: ClassVar[int] = 1


@describes
class Conv2DTranspose(BaseConvTranspose):
    """The transpose of Conv2D: each place adds a window's worth of numbers to a larger image.

    Args:
        filters: the number of channels of the output.
        kernel_size: rows and columns of a window; one number stands for both, here and below.
        strides: rows and columns of the output between windows; above 1 only with dilation_rate 1.
        padding: "valid" for (size - 1) stride + max(window, stride) along each axis, "same" for size stride.
        output_padding: rows and columns to add at the end, fewer than strides; None gives the sizes above.
        data_format: "channels_last" (None is this) or "channels_first".
        dilation_rate: rows and columns between a window's elements.
        activation: a Keras name or a JAX function; None is linear.
        use_bias: whether there is a bias.
    Shapes: (batch, height, width, channels) -> (batch, rows, columns, filters);
        kernel (*kernel_size, filters, channels), bias (filters,).
    Raises: GraphError as Conv1DTranspose.
    Reference: Zeiler et al. (2010), Deconvolutional Networks; Dumoulin and Visin (2016), arXiv 1603.07285.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Conv2DTranspose(32, 3, strides=2, padding="same")(Input((7, 7, 64))).shape
    (None, 14, 14, 32)
    """

    rank: ClassVar[int] = 2


@describes
class Conv3DTranspose(BaseConvTranspose):
    """The transpose of Conv3D: each place adds a window's worth of numbers to a larger volume.

    Args:
        filters: the number of channels of the output.
        kernel_size: depth, height and width of a window; one number stands for all, here and below.
        strides: how far windows lie apart in the output; above 1 only with dilation_rate 1.
        padding: "valid" for (size - 1) stride + max(window, stride) along each axis, "same" for size stride.
        output_padding: what to add at the end of each axis, less than strides; None gives the sizes above.
        data_format: "channels_last" (None is this) or "channels_first".
        dilation_rate: how far a window's elements lie apart.
        activation: a Keras name or a JAX function; None is linear.
        use_bias: whether there is a bias.
    Shapes: (batch, depth, height, width, channels) -> (batch, *larger, filters);
        kernel (*kernel_size, filters, channels), bias (filters,).
    Raises: GraphError as Conv1DTranspose.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Conv3DTranspose(2, 2, strides=2)(Input((4, 4, 4, 3))).shape
    (None, 8, 8, 8, 2)
    """

    rank: ClassVar[int] = 3


Convolution1DTranspose, Convolution2DTranspose = Conv1DTranspose, Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
