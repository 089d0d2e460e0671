"""jg.layer: Flax Linen modules, NNX modules and functions as layers, against Flax and JAX themselves."""

from textwrap import dedent

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxgraphs.errors import GraphError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.core import Dense
from jaxgraphs.layers.wrap import layer
from jaxgraphs.symbolic.node import Input
from tests.oracle import assert_close

DATA = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
KEY = jax.random.key(0)


class Block(nn.Module):
    """A Linen module with all that one may have: params, statistics, dropout, and its own word for training."""

    @nn.compact
    def __call__(self, x, deterministic: bool = True):
        x = nn.Dense(3, name="inner")(x)
        x = nn.BatchNorm(use_running_average=deterministic, momentum=0.5)(x)
        return nn.Dropout(0.5)(x, deterministic=deterministic)


def one(thing, **options):
    x = Input((4,), name="x")
    return Graph(x, layer(thing, **options)(x))


def test_linen():  # oracle: the module itself
    graph, module = one(nn.Dense(3)), nn.Dense(3)
    variables = graph.init(KEY)
    assert list(variables["params"]) == ["dense"]
    assert_close(graph.apply(variables, DATA), module.apply({"params": variables["params"]["dense"]}, DATA))
    assert graph.count_params() == 15


def test_linen_in_training():  # oracle: the module itself, from the same statistics
    graph, module = one(Block(), name="block"), Block()
    variables = graph.init(KEY)
    own = {name: tree["block"] for name, tree in variables.items()}
    assert_close(graph.apply(variables, DATA), module.apply(own, DATA))
    rngs = {"dropout": jax.random.key(1)}
    outputs, updates = graph.apply(variables, DATA, train=True, rngs=rngs, mutable=["batch_stats"])
    _, expected = module.apply(own, DATA, deterministic=False, rngs=rngs, mutable=["batch_stats"])
    jax.tree.map(assert_close, updates["batch_stats"]["block"], expected["batch_stats"])
    assert 0.2 < np.mean(np.asarray(outputs) == 0) < 0.8
    again, _ = graph.apply(variables, DATA, train=True, rngs=rngs, mutable=["batch_stats"])
    np.testing.assert_array_equal(outputs, again)


def test_two_calls_share_and_both_move_the_statistics():  # oracle: the module applied twice
    x = Input((4,))
    block = layer(nn.BatchNorm(momentum=0.5), name="norm")
    graph = Graph(x, block(x) + block(x * 3.0))
    variables = graph.init(KEY)
    _, updates = graph.apply(variables, DATA, train=True, mutable=["batch_stats"])
    assert_close(updates["batch_stats"]["norm"]["mean"], (0.25 + 0.5 * 3) * DATA.mean(0))


def test_linen_with_an_open_size():  # oracle: the module on that size
    x = Input((None, 4))
    graph = Graph(x, layer(nn.MultiHeadDotProductAttention(2, deterministic=True))(x))
    assert graph.outputs.shape == (None, None, 4)
    variables = graph.init(KEY)
    data = np.ones((2, 7, 4), np.float32)
    (own,) = variables["params"].values()
    assert_close(
        graph.apply(variables, data),
        nn.MultiHeadDotProductAttention(2, deterministic=True).apply({"params": own}, data),
    )


@pytest.mark.parametrize(
    "thing", [lambda rngs: nnx.Linear(4, 3, rngs=rngs), nnx.Linear(4, 3, rngs=nnx.Rngs(7))], ids=["factory", "instance"]
)
def test_nnx(thing):  # oracle: x kernel + bias
    x = Input((4,))
    graph = Graph(x, layer(thing, name="linear")(x))
    variables = graph.init(KEY)
    own = variables["params"]["linear"]
    expected = DATA @ np.asarray(own["kernel"]) + np.asarray(own["bias"])
    assert_close(graph.apply(variables, DATA), expected)
    assert_close(jax.jit(graph.apply)(variables, DATA), expected)
    if isinstance(thing, nnx.Module):
        assert_close(own["kernel"], thing.kernel[...])


def test_an_nnx_module_is_not_written_to():  # oracle: its own state before
    module = nnx.BatchNorm(4, rngs=nnx.Rngs(0))
    before = jax.tree.map(np.array, nnx.to_pure_dict(nnx.state(module)))
    graph = one(module)
    graph.apply(graph.init(KEY), DATA, train=True, mutable=True)
    jax.tree.map(np.testing.assert_array_equal, nnx.to_pure_dict(nnx.state(module)), before)


FUNCTIONS = [
    (jnp.tanh, "tanh", lambda a: np.tanh(a)),
    (lambda a: a * 2.0, "lambda", lambda a: a * 2),
    (jax.nn.relu, "relu", lambda a: np.maximum(a, 0)),
    (lambda a: {"low": a.min(1), "all": (a, a + 1.0)}, "lambda", lambda a: {"low": a.min(1), "all": (a, a + 1)}),
]


@pytest.mark.parametrize(("function", "name", "expected"), FUNCTIONS)
def test_functions(function, name, expected):  # oracle: NumPy
    graph = one(function)
    assert list(graph.names.values())[1:] == [name]
    jax.tree.map(lambda a, b: assert_close(a, b, 1e-6), graph.apply({}, DATA), expected(DATA))


def test_a_layer_is_itself():  # oracle: identity
    dense = Dense(3, name="d")
    assert layer(dense) is dense
    assert layer(dense, name="d") is dense


REFUSED = [
    (
        lambda: layer(nn.Dense),
        """\
        jg.layer cannot make a layer of this.
          received: the class Dense
          expected: a Flax Linen module, an NNX module or a factory of one (rngs) -> module, or a function of arrays
          fix:      jg.layer(Dense(...))""",
    ),
    (
        lambda: layer("relu"),
        """\
        jg.layer cannot make a layer of this.
          received: 'relu'
          expected: a Flax Linen module, an NNX module or a factory of one (rngs) -> module, or a function of arrays
          fix:      jg.layer(nn.Dense(32)) or jg.layer(jnp.tanh)""",
    ),
    (
        lambda: layer(Dense(3), name="d"),
        """\
        Dense is a layer already.
          received: name='d'
          fix:      give the name when it is made: Dense(..., name='d')""",
    ),
    (
        lambda: layer(lambda a: a if a.sum() > 0 else -a)(Input((3,), name="x")),
        """\
        Lambda cannot be computed from its inputs: Attempted boolean conversion of traced array with shape bool[].
          where:    x -> lambda
          received: (batch, 3) float32
          expected: shapes and dtypes that the layer's computation accepts
          fix:      look at the shapes before this call; tensor.shape and tensor.dtype show them""",
    ),
]


@pytest.mark.parametrize(("build", "text"), REFUSED)
def test_what_is_refused(build, text):  # oracle: the message, word for word
    with pytest.raises(GraphError) as caught:
        build()
    assert str(caught.value) == dedent(text)
