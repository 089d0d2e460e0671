import itertools

import jax
import keras
import numpy as np
import pytest

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.core import Dense
from jaxgraphs.symbolic.node import Input
from jaxgraphs.training.callbacks import EarlyStopping, Run, Stop
from jaxgraphs.training.trainer import Trainer
from tests.training.callbacks.sequences import drive, drive_keras, sequence

OPTIONS = [
    {},
    {"patience": 2},
    {"patience": 3, "min_delta": 0.1, "restore_best_weights": True},
    {"patience": 2, "mode": "max", "restore_best_weights": True, "start_from_epoch": 2},
    {"patience": 2, "mode": "max", "min_delta": -0.1},
    {"patience": 4, "baseline": 0.3, "restore_best_weights": True},
    {"patience": 2, "baseline": 0.3, "mode": "max", "start_from_epoch": 1},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_decisions(options):  # oracle: Keras' own callback
    for seed in range(12):
        values = sequence(seed)
        expected = drive_keras(keras.callbacks.EarlyStopping(monitor="loss", **options), values)
        assert drive(lambda: EarlyStopping(monitor="loss", **options), values) == expected, seed


@pytest.mark.parametrize("options", OPTIONS[1:], ids=str)
def test_restart_at_every_epoch(options):  # oracle: the run without a restart
    for seed, split in itertools.product(range(4), range(13)):
        make = lambda: EarlyStopping(monitor="loss", **options)  # noqa: E731
        assert drive(make, sequence(seed), restart_after=split) == drive(make, sequence(seed)), (seed, split)


def test_second_run_starts_afresh():  # oracle: Keras' rule for callbacks used again
    callback = EarlyStopping(monitor="loss", patience=1)
    assert drive(lambda: callback, [0.1, 0.2]).stopped == 1
    assert drive(lambda: callback, [0.5, 0.4, 0.45]).stopped == 2


def test_fit_ends_with_the_best_weights():  # oracle: the weights that a callback saw in the best epoch
    x, y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
    a = Input((2,), name="a")
    trainer = Trainer(Graph(a, Dense(1)(a)), optimizer="sgd", loss="mse")
    kept = []

    class Keep(EarlyStopping):
        def on_epoch_end(self, run):
            kept.append(jax.device_get(run.state.params))

    stopping = EarlyStopping(monitor="loss", mode="max", restore_best_weights=True, patience=3)
    start = trainer.init(jax.random.key(0))
    state, history = trainer.fit(start, x, y, epochs=9, verbose=0, callbacks=[Keep(), stopping])
    assert len(history.epoch) == 4
    assert "loss was best" in history.stopped
    assert jax.tree.all(jax.tree.map(np.array_equal, jax.device_get(state.params), kept[0]))
    assert [leaf.sharding for leaf in jax.tree.leaves(state)] == [leaf.sharding for leaf in jax.tree.leaves(start)]


def test_verbose(capsys):  # oracle: the words
    drive(lambda: EarlyStopping(monitor="loss", restore_best_weights=True, verbose=1), [0.1, 0.2])
    assert capsys.readouterr().out == "Epoch 2: early stopping\nRestoring the weights of the best epoch: 1\n"


def test_message_names_the_best_epoch():  # oracle: the least of the values, by hand
    callback, last = EarlyStopping(monitor="loss", patience=2), None
    for epoch, value in enumerate([0.5, 0.25, 0.4, 0.3]):
        last = callback.on_epoch_end(Run(None, None, None, epoch=epoch, logs={"loss": value}))
    assert last == Stop("early stopping: loss was best, 0.25, in epoch 2")
