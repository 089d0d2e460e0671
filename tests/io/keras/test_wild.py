"""Files as they are met: what repositories of Keras 2 and tf.keras recorded, written by hand as those wrote it."""

import jax
import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

from jaxgraphs.errors import GraphError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.io.keras.read import from_keras
from jaxgraphs.layers.base import Layer, Weight, describes
from jaxgraphs.layers.initializers import make
from tests.io.keras.files import dense, old_weights, one_layer, whole
from tests.io.keras.test_legacy import entry, functional, layer, normal
from tests.oracle import assert_close, keras_rules

CODE = ["4wEAAAAAAAAA", None, None]
VALUES = {"kernel:0": normal(3, 3, 4, 4), "bias:0": normal(4)}


def chain(shape, *layers, **arrays):
    """Layers one after another, each (class, name, config), with their arrays by name."""
    listed, before = [entry("x", *shape)], "x"
    for kind, name, config in layers:
        listed.append(layer(kind, name, [(before, 0, 0)], **config))
        before = name
    weights = {name: {f"{name}/{key}": value for key, value in of.items()} for name, of in arrays.items()}
    return whole(functional(listed, ["x"], [before]), old_weights(weights), "2.2.4")


def test_mobilenet():  # oracle: Keras 3
    """keras-applications 1.0: relu6 and DepthwiseConv2D as custom objects of the loading code."""
    depth = normal(3, 3, 4, 1)
    plain = {"kernel_initializer": {"class_name": "VarianceScaling", "config": {"scale": 1.0, "mode": "fan_avg"}}}
    config = {"kernel_size": [3, 3], "padding": "same", "use_bias": False, "depth_multiplier": 1, "filters": None}
    data = chain(
        (6, 6, 4),
        ("DepthwiseConv2D", "dw", {**config, "depthwise_initializer": plain["kernel_initializer"], **plain}),
        ("Activation", "relu", {"activation": "relu6"}),
        ("GlobalAveragePooling2D", "pool", {}),
        ("Reshape", "top", {"target_shape": [1, 1, 4]}),
        dw={"depthwise_kernel:0": depth},
    )
    pictures = 5.0 * normal(2, 6, 6, 4, seed=1)
    graph, variables = from_keras(data, {"relu6": jax.nn.relu6})
    with keras_rules():
        y = ops.relu6(ops.depthwise_conv(pictures, depth, padding="same"))
        assert_close(graph.apply(variables, pictures), ops.mean(y, (1, 2))[:, None, None], 1e-5)
    assert from_keras(data)[0].count_params() == 36


def test_yolo_and_facenet():  # oracle: Keras 3
    """Lambdas: a function of the code's own by its name, and code; both are asked for together."""
    space = {"function": "space_to_depth_x2", "function_type": "function", "arguments": {}, "output_shape": None}
    scale = {"function": CODE, "function_type": "lambda", "arguments": {"scale": 0.17}}
    data = chain((4, 4, 2), ("Lambda", "space", space), ("Lambda", "scaled", scale))
    with pytest.raises(GraphError) as caught:
        from_keras(data)
    assert "'space': lambda x: ..., 'scaled': lambda x: ..." in str(caught.value)
    custom = {"space_to_depth_x2": _space, "scaled": _scaled}
    graph, variables = from_keras(data, custom)
    x = normal(2, 4, 4, 2)
    with keras_rules():
        assert_close(graph.apply(variables, x), ops.space_to_depth(x, 2) * 0.17, 1e-6)


