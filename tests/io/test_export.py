"""Programs that leave jaxgraphs: the same numbers, open sizes, only JAX needed, strangers refused."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs import Graph, Input, layers
from jaxgraphs.errors import GraphError, GraphTypeError, GraphValueError
from jaxgraphs.io.export import Program, load_exported
from tests.oracle import assert_close

pytest.importorskip("flatbuffers")
KEY = jax.random.key(0)


def made(inputs, outputs):
    graph = Graph(inputs, outputs)
    return graph, graph.init(KEY)


def text_and_image():
    """Two inputs with open sizes, state, masks, a dict of outputs."""
    image, text = Input((None, None, 3), name="image"), Input((None,), dtype="int32", name="text")
    seen = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", strides=2)(image))
    read = layers.Bidirectional(layers.LSTM(3))(layers.Embedding(20, 4, mask_zero=True)(text))
    joined = layers.concatenate([layers.GlobalAveragePooling2D()(seen), layers.Dropout(0.5)(read)])
    return made([image, text], {"kind": layers.Dense(3, activation="softmax")(joined), "joined": joined})


def numbers(batch, height, length):
    random = np.random.default_rng(batch)
    words = random.integers(1, 20, (batch, length)).astype(np.int32)
    words[:, length // 2 :] = 0
    return [random.normal(size=(batch, height, 9, 3)).astype(np.float32), words]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    graph, variables = text_and_image()
    path = tmp_path_factory.mktemp("programs") / "model.stablehlo"
    return graph, variables, path, graph.export(variables, path)


def test_same_numbers_at_any_size(exported):  # oracle: the graph
    graph, variables, path, program = exported
    again = jg.load_exported(path)
    assert program.platforms == again.platforms == ("cpu", "cuda", "tpu")
    for sizes in ((2, 7, 5), (3, 10, 8)):
        values = numbers(*sizes)
        expected = graph.apply(variables, values)
        for outputs in (program(values), again(values)):
            assert sorted(outputs) == ["joined", "kind"]
            assert_close(outputs["kind"], expected["kind"], 1e-5)
            assert_close(outputs["joined"], expected["joined"], 1e-5)
    assert [str(size) for size in again.inputs[0].shape] == ["batch", "image_1", "image_2", "3"]
    assert again.inputs[1].dtype == np.int32


def test_a_process_with_jax_alone(exported, tmp_path):  # oracle: the graph's outputs, and the list of modules
    graph, variables, path, _ = exported
    values = numbers(2, 7, 5)
    np.savez(tmp_path / "values.npz", *values, expected=graph.apply(variables, values)["kind"])
    code = f"""
import sys
import jax, numpy as np
values = np.load({str(tmp_path / "values.npz")!r})
with open({str(path)!r}, "rb") as file:
    program = jax.export.deserialize(bytearray(file.read()))
outputs = program.call([values["arr_0"], values["arr_1"]])
np.testing.assert_allclose(outputs["kind"], values["expected"], rtol=1e-5, atol=1e-6)
assert not [name for name in sys.modules if name.split(".")[0] in ("jaxgraphs", "flax", "keras")]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


def test_sizes_of_an_example():  # oracle: the shapes given
    graph, variables = text_and_image()
    program = graph.export(variables, inputs=numbers(2, 7, 5), platforms=["cpu"])
    assert [leaf.shape for leaf in program.inputs] == [(2, 7, 9, 3), (2, 5)]
    with pytest.raises(GraphValueError, match="does not run on these inputs"):
        program(numbers(3, 7, 5))


def test_open_sizes_that_meet():  # oracle: the closed form
    a, b = Input((None, 2), name="a"), Input((None, 2), name="b")
    program = Graph([a, b], layers.Add()([a, b])).export({"params": {}}, platforms=["cpu"])
    ones = np.ones((1, 4, 2), np.float32)
    np.testing.assert_array_equal(program([ones, ones]), 2.0 * ones)


