"""Question answering over two texts: the chapter's first graph with two inputs."""

from __future__ import annotations

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.core import Dense, Embedding
from jaxgraphs.layers.joining import concatenate
from jaxgraphs.layers.recurrent import LSTM
from jaxgraphs.layers.repeating import RepeatAlong
from jaxgraphs.layers.wrappers import Bidirectional
from jaxgraphs.symbolic.node import Input


def question_answering(
    text_vocabulary: int = 10_000,
    question_vocabulary: int = 10_000,
    answers: int = 500,
    embedding: int = 64,
    units: int = 32,
    condition_story_on_question: bool = False,
) -> Graph:
    """Two sequences of word ids, an embedding and an LSTM for each, and one answer word.

    Args:
        text_vocabulary, question_vocabulary: how many words, padding and unknown included.
        answers: how many answers there are to choose from.
        embedding: the size of a word's vector; `units`: of an LSTM's.
        condition_story_on_question: the question's vector is set beside each word of the story, which a bidirectional
            LSTM then reads knowing what is asked. Without it the story is read before the question is known.
    Shapes: text (batch, words), question (batch, words) -> answer (batch, answers), probabilities.
    Reference: Chollet (2017), Deep Learning with Python, section 7.1.2; Weston et al. (2015), arXiv:1502.05698.

    >>> question_answering().count_params()
    1337332
    """
    text = Input((None,), dtype="int32", name="text")
    question = Input((None,), dtype="int32", name="question")
    story = Embedding(text_vocabulary, embedding)(text)
    asked = Embedding(question_vocabulary, embedding)(question)
    if condition_story_on_question:
        encoded_question = LSTM(units)(asked)
        aware_story = concatenate([story, RepeatAlong()([encoded_question, story])], axis=-1)
        encoded_story = Bidirectional(LSTM(units))(aware_story)
    else:
        encoded_story, encoded_question = LSTM(units)(story), LSTM(units)(asked)
    merged = concatenate([encoded_story, encoded_question], axis=-1)
    answer = Dense(answers, activation="softmax", name="answer")(merged)
    return Graph([text, question], answer, name="question_answering")
