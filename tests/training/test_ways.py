"""Precision, parts, recomputation and devices: every way to make a step gives the step made at once on one device."""

import functools

import flax.linen as linen
import jax
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

import jaxgraphs as jg
from jaxgraphs import layers
from jaxgraphs.training import sharding
from jaxgraphs.training.patterns import path_of
from jaxgraphs.training.precision import ScaledState, with_precision
from tests.training.runs import classifier, rows, trainer_of, two_outputs

X, Y = rows(22)
WAYS = {
    "data parallel": lambda: {"mesh": sharding.make_mesh()},
    "fully sharded": lambda: {"mesh": sharding.make_mesh(), "sharding_rules": sharding.fully_sharded()},
    "tensor parallel": lambda: {
        "mesh": sharding.make_mesh(data=4, model=2),
        "sharding_rules": sharding.tensor_parallel(),
    },
    "pmap": lambda: {"strategy": "pmap"},
    "remat": lambda: {"remat": ["hidden", "norm"]},
}


def steps(batches=((0, 8), (8, 16), (16, 22)), **options):
    """Losses of some steps, the last batch shorter, and the state after them."""
    graph = classifier(normalised=options.pop("normalised", True), kernel_regularizer="l2")
    trainer = trainer_of(graph, optax.sgd(0.5), **options)
    state, losses = trainer.init(jax.random.key(0)), []
    for start, end in batches:
        state, logs = trainer.train_step(state, (X[start:end], Y[start:end]))
        losses.append(jax.device_get(logs))
    return losses, state


@functools.cache
def reference(normalised):
    return steps(normalised=normalised)


def assert_same_run(actual, expected, tolerance=1e-5):
    for one, other in zip(actual[0], expected[0], strict=True):
        assert one.keys() == other.keys()
        for name in other:
            np.testing.assert_allclose(one[name], other[name], rtol=tolerance, atol=1e-7)
    for one, other in zip(jax.tree.leaves(actual[1].variables), jax.tree.leaves(expected[1].variables), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_is_one_device(way):  # oracle: the plain step; batch statistics and an uneven last batch with it
    assert_same_run(steps(**WAYS[way]()), reference(True))


@pytest.mark.parametrize("parts", [3, 8])
def test_parts_add_up_to_the_batch(parts):  # oracle: the plain step; 3 and 8 divide neither 8 nor 6 rows evenly
    assert_same_run(steps(accumulate=parts, normalised=False), reference(False))


@pytest.mark.parametrize("options", [{"accumulate": 2}, {"strategy": "pmap"}], ids=str)
def test_parts_count_masks_and_weights_as_the_batch(options):  # oracle: the plain step
    x = jg.Input((5,), dtype="int32", name="x")
    hidden = layers.SimpleRNN(3, return_sequences=True)(layers.Embedding(7, 3, mask_zero=True)(x))
    graph = jg.Graph(x, layers.Dense(2, activation="softmax", name="word")(hidden))
    rng = np.random.default_rng(0)
    ids, words = rng.integers(0, 7, (8, 5)) * np.tri(8, 5, -1, int).clip(0, 1), rng.integers(0, 2, (8, 5))
    weights = rng.uniform(0.5, 2, 8).astype(np.float32)
    losses = []
    for more in ({}, options):
        trainer = jg.Trainer(graph, optax.sgd(1.0), "sparse_categorical_crossentropy", **more)
        state = trainer.init(jax.random.key(1))
        for _ in range(2):
            state, logs = trainer.train_step(state, (ids, words, weights))
        losses.append(float(logs["loss"]))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_parts_of_two_outputs():  # oracle: the plain step
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 4)).astype(np.float32), rng.normal(size=(7, 2)).astype(np.float32)
    targets = {"age": a[:, :1], "gender": (b[:, :1] > 0).astype(np.float32)}
    logs = []
    for parts in (1, 2):
        trainer = jg.Trainer(
            two_outputs(),
            optax.sgd(0.1),
            {"age": "mse", "gender": "binary_crossentropy"},
            {"age": 0.25, "gender": 10.0},
            {"gender": ["accuracy"]},
            accumulate=parts,
        )
        state = trainer.init(jax.random.key(0))
        for _ in range(2):
            state, found = trainer.train_step(state, ([a, b], targets))
        logs.append(jax.device_get(found))
    for name, value in logs[0].items():
        np.testing.assert_allclose(logs[1][name], value, rtol=1e-5)


