"""What noise layers do in training: moments, what drops together, and keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.errors import GraphError, ShapeMismatchError
from jaxgraphs.layers import noise
from jaxgraphs.layers.residual import LayerScale, StochasticDepth
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import Input


def train(layer, x, seed=0):
    """The layer's output in training."""
    return layer.run({}, (x,), {}, Context(train=True, rngs={"dropout": jax.random.key(seed)})).outputs


@pytest.mark.parametrize(
    ("layer", "x", "mean", "variance"),
    [
        (noise.GaussianNoise(0.5), 2.0, 2.0, 0.25),
        (noise.GaussianDropout(0.2), 2.0, 2.0, 4 * 0.25),
        (noise.AlphaDropout(0.3), None, 0.0, 1.0),
        (noise.SpatialDropout1D(0.25), 1.0, 1.0, 1 / 3),
        (StochasticDepth(0.25), 1.0, 1.0, 1 / 3),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_moments(layer, x, mean, variance):  # oracle: the noise's mean and variance in closed form
    shape = (20_000, 1, 1)
    y = train(layer, jax.random.normal(jax.random.key(9), shape) if x is None else jnp.full(shape, x))
    # Five standard errors of the mean, and as wide for the variance.
    assert abs(float(y.mean()) - mean) < 5 * (variance / y.size) ** 0.5
    assert abs(float(y.var()) - variance) < 0.06 * max(variance, 0.25)


@pytest.mark.parametrize(
    ("layer", "shape", "alike"),
    [
        (noise.SpatialDropout1D(0.5), (4, 5, 6), (1,)),
        (noise.SpatialDropout2D(0.5), (4, 5, 3, 6), (1, 2)),
        (noise.SpatialDropout2D(0.5, "channels_first"), (4, 6, 5, 3), (2, 3)),
        (noise.SpatialDropout3D(0.5), (4, 5, 3, 2, 6), (1, 2, 3)),
        (StochasticDepth(0.5), (20, 5, 3), (1, 2)),
        (noise.AlphaDropout(0.5, noise_shape=(None, 1, None)), (4, 5, 6), (1,)),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_whole_maps_drop_together(layer, shape, alike):  # oracle: equal numbers along these axes, and only there
    y = np.asarray(train(layer, jnp.ones(shape)))
    assert np.all(y == y.max(alike, keepdims=True))
    assert len(np.unique(y)) == 2


@pytest.mark.parametrize("layer", [noise.GaussianNoise(0.5), noise.GaussianDropout(0.5), noise.AlphaDropout(0.5)])
def test_the_key_decides(layer):  # oracle: the same key, and another
    x = jnp.ones((4, 5))
    np.testing.assert_array_equal(train(layer, x), train(layer, x))
    assert np.any(train(layer, x) != train(layer, x, seed=1))
    with pytest.raises(GraphError, match="no key was given"):
        layer.run({}, (x,), {}, Context(train=True))


@pytest.mark.parametrize(
    "make",
    [
        lambda: noise.GaussianNoise(2.0),
        lambda: noise.GaussianDropout(1.0),
        lambda: noise.AlphaDropout(-0.1),
        lambda: noise.SpatialDropout1D(1.1),
        lambda: noise.SpatialDropout2D(0.5, "rows"),
        lambda: StochasticDepth(2.0),
        lambda: LayerScale(1.0, 0),
    ],
)
def test_arguments_without_sense(make):  # oracle: the kind of error
    with pytest.raises(GraphError):
        make()


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (noise.SpatialDropout2D(0.5), "SpatialDropout1D"),
        (noise.AlphaDropout(0.5, noise_shape=(None, 1)), "noise_shape"),
        (LayerScale(0.1, 5), "5 channels"),
    ],
)
def test_inputs_that_do_not_fit(layer, words):  # oracle: the message
    with pytest.raises(ShapeMismatchError, match=words):
        layer(Input((3, 4)))
