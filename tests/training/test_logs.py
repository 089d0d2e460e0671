"""What evaluate and fit report for several outputs: Keras' names and Keras' numbers."""

import dataclasses
from typing import Any

import jax
import keras
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs import layers
from tests.keras_weights import variables_of
from tests.oracle import assert_close, keras_rules

ROWS, WORDS = 22, 6


def made(namespace, kind):
    """Age from a text, its topic, and a tag for each word; padded words are masked."""
    x = kind.Input((WORDS,), dtype="int32", name="words")
    embedded = namespace.Embedding(12, 5, mask_zero=True)(x)
    read = namespace.LSTM(4, return_sequences=True, name="read")(embedded)
    last = namespace.LSTM(3, name="last")(read)
    age = namespace.Dense(1, name="age")(last)
    topic = namespace.Dense(5, activation="softmax", name="topic")(last)
    tags = namespace.Dense(1, activation="sigmoid", name="tags")(read)
    return x, [age, topic, tags]


def rows():
    """Inputs and targets by output name."""
    random = np.random.default_rng(0)
    x = random.integers(1, 12, (ROWS, WORDS)).astype(np.int32)
    x[np.arange(WORDS)[None] >= random.integers(1, WORDS + 1, (ROWS, 1))] = 0
    age = random.normal(40, 9, (ROWS, 1)).astype(np.float32)
    topic = random.integers(0, 5, (ROWS,)).astype(np.int32)
    tags = random.integers(0, 2, (ROWS, WORDS, 1)).astype(np.float32)
    return x, {"age": age, "topic": topic, "tags": tags}


LOSSES = {"age": "mse", "topic": "sparse_categorical_crossentropy", "tags": "binary_crossentropy"}
# Keras cannot put a weight for each row together with a mask for each word, so words have weights of their own.
SIZES = {"age": (ROWS,), "topic": (ROWS,), "tags": (ROWS, WORDS)}
WEIGHTS = {name: np.random.default_rng(3).uniform(0, 2, size).astype(np.float32) for name, size in SIZES.items()}
METRICS: dict[str, Any] = {"age": ["mae", "mse"], "topic": ["accuracy"], "tags": ["accuracy", "mae"]}


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to compile and evaluate."""

    loss: Any = dataclasses.field(default_factory=lambda: dict(LOSSES))
    loss_weights: Any = None
    metrics: Any = None
    weighted_metrics: Any = None
    sample_weight: Any = None


def listed(by_name):
    return [by_name[name] for name in LOSSES]


WAYS = {
    "dict": Way(),
    "list": Way(loss=listed(LOSSES), loss_weights=[0.25, 1.0, 10.0]),
    "weights by name": Way(loss_weights={"age": 0.25, "topic": 1.0, "tags": 10.0}),
    "metrics by name": Way(metrics=METRICS),
    "metrics in order": Way(loss=listed(LOSSES), metrics=listed(METRICS)),
    "sample weights": Way(metrics=METRICS, sample_weight=WEIGHTS),
    "weighted metrics": Way(weighted_metrics=METRICS, sample_weight=WEIGHTS, loss_weights=[0.5, 2.0, 3.0]),
    "both kinds of metrics": Way(
        metrics={"age": ["mae"]}, weighted_metrics={"topic": ["accuracy"]}, sample_weight=WEIGHTS
    ),
    "one loss left out": Way(loss=LOSSES | {"topic": None}, metrics={"tags": ["accuracy"]}),
}


# What reports most stands for the others.
QUICK = ("weights by name", "both kinds of metrics", "one loss left out")


@pytest.mark.parametrize("name", [pytest.param(way, marks=() if way in QUICK else pytest.mark.slow) for way in WAYS])
def test_evaluate_reports_what_keras_reports(name):  # oracle: Keras, with a mask and an uneven last batch
    way, (x, y) = WAYS[name], rows()
    with keras_rules():
        keras.utils.clear_session()
        keras.utils.set_random_seed(1)
        model = keras.Model(*made(keras.layers, keras))
        options = {key: getattr(way, key) for key in ("loss", "loss_weights", "metrics", "weighted_metrics")}
        model.compile("sgd", **options)
        # Keras wants targets and weights in the order of the outputs where these are a list; here names will do.
        weights = None if way.sample_weight is None else listed(way.sample_weight)
        theirs = model.evaluate(x, listed(y), sample_weight=weights, batch_size=8, return_dict=True, verbose=0)
    graph = jg.Graph(*made(layers, jg))
    ours = jg.Trainer(graph, "sgd", **options).evaluate(
        variables_of(model, graph), x, y, sample_weight=way.sample_weight, batch_size=8
    )
    assert sorted(ours) == sorted(theirs)
    for key, value in theirs.items():
        assert_close(ours[key], value, 1e-5, key)


def test_fit_with_class_weights_is_keras_fit():  # oracle: Keras, one output, uneven last batch
    x, y = rows()
    weights = {0: 0.5, 1: 2.0, 2: 1.0, 3: 0.0, 4: 3.0}
    own_inputs, own_outputs = made(layers, jg)
    graph = jg.Graph(own_inputs, own_outputs[1])
    with keras_rules():
        keras.utils.clear_session()
        keras.utils.set_random_seed(1)
        inputs, outputs = made(keras.layers, keras)
        model = keras.Model(inputs, outputs[1])
        model.compile(keras.optimizers.SGD(0.1), LOSSES["topic"], weighted_metrics=["accuracy"])
        variables = variables_of(model, graph)
        theirs = model.fit(
            x, y["topic"], epochs=3, batch_size=8, shuffle=False, class_weight=weights, verbose=0
        ).history
    trainer = jg.Trainer(graph, jg.optimizers.sgd(0.1), LOSSES["topic"], weighted_metrics=["accuracy"])
    state = trainer.init(jax.random.key(0), variables)
    _, history = trainer.fit(
        state, x, y["topic"], epochs=3, batch_size=8, shuffle=False, class_weight=weights, verbose=0
    )
    assert sorted(history.history) == sorted(theirs)
    for key, values in theirs.items():
        assert_close(history.history[key], values, 1e-5, key)


def test_class_weights_by_output_are_sample_weights():  # oracle: the weights of the rows, by hand
    x, y = rows()
    by_class = {0: 0.5, 1: 2.0, 2: 1.0, 3: 0.0, 4: 3.0}
    trainer = jg.Trainer(jg.Graph(*made(layers, jg)), jg.optimizers.sgd(0.01), LOSSES, metrics={"topic": ["accuracy"]})
    options = {"epochs": 2, "batch_size": 8, "shuffle": False, "verbose": 0}
    histories = []
    for given in (
        {"class_weight": {"topic": by_class}},
        {"sample_weight": {"topic": np.array([by_class[topic] for topic in y["topic"]], np.float32)}},
    ):
        _, history = trainer.fit(trainer.init(jax.random.key(0)), x, y, **options, **given)
        histories.append(history.history)
    for key, values in histories[1].items():
        assert_close(histories[0][key], values, 1e-6, key)
