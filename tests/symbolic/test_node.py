"""Symbolic tensors: their operators against NumPy, and what they say where an array is needed."""

from textwrap import dedent

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.errors import GraphError, GraphTypeError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.core import Dense, Embedding
from jaxgraphs.layers.wrap import layer
from jaxgraphs.symbolic.node import Input
from tests.oracle import assert_close

ARRAY = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
ROW = np.arange(1.0, 5.0, dtype=np.float32)
TABLE = np.linspace(-1, 1, 20, dtype=np.float32).reshape(4, 5)

OPERATORS = {
    "add": lambda x: x + 1.0,
    "radd": lambda x: 1.0 + x,
    "subtract": lambda x: x - ROW,
    "rsubtract": lambda x: 2 - x,
    "multiply": lambda x: x * x,
    "numpy on the left": lambda x: ROW * x,
    "divide": lambda x: x / 4,
    "rdivide": lambda x: 1 / x,
    "power": lambda x: x**2,
    "rpower": lambda x: 2.0**x,
    "matmul": lambda x: x @ TABLE,
    "negative": lambda x: -x,
    "absolute": lambda x: abs(x),
    "item": lambda x: x[:, 1],
    "slices": lambda x: x[:, ::2, 1:-1],
    "ellipsis": lambda x: x[..., -1],
    "new axis": lambda x: x[:, None, 2],
    "several": lambda x: (x[:, 0] - x[:, 1]) * 2.0 / (abs(x[:, 2]) + 1.0),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name):  # oracle: NumPy
    x = Input((3, 4))
    y = OPERATORS[name](x)
    expected = OPERATORS[name](ARRAY)
    assert y.shape == (None, *expected.shape[1:])
    assert_close(Graph(x, y).apply({}, ARRAY), expected, 1e-6)


def test_a_jax_array_on_the_left():  # oracle: NumPy
    x = Input((3, 4))
    assert_close(Graph(x, jnp.asarray(ROW) * x).apply({}, ARRAY), ROW * ARRAY, 1e-6)


def test_operators_promote_as_jax_does():  # oracle: JAX's standard promotion
    whole, floating = Input((3,), dtype="int32"), Input((3,))
    assert (whole + floating).dtype == jnp.float32
    assert (whole * 2).dtype == jnp.int32
    assert (Input((3,), dtype="bfloat16") * 2.0).dtype == jnp.bfloat16


X = Input((8,), name="x")
NO_VALUE = """\
    The symbolic tensor 'x' was {what}, but it has no value yet.
      received: (batch, 8) float32, symbolic
      expected: an array
      fix:      {fix}"""
MISUSES = [
    (lambda: np.tanh(X), "passed to NumPy", "jg.layer(jnp.tanh)(x) puts the function into the graph"),
    (lambda: np.sum(X), "passed to NumPy", "jg.layer(jnp.sum)(x) puts the function into the graph"),
    (lambda: np.asarray(X), "passed to NumPy", "jg.layer(jnp.tanh)(x) puts a function into the graph"),
    (lambda: np.concatenate([X, X]), "passed to NumPy", "jg.layer(jnp.tanh)(x) puts a function into the graph"),
    (lambda: 1 if X else 0, "used as a condition", "jg.layer(jnp.where)(condition, a, b) chooses inside the graph"),
    (lambda: len(X), "asked for its length", "read x.shape; the batch size is not known yet"),
    (lambda: [*X], "iterated over", "index it, as in x[:, 0]"),
    (lambda: float(X), "converted to a number", "call graph.apply(variables, inputs) for its value"),
    (lambda: int(X), "converted to a number", "call graph.apply(variables, inputs) for its value"),
    (lambda: range(X), "converted to a number", "call graph.apply(variables, inputs) for its value"),
]


@pytest.mark.parametrize(("misuse", "what", "fix"), MISUSES)
def test_a_symbolic_tensor_is_no_array(misuse, what, fix):  # oracle: the message, word for word
    with pytest.raises(GraphTypeError) as caught:
        misuse()
    assert str(caught.value) == dedent(NO_VALUE).format(what=what, fix=fix)


