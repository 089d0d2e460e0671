"""The recurrent layers of layers/recurrent.py, with arguments."""

import keras

from jaxgraphs.layers import cells, recurrent
from tests.layers.case import Case

WEIGHTS = ("params/kernel", "params/recurrent_kernel", "params/bias")
STACK = tuple(f"params/cell_{index}/{name.split('/')[1]}" for index in range(2) for name in WEIGHTS)
SHAPE = (3, 4, 2)
MASK = (3, 4)

EVERY = {"return_sequences": True, "return_state": True}


def twins(name, layer, arguments, weights=WEIGHTS, mask=None, **options):
    """A case of a layer that both libraries name alike."""
    ours, theirs = getattr(recurrent, layer), getattr(keras.layers, layer)
    case = Case(
        name, lambda: ours(3, **arguments), lambda: theirs(3, **arguments), [SHAPE], weights, mask=mask, **options
    )
    return case


def cell_twins(name, make, arguments, weights, mask=None):
    """A case of RNN around cells; `make` builds them from either library's names."""
    return Case(
        name,
        lambda: recurrent.RNN(make(cells), **arguments),
        lambda: keras.layers.RNN(make(keras.layers), **arguments),
        [SHAPE],
        weights,
        mask=mask,
    )


CASES = [
    twins("lstm", "LSTM", {}),
    twins("lstm_everything_masked", "LSTM", {**EVERY, "zero_output_for_mask": True}, mask=MASK),
    twins("lstm_backwards_masked", "LSTM", {"return_state": True, "go_backwards": True}, mask=MASK),
    twins("lstm_relu", "LSTM", {"activation": "relu", "recurrent_activation": None, "use_bias": False}, WEIGHTS[:2]),
    twins("gru_masked", "GRU", EVERY, mask=MASK),
    twins("gru_reset_before", "GRU", {"reset_after": False, "activation": None}),
    twins("simple_rnn_unrolled", "SimpleRNN", {**EVERY, "unroll": True, "go_backwards": True}),
    cell_twins("rnn_gru_cell", lambda of: of.GRUCell(3, use_bias=False), {}, WEIGHTS[:2], MASK),
    cell_twins("rnn_stacked", lambda of: [of.LSTMCell(3), of.GRUCell(2)], EVERY, STACK),
]
