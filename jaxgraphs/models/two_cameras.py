"""A model as a layer: one Xception looks through two cameras."""

from __future__ import annotations

from collections.abc import Sequence

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers import concatenate
from jaxgraphs.models.xception import Xception
from jaxgraphs.symbolic.node import Input


def two_cameras(input_shape: Sequence[int | None] = (250, 250, 3), pooling: str | None = None) -> Graph:
    """Features of two pictures by one Xception, side by side.

    Args:
        input_shape: (height, width, 3) of each picture.
        pooling: None keeps the feature maps; "avg" or "max" reduces each to a vector.
    Shapes: left, right (batch, height, width, 3) -> (batch, h, w, 4096), or (batch, 4096) with pooling.
    Reference: Chollet (2017), Deep Learning with Python, section 7.1.6.

    >>> two_cameras().outputs.shape
    (None, 8, 8, 4096)
    """
    xception = Xception(include_top=False, input_shape=input_shape, pooling=pooling, name="xception")
    left = Input(input_shape, name="left")
    right = Input(input_shape, name="right")
    merged = concatenate([xception(left), xception(right)], axis=-1)
    return Graph([left, right], merged, name="two_cameras")
