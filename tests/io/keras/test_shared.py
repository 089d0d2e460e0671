"""Keras models whose layers are shared across nested models, or by a nested model and the one around it."""

import io
import json
import zipfile

import h5py
import jax
import keras
import numpy as np
import pytest
from keras import layers as L

from jaxgraphs.errors import GraphError
from jaxgraphs.graph.count import count
from jaxgraphs.io.keras.read import from_keras, load_keras_weights
from jaxgraphs.io.keras.sources import live_json
from jaxgraphs.io.keras.write import to_keras_weights
from tests.io.keras.models import check_same, inputs_for, made, saved
from tests.oracle import assert_close, assert_trees_close, keras_rules


def coders():
    x, z = keras.Input((4,), name="x"), keras.Input((4,), name="z")
    dense = L.Dense(4, activation="tanh", name="dense")
    encoder = keras.Model(x, dense(x), name="encoder")
    decoder = keras.Model(z, L.Dense(3, name="end")(dense(z)), name="decoder")
    i = keras.Input((4,), name="i")
    return keras.Model(i, decoder(encoder(i)))


def tied():
    ids, table = keras.Input((6,), dtype="int32", name="ids"), L.Embedding(10, 4, name="table")
    inner = keras.Model(ids, L.LSTM(4, return_sequences=True, name="lstm")(table(ids)), name="inner")
    i = keras.Input((6,), dtype="int32", name="i")
    return keras.Model(i, L.Add(name="sum")([inner(i), table(i)]))


def features():
    x = keras.Input((4,), name="x")
    hidden = L.BatchNormalization(name="norm", momentum=0.8)(L.Dense(5, name="hidden")(x))
    base = keras.Model(x, L.Dense(2, name="end")(hidden), name="base")
    extractor = keras.Model(base.input, base.layers[2].output, name="extractor")
    i = keras.Input((4,), name="i")
    return keras.Model(i, [base(i), extractor(i)])


def wrapped():
    dense = L.Dense(4, name="dense")
    inner = keras.Sequential([keras.Input((4,)), dense, L.Activation("tanh")], name="inner")
    steps, row = keras.Input((3, 4), name="steps"), keras.Input((4,), name="row")
    return keras.Model([steps, row], [L.TimeDistributed(inner, name="each")(steps), dense(row)])


def deep():
    p, q, r = (keras.Input((4,), name=name) for name in "pqr")
    core = keras.Model(p, L.Dense(4, activation="tanh", name="dense")(p), name="core")
    first = keras.Model(q, core(q), name="first")
    second = keras.Sequential([keras.Input((4,)), core, L.Dense(4, name="end")], name="second")
    both = keras.Model(r, second(first(r)), name="both")
    i = keras.Input((4,), name="i")
    return keras.Model(i, L.Add(name="sum")([both(i), first(i)]))


SHARED = {build.__name__: build for build in (coders, tied, features, wrapped, deep)}


def sizes(model):
    return tuple(
        sum(int(np.prod(weight.shape)) for weight in weights)
        for weights in (model.trainable_weights, model.non_trainable_weights)
    )


@pytest.mark.parametrize("name", SHARED)
def test_alive_and_from_an_archive(name, tmp_path):  # oracle: Keras alive; it cannot load such an archive itself
    model = made(SHARED[name])
    graph, variables = from_keras(model)
    check_same(model, graph, variables)
    assert tuple(count(graph)) == sizes(model)
    again, same = from_keras(saved(model, tmp_path / "model.keras"))
    assert_trees_close(same, variables, 0.0)
    assert again.places == graph.places


@pytest.mark.parametrize("name", SHARED)
def test_from_hdf5_and_json(name, tmp_path):  # oracle: Keras, which loses the sharing there
    model = made(SHARED[name])
    graph, variables = from_keras(saved(model, tmp_path / "model.h5"))
    with keras_rules():
        theirs = keras.models.model_from_json(model.to_json())
        values = inputs_for(model)
        expected = jax.tree.leaves(model(values))
    assert tuple(count(graph)) == sizes(theirs)
    for one, other in zip(jax.tree.leaves(graph.apply(variables, values)), expected, strict=True):
        assert_close(one, other, 1e-5)
    drawn, _ = from_keras(model.to_json())
    assert tuple(count(drawn)) == sizes(theirs)
    # Weights that a file has once go to both layers of their name.
    for ending in ("weights.h5", "keras"):
        loaded = load_keras_weights(saved(model, tmp_path / f"a.{ending}"), drawn)
        for one, other in zip(jax.tree.leaves(drawn.apply(loaded, values)), expected, strict=True):
            assert_close(one, other, 1e-5)


