"""Models that begin with texts: what Keras saves of them, read; and their texts, read on the host."""

import io
import json

import h5py
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs.errors import GraphError
from jaxgraphs.io.keras.read import from_keras
from tests.io.keras.files import archive, called, dense, entry, functional, tensor

PAIR = [["x", 0, 0], ["n", 0, 0]]
TABLE = np.arange(15, dtype="float32").reshape(5, 3)


def model(reader, *more, shape=(None, 1), dtype="string"):
    """Texts through a reader and an Embedding."""
    table = {"class_name": "Embedding", "config": {"name": "table", "input_dim": 5, "output_dim": 3}}
    layers = [entry("x", shape, dtype), called(reader, [tensor("x")]), called(table, [tensor("reader")]), *more]
    return functional(layers, "table")


def lookup(kind="StringLookup", **config):
    return {"class_name": kind, "config": {"name": "reader", "dtype": "float32", **config}}


def weights():
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["layers/embedding/vars/0"] = TABLE
    return stream.getvalue()


def test_inline_vocabulary(tmp_path):  # oracle: the rows of the table
    graph, variables = from_keras(archive(model(lookup(vocabulary=["cat", "dog"])), weights()))
    assert graph.inputs[0].dtype == np.int32
    ids = graph["reader"].read([["dog"], ["bird"]])
    np.testing.assert_array_equal(graph.apply(variables, ids), TABLE[[2, 0]][:, None])
    jg.save(tmp_path / "model.safetensors", graph, variables)
    again, same = jg.load(tmp_path / "model.safetensors")
    inputs = jg.read_inputs(again, [["dog"], ["bird"]])
    np.testing.assert_array_equal(again.apply(same, inputs), TABLE[[2, 0]][:, None])


def test_vocabulary_in_the_archive():  # oracle: the rows of the table
    config = model(lookup("TextVectorization", output_sequence_length=3))
    words = {"assets/layers/text_vectorization/vocabulary.txt": "\n[UNK]\ncat\ndog\nß".encode()}
    graph, variables = from_keras(archive(config, weights(), **words))
    inputs = jg.read_inputs(graph, {"x": ["Dog! ß ", "a"]})
    np.testing.assert_array_equal(graph.apply(variables, inputs), TABLE[[[3, 4, 0], [1, 0, 0]]])


def test_nested_and_sequential():  # oracle: the rows of the table
    inner = {
        "class_name": "Sequential",
        "config": {"name": "reader", "layers": [entry("t", (None, 1), "string"), lookup("Hashing", num_bins=5)]},
    }
    graph, variables = from_keras(archive(model(inner), weights()))
    inputs = jg.read_inputs(graph, np.array([["A"], ["B"]]))
    assert inputs[0].tolist() == [[jg.layers.Hashing(5).read([text])[0]] for text in "AB"]
    np.testing.assert_array_equal(graph.apply(variables, inputs), TABLE[inputs[0]])


def reader(name, kind, **config):
    return {"class_name": kind, "config": {"name": name, **config}}


def test_one_text_for_two_readers():  # oracle: each layer's own reading
    words = reader("words", "TextVectorization", vocabulary=["cat", "dog"], output_sequence_length=3)
    whole = reader("whole", "StringLookup", vocabulary=["a cat"])
    join = {"class_name": "Concatenate", "config": {"name": "table", "axis": -1}}
    layers = [
        *(entry("x", (None, 1), "string"), entry("n", (None, 2), "int32")),
        *(called(words, [tensor("x")]), called(whole, [tensor("x")])),
        called(join, [[tensor("words"), tensor("n"), tensor("whole")]]),
    ]
    graph, variables = from_keras(json.dumps(functional(layers, "table", input_layers=PAIR)))
    assert graph.input_names == ("x:words", "x:whole", "n")
    texts, numbers = [["a cat"], ["dog"]], np.array([[7, 8], [9, 10]], np.int32)
    expected = [[1, 2, 0, 7, 8, 1], [3, 0, 0, 9, 10, 0]]
    for given in ({"x": texts, "n": numbers}, [texts, numbers]):
        assert graph.apply(variables, jg.read_inputs(graph, given)).tolist() == expected
    nested = {"class_name": "Functional", "config": functional(layers, "table", input_layers=PAIR)["config"]}
    nested["config"]["name"] = "inner"
    again = [layers[0], layers[1], called(nested, [[tensor("x"), tensor("n")]])]
    outer, _ = from_keras(json.dumps(functional(again, "inner", input_layers=PAIR)))
    assert outer.apply({}, jg.read_inputs(outer, {"x": texts, "n": numbers})).tolist() == expected


