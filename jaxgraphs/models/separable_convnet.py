"""A small image classifier of depthwise separable convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.sequential import Sequential
from jaxgraphs.layers import Dense, GlobalAveragePooling2D, MaxPooling2D, SeparableConv2D
from jaxgraphs.symbolic.node import Input


def separable_convnet(input_shape: Sequence[int | None] = (64, 64, 3), classes: int = 10) -> Graph:
    """Three pairs of separable convolutions, each wider than the one before, then two dense layers.

    Args:
        input_shape: (height, width, channels), 38 at least.
        classes: how many classes there are.
    Shapes: image (batch, height, width, channels) -> class (batch, classes), probabilities.
    Reference: Chollet (2017), Deep Learning with Python, section 7.3.1.

    >>> separable_convnet().count_params()
    38949
    """
    return Sequential(
        [
            Input(input_shape, name="image"),
            SeparableConv2D(32, 3, activation="relu"),
            SeparableConv2D(64, 3, activation="relu"),
            MaxPooling2D(2),
            SeparableConv2D(64, 3, activation="relu"),
            SeparableConv2D(128, 3, activation="relu"),
            MaxPooling2D(2),
            SeparableConv2D(64, 3, activation="relu"),
            SeparableConv2D(128, 3, activation="relu"),
            GlobalAveragePooling2D(),
            Dense(32, activation="relu"),
            Dense(classes, activation="softmax", name="class"),
        ],
        name="separable_convnet",
    )