def test_fit_evaluate_and_predict_on_a_mesh():  # oracle: one device; 22 rows in batches of 5 fit 8 devices nowhere
    results = []
    for options in ({}, WAYS["fully sharded"]()):
        trainer = trainer_of(classifier(normalised=True), "adam", **options)
        state, history = trainer.fit(
            trainer.init(jax.random.key(0)), X, Y, epochs=2, batch_size=5, verbose=0, validation_data=(X[:7], Y[:7])
        )
        results.append((history.history, trainer.evaluate(state, X, Y, batch_size=9), trainer.predict(state, X)))
    for name, values in results[0][0].items():
        np.testing.assert_allclose(results[1][0][name], values, rtol=1e-5)
    np.testing.assert_allclose(list(results[1][1].values()), list(results[0][1].values()), rtol=1e-5)
    np.testing.assert_allclose(results[1][2], results[0][2], rtol=1e-5, atol=1e-6)
    assert results[1][2].shape == (22, 3)


def test_layouts_are_real():  # oracle: counted by hand, 8 devices
    trainer = trainer_of(classifier(), "adam", **WAYS["fully sharded"]())
    state, _ = trainer.train_step(trainer.init(jax.random.key(0)), (X[:8], Y[:8]))
    table = sharding.placement(state)
    assert {row.path: (row.bytes, row.per_device) for row in table.rows} == {
        "hidden/bias": (32, 4),
        "hidden/kernel": (192, 24),
        "label/bias": (12, 12),
        "label/kernel": (96, 12),
    }
    assert "total" in str(table)
    spread = {
        path_of(keys)[-3:]: leaf.sharding.spec for keys, leaf in jax.tree_util.tree_leaves_with_path(state.opt_state)
    }
    assert spread["momentum", "hidden", "kernel"] == PartitionSpec(None, "data")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"precision": "float64"}, "JAX has float64 turned off"),
        ({"precision": "bfloat"}, "There is no precision 'bfloat'"),
        ({"precision": {"hiden": "bfloat16"}}, "The pattern 'hiden' of precision fits nothing"),
        ({"accumulate": 0}, "`accumulate` is a whole number from 1"),
        ({"strategy": "pmpa"}, "There is no strategy 'pmpa'"),
        ({"remat": 3}, "`remat` says which layers"),
        ({"mesh": 8}, "`mesh` is a mesh of devices"),
        ({"sharding_rules": {"*": PartitionSpec("model")}}, "names an axis that the mesh does not have"),
        ({"strategy": "pmap", "sharding_rules": sharding.fully_sharded()}, "each device has all params"),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit(options, text):  # oracle: the message
    with pytest.raises(jg.GraphError, match=text):
        trainer_of(classifier(), **options)


CONVOLVING = {
    "layer": lambda: layers.Conv2D(1, 3),
    "within another": lambda: layers.TimeDistributed(layers.Conv1D(1, 3)),
    "graph": lambda: jg.models.residual_block((4, 4, 1)),
    "module": lambda: jg.layer(linen.Sequential([linen.Conv(1, (3, 3))])),
}


@pytest.mark.parametrize("layer", CONVOLVING)
def test_a_loop_over_convolutions_is_refused(layer):  # oracle: SPEED.md, the message
    x = jg.Input((4, 4, 1))
    graph = jg.Graph(x, layers.Flatten()(CONVOLVING[layer]()(x)))
    with pytest.raises(jg.GraphValueError, match="XLA on a CPU runs convolutions"):
        jg.Trainer(graph, "sgd", "mse", steps_per_call=4)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_keeps_params_and_losses_whole(precision):  # oracle: float32 within half precision's steps
    (*_, last), state = steps(precision=precision)
    assert {leaf.dtype for leaf in jax.tree.leaves(state.variables)} == {np.dtype("float32")}
    assert last["loss"].dtype == np.float32
    np.testing.assert_allclose(last["loss"], reference(True)[0][-1]["loss"], rtol=3e-2)
    assert last["loss"] != reference(True)[0][-1]["loss"]


