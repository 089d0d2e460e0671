"""Graphs in graphs, deep and long: shared weights, masks, training, and no recursion."""

import copy
import gc
import sys
from textwrap import dedent

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.errors import GraphError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.base import Layer, describes
from jaxgraphs.layers.core import Dense, Dropout, Embedding
from jaxgraphs.symbolic.node import Input

CALLS = 10_000


@describes
class CountSteps(Layer):
    """How many steps of each row count, by the mask: what the mask is, as numbers."""

    def call(self, weights, x, *, context):
        steps = jnp.ones(x.shape[:2]) if context.mask is None else context.mask.astype(jnp.float32)
        return steps.sum(1, keepdims=True)


def test_a_graph_called_twice_has_one_set_of_weights():  # oracle: the same sum by hand
    x = Input((4,))
    inner = Graph(x, Dense(3, name="d")(x), name="inner")
    a, b = Input((4,), name="a"), Input((4,), name="b")
    outer = Graph([a, b], inner(a) - inner(b))
    assert outer.count_params() == inner.count_params() == 15
    variables = outer.init(jax.random.key(0))
    assert list(variables["params"]) == ["inner"]
    kernel = variables["params"]["inner"]["d"]["kernel"]
    u, v = (np.random.default_rng(n).normal(size=(2, 4)).astype(np.float32) for n in (0, 1))
    np.testing.assert_allclose(outer.apply(variables, [u, v]), u @ kernel - v @ kernel, atol=1e-6)


def test_nested_in_every_structure():  # oracle: the graph applied by itself
    a, b = Input((2,), name="a"), Input((2,), name="b")
    inner = Graph({"a": a, "b": b}, {"sum": a + b, "all": [a, (b * 2.0,)]})
    x, y = Input((2,), name="x"), Input((2,), name="y")
    arrays = {"a": np.ones((1, 2), np.float32), "b": np.full((1, 2), 2, np.float32)}
    outer = Graph([x, y], inner({"a": x, "b": y}))
    expected = inner.apply({}, arrays)
    actual = outer.apply({}, [arrays["a"], arrays["b"]])
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, actual, expected)
    by_name = Graph([x, y], inner({"b": y, "a": x})["sum"])
    np.testing.assert_array_equal(by_name.apply({}, [arrays["a"], arrays["b"]]), expected["sum"])


def test_training_may_be_said_for_one_call():  # oracle: dropout drops, or does not
    x = Input((200,))
    drop = Dropout(0.5)
    inner = Graph(x, drop(x), name="inner")
    ones, rngs = np.ones((1, 200), np.float32), {"dropout": jax.random.key(0)}
    graph = Graph(x, [inner(x), inner(x, training=False), inner(x, training=True), drop(x, training=False)])
    plain, never, always, layer = (np.asarray(y) for y in graph.apply({}, ones, train=True, rngs=rngs))
    assert {0.0, 2.0} == set(plain.ravel()) == set(always.ravel())
    assert set(never.ravel()) == set(layer.ravel()) == {1.0}
    plain, _, always, _ = (np.asarray(y) for y in graph.apply({}, ones, rngs=rngs))
    assert set(plain.ravel()) == {1.0}
    assert set(always.ravel()) == {0.0, 2.0}


def test_masks_go_into_nested_graphs_and_out_again():  # oracle: the number of ids that are not 0
    ids = np.array([[1, 2, 0, 0], [3, 0, 0, 0]], np.int32)
    text = Input((None,), dtype="int32")
    embedded = Embedding(5, 3, mask_zero=True)(text)
    through = Input((None, 3))
    same_length = Graph(through, Dense(3)(through))
    counted = Graph(through, CountSteps()(through))
    makes_mask = Graph(text, Embedding(5, 3, mask_zero=True)(text))
    outputs = [
        CountSteps()(embedded),
        counted(embedded),
        counted(same_length(embedded)),
        counted(same_length(same_length(makes_mask(text)))),
        counted(embedded * 2.0),
        counted(Embedding(5, 3)(text)),
    ]
    graph = Graph(text, outputs)
    results = [np.asarray(y).ravel().tolist() for y in graph.apply(graph.init(jax.random.key(0)), ids)]
    assert results == [[2.0, 1.0]] * 5 + [[4.0, 4.0]]


