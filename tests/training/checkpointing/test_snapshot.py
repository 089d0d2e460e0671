"""What a callback remembers, to JSON and arrays and back."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs.training.callbacks import Callback
from jaxgraphs.training.checkpointing.snapshot import Snapshot, decode, encode, json_differences, remember
from jaxgraphs.training.history import History
from tests.training.runs import assert_same_bits

STATE = {"w": jnp.arange(3.0), "key": jax.random.key(3), "empty": jnp.zeros((0, 2)), "none": None}
SUMS = {"loss": (jnp.float32(0.1), jnp.float32(3))}


def there_and_back(memory, history=None):
    snapshot = Snapshot(STATE, SUMS, 2, 5, True, 25, None, {"read": 3}, [("Callback", memory)], history or History())
    arrays, record = encode(snapshot)
    return decode(
        {name: np.asarray(array) for name, array in arrays.items()}, json.loads(json.dumps(record)), STATE, SUMS
    )


@pytest.mark.parametrize(
    "memory",
    [
        {},
        {"best": 0.1, "wait": 3, "name": "é", "no": None, "yes": True, "inf": float("inf")},
        {"list": [1, (2, [3.5])], 5: {"a/b": {"c": ()}}, "bytes": b"\x00\xff"},
    ],
)
def test_memories_survive(memory):  # oracle: what was remembered
    assert there_and_back(memory).memories == [("Callback", memory)]


def test_arrays_in_memories_survive():  # oracle: what was remembered
    memory = {"numpy": np.arange(3), "jax": jnp.arange(3, dtype=jnp.bfloat16), "key": jax.random.key(9)}
    ((_, actual),) = there_and_back(memory).memories
    assert_same_bits(actual, memory)
    assert [isinstance(actual[name], jax.Array) for name in memory] == [False, True, True]


def test_state_and_history_survive():  # oracle: what was saved
    history = History({"loss": [0.1, 1 / 3], "val_loss": [None, float("nan")]}, [0, 1])
    actual = there_and_back({}, history)
    assert_same_bits((actual.state, actual.sums), (STATE, SUMS))
    assert json.dumps(actual.history.history) == json.dumps(history.history)
    assert (actual.epoch, actual.batch, actual.begun, actual.steps, actual.data) == (2, 5, True, 25, {"read": 3})


def test_what_cannot_be_saved_is_named():  # oracle: the message, word for word
    with pytest.raises(jg.GraphTypeError) as caught:
        there_and_back({"best": {"weights": object()}})
    assert str(caught.value) == (
        "A callback's memory holds something that cannot be saved.\n  where:    callbacks/0/best/weights\n"
        "  received: object\n  expected: dicts, lists and tuples of numbers, texts, None and arrays"
    )


class First(Callback):
    def remember(self, memory):
        self.given = memory["number"]


class Second(First):
    pass


def test_memories_find_their_callbacks():  # oracle: class and order
    callbacks = [Second(), First(), First(), Callback()]
    remember(callbacks, [("First", {"number": 1}), ("Second", {"number": 2}), ("First", {"number": 3})])
    assert [callback.given for callback in callbacks[:3]] == [2, 1, 3]


@pytest.mark.parametrize(
    ("there", "here", "lines"),
    [
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, []),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, ["a/1/b: 2 in the checkpoint, 3 in this run"]),
        ({"a": 1}, {"b": 1}, ["a: 1 in the checkpoint, null in this run", "b: null in the checkpoint, 1 in this run"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a: [1] in the checkpoint, [1, 2] in this run"]),
    ],
)
def test_differences(there, here, lines):  # oracle: by hand
    assert json_differences(there, here) == lines
