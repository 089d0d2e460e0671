"""Sequences of unlike length in batches of like length."""

from textwrap import dedent

import jax
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs import layers
from jaxgraphs.training.buckets import Buckets

RANDOM = np.random.default_rng(0)
TEXTS = [RANDOM.integers(1, 9, size).tolist() for size in RANDOM.integers(1, 13, 50)]
QUESTIONS = [RANDOM.integers(1, 9, size).tolist() for size in RANDOM.integers(1, 5, 50)]
LABELS = np.arange(50)
X = {"text": TEXTS, "question": QUESTIONS}


def buckets(**options):
    return Buckets(**({"x": X, "y": LABELS, "by": "text", "lengths": (4, 8, 12), "batch_size": 8} | options))


def test_every_example_once_and_whole():  # oracle: the examples themselves
    seen = {}
    for x, y in buckets()(3):
        assert x["text"].shape[1] in (4, 8, 12)
        assert x["question"].shape[1] == max(map(len, QUESTIONS))
        for row, label in enumerate(y):
            seen[int(label)] = [x[name][row][x[name][row] > 0].tolist() for name in ("text", "question")]
            assert len(TEXTS[label]) > x["text"].shape[1] - 4
    assert seen == {label: [TEXTS[label], QUESTIONS[label]] for label in range(50)}


def test_epochs_have_orders_of_their_own():  # oracle: the same epoch twice
    orders = [[label for _, y in buckets()(epoch) for label in y.tolist()] for epoch in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]


def test_a_handful_of_shapes_compile():  # oracle: the number of compilations, one a bucket
    text, question = (jg.Input((None,), dtype="int32", name=name) for name in ("text", "question"))
    embedding = layers.Embedding(9, 4, mask_zero=True)
    read = [layers.GRU(3)(embedding(text)), layers.GRU(3)(embedding(question))]
    graph = jg.Graph([text, question], layers.Dense(2, activation="softmax")(layers.concatenate(read)))
    trainer = jg.Trainer(graph, "adam", "sparse_categorical_crossentropy")
    _, history = trainer.fit(trainer.init(jax.random.key(0)), buckets(y=LABELS % 2), epochs=3, verbose=0)
    # Each bucket's short batch carries marks of its real rows, which the whole ones do without.
    assert trainer._train.programs <= 6
    assert len(history.epoch) == 3
    assert np.isfinite(history.history["loss"]).all()


ERRORS = [
    (
        {"lengths": (4, 8)},
        """\
        A sequence of 'text' fits in no bucket.
          received: 12 steps
          expected: at most 8
          fix:      lengths=(4, 8, 12), or cut the sequences""",
    ),
    (
        {"by": "story"},
        """\
        Buckets need the name of an input and rising lengths.
          received: by='story', lengths=(4, 8, 12)
          expected: one of ['text', 'question'], and for example (16, 64, 256)""",
    ),
    (
        {"y": {"answer": LABELS[:3]}},
        """\
        The columns differ in length.
          received: text: 50 rows
                    question: 50 rows
                    answer: 3 rows
          fix:      give one row for each example""",
    ),
]


@pytest.mark.parametrize(("given", "text"), ERRORS)
def test_errors(given, text):  # oracle: the message, word for word
    with pytest.raises(jg.GraphValueError) as caught:
        buckets(**given)
    assert str(caught.value) == dedent(text)


def test_rows_of_several_dtypes_and_empty_ones():  # oracle: the rows themselves
    mixed = Buckets({"text": [[[1, 2], [3, 4]], [[0.5, 0.25]]]}, [0, 1], by="text", lengths=(2,), shuffle=False)
    assert [x["text"].tolist() for x, _ in mixed(0)] == [[[[1, 2], [3, 4]], [[0.5, 0.25], [0, 0]]]]
    empty = Buckets({"text": [[], [3]]}, [0, 1], by="text", lengths=(2,), shuffle=False)
    (x, _), *_ = empty(0)
    assert (x["text"].tolist(), x["text"].dtype.kind) == ([[0, 0], [3, 0]], "i")


def test_evaluate_predict_and_validation_take_them():  # oracle: the same rows in memory, padded to one length
    text = jg.Input((None,), dtype="int32", name="text")
    embedded = layers.Embedding(9, 4, mask_zero=True)(text)
    graph = jg.Graph(text, layers.Dense(1, name="y")(layers.GlobalAveragePooling1D()(embedded)))
    trainer, labels = jg.Trainer(graph, "sgd", "mse"), LABELS.astype(np.float32)
    state = trainer.init(jax.random.key(0))
    given = buckets(x={"text": TEXTS}, y=labels, batch_size=7)
    whole = np.zeros((50, 12), np.int32)
    for place, row in enumerate(TEXTS):
        whole[place, : len(row)] = row
    expected = trainer.evaluate(state, whole, labels)["loss"]
    assert trainer.evaluate(state, given)["loss"] == pytest.approx(expected, rel=1e-5)
    assert np.sort(trainer.predict(state, given), 0) == pytest.approx(np.sort(trainer.predict(state, whole), 0), 1e-5)
    still = jg.Trainer(graph, jg.optimizers.sgd(0.0), "mse")
    _, history = still.fit(still.init(jax.random.key(0)), whole, labels, validation_data=given, verbose=0)
    assert history.history["val_loss"] == [pytest.approx(expected, rel=1e-5)]
