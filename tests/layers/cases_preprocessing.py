"""Rescaling, Normalization and CategoryEncoding, with arguments."""

import keras

from jaxgraphs.layers import preprocessing as ours
from tests.layers.case import Case

theirs = keras.layers
MEAN, VARIANCE = [0.1, -0.2, 0.3, 0.4], [1.0, 0.5, 2.0, 0.1]

CASES = [
    Case("rescaling", lambda: ours.Rescaling(1 / 255), lambda: theirs.Rescaling(1 / 255), [(2, 3, 4)]),
    Case(
        "rescaling_ids", lambda: ours.Rescaling(2.0, 1.0), lambda: theirs.Rescaling(2.0, 1.0), [(2, 3)], dtype="int32"
    ),
    Case(
        "rescaling_channels",
        lambda: ours.Rescaling([1.0, 2.0, 3.0, 4.0], offset=[0.5, 0.0, 0.0, 1.0]),
        lambda: theirs.Rescaling([1.0, 2.0, 3.0, 4.0], offset=[0.5, 0.0, 0.0, 1.0]),
        [(2, 3, 4)],
    ),
    *[
        Case(
            f"normalization_{index}",
            lambda o=o: ours.Normalization(**o),
            lambda o=o: theirs.Normalization(**o),
            [(2, 3, 4)],
        )
        for index, o in enumerate(
            [
                {"mean": MEAN, "variance": VARIANCE},
                {"mean": MEAN, "variance": VARIANCE, "invert": True},
                {"axis": None, "mean": 0.5, "variance": 4.0},
                {"axis": 1, "mean": MEAN[:3], "variance": VARIANCE[:3]},
                {"axis": (1, 2), "mean": MEAN, "variance": VARIANCE},
                {"axis": -1, "mean": 0.5, "variance": 0.0},
            ]
        )
    ],
    *[
        Case(
            f"category_encoding_{mode}_{index}",
            lambda mode=mode: ours.CategoryEncoding(5, output_mode=mode),
            lambda mode=mode: theirs.CategoryEncoding(5, output_mode=mode),
            [shape],
            dtype="int32",
            ids=5,
        )
        for index, (mode, shape) in enumerate(
            [("multi_hot", (3, 4)), ("count", (3, 4)), ("one_hot", (3, 1)), ("one_hot", (3, 4)), ("one_hot", (3,))]
        )
    ],
]
