"""Files of Keras 1, 2 and tf.keras, written by hand as those wrote them, against a twin in Keras 3."""

import jax
import keras
import numpy as np
import pytest
from keras import layers as L

from jaxgraphs.errors import GraphError
from jaxgraphs.io.keras.read import from_keras
from tests.io.keras.files import old_weights, whole
from tests.oracle import assert_close, keras_rules


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(scale=0.5, size=shape).astype("float32")


@pytest.fixture(autouse=True)
def _lax():
    """Keras builds the twins under its own rules."""
    with keras_rules():
        yield


def twin(inputs, outputs, **weights):
    """Keras 3's model with the weights of its layers set by name."""
    model = keras.Model(inputs, outputs)
    for name, arrays in weights.items():
        model.get_layer(name).set_weights(arrays)
    return model


def agrees(data, model, *values):
    """The file's graph computes what the twin does."""
    given = values[0] if len(values) == 1 else list(values)
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        graph, variables = from_keras(data)
        outputs = jax.jit(graph.apply)(variables, given)
    assert_close(outputs, model(given), 1e-5)
    assert graph.count_params() == model.count_params()
    return graph


def layer(kind, name, *nodes, **config):
    """A layer of a functional model with its inbound nodes: each a list of (layer, call, output)."""
    inbound = [[list(ref) for ref in node] for node in nodes]
    return {
        "class_name": kind,
        "name": name,
        "config": {"name": name, "trainable": True, **config},
        "inbound_nodes": inbound,
    }


def entry(name, *shape, **config):
    return layer("InputLayer", name, batch_input_shape=[None, *shape], **config)


def functional(layers, starts, ends, kind="Model"):
    ends = {"input_layers": [[name, 0, 0] for name in starts], "output_layers": [[name, 0, 0] for name in ends]}
    return {"class_name": kind, "config": {"name": "model_1", "layers": layers, **ends}}


def test_keras_1_functional():  # oracle: a twin in Keras 3
    kernel, w, b = normal(4, 3, 3, 3), normal(2 * 4 * 6 * 6, 5, seed=1), normal(5, seed=2)
    gamma, beta, mean, std = normal(4), normal(4, seed=1), normal(4, seed=2), np.abs(normal(4, seed=3)) + 0.5
    conv = {"nb_filter": 4, "nb_row": 3, "nb_col": 3, "border_mode": "valid", "subsample": [1, 1], "dim_ordering": "th"}
    config = functional(
        [
            entry("image", 3, 8, 8, input_dtype="float32", sparse=False),
            layer(
                "Convolution2D", "conv", [("image", 0, 0)], activation="relu", init="glorot_uniform", bias=True, **conv
            ),
            layer(
                "BatchNormalization",
                "bn",
                [("conv", 0, 0)],
                mode=0,
                axis=1,
                epsilon=1e-5,
                momentum=0.9,
                gamma_regularizer=None,
            ),
            layer(
                "Merge",
                "join",
                [("conv", 0, 0), ("bn", 0, 0)],
                mode="concat",
                concat_axis=1,
                mode_type="raw",
                dot_axes=-1,
            ),
            layer("Flatten", "flat", [("join", 0, 0)]),
            layer("Dropout", "drop", [("flat", 0, 0)], p=0.5),
            layer(
                "Dense",
                "end",
                [("drop", 0, 0)],
                output_dim=5,
                activation="softmax",
                W_regularizer={"name": "WeightRegularizer", "l1": 0.0, "l2": 0.01},
                bias=True,
            ),
        ],
        ["image"],
        ["end"],
    )
    weights = {
        "conv": {"conv_W": kernel, "conv_b": normal(4)},
        "bn": {"bn_gamma": gamma, "bn_beta": beta, "bn_running_mean": mean, "bn_running_std": std},
        "end": {"end_W": w, "end_b": b},
    }
    x = keras.Input((3, 8, 8))
    y = L.Conv2D(4, 3, activation="relu", data_format="channels_first", name="conv")(x)
    y = L.Concatenate(axis=1)([y, L.BatchNormalization(axis=1, epsilon=1e-5, name="bn")(y)])
    model = twin(
        x,
        L.Dense(5, activation="softmax", name="end")(L.Flatten()(y)),
        conv=[kernel.transpose(2, 3, 1, 0), normal(4)],
        bn=[gamma, beta, mean, std],
        end=[w, b],
    )
    graph = agrees(whole(config, old_weights(weights), None), model, normal(2, 3, 8, 8))
    assert graph["end"].kernel_regularizer.l2 == 0.01
    flipped = {**weights, "conv": {"conv_W": kernel[:, :, ::-1, ::-1], "conv_b": normal(4)}}
    agrees(whole(config, old_weights(flipped), None, "theano"), model, normal(2, 3, 8, 8))


