"""What augmentations draw: which pictures come out, and that the key decides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs import layers
from jaxgraphs.errors import GraphError
from jaxgraphs.symbolic.context import Context

PICTURES = jnp.asarray(np.random.default_rng(0).normal(size=(64, 4, 5, 2)).astype("float32"))


def train(layer, x=PICTURES, seed=0):
    """The layer's output in training."""
    return layer.run({}, (x,), {}, Context(train=True, rngs={"dropout": jax.random.key(seed)})).outputs


@pytest.mark.parametrize(("mode", "axes"), [("horizontal", 2), ("vertical", 1), ("horizontal_and_vertical", (1, 2))])
def test_flip(mode, axes):  # oracle: each picture or its mirror image, about half of each
    y = train(layers.RandomFlip(mode))
    same = np.all(np.asarray(y == PICTURES), axis=(1, 2, 3))
    flipped = np.all(np.asarray(y == jnp.flip(PICTURES, axes)), axis=(1, 2, 3))
    assert np.all(same ^ flipped)
    assert 16 < same.sum() < 48


def test_each_picture_is_drawn_for_and_the_key_decides():  # oracle: inequality
    for layer in (layers.RandomRotation(0.2), layers.RandomZoom(0.3), layers.RandomContrast(0.5, (-9, 9))):
        twice = jnp.concatenate([PICTURES[:1]] * 2)
        y = train(layer, twice)
        assert float(jnp.max(jnp.abs(y[0] - y[1]))) > 1e-3
        np.testing.assert_array_equal(y, train(layer, twice))
        assert float(jnp.max(jnp.abs(y - train(layer, twice, seed=1)))) > 1e-3


def test_contrast():  # oracle: the formula with the factor that the first number gives
    y, mean = train(layers.RandomContrast(0.4, (-99, 99))), PICTURES.mean((1, 2), keepdims=True)
    factors = (y[:, 0, 0, 0] - mean[:, 0, 0, 0]) / (PICTURES[:, 0, 0, 0] - mean[:, 0, 0, 0])
    assert 0.6 <= float(factors.min()) < 0.75
    assert 1.25 < float(factors.max()) <= 1.4
    np.testing.assert_allclose(y, (PICTURES - mean) * factors[:, None, None, None] + mean, atol=1e-5)


def test_crop():  # oracle: a part of the pictures as they are
    y = train(layers.RandomCrop(2, 3))
    parts = [PICTURES[:, row : row + 2, column : column + 3] for row in range(3) for column in range(3)]
    assert sum(bool(jnp.array_equal(y, part)) for part in parts) == 1
    assert layers.RandomFlip().run({}, (jnp.ones((1, 2, 2, 1), jnp.uint8),), {}, Context()).outputs.dtype == jnp.float32


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.RandomFlip("sideways"),
        lambda: layers.RandomRotation(0.1, fill_mode="white"),
        lambda: layers.RandomCrop(0, 3),
        lambda: train(layers.RandomBrightness((0.1, 0.2, 0.3))),
    ],
)
def test_refused(make):  # oracle: an error of ours
    with pytest.raises(GraphError):
        make()
