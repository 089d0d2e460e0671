"""A small run that writes one of each kind."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import jax
import numpy as np

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.conv import Conv2D
from jaxgraphs.layers.core import Dense, Embedding
from jaxgraphs.layers.global_pooling import GlobalAveragePooling1D
from jaxgraphs.layers.joining import concatenate
from jaxgraphs.layers.shaping import Flatten
from jaxgraphs.symbolic.node import Input
from jaxgraphs.training.trainer import Trainer

LICENSE = Path(__file__).parents[4] / "LICENSE"


def real_text(length: int = 12) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Windows of words from the licence, whether each is in its first half, and the vocabulary."""
    words = re.findall("[a-z]+", LICENSE.read_text("utf-8").lower())
    vocabulary = ["<rare>", *(word for word, _ in Counter(words).most_common(49))]
    ids = [vocabulary.index(word) if word in vocabulary else 0 for word in words]
    windows = np.array([ids[start : start + length] for start in range(0, len(ids) - length, length)], np.int32)
    return windows, (np.arange(len(windows)) < len(windows) / 2).astype(np.float32)[:, None], vocabulary


def text_and_picture() -> Graph:
    """A text and a picture in, two outputs; an encoder within, called twice."""
    a = Input((6, 6, 1), name="pixels")
    features = Flatten(name="flat")(Conv2D(4, 3, name="conv", activation="relu")(a))
    encoder = Graph(a, Dense(8, name="code", activation="relu")(features), name="encoder")
    text = Input((12,), dtype="int32", name="text")
    picture, other = Input((6, 6, 1), name="a"), Input((6, 6, 1), name="b")
    words = GlobalAveragePooling1D(name="mean")(Embedding(50, 6, name="words")(text))
    joined = concatenate([words, encoder(picture), encoder(other)], axis=-1)
    half, size = Dense(1, activation="sigmoid", name="half")(joined), Dense(2, name="size")(joined)
    return Graph([text, picture, other], [half, size])


def data() -> tuple[list[np.ndarray], list[np.ndarray]]:
    text, half, _ = real_text()
    draw = np.random.default_rng(0)
    pictures = [draw.random((len(text), 6, 6, 1)).astype(np.float32) for _ in range(2)]
    return [text, *pictures], [half, draw.random((len(text), 2)).astype(np.float32)]


def trainer() -> Trainer:
    losses = {"half": "binary_crossentropy", "size": "mse"}
    return Trainer(text_and_picture(), optimizer="adam", loss=losses, metrics={"half": ["accuracy"]})


def fit(callbacks, epochs: int = 3, **options):
    made, (x, y) = trainer(), data()
    options = {"batch_size": 64, "validation_split": 0.25, "verbose": 0, **options}
    return made.fit(made.init(jax.random.key(0)), x, y, epochs=epochs, callbacks=callbacks, **options)