def old_hard_sigmoid(x):
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def test_keras_1_recurrent():  # oracle: a twin in Keras 3
    lstm = {
        gate: (normal(4, 3, seed=i), normal(3, 3, seed=i + 9), normal(3, seed=i + 20)) for i, gate in enumerate("icfo")
    }
    gru = {
        gate: (normal(3, 2, seed=i), normal(2, 2, seed=i + 9), normal(2, seed=i + 20)) for i, gate in enumerate("zrh")
    }

    def apart(gates, name):
        return {
            f"{name}_{part}_{gate}": array
            for gate, arrays in gates.items()
            for part, array in zip("WUb", arrays, strict=True)
        }

    def joined(gates, order):
        return [np.concatenate([gates[gate][part] for gate in order], -1) for part in range(3)]

    table = normal(7, 4)
    config = {
        "class_name": "Sequential",
        "config": [
            {
                "class_name": "Embedding",
                "config": {
                    "name": "e",
                    "input_dim": 7,
                    "output_dim": 4,
                    "input_length": 5,
                    "mask_zero": False,
                    "init": "uniform",
                    "dropout": 0.0,
                },
            },
            {
                "class_name": "LSTM",
                "config": {
                    "name": "l",
                    "output_dim": 3,
                    "inner_init": "orthogonal",
                    "inner_activation": "hard_sigmoid",
                    "return_sequences": True,
                    "consume_less": "cpu",
                    "forget_bias_init": "one",
                },
            },
            {"class_name": "GRU", "config": {"name": "g", "output_dim": 2, "inner_activation": "hard_sigmoid"}},
        ],
    }
    x = keras.Input((5,), dtype="int32")
    y = L.LSTM(3, recurrent_activation=old_hard_sigmoid, return_sequences=True, name="l")(
        L.Embedding(7, 4, name="e")(x)
    )
    y = L.GRU(2, recurrent_activation=old_hard_sigmoid, reset_after=False, name="g")(y)
    model = twin(x, y, e=[table], l=joined(lstm, "ifco"), g=joined(gru, "zrh"))
    weights = old_weights({"e": {"e_W": table}, "l": apart(lstm, "l"), "g": apart(gru, "g")})
    agrees(whole(config, weights, None), model, np.random.default_rng(0).integers(0, 7, (3, 5)).astype("int32"))


def cudnn(kernel, gates):
    """A kernel as CuDNN keeps it: each gate's transposed, and read in its own order."""
    return np.hstack([part.reshape(part.T.shape, order="F").T for part in np.hsplit(kernel, gates)])


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3)])
def test_cudnn(kind, gates):  # oracle: a twin in Keras 3
    kernel, recurrent, bias = normal(4, 3 * gates), normal(3, 3 * gates, seed=1), normal(2, 3 * gates, seed=2)
    stored = {
        "kernel": cudnn(kernel, gates),
        "recurrent_kernel": np.hstack([part.T for part in np.hsplit(recurrent, gates)]),
        "bias": bias.reshape(-1),
    }
    config = functional(
        [
            entry("x", 5, 4),
            layer(f"CuDNN{kind}", "r", [("x", 0, 0, {})], units=3, return_sequences=False, stateful=False),
        ],
        ["x"],
        ["r"],
    )
    x = keras.Input((5, 4))
    options = {} if kind == "LSTM" else {"reset_after": True}
    model = twin(
        x, getattr(L, kind)(3, name="r", **options)(x), r=[kernel, recurrent, bias.sum(0) if kind == "LSTM" else bias]
    )
    agrees(whole(config, old_weights({"r": stored})), model, normal(2, 5, 4))


