"""Models of Keras 3 read alive, from archives and from HDF5, against Keras itself."""

import jax
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs.errors import GraphError, GraphTypeError, GraphValueError
from jaxgraphs.graph.count import count
from jaxgraphs.io.keras.read import from_keras, load_keras_weights
from tests.io.keras.models import MODELS, check_same, inputs_for, made, saved
from tests.oracle import assert_close, assert_trees_close, keras_rules


@pytest.mark.parametrize("name", MODELS)
def test_models(name, tmp_path):  # oracle: Keras
    model = made(MODELS[name])
    graph, variables = from_keras(model)
    check_same(model, graph, variables)
    sizes = [
        sum(int(np.prod(w.shape)) for w in weights)
        for weights in (model.trainable_weights, model.non_trainable_weights)
    ]
    assert tuple(count(graph)) == tuple(sizes)
    for ending in ("keras", "h5"):
        again, same = from_keras(saved(model, tmp_path / f"model.{ending}"))
        assert_trees_close(same, variables, 0.0)
        assert program(again, same, model) == program(graph, variables, model)


def program(graph, variables, model):
    """What the graph computes, as text."""
    return str(jax.make_jaxpr(graph.apply)(variables, inputs_for(model)))


@pytest.mark.parametrize("name", ["dense_chain", pytest.param("convolutions", marks=pytest.mark.slow)])
def test_batch_normalization_in_training(name):  # oracle: Keras
    model = made(MODELS[name])
    for layer in model.layers:
        layer.rate = 0.0
    graph, variables = from_keras(model)
    graph = graph.map_layers(lambda _, layer: layer.replace(rate=0.0) if hasattr(layer, "rate") else layer)
    values = inputs_for(model)
    outputs, updates = graph.apply(variables, values, train=True, mutable=["batch_stats"])
    with keras_rules():
        expected = model(values, training=True)
    assert_close(outputs, expected, 1e-5, "output")
    fresh, moved = from_keras(model)
    assert_trees_close(updates["batch_stats"], moved["batch_stats"], 1e-5)
    assert fresh.count_params() == graph.count_params()


def test_weights_over_a_graph(tmp_path):  # oracle: from_keras
    model = made(MODELS["nested"])
    graph, variables = from_keras(model)
    assert_trees_close(load_keras_weights(saved(model, tmp_path / "a.weights.h5"), graph), variables, 0.0)
    assert_trees_close(load_keras_weights(saved(model, tmp_path / "b.h5"), graph), variables, 0.0)
    assert_trees_close(load_keras_weights(saved(model, tmp_path / "c.keras"), graph), variables, 0.0)


def test_weights_of_another_model(tmp_path):  # oracle: the message
    saved(made(MODELS["several_ends"]), tmp_path / "a.weights.h5")
    graph, _ = from_keras(made(MODELS["dense_chain"]))
    with pytest.raises(GraphError, match=r"lack|other shapes") as caught:
        load_keras_weights(tmp_path / "a.weights.h5", graph)
    assert "end: kernel" in str(caught.value)


def test_json(tmp_path):  # oracle: Keras' counts and names
    model = made(MODELS["nested"])
    path = tmp_path / "model.json"
    path.write_text(model.to_json())
    for source in (model.to_json(), path, __import__("json").loads(model.to_json())):
        graph, variables = from_keras(source)
        assert graph.count_params() == model.count_params()
        assert {"head", "tower"} <= set(variables["params"])


def test_sources_that_are_none(tmp_path):  # oracle: the messages
    with pytest.raises(GraphValueError, match="no such file"):
        from_keras(tmp_path / "nothing.keras")
    with pytest.raises(GraphTypeError, match="cannot read this"):
        from_keras(3)
    (tmp_path / "pointer.h5").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(GraphValueError, match=r"git lfs pull"):
        from_keras(tmp_path / "pointer.h5")
    (tmp_path / "other.h5").write_bytes(b"GIF89a")
    with pytest.raises(GraphValueError, match=r"not a file of Keras'"):
        from_keras(tmp_path / "other.h5")


def test_operations_drop_masks_in_our_files_too(tmp_path):  # oracle: the graph itself
    model = made(MODELS["masks_and_operators"])
    graph, variables = from_keras(model)
    jg.save(tmp_path / "model.safetensors", graph, variables)
    again, same = jg.load(tmp_path / "model.safetensors")
    assert program(again, same, model) == program(graph, variables, model)