def _space(x):
    batch, height, width, depth = x.shape
    blocks = x.reshape(batch, height // 2, 2, width // 2, 2, depth).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(batch, height // 2, width // 2, 4 * depth)


def _scaled(x, scale):
    return x * scale


@describes
class L2Normalization(Layer):
    """SSD's: each pixel's channels to unit length, times a learned scale."""

    gamma_init: float = 20.0
    axis: int = 3

    def weights(self, spec, **_):
        return {"gamma": Weight((spec.dims[-1],), make("ones"))}

    def call(self, weights, x, *, context):
        length = jax.numpy.sqrt(jax.numpy.sum(x * x, self.axis, keepdims=True))
        return x / length * weights["gamma"].reshape(1, 1, 1, -1)


def test_ssd():  # oracle: Keras 3, and the message
    """A layer of the code's own, with an array of its own."""
    config = ("L2Normalization", "norm", {"gamma_init": 20.0, "axis": 3})
    data = chain((5, 5, 4), config, norm={"gamma_20:0": normal(4)})
    with pytest.raises(GraphError, match=r"custom_objects=\{'L2Normalization': L2Normalization\}"):
        from_keras(data)
    graph, variables = from_keras(data, {"L2Normalization": L2Normalization})
    x = normal(2, 5, 5, 4, seed=1)
    with keras_rules():
        assert_close(graph.apply(variables, x), ops.normalize(x, axis=3) * normal(4), 1e-5)


def test_retinanet():  # oracle: the message: every place at once
    data = chain(
        (8, 8, 4),
        (
            "Conv2D",
            "p5",
            {"filters": 4, "kernel_size": [3, 3], "kernel_initializer": {"class_name": "PriorProbability"}},
        ),
        ("UpsampleLike", "p5_upsampled", {}),
        ("Anchors", "anchors_0", {"size": 32, "stride": 8}),
        ("RegressBoxes", "boxes", {"mean": [0, 0], "std": [1, 1]}),
        p5=VALUES,
    )
    with pytest.raises(GraphError) as caught:
        from_keras(data)
    for name in ("'PriorProbability'", "'UpsampleLike': UpsampleLike", "'Anchors': Anchors", "'RegressBoxes'"):
        assert name in str(caught.value)


def test_unet_of_tf_keras():  # oracle: Keras 3
    """What tf.keras adds to configurations, and sizes that it records as tensors."""
    up = {"filters": 4, "kernel_size": [2, 2], "strides": [2, 2], "padding": "same", "groups": 1, "dtype": "float32"}
    shape = layer(
        "TFOpLambda", "shape", [("up", 0, 0, {"out_type": "int32", "name": None})], function="compat.v1.shape"
    )
    batch = layer("SlicingOpLambda", "batch", [("shape", 0, 0, {"slice_spec": 0})], function="__operators__.getitem")
    flat = layer("TFOpLambda", "flat", [("up", 0, 0, {"shape": [["batch", 0, 0], -1]})], function="reshape")
    for item in (shape, batch, flat):
        item["inbound_nodes"] = item["inbound_nodes"][0]
    dense = {"units": 2, "activation": {"value": CODE}}
    layers = [
        entry("x", 4, 4, 3),
        layer("RandomFlip", "flip", [("x", 0, 0, {})], mode="horizontal", rng_type="stateful", seed=None),
        layer("Conv2DTranspose", "up", [("flip", 0, 0, {})], **up),
        *(shape, batch, flat),
        layer("Reshape", "row", [("flat", 0, 0, {})], target_shape=[256]),
        layer("Dense", "end", [("row", 0, 0, {})], **dense),
    ]
    kernel, table = normal(2, 2, 4, 3), normal(256, 2)
    weights = old_weights(
        {"up": {"kernel": kernel, "bias": normal(4)}, "end": {"kernel": table, "bias": normal(2, seed=1)}}
    )
    data = whole(functional(layers, ["x"], ["end"], "Functional"), weights)
    graph, variables = from_keras(data, {"<lambda>": lambda x: x * x})
    x, y = normal(3, 4, 4, 3, seed=2), L.Conv2DTranspose(4, 2, 2, "same")
    with keras_rules():
        y.build((None, 4, 4, 3))
        y.set_weights([kernel, normal(4)])
        expected = ops.square(ops.matmul(ops.reshape(y(x), (3, 256)), table) + normal(2, seed=1))
        assert_close(graph.apply(variables, x), expected, 1e-5)


def test_an_open_size_that_a_call_needs():  # oracle: the message
    shape = layer("TFOpLambda", "shape", [("x", 0, 0, {"name": None})], function="compat.v1.shape")
    batch = layer("SlicingOpLambda", "batch", [("shape", 0, 0, {"slice_spec": 0})], function="__operators__.getitem")
    tiled = layer("TFOpLambda", "tiled", [("x", 0, 0, {"multiples": [["batch", 0, 0], 1]})], function="tile")
    for item in (shape, batch, tiled):
        item["inbound_nodes"] = item["inbound_nodes"][0]
    data = whole(functional([entry("x", 4), shape, batch, tiled], ["x"], ["tiled"], "Functional"), old_weights({}))
    with pytest.raises(GraphError, match="needs the number of a size that is left open"):
        from_keras(data)


def test_what_a_graph_passes_on_is_said():  # oracle: the warning
    data = chain((4, 4, 3), ("RandomHeight", "tall", {"factor": 0.2}), ("Flatten", "flat", {}))
    with pytest.warns(UserWarning, match=r"tall \(RandomHeight\)"):
        graph, variables = from_keras(data)
    np.testing.assert_array_equal(graph.apply(variables, normal(2, 4, 4, 3)), normal(2, 4, 4, 3).reshape(2, -1))


def sized(name, before, function, **options):
    """A call that tf.keras records, of one tensor and of constants or other tensors."""
    made = layer("TFOpLambda", name, [(before, 0, 0, {"name": None, **options})], function=function)
    return {**made, "inbound_nodes": made["inbound_nodes"][0]}


def test_sizes_become_numbers():  # oracle: NumPy
    """Attention by hand: scores over the root of the last size, and rows as many as the batch has."""
    listed = [
        entry("x", 4, 9),
        sized("shape", "x", "compat.v1.shape", out_type="int32"),
        sized("last", "shape", "__operators__.getitem", slice_spec=-1),
        sized("floating", "last", "cast", dtype="float32"),
        sized("root", "floating", "math.sqrt"),
        sized("scaled", "x", "math.truediv", y=["root", 0, 0]),
        sized("parts", "shape", "unstack", num=None, axis=0),
        sized("flat", "scaled", "reshape", shape=[["parts", 0, 0], 36]),
        sized("spread", "flat", "broadcast_to", shape=[["parts", 0, 0], 36]),
    ]
    graph, variables = from_keras(whole(functional(listed, ["x"], ["spread"], "Functional"), old_weights({})))
    x = normal(3, 4, 9)
    assert_close(graph.apply(variables, x), x.reshape(3, 36) / 3.0, 1e-6)


def test_a_sequential_that_starts_with_floating_ids():  # oracle: the rows of the table
    """tf.keras and Keras 3 note float32 for the ids that an Embedding reads."""
    table = normal(9, 3)
    start = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4], "dtype": "float32", "name": "x"}}
    words = {"class_name": "Embedding", "config": {"name": "words", "input_dim": 9, "output_dim": 3}}
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [start, words]}}
    graph, variables = from_keras(whole(config, old_weights({"words": {"words/embeddings": table}})))
    ids = np.arange(8, dtype=np.float32).reshape(2, 4)
    np.testing.assert_array_equal(graph.apply(variables, ids), table[ids.astype(int)])


