"""Conv1D, Conv2D and Conv3D: one kernel slid over time, an image or a volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from jaxgraphs.errors import GraphValueError, ShapeMismatchError
from jaxgraphs.layers.base import Array, Weights, describes, positive
from jaxgraphs.layers.convolve import convolve, finish
from jaxgraphs.layers.core import check_floating
from jaxgraphs.layers.spatial import SpatialLayer, known_channels, named_weight, window_fits, window_places, with_bias
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title
from jaxgraphs.symbolic.spec import Dim, TensorSpec


@describes
class BaseConv(SpatialLayer):
    """What Conv1D, Conv2D and Conv3D share: everything but the number of spatial axes."""

    filters: int
    kernel_size: Any
    strides: Any = 1
    padding: str = "valid"
    data_format: Any = None
    dilation_rate: Any = 1
    groups: int = 1
    activation: Any = None
    use_bias: bool = True
    kernel_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    kernel_regularizer: Any = None
    bias_regularizer: Any = None
    kernel_constraint: Any = None
    bias_constraint: Any = None

    per_axis: ClassVar[Mapping[str, int]] = {"kernel_size": 1, "strides": 1, "dilation_rate": 1}
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")

    def validate(self) -> None:
        positive(self, filters=self.filters, groups=self.groups)
        if self.filters % self.groups:
            raise GraphValueError(
                f"{title(self)} cannot split its filters into groups.",
                received=f"filters={self.filters}, groups={self.groups}",
                expected="a number of filters that the number of groups divides",
            )
        refuse_stride_with_dilation(self, self.strides, self.dilation_rate)

    def check_input(self, spec: TensorSpec) -> None:
        check_floating(self, spec)
        channels = known_channels(self, spec)
        if channels % self.groups:
            raise ShapeMismatchError(
                f"{title(self)} cannot split {channels} channels into {self.groups} groups.",
                expected=f"a number of channels that {self.groups} divides",
                fix=f"another number of groups, or layers.Conv{self.rank}D(filters, 1) before it",
            )

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        channels = specs[0].dims[self.channel_axis]
        kernel = named_weight(self, "kernel", (*self.kernel_size, channels // self.groups, self.filters))
        return with_bias(self, {"kernel": kernel}, self.filters)

    def size_after(self, index: int, size: Dim) -> Dim:
        reach = spread_window(self.kernel_size, self.dilation_rate)[index]
        return window_places(size, reach, self.strides[index], self.padding)

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        if self.padding == "valid":
            window_fits(self, x, spread_window(self.kernel_size, self.dilation_rate), ROOM)
        return finish(self.slide(x, weights["kernel"]), weights.get("bias"), self.activation, self.channels_first)

    def slide(self, x: Array, kernel: Array) -> Array:
        """The convolution alone."""
        return convolve(
            x,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            groups=self.groups,
            channels_first=self.channels_first,
        )


@describes
class Conv1D(BaseConv):
    """y = activation(x * kernel + bias), * the convolution along time.

    Args:
        filters: the number of channels of the output.
        kernel_size: how many steps a window covers.
        strides: how many steps lie between windows; above 1 only with dilation_rate 1.
        padding: "valid" for none; "same" for ceil(steps / strides) outputs; "causal" for zeros in front alone.
        data_format: "channels_last" (None is this) or "channels_first".
        dilation_rate: how many steps lie between a window's elements.
        groups: channels and filters are split into so many parts that do not mix.
        activation: a Keras name or a JAX function; None is linear.
        use_bias: whether there is a bias.
    Shapes: (batch, steps, channels) -> (batch, places, filters); kernel (kernel_size, channels / groups, filters),
        bias (filters,).
    Raises: GraphError for sizes that are not positive, channels or filters that `groups` does not divide, strides with
        dilation, an unknown number of channels, and a window longer than the input with "valid".

    >>> from jaxgraphs.symbolic.node import Input
    >>> Conv1D(32, 5, padding="causal")(Input((None, 8))).shape
    (None, None, 32)
    """

    rank: ClassVar[int] = 1
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same", "causal")


@describes
class Conv2D(BaseConv):
    """y = activation(x * kernel + bias), * the convolution over an image.

    Args:
        filters: the number of channels of the output.
        kernel_size: rows and columns of a window; one number stands for both, here and below.
        strides: rows and columns between windows; above 1 only with dilation_rate 1.
        padding: "valid" for none; "same" for ceil(size / stride) outputs along each axis.
        data_format: "channels_last" (None is this) or "channels_first".
        dilation_rate: rows and columns between a window's elements.
        groups: channels and filters are split into so many parts that do not mix.
        activation: a Keras name or a JAX function; None is linear.
        use_bias: whether there is a bias.
    Shapes: (batch, height, width, channels) -> (batch, rows, columns, filters);
        kernel (*kernel_size, channels / groups, filters), bias (filters,).
    Raises: GraphError for sizes that are not positive, channels or filters that `groups` does not divide, strides with
        dilation, an unknown number of channels, and a window larger than the input with "valid".
    Reference: LeCun et al. (1989), Neural Computation 1(4), 541-551; Dumoulin and Visin (2016), arXiv 1603.07285.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Conv2D(128, 3, strides=2, padding="same")(Input((28, 28, 256))).shape
    (None, 14, 14, 128)
    """

    rank: ClassVar[int] = 2


@describes
class Conv3D(BaseConv):
    """y = activation(x * kernel + bias), * the convolution over a volume.

    Args:
        filters: the number of channels of the output.
        kernel_size: depth, height and width of a window; one number stands for all, here and below.
        strides: how far windows lie apart; above 1 only with dilation_rate 1.
        padding: "valid" for none; "same" for ceil(size / stride) outputs along each axis.
        data_format: "channels_last" (None is this) or "channels_first".
        dilation_rate: how far a window's elements lie apart.
        groups: channels and filters are split into so many parts that do not mix.
        activation: a Keras name or a JAX function; None is linear.
        use_bias: whether there is a bias.
    Shapes: (batch, depth, height, width, channels) -> (batch, *places, filters);
        kernel (*kernel_size, channels / groups, filters), bias (filters,).
    Raises: GraphError as Conv2D.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Conv3D(4, (1, 3, 3))(Input((8, 16, 16, 1))).shape
    (None, 8, 14, 14, 4)
    """

    rank: ClassVar[int] = 3


ROOM = 'padding="same", a smaller kernel_size, or a larger input'


def spread_window(kernel_size: tuple[int, ...], dilation_rate: tuple[int, ...]) -> tuple[int, ...]:
    """How far a window reaches along each axis.

    >>> spread_window((3, 3), (1, 2))
    (3, 5)
    """
    return tuple((size - 1) * rate + 1 for size, rate in zip(kernel_size, dilation_rate, strict=True))


def refuse_stride_with_dilation(layer: SpatialLayer, strides: tuple[int, ...], dilation_rate: tuple[int, ...]) -> None:
    """Strides and dilation do not go together, as in Keras."""
    if max(strides) > 1 and max(dilation_rate) > 1:
        raise GraphValueError(
            f"{title(layer)} has both strides and dilation.",
            received=f"strides={strides}, dilation_rate={dilation_rate}",
            expected="one of the two to be 1",
        )


Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
