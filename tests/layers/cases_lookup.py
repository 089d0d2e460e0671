"""What is looked up: encoding of numbers in the graph; the reading of texts is in test_lookup.py."""

import keras

from jaxgraphs.layers import lookup as ours
from tests.layers.case import Case

ENDS = [-0.5, 0.1, 0.6]

CASES = [
    *[
        Case(
            f"discretization_{mode}_{len(shape)}",
            lambda mode=mode: ours.Discretization(ENDS, output_mode=mode),
            lambda mode=mode: keras.layers.Discretization(ENDS, output_mode=mode),
            [shape],
        )
        for mode, shape in [("int", (3, 4)), ("one_hot", (3, 1)), ("multi_hot", (3, 4)), ("count", (3, 4))]
    ],
    Case("integer_lookup", lambda: ours.IntegerLookup(vocabulary=[7, 3, 5]), None, [(3, 4)], dtype="int32"),
    Case("string_lookup", lambda: ours.StringLookup(vocabulary=["a", "b"]), None, [(3, 4)], dtype="int32", ids=3),
    Case("hashing", lambda: ours.Hashing(5, output_mode="count"), None, [(3, 4)], dtype="int32", ids=5),
    Case(
        "text_vectorization",
        lambda: ours.TextVectorization(vocabulary=["a"], output_mode="multi_hot"),
        None,
        [(3, 4)],
        dtype="int32",
        ids=2,
    ),
]
