"""What recurrent layers do with masks, states, dropout and odd arguments."""

from textwrap import dedent

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxgraphs.errors import GraphError, ShapeMismatchError
from jaxgraphs.layers import cells, recurrent, wrappers
from jaxgraphs.layers.core import Dense
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import Input
from jaxgraphs.symbolic.spec import TensorSpec
from tests.oracle import assert_close, assert_trees_close, keras_rules

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(5, 4, 2)).astype(np.float32)
# Holes, padding on either side, a row without any step, and a row that is whole.
MASK = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
STATES = [RANDOM.normal(size=(5, 3)).astype(np.float32) for _ in range(4)]
EVERY = {"return_sequences": True, "return_state": True}


def compute(layer, variables, x=X, *, train=False, key=None, **kwargs):
    """A call on arrays: a Ran."""
    context = Context(train=train, rngs={} if key is None else {"dropout": key}, masks=(None,))
    return layer.run(variables, (jnp.asarray(x),), kwargs, context)


def agree(ours, theirs, **call):
    """From the same seeded weights, both give the same."""
    with keras_rules():
        theirs(X, **call)
        for weight in theirs.weights:
            weight.assign(np.random.default_rng(1).normal(scale=0.5, size=weight.shape))
        expected = theirs(X, **call)
    variables = ours.variable_specs(TensorSpec.of(X))
    # JAX sorts the names of a mapping; Keras lists kernel, recurrent_kernel, bias, forward before backward.
    places = sorted(jax.tree_util.tree_leaves_with_path(variables), key=lambda leaf: _keras_order(leaf[0]))
    arrays = {jax.tree_util.keystr(path): jnp.asarray(w) for (path, _), w in zip(places, theirs.weights, strict=True)}
    variables = jax.tree_util.tree_map_with_path(lambda path, _: arrays[jax.tree_util.keystr(path)], variables)
    actual = compute(ours, variables, **jax.tree.map(jnp.asarray, call)).outputs
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert_close(one, other)


def _keras_order(path):
    names = [entry.key for entry in path]
    return "backward" in names, ("kernel", "recurrent_kernel", "bias").index(names[-1])


OPTIONS = [
    ("LSTM", {}),
    ("LSTM", EVERY),
    ("LSTM", {**EVERY, "go_backwards": True}),
    ("LSTM", {"zero_output_for_mask": True}),
    ("LSTM", {**EVERY, "zero_output_for_mask": True, "go_backwards": True}),
    ("LSTM", {"unit_forget_bias": False}),
    ("LSTM", {**EVERY, "unroll": True}),
    ("GRU", {**EVERY, "reset_after": False}),
    ("SimpleRNN", {"go_backwards": True, "use_bias": False}),
]


@pytest.mark.parametrize(("name", "arguments"), OPTIONS, ids=str)
def test_masks_with_holes(name, arguments):  # oracle: Keras
    agree(getattr(recurrent, name)(3, **arguments), getattr(keras.layers, name)(3, **arguments), mask=MASK)


@pytest.mark.parametrize(("name", "count"), [("LSTM", 2), ("GRU", 1), ("SimpleRNN", 1)])
def test_initial_state(name, count):  # oracle: Keras
    ours, theirs = getattr(recurrent, name)(3, **EVERY), getattr(keras.layers, name)(3, **EVERY)
    agree(ours, theirs, initial_state=STATES[:count], mask=MASK)


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave", None])
def test_bidirectional_merges(mode):  # oracle: Keras
    arguments = EVERY if mode in ("ave", None) else {}
    ours = wrappers.Bidirectional(recurrent.LSTM(3, **arguments), mode)
    theirs = keras.layers.Bidirectional(keras.layers.LSTM(3, **arguments), mode)
    agree(ours, theirs, initial_state=STATES, mask=MASK)


def test_unrolled_masks_are_the_loop():  # oracle: the loop; Keras' unrolled step forgets zero_output_for_mask
    layer = recurrent.LSTM(3, **EVERY, zero_output_for_mask=True)
    variables = layer.init(jax.random.key(0), TensorSpec.of(X))
    loop, unrolled = (compute(one, variables, mask=MASK).outputs for one in (layer, layer.replace(unroll=True)))
    assert_trees_close(unrolled, loop)


