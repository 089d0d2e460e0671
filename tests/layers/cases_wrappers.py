"""The wrappers of layers/wrappers.py around several layers."""

import keras

from jaxgraphs.layers import conv, core, norm, recurrent, wrappers
from jaxgraphs.layers.spectral import SpectralNormalization
from tests.layers.case import Case
from tests.layers.cases_recurrent import EVERY, MASK, SHAPE, WEIGHTS

BOTH = tuple(f"params/{side}/{name.split('/')[1]}" for side in ("forward", "backward") for name in WEIGHTS)


def both_ways(name, layer, arguments, mode, mask=None):
    """Bidirectional around a layer that both libraries name alike."""
    ours, theirs = getattr(recurrent, layer), getattr(keras.layers, layer)
    return Case(
        name,
        lambda: wrappers.Bidirectional(ours(3, **arguments), mode),
        lambda: keras.layers.Bidirectional(theirs(3, **arguments), mode),
        [SHAPE],
        BOTH,
        mask=mask,
    )


def two_layers(recurrent_layers, wrap):
    """Bidirectional with a backward layer of its own."""
    backward = recurrent_layers.GRU(2, return_sequences=True, go_backwards=True)
    return wrap(recurrent_layers.LSTM(3, return_sequences=True), backward_layer=backward)


def over_time(name, ours, theirs, shape, weights=(), **options):
    """TimeDistributed around a layer."""
    return Case(
        f"time_distributed_{name}",
        lambda: wrappers.TimeDistributed(ours()),
        lambda: keras.layers.TimeDistributed(theirs()),
        [shape],
        weights,
        **options,
    )


NORM = ("params/scale", "params/bias", "batch_stats/mean", "batch_stats/var")

KERNEL = ("params/kernel", "batch_stats/vector_u", "params/bias")


def spectral(name, ours, theirs, shape, train):
    """SpectralNormalization around a layer."""
    return Case(
        f"spectral_{name}",
        lambda: SpectralNormalization(ours(), 2),
        lambda: keras.layers.SpectralNormalization(theirs(), 2),
        [shape],
        KERNEL,
        train=train,
    )


CASES = [
    spectral("dense", lambda: core.Dense(3), lambda: keras.layers.Dense(3), (5, 4), True),
    spectral("conv", lambda: conv.Conv2D(3, 2), lambda: keras.layers.Conv2D(3, 2), (2, 4, 4, 3), False),
    both_ways("bidirectional", "LSTM", {}, "concat"),
    both_ways("bidirectional_everything_masked", "GRU", EVERY, None, MASK),
    Case(
        "bidirectional_backward_layer",
        lambda: two_layers(recurrent, wrappers.Bidirectional),
        lambda: two_layers(keras.layers, keras.layers.Bidirectional),
        [SHAPE],
        BOTH,
        mask=MASK,
    ),
    over_time("dense", lambda: core.Dense(3), lambda: keras.layers.Dense(3), SHAPE, ("params/kernel", "params/bias")),
    over_time("lstm", lambda: recurrent.LSTM(3), lambda: keras.layers.LSTM(3), (2, 3, 4, 2), WEIGHTS, mask=(2, 3, 4)),
    over_time("norm", norm.BatchNormalization, keras.layers.BatchNormalization, SHAPE, NORM),
    over_time("norm_train", norm.BatchNormalization, keras.layers.BatchNormalization, (5, 3, 2), NORM, train=True),
]
