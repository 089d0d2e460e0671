"""Flatten, Reshape, Permute and RepeatVector; Identity, Masking, Lambda and ActivityRegularization."""

import keras

from jaxgraphs.layers import passing, shaping
from tests.layers.case import Case

theirs = keras.layers

CASES = [
    Case("flatten", lambda: shaping.Flatten(), lambda: theirs.Flatten(), [(2, 3, 4)]),
    Case("flatten_vector", lambda: shaping.Flatten(), lambda: theirs.Flatten(), [(3,)]),
    Case(
        "flatten_channels_first",
        lambda: shaping.Flatten("channels_first"),
        lambda: theirs.Flatten("channels_first"),
        [(2, 3, 4, 2)],
    ),
    Case("reshape", lambda: shaping.Reshape((3, 4)), lambda: theirs.Reshape((3, 4)), [(2, 6, 2)]),
    Case("reshape_rest", lambda: shaping.Reshape([2, -1]), lambda: theirs.Reshape((2, -1)), [(2, 6, 2)]),
    Case("reshape_ids", lambda: shaping.Reshape((-1,)), lambda: theirs.Reshape((-1,)), [(2, 6, 2)], dtype="int32"),
    Case("permute", lambda: shaping.Permute((3, 1, 2)), lambda: theirs.Permute((3, 1, 2)), [(2, 3, 4, 5)]),
    Case("repeat_vector", lambda: shaping.RepeatVector(3), lambda: theirs.RepeatVector(3), [(2, 4)]),
    Case("identity", lambda: passing.Identity(), lambda: theirs.Identity(), [(2, 4)]),
    Case("masking", lambda: passing.Masking(), lambda: theirs.Masking(), [(2, 3, 4)]),
    Case("masking_ids", lambda: passing.Masking(2), lambda: theirs.Masking(2), [(4, 3, 1)], dtype="int32", ids=4),
    Case("lambda", lambda: passing.Lambda(lambda x: x * x), lambda: theirs.Lambda(lambda x: x * x), [(2, 4)]),
    Case(
        "lambda_arguments",
        lambda: passing.Lambda(lambda x, factor: x * factor, arguments={"factor": 3.0}),
        lambda: theirs.Lambda(lambda x, factor: x * factor, arguments={"factor": 3.0}),
        [(2, 4)],
    ),
    Case(
        "lambda_of_two",
        lambda: passing.Lambda(lambda pair: pair[0] - pair[1], output_shape=(4,)),
        lambda: theirs.Lambda(lambda pair: pair[0] - pair[1], output_shape=(4,)),
        [(2, 4), (2, 4)],
    ),
    Case(
        "activity_regularization",
        lambda: passing.ActivityRegularization(0.1, 0.2),
        lambda: theirs.ActivityRegularization(0.1, 0.2),
        [(2, 4)],
    ),
]
