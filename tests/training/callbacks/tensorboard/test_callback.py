import builtins
import dataclasses
import os
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.errors import GraphError, GraphKeyError, GraphTypeError, GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.conv import Conv2D
from jaxgraphs.layers.core import Dense
from jaxgraphs.symbolic.node import Input
from jaxgraphs.training.callbacks import Callback, Stop, TensorBoard
from jaxgraphs.training.callbacks.tensorboard.weight_images import picture
from jaxgraphs.training.trainer import Trainer
from tests.training.callbacks.tensorboard.reading import events, scalars, tags
from tests.training.callbacks.tensorboard.runs import fit, real_text


def small_fit(callbacks, *, epochs=3, state=None, **options):
    x = Input((2,), name="x")
    trainer = Trainer(Graph(x, Dense(1, name="y")(x)), optimizer="sgd", loss="mse", metrics=["mae"])
    draw = np.random.default_rng(0)
    data = draw.normal(size=(16, 2)).astype(np.float32), draw.normal(size=(16, 1)).astype(np.float32)
    options = {"batch_size": 4, "verbose": 0, "validation_data": data, **options}
    state = trainer.init(jax.random.key(0)) if state is None else state
    return trainer.fit(state, *data, epochs=epochs, callbacks=callbacks, **options)


def test_every_step_once(tmp_path):  # oracle: the history
    _, history = small_fit([TensorBoard(tmp_path, update_freq="batch")])
    train = scalars(tmp_path / "train")
    assert [step for tag, step, _ in train if tag == "batch_loss"] == list(range(1, 13))
    losses = [value for tag, _, value in train if tag == "epoch_loss"]
    np.testing.assert_allclose(losses, history.history["loss"], rtol=1e-6)
    # The running mean at an epoch's last batch is the epoch's number.
    batch = [value for tag, step, value in train if tag == "batch_mae" and step % 4 == 0]
    np.testing.assert_allclose(batch, history.history["mae"], rtol=1e-6)
    validation = [value for tag, _, value in scalars(tmp_path / "validation") if tag == "epoch_mae"]
    np.testing.assert_allclose(validation, history.history["val_mae"], rtol=1e-6)


@pytest.mark.parametrize(("freq", "steps"), [("epoch", []), (5, [5, 10]), ("batch", list(range(1, 13)))])
def test_update_freq(tmp_path, freq, steps):  # oracle: Keras' rule, steps that are multiples
    small_fit([TensorBoard(tmp_path, update_freq=freq)])
    assert [step for tag, step, _ in scalars(tmp_path / "train") if tag == "batch_loss"] == steps


def test_a_second_fit_goes_on_counting(tmp_path):  # oracle: the state's own count
    state, _ = small_fit([TensorBoard(tmp_path / "a")])
    small_fit([TensorBoard(tmp_path / "b", update_freq="batch")], state=state, epochs=1)
    assert [step for tag, step, _ in scalars(tmp_path / "b" / "train") if tag == "batch_loss"] == [13, 14, 15, 16]


class Dying(Callback):
    """Keeps the board's memory and the state at the end of an epoch, and ends the run some batches later."""

    def __init__(self, board, at, after):
        self.board, self.at, self.left = board, at, at + after

    def on_epoch_end(self, run):
        if (run.epoch + 1) * 4 == self.at:
            self.memory, self.state = self.board.memory(), jax.tree.map(jnp.array, run.state)

    def on_batch_end(self, run):
        self.left -= 1
        return None if self.left else Stop("killed")


class Resumed(TensorBoard):
    """Told that the run goes on, as `fit(resume=)` tells it."""

    def on_train_begin(self, run):
        super().on_train_begin(dataclasses.replace(run, resumed=True))


