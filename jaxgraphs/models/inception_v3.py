"""Inception V3: eleven Inception modules, with factorised convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers import Activation, AveragePooling2D, BatchNormalization, Conv2D, MaxPooling2D, concatenate
from jaxgraphs.models.classifier import image_input, no_weights, top
from jaxgraphs.symbolic.node import SymbolicTensor


def InceptionV3(
    include_top: bool = True,
    weights: None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "inception_v3",
) -> Graph:
    """Inception V3 with Keras' arguments and names of layers.

    Args:
        include_top: whether the graph ends in a classifier.
        weights: None; see `jg.load_keras_weights` for trained ones.
        input_shape: (height, width, channels), 75 at least; (299, 299, 3) with the top.
        pooling: without the top, None for the feature map, "avg" or "max" for a vector.
        classes, classifier_activation: of the top.
    Shapes: image (batch, height, width, 3) -> (batch, classes), or (batch, h, w, 2048) without the top.
    Reference: Szegedy et al. (2016), Rethinking the Inception architecture, arXiv:1512.00567.

    >>> InceptionV3(include_top=False, input_shape=(75, 75, 3)).outputs.shape
    (None, 1, 1, 2048)
    """
    no_weights(weights, "InceptionV3")
    image = image_input(input_shape, 299, 75, include_top, "InceptionV3")
    x = _stem(image)
    for number, pooled in enumerate((32, 64, 64)):
        x = _module_a(x, pooled, f"mixed{number}")
    x = _narrowing_a(x)
    for number, width in ((4, 128), (5, 160), (6, 160), (7, 192)):
        x = _module_b(x, width, f"mixed{number}")
    x = _narrowing_b(x)
    for number in (0, 1):
        x = _module_c(x, number)
    return Graph(image, top(x, include_top, pooling, classes, classifier_activation, "InceptionV3"), name=name)


def _conv(
    x: SymbolicTensor, filters: int, rows: int, columns: int, strides: int = 1, padding: str = "same"
) -> SymbolicTensor:
    """Convolution, batch normalisation without scale, ReLU."""
    x = Conv2D(filters, (rows, columns), strides=strides, padding=padding, use_bias=False)(x)
    return Activation("relu")(BatchNormalization(scale=False)(x))


def _chain(x: SymbolicTensor, *convolutions: tuple[int, int, int]) -> SymbolicTensor:
    """Convolutions of (filters, rows, columns), one after another."""
    for filters, rows, columns in convolutions:
        x = _conv(x, filters, rows, columns)
    return x


def _pooled(x: SymbolicTensor, filters: int) -> SymbolicTensor:
    return _conv(AveragePooling2D(3, strides=1, padding="same")(x), filters, 1, 1)


def _stem(x: SymbolicTensor) -> SymbolicTensor:
    x = _conv(x, 32, 3, 3, strides=2, padding="valid")
    x = _conv(x, 32, 3, 3, padding="valid")
    x = _conv(x, 64, 3, 3)
    x = MaxPooling2D(3, strides=2)(x)
    x = _conv(x, 80, 1, 1, padding="valid")
    x = _conv(x, 192, 3, 3, padding="valid")
    return MaxPooling2D(3, strides=2)(x)


def _module_a(x: SymbolicTensor, pooled: int, name: str) -> SymbolicTensor:
    """1x1, 5x5, two 3x3, and pooling: 35 x 35 in the paper."""
    branches = [
        _conv(x, 64, 1, 1),
        _chain(x, (48, 1, 1), (64, 5, 5)),
        _chain(x, (64, 1, 1), (96, 3, 3), (96, 3, 3)),
        _pooled(x, pooled),
    ]
    return concatenate(branches, axis=-1, name=name)


def _narrowing_a(x: SymbolicTensor) -> SymbolicTensor:
    branches = [
        _conv(x, 384, 3, 3, strides=2, padding="valid"),
        _conv(_chain(x, (64, 1, 1), (96, 3, 3)), 96, 3, 3, strides=2, padding="valid"),
        MaxPooling2D(3, strides=2)(x),
    ]
    return concatenate(branches, axis=-1, name="mixed3")


def _module_b(x: SymbolicTensor, width: int, name: str) -> SymbolicTensor:
    """7x7 as 1x7 and 7x1, once and twice: 17 x 17 in the paper."""
    branches = [
        _conv(x, 192, 1, 1),
        _chain(x, (width, 1, 1), (width, 1, 7), (192, 7, 1)),
        _chain(x, (width, 1, 1), (width, 7, 1), (width, 1, 7), (width, 7, 1), (192, 1, 7)),
        _pooled(x, 192),
    ]
    return concatenate(branches, axis=-1, name=name)


def _narrowing_b(x: SymbolicTensor) -> SymbolicTensor:
    branches = [
        _conv(_conv(x, 192, 1, 1), 320, 3, 3, strides=2, padding="valid"),
        _conv(_chain(x, (192, 1, 1), (192, 1, 7), (192, 7, 1)), 192, 3, 3, strides=2, padding="valid"),
        MaxPooling2D(3, strides=2)(x),
    ]
    return concatenate(branches, axis=-1, name="mixed8")


def _module_c(x: SymbolicTensor, number: int) -> SymbolicTensor:
    """3x3 as 1x3 beside 3x1: 8 x 8 in the paper."""
    branch_a = _conv(x, 320, 1, 1)
    stem_b = _conv(x, 384, 1, 1)
    branch_b = concatenate([_conv(stem_b, 384, 1, 3), _conv(stem_b, 384, 3, 1)], axis=-1, name=f"mixed9_{number}")
    stem_c = _chain(x, (448, 1, 1), (384, 3, 3))
    branch_c = concatenate([_conv(stem_c, 384, 1, 3), _conv(stem_c, 384, 3, 1)], axis=-1)
    branches = [branch_a, branch_b, branch_c, _pooled(x, 192)]
    return concatenate(branches, axis=-1, name=f"mixed{9 + number}")
