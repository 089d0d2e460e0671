"""Words to numbers: counting, ties, padding, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxgraphs.data.text import Vocabulary, pad, tokenize
from jaxgraphs.errors import GraphError, GraphTypeError, GraphValueError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Where is Mary? ", ["where", "is", "mary"]),
        ("a 1990s café, l'été — it's", ["a", "1990s", "café", "l'été", "it's"]),
        ("cafe\u0301 'quoted'", ["café", "quoted"]),
        ("", []),
        ("?!...", []),
    ],
)
def test_tokenize(text, words):  # oracle: words cut by hand
    assert tokenize(text) == words


def test_vocabulary_ranks_by_count_then_alphabet():  # oracle: counted by hand
    vocabulary = Vocabulary.from_texts(["b a", "c b", ["C", "a"]])
    assert vocabulary.words == ("a", "b", "C", "c")
    assert Vocabulary.from_texts(["c b", ["C", "a"], "b a"]) == vocabulary
    assert Vocabulary.from_texts(["b a", "c b", "a"], size=4).words == ("a", "b")
    assert Vocabulary.from_texts(["b"], size=2).encode("b") == [1]


@given(st.lists(st.text(max_size=12), max_size=8))
def test_round_trips(texts):  # oracle: the words themselves
    vocabulary = Vocabulary.from_texts(texts)
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    for text in texts:
        assert vocabulary.decode(vocabulary.encode(text)) == tokenize(text)


def test_decode_marks_unknown_and_drops_padding():  # oracle: by hand
    assert Vocabulary(("hall",)).decode([0, 1, 2, 0]) == ["[unknown]", "hall"]


@pytest.mark.parametrize("side", ["post", "pre"])
@pytest.mark.parametrize("length", [None, 0, 1, 3, 6])
def test_pad_follows_keras(side, length):  # oracle: Keras
    from keras.utils import pad_sequences

    sequences = [[1], [], [2, 3, 4, 5], [6, 7]]
    got = pad(sequences, length, side)
    assert got.dtype == np.int32
    if length == 0:
        assert got.shape == (4, 0)
    else:
        np.testing.assert_array_equal(got, pad_sequences(sequences, length, padding=side, truncating=side))


def test_pad_of_nothing():  # oracle: the empty shape
    assert pad([]).shape == (0, 0)
    assert pad([[], []]).shape == (2, 0)


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda: Vocabulary(("a", "b", "a")), GraphValueError, "'a'"),
        (lambda: Vocabulary("ab"), GraphTypeError, "tuple of strings"),  # type: ignore[arg-type]
        (lambda: Vocabulary((1,)), GraphTypeError, "tuple of strings"),  # type: ignore[arg-type]
        (lambda: Vocabulary.from_texts(["a"], size=1), GraphValueError, "2 or more"),
        (lambda: Vocabulary(("a",)).decode([3]), GraphValueError, "0 to 2"),
        (lambda: Vocabulary(("a",)).decode([-1]), GraphValueError, "0 to 2"),
        (lambda: Vocabulary.from_json("nonsense"), GraphValueError, "a vocabulary"),
        (lambda: Vocabulary.from_json('{"words": 3}'), GraphError, "list of strings"),
        (lambda: Vocabulary.from_json('{"words": [["a"]]}'), GraphError, "tuple of strings"),
        (lambda: tokenize(3), GraphTypeError, "a string"),  # type: ignore[arg-type]
        (lambda: pad([[1]], side="both"), GraphValueError, "side"),  # type: ignore[arg-type]
        (lambda: pad([[1]], length=-1), GraphValueError, "negative"),
    ],
)
def test_user_errors(act, error, text):  # oracle: the words of the message
    with pytest.raises(error, match=text):
        act()