def test_precision_by_pattern():  # oracle: the dtypes asked for
    graph = with_precision(classifier(normalised=True), {"label": "float32", "*": "bfloat16"})
    assert [str(graph[name].compute_dtype) for name in ("hidden", "norm", "label")] == ["bfloat16"] * 2 + ["float32"]
    own = with_precision(classifier(dtype="float32"), "bfloat16")
    assert [str(own[name].compute_dtype) for name in ("hidden", "label")] == ["float32", "bfloat16"]


def test_wrapped_layers_follow():  # oracle: the dtypes asked for
    x = jg.Input((3, 4))
    graph = jg.Graph(x, layers.Bidirectional(layers.LSTM(2), name="both")(x))
    both = with_precision(graph, "bfloat16")["both"]
    assert both.dtype == both.layer.dtype == "mixed_bfloat16"


def test_float64(enable_x64):  # oracle: one device, to the last digits but three
    losses, plain = steps(precision="float64")
    others, spread = steps(precision="float64", **WAYS["fully sharded"]())
    for one, other in zip(others, losses, strict=True):
        assert {name: value.dtype for name, value in one.items()} == dict.fromkeys(other, np.dtype("float64"))
        np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-12)
    assert {leaf.dtype for leaf in jax.tree.leaves(plain.variables)} == {np.dtype("float64")}
    for one, other in zip(jax.tree.leaves(spread.variables), jax.tree.leaves(plain.variables), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)
    assert np.isfinite(losses[-1]["loss"])


@pytest.mark.parametrize("way", ["uncertainty", "gradnorm"])
def test_balanced_losses_in_float64(enable_x64, way):  # oracle: one device; the losses before weighting by hand
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(8, 4)), rng.normal(size=(8, 2))
    targets = {"age": a[:, :1], "gender": b[:, :1] ** 2}
    logs = []
    for options in ({}, WAYS["data parallel"]()):
        trainer = jg.Trainer(two_outputs(), "adam", ["mse", "mse"], way, precision="float64", **options)
        state = trainer.init(jax.random.key(0))
        outputs = trainer.predict(state, [a, b])
        for _ in range(4):
            state, found = trainer.train_step(state, ([a, b], targets))
            logs.append(jax.device_get(found))
            if len(logs) == 1:
                expected = np.mean((outputs[0] - targets["age"]) ** 2)
                np.testing.assert_allclose(found["age_loss"], expected, rtol=1e-13)
    for one, other in zip(logs[4:], logs[:4], strict=True):
        np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-12)


@pytest.fixture
def enable_x64():
    with jax.enable_x64(True):
        yield


def test_overflow_is_stepped_over():  # oracle: nothing changes but the scale, which halves
    trainer = trainer_of(classifier(normalised=True), optax.sgd(0.5), precision="float16")
    state = trainer.init(jax.random.key(0))
    before = jax.device_get(state)
    state, _ = trainer.train_step(state, (X[:8] * 1e30, Y[:8]))
    assert isinstance(state.opt_state, ScaledState)
    assert (float(state.opt_state.scale), int(state.opt_state.skipped)) == (2.0**14, 1)
    for one, other in zip(jax.tree.leaves(state.variables), jax.tree.leaves(before.variables), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_mesh_of_sizes_that_do_not_fit():  # oracle: the message
    with pytest.raises(jg.GraphValueError, match="The sizes of a mesh do not fit the devices"):
        sharding.make_mesh(data=3)


class Calls(jg.callbacks.Callback):
    """Counts compiled calls."""

    count = 0

    def on_batch_end(self, run):
        self.count += 1


def test_several_steps_in_a_call():  # oracle: one at a time; 5 batches are two calls of 2, and one left over
    records = []
    for count in (1, 2):
        spy = Calls()
        trainer = trainer_of(classifier(), "adam", steps_per_call=count)
        _, history = trainer.fit(
            trainer.init(jax.random.key(0)), X, Y, epochs=2, batch_size=5, verbose=0, callbacks=[spy]
        )
        records.append((history.history, spy.count))
    assert [calls for _, calls in records] == [10, 6]
    for name, values in records[0][0].items():
        np.testing.assert_allclose(records[1][0][name], values, rtol=1e-5)