def test_tf_keras_nested_and_operators():  # oracle: a twin in Keras 3
    inner = functional(
        [entry("p", 4), layer("Dense", "d", [("p", 0, 0, {})], units=3, dtype="float32")], ["p"], ["d"], "Functional"
    )
    tower = {
        "class_name": "Sequential",
        "config": {
            "name": "tower",
            "layers": [entry("t", 3), {"class_name": "Dense", "config": {"name": "f", "units": 3}}],
        },
    }
    for item in tower["config"]["layers"]:
        item.pop("inbound_nodes", None)
    slices = {"slice_spec": [{"start": None, "stop": None, "step": None}, {"start": 1, "stop": None, "step": None}]}
    config = functional(
        [
            entry("a", 4, dtype="float32"),
            entry("b", 4, dtype="float32"),
            {**inner, "name": "inner", "inbound_nodes": [[["a", 0, 0, {}]], [["b", 0, 0, {}]]]},
            {**tower, "name": "tower", "inbound_nodes": [[["inner", 2, 0, {}]]]},
            layer(
                "TFOpLambda",
                "add",
                [("inner", 1, 0, {"y": ["tower", 1, 0], "name": None})],
                function="__operators__.add",
                dtype="float32",
            ),
            layer(
                "TFOpLambda",
                "mul",
                [("add", 0, 0, {"y": 2.0, "name": None})],
                function="math.multiply",
                dtype="float32",
            ),
            layer("SlicingOpLambda", "cut", [("mul", 0, 0, slices)], function="__operators__.getitem", dtype="float32"),
            layer(
                "TFOpLambda",
                "top",
                [("cut", 0, 0, {"axis": -1, "keepdims": True})],
                function="math.reduce_max",
                dtype="float32",
            ),
        ],
        ["a", "b"],
        ["top"],
        "Functional",
    )
    config["config"]["layers"][2]["config"]["name"] = "inner"
    weights = old_weights(
        {
            "inner": {"d/kernel:0": normal(4, 3), "d/bias:0": normal(3)},
            "tower": {"f/kernel:0": normal(3, 3, seed=1), "f/bias:0": normal(3, seed=1)},
        }
    )
    a, b = keras.Input((4,)), keras.Input((4,))
    d, f = L.Dense(3, name="d"), L.Dense(3, name="f")
    top = keras.ops.max(((d(a) + f(d(b))) * 2.0)[:, 1:], axis=-1, keepdims=True)
    model = twin([a, b], top, d=[normal(4, 3), normal(3)], f=[normal(3, 3, seed=1), normal(3, seed=1)])
    agrees(whole(config, weights), model, normal(2, 4), normal(2, 4, seed=5))


def test_keras_1_towers_in_a_sequential():  # oracle: a twin in Keras 3
    def tower(name):
        dense = {
            "class_name": "Dense",
            "config": {"name": name, "output_dim": 3, "batch_input_shape": [None, 4], "activation": "tanh"},
        }
        return {"class_name": "Sequential", "config": [dense]}

    merge = {
        "class_name": "Merge",
        "config": {"name": "join", "layers": [tower("l"), tower("r")], "mode": "mul", "concat_axis": -1},
    }
    config = {
        "class_name": "Sequential",
        "config": [merge, {"class_name": "Dense", "config": {"name": "end", "output_dim": 2}}],
    }
    arrays = {"l_W": normal(4, 3), "l_b": normal(3), "r_W": normal(4, 3, seed=1), "r_b": normal(3, seed=1)}
    a, b = keras.Input((4,)), keras.Input((4,))
    y = L.multiply([L.Dense(3, activation="tanh", name="l")(a), L.Dense(3, activation="tanh", name="r")(b)])
    ends = [normal(3, 2), normal(2)]
    listed = list(arrays.values())
    model = twin([a, b], L.Dense(2, name="end")(y), l=listed[:2], r=listed[2:], end=ends)
    weights = old_weights({"join": arrays, "end": {"end_W": ends[0], "end_b": ends[1]}})
    agrees(whole(config, weights, None), model, normal(2, 4), normal(2, 4, seed=5))


