"""A graph as JSON and back: the same names, arrays and bits; and texts that are no graph."""

import contextlib
import copy
import functools
import importlib
import inspect
import json
import pickle
import pkgutil
import sys
from textwrap import dedent

import flax.linen as nn
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies

import jaxgraphs.layers
from jaxgraphs import layers
from jaxgraphs.errors import GraphError, GraphKeyError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.sequential import Sequential
from jaxgraphs.io.json import fields_of, is_custom
from jaxgraphs.io.tables import FUNCTIONS, LAYERS
from jaxgraphs.layers.base import Layer, describes
from jaxgraphs.layers.cells import Cell
from jaxgraphs.layers.wrap import layer
from jaxgraphs.symbolic.node import Input, record

KEY = jax.random.key(0)


def text_graph():
    """Everything at once: two inputs, masks, shared and nested layers, constants, slices, structures."""
    text, image = Input((None,), dtype="int32", name="text"), Input((4,))
    embedded = layers.Embedding(7, 4, mask_zero=True, name="table/rows")(text)
    lstm = layers.Bidirectional(layers.LSTM(3, dropout=0.1, kernel_regularizer="l2", recurrent_constraint="max_norm"))
    inner_input = Input((6,), name="inner_in")
    dense = layers.Dense(4, activation="gelu", bias_initializer=0.5)
    inner = Graph(inner_input, [dense(inner_input), inner_input[:, ::2] * np.float32(2)], name="inner")
    first, rest = inner(lstm(embedded))
    second, _ = inner(lstm(layers.Embedding(7, 4)(text)), training=False)
    merged = layers.concatenate([first, second, image, jnp.ones((1, 4)) + image])
    head = layer(functools.partial(jnp.clip, min=-1.0, max=float("inf")))(layers.Dense(5, trainable=False)(merged))
    outputs = {"a": [head, (rest, 1.0 / (2.0 + image**2))], "b": layers.BatchNormalization()(first)[..., None]}
    return Graph({"x": image, "t": text}, outputs, name="whole")


def equal_inputs():
    x = Input((None, 3), name="x")
    shorter = layer(jnp.tanh)(x)[:, 1:]
    return Graph(shorter, shorter + 1.0)


def several_calls():
    x = Input((2,), batch_size=3)
    shared = layers.Dense(2)
    return Graph([x], shared(shared(shared(x))))


def inner_edges():
    x = Input((8,), name="x")
    pair = layer(jnp.sort, name="pair")(x) * 2.0
    return Graph([x, pair], [pair + x, pair])


def half_precision():
    x = Input((3,), dtype="bfloat16")
    return Graph(x, layers.Dense(2, dtype="bfloat16")(x) + jnp.full((1, 2), 0.1, jnp.bfloat16))


GRAPHS = {
    "all at once": text_graph,
    "symbols": equal_inputs,
    "shared": several_calls,
    "inner edges": inner_edges,
    "half": half_precision,
    "sequential": lambda: Sequential([Input((4,), name="in"), layers.Dense(3), layers.Dense(3)], name="chain"),
    "sequential in sequential": lambda: Sequential([Input((4,)), Sequential([layers.Dense(3), layers.Dense(2)])]),
    "sequential without an input": lambda: Sequential([layers.Dense(3), layers.Dense(3, name="last")]),
}
SIZED = [name for name in GRAPHS if name != "sequential without an input"]


def data_for(graph):
    random = np.random.default_rng(0)
    shapes = [tuple(3 if size is None else size for size in tensor.shape) for tensor in graph.inputs]
    return [
        random.integers(0, 7, shape).astype(np.int32)
        if tensor.dtype == np.int32
        else random.normal(size=shape).astype(np.float32)
        for tensor, shape in zip(graph.inputs, shapes, strict=True)
    ]


@pytest.mark.parametrize("name", SIZED)
def test_there_and_back(name):  # oracle: the graph itself, bit for bit
    graph = GRAPHS[name]()
    again = Graph.from_json(graph.to_json())
    assert type(again) is type(graph)
    assert again.name == graph.name
    assert again.input_names == graph.input_names
    assert again.output_names == graph.output_names
    variables = graph.init(KEY)
    jax.tree.map(np.testing.assert_array_equal, again.init(KEY), variables)
    values = data_for(graph)
    jax.tree.map(np.testing.assert_array_equal, again.apply(variables, values), graph.apply(variables, values))
    assert [layer.kind for layer in again.layers] == [layer.kind for layer in graph.layers]