def test_a_crossing_of_two_inputs():  # oracle: Keras' documentation of HashedCrossing
    cross = reader("cross", "HashedCrossing", num_bins=5, output_mode="one_hot")
    layers = [
        *(entry("a", (None, 1), "string"), entry("b", (None, 1), "int32")),
        called(cross, [[tensor("a"), tensor("b")]]),
        called(
            {"class_name": "Concatenate", "config": {"name": "table", "axis": -1}}, [[tensor("cross"), tensor("b")]]
        ),
    ]
    graph, _ = from_keras(json.dumps(functional(layers, "table", input_layers=[["a", 0, 0], ["b", 0, 0]])))
    assert graph.input_names == ("a+b:cross", "b")
    values = {"a": [[text] for text in "ABABA"], "b": np.array([[101], [101], [101], [102], [102]])}
    row = graph.apply({}, jg.read_inputs(graph, values))
    assert np.argmax(row[:, :5], -1).tolist() == [1, 4, 1, 1, 3]
    np.testing.assert_array_equal(row[:, 5:], values["b"])


def test_one_input_read_in_two_ways():  # oracle: the message
    x = jg.Input((1,), dtype="int32", name="x")
    graph = jg.Graph(x, [jg.layers.Hashing(3, name="a")(x), jg.layers.Hashing(5, name="b")(x)])
    with pytest.raises(GraphError, match=r"fix: +Input\(..., name='x:a'\) and Input\(..., name='x:b'\)"):
        jg.read_inputs(graph, ["text"])


def test_numbers_are_looked_up_in_the_graph():  # oracle: the rows of the table
    config = model(lookup("IntegerLookup", vocabulary=[10, 20]), dtype="int64")
    graph, variables = from_keras(archive(config, weights()))
    np.testing.assert_array_equal(graph.apply(variables, np.array([[20], [7]])), TABLE[[2, 0]][:, None])


def test_a_function_of_texts():  # oracle: the function
    config = model(
        lookup("TextVectorization", vocabulary=["cat"], standardize={"class_name": "function", "config": "s"})
    )
    with pytest.raises(GraphError, match=r"custom_objects=\{'s': lambda text"):
        from_keras(archive(config, weights()))
    graph, _ = from_keras(archive(config, weights()), {"s": lambda text: text[::-1]})
    assert graph["reader"].read(["tac"]).tolist() == [[2]]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (model(lookup(vocabulary="/etc/passwd")), "at a path or an address, which is never opened"),
        (model(lookup()), "no vocabulary inline"),
        (model(lookup(vocabulary=[{"class_name": "x", "config": {}}])), "not data"),
        (model(lookup("Hashing", num_bins=5), dtype="int32"), "reads on the host"),
        (model(dense("reader", 3)), "texts or ragged rows"),
        (model(lookup("HashedCrossing", num_bins=5)), "texts or ragged rows"),
        (
            functional(
                [
                    entry("x", (None, 1), "string"),
                    called(lookup("Hashing", num_bins=3), [tensor("x")]),
                    called(dense("end", 3), [tensor("x")]),
                    called({"class_name": "Add", "config": {"name": "table"}}, [[tensor("reader"), tensor("end")]]),
                ],
                "table",
            ),
            "by what cannot read them",
        ),
    ],
)
def test_refused(config, words):  # oracle: the message
    with pytest.raises(GraphError, match=words):
        from_keras(json.dumps(config))
