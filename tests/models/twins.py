"""Each graph of `jg.models` beside the same model written with Keras."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from jaxgraphs import models
from jaxgraphs.graph.graph import Graph
from tests.keras_weights import variables_of
from tests.training.keras_in import keras_in


@dataclasses.dataclass(frozen=True)
class Twin:
    """A graph at a small size, and Keras' model of the same.

    Args:
        ours, theirs: make them.
        inputs: shapes with the batch; `ids` is the number of words where inputs are words.
        losses: of the outputs in order.
        targets: for each output ("float", shape), ("binary", shape) or ("class", shape, classes), with the batch.
        loss_weights: in order.
        steps: how many steps of training are compared.
        rate: of plain gradient descent.
        dtype: in which training is compared. Through fifty layers of batch statistics of a few numbers each, what
            float32 rounds in one step is all that is left of the loss thirty steps later.
    """

    name: str
    ours: Callable[[], Graph]
    theirs: Callable[[], keras.Model]
    inputs: Sequence[tuple[int, ...]]
    losses: Sequence[str]
    targets: Sequence[tuple[Any, ...]]
    ids: int = 0
    loss_weights: Sequence[float] | None = None
    steps: int = 30
    rate: float = 0.05
    dtype: str = "float32"

    def __str__(self) -> str:
        return self.name

    def made(self, dtype: str = "float32") -> tuple[Graph, keras.Model, dict[str, Any]]:
        """Both, and variables for ours that hold Keras' weights."""
        keras.utils.set_random_seed(0)
        keras.utils.clear_session()
        with keras_in(dtype):
            model = self.theirs()
        graph = self.ours()
        return graph, model, variables_of(model, graph)

    def batch(self, seed: int = 0, dtype: str = "float32") -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Inputs and targets."""
        random = np.random.default_rng(seed)
        x = [self._input(random, shape, dtype) for shape in self.inputs]
        return x, [_target(random, *target) for target in self.targets]

    def _input(self, random: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        if self.ids:
            return random.integers(0, self.ids, shape).astype(np.int32)
        return random.normal(size=shape).astype(dtype)


def _target(random: np.random.Generator, kind: str, shape: tuple[int, ...], classes: int = 2) -> np.ndarray:
    if kind == "float":
        return random.normal(size=shape).astype(np.float32)
    drawn = random.integers(0, classes, shape)
    return drawn.astype(np.int32 if kind == "class" else np.float32)


def question_answering() -> keras.Model:
    text = keras.Input((None,), dtype="int32", name="text")
    question = keras.Input((None,), dtype="int32", name="question")
    embedded = layers.Embedding(20, 8)(text)
    story = layers.LSTM(4)(embedded)
    asked = layers.LSTM(4)(layers.Embedding(15, 8)(question))
    return keras.Model(
        [text, question], layers.Dense(6, activation="softmax", name="answer")(layers.concatenate([story, asked]))
    )


def social_posts() -> keras.Model:
    posts = keras.Input((None,), dtype="int32", name="posts")
    x = layers.Embedding(50, 8)(posts)
    x = layers.Conv1D(128, 5, activation="relu")(x)
    x = layers.MaxPooling1D(5)(x)
    x = layers.Conv1D(256, 5, activation="relu")(x)
    x = layers.Conv1D(256, 5, activation="relu")(x)
    x = layers.MaxPooling1D(5)(x)
    x = layers.Conv1D(256, 5, activation="relu")(x)
    x = layers.Conv1D(256, 5, activation="relu")(x)
    x = layers.Dense(128, activation="relu")(layers.GlobalMaxPooling1D()(x))
    age = layers.Dense(1, name="age")(x)
    income = layers.Dense(10, activation="softmax", name="income")(x)
    return keras.Model(posts, [age, income, layers.Dense(1, activation="sigmoid", name="gender")(x)])


def inception_module() -> keras.Model:
    image = keras.Input((7, 8, 6), name="image")
    options = {"activation": "relu", "padding": "same"}
    a = layers.Conv2D(8, 1, strides=2, **options)(image)
    # Keras numbers layers as they are made: one statement each keeps the order plain.
    b = layers.Conv2D(8, 1, **options)(image)
    b = layers.Conv2D(8, 3, strides=2, **options)(b)
    c = layers.AveragePooling2D(3, strides=2, padding="same")(image)
    c = layers.Conv2D(8, 3, **options)(c)
    d = layers.Conv2D(8, 1, **options)(image)
    d = layers.Conv2D(8, 3, **options)(d)
    d = layers.Conv2D(8, 3, strides=2, **options)(d)
    y = layers.concatenate([a, b, c, d])
    return keras.Model(image, layers.Dense(10, activation="softmax", name="classes")(y))


def residual_block(filters: int, strides: int) -> keras.Model:
    image = keras.Input((9, 8, 8), name="image")
    y = image
    for _ in range(3):
        y = layers.Conv2D(filters, 3, activation="relu", padding="same")(y)
    shortcut = image
    if strides > 1:
        y = layers.MaxPooling2D(strides, strides=strides, padding="same")(y)
    if strides > 1 or filters != 8:
        shortcut = layers.Conv2D(filters, 1, strides=strides, padding="same")(image)
    return keras.Model(image, layers.add([y, shortcut]))


def siamese_lstm(by_distance: bool = False) -> keras.Model:
    lstm = layers.LSTM(4)
    left, right = (keras.Input((None, 6), name=name) for name in ("left", "right"))
    encoded = [lstm(left), lstm(right)]
    if by_distance:
        difference = layers.subtract(encoded)
        compared = layers.multiply([difference, difference])
    else:
        compared = layers.concatenate(encoded)
    return keras.Model([left, right], layers.Dense(1, activation="sigmoid", name="similarity")(compared))


def imdb_conv1d() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32", name="review"),
            layers.Embedding(50, 8, name="embed"),
            layers.Conv1D(32, 7, activation="relu"),
            layers.MaxPooling1D(5),
            layers.Conv1D(64, 7, activation="relu"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(1, name="sentiment"),
        ]
    )


def separable_convnet() -> keras.Model:
    pairs = []
    for widths, end in (((32, 64), 2), ((64, 128), 2), ((64, 128), 0)):
        pairs += [layers.SeparableConv2D(width, 3, activation="relu") for width in widths]
        pairs.append(layers.MaxPooling2D(end) if end else layers.GlobalAveragePooling2D())
    ends = [layers.Dense(32, activation="relu"), layers.Dense(10, activation="softmax", name="class")]
    return keras.Sequential([keras.Input((38, 40, 3), name="image"), *pairs, *ends])


def two_cameras() -> keras.Model:
    shape = (71, 71, 3)
    xception = keras.applications.Xception(include_top=False, weights=None, input_shape=shape, pooling="avg")
    left, right = (keras.Input(shape, name=name) for name in ("left", "right"))
    return keras.Model([left, right], layers.concatenate([xception(left), xception(right)]))


def application(name: str, shape: tuple[int, ...], classes: int = 10) -> Callable[[], keras.Model]:
    """A model of Keras' own, with a top of `classes`."""
    return lambda: getattr(keras.applications, name)(weights=None, input_shape=shape, classes=classes)


