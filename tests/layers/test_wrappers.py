"""What Bidirectional and TimeDistributed do beyond the catalogue: state, masks, random numbers, several inputs."""

from textwrap import dedent

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.errors import GraphError, GraphValueError
from jaxgraphs.layers.base import Layer, describes
from jaxgraphs.layers.core import Dense, Dropout, Embedding
from jaxgraphs.layers.norm import BatchNormalization
from jaxgraphs.layers.recurrent import GRU, LSTM
from jaxgraphs.layers.wrappers import Bidirectional, TimeDistributed
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import Input, Ran
from jaxgraphs.symbolic.spec import TensorSpec
from tests.oracle import assert_close, assert_trees_close

RANDOM = np.random.default_rng(0)
X = jnp.asarray(RANDOM.normal(size=(5, 3, 2)), jnp.float32)
MASK = jnp.asarray([[1, 0, 1], [1, 1, 0], [0, 0, 1], [1, 1, 1], [1, 0, 0]], bool)


def compute(layer, variables, *args, train=False, key=None, **kwargs):
    """A call on arrays: a Ran."""
    rngs = {} if key is None else {"dropout": key}
    context = Context(train=train, rngs=rngs, masks=jax.tree.map(lambda _: None, args))
    return layer.run(variables, args, kwargs, context)


def test_masked_statistics_step_after_step():  # oracle: the inner layer called on each step in turn
    inner, layer = BatchNormalization(), TimeDistributed(BatchNormalization())
    variables = layer.init(jax.random.key(0), TensorSpec.of(X))
    ran = compute(layer, variables, X, train=True, mask=MASK)
    expected, state = [], variables["batch_stats"]
    for step in range(3):
        each = compute(inner, {**variables, "batch_stats": state}, X[:, step], train=True, mask=MASK[:, step])
        expected.append(each.outputs)
        state = each.state["batch_stats"]
    assert_close(ran.outputs, jnp.stack(expected, 1))
    assert_trees_close(ran.state["batch_stats"], state)
    assert ran.masks is MASK


def test_each_step_draws_anew():  # oracle: equal steps differ only by what is dropped; the rate is the mean
    layer, x = TimeDistributed(Dropout(0.5)), jnp.ones((40, 3, 50))
    y = np.asarray(compute(layer, {}, x, train=True, key=jax.random.key(0)).outputs)
    assert not np.array_equal(y[:, 0], y[:, 1])
    # 6000 draws: five standard deviations are 0.033.
    assert abs((y > 0).mean() - 0.5) < 0.033
    np.testing.assert_array_equal(compute(layer, {}, x).outputs, x)


def test_penalties_add_up_over_time():  # oracle: the inner layer's penalty on each step
    inner = Dense(3, activity_regularizer="l2")
    layer = TimeDistributed(inner)
    variables = layer.init(jax.random.key(0), TensorSpec.of(X))
    (penalty,) = compute(layer, variables, X).losses
    assert_close(penalty, sum(compute(inner, variables, X[:, step]).losses[0] for step in range(3)))


@describes
class Scaled(Layer):
    """A layer of two tensors with two outputs."""

    def call(self, weights, pair, *, context):
        a, b = pair
        return {"sum": a + b, "total": jnp.sum(a, -1)}


def test_several_tensors():  # oracle: closed form
    ran = compute(TimeDistributed(Scaled()), {}, [X, 2 * X], mask=MASK)
    assert_trees_close(ran.outputs, {"sum": 3 * X, "total": X.sum(-1)})
    assert ran.masks is MASK


class Protocol:
    """No layer of the catalogue, but what a graph offers: specs, arrays and a call."""

    name, kind, default_name, created = None, "Protocol", "protocol", 0

    def variable_specs(self, spec):
        return {
            "params": {"inner": {"kernel": TensorSpec((spec.dims[-1], 4), spec.dtype)}},
            "notes": {"calls": TensorSpec((), "int32")},
        }

    def init(self, key, spec):
        return {
            "params": {"inner": {"kernel": jnp.ones((spec.dims[-1], 4))}},
            "notes": {"calls": jnp.zeros((), "int32")},
        }

    def run(self, variables, args, kwargs, context):
        return Ran(
            args[0] @ variables["params"]["inner"]["kernel"],
            None,
            {"notes": {"calls": variables["notes"]["calls"] + 1}},
        )


