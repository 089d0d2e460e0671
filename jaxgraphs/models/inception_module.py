"""The Inception module of the chapter: four branches over one feature map, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers import AveragePooling2D, Conv2D, Dense, concatenate
from jaxgraphs.symbolic.node import Input, SymbolicTensor


def inception_branches(x: SymbolicTensor, filters: int = 128) -> SymbolicTensor:
    """Four branches that each halve height and width: 1x1, 1x1 to 3x3, pooling to 3x3, and 1x1 to 3x3 to 3x3.

    Shapes: (batch, height, width, channels) -> (batch, height / 2 rounded up, width / 2 rounded up, 4 filters).
    """
    options: dict[str, Any] = {"activation": "relu", "padding": "same"}
    branch_a = Conv2D(filters, 1, strides=2, **options)(x)
    branch_b = Conv2D(filters, 1, **options)(x)
    branch_b = Conv2D(filters, 3, strides=2, **options)(branch_b)
    branch_c = AveragePooling2D(3, strides=2, padding="same")(x)
    branch_c = Conv2D(filters, 3, **options)(branch_c)
    branch_d = Conv2D(filters, 1, **options)(x)
    branch_d = Conv2D(filters, 3, **options)(branch_d)
    branch_d = Conv2D(filters, 3, strides=2, **options)(branch_d)
    return concatenate([branch_a, branch_b, branch_c, branch_d], axis=-1)


def inception_module(input_shape: Sequence[int | None] = (28, 28, 256), filters: int = 128, classes: int = 10) -> Graph:
    """The module on a feature map, with a softmax over `classes` at each place.

    Args:
        input_shape: (height, width, channels).
        filters: of each convolution.
        classes: how many classes each place is given probabilities of.
    Shapes: image (batch, height, width, channels) -> classes (batch, height / 2, width / 2, classes), rounded up.
    Reference: Szegedy et al. (2015), Going deeper with convolutions, arXiv:1409.4842; Chollet (2017), section 7.1.4.

    >>> inception_module().outputs.shape
    (None, 14, 14, 10)
    """
    image = Input(input_shape, name="image")
    y = inception_branches(image, filters)
    return Graph(image, Dense(classes, activation="softmax", name="classes")(y), name="inception_module")