def test_weights_by_order_and_by_name():  # oracle: the arrays written
    first = {"class_name": "Dense", "config": {"name": "a", "units": 3, "batch_input_shape": [None, 4]}}
    config = {
        "class_name": "Sequential",
        "config": [first, {"class_name": "Dense", "config": {"name": "b", "units": 3}}],
    }
    one, two = {"kernel": normal(4, 3), "bias": normal(3)}, {"kernel": normal(3, 3), "bias": normal(3, seed=1)}
    for layers in ({"a": one, "b": two}, {"b": two, "a": one}, {"x": one, "y": two}):
        _, variables = from_keras(whole(config, old_weights(layers)))
        np.testing.assert_array_equal(variables["params"]["b"]["kernel"], two["kernel"])
    with pytest.raises(GraphError, match="do not fit the graph"):
        from_keras(whole(config, old_weights({"y": two, "x": one})))


def test_highway_and_maxout():  # oracle: NumPy
    """Keras 1's: a Dense that lets its input through, and the largest of several."""
    w, carry, b, c = normal(4, 4), normal(4, 4, seed=1), normal(4, seed=2), normal(4, seed=3)
    kernel, bias = normal(3, 4, 5, seed=4), normal(3, 5, seed=5)
    config = functional(
        [
            entry("x", 4),
            layer(
                "Highway", "high", [("x", 0, 0)], activation="tanh", init="glorot_uniform", bias=True, input_dim=None
            ),
            layer("MaxoutDense", "most", [("high", 0, 0)], output_dim=5, nb_feature=3, bias=True, input_dim=None),
        ],
        ["x"],
        ["most"],
    )
    weights = {
        "high": {"high_W": w, "high_W_carry": carry, "high_b": b, "high_b_carry": c},
        "most": {"most_W": kernel, "most_b": bias},
    }
    graph, variables = from_keras(whole(config, old_weights(weights), None))
    x = normal(3, 4, seed=6)
    share = 1 / (1 + np.exp(-(x @ carry + c)))
    y = share * np.tanh(x @ w + b) + (1 - share) * x
    assert_close(graph.apply(variables, x), np.max(np.einsum("bi,fio->bfo", y, kernel) + bias, axis=1), 1e-5)


def test_locally_connected():  # oracle: NumPy, window by window
    row, line = normal(4, 2 * 3, 5), normal(4, 5, seed=1)
    square, plane = normal(2 * 3, 3 * 2 * 1, 4, seed=2), normal(2, 3, 4, seed=3)
    sides = {"filters": 4, "kernel_size": [3, 2], "strides": [2, 1], "implementation": 1, "activation": "relu"}
    config = functional(
        [
            entry("x", 8, 3),
            entry("y", 5, 4, 1),
            layer(
                "LocallyConnected1D", "row", [("x", 0, 0)], nb_filter=5, filter_length=2, subsample_length=2, bias=True
            ),
            layer("LocallyConnected2D", "square", [("y", 0, 0)], **sides),
        ],
        ["x", "y"],
        ["row", "square"],
    )
    weights = {"row": {"kernel": row, "bias": line}, "square": {"kernel": square, "bias": plane}}
    graph, variables = from_keras(whole(config, old_weights(weights)))
    x, y = normal(2, 8, 3, seed=4), normal(2, 5, 4, 1, seed=5)
    one, two = graph.apply(variables, [x, y])
    expected = np.stack([x[:, 2 * t : 2 * t + 2].reshape(2, -1) @ row[t] + line[t] for t in range(4)], axis=1)
    assert_close(one, expected, 1e-5)
    windows = [[y[:, 2 * r : 2 * r + 3, c : c + 2].reshape(2, -1) for c in range(3)] for r in range(2)]
    expected = [[windows[r][c] @ square[3 * r + c] + plane[r, c] for c in range(3)] for r in range(2)]
    assert_close(two, np.maximum(np.array(expected).transpose(2, 0, 1, 3), 0), 1e-5)