@pytest.mark.parametrize(("at", "after"), [(4, 1), (8, 4), (4, 8), (8, 1)])
def test_restart_shows_no_step_twice(tmp_path, at, after):  # oracle: the run without a restart
    """A run is saved at an epoch's end, goes on, is killed, and begins again from what was saved."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    small_fit([TensorBoard(whole, update_freq="batch", histogram_freq=1)])
    board = TensorBoard(cut, update_freq="batch", histogram_freq=1)
    dying = Dying(board, at, after)
    small_fit([board, dying])
    again = Resumed(cut, update_freq="batch", histogram_freq=1)
    again.remember(dying.memory)
    small_fit([again], state=dying.state, initial_epoch=at // 4)
    for run in ("train", "validation"):
        assert scalars(cut / run) == scalars(whole / run)
        assert tags(cut / run, "histo") == tags(whole / run, "histo")
    assert sum(event.HasField("graph_def") for event in events(cut / "train")) == 1


def test_another_runs_files_stay(tmp_path):  # oracle: their bytes
    first = TensorBoard(tmp_path)
    small_fit([first])
    before = {path: path.read_bytes() for path in tmp_path.rglob("events*")}
    again = Resumed(tmp_path)
    again.remember({"run": "another", "first_step": 0, "sizes": {}})
    small_fit([again])
    assert {path: path.read_bytes() for path in before} == before
    assert len(list(tmp_path.rglob("events*"))) == 2 * len(before)


def test_histograms_without_a_batch_at_hand(tmp_path):  # oracle: the names of what there is
    fit([TensorBoard(tmp_path, histogram_freq=2)], epochs=3)
    found = tags(tmp_path / "train", "histo")
    assert {step for _, step in found} == {0, 2}
    assert {"half/kernel/histogram", "half/kernel/gradient", "encoder:1/code/output"} <= {tag for tag, _ in found}


def test_gradients_are_those_of_the_loss(tmp_path):  # oracle: a finite difference of the trainer's own loss
    kept = []

    class Keep(TensorBoard):
        def _arrays(self, run):
            found = dict(super()._arrays(run))
            kept.append((jax.device_get(run.state), found))
            return iter(found.items())

    x = Input((2,), name="x")
    trainer = Trainer(Graph(x, Dense(1, name="y")(x)), optimizer="sgd", loss="mse")
    draw = np.random.default_rng(0)
    data = draw.normal(size=(8, 2)).astype(np.float32), draw.normal(size=(8, 1)).astype(np.float32)
    state = trainer.init(jax.random.key(0))
    options = {"batch_size": 8, "verbose": 0, "validation_data": data, "shuffle": False}
    trainer.fit(state, *data, callbacks=[Keep(tmp_path, histogram_freq=1)], **options)
    state, found = kept[0]
    params = state.params["y"]

    def loss(bias):
        return float(np.mean((data[0] @ params["kernel"] + params["bias"] + bias - data[1]) ** 2))

    assert found["y/bias/gradient"][0] == pytest.approx((loss(1e-2) - loss(-1e-2)) / 2e-2, rel=1e-3)
    np.testing.assert_allclose(found["y/output"], data[0] @ params["kernel"] + params["bias"], atol=1e-5)


@pytest.mark.parametrize("batches", [2, (2, 3), "2,3"])
def test_profile(tmp_path, batches):  # oracle: the file that the profile plugin reads
    small_fit([TensorBoard(tmp_path, profile_batch=batches)], epochs=1)
    (trace,) = (tmp_path / "train" / "plugins" / "profile").glob("*/*.xplane.pb")
    assert trace.stat().st_size > 1000


def test_a_run_that_ends_within_a_trace(tmp_path):  # oracle: another trace can begin
    for name in ("a", "b"):
        small_fit([TensorBoard(tmp_path / name, profile_batch=(2, 1000))], epochs=1)
        assert list((tmp_path / name / "train" / "plugins" / "profile").glob("*/*.xplane.pb"))


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"profile_batch": (3, 2)}, GraphValueError, "the first and the last one"),
        ({"profile_batch": "x"}, GraphValueError, "the first and the last one"),
        ({"profile_batch": -1}, GraphValueError, "the first and the last one"),
        ({"update_freq": 0}, GraphValueError, "'epoch', 'batch', or a number of steps"),
        ({"hparams": {"a": [1]}}, GraphTypeError, "hyper-parameter 'a' cannot be shown"),
        ({"embeddings_metadata": {"wrds": []}}, GraphKeyError, "names 'wrds', which is no Embedding(.|\n)*'words'"),
        ({"embeddings_metadata": ["a", "b"]}, GraphValueError, "2 labels(.|\n)*50"),
        ({"embeddings_metadata": []}, GraphValueError, "0 labels(.|\n)*50"),
        ({"embeddings_metadata": "not/there.tsv"}, GraphError, "cannot be read"),
        ({"embeddings_sprites": np.zeros((3, 8, 8))}, GraphValueError, r"\(50, height, width\)"),
    ],
)
def test_what_does_not_fit_is_told_before_the_first_step(tmp_path, options, kind, text):  # oracle: the message
    with pytest.raises(kind, match=text):
        fit([TensorBoard(tmp_path / "logs", embeddings_freq=1, **options)], epochs=1, steps_per_epoch=1)


@pytest.mark.parametrize("given", ["list", "file"])
def test_labels_for_all_embeddings(tmp_path, given):  # oracle: the words
    words = real_text()[2]
    (tmp_path / "words.tsv").write_text("\n".join(words) + "\n", "utf-8")
    metadata = words if given == "list" else tmp_path / "words.tsv"
    fit([TensorBoard(tmp_path / "logs", embeddings_freq=1, embeddings_metadata=metadata)], epochs=1, steps_per_epoch=1)
    folder = tmp_path / "logs" / "train"
    assert (folder / "projector" / "words.labels.tsv").read_text("utf-8").splitlines() == words
    assert 'metadata_path: "projector/words.labels.tsv"' in (folder / "projector_config.pbtxt").read_text("utf-8")


def test_without_tensorboardx(tmp_path, monkeypatch):  # oracle: the fix that is offered
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboardX"]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__
    monkeypatch.setattr("importlib.import_module", lambda name: real("not_there_at_all"))
    with pytest.raises(GraphError, match=r"pip install 'jaxgraphs\[tensorboard\]'"):
        small_fit([TensorBoard(tmp_path)])


def test_a_place_that_cannot_be_written(tmp_path):  # oracle: the kind of error
    (tmp_path / "logs").write_text("a file", "utf-8")
    with pytest.raises(GraphError, match="TensorBoard log cannot be written"):
        small_fit([TensorBoard(tmp_path / "logs")])
    assert os.listdir(tmp_path) == ["logs"]


def test_images_outside_of_a_run(tmp_path):  # oracle: the message
    with pytest.raises(GraphError, match="while a run goes on"):
        TensorBoard(tmp_path).image("a", np.zeros((1, 4, 4)), 0)


def test_pictures_of_weights():  # oracle: placed by hand
    assert picture(np.zeros((2, 2, 2))) is None
    assert picture(np.arange(3.0)).tolist() == [[[0.0], [0.5], [1.0]]]
    assert picture(np.arange(6.0).reshape(3, 2)).shape == (2, 3, 1)
    kernel = np.zeros((2, 2, 3, 5))
    kernel[:, :, 1, 4] = 1.0
    coloured = picture(kernel)
    assert coloured.shape == (3, 15, 3)
    assert coloured[:2, 12:14].tolist() == [[[0.0, 1.0, 0.0]] * 2] * 2
    assert coloured.sum() == 4
    grey = picture(np.stack([kernel[:, :, 1], kernel[:, :, 1]], axis=2))
    assert grey.shape == (6, 15, 1)


def test_conv_kernels_are_shown(tmp_path):  # oracle: the tags
    x = Input((5, 5, 2), name="x")
    trainer = Trainer(Graph(x, Conv2D(3, 2, name="c")(x)), optimizer="sgd", loss="mse")
    data = np.ones((4, 5, 5, 2), np.float32), np.ones((4, 4, 4, 3), np.float32)
    board = TensorBoard(tmp_path, histogram_freq=1, write_images=True)
    trainer.fit(trainer.init(jax.random.key(0)), *data, verbose=0, callbacks=[board])
    assert tags(tmp_path / "train", "image") == [("c/bias/image", 0), ("c/kernel/image", 0)]
