"""What the catalogue does not show of shapes: unknown sizes and messages."""

import pytest

from jaxgraphs.errors import GraphError, ShapeMismatchError
from jaxgraphs.layers.shaping import Flatten, Permute, RepeatVector, Reshape
from jaxgraphs.symbolic.node import Input


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (Flatten(), (None, 4), (None, None)),
        (Flatten(), (), (None, 1)),
        (Reshape((-1, 2)), (None, 4), (None, None, 2)),
        (Reshape((2, -1)), (None, 3), (None, 2, None)),
        (Reshape((6, 4)), (None, 4), (None, 6, 4)),
        (Reshape((6, 4)), (None, None), (None, 6, 4)),
        (Reshape((-1,)), (None, None, 3), (None, None)),
        (Reshape(12), (3, 4), (None, 12)),
        (Permute((2, 1)), (None, 4), (None, 4, None)),
        (RepeatVector(3), (None,), (None, 3, None)),
    ],
    ids=str,
)
def test_unknown_sizes(layer, shape, expected):  # oracle: Keras' rule for None
    assert layer(Input(shape)).shape == expected


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (Reshape((5,)), (3, 4), "cannot arrange 12 numbers as .5,."),
        (Reshape((5, -1)), (3, 4), "a multiple of 5 numbers"),
        (Permute((2, 1)), (4,), "orders 2 axes"),
        (RepeatVector(2), (3, 4), "repeats vectors"),
    ],
)
def test_inputs_that_do_not_fit(layer, shape, words):  # oracle: the message
    with pytest.raises(ShapeMismatchError, match=words):
        layer(Input(shape))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Reshape((-1, -1)),
        lambda: Reshape((2.0,)),
        lambda: Reshape(None),
        lambda: Permute((0, 1)),
        lambda: Permute((1, 1)),
        lambda: RepeatVector(0),
        lambda: Flatten("rows"),
    ],
)
def test_arguments_without_sense(make):  # oracle: the kind of error
    with pytest.raises(GraphError):
        make()
