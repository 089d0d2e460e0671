"""Stories as arrays: read back, they say what the text said."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from jaxgraphs.data.questions import UNSEEN, Example, QuestionEncoder, Stories, encode
from jaxgraphs.errors import GraphError, GraphValueError

STORIES = Stories(
    "told",
    (
        Example(("Ann is in the hall.", "Bob is in the den."), "Where is Ann?", "hall", (0,)),
        Example(("Ann is in the den.",), "Where is Ann?", "den", (0,)),
        Example(("Bob is in the den.",), "Where is Bob now?", "den", (0,)),
    ),
    (Example(("Cid is in the hall.",), "Where is Cid?", "hall"), Example(("Ann ran.",), "Where is Ann?", "away,far")),
)


def test_arrays_read_back_as_the_text():  # oracle: the examples
    questions = encode(STORIES)
    for row, example in enumerate(STORIES.train):
        words = questions.text_vocabulary.decode(questions.train.inputs["text"][row])
        assert words == " ".join(example.story).lower().replace(".", "").split()
        words = questions.question_vocabulary.decode(questions.train.inputs["question"][row])
        assert words == example.question.lower().rstrip("?").split()
        assert questions.answers[questions.train.targets[row]] == example.answer
    assert {array.dtype for array in (*questions.train.inputs.values(), questions.train.targets)} == {
        np.dtype(np.int32)
    }


def test_test_rows_teach_nothing():  # oracle: by hand
    questions = encode(STORIES)
    assert "cid" not in questions.text_vocabulary
    assert questions.text_vocabulary.decode(questions.test.inputs["text"][0])[0] == "[unknown]"
    assert questions.answers == ("den", "hall", UNSEEN)
    assert questions.test.targets.tolist() == [1, 2]
    assert encode(dataclasses.replace(STORIES, test=STORIES.test[:1])).answers == ("den", "hall")


def test_majority():  # oracle: by hand; "den" is commonest in training, one test answer of two is "den"
    stories = dataclasses.replace(STORIES, test=(STORIES.train[0], STORIES.train[1]))
    assert encode(stories).majority() == 0.5


def test_lengths_and_sizes():  # oracle: counted by hand
    questions = encode(STORIES)
    assert (questions.encoder.story_length, questions.encoder.question_length) == (10, 4)
    small = encode(STORIES, text_vocabulary=4, question_vocabulary=3, story_length=3, question_length=2)
    assert (len(small.text_vocabulary), len(small.question_vocabulary)) == (4, 3)
    # Of a long story the last words are kept.
    assert small.train.inputs["text"].shape == (3, 3)
    wide = encode(STORIES, story_length=3)
    assert wide.text_vocabulary.decode(wide.train.inputs["text"][0]) == ["in", "the", "den"]


def test_one_example_is_encoded_as_the_set_is():  # oracle: the rows of the data set
    questions = encode(STORIES)
    for row, example in enumerate(STORIES.train):
        one = questions.encode_example(" ".join(example.story), example.question)
        for name, array in one.items():
            np.testing.assert_array_equal(array, questions.train.inputs[name][row : row + 1])


def test_encoder_round_trip():  # oracle: the encoder
    encoder = encode(STORIES).encoder
    assert QuestionEncoder.from_json(encoder.to_json()) == encoder


def test_supported_keeps_what_the_answer_rests_on():  # oracle: by hand
    kept = STORIES.supported()
    assert kept.train[0] == Example(("Ann is in the hall.",), "Where is Ann?", "hall", (0,))
    assert kept.test[0].story == ()


def test_parts_of_an_answer():  # oracle: by hand
    assert STORIES.test[1].answers == ("away", "far")


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda: encode(dataclasses.replace(STORIES, train=())), "told: train"),
        (lambda: encode(dataclasses.replace(STORIES, test=())), "told: test"),
        (lambda: encode(STORIES).encode_example(" . ", "?"), "story and the question has no words"),
        (lambda: encode(STORIES).encode_example("Ann ran.", ""), "The question has no words"),
        (lambda: QuestionEncoder.from_json("{}"), "a question encoder"),
        (lambda: QuestionEncoder.from_json(encode(STORIES).encoder.to_json().replace('"words"', '"w"')), "words"),
    ],
)
def test_user_errors(act, text):  # oracle: the words of the message
    with pytest.raises(GraphError, match=text) as caught:
        act()
    assert isinstance(caught.value, GraphValueError)