def test_states_that_are_not_carried_are_said():  # oracle: Keras after a reset, and the warning
    x = keras.Input((5, 2), batch_size=3)
    with keras_rules():
        model = keras.Model(x, L.RNN(L.GRUCell(3), stateful=True)(L.LSTM(4, stateful=True, return_sequences=True)(x)))
    values = normal(3, 5, 2)
    with pytest.warns(UserWarning, match=r"reset_states\(\): lstm, rnn\. Layers"):
        graph, variables = from_keras(model)
    with keras_rules():
        assert_close(graph.apply(variables, values), model(values), 1e-5)


def test_losses_within_a_model_are_said():  # oracle: the warning
    added = {"unconditional": False, "dtype": "float32"}
    data = chain((4,), ("Activation", "y", {"activation": "tanh"}), ("AddLoss", "loss", added))
    with pytest.warns(UserWarning, match=r"loss \(AddLoss\)"):
        graph, variables = from_keras(data)
    assert_close(graph.apply(variables, normal(2, 4)), np.tanh(normal(2, 4)), 1e-6)


def test_a_call_that_is_never_in_training():  # oracle: the moving statistics, by which such a call normalises
    x = keras.Input((4,))
    graph, variables = from_keras(keras.Model(x, L.BatchNormalization()(x, training=False)))
    values = 5.0 + normal(6, 4)
    outputs = graph.apply(variables, values, train=True)
    assert_close(outputs, values / np.sqrt(1.001), 1e-5)


