"""Asking a saved question-answering model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxgraphs.data.questions import QuestionEncoder
from jaxgraphs.data.text import tokenize
from jaxgraphs.errors import GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.io.archive import load

COUNT = 3


@dataclasses.dataclass(frozen=True)
class Answerer:
    """A trained graph with what turns texts into its inputs."""

    graph: Graph
    variables: Mapping[str, Any]
    encoder: QuestionEncoder

    def unknown_words(self, story: str, question: str) -> tuple[str, ...]:
        """The words that training did not show, each once."""
        read = (story, self.encoder.text_vocabulary), (question, self.encoder.question_vocabulary)
        return tuple(dict.fromkeys(word for text, known in read for word in tokenize(text) if word not in known.words))


def load_answerer(path: str) -> Answerer:
    """The model that ``jaxgraphs train --save`` wrote.

    Raises: GraphError when the file is something else.
    """
    return answerer_of(load(path, with_extra=True), path)


def answerer_of(saved: tuple[Graph, Mapping[str, Any], Any], path: str) -> Answerer:
    """The model that `load` read from `path` with its extra.

    Raises: GraphValueError when it does not answer questions.
    """
    graph, variables, extra = saved
    if not isinstance(extra, Mapping) or "questions" not in extra:
        made = extra.get("job", "none") if isinstance(extra, Mapping) else "none"
        raise GraphValueError(
            f"{path} holds a model that does not answer questions.",
            received=f"made by the job {made!r}",
            fix=f"jaxgraphs train question_answering --save {path}",
        )
    return Answerer(graph, variables, QuestionEncoder.from_json(extra["questions"]))


def answer(answerer: Answerer, story: str, question: str) -> list[tuple[str, float]]:
    """The likeliest answers with their probabilities, the likeliest first."""
    inputs = answerer.encoder.encode_example(story, question)
    probs = np.asarray(jax.jit(answerer.graph.apply)(answerer.variables, inputs))[0]
    return [(answerer.encoder.answers[index], float(probs[index])) for index in np.argsort(-probs)[:COUNT]]