@pytest.mark.parametrize("name", GRAPHS)
def test_the_text_says_all(name):  # oracle: the text of what was read
    graph = GRAPHS[name]()
    text = graph.to_json()
    assert Graph.from_json(text).to_json() == text
    assert GRAPHS[name]().to_json() == text, "the same code gives the same text"
    assert pickle.loads(pickle.dumps(graph)).to_json() == text


def test_shared_things_stay_shared():  # oracle: the number of layers and of params
    graph = text_graph()
    again = Graph.from_json(graph.to_json().encode())
    assert again.count_params() == graph.count_params()
    assert len(again.layers) == len(graph.layers)
    assert len(again.calls(again["inner"])) == 2


def test_layers_keep_their_arguments():  # oracle: the arguments given
    again = Graph.from_json(text_graph().to_json())
    lstm = again["bidirectional"].layer
    assert (lstm.units, lstm.dropout, lstm.kernel_regularizer.l2, lstm.recurrent_constraint.max_value) == (
        3,
        0.1,
        0.01,
        2.0,
    )
    assert again["inner"]["dense"].activation is layers.activations.ACTIVATIONS["gelu"]
    assert [layer.trainable for layer in again.layers if layer.kind == "Dense"] == [False]


def catalogue():
    """Each public layer class that the package's modules define, but for the bases that users derive their own from."""
    for module in pkgutil.iter_modules(jaxgraphs.layers.__path__, "jaxgraphs.layers."):
        for name, value in vars(importlib.import_module(module.name)).items():
            is_own = inspect.isclass(value) and issubclass(value, Layer) and value.__module__ == module.name
            if is_own and name in layers.__all__ and value not in (Layer, Cell):
                yield value


def test_the_table_has_every_layer():  # oracle: the classes that the package defines and offers
    assert {cls.__name__: cls for cls in catalogue()} == dict(LAYERS)


def is_lambda(layer):
    """Whether a layer computes a function of the user's, which a file cannot hold."""
    return any(is_custom(value) for value in fields_of(layer).values())


CASES = [
    case
    for path in sorted((importlib.resources.files("tests.layers")).iterdir())
    if path.name.startswith("cases_")
    for case in importlib.import_module(f"tests.layers.{path.name.removesuffix('.py')}").CASES
]


@pytest.mark.parametrize("case", [case for case in CASES if not is_lambda(case.ours())], ids=str)
def test_every_layer(case):  # oracle: the text of the first
    inputs = [Input(batch_shape=shape, dtype=case.dtype) for shape in case.inputs]
    graph = Graph(inputs, record(case.ours(), case.args(inputs[0] if len(inputs) == 1 else inputs), case.call))
    text = graph.to_json()
    assert '"custom"' not in text
    again = Graph.from_json(text)
    assert again.to_json() == text
    assert [tensor.spec for tensor in again.flat_outputs] == [tensor.spec for tensor in graph.flat_outputs]
    assert again.variable_specs() == graph.variable_specs()


def test_a_function_in_the_table_has_one_meaning():  # oracle: the function of that name in JAX
    if "jax2onnx" in sys.modules:
        pytest.skip("jax2onnx puts functions of its own into JAX")
    for name, function in FUNCTIONS.items():
        module, _, short = name.partition(".")
        home = {"jnp": jnp, "nn": jax.nn, "lax": jax.lax}.get(module)
        assert home is None or getattr(home, short) is function


def thrice(x):
    return x * 3.0


@describes
class Scale(Layer):
    """A layer of a user's own."""

    factor: float = 1.0

    def call(self, weights, x, *, context):
        return x * self.factor


def with_customs():
    x = Input((4,), name="x")
    y = layer(nn.Dense(3), name="module")(
        layer(thrice)(layer(lambda a: a + 1.0)(layer(lambda a: a + 2.0, name="two")(x)))
    )
    return Graph(x, layers.Dense(2, activation=thrice, name="dense")(Scale(2.0)(y)))