def test_what_cannot_be_exported(exported, tmp_path):  # oracle: the messages
    graph, variables, _, program = exported
    with pytest.raises(GraphTypeError, match="platforms"):
        graph.export(variables, platforms=["abacus"])
    with pytest.raises(GraphError):
        graph.export({"params": {}})
    with pytest.raises(GraphError, match="not arranged"):
        program({"image": 1.0})
    x = Input((4,), name="x")
    odd = Graph(x, jg.layer(lambda x: x.reshape(-1, 2, 2)[:: x.shape[0] // 2])(x))
    with pytest.raises(GraphValueError, match=r"inputs=example") as caught:
        odd.export({"params": {}}, tmp_path / "odd.stablehlo")
    assert "cannot be exported" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_none(exported, tmp_path):  # oracle: an error of ours
    data = exported[2].read_bytes()
    random = np.random.default_rng(0)
    for index, spoilt in enumerate([b"", b"PK\x03\x04", data[: len(data) // 2], random.bytes(4000)]):
        path = tmp_path / str(index)
        path.write_bytes(spoilt)
        with pytest.raises(GraphValueError, match=r"not a file that graph\.export wrote"):
            load_exported(path)
    with pytest.raises(GraphValueError, match="cannot be read"):
        load_exported(tmp_path / "nothing")


def test_calls_of_other_code_are_refused(tmp_path):  # oracle: the message, and that nothing ran
    def call(x):
        shape = jax.ShapeDtypeStruct((2,), jnp.float32)
        return jax.ffi.ffi_call("strange_kernel", shape)(x)

    checks = [jax.export.DisabledSafetyCheck.custom_call("strange_kernel")]
    program = Program(jax.export.export(jax.jit(call), disabled_checks=checks)(jax.ShapeDtypeStruct((2,), jnp.float32)))
    (tmp_path / "strange").write_bytes(program.to_bytes())
    with pytest.raises(GraphValueError, match="calls for code that is not its own") as caught:
        load_exported(tmp_path / "strange")
    assert "strange_kernel" in str(caught.value)


def onnx_cases():
    x, words = Input((8, 8, 3), name="x"), Input((6,), dtype="int32", name="words")
    y = layers.MaxPooling2D(3, 2, padding="same")(layers.Conv2D(4, 3, padding="same", activation="relu")(x))
    y = layers.BatchNormalization()(layers.AveragePooling2D(2)(layers.SeparableConv2D(4, 2)(y)))
    yield "pictures", x, layers.Dense(3, activation="softmax")(layers.Flatten()(y))
    read = layers.Embedding(9, 4, mask_zero=True)(words)
    yield (
        "words",
        words,
        layers.Dense(2)(layers.Bidirectional(layers.LSTM(3))(layers.GRU(3, return_sequences=True)(read))),
    )
    a, b = Input((4,), name="a"), Input((3,), name="b")
    yield "two", [a, b], [layers.Dense(2, name="end")(layers.concatenate([a, b])), a * 2.0 - 1.0]


@pytest.mark.parametrize("name", ["pictures", "words", "two"])
def test_onnx(name, tmp_path):  # oracle: onnxruntime against the graph
    pytest.importorskip("jax2onnx")
    runtime = pytest.importorskip("onnxruntime")
    inputs, outputs = next(case[1:] for case in onnx_cases() if case[0] == name)
    graph, variables = made(inputs, outputs)
    path = graph.export(variables, tmp_path / "model.onnx")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    for batch in (1, 5):
        values = [random.integers(0, 3, (batch, *tensor.shape[1:])).astype(tensor.dtype) for tensor in graph.inputs]
        found = session.run(None, dict(zip(graph.input_names, values, strict=True)))
        for one, other in zip(found, jax.tree.leaves(graph.apply(variables, values)), strict=True):
            assert_close(one, other, 1e-5)


def test_onnx_without_the_package(exported, tmp_path, monkeypatch):  # oracle: the message
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(GraphError, match=r"jaxgraphs\[onnx\]"):
        exported[0].export(exported[1], tmp_path / "model.onnx")