def test_orthogonal_regularizer():  # oracle: Keras
    x = keras.Input((5,))
    for mode in ("rows", "columns"):
        penalty = keras.regularizers.OrthogonalRegularizer(0.3, mode)
        with keras_rules():
            model = keras.Model(x, L.Dense(4, kernel_regularizer=penalty, name="dense")(x))
            expected = penalty(model.get_layer("dense").kernel)
        graph, variables = from_keras(model)
        found = graph["dense"].kernel_regularizer(variables["params"]["dense"]["kernel"])
        assert_close(found, expected, 1e-5)
        assert Graph.from_json(graph.to_json())["dense"].kernel_regularizer == graph["dense"].kernel_regularizer


def test_pipeline():  # oracle: Keras at inference, and that what is random changes in training
    x = keras.Input((6, 6, 3))
    steps = [L.RandomInvert((1.0, 1.0), (0, 1)), L.AutoContrast((0, 1)), L.Dense(3, name="dense"), L.CenterCrop(4, 4)]
    with keras_rules():
        model = keras.Model(x, L.MaxNumBoundingBoxes(3)(L.Pipeline(steps)(x)))
    graph, variables = from_keras(model)
    values = normal(2, 6, 6, 3)
    with keras_rules():
        expected, in_training = model(values, training=False), model(values, training=True)
    assert_close(graph.apply(variables, values), expected, 1e-5)
    outputs = graph.apply(variables, values, train=True, rngs={"dropout": jax.random.key(0)})
    assert_close(outputs, in_training, 1e-5)
    assert list(variables["params"]["pipeline"]) == ["dense"]


def test_rows_read_both_ways(tmp_path):  # oracle: Keras
    ids, table = keras.Input((5,), dtype="int32"), L.ReversibleEmbedding(9, 4, tie_weights=False, logit_soft_cap=2.0)
    with keras_rules():
        model = keras.Model(ids, table(L.Dense(4)(table(ids)), reverse=True))
        model.save(tmp_path / "model.keras")
        expected = model(np.arange(10).reshape(2, 5) % 9)
    graph, variables = from_keras(tmp_path / "model.keras")
    assert_close(graph.apply(variables, np.arange(10).reshape(2, 5) % 9), expected, 1e-5)
    assert graph.count_params() == model.count_params()


def test_code_of_other_frameworks():  # oracle: the message
    kinds = ("JaxLayer", "FlaxLayer", "TorchModuleWrapper", "TFSMLayer")
    data = chain((4,), *[(kind, kind.lower(), {"call_fn": {"class_name": "__lambda__"}}) for kind in kinds])
    with pytest.raises(GraphError) as caught:
        from_keras(data)
    assert all(f"the code within a {kind}, which is never run" in str(caught.value) for kind in kinds)
    graph, variables = from_keras(data, {kind.lower(): jax.numpy.negative for kind in kinds})
    assert_close(graph.apply(variables, normal(2, 4)), normal(2, 4), 1e-6)


def test_an_initialiser_that_there_is_not():  # oracle: the message
    drawn = {"class_name": "VarianceScaling", "config": {"scale": -1.0, "mode": "fan_in", "distribution": "normal"}}
    with pytest.raises(GraphError, match="has something that is not known here") as caught:
        from_keras(one_layer(dense(kernel_initializer=drawn)))
    assert "dense: the initializer 'VarianceScaling'" in str(caught.value)
    with pytest.raises(GraphError, match="VarianceScaling has no such way to draw"):
        make("variance_scaling", scale=-1.0)
