import itertools
import math

import jax
import keras
import numpy as np
import optax
import pytest

from jaxgraphs.errors import GraphError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.core import Dense
from jaxgraphs.symbolic.node import Input
from jaxgraphs.training.callbacks import LearningRateScheduler, ReduceLROnPlateau, Run
from jaxgraphs.training.optimizers import learning_rate
from jaxgraphs.training.step import TrainState
from jaxgraphs.training.trainer import Trainer
from tests.training.callbacks.sequences import drive, drive_keras, sequence, state_of

PLATEAU = [
    {},
    {"patience": 2, "factor": 0.5},
    {"patience": 1, "cooldown": 2, "min_lr": 0.05},
    {"patience": 2, "cooldown": 1, "mode": "max", "min_delta": 0.1, "factor": 0.3},
    {"patience": 0, "factor": 0.25, "min_delta": 0.0, "min_lr": 0.1},
]
SCHEDULES = [
    lambda epoch, rate: rate * math.exp(-0.1),
    lambda epoch: 0.1 / (epoch + 1),
    lambda epoch, rate=7.0: rate / 2,
]


@pytest.mark.parametrize("options", PLATEAU, ids=str)
def test_plateau(options):  # oracle: Keras' own callback
    for seed in range(12):
        expected = drive_keras(keras.callbacks.ReduceLROnPlateau(monitor="loss", **options), sequence(seed))
        assert drive(lambda: ReduceLROnPlateau(monitor="loss", **options), sequence(seed)) == expected, seed


@pytest.mark.parametrize("options", PLATEAU[1:], ids=str)
def test_plateau_restart_at_every_epoch(options):  # oracle: the run without a restart
    for seed, split in itertools.product(range(4), range(14)):
        make = lambda: ReduceLROnPlateau(monitor="loss", **options)  # noqa: E731
        assert drive(make, sequence(seed), restart_after=split) == drive(make, sequence(seed)), (seed, split)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_scheduler(schedule):  # oracle: Keras' own callback
    values = [0.1] * 6
    expected = drive_keras(keras.callbacks.LearningRateScheduler(schedule), values)
    assert drive(lambda: LearningRateScheduler(schedule), values) == expected
    assert drive(lambda: LearningRateScheduler(schedule), values, restart_after=3) == expected


def test_nothing_is_compiled_anew():  # oracle: the count of compiled steps
    x, y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
    a = Input((2,), name="a")
    trainer = Trainer(Graph(a, Dense(1)(a)), optimizer="adam", loss="mse")
    state, _ = trainer.fit(trainer.init(jax.random.key(0)), x, y, epochs=2, batch_size=4, verbose=0)
    compiled = trainer._train.programs
    changes = [LearningRateScheduler(lambda epoch, rate: rate * 0.5), ReduceLROnPlateau("loss", patience=0, factor=0.5)]
    state, _ = trainer.fit(state, x, y, epochs=3, batch_size=4, verbose=0, callbacks=changes)
    assert trainer._train.programs == compiled
    assert float(learning_rate(state.opt_state)) < 0.001 / 8 + 1e-9


@pytest.mark.parametrize("schedule", [lambda epoch: None, lambda epoch: [0.1], lambda epoch: float("nan")])
def test_schedule_without_a_number(schedule):  # oracle: the kind of error
    with pytest.raises(GraphError, match="gave no learning rate"):
        LearningRateScheduler(schedule).on_epoch_begin(Run(None, None, state_of(0)))


def test_optimizer_without_a_rate():  # oracle: the error of the optimizer's state
    params = {"w": np.zeros(2, np.float32)}
    state = TrainState(np.int32(0), params, {}, optax.adam(0.1).init(params), None)
    with pytest.raises(GraphError, match="holds no learning rate"):
        LearningRateScheduler(lambda epoch: 0.1).on_epoch_begin(Run(None, None, state))


def test_factor_that_does_not_reduce():  # oracle: Keras' rule
    with pytest.raises(GraphError, match="makes the rate smaller"):
        ReduceLROnPlateau(factor=1.0)
