"""Weight sharing of the chapter: one LSTM reads two sequences."""

from __future__ import annotations

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers import LSTM, Dense, concatenate, multiply, subtract
from jaxgraphs.symbolic.node import Input


def siamese_lstm(features: int = 128, units: int = 32, by_distance: bool = False) -> Graph:
    """How alike two sequences are: both read by one and the same LSTM.

    Args:
        features: of each step; `units`: of the shared LSTM.
        by_distance: the two vectors are compared by their squared differences. Without it they are set side by side, as
            in the chapter; one dense layer then adds up what it sees of each, which cannot tell likeness as such.
    Shapes: left, right (batch, time, features) -> similarity (batch, 1), a probability.
    Reference: Bromley et al. (1993), Signature verification using a siamese time delay network; Chollet (2017), 7.1.5.

    >>> graph = siamese_lstm()
    >>> graph.count_params(), len(graph.calls(graph["lstm"]))
    (20673, 2)
    """
    lstm = LSTM(units)
    left = Input((None, features), name="left")
    right = Input((None, features), name="right")
    encoded_left, encoded_right = lstm(left), lstm(right)
    if by_distance:
        difference = subtract([encoded_left, encoded_right])
        compared = multiply([difference, difference])
    else:
        compared = concatenate([encoded_left, encoded_right], axis=-1)
    return Graph([left, right], Dense(1, activation="sigmoid", name="similarity")(compared), name="siamese_lstm")
