"""ConvLSTM of one, two and three axes, with arguments."""

import keras

from jaxgraphs.layers import conv_recurrent as ours
from tests.layers.case import Case

WEIGHTS = ("params/kernel", "params/recurrent_kernel", "params/bias")
EVERY = {"return_sequences": True, "return_state": True}


def twins(rank, shape, weights=WEIGHTS, **options):
    """A layer that both libraries name alike."""
    kind = f"ConvLSTM{rank}D"
    name = f"conv_lstm{rank}d_{'_'.join(f'{key}_{value}' for key, value in options.items())}"
    make = getattr(ours, kind), getattr(keras.layers, kind)
    return Case(name, lambda: make[0](3, 2, **options), lambda: make[1](3, 2, **options), [shape], weights)


CASES = [
    twins(1, (2, 3, 5, 2)),
    twins(1, (2, 3, 5, 2), padding="same", **EVERY),
    twins(2, (2, 3, 4, 5, 2), strides=2, recurrent_activation="hard_sigmoid"),
    twins(2, (2, 3, 2, 4, 5), data_format="channels_first", go_backwards=True, **EVERY),
    twins(2, (2, 3, 4, 5, 2), WEIGHTS[:2], use_bias=False, dilation_rate=2, activation=None),
    twins(3, (2, 2, 3, 3, 3, 1), padding="same"),
]