def test_mask_of_parts_counts_a_step_when_any_part_does():  # oracle: the mask of whole steps
    layer = recurrent.GRU(3)
    variables = layer.init(jax.random.key(0), TensorSpec.of(X))
    parts = MASK[..., None] & np.array([True, False])
    assert_close(compute(layer, variables, mask=parts).outputs, compute(layer, variables, mask=MASK).outputs, 0)


@pytest.mark.parametrize("arguments", [{}, {"return_sequences": True}, {"return_state": True}, EVERY], ids=str)
def test_output_masks(arguments):  # oracle: Keras' compute_mask
    masks = recurrent.LSTM(3, **arguments).output_mask(Context(masks=(MASK,)), X)
    expected = keras.layers.LSTM(3, **arguments).compute_mask(X, MASK)
    assert jax.tree.structure(masks) == jax.tree.structure(expected)
    assert all(one is MASK for one in jax.tree.leaves(masks))


@pytest.mark.parametrize("name", ["SimpleRNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("recurrent_dropout", [0.0, 0.4])
def test_dropped_step(name, recurrent_dropout):  # oracle: Keras' cell with the same masks
    arguments = {"dropout": 0.5, "recurrent_dropout": recurrent_dropout}
    variants = [{"reset_after": False}, {}] if name == "GRUCell" else [{}]
    for more in variants:
        ours, theirs = (getattr(module, name)(3, **arguments, **more) for module in (cells, keras.layers))
        weights = ours.init(jax.random.key(0), TensorSpec.of(X[:, 0]), [])["params"]
        drops = ours.draw(5, 2, jnp.float32, Context(train=True, rngs={"dropout": jax.random.key(1)}))
        states = tuple(STATES[: len(ours.state_sizes)])
        with keras_rules():
            theirs.build((5, 2))
            for weight in weights:
                getattr(theirs, weight).assign(weights[weight])
            single = not hasattr(theirs, "dropout_mask_count")
            theirs._dropout_mask, theirs._recurrent_dropout_mask = (
                None if masks is None else masks[0] if single else list(masks) for masks in drops
            )
            expected, _ = theirs.call(X[:, 0], list(states), training=True)
        assert_close(ours.step(weights, X[:, 0], states, drops)[0], expected)


def test_dropout_draws_one_mask_a_sequence():  # oracle: closed form: an identity without memory shows the mask itself
    plain = {"activation": None, "kernel_initializer": "identity", "recurrent_initializer": "zeros"}
    layer = recurrent.SimpleRNN(50, **plain, dropout=0.25, return_sequences=True)
    x = np.ones((40, 3, 50), np.float32)
    variables = layer.init(jax.random.key(0), TensorSpec.of(x))
    y = np.asarray(compute(layer, variables, x, train=True, key=jax.random.key(3)).outputs)
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.75], rtol=1e-6)
    # 2000 draws with probability 0.75: five standard deviations are 0.05.
    assert abs((y[:, 0] > 0).mean() - 0.75) < 0.05
    np.testing.assert_array_equal(compute(layer, variables, x).outputs, x)


def test_dropout_needs_a_key():  # oracle: the message's subject
    layer = recurrent.LSTM(3, recurrent_dropout=0.5, name="reader")
    with pytest.raises(GraphError, match="draws random numbers when train=True"):
        compute(layer, layer.init(jax.random.key(0), TensorSpec.of(X)), train=True)


def test_directions_drop_apart():  # oracle: equal weights give equal outputs only under equal masks
    layer = wrappers.Bidirectional(recurrent.SimpleRNN(3, dropout=0.5), None)
    variables = layer.init(jax.random.key(0), TensorSpec.of(X))
    same = {"params": dict.fromkeys(("forward", "backward"), variables["params"]["forward"])}
    x = np.broadcast_to(X[:, :1], X.shape)
    forward, backward = compute(layer, same, x).outputs
    assert_close(forward, backward, 0)
    forward, backward = compute(layer, same, x, train=True, key=jax.random.key(0)).outputs
    assert not np.allclose(forward, backward)


def test_forget_bias_starts_at_one():  # oracle: closed form
    arrays = recurrent.LSTM(2, bias_initializer="zeros").init(jax.random.key(0), TensorSpec.of(X))["params"]
    assert arrays["bias"].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("wrap", [lambda layer: layer, wrappers.Bidirectional], ids=["alone", "bidirectional"])
def test_unknown_batch_and_time(wrap):  # oracle: the shapes, by hand
    width = 3 if wrap(recurrent.GRU(3)).kind == "GRU" else 6
    outputs = wrap(recurrent.GRU(3, **EVERY, dropout=0.5))(Input((None, 2)))
    assert [output.shape for output in outputs][:2] == [(None, None, width), (None, 3)]