SMALL = [
    Twin(
        "question_answering",
        lambda: models.question_answering(20, 15, 6, embedding=8, units=4),
        question_answering,
        [(4, 7), (4, 3)],
        ["sparse_categorical_crossentropy"],
        [("class", (4,), 6)],
        ids=15,
    ),
    Twin(
        "social_posts",
        lambda: models.social_posts(50, 10, embedding=8),
        social_posts,
        [(4, 269)],
        ["mse", "sparse_categorical_crossentropy", "binary_crossentropy"],
        [("float", (4, 1)), ("class", (4,), 10), ("binary", (4, 1))],
        ids=50,
        loss_weights=[0.25, 1.0, 10.0],
        rate=0.005,
    ),
    Twin(
        "inception_module",
        lambda: models.inception_module((7, 8, 6), filters=8),
        inception_module,
        [(4, 7, 8, 6)],
        ["sparse_categorical_crossentropy"],
        [("class", (4, 4, 4), 10)],
    ),
    *(
        Twin(
            f"residual_block {filters} / {strides}",
            lambda filters=filters, strides=strides: models.residual_block((9, 8, 8), filters, strides),
            lambda filters=filters, strides=strides: residual_block(filters, strides),
            [(2, 9, 8, 8)],
            ["mse"],
            [("float", (2, -(-9 // strides), -(-8 // strides), filters))],
        )
        for filters, strides in ((8, 1), (12, 1), (12, 2))
    ),
    *(
        Twin(
            f"siamese_lstm {'by distance' if by_distance else ''}".strip(),
            lambda by_distance=by_distance: models.siamese_lstm(6, 4, by_distance),
            lambda by_distance=by_distance: siamese_lstm(by_distance),
            [(4, 5, 6), (4, 3, 6)],
            ["binary_crossentropy"],
            [("binary", (4, 1))],
        )
        for by_distance in (False, True)
    ),
    Twin(
        "imdb_conv1d",
        lambda: models.imdb_conv1d(50, None, 8),
        imdb_conv1d,
        [(4, 48)],
        ["mse"],
        [("float", (4, 1))],
        ids=50,
        rate=0.01,
    ),
]
"""Those whose gradients and training are compared in the quick part."""

LARGE = [
    Twin(
        "separable_convnet",
        lambda: models.separable_convnet((38, 40, 3)),
        separable_convnet,
        [(2, 38, 40, 3)],
        ["sparse_categorical_crossentropy"],
        [("class", (2,), 10)],
    ),
    *(
        Twin(
            name,
            lambda name=name, size=size: getattr(models, name)(input_shape=(size, size, 3), classes=10),
            application(name, (size, size, 3)),
            [(rows, size, size, 3)],
            ["sparse_categorical_crossentropy"],
            [("class", (rows,), 10)],
            # At larger rates what differs grows a hundredfold a step, and ours and theirs are soon two other runs.
            rate=rate,
            dtype="float64",
        )
        for name, size, rows, rate in (
            ("Xception", 71, 2, 1e-6),
            ("InceptionV3", 75, 6, 1e-7),
            ("ResNet50", 64, 4, 1e-6),
        )
    ),
    Twin(
        "two_cameras",
        lambda: models.two_cameras((71, 71, 3), pooling="avg"),
        two_cameras,
        [(1, 71, 71, 3), (1, 71, 71, 3)],
        ["mse"],
        [("float", (1, 4096))],
        steps=2,
        rate=0.001,
    ),
]
"""Those that take long to compile."""
