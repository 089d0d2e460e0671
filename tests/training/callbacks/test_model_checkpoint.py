import dataclasses
import os

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from safetensors.flax import load_file

from jaxgraphs.errors import GraphError, GraphKeyError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.io.archive import load
from jaxgraphs.layers.core import Dense
from jaxgraphs.symbolic.node import Input
from jaxgraphs.training.callbacks import ModelCheckpoint, Run
from jaxgraphs.training.step import TrainState
from jaxgraphs.training.trainer import Trainer
from tests.oracle import keras_rules
from tests.training.callbacks.sequences import Model, as_arrays, sequence

FIELDS = "{epoch:02d}-{loss:.3f}"
OPTIONS = [
    {},
    {"save_best_only": True},
    {"save_best_only": True, "mode": "max", "initial_value_threshold": 0.3},
    {"save_best_only": True, "mode": "min", "initial_value_threshold": 0.35},
]


def graph_and_state():
    x = Input((2,), name="x")
    graph = Graph(x, Dense(1, name="y")(x))
    params = graph.init(jax.random.key(0))["params"]
    return graph, TrainState(jnp.zeros((), jnp.int32), params, {}, (), jax.random.key(0))


class Written(ModelCheckpoint):
    """Writes down where it would save."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.saved = []

    def _write(self, path, run):
        self.saved.append(str(path))


def events(values, count=3):
    """Three batches and an end for each epoch: (epoch, batch or None, logs)."""
    for epoch, value in enumerate(values):
        yield from ((epoch, batch, {"loss": value + batch}) for batch in range(count))
        yield epoch, None, {"loss": value}


def saved_by_keras(options, values):
    callback, model = (
        keras.callbacks.ModelCheckpoint("{}.keras".format(options.pop("fields", FIELDS)), **options),
        Model(),
    )
    with keras_rules():
        callback.set_model(model)
        callback._set_monitor_op()  # Keras sets it at the first epoch's end, too late for batches
        for epoch, batch, logs in events(values):
            if batch is None:
                callback.on_epoch_end(epoch, logs)
            else:
                callback.on_epoch_begin(epoch)
                callback.on_train_batch_end(batch, logs)
    return [path.removesuffix(".keras") for path in model.saved]


def saved_by_ours(options, values, restart_after=None):
    given = {name: value for name, value in options.items() if name != "fields"}

    def make():
        return Written(options.get("fields", FIELDS) + ".safetensors", **given)

    callback, saved = make(), []
    callback.on_train_begin(Run(None, None, None))
    for number, (epoch, batch, logs) in enumerate(events(values)):
        run = Run(None, None, None, epoch=epoch, batch=batch, logs={name: jnp.float32(v) for name, v in logs.items()})
        callback.on_epoch_end(run) if batch is None else callback.on_batch_end(run)
        if number == restart_after:
            saved, memory = saved + callback.saved, as_arrays(callback.memory())
            callback = make()
            callback.remember(memory)
            callback.on_train_begin(dataclasses.replace(run, resumed=True))
    return [path.removesuffix(".safetensors") for path in saved + callback.saved]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(
    "freq", [{}, {"save_freq": 2, "fields": "{epoch}-{batch}-{loss:.2f}"}, {"save_freq": 4}], ids=str
)
def test_which_models_are_saved(options, freq):  # oracle: Keras' own callback
    for seed in range(6):
        options = {"monitor": "loss", **options, **freq}
        assert saved_by_ours(options, sequence(seed)) == saved_by_keras(dict(options), sequence(seed)), seed


@pytest.mark.parametrize("options", [OPTIONS[1], {**OPTIONS[2], "save_freq": 2}, {"save_freq": 5}], ids=str)
def test_restart_at_every_event(options):  # oracle: the run without a restart
    options = {"monitor": "loss", **options}
    for seed in range(2):
        whole = saved_by_ours(options, sequence(seed, 6))
        for split in range(24):
            assert saved_by_ours(options, sequence(seed, 6), restart_after=split) == whole, (seed, split)


def test_the_file_is_the_model(tmp_path):  # oracle: the outputs of the graph that was trained
    x = Input((2,), name="x")
    graph = Graph(x, Dense(1, name="y")(x))
    trainer = Trainer(graph, optimizer="sgd", loss="mse")
    data = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
    callback = ModelCheckpoint(tmp_path / "deep" / "{epoch}.safetensors")
    state, _ = trainer.fit(trainer.init(jax.random.key(0)), *data, epochs=2, verbose=0, callbacks=[callback])
    assert sorted(os.listdir(tmp_path / "deep")) == ["1.safetensors", "2.safetensors"]
    read, variables = load(tmp_path / "deep" / "2.safetensors")
    np.testing.assert_array_equal(read.apply(variables, data[0]), graph.apply(state.variables, data[0]))


def test_weights_only(tmp_path):  # oracle: the arrays
    graph, state = graph_and_state()
    callback = ModelCheckpoint(tmp_path / "w.safetensors", save_weights_only=True)
    callback.on_epoch_end(Run(graph, None, state, logs={"loss": 0.1}))
    arrays = load_file(tmp_path / "w.safetensors")
    assert sorted(arrays) == ["params/y/bias", "params/y/kernel"]
    np.testing.assert_array_equal(arrays["params/y/kernel"], state.params["y"]["kernel"])
    assert os.listdir(tmp_path) == ["w.safetensors"]


@pytest.mark.parametrize("weights_only", [False, True])
def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch, weights_only):  # oracle: the bytes before
    graph, state = graph_and_state()
    callback = ModelCheckpoint(tmp_path / "m.safetensors", save_weights_only=weights_only)
    run = Run(graph, None, state, logs={"loss": 0.1})
    callback.on_epoch_end(run)
    before = (tmp_path / "m.safetensors").read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    changed = dataclasses.replace(run, state=state.replace(params=jax.tree.map(lambda leaf: leaf + 1, state.params)))
    with pytest.raises(GraphError, match="No space left on device"):
        callback.on_epoch_end(changed)
    assert (tmp_path / "m.safetensors").read_bytes() == before
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_what_a_killed_process_left_is_cleared_away(tmp_path):  # oracle: the directory
    graph, state = graph_and_state()
    left, mine = tmp_path / ".999999999-m.safetensors", tmp_path / ".notes-m.safetensors"
    for place in (left, mine):
        place.mkdir()
        (place / "part").write_text("half")
    ModelCheckpoint(tmp_path / "m.safetensors").on_epoch_end(Run(graph, None, state, logs={"loss": 0.1}))
    assert sorted(os.listdir(tmp_path)) == [mine.name, "m.safetensors"]


def test_verbose(capsys, tmp_path):  # oracle: the words
    callback = Written(tmp_path / "m.safetensors", monitor="loss", save_best_only=True, verbose=1)
    for epoch, loss in enumerate([0.5, 0.6, 0.25]):
        callback.on_epoch_end(Run(None, None, None, epoch=epoch, logs={"loss": loss}))
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 1: loss improved from None to 0.50000",
        f"Epoch 1: saved the model to {tmp_path}/m.safetensors",
        "Epoch 2: loss did not improve from 0.50000",
        "Epoch 3: loss improved from 0.50000 to 0.25000",
        f"Epoch 3: saved the model to {tmp_path}/m.safetensors",
    ]


def test_a_field_that_is_not_there():  # oracle: the message
    with pytest.raises(GraphKeyError, match=r"'{val_loss}.safetensors': 'val_loss'(.|\n)*the fields epoch, loss"):
        Written("{val_loss}.safetensors").on_epoch_end(Run(None, None, None, logs={"loss": 0.1}))


@pytest.mark.parametrize("options", [{"filepath": "model.keras"}, {"save_freq": 0}, {"save_freq": "batch"}])
def test_what_does_not_fit(options):  # oracle: the kind of error
    with pytest.raises(GraphError):
        ModelCheckpoint(**{"filepath": "m.safetensors", **options})
