"""Dense, Embedding and the other layers of layers/core.py, with arguments."""

import keras

from jaxgraphs.layers import core
from jaxgraphs.layers.reversible import ReversibleEmbedding
from tests.layers.case import Case

KERNEL = ("params/kernel", "params/bias")

CASES = [
    Case("dense", lambda: core.Dense(5), lambda: keras.layers.Dense(5), [(3, 4)], KERNEL),
    Case(
        "dense_relu_3d",
        lambda: core.Dense(5, activation="relu", use_bias=False),
        lambda: keras.layers.Dense(5, activation="relu", use_bias=False),
        [(3, 6, 4)],
        KERNEL[:1],
    ),
    Case(
        "embedding",
        lambda: core.Embedding(10, 4),
        lambda: keras.layers.Embedding(10, 4),
        [(3, 6)],
        ("params/embedding",),
        "int32",
    ),
    Case(
        "reversible_embedding",
        lambda: ReversibleEmbedding(10, 4, tie_weights=False),
        lambda: keras.layers.ReversibleEmbedding(10, 4, tie_weights=False),
        [(3, 6)],
        ("params/embedding", "params/reverse_embedding"),
        "int32",
    ),
    *[
        Case(
            f"reversible_embedding_back_{index}",
            lambda options=options: ReversibleEmbedding(10, 4, **options),
            lambda options=options: keras.layers.ReversibleEmbedding(10, 4, **options),
            [(3, 6, 4)],
            ("params/embedding", "params/reverse_embedding")[: 2 if "tie_weights" in options else 1],
            call={"reverse": True},
        )
        for index, options in enumerate(
            [{}, {"logit_soft_cap": 0.5}, {"tie_weights": False}, {"reverse_dtype": "float32"}]
        )
    ],
    Case("activation", lambda: core.Activation("softmax"), lambda: keras.layers.Activation("softmax"), [(3, 6)]),
    Case("dropout_inference", lambda: core.Dropout(0.5), lambda: keras.layers.Dropout(0.5), [(3, 6)]),
]
