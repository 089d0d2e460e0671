"""Callbacks in a run that is cut off and goes on from its directory."""

import jax
import numpy as np
import pytest

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.core import Dense
from jaxgraphs.symbolic.node import Input
from jaxgraphs.training.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TensorBoard,
)
from jaxgraphs.training.checkpoint import Checkpoints
from jaxgraphs.training.optimizers import learning_rate
from jaxgraphs.training.trainer import Trainer
from tests.training.callbacks.tensorboard.reading import scalars, tags


class Cut(Exception):
    """What ends a run before its time."""


class Cutting(Callback):
    def __init__(self, after):
        self.after = after

    def on_batch_end(self, run):
        if run.epoch * 4 + run.batch == self.after:
            raise Cut


def fit(folder, callbacks=(), resume=None):
    x = Input((2,), name="x")
    trainer = Trainer(Graph(x, Dense(1, name="y")(x)), optimizer="sgd", loss="mse", metrics=["mae"])
    draw = np.random.default_rng(0)
    data = draw.normal(size=(16, 2)).astype(np.float32), draw.normal(size=(16, 1)).astype(np.float32)
    watched = {"monitor": "val_loss", "min_delta": 0.1}
    mine = [
        EarlyStopping(**watched, patience=4, restore_best_weights=True),
        ReduceLROnPlateau(**watched, patience=1, factor=0.5),
        CSVLogger(folder / "log.csv"),
        ModelCheckpoint(folder / "{epoch}.safetensors", save_best_only=True),
        TensorBoard(folder / "logs", update_freq=1, histogram_freq=2, hparams={"units": 1}),
    ]
    options = {"batch_size": 4, "verbose": 0, "validation_data": data, "epochs": 20, "resume": resume}
    return trainer.fit(trainer.init(jax.random.key(0)), *data, callbacks=[*mine, *callbacks], **options)


def left_in(folder):
    """What the callbacks left: the table, each kind of event, the models."""
    runs = [folder / "logs" / name for name in (".", "train", "validation")]
    models = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    return (
        (folder / "log.csv").read_bytes(),
        [scalars(run) for run in runs],
        [tags(run, "histo") for run in runs],
        models,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing cuts off: state, history, and what it left."""
    folder = tmp_path_factory.mktemp("whole")
    state, history = fit(folder)
    assert "early stopping" in history.stopped
    assert float(learning_rate(state.opt_state)) < 0.01
    return state, history, left_in(folder)


@pytest.mark.parametrize("after", [2, 18])
def test_as_if_nothing_had_happened(tmp_path, whole, after):  # oracle: the run that was not cut off
    state, history, left = whole
    directory = Checkpoints(tmp_path / "run", every_steps=3)
    with pytest.raises(Cut):
        fit(tmp_path / "cut", [Cutting(after)], resume=directory)
    again, more = fit(tmp_path / "cut", resume=directory)
    assert more == history
    assert jax.tree.all(jax.tree.map(np.array_equal, again.params, state.params))
    assert left_in(tmp_path / "cut") == left
