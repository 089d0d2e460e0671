"""A graph as two pure functions: what a call refuses, that the same goes in and out, and JAX's transformations."""

from textwrap import dedent

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from jaxgraphs.errors import GraphError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.core import Dense, Dropout, Embedding
from jaxgraphs.layers.merge import Add
from jaxgraphs.layers.norm import BatchNormalization
from jaxgraphs.layers.passing import Lambda
from jaxgraphs.symbolic.node import Input
from tests.oracle import assert_close, assert_trees_close

IMAGE, TEXT = Input((8,), name="image"), Input((None,), dtype="int32", name="text")
GRAPH = Graph([IMAGE, TEXT], [Dense(3, name="p")(IMAGE), Embedding(5, 2, name="table")(TEXT)], name="g")
VARIABLES = GRAPH.init(jax.random.key(0))
PAIR = [Input((None, 4), name="left"), Input((None, 4), name="right")]
A, B = np.ones((2, 8), np.float32), np.ones((2, 5), np.int32)
PARAMS = VARIABLES["params"]
SHOW = "fix:      graph.summary() shows the inputs; None in a shape takes any size"
RENEW = "fix:      graph.init(key) makes variables for this graph"

REFUSED = [
    (
        lambda: GRAPH.apply(VARIABLES, [A]),
        """\
        Graph 'g' has 2 inputs and was given 1.
          received: (2, 8) float32
          fix:      give a list in the order ['image', 'text'], or a dict with these keys""",
    ),
    (
        lambda: GRAPH.apply(VARIABLES, [A, B, B]),
        """\
        Graph 'g' has 2 inputs and was given 3.
          received: (2, 8) float32
                    (2, 5) int32
                    (2, 5) int32
          fix:      give a list in the order ['image', 'text'], or a dict with these keys""",
    ),
    (
        lambda: GRAPH.apply(VARIABLES, {"imag": A, "txt": B, "image": A}),
        """\
        The names do not fit the inputs of Graph 'g'.
          received: 'text' is missing
                    'imag' is not an input; did you mean 'image'? Known: image, text
                    'txt' is not an input; did you mean 'text'? Known: image, text
          fix:      give a dict with the keys ['image', 'text']""",
    ),
    (
        lambda: GRAPH.apply(VARIABLES, [A[:, :7], B * 0.5]),
        f"""\
        2 inputs do not fit Graph 'g'.
          received: image: (2, 7), expected (batch, 8)
                    text: float32, expected whole numbers of int32
          {SHOW}""",
    ),
    (
        lambda: GRAPH.apply(VARIABLES, [A * 1j, B[0]]),
        f"""\
        2 inputs do not fit Graph 'g'.
          received: image: complex64, expected float32
                    text: (5,), expected (batch, None)
          {SHOW}""",
    ),
    (
        lambda: GRAPH.apply(VARIABLES, [A, np.ones((3, 5), np.int32)]),
        f"""\
        1 input does not fit Graph 'g'.
          received: text: (3, 5): a batch of 3, where 'image' has 2
          {SHOW}""",
    ),
    (
        lambda: GRAPH.apply(VARIABLES, ["words", None]),
        f"""\
        2 inputs do not fit Graph 'g'.
          received: image: a str of <U5, where an array of numbers is needed
                    text: a NoneType of object, where an array of numbers is needed
          {SHOW}""",
    ),
    (
        lambda: GRAPH.apply(VARIABLES, [A, TEXT]),
        f"""\
        1 input does not fit Graph 'g'.
          received: text: a symbolic tensor, where an array is needed; graph(tensor) adds a call to another graph
          {SHOW}""",
    ),
    (
        lambda: GRAPH.apply({}, [A, B]),
        f"""\
        The variables lack 3 of the arrays of Graph 'g'.
          received: collections none
          expected: params/p/kernel: (8, 3) float32
                    params/p/bias: (3,) float32
                    params/table/embedding: (5, 2) float32
          {RENEW}""",
    ),
    (
        lambda: GRAPH.apply(PARAMS, [A, B]),
        """\
        The variables lack 3 of the arrays of Graph 'g'.
          received: collections ['p', 'table']
          expected: params/p/kernel: (8, 3) float32
                    params/p/bias: (3,) float32
                    params/table/embedding: (5, 2) float32
          fix:      graph.apply({"params": params}, inputs)""",
    ),
    (
        lambda: GRAPH.apply({"params": {"p": {"kernel": A.T, "bias": A[0]}, "table": PARAMS["table"]}}, [A, B]),
        f"""\
        2 of the variables do not have the shapes that Graph 'g' needs.
          received: params/p/kernel: (8, 2), expected (8, 3) float32
                    params/p/bias: (8,), expected (3,) float32
          {RENEW}""",
    ),
    (
        lambda: GRAPH.apply(None, [A, B]),
        """\
        The variables of Graph 'g' are arrays by collection, layer and name.
          received: NoneType
          expected: {"params": {layer: {name: array}}}
          fix:      variables = graph.init(jax.random.key(0))""",
    ),
    (
        lambda: GRAPH.init(3),
        """\
        graph.init needs a random key.
          received: 3
          expected: one key
          fix:      jax.random.key(3)""",
    ),
    (
        lambda: GRAPH.apply(VARIABLES, [A, B], train=True, rngs=jax.random.key(0)),
        """\
        The random keys are given by stream.
          received: PRNGKeyArray
          expected: a dict from names to keys
          fix:      rngs={"dropout": jax.random.key(0)}""",
    ),
    (
        lambda: Graph(IMAGE, Dropout(0.5)(IMAGE)).apply({}, A, train=True),
        """\
        'dropout' draws random numbers when train=True, and no key was given.
          received: rngs with no keys
          expected: a key named 'dropout'
          fix:      graph.apply(variables, inputs, train=True, rngs={'dropout': jax.random.key(0)})""",
    ),
    (
        lambda: Graph(PAIR, Add(name="sum")(PAIR)).apply({}, [np.ones((2, 3, 4)), np.ones((2, 5, 4))]),
        """\
        Add 'sum' cannot combine its inputs.
          where:    left, right -> sum
          received: (2, 3, 4) float32, (2, 5, 4) float32
          expected: shapes that broadcast together
          fix:      give the branches one shape, for example by pooling, cropping or layers.Reshape""",
    ),
]