def test_anything_with_the_protocol():  # oracle: closed form
    layer = TimeDistributed(Protocol())
    variables = layer.init(jax.random.key(0), TensorSpec.of(X))
    ran = compute(layer, variables, X, train=True)
    assert_close(ran.outputs, jnp.repeat(X.sum(-1, keepdims=True), 4, -1))
    assert ran.state["notes"]["calls"] == 3
    assert compute(layer, variables, X).state == {}
    assert layer(Input((None, 2))).shape == (None, None, 4)


def test_unknown_time():  # oracle: the shapes, by hand
    assert TimeDistributed(Dense(3))(Input((None, 8))).shape == (None, None, 3)
    assert TimeDistributed(LSTM(3))(Input((None, None, 8))).shape == (None, None, 3)
    assert TimeDistributed(Embedding(9, 2))(Input((None, None), dtype="int32")).shape == (None, None, None, 2)
    assert TimeDistributed(BatchNormalization())(Input((None, 8)), training=True).shape == (None, None, 8)


def test_arrays_are_the_inner_layers():  # oracle: the inner layer alone
    spec, key = TensorSpec.of(X), jax.random.key(0)
    assert_trees_close(TimeDistributed(Dense(3)).init(key, spec), Dense(3).init(key, TensorSpec.of(X[:, 0])), 0)
    weights = Bidirectional(LSTM(3, kernel_regularizer="l1", dtype="bfloat16")).weights(spec)
    assert {side: weights[side]["kernel"].regularizer for side in weights} == dict.fromkeys(
        ("forward", "backward"), weights["forward"]["kernel"].regularizer
    )
    assert weights["backward"]["bias"].dtype == jnp.bfloat16


def test_masks_of_both_ways():  # oracle: Keras' rules: a mask for each sequence, none for states
    for mode, returned, expected in [
        ("concat", {"return_sequences": True}, MASK),
        (None, {"return_sequences": True}, [MASK, MASK]),
        ("sum", {}, None),
        ("sum", {"return_sequences": True, "return_state": True}, [MASK, None, None]),
        (None, {"return_sequences": True, "return_state": True}, [MASK, MASK, None, None]),
    ]:
        layer = Bidirectional(GRU(3, **returned), mode)
        masks = layer.output_mask(Context(masks=(MASK,)), X)
        assert jax.tree.structure(masks) == jax.tree.structure(expected)


def test_a_direction_read_twice_is_refused():  # oracle: the message, word for word
    with pytest.raises(GraphValueError) as caught:
        Bidirectional(LSTM(3), backward_layer=LSTM(3), name="both")
    assert str(caught.value) == dedent("""\
        Bidirectional 'both' needs one layer for each direction.
          received: go_backwards=False for both
          fix:      go_backwards=False for `layer`, True for `backward_layer`""")


REFUSED = [
    (lambda: Bidirectional(Dense(3)), "Bidirectional reads with a recurrent layer"),
    (lambda: Bidirectional(LSTM(3), "max"), "Bidirectional does not know this merge_mode"),
    (
        lambda: Bidirectional(LSTM(3), backward_layer=LSTM(3, go_backwards=True, return_state=True)),
        "return the same things",
    ),
    (
        lambda: Bidirectional(LSTM(3))(Input((None, 2)), initial_state=[Input((3,))] * 3),
        "needs states for both directions",
    ),
    (lambda: TimeDistributed(3), "TimeDistributed wraps a layer"),
    (lambda: TimeDistributed(Dense(3))(Input((2,))), "TimeDistributed needs a time axis"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refusals(make, message):  # oracle: the message's words
    with pytest.raises(GraphError, match=message):
        make()
