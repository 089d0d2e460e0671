"""Data in every form to batches of one shape."""

from textwrap import dedent

import jax
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs import Graph, Input, layers
from jaxgraphs.training.feeding import (
    arrays_of,
    is_in_memory,
    order_of,
    pad,
    prepare,
    split,
    unpack,
    unpack_batch,
)
from jaxgraphs.training.feeds import StreamFeed
from tests.training.runs import classifier, rows, two_outputs


def test_rows_of_padding_are_marked():  # oracle: closed form
    data = arrays_of(classifier(), *rows(5))
    first, second = data.batches(3)
    assert first.targets.present.tolist() == [True] * 3
    assert second.targets.present.tolist() == [True, True, False]
    np.testing.assert_array_equal(second.inputs[0], data.inputs[0][[3, 4, 3]])
    assert [batch.targets.present for batch in data.batches(5)] == [None]
    assert [len(batch.inputs[0]) for batch in data.batches(3, can_pad=False)] == [3, 2]


def test_batches_from_the_middle_on():  # oracle: all batches
    data = arrays_of(classifier(), *rows(10))
    order = order_of(jax.random.key(0), 3, 10)
    whole = list(data.batches(3, order))
    for first in range(4):
        rest = list(data.batches(3, order, first=first))
        assert len(rest) == 4 - first
        np.testing.assert_array_equal(rest[0].inputs[0], whole[first].inputs[0])


def test_orders_are_permutations_of_their_own():  # oracle: closed form
    orders = [order_of(jax.random.key(0), epoch, 50).tolist() for epoch in range(3)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    assert orders[1] == order_of(jax.random.key(0), 1, 50).tolist()


def test_split_takes_the_end():  # oracle: Keras' documentation, the last samples
    x, y = rows(10)
    kept, held = split(arrays_of(classifier(), x, y), 0.25)
    np.testing.assert_array_equal(kept.inputs[0], x[:7])
    np.testing.assert_array_equal(held.targets[0], y[7:])


def test_streams_keep_the_first_size():  # oracle: closed form
    x, y = rows(10)
    feed = StreamFeed(classifier(), [(x[:4], y[:4]), (x[4:6], y[4:6])], steps=None, can_pad=True)
    batches = list(feed.epoch(0))
    assert [len(batch.inputs[0]) for batch in batches] == [4, 4]
    assert batches[1].targets.present.tolist() == [True, True, False, False]
    batch, size = prepare(classifier(), x, y, None, None, 16, can_pad=True)
    assert (len(batch.inputs[0]), size) == (16, 16)


@pytest.mark.parametrize("item", [3.0, (3.0,), (3.0, 4.0), (3.0, 4.0, 5.0)])
def test_unpack(item):  # oracle: closed form
    assert unpack(item) == ((3.0, None, None) if item == 3.0 else (*item, None, None)[:3])


def test_batches_of_other_loaders():  # oracle: by hand
    one, two = classifier(), two_outputs()
    assert unpack_batch(one, [1, 2]) == (1, 2, None)
    assert unpack_batch(two, [1, 2]) == ([1, 2], None, None)
    assert unpack_batch(two, [[1, 2], 3]) == ([1, 2], 3, None)
    assert unpack_batch(two, [1, 2, 3]) == (1, 2, 3)
    assert unpack_batch(two, {"a": 1, "b": 2}) == ({"a": 1, "b": 2}, None, None)
    assert unpack_batch(two, {"a": 1, "age": 3, "b": 2}) == ({"a": 1, "b": 2}, {"age": 3}, None)
    assert unpack_batch(one, {"x": 1, "lable": 3}) == ({"x": 1, "lable": 3}, None, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.ones((2, 3)), True),
        ({"a": [1, 2]}, True),
        ([np.ones(3), np.ones(3)], True),
        ([(np.ones(3), np.ones(3))], False),
        ([[np.ones(3), np.ones(3)], [np.ones(3), np.ones(3)]], False),
        ([{"x": np.ones(3), "y": np.ones(3)}], False),
        ([[1.0, 2.0], [3.0, 4.0]], True),
        ((item for item in ()), False),
        (lambda epoch: [], False),
    ],
)
def test_is_in_memory(value, expected):  # oracle: the interface
    assert is_in_memory(value) is expected


def test_sample_weights_for_one_or_each():  # oracle: closed form
    x = {"a": np.ones((3, 4)), "b": np.ones((3, 2))}
    y = {"age": np.ones(3), "gender": np.ones(3)}
    weight = np.arange(3.0)
    both = arrays_of(two_outputs(), x, y, weight).weights
    one = arrays_of(two_outputs(), x, y, {"gender": weight}).weights
    assert [None if each is None else each.tolist() for each in both] == [[0, 1, 2], [0, 1, 2]]
    assert [None if each is None else each.tolist() for each in one] == [None, [0, 1, 2]]


@pytest.mark.parametrize("labels", [[0, 2, 1], [[0], [2], [1]], [[1, 0, 0], [0, 0, 1], [0, 1, 0]]])
def test_class_weights_by_label(labels):  # oracle: closed form
    data = arrays_of(classifier(), np.ones((3, 6)), np.array(labels), np.array([1.0, 2.0, 4.0]), {0: 3.0, 2: 0.5})
    assert data.weights[0].tolist() == [3.0, 1.0, 4.0]


def test_class_weights_of_a_class_for_each_step():  # oracle: closed form
    ids = Input((3,), dtype="int32", name="ids")
    graph = Graph(ids, layers.Dense(3, activation="softmax")(layers.Embedding(5, 2)(ids)))
    labels = np.array([[0, 2, 1], [2, 2, 0]])
    data = arrays_of(graph, np.ones((2, 3), np.int32), labels, None, {0: 3.0, 2: 0.5})
    assert data.weights[0].tolist() == [[3.0, 0.5, 1.0], [0.5, 0.5, 3.0]]


X, Y = rows(4)
ERRORS = [
    (
        lambda: arrays_of(classifier(), np.array(["a", "b"]), Y),
        """\
        'x' holds no numbers.
          received: dtype <U1
          expected: numbers
          fix:      encode texts as whole numbers first""",
    ),
    (
        lambda: arrays_of(classifier(), np.zeros((0, 6)), np.zeros(0)),
        """\
        The data has no examples.
          received: arrays of length 0""",
    ),
    (
        lambda: split(arrays_of(classifier(), X, Y), 0.9),
        """\
        validation_split leaves a part without examples.
          received: 0.9 of 4 examples""",
    ),
    (
        lambda: pad(arrays_of(classifier(), X, Y), 3),
        """\
        A batch is larger than those before it.
          received: 4 rows
          expected: at most 3""",
    ),
    (
        lambda: unpack((1, 2, 3, 4)),
        """\
        A batch is (x, y) or (x, y, sample_weight).
          received: a tuple of 4""",
    ),
]


@pytest.mark.parametrize(("cause", "text"), ERRORS)
def test_errors(cause, text):  # oracle: the message, word for word
    with pytest.raises(jg.GraphError) as caught:
        cause()
    assert str(caught.value) == dedent(text)


def test_rows_of_unlike_length():  # oracle: the message's first and last line
    with pytest.raises(jg.GraphTypeError) as caught:
        arrays_of(classifier(), {"x": [[1, 2], [3]]}, Y)
    lines = str(caught.value).splitlines()
    assert (lines[0], lines[-1]) == ("'x' is not an array.", "  fix:      pad rows of unlike length")