REFUSED = [
    (
        lambda inner, x: inner([x, x]),
        """\
        Graph 'inner' has 1 input and was given 2.
          where:    x, x -> inner
          received: (batch, 8) float32
                    (batch, 8) float32
          fix:      give a list in the order ['a'], or a dict with these keys""",
    ),
    (
        lambda inner, x: inner(Input((7,), name="z")),
        """\
        1 input does not fit Graph 'inner'.
          where:    z -> inner
          received: a: (batch, 7) float32, expected (batch, 8) float32
          fix:      give the graph's Input the size None to take any""",
    ),
    (
        lambda inner, x: inner(x, trainig=True),
        """\
        Graph 'inner' does not take this argument.
          received: trainig
          expected: inputs, and training=""",
    ),
    (
        lambda inner, x: inner(np.ones((2, 8), np.float32)),
        """\
        Graph 'inner' was called on no symbolic tensor.
          received: ndarray
          expected: at least one symbolic tensor, from jg.Input or from another layer
          fix:      describe the graph on symbolic tensors, then graph.apply(variables, arrays)""",
    ),
    (
        lambda inner, x: inner(),
        """\
        Graph 'inner' was called on nothing.
          expected: inputs ['a']""",
    ),
]


@pytest.mark.parametrize(("call", "text"), REFUSED)
def test_calls_that_a_graph_refuses(call, text):  # oracle: the message, word for word
    a = Input((8,), name="a")
    with pytest.raises(GraphError) as caught:
        call(Graph(a, Dense(3)(a), name="inner"), Input((8,), name="x"))
    received = str(caught.value).replace("  where:    x, x -> inner\n", "")
    assert received == dedent(text).replace("  where:    x, x -> inner\n", "")


def test_a_constant_array_may_be_an_input_of_a_nested_graph():  # oracle: the sum by hand
    a, b = Input((3,), name="a"), Input((3,), name="b")
    inner = Graph([a, b], a + b)
    x = Input((3,))
    row = np.arange(3, dtype=np.float32).reshape(1, 3)
    ones = np.ones((1, 3), np.float32)
    np.testing.assert_array_equal(Graph(x, inner([x, row])).apply({}, ones), ones + row)


def test_fifty_graphs_deep():  # oracle: 2 ** 50 by doubling at each level, and Python's own recursion limit
    x = Input((2,))
    graph = Graph(x, Dense(2, use_bias=False, kernel_initializer="identity", name="d")(x) * 2.0)
    for _ in range(49):
        x = Input((2,))
        graph = Graph(x, graph(x) * 2.0)
    variables = graph.init(jax.random.key(0))
    assert graph.count_params() == 4
    np.testing.assert_array_equal(graph.apply(variables, np.ones((1, 2), np.float32)), 2.0**50)


@pytest.mark.slow
def test_ten_thousand_calls():  # oracle: the number of params, the closed form, and Python's own recursion limit
    assert sys.getrecursionlimit() < CALLS / 2
    x = tensor = Input((2,))
    shared = Dense(2, use_bias=False, kernel_initializer="identity", name="shared")
    for number in range(CALLS):
        tensor = tensor + 1.0 if number % 10 else shared(tensor)
    graph = Graph(x, tensor)
    assert len(graph.nodes) == CALLS + 1
    assert graph.count_params() == 4
    variables = graph.init(jax.random.key(0))
    assert copy.deepcopy(graph) is graph
    out = jax.eval_shape(graph.apply, variables, np.ones((3, 2), np.float32))
    assert out.shape == (3, 2)
    np.testing.assert_array_equal(graph.apply(variables, np.zeros((1, 2), np.float32)), CALLS * 0.9)
    del graph, tensor
    gc.collect()
