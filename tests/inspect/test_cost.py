import jax.numpy as jnp
import pytest

from jaxgraphs.errors import GraphError, GraphKeyError, GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.sequential import Sequential
from jaxgraphs.inspect.cost import costs, flops
from jaxgraphs.layers.conv import Conv2D
from jaxgraphs.layers.core import Dense, Dropout, Embedding
from jaxgraphs.layers.recurrent import LSTM
from jaxgraphs.layers.wrap import layer
from jaxgraphs.symbolic.node import Input


def alone(made, shape, dtype="float32"):
    x = Input(shape, dtype=dtype, name="x")
    return Graph(x, made(x))


def test_dense():  # oracle: 2 in out, and one addition for each output
    assert flops(alone(Dense(3, use_bias=False), (8,))) == 2 * 8 * 3
    assert flops(alone(Dense(3), (8,))) == 2 * 8 * 3 + 3
    assert flops(alone(Dense(3, activation="relu"), (8,)), batch_size=5) == 5 * (2 * 8 * 3 + 3 + 3)


def test_conv():  # oracle: 2 height width kernel in out
    graph = alone(Conv2D(4, 3, use_bias=False), (9, 9, 6))
    assert flops(graph, batch_size=2) == 2 * 2 * 7 * 7 * 3 * 3 * 6 * 4


def test_lstm():  # oracle: the two products of each step, and little besides
    steps, features, units = 20, 30, 40
    products = steps * 2 * (features + units) * 4 * units
    counted = flops(alone(LSTM(units), (steps, features)))
    assert products < counted < products + steps * units * 30


def test_every_call_of_a_shared_layer_counts():  # oracle: twice one call
    x, z = Input((8,), name="x"), Input((8,), name="z")
    shared = Dense(8, use_bias=False, name="shared")
    both = costs(Graph([x, z], shared(shared(x)) + shared(z)))
    assert [cost.flops for cost in both] == [128, 128, 128, 8]
    assert {cost.path for cost in both[:3]} == {("shared",)}
    assert sorted(cost.call_path for cost in both[:3]) == [("shared#0",), ("shared#1",), ("shared#2",)]


def test_nested_graphs_count_at_each_call():  # oracle: paths by hand
    a = Input((8,))
    inner = Graph(a, Dense(8, use_bias=False, name="d")(a), name="inner")
    x = Input((8,))
    found = costs(Graph(x, inner(inner(x))))
    assert [(cost.path, cost.flops) for cost in found] == [(("inner", "d"), 128)] * 2


def test_bytes():  # oracle: inputs, weights and outputs, each once
    (cost,) = costs(alone(Dense(3), (8,)), batch_size=2)
    assert cost.bytes == 4 * (2 * 8 + 8 * 3 + 3 + 2 * 3)
    (half,) = costs(alone(Dense(3, dtype="bfloat16", use_bias=False), (8,)))
    assert half.bytes == 4 * 8 + 2 * (8 * 3 + 3)


@pytest.mark.parametrize(("sizes", "length"), [(None, 128), ({"x": 7}, 7), ({"x": (9,)}, 9)])
def test_sizes(sizes, length):  # oracle: the length given, or 128
    x = Input((None,), dtype="int32", name="x")
    graph = Graph(x, Dense(2, use_bias=False)(Embedding(10, 4)(x)))
    assert flops(graph, sizes=sizes) == length * 2 * 4 * 2


def test_constants_and_dropout():  # oracle: hand count; nothing drops at inference
    x = Input((8,))
    found = costs(Graph(x, layer(lambda a, b: a * b)(Dropout(0.5)(x), 3.0)))
    assert [cost.flops for cost in found] == [0, 8]


@pytest.mark.parametrize(
    ("sizes", "kind", "words"),
    [
        ({"y": 3}, GraphKeyError, "There is no input 'y' to give a size."),
        ({"x": (3, 4)}, GraphValueError, "The sizes given do not fit the input 'x'."),
        ({"x": (4, 7)}, GraphValueError, "(4, 7)"),
        ({"x": 1}, GraphError, "is not known at these sizes"),
    ],
)
def test_refusals(sizes, kind, words):  # oracle: the error
    graph = alone(Conv2D(4, 3), (None, 9, 1))
    with pytest.raises(kind) as caught:
        costs(graph, sizes=sizes)
    assert words in str(caught.value)


def test_without_an_input():  # oracle: the message
    with pytest.raises(GraphValueError, match="has no Input"):
        flops(Sequential([Dense(3)]))


def test_fixed_batch():  # oracle: the batch that the Input fixes
    x = Input((8,), batch_size=4)
    assert flops(Graph(x, layer(jnp.tanh)(x))) == 32
