"""ResNet50: bottleneck blocks with residual connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers import Activation, Add, BatchNormalization, Conv2D, MaxPooling2D, ZeroPadding2D
from jaxgraphs.models.classifier import image_input, no_weights, top
from jaxgraphs.symbolic.node import SymbolicTensor

_EPSILON = 1.001e-5


def ResNet50(
    include_top: bool = True,
    weights: None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet50",
) -> Graph:
    """ResNet50 with Keras' arguments and names of layers.

    Args:
        include_top: whether the graph ends in a classifier.
        weights: None; see `jg.load_keras_weights` for trained ones.
        input_shape: (height, width, channels), 32 at least; (224, 224, 3) with the top.
        pooling: without the top, None for the feature map, "avg" or "max" for a vector.
        classes, classifier_activation: of the top.
    Shapes: image (batch, height, width, 3) -> (batch, classes), or (batch, h, w, 2048) without the top.
    Reference: He et al. (2016), Deep residual learning for image recognition, arXiv:1512.03385.

    >>> ResNet50(include_top=False, input_shape=(32, 32, 3)).outputs.shape
    (None, 1, 1, 2048)
    """
    no_weights(weights, "ResNet50")
    image = image_input(input_shape, 224, 32, include_top, "ResNet50")
    x = ZeroPadding2D(3, name="conv1_pad")(image)
    x = _normalised(x, 64, 7, "conv1", strides=2)
    x = Activation("relu", name="conv1_relu")(x)
    x = ZeroPadding2D(1, name="pool1_pad")(x)
    x = MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for number, filters, blocks, strides in ((2, 64, 3, 1), (3, 128, 4, 2), (4, 256, 6, 2), (5, 512, 3, 2)):
        for block in range(1, blocks + 1):
            x = _block(x, filters, f"conv{number}_block{block}", strides if block == 1 else 1, is_projected=block == 1)
    return Graph(image, top(x, include_top, pooling, classes, classifier_activation, "ResNet50"), name=name)


def _normalised(
    x: SymbolicTensor, filters: int, size: int, name: str, strides: int = 1, padding: str = "valid"
) -> SymbolicTensor:
    x = Conv2D(filters, size, strides=strides, padding=padding, name=f"{name}_conv")(x)
    return BatchNormalization(epsilon=_EPSILON, name=f"{name}_bn")(x)


def _block(x: SymbolicTensor, filters: int, name: str, strides: int, is_projected: bool) -> SymbolicTensor:
    """1x1, 3x3, 1x1, added to what they read; projected where the width differs."""
    shortcut = _normalised(x, 4 * filters, 1, f"{name}_0", strides) if is_projected else x
    x = _normalised(x, filters, 1, f"{name}_1", strides)
    x = Activation("relu", name=f"{name}_1_relu")(x)
    x = _normalised(x, filters, 3, f"{name}_2", padding="same")
    x = Activation("relu", name=f"{name}_2_relu")(x)
    x = _normalised(x, 4 * filters, 1, f"{name}_3")
    return Activation("relu", name=f"{name}_out")(Add(name=f"{name}_add")([shortcut, x]))