REFUSED = [
    (
        lambda: X + Input((4,), name="y"),
        """\
        Add cannot be computed from its inputs: add got incompatible shapes for broadcasting: (batch, 8), (batch, 4).
          where:    x, y -> add
          received: (batch, 8) float32, (batch, 4) float32
          expected: shapes and dtypes that the layer's computation accepts
          fix:      look at the shapes before this call; tensor.shape and tensor.dtype show them""",
    ),
    (
        lambda: X + "a",
        """\
        The operator 'add' cannot combine a symbolic tensor with this.
          where:    x -> add
          received: str
          expected: a symbolic tensor, an array or a number""",
    ),
    (
        lambda: None * X,
        """\
        The operator 'multiply' cannot combine a symbolic tensor with this.
          where:    x -> multiply
          received: NoneType
          expected: a symbolic tensor, an array or a number""",
    ),
    (
        lambda: X[:, 8],
        """\
        The index 8 is beyond the end of an axis.
          where:    x -> get_item
          received: (batch, 8) float32
          expected: from -8 to 7 for an axis of 8; axis 0 is the batch""",
    ),
    (
        lambda: X[..., -9],
        """\
        The index -9 is beyond the end of an axis.
          where:    x -> get_item
          received: (batch, 8) float32
          expected: from -8 to 7 for an axis of 8; axis 0 is the batch""",
    ),
    (
        lambda: layer(lambda a: None, name="forgetful")(X),
        """\
        Lambda 'forgetful' returned no array.
          where:    x -> forgetful
          expected: an array, or a list or dict of arrays
          fix:      end the function with a return""",
    ),
    (
        lambda: Dense(3)(np.ones((2, 8), np.float32)),
        """\
        Dense was called on no symbolic tensor.
          received: ndarray
          expected: at least one symbolic tensor, from jg.Input or from another layer
          fix:      describe the graph on symbolic tensors, then graph.apply(variables, arrays)""",
    ),
    (
        lambda: Dense(3)([X, X]),
        """\
        Dense reads one tensor.
          where:    x, x -> dense
          received: 2 tensors
          expected: a single tensor
          fix:      join several first, for example layers.concatenate([a, b])""",
    ),
    (
        lambda: Dense(3, name="age")(Input((), name="n")),
        """\
        Dense 'age' needs an axis of features.
          where:    n -> age
          received: (batch,) float32
          expected: (batch, ..., features)
          fix:      layers.Reshape((1,)) makes one of a vector of numbers""",
    ),
    (
        lambda: Dense(3)(Input((4,), dtype="int32", name="ids")),
        """\
        Dense multiplies, and its input is of int32.
          where:    ids -> dense
          received: (batch, 4) int32
          expected: a floating dtype
          fix:      Embedding looks ids up; layers.Rescaling(1.0) makes numbers floating""",
    ),
    (
        lambda: Embedding(10, 4)(X),
        """\
        Embedding looks up whole numbers.
          where:    x -> embedding
          received: (batch, 8) float32
          expected: an integer dtype, such as int32
          fix:      Input((None,), dtype="int32")""",
    ),
    (
        lambda: Dense(3, unit=4, kernel_initialiser="zeros"),
        """\
        The arguments of Dense do not fit.
          received: 'unit' is not an argument; did you mean 'units'? Known: activation, activity_regularizer, \
bias_constraint, bias_initializer, bias_regularizer, dtype, kernel_constraint, kernel_initializer, kernel_regularizer, \
name, trainable, units, use_bias
                    'kernel_initialiser' is not an argument; did you mean 'kernel_initializer'? Known: activation, \
activity_regularizer, bias_constraint, bias_initializer, bias_regularizer, dtype, kernel_constraint, \
kernel_initializer, kernel_regularizer, name, trainable, units, use_bias""",
    ),
    (
        lambda: Dense(activation="relu"),
        """\
        The arguments of Dense do not fit.
          received: 'units' is missing""",
    ),
]


@pytest.mark.parametrize(("build", "text"), REFUSED)
def test_calls_that_do_not_fit(build, text):  # oracle: the message, word for word
    with pytest.raises(GraphError) as caught:
        build()
    assert str(caught.value) == dedent(text)


UNUSABLE = [
    ({}, "Input needs `shape` or `batch_shape`, one of the two."),
    ({"shape": "abc"}, "Input has no usable shape."),
    ({"shape": (2.5,)}, "Input has no usable shape."),
    ({"shape": (-1,)}, "Input has a negative size."),
    ({"shape": (3,), "batch_size": -2}, "Input has a negative size."),
    ({"shape": (3,), "batch_size": "a"}, "Input has no usable shape."),
    ({"shape": (3,), "dtype": "floaty"}, "There is no such dtype."),
    ({"shape": (3,), "name": ""}, "Input has a name that cannot be used."),
    ({"shape": (3,), "name": "a\nb"}, "Input 'a\\nb' has a name that cannot be used."),
]


@pytest.mark.parametrize(("arguments", "what"), UNUSABLE)
def test_inputs_that_make_no_sense(arguments, what):  # oracle: the message's first line
    with pytest.raises(GraphError) as caught:
        Input(**arguments)
    assert str(caught.value).splitlines()[0] == what


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"shape": (3,)}, (None, 3)),
        ({"shape": 3}, (None, 3)),
        ({"shape": ()}, (None,)),
        ({"shape": (None, 0)}, (None, None, 0)),
        ({"shape": [np.int64(3)], "batch_size": 5}, (5, 3)),
        ({"batch_shape": (None, 2)}, (None, 2)),
        ({"batch_shape": ()}, (None,)),
    ],
)
def test_shapes_of_inputs(arguments, shape):  # oracle: Keras' rule, the batch axis first
    assert Input(**arguments).shape == shape


def test_a_layer_and_a_tensor_do_not_change():  # oracle: Python's frozen dataclasses
    dense = Dense(3)
    with pytest.raises(AttributeError):
        dense.units = 4
    with pytest.raises(AttributeError):
        X.index = 1
    values = [X, X]
    tensors = layer(lambda pair: pair[0] + pair[1])(values)
    values.clear()
    assert len(tensors.node.parents) == 2


def test_equal_tensors_are_one_edge():  # oracle: identity of the call
    assert X.node.tensors[0] == X
    first, second = Dense(3)(X), Dense(3)(X)
    assert first != second
    assert len({X, X.node.tensors[0]}) == 1
    assert jax.tree.leaves({"a": X}) == [X]
