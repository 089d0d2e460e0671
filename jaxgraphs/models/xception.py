"""Xception: depthwise separable convolutions with residual connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers import Activation, BatchNormalization, Conv2D, MaxPooling2D, SeparableConv2D, add
from jaxgraphs.models.classifier import image_input, no_weights, top
from jaxgraphs.symbolic.node import SymbolicTensor


def Xception(
    include_top: bool = True,
    weights: None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "xception",
) -> Graph:
    """Xception with Keras' arguments and names of layers.

    Args:
        include_top: whether the graph ends in a classifier.
        weights: None; see `jg.load_keras_weights` for trained ones.
        input_shape: (height, width, channels), 71 at least; (299, 299, 3) with the top.
        pooling: without the top, None for the feature map, "avg" or "max" for a vector.
        classes, classifier_activation: of the top.
    Shapes: image (batch, height, width, 3) -> (batch, classes), or (batch, h, w, 2048) without the top.
    Reference: Chollet (2017), Xception: Deep learning with depthwise separable convolutions, arXiv:1610.02357.

    >>> Xception(include_top=False, input_shape=(71, 71, 3)).outputs.shape
    (None, 3, 3, 2048)
    """
    no_weights(weights, "Xception")
    image = image_input(input_shape, 299, 71, include_top, "Xception")
    x = _entry(image)
    for number, filters in ((2, 128), (3, 256), (4, 728)):
        x = _narrowing_block(x, f"block{number}", filters, filters, starts_with_relu=number > 2)
    for number in range(5, 13):
        x = _middle_block(x, f"block{number}")
    x = _narrowing_block(x, "block13", 728, 1024)
    for number, filters in ((1, 1536), (2, 2048)):
        x = _separable(x, filters, f"block14_sepconv{number}")
        x = Activation("relu", name=f"block14_sepconv{number}_act")(x)
    return Graph(image, top(x, include_top, pooling, classes, classifier_activation, "Xception"), name=name)


def _entry(x: SymbolicTensor) -> SymbolicTensor:
    for number, filters, strides in ((1, 32, 2), (2, 64, 1)):
        x = Conv2D(filters, 3, strides=strides, use_bias=False, name=f"block1_conv{number}")(x)
        x = BatchNormalization(name=f"block1_conv{number}_bn")(x)
        x = Activation("relu", name=f"block1_conv{number}_act")(x)
    return x


def _narrowing_block(
    x: SymbolicTensor, name: str, first: int, second: int, starts_with_relu: bool = True
) -> SymbolicTensor:
    """Two separable convolutions and pooling by 2, beside a strided 1x1 convolution."""
    residual = Conv2D(second, 1, strides=2, padding="same", use_bias=False)(x)
    residual = BatchNormalization()(residual)
    if starts_with_relu:
        x = Activation("relu", name=f"{name}_sepconv1_act")(x)
    x = _separable(x, first, f"{name}_sepconv1")
    x = Activation("relu", name=f"{name}_sepconv2_act")(x)
    x = _separable(x, second, f"{name}_sepconv2")
    x = MaxPooling2D(3, strides=2, padding="same", name=f"{name}_pool")(x)
    return add([x, residual])


def _middle_block(x: SymbolicTensor, name: str) -> SymbolicTensor:
    """Three separable convolutions, added to what they read."""
    y = x
    for number in (1, 2, 3):
        y = Activation("relu", name=f"{name}_sepconv{number}_act")(y)
        y = _separable(y, 728, f"{name}_sepconv{number}")
    return add([y, x])


def _separable(x: SymbolicTensor, filters: int, name: str) -> SymbolicTensor:
    x = SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return BatchNormalization(name=f"{name}_bn")(x)
