"""What the catalogue does not show of normalisations: frozen layers, padded batches, half precision, messages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.errors import GraphError, GraphValueError, ShapeMismatchError
from jaxgraphs.layers.feature_norm import GroupNormalization, LayerNormalization
from jaxgraphs.layers.norm import BatchNormalization
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import Input
from jaxgraphs.symbolic.spec import TensorSpec
from tests.oracle import assert_close

X = np.random.default_rng(0).normal(3.0, 2.0, (6, 4)).astype("float32")


def variables(layer, x=X):
    """The layer's arrays for inputs like x."""
    return layer.init(jax.random.key(0), TensorSpec.of(x))


def test_a_frozen_layer_behaves_as_at_inference():  # oracle: the call with train=False
    layer = BatchNormalization(trainable=False)
    ran = layer.run(variables(layer), (X,), {}, Context(train=True))
    assert_close(ran.outputs, layer.run(variables(layer), (X,), {}, Context()).outputs)
    assert not ran.state


def test_moving_statistics_are_the_batchs_by_the_momentum():  # oracle: NumPy
    layer = BatchNormalization(momentum=0.9)
    state = layer.run(variables(layer), (X,), {}, Context(train=True)).state["batch_stats"]
    assert_close(state["mean"], 0.1 * X.mean(0))
    assert_close(state["var"], 0.9 + 0.1 * X.var(0))


def test_rows_that_pad_a_batch_weigh_nothing():  # oracle: the batch without them
    layer = BatchNormalization()
    padded = np.concatenate([X, np.full((2, 4), 99.0, "float32")])
    context = Context(train=True, present=jnp.arange(8) < 6)
    ran = layer.run(variables(layer), (padded,), {}, context)
    short = layer.run(variables(layer), (X,), {}, Context(train=True))
    assert_close(ran.outputs[:6], short.outputs)
    assert_close(ran.state["batch_stats"]["var"], short.state["batch_stats"]["var"])


def test_half_precision_has_float32_statistics():  # oracle: NumPy in float64
    x = jnp.asarray(np.random.default_rng(1).normal(300.0, 2.0, (512, 1)), jnp.float16)
    layer = BatchNormalization(momentum=0.0)
    state = layer.run(variables(layer, x), (x,), {}, Context(train=True)).state["batch_stats"]
    assert state["var"].dtype == jnp.float32
    assert_close(state["var"], np.var(np.asarray(x, np.float64), axis=0), 1e-4)


@pytest.mark.parametrize("shape", [(None, None, 3), (None, 3)])
def test_unknown_sizes(shape):  # oracle: the input's shape
    for layer in (BatchNormalization(), LayerNormalization(), GroupNormalization(3)):
        assert layer(Input(shape)).shape == (None, *shape)


@pytest.mark.parametrize(
    ("make", "shape", "words"),
    [
        (lambda: BatchNormalization(axis=3), (4,), "axis=3, and its input has 2 axes"),
        (lambda: LayerNormalization(axis=(1, -1)), (4,), r"axis=\(1, -1\)"),
        (lambda: GroupNormalization(3), (4,), "into 3 groups"),
        (lambda: GroupNormalization(2), (None,), "into 2 groups"),
    ],
)
def test_inputs_that_do_not_fit(make, shape, words):  # oracle: the message
    with pytest.raises(ShapeMismatchError, match=words):
        make()(Input(shape))


def test_whole_numbers_are_refused():  # oracle: the kind of error
    with pytest.raises(GraphError, match="int32"):
        BatchNormalization()(Input((4,), dtype="int32"))


@pytest.mark.parametrize(
    "make",
    [lambda: BatchNormalization(momentum=1.5), lambda: BatchNormalization(epsilon=-1.0), lambda: GroupNormalization(0)],
)
def test_arguments_without_sense(make):  # oracle: the kind of error
    with pytest.raises(GraphValueError):
        make()