def test_what_a_file_cannot_hold_is_asked_for():  # oracle: the message, word for word
    with pytest.raises(GraphKeyError) as caught:
        Graph.from_json(with_customs().to_json())
    assert str(caught.value) == dedent("""\
        The graph uses 5 things that a file cannot hold.
          received: 'lambda': a function of the layer 'two'
                    'lambda_1': a function of the layer 'lambda'
                    'thrice': a function of the layer 'thrice', a function of the layer 'dense'
                    'Dense': the module of the layer 'module'
                    'Scale': the class of the layer 'Scale'
          expected: functions, Flax modules or layer classes of these names
          fix:      custom_objects={'lambda': ..., 'lambda_1': ..., 'thrice': ..., 'Dense': ..., 'Scale': ...}""")


def test_what_was_asked_for_is_used():  # oracle: the graph itself
    graph = with_customs()
    customs = {
        "lambda": lambda a: a + 2.0,
        "lambda_1": lambda a: a + 1.0,
        "thrice": thrice,
        "Dense": nn.Dense(3),
        "Scale": Scale,
    }
    again = Graph.from_json(graph.to_json(), customs)
    variables, values = graph.init(KEY), np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(again.apply(variables, values), graph.apply(variables, values))
    assert again["scale"].factor == 2.0


def changed(change):
    document = json.loads(several_calls().to_json())
    change(document["layers"])
    return json.dumps(document)


def nested_doubling(depth=60):
    """Short to write, endless to walk: each graph calls the one before it twice."""
    document = json.loads(Graph(x := Input((2,)), x * 1.0).to_json())
    (graph,) = [entry for entry in document["layers"] if "graph" in entry]
    for _ in range(depth):
        place = len(document["layers"]) - 1
        outer = copy.deepcopy(graph)
        (call,) = [node for node in outer["graph"]["nodes"] if "layer" in node]
        call.update({"layer": place, "args": [{"$": "tensor", "at": [0, 0]}]})
        outer["graph"]["nodes"].append({**call, "args": [{"$": "tensor", "at": [1, 0]}]})
        outer["graph"].update({"names": [[place, "inner"]], "outputs": {"$": "tensor", "at": [2, 0]}})
        document["layers"].append(outer)
    return json.dumps(document)


def wrapped_doubling(depth=60):
    """The same by layers around graphs."""
    entries = [{"function": {"$": "function", "name": "add"}, "name": "add", "default_name": "add"}]
    for _ in range(depth):
        held = {"$": "layer", "at": len(entries) - 1}
        entries += [{"class": "TimeDistributed", "config": {"layer": held, "name": name}} for name in "ab"]
        chain = [len(entries) - 2, len(entries) - 1]
        entries.append({"graph": {"class": "Sequential", "name": None, "names": [], "chain": chain}})
    return json.dumps({"format": "jaxgraphs", "version": 1, "layers": entries})


