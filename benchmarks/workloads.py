"""What is trained: the chapter's five graphs and two large ones, with their batches; in NumPy, for every framework."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = list[np.ndarray]


@dataclasses.dataclass(frozen=True)
class Workload:
    """One thing to train.

    Args:
        name: as the results have it; `title`: as a reader has it.
        batch: how many examples a training step sees.
        predicted: the batch sizes at which predicting is timed.
        make: (random, count) -> inputs and targets, each a list of arrays.
        losses: one for each output, in Keras' words.
        is_large: whether a step takes seconds, so that few are made.
    """

    name: str
    title: str
    batch: int
    predicted: tuple[int, ...]
    make: Callable[[np.random.Generator, int], tuple[Arrays, Arrays]]
    losses: tuple[str, ...]
    is_large: bool = False

    def data(self, count: int | None = None) -> tuple[Arrays, Arrays]:
        """Inputs and targets of `count` examples, of a batch where left out; the same at each call."""
        return self.make(np.random.default_rng(0), count or self.batch)


def _ids(random: np.random.Generator, count: int, words: int, vocabulary: int) -> np.ndarray:
    return random.integers(1, vocabulary, (count, words)).astype(np.int32)


def _floats(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.normal(size=shape).astype(np.float32)


def _classes(random: np.random.Generator, classes: int, *shape: int) -> np.ndarray:
    return random.integers(0, classes, shape).astype(np.int32)


def _bits(random: np.random.Generator, count: int) -> np.ndarray:
    return random.integers(0, 2, (count, 1)).astype(np.float32)


def _question_answering(random: np.random.Generator, count: int) -> tuple[Arrays, Arrays]:
    texts = [_ids(random, count, 100, 10_000), _ids(random, count, 100, 10_000)]
    return texts, [_classes(random, 500, count)]


def _siamese(random: np.random.Generator, count: int) -> tuple[Arrays, Arrays]:
    return [_floats(random, count, 100, 128), _floats(random, count, 100, 128)], [_bits(random, count)]


def _three_outputs(random: np.random.Generator, count: int) -> tuple[Arrays, Arrays]:
    targets = [_floats(random, count, 1), _classes(random, 10, count), _bits(random, count)]
    return [_ids(random, count, 500, 50_000)], targets


def _inception_module(random: np.random.Generator, count: int) -> tuple[Arrays, Arrays]:
    return [_floats(random, count, 28, 28, 256)], [_classes(random, 10, count, 14, 14)]


def _residual_block(random: np.random.Generator, count: int) -> tuple[Arrays, Arrays]:
    return [_floats(random, count, 28, 28, 128)], [_floats(random, count, 28, 28, 128)]


def _photographs(random: np.random.Generator, count: int) -> tuple[Arrays, Arrays]:
    return [_floats(random, count, 299, 299, 3)], [_classes(random, 1000, count)]


_CLASSES, _YES = "sparse_categorical_crossentropy", "binary_crossentropy"
_TITLES = ("question answering", "siamese LSTM", "three outputs", "Inception module", "residual block")

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Workload("question_answering", _TITLES[0], 128, (1, 64), _question_answering, (_CLASSES,)),
        Workload("siamese_lstm", _TITLES[1], 128, (1, 64), _siamese, (_YES,)),
        Workload("social_posts", _TITLES[2], 64, (1, 64), _three_outputs, ("mse", _CLASSES, _YES)),
        Workload("inception_module", _TITLES[3], 32, (1, 64), _inception_module, (_CLASSES,)),
        Workload("residual_block", _TITLES[4], 32, (1, 64), _residual_block, ("mse",)),
        Workload("inception_v3", "Inception V3", 4, (8,), _photographs, (_CLASSES,), is_large=True),
        Workload("xception", "Xception", 4, (8,), _photographs, (_CLASSES,), is_large=True),
    )
}


@dataclasses.dataclass
class Subject:
    """A workload in one framework, built and ready.

    Args:
        step: makes one training step on the batch and waits for its loss, which it returns.
        fit: trains one epoch on inputs and targets in memory, as a user would.
        predict: inputs to outputs, both NumPy.
        forget: drops what was compiled, where the framework can; None where it cannot.
    """

    step: Callable[[], float]
    fit: Callable[[Arrays, Arrays], Any]
    predict: Callable[[Arrays], Any]
    forget: Callable[[], None] | None = None
