"""What the image classifiers share: their arguments as in Keras, and the end of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxgraphs.errors import GraphValueError, ShapeMismatchError
from jaxgraphs.layers import Dense, GlobalAveragePooling2D, GlobalMaxPooling2D
from jaxgraphs.symbolic.node import Input, SymbolicTensor


def image_input(
    input_shape: Sequence[int | None] | None, default: int, least: int, include_top: bool, owner: str
) -> SymbolicTensor:
    """The picture that a classifier reads.

    Args:
        input_shape: (height, width, channels), or None for the default size.
        default: height and width with the top, where no shape is given; without the top they are then unknown.
        least: the least height and width that the convolutions leave something of.
        owner: for messages.
    Raises: ShapeMismatchError when the shape has not three sizes or is too small.
    """
    if input_shape is None:
        input_shape = (default, default, 3) if include_top else (None, None, 3)
    if len(input_shape) != 3 or any(size is not None and size < least for size in input_shape[:2]):
        raise ShapeMismatchError(
            f"{owner} cannot read pictures of this shape.",
            received=f"input_shape={tuple(input_shape)}",
            expected=f"(height, width, channels), height and width None or {least} at least",
        )
    return Input(tuple(input_shape), name="image")


def top(
    x: SymbolicTensor, include_top: bool, pooling: str | None, classes: int, classifier_activation: Any, owner: str
) -> SymbolicTensor:
    """The end: pooled and classified with the top; without it the feature map, or its average or maximum.

    Raises: GraphValueError when `pooling` is something else.
    """
    if include_top:
        x = GlobalAveragePooling2D(name="avg_pool")(x)
        return Dense(classes, activation=classifier_activation, name="predictions")(x)
    if pooling not in (None, "avg", "max"):
        raise GraphValueError(
            f"{owner} knows no such pooling.", received=repr(pooling), expected="None, 'avg' or 'max'"
        )
    layers = {"avg": GlobalAveragePooling2D, "max": GlobalMaxPooling2D}
    return layers[pooling](name=f"{pooling}_pool")(x) if pooling else x


def no_weights(weights: Any, owner: str) -> None:
    """Weights are not downloaded; a file of Keras' is read by another call.

    Raises: GraphValueError when some are asked for.
    """
    if weights is not None:
        raise GraphValueError(
            f"{owner} comes without trained weights.",
            received=f"weights={weights!r}",
            expected="weights=None",
            fix="jg.load_keras_weights(path, graph) reads a weights file of Keras'",
        )