@pytest.mark.parametrize(("call", "text"), REFUSED)
def test_what_a_call_refuses(call, text):  # oracle: the message, word for word
    with pytest.raises(GraphError) as caught:
        call()
    assert str(caught.value) == dedent(text)


def test_an_error_within_a_layer_says_where():  # oracle: the error itself, and its note
    def refuse(x):
        if not isinstance(x, jax.core.Tracer):
            raise OverflowError("too much")
        return x

    inner = Graph(IMAGE, Lambda(refuse, name="odd")(IMAGE), name="inner")
    with pytest.raises(OverflowError, match="too much") as caught:
        Graph(IMAGE, inner(IMAGE)).apply({}, A)
    assert "in Lambda 'odd' at 'inner/odd', which received (2, 8) float32" in caught.value.__notes__


WIDE = [A.astype(np.float64), B.astype(np.int64)]


@pytest.mark.parametrize(
    "inputs", [[A, B], (A, B), {"text": B, "image": A}, [A.tolist(), B.tolist()], WIDE, [A > 0, B > 0]]
)
def test_ways_to_give_inputs(inputs):  # oracle: the list of arrays
    expected = GRAPH.apply(VARIABLES, [A, B])
    for one, other in zip(GRAPH.apply(VARIABLES, inputs), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def stateful():
    """A graph with everything that could be impure: dropout twice, batch statistics, a shared layer."""
    x = Input((8,), name="x")
    shared, drop = Dense(8, activation="tanh", name="shared"), Dropout(0.5, name="drop")
    y = BatchNormalization(name="norm")(shared(drop(shared(drop(x)))))
    return Graph(x, {"y": Dense(3, name="y")(y), "z": drop(y)})


PURE = stateful()
STATE = PURE.init(jax.random.key(1))
DATA = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)


def run(variables, x, seed=2):
    rngs = {"dropout": jax.random.key(seed)}
    return PURE.apply(variables, x, train=True, rngs=rngs, mutable=["batch_stats"])


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_same_arguments_same_bits():  # oracle: the first call
    before = jax.tree.map(np.array, STATE)
    first = run(STATE, DATA)
    PURE.apply(STATE, DATA)
    run(STATE, DATA * 2, 3)
    same(run(STATE, DATA), first)
    same(STATE, before)
    same(PURE.init(jax.random.key(1)), STATE)
    same(stateful().init(jax.random.key(1)), STATE)


def test_jit():  # oracle: the plain call
    assert_trees_close(jax.jit(run)(STATE, DATA), run(STATE, DATA))
    assert_trees_close(jax.jit(PURE.init)(jax.random.key(1)), STATE)