GRAPH = -1
HOSTILE = {
    "not JSON": lambda: "{",
    "bytes": lambda: b"\xff\xfe\x00",
    "another thing": lambda: "[1, 2]",
    "deep": lambda: "[" * 10**6,
    "deep within": lambda: changed(
        lambda e: e[0]["config"].update(units=functools.reduce(lambda v, _: [v], range(500), 1))
    ),
    "NaN": lambda: '{"format": NaN}',
    "a long number": lambda: '{"format": ' + "9" * 10**5 + "}",
    "no layers": lambda: '{"format": "jaxgraphs", "version": 1}',
    "no graph": lambda: changed(lambda e: e.pop()),
    "strange entries": lambda: changed(lambda e: e.insert(0, None)),
    "a reference to itself": lambda: changed(lambda e: e[GRAPH]["graph"]["nodes"][1].update(layer=1)),
    "a reference forward": lambda: changed(lambda e: e[0]["config"].update(activation={"$": "layer", "at": 1})),
    "a tensor that is not there yet": lambda: changed(
        lambda e: e[GRAPH]["graph"]["nodes"][1].update(args=[{"$": "tensor", "at": [3, 0]}])
    ),
    "an output that is not there": lambda: changed(
        lambda e: e[GRAPH]["graph"].update(outputs={"$": "tensor", "at": [99, 0]})
    ),
    "a negative reference": lambda: changed(lambda e: e[GRAPH]["graph"].update(outputs={"$": "tensor", "at": [-1, 0]})),
    "an endless walk": nested_doubling,
    "an endless walk through wrappers": wrapped_doubling,
    "a place that is none": lambda: changed(lambda e: e[GRAPH]["graph"].update(places=[[["dense"], []]])),
    "places that are none": lambda: changed(lambda e: e[GRAPH]["graph"].update(places=[["dense", 1]])),
    "a size without end": lambda: changed(lambda e: e[0]["config"].update(units=10**12)),
    "an input without end": lambda: changed(lambda e: e[GRAPH]["graph"]["nodes"][0].update(shape=[1, 10**18])),
    "an unknown class": lambda: changed(lambda e: e[0].update({"class": "os.system"})),
    "a module path": lambda: changed(
        lambda e: e[0]["config"].update(activation={"$": "function", "name": "os.system"})
    ),
    "code": lambda: changed(lambda e: e[0]["config"].update(activation={"$": "lambda", "code": "YQ=="})),
    "an unknown argument": lambda: changed(lambda e: e[0]["config"].update(shell="true")),
    "a wrong argument": lambda: changed(lambda e: e[0]["config"].update(units=[[]])),
    "an unknown object": lambda: changed(
        lambda e: e[0]["config"].update(units={"$": "part", "name": "Popen", "config": 1})
    ),
    "an array that lies": lambda: changed(
        lambda e: e[0]["config"].update(units={"$": "array", "dtype": "int32", "shape": [10**9, 10**9], "values": []})
    ),
    "a dtype of objects": lambda: changed(lambda e: e[GRAPH]["graph"]["nodes"][0].update(dtype="object")),
    "a name of two lines": lambda: changed(lambda e: e[0]["config"].update(name="a\nb")),
    "a name that is none": lambda: changed(lambda e: e[GRAPH]["graph"]["names"][0].__setitem__(1, {})),
    "two layers of one name": lambda: changed(lambda e: e[GRAPH]["graph"]["nodes"][0].update(input="dense")),
    "a newer version": lambda: json.dumps({**json.loads(several_calls().to_json()), "version": 2}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts(name):  # oracle: an error of ours, not of Python's
    with pytest.raises(GraphError):
        Graph.from_json(HOSTILE[name]())


def test_too_many_parameters():  # oracle: the message, word for word
    x = Input((10**6,))
    text = Graph(x, layers.Dense(10**6, use_bias=False)(x)).to_json()
    with pytest.raises(GraphError) as caught:
        Graph.from_json(text)
    assert str(caught.value) == dedent("""\
        The graph has too many parameters.
          received: 1,000,000,000,000
          expected: at most 100,000,000,000
          fix:      max_parameters= allows more""")
    assert Graph.from_json(text, max_parameters=10**12).count_params() == 10**12


TEXT = several_calls().to_json()


@hypothesis.settings(max_examples=100, deadline=None, derandomize=True)
@hypothesis.given(strategies.integers(0, len(TEXT) - 1), strategies.integers(0, 30), strategies.text(max_size=4))
def test_texts_with_a_part_changed(start, length, new):  # oracle: a graph, or an error of ours
    with contextlib.suppress(GraphError):
        Graph.from_json(TEXT[:start] + new + TEXT[start + length :])


JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(max_size=3),
    lambda inner: (
        strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value, path=()):
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


PLACES = list(places(json.loads(TEXT)))[1:]


@hypothesis.settings(max_examples=150, deadline=None, derandomize=True)
@hypothesis.given(strategies.sampled_from(PLACES), JSON)
def test_documents_with_a_value_changed(path, new):  # oracle: a graph, or an error of ours
    document = json.loads(TEXT)
    functools.reduce(lambda value, key: value[key], path[:-1], document)[path[-1]] = new
    with contextlib.suppress(GraphError):
        Graph.from_json(json.dumps(document))


def test_what_has_no_form_in_json():  # oracle: the message, word for word
    x = Input((4,), name="x")
    graph = Graph(x, layer(lambda a, note: a * 2.0, name="odd")(x, b"bytes"))
    with pytest.raises(GraphError) as caught:
        graph.to_json()
    assert str(caught.value) == dedent("""\
        A constant cannot be written as JSON.
          where:    odd
          received: bytes: b'bytes'
          expected: numbers, texts, slices, arrays, known functions, and lists, tuples and dicts of these""")
