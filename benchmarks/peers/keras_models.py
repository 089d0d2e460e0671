"""The workloads in Keras 3, on the backend that KERAS_BACKEND names."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from benchmarks.workloads import Arrays, Subject, Workload


def question_answering() -> Any:
    """Two texts, an LSTM for each."""
    texts = [keras.Input((100,), dtype="int32"), keras.Input((100,), dtype="int32")]
    read = [layers.LSTM(32)(layers.Embedding(10_000, 64)(text)) for text in texts]
    return keras.Model(texts, layers.Dense(500, activation="softmax")(layers.concatenate(read)))


def siamese_lstm() -> Any:
    """Two sequences, one LSTM."""
    inputs, lstm = [keras.Input((100, 128)), keras.Input((100, 128))], layers.LSTM(32)
    both = layers.concatenate([lstm(x) for x in inputs])
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(both))


def social_posts() -> Any:
    """One text, three predictions."""
    posts = keras.Input((500,), dtype="int32")
    x = layers.Conv1D(128, 5, activation="relu")(layers.Embedding(50_000, 256)(posts))
    for _ in range(2):
        x = layers.MaxPooling1D(5)(x)
        for _ in range(2):
            x = layers.Conv1D(256, 5, activation="relu")(x)
    x = layers.Dense(128, activation="relu")(layers.GlobalMaxPooling1D()(x))
    age, income = layers.Dense(1)(x), layers.Dense(10, activation="softmax")(x)
    return keras.Model(posts, [age, income, layers.Dense(1, activation="sigmoid")(x)])


def inception_module() -> Any:
    """Four branches over one feature map."""

    def conv(x: Any, size: int, strides: int = 1) -> Any:
        return layers.Conv2D(128, size, strides=strides, activation="relu", padding="same")(x)

    x = keras.Input((28, 28, 256))
    pooled = layers.AveragePooling2D(3, strides=2, padding="same")(x)
    branches = [conv(x, 1, 2), conv(conv(x, 1), 3, 2), conv(pooled, 3), conv(conv(conv(x, 1), 3), 3, 2)]
    return keras.Model(x, layers.Dense(10, activation="softmax")(layers.concatenate(branches)))


def residual_block() -> Any:
    """Three convolutions, added to what they read."""
    x = y = keras.Input((28, 28, 128))
    for _ in range(3):
        y = layers.Conv2D(128, 3, activation="relu", padding="same")(y)
    return keras.Model(x, layers.add([y, x]))


MODELS: dict[str, Callable[[], Any]] = {
    "question_answering": question_answering,
    "siamese_lstm": siamese_lstm,
    "social_posts": social_posts,
    "inception_module": inception_module,
    "residual_block": residual_block,
    "inception_v3": lambda: keras.applications.InceptionV3(weights=None),
    "xception": lambda: keras.applications.Xception(weights=None),
}


def build(workload: Workload) -> Subject:
    """The compiled model."""
    model = MODELS[workload.name]()
    losses = list(workload.losses)
    model.compile("rmsprop", losses if len(losses) > 1 else losses[0])
    x, y = workload.data()

    def only(arrays: Arrays) -> Any:
        return arrays if len(arrays) > 1 else arrays[0]

    def step() -> float:
        return float(np.ravel(model.train_on_batch(only(x), only(y)))[0])

    def fit(inputs: Arrays, targets: Arrays) -> None:
        model.fit(only(inputs), only(targets), batch_size=workload.batch, epochs=1, verbose=0)

    return Subject(step, fit, lambda inputs: model.predict_on_batch(only(inputs)), _forget(workload))


def _forget(workload: Workload) -> Callable[[], None] | None:
    # Building a large model once more would take longer than all that is measured of it.
    is_quick = keras.backend.backend() == "jax" and not workload.is_large
    return importlib.import_module("jax").clear_caches if is_quick else None


def versions() -> dict[str, str]:
    """What is measured."""
    backend = keras.backend.backend()
    return {"keras": keras.__version__, backend: importlib.import_module(backend).__version__}