def loss(params, x=DATA):
    outputs = PURE.apply({**STATE, "params": params}, x)
    return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(outputs))


def test_grad():  # oracle: a difference quotient along a random direction, in 64 bits
    with jax.enable_x64(True):
        wide = lambda tree: jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree)  # noqa: E731
        params, stats, x = wide(STATE["params"]), wide(STATE["batch_stats"]), DATA.astype(np.float64)
        along = jax.tree.map(lambda leaf: jnp.asarray(np.random.default_rng(3).normal(size=leaf.shape)), params)

        def at(step):
            moved = jax.tree.map(lambda leaf, way: leaf + step * way, params, along)
            return PURE.apply({"params": moved, "batch_stats": stats}, x)["y"].sum()

        np.testing.assert_allclose(jax.grad(at)(0.0), (at(1e-5) - at(-1e-5)) / 2e-5, rtol=1e-7)


def test_vmap_over_params():  # oracle: each set of params by itself
    stack = jax.vmap(PURE.init)(jax.random.split(jax.random.key(5), 3))
    outputs = jax.vmap(PURE.apply, in_axes=(0, None))(stack, DATA)
    for number in range(3):
        one = PURE.apply(jax.tree.map(lambda leaf: leaf[number], stack), DATA)  # noqa: B023
        assert_trees_close(jax.tree.map(lambda leaf: leaf[number], outputs), one)  # noqa: B023


def test_checkpoint():  # oracle: gradients without it
    assert_trees_close(jax.grad(jax.checkpoint(loss))(STATE["params"]), jax.grad(loss)(STATE["params"]))


def test_shard_map_over_eight_devices():  # oracle: one device
    mesh = Mesh(np.array(jax.devices()[:8]), ("data",))
    assert len(jax.devices()) == 8
    data = PartitionSpec("data")
    spread = jax.shard_map(PURE.apply, mesh=mesh, in_specs=(PartitionSpec(), data), out_specs=data)
    assert_trees_close(spread(STATE, DATA), PURE.apply(STATE, DATA))


def test_each_call_of_a_shared_layer_drops_its_own():  # oracle: two draws differ, and repeat with the key
    x = Input((1000,))
    drop = Dropout(0.5)
    graph = Graph(x, [drop(x), drop(x)])
    ones = np.ones((1, 1000), np.float32)
    first, second = graph.apply({}, ones, train=True, rngs={"dropout": jax.random.key(0)})
    assert 0.2 < np.mean(np.asarray(first) != np.asarray(second)) < 0.8
    again, _ = graph.apply({}, ones, train=True, rngs={"dropout": jax.random.key(0)})
    np.testing.assert_array_equal(first, again)


def test_a_layer_keeps_its_keys_when_the_graph_around_it_changes():  # oracle: bits of the smaller graph
    x = Input((8,), name="x")
    drop, dense = Dropout(0.5, name="drop"), Dense(4, name="dense")
    small = Graph(x, dense(drop(x)))
    large = Graph(x, [dense(drop(Dropout(0.0)(x))), Dense(9)(Dropout(0.5, name="other")(x))])
    key = jax.random.key(0)
    one, other = small.init(key), large.init(key)
    same(one["params"]["dense"], other["params"]["dense"])
    outputs = large.apply(other, DATA, train=True, rngs={"dropout": key})
    same(small.apply(one, DATA, train=True, rngs={"dropout": key}), outputs[0])


def test_mutable():  # oracle: Flax' convention, and the statistics' closed form
    outputs, updates = PURE.apply(STATE, DATA, mutable=["batch_stats"])
    same(outputs, PURE.apply(STATE, DATA))
    same(updates, {"batch_stats": STATE["batch_stats"]})
    x = Input((8,))
    graph = Graph(x, BatchNormalization(momentum=0.75)(x))
    _, updates = graph.apply(graph.init(jax.random.key(0)), DATA, train=True, mutable=True)
    assert_close(updates["batch_stats"]["batch_normalization"]["mean"], 0.25 * DATA.mean(0))


def test_inputs_of_another_precision_stay_so():  # oracle: JAX's promotion of the input with float32 params
    x = Input((8,))
    graph = Graph(x, x * 2.0)
    assert graph.apply({}, DATA.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), VARIABLES)
    assert GRAPH.apply(half, [A.astype(jnp.bfloat16), B])[0].dtype == jnp.bfloat16
