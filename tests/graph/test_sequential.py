"""Sequential: the same as the chain of calls, with or without an Input."""

from textwrap import dedent

import jax
import numpy as np
import pytest

from jaxgraphs.errors import GraphError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.sequential import Sequential
from jaxgraphs.layers.core import Dense, Embedding
from jaxgraphs.symbolic.node import Input

DATA = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)


def chain():
    return [Dense(4, activation="relu"), Dense(3)]


def test_with_an_input():  # oracle: the chain of calls
    first, second = chain()
    x = Input((8,))
    graph, sequential = Graph(x, second(first(x))), Sequential([x, first, second])
    key = jax.random.key(0)
    assert sequential.count_params() == graph.count_params() == 8 * 4 + 4 + 4 * 3 + 3
    jax.tree.map(np.testing.assert_array_equal, sequential.init(key), graph.init(key))
    np.testing.assert_array_equal(sequential.apply(graph.init(key), DATA), graph.apply(graph.init(key), DATA))


def test_without_an_input():  # oracle: the same with one
    late, early = Sequential(chain()), Sequential([Input((8,)), *chain()])
    key = jax.random.key(0)
    variables = late.init(key, DATA)
    jax.tree.map(np.testing.assert_array_equal, variables, early.init(key))
    np.testing.assert_array_equal(late.apply(variables, DATA), early.apply(variables, DATA))


def test_within_a_graph():  # oracle: the parts' params, once
    part = Sequential(chain(), name="part")
    x, y = Input((8,)), Input((8,))
    graph = Graph([x, y], part(x) + part(y))
    assert graph.count_params() == 51
    assert list(graph.variable_specs()["params"]["part"]) == ["dense", "dense_1"]


def test_within_a_sequential():  # oracle: the closed form
    inner = Sequential([Dense(8, kernel_initializer="identity")])
    outer = Sequential([inner, inner, lambda_layer()])
    variables = outer.init(jax.random.key(0), DATA)
    np.testing.assert_allclose(outer.apply(variables, DATA), DATA * 2.0, atol=1e-6)


def lambda_layer():
    from jaxgraphs.layers.wrap import layer

    return layer(lambda x: x * 2.0)


NO_INPUT = """\
    Sequential has no Input, so that the sizes of its weights are not known.
      expected: an Input at the start, or an example of the data
      fix:      Sequential([Input((8,)), ...]), or graph.init(key, inputs)"""
REFUSED = [
    (lambda: Sequential(chain()).init(jax.random.key(0)), NO_INPUT),
    (lambda: Sequential(chain()).count_params(), NO_INPUT),
    (
        lambda: Sequential([]),
        """\
        A Sequential needs at least one layer.
          fix:      Sequential([Input((8,)), layers.Dense(3)])""",
    ),
    (
        lambda: Sequential([Dense(3), np.tanh, Dense, Input((3,))]),
        """\
        A Sequential is made of layers.
          received: number 1: ufunc
                    number 2: the class Dense
                    number 3: SymbolicTensor
          expected: layers or graphs; an Input only at the start
          fix:      jg.layer(function) makes a layer of a function or of a Flax module""",
    ),
    (
        lambda: Sequential([Dense(3), Embedding(3, 2)])(Input((8,), name="x")),
        """\
        Embedding looks up whole numbers.
          where:    dense -> embedding
          received: (batch, 3) float32
          expected: an integer dtype, such as int32
          fix:      Input((None,), dtype="int32")""",
    ),
]


@pytest.mark.parametrize(("build", "text"), REFUSED)
def test_what_is_refused(build, text):  # oracle: the message, word for word
    with pytest.raises(GraphError) as caught:
        build()
    assert str(caught.value) == dedent(text)