@pytest.mark.parametrize("name", SHARED)
def test_numbers_in_hdf5_and_json(name, tmp_path):  # oracle: Keras alive; tf.keras numbers every time it writes a layer
    model = made(SHARED[name])
    graph, variables = from_keras(model)
    path = saved(model, tmp_path / "model.h5")
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = live_json(model)
    again, same = from_keras(path)
    assert_trees_close(same, variables, 0.0)
    assert again.places == graph.places
    for config in (live_json(model), config_of(saved(model, tmp_path / "model.keras"))):
        assert from_keras(config)[0].places == graph.places


@pytest.mark.parametrize("name", SHARED)
def test_back_to_keras(name, tmp_path):  # oracle: Keras
    model = made(SHARED[name])
    graph, variables = from_keras(model)
    to_keras_weights(graph, variables, tmp_path / "a.weights.h5")
    with keras_rules():
        before = [np.array(weight.value) for weight in model.weights]
        for weight in model.weights:
            weight.assign(np.zeros(weight.shape))
        model.load_weights(tmp_path / "a.weights.h5")
        after = [np.array(weight.value) for weight in model.weights]
    assert_trees_close(after, before, 0.0)
    assert_trees_close(load_keras_weights(tmp_path / "a.weights.h5", graph), variables, 0.0)


def test_statistics_in_training():  # oracle: Keras
    model = made(features)
    graph, variables = from_keras(model)
    values = inputs_for(model)
    outputs, updates = graph.apply(variables, values, train=True, mutable=["batch_stats"])
    with keras_rules():
        expected = model(values, training=True)
    assert_trees_close(outputs, [np.asarray(array) for array in expected], 1e-4)
    assert_trees_close(updates["batch_stats"], from_keras(model)[1]["batch_stats"], 1e-5)


def alike():
    """Two models with a layer of one name and configuration each, and a third with the second one's."""
    x, first, second = keras.Input((4,), name="x"), L.Dense(4, name="dense"), L.Dense(4, name="dense")
    one, two = keras.Model(x, first(x), name="one"), keras.Model(x, second(x), name="two")
    three = keras.Model(x, L.Activation("tanh", name="end")(second(x)), name="three")
    i = keras.Input((4,), name="i")
    return keras.Model(i, three(two(one(i))))


def test_a_name_that_is_not_enough(tmp_path):  # oracle: Keras alive, and the message
    model = made(alike)
    graph, variables = from_keras(model)
    check_same(model, graph, variables)
    assert graph.places == {("three", "dense"): ("two", "dense")}
    with pytest.raises(GraphError) as caught:
        from_keras(saved(model, tmp_path / "model.keras"))
    assert str(caught.value) == (
        "The file has 2 layers named 'dense', and does not say which of them is used again.\n"
        "  where:    three/dense\n"
        "  received: 2 times Dense 'dense' in one configuration\n"
        "  expected: one layer of this name and configuration before it\n"
        "  fix:      give the layers names of their own, or pass the live model to jg.from_keras"
    )


def test_arrays_tell_when_a_name_misleads(tmp_path):  # oracle: Keras alive
    model = made(alike)
    path = renumbered(saved(model, tmp_path / "model.keras"), {("two", "dense"): 7, ("three", "dense"): 7})
    graph, variables = from_keras(path)
    assert graph.places == {("three", "dense"): ("two", "dense")}
    assert_trees_close(variables, from_keras(model)[1], 0.0)


def config_of(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def renumbered(path, numbers):
    """The archive with other numbers for some layers of nested models."""
    config, out = config_of(path), io.BytesIO()
    for inner in config["config"]["layers"]:
        for layer in inner["config"].get("layers", []):
            if (inner["name"], layer["name"]) in numbers:
                layer["shared_object_id"] = numbers[inner["name"], layer["name"]]
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(out, "w") as other:
        for name in archive.namelist():
            other.writestr(name, json.dumps(config) if name == "config.json" else archive.read(name))
    return out.getvalue()
