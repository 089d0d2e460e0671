"""Adapting to data, and messages."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from jaxgraphs.errors import GraphError
from jaxgraphs.layers.preprocessing import CategoryEncoding, Normalization
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import Input
from tests.oracle import assert_close, keras_rules

DATA = np.random.default_rng(0).normal(3.0, 2.0, (10, 3, 4)).astype("float32")


@pytest.mark.parametrize("axis", [-1, None, 1, (1, 2)])
@pytest.mark.parametrize("invert", [False, True])
def test_adapt(axis, invert):  # oracle: Keras
    layer = Normalization(axis, invert=invert).adapt(DATA)
    with keras_rules():
        twin = keras.layers.Normalization(axis, invert=invert)
        twin.adapt(DATA)
        expected = twin(DATA)
    assert_close(layer.run({}, (jnp.asarray(DATA),), {}, Context()).outputs, expected)


def test_adapt_to_batches_is_adapt_to_all():  # oracle: the array in one piece
    whole = Normalization().adapt(DATA)
    parts = Normalization().adapt((DATA[start : start + 4], None) for start in range(0, 10, 4))
    assert_close(parts.mean, whole.mean, 1e-12)
    assert_close(parts.variance, whole.variance, 1e-12)


def test_statistics_that_are_not_given_are_state():  # oracle: (x - mean) / sqrt(var)
    layer = Normalization()
    variables = layer.init(jax.random.key(0), Input((4,)).spec)
    assert jax.tree.map(jnp.shape, variables) == {"batch_stats": {"mean": (4,), "var": (4,), "count": ()}}
    filled = {"batch_stats": {"mean": jnp.full(4, 2.0), "var": jnp.full(4, 9.0), "count": jnp.array(3)}}
    np.testing.assert_allclose(layer.run(filled, (jnp.full((1, 4), 5.0),), {}, Context()).outputs, np.ones((1, 4)))


@pytest.mark.parametrize("weights", [None, np.array([[0.5, 2.0, 1.0]], "float32")])
def test_count_weights(weights):  # oracle: the counts themselves
    given = {} if weights is None else {"count_weights": jnp.asarray(weights)}
    counts = CategoryEncoding(3, "count").run({}, (jnp.array([[0, 2, 2]]),), given, Context()).outputs
    np.testing.assert_array_equal(counts, [[1.0, 0.0, 2.0]] if weights is None else [[0.5, 0.0, 3.0]])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Normalization(mean=1.0),
        lambda: Normalization(mean=[1.0, 2.0], variance=[1.0]),
        lambda: Normalization(mean=[1.0, 2.0], variance=[1.0, 2.0])(Input((3,))),
        lambda: Normalization(axis=3)(Input((3,))),
        lambda: Normalization().adapt([]),
        lambda: Normalization().adapt(3),
        lambda: CategoryEncoding(0),
        lambda: CategoryEncoding(3, "tf_idf"),
        lambda: CategoryEncoding(3)(Input((3,))),
        lambda: CategoryEncoding(3)(Input((3, 2), dtype="int32")),
    ],
)
def test_what_does_not_fit(make):  # oracle: the kind of error
    with pytest.raises(GraphError):
        make()
