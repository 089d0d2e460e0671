"""Residual connections of the chapter: a block added to what it reads."""

from __future__ import annotations

from collections.abc import Sequence

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers import Conv2D, MaxPooling2D, add
from jaxgraphs.symbolic.node import Input, SymbolicTensor


def residual(x: SymbolicTensor, filters: int, strides: int = 1) -> SymbolicTensor:
    """Three 3x3 convolutions, pooled where `strides` is over 1, added to x, which is projected where widths differ.

    Shapes: (batch, height, width, channels) -> (batch, height / strides, width / strides, filters), rounded up.
    """
    y = x
    for _ in range(3):
        y = Conv2D(filters, 3, activation="relu", padding="same")(y)
    if strides > 1:
        y = MaxPooling2D(strides, strides=strides, padding="same")(y)
    if strides > 1 or x.shape[-1] != filters:
        x = Conv2D(filters, 1, strides=strides, padding="same")(x)
    return add([y, x])


def residual_block(
    input_shape: Sequence[int | None] = (28, 28, 128), filters: int | None = None, strides: int = 1
) -> Graph:
    """One residual block: with an identity shortcut, or with a 1x1 projection where widths or strides differ.

    Args:
        input_shape: (height, width, channels).
        filters: of the block; the input's channels where left out.
        strides: by how much height and width shrink.
    Shapes: image (batch, height, width, channels) -> (batch, height / strides, width / strides, filters), rounded up.
    Reference: He et al. (2016), Deep residual learning, arXiv:1512.03385; Chollet (2017), section 7.1.4.

    >>> residual_block().count_params(), residual_block(filters=256, strides=2).outputs.shape
    (442752, (None, 14, 14, 256))
    """
    image = Input(input_shape, name="image")
    channels = image.shape[-1] or 1
    return Graph(image, residual(image, filters or channels, strides), name="residual_block")
