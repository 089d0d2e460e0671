"""Pooling over everything: one number for each channel."""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp

from jaxgraphs.layers.base import Array, Weights, describes
from jaxgraphs.layers.extremes import largest
from jaxgraphs.layers.spatial import SpatialLayer
from jaxgraphs.symbolic.context import Context


@describes
class BaseGlobalPooling(SpatialLayer):
    """What the global poolings share."""

    data_format: Any = None
    keepdims: bool = False


@describes
class BaseGlobalMaxPooling(BaseGlobalPooling):
    """The largest number of each channel."""

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return largest(x, axis=self.spatial_axes, keepdims=self.keepdims)


@describes
class BaseGlobalAveragePooling(BaseGlobalPooling):
    """The mean of each channel."""

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        return jnp.mean(x, axis=self.spatial_axes, keepdims=self.keepdims)


@describes
class GlobalMaxPooling1D(BaseGlobalMaxPooling):
    """The largest number of each channel along time.

    Args:
        data_format: "channels_last" (None is this) or "channels_first".
        keepdims: whether the axis of time stays, with size 1.
    Shapes: (batch, steps, channels) -> (batch, channels), or (batch, 1, channels).
    Raises: GraphError for inputs of other than three axes.

    >>> from jaxgraphs.symbolic.node import Input
    >>> GlobalMaxPooling1D()(Input((None, 128))).shape
    (None, 128)
    """

    rank: ClassVar[int] = 1


@describes
class GlobalMaxPooling2D(BaseGlobalMaxPooling):
    """The largest number of each channel of an image.

    Args:
        data_format: "channels_last" (None is this) or "channels_first".
        keepdims: whether the spatial axes stay, with size 1.
    Shapes: (batch, height, width, channels) -> (batch, channels), or (batch, 1, 1, channels).
    Raises: GraphError for inputs of other than four axes.

    >>> from jaxgraphs.symbolic.node import Input
    >>> GlobalMaxPooling2D(keepdims=True)(Input((8, 8, 3))).shape
    (None, 1, 1, 3)
    """

    rank: ClassVar[int] = 2


@describes
class GlobalMaxPooling3D(BaseGlobalMaxPooling):
    """The largest number of each channel of a volume.

    Args:
        data_format: "channels_last" (None is this) or "channels_first".
        keepdims: whether the spatial axes stay, with size 1.
    Shapes: (batch, depth, height, width, channels) -> (batch, channels), or (batch, 1, 1, 1, channels).
    Raises: GraphError for inputs of other than five axes.

    >>> from jaxgraphs.symbolic.node import Input
    >>> GlobalMaxPooling3D()(Input((4, 8, 8, 3))).shape
    (None, 3)
    """

    rank: ClassVar[int] = 3


@describes
class GlobalAveragePooling1D(BaseGlobalAveragePooling):
    """The mean of each channel along time, over the steps that the mask keeps.

    Args:
        data_format: "channels_last" (None is this) or "channels_first".
        keepdims: whether the axis of time stays, with size 1.
    Shapes: (batch, steps, channels) -> (batch, channels), or (batch, 1, channels); the mask is (batch, steps). The
        mean of a row whose steps are all masked is 0, where Keras has 0 / 0.
    Raises: GraphError for inputs of other than three axes.

    >>> from jaxgraphs.symbolic.node import Input
    >>> GlobalAveragePooling1D()(Input((None, 64))).shape
    (None, 64)
    """

    rank: ClassVar[int] = 1

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        if context.mask is None:
            return super().call(weights, x, context=context)
        kept = jnp.expand_dims(context.mask, self.channel_axis)
        total = jnp.sum(jnp.where(kept, x, jnp.zeros_like(x)), axis=self.spatial_axes, keepdims=self.keepdims)
        count = jnp.sum(kept, axis=self.spatial_axes, keepdims=self.keepdims)
        return total / jnp.maximum(count, 1).astype(total.dtype)

    def output_mask(self, context: Context, *args: Any, **_: Any) -> None:
        return None


@describes
class GlobalAveragePooling2D(BaseGlobalAveragePooling):
    """The mean of each channel of an image.

    Args:
        data_format: "channels_last" (None is this) or "channels_first".
        keepdims: whether the spatial axes stay, with size 1.
    Shapes: (batch, height, width, channels) -> (batch, channels), or (batch, 1, 1, channels).
    Raises: GraphError for inputs of other than four axes.
    Reference: Lin et al. (2013), Network in Network, arXiv 1312.4400.

    >>> from jaxgraphs.symbolic.node import Input
    >>> GlobalAveragePooling2D()(Input((None, None, 2048))).shape
    (None, 2048)
    """

    rank: ClassVar[int] = 2


@describes
class GlobalAveragePooling3D(BaseGlobalAveragePooling):
    """The mean of each channel of a volume.

    Args:
        data_format: "channels_last" (None is this) or "channels_first".
        keepdims: whether the spatial axes stay, with size 1.
    Shapes: (batch, depth, height, width, channels) -> (batch, channels), or (batch, 1, 1, 1, channels).
    Raises: GraphError for inputs of other than five axes.

    >>> from jaxgraphs.symbolic.node import Input
    >>> GlobalAveragePooling3D()(Input((4, 8, 8, 3))).shape
    (None, 3)
    """

    rank: ClassVar[int] = 3


GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
