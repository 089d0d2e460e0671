"""The way back to Keras: weights written for Keras' own twin, and graphs made here with names of their own."""

import keras
import numpy as np
import pytest
from keras import layers as L

import jaxgraphs as jg
from jaxgraphs import layers
from jaxgraphs.cli import main
from jaxgraphs.errors import GraphError, GraphValueError
from jaxgraphs.io.keras.read import from_keras, load_keras_weights
from jaxgraphs.io.keras.write import to_keras_weights
from tests.io.keras.models import MODELS, inputs_for, made, saved
from tests.oracle import assert_close, assert_trees_close, keras_rules


@pytest.mark.parametrize("name", ["nested", "sequences", "attention", "frozen", "translation"])
def test_back_to_keras(name, tmp_path):  # oracle: Keras
    model = made(MODELS[name])
    graph, variables = from_keras(model)
    to_keras_weights(graph, variables, tmp_path / "a.weights.h5")
    before = [np.array(weight) for weight in keras_weights(model)]
    with keras_rules():
        for weight in model.weights:
            weight.assign(np.zeros(weight.shape))
        model.load_weights(tmp_path / "a.weights.h5")
    for weight, value in zip(keras_weights(model), before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.weights.h5"]


def keras_weights(model):
    with keras_rules():
        return [np.array(weight.value) for weight in model.weights]


def test_a_graph_made_here(tmp_path):  # oracle: Keras' twin, with other names
    import jax

    a, b = jg.Input((4,)), jg.Input((6,))
    left = layers.Dense(3)(layers.Dense(5)(a))
    graph = jg.Graph([a, b], layers.concatenate([left, layers.Dense(3)(b)]))
    variables = graph.init(jax.random.key(0))
    to_keras_weights(graph, variables, tmp_path / "a.weights.h5")
    with keras_rules():
        p, q = keras.Input((4,)), keras.Input((6,))
        one = L.Dense(3, name="two")(L.Dense(5, name="one")(p))
        twin = keras.Model([p, q], L.concatenate([one, L.Dense(3, name="three")(q)]))
        twin.load_weights(tmp_path / "a.weights.h5")
        values = [np.ones((2, 4), "float32"), np.ones((2, 6), "float32")]
        expected = twin(values)
    assert_close(graph.apply(variables, values), expected, 1e-6)
    back = load_keras_weights(saved(twin, tmp_path / "b.weights.h5"), graph)
    assert_trees_close(back, variables, 0.0)


def test_refused(tmp_path):  # oracle: the messages
    import jax

    x = jg.Input((4,))
    graph = jg.Graph(x, layers.Dense(3)(x))
    variables = graph.init(jax.random.key(0))
    with pytest.raises(GraphValueError, match="this ending"):
        to_keras_weights(graph, variables, tmp_path / "a.h5")
    with pytest.raises(GraphValueError, match="cannot be written"):
        to_keras_weights(graph, variables, tmp_path / "nowhere" / "a.weights.h5")
    with pytest.raises(GraphError, match="lack"):
        to_keras_weights(graph, {"params": {}}, tmp_path / "a.weights.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["operators", "nested"])
def test_convert(name, tmp_path, capsys):  # oracle: Keras, and the file read again
    model = made(MODELS[name])
    source, out = str(saved(model, tmp_path / "model.keras")), str(tmp_path / "model.safetensors")
    assert main(["convert", source, out, "--layers", "--verify"]) == 0
    printed = capsys.readouterr().out
    assert "outputs agree with Keras' to" in printed
    error = float(printed.split("outputs agree with Keras' to ")[1].split(",")[0])
    assert error < 1e-5
    graph, variables = jg.load(out)
    with keras_rules():
        expected = model(inputs_for(model))
    for one, other in zip(graph.apply(variables, inputs_for(model)), expected, strict=True):
        assert_close(one, other, 1e-5)