def test_symbolic_states():  # oracle: the shapes, by hand
    x, h, c = Input((None, 2)), Input((3,), name="h"), Input((3,), name="c")
    assert recurrent.LSTM(3)(x, initial_state=[h, c], training=False).shape == (None, 3)
    assert recurrent.LSTM(3)(x, [h, c]).shape == (None, 3)
    _, states, more = recurrent.RNN([cells.LSTMCell(3), cells.GRUCell(2)], return_state=True)(x)
    assert [state.shape for state in (*states, *more)] == [(None, 3), (None, 3), (None, 2)]


def test_states_of_another_width_are_refused():  # oracle: the message, word for word
    x, h = Input((None, 2), name="text"), Input((4,), name="h")
    with pytest.raises(ShapeMismatchError) as caught:
        recurrent.LSTM(3, name="reader")(x, initial_state=[h, h])
    assert str(caught.value) == dedent("""\
        LSTM 'reader' cannot start from this initial_state.
          where:    text, h, h -> reader
          received: (batch, 4) float32, (batch, 4) float32
          expected: (batch, 3), (batch, 3)
          fix:      initial_state=[...] with 2 tensors of these widths""")


REFUSED = [
    (lambda: recurrent.LSTM(3, stateful=True), "LSTM cannot be stateful"),
    (lambda: recurrent.LSTM(0), "LSTM needs units to be positive whole numbers"),
    (lambda: recurrent.GRU(3, dropout=1.0), "GRU needs dropout to be a rate"),
    (lambda: recurrent.LSTM(3)(Input((2,))), "LSTM reads a sequence"),
    (lambda: recurrent.LSTM(3)(Input((None, 2), dtype="int32")), "LSTM multiplies"),
    (lambda: recurrent.LSTM(3, unroll=True)(Input((None, 2))), "LSTM cannot unroll an unknown number of steps"),
    (lambda: recurrent.RNN(Dense(3)), "RNN needs a cell"),
    (lambda: recurrent.RNN(recurrent.LSTM(3)), "RNN needs a cell"),
    (lambda: recurrent.RNN([]), "StackedRNNCells needs a cell"),
    (lambda: recurrent.GRU(3)(Input((None, 2)), initial_state=[Input((3,))] * 2), "GRU cannot start from this"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refusals(make, message):  # oracle: the message's first words
    with pytest.raises(GraphError, match=message):
        make()


def test_cells_weights_keep_their_dtype_and_rules():  # oracle: the cell's own arguments
    cell = cells.LSTMCell(3, dtype="bfloat16", kernel_regularizer="l2", recurrent_constraint="non_neg")
    weights = recurrent.RNN([cell, cells.GRUCell(2)]).weights(TensorSpec.of(X))
    first = weights["cell_0"]
    assert first["kernel"].regularizer is cell.kernel_regularizer
    assert first["recurrent_kernel"].constraint is cell.recurrent_constraint
    assert [weights[name]["bias"].dtype for name in ("cell_0", "cell_1")] == [jnp.bfloat16, None]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_starts_orthogonal(dtype):  # oracle: the float32 draw, rounded
    half, full = (
        recurrent.GRU(3, dtype=name).init(jax.random.key(0), TensorSpec.of(X))["params"] for name in (dtype, None)
    )
    assert {array.dtype for array in half.values()} == {jnp.dtype(dtype)}
    assert_close(half["recurrent_kernel"], full["recurrent_kernel"], 1e-2)


def test_frozen_cell_freezes_the_layer():  # oracle: the flag
    assert not recurrent.RNN(cells.LSTMCell(3, trainable=False)).trainable
    assert not wrappers.Bidirectional(recurrent.LSTM(3, trainable=False)).trainable


def test_under_shard_map():  # oracle: the plain call
    layer, x = recurrent.LSTM(3, **EVERY), jnp.asarray(X[:4])
    variables = layer.init(jax.random.key(0), TensorSpec.of(x))
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    split, whole = PartitionSpec("data"), PartitionSpec()

    def call(variables, x):
        return layer.run(variables, (x,), {}, Context(masks=(None,))).outputs

    sharded = jax.shard_map(call, mesh=mesh, in_specs=(whole, split), out_specs=split)
    assert_trees_close(jax.jit(sharded)(variables, x), call(variables, x))
