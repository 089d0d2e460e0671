"""A small text classifier of one-dimensional convolutions, with which the chapter shows TensorBoard."""

from __future__ import annotations

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.sequential import Sequential
from jaxgraphs.layers import Conv1D, Dense, Embedding, GlobalMaxPooling1D, MaxPooling1D
from jaxgraphs.symbolic.node import Input


def imdb_conv1d(vocabulary: int = 2_000, length: int | None = 500, embedding: int = 64) -> Graph:
    """Reviews to one number: how favourable they are.

    Args:
        vocabulary: how many words; `embedding`: the size of a word's vector.
        length: words in a review; None is any, 41 at least.
    Shapes: review (batch, words) -> sentiment (batch, 1).
    Reference: Chollet (2017), Deep Learning with Python, section 7.2.2.

    >>> imdb_conv1d().count_params()
    156833
    """
    return Sequential(
        [
            Input((length,), dtype="int32", name="review"),
            Embedding(vocabulary, embedding, name="embed"),
            Conv1D(32, 7, activation="relu"),
            MaxPooling1D(5),
            Conv1D(64, 7, activation="relu"),
            GlobalMaxPooling1D(),
            Dense(1, name="sentiment"),
        ],
        name="imdb_conv1d",
    )
