"""Rows that fill a short batch up change nothing: where a function of the user's reads several rows, there are none."""

from textwrap import dedent

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs import Graph, Input, layers
from jaxgraphs.layers.base import Layer, describes
from jaxgraphs.training.filling import can_fill

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(10, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True)


def squared(y_true, y_pred):
    """One number for a batch."""
    return jnp.mean((y_true - y_pred) ** 2)


def graph_of(*between):
    x = y = Input((3,), name="x")
    for layer in between:
        y = layer(y)
    return Graph(x, layers.Dense(1, name="y")(y))


@describes
class Centred(Layer):
    """Reads several rows."""

    def call(self, weights, x, *, context):
        return x - x.mean(0, keepdims=True)


@describes
class Doubled(Layer):
    """Reads each row by itself."""

    def call(self, weights, x, *, context):
        return 2 * x


ALONE = [
    layers.BatchNormalization(),
    Doubled(),
    jg.layer(jnp.tanh),
    layers.Lambda(lambda x: x / x.sum(-1, keepdims=True)),
    lambda x: x * 2 + x[:, :1],
    graph_of(jg.layer(jnp.tanh)),
]
ACROSS = [
    Centred(),
    nn.Dense(3),
    jg.layer(lambda x: x - x.mean(0, keepdims=True)),
    layers.Lambda(lambda x: x[::-1]),
    graph_of(Centred()),
]


@pytest.mark.parametrize(("between", "wanted"), [*((one, True) for one in ALONE), *((one, False) for one in ACROSS)])
def test_calls(between, wanted):  # oracle: by hand
    graph = graph_of(jg.layer(between) if isinstance(between, nn.Module) else between)
    assert can_fill(graph, jg.Trainer(graph, "sgd", "mse").objective) is wanted


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"loss": lambda y_true, y_pred: abs(y_true - y_pred).mean(-1)}, True),
        ({"loss": squared}, False),
        ({"loss": "mse", "metrics": [squared]}, False),
        ({"loss": "mse", "weighted_metrics": [lambda y_true, y_pred: abs(y_true - y_pred)]}, True),
    ],
)
def test_losses_and_metrics(options, wanted):  # oracle: by hand
    assert can_fill(graph_of(), jg.Trainer(graph_of(), "sgd", **options).objective) is wanted


def test_a_loss_of_one_number():  # oracle: mean squared error, which has a number for each row
    given, named = (jg.Trainer(graph_of(), "sgd", loss, metrics=[loss]) for loss in (squared, "mse"))
    state = given.init(jax.random.key(0))
    ends = [trainer.fit(state, X, Y, batch_size=7, shuffle=False, verbose=0) for trainer in (given, named)]
    for one, other in zip(*(jax.tree.leaves(state.params) for state, _ in ends), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    numbers = [list(trainer.evaluate(state, X, Y, batch_size=7).values()) for trainer in (given, named)]
    np.testing.assert_allclose(*numbers, rtol=1e-5)


def test_a_layer_that_reads_several_rows():  # oracle: the graph on each batch
    graph = graph_of(Centred())
    trainer = jg.Trainer(graph, "sgd", "mse")
    state = trainer.init(jax.random.key(0))
    expected = [graph.apply(state.variables, rows) for rows in (X[:7], X[7:])]
    np.testing.assert_allclose(trainer.predict(state, X, batch_size=7), np.concatenate(expected), rtol=1e-5)


def test_parts_of_a_batch_have_one_size():  # oracle: the message
    trainer = jg.Trainer(graph_of(), "sgd", squared, accumulate=2)
    with pytest.raises(jg.GraphValueError) as caught:
        trainer.train_step(trainer.init(jax.random.key(0)), (X[:5], Y[:5]))
    assert str(caught.value) == dedent("""\
        A loss gives one number for a batch of which some rows only fill it up, and cannot leave them out.
          expected: a value for each example, such as jnp.mean(..., axis=-1)
          fix:      or a number of examples that batches, devices and parts of a batch divide evenly""")
