"""What augmentations draw: which pictures come out, and that the key decides."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from jaxgraphs import layers
from jaxgraphs.errors import GraphError
from jaxgraphs.layers.warp import affine_transform
from jaxgraphs.layers.warp_augmentation import homography
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import Input
from tests.oracle import keras_rules

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


COLOURS = jnp.asarray(np.random.default_rng(1).uniform(0, 255, (64, 8, 9, 3)).astype("float32"))
SHARES = {
    "RandomGrayscale": (layers.RandomGrayscale(0.25), 0.25),
    "RandomInvert": (layers.RandomInvert((0.25, 0.25)), 0.25),
    # The chance is drawn too: on average half of the most.
    "RandomErasing": (layers.RandomErasing(0.5, scale=(0.2, 0.3)), 0.25),
    "RandomGaussianBlur": (layers.RandomGaussianBlur(0.5), 0.25),
    "RandomPerspective": (layers.RandomPerspective(0.5, scale=0.3), 0.25),
    "RandomElasticTransform": (layers.RandomElasticTransform(0.5), 0.25),
}


@pytest.mark.parametrize("name", SHARES)
def test_a_share_of_the_pictures_is_changed(name):  # oracle: the binomial distribution's bounds
    layer, share = SHARES[name]
    changed = np.any(np.asarray(train(layer, COLOURS) != COLOURS), axis=(1, 2, 3))
    assert abs(changed.mean() - share) < 4 * np.sqrt(share * (1 - share) / len(changed))


def test_shear():  # oracle: the pictures sheared one way or the other
    y = train(layers.RandomShear((0.2, 0.2), (0.1, 0.1)), COLOURS)
    ways = [affine_transform(COLOURS, [1, s * 0.2, 0, s * 0.1, 1, 0, 0, 0], fill_mode="reflect") for s in (1, -1)]
    each = np.stack([np.max(np.abs(np.asarray(y - way)), axis=(1, 2, 3)) < 1e-2 for way in ways])
    assert np.all(each.sum(0) == 1)
    assert 16 < each[0].sum() < 48


def test_perspective():  # oracle: Keras' transform of the corners, here three of them where they were
    start = jnp.array([[0.0, 0.0], [8.0, 0.0], [0.0, 7.0], [8.0, 7.0]])
    end = start.at[3].set(jnp.array([6.0, 5.0]))
    numbers = homography(start, end)
    with keras_rules():
        expected = keras.ops.image.perspective_transform(COLOURS[:1], start[None], end[None])
    found = affine_transform(COLOURS[:1], numbers, "bilinear", "constant", 0.0)
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_erasing():  # oracle: one rectangle of the value in each picture, of sides within the bounds
    covered = np.asarray(train(layers.RandomErasing((1, 1), scale=(0.25, 0.25), fill_value=300.0), COLOURS) == 255.0)
    rows, columns = covered.any((2, 3)).sum(1), covered.any((1, 3)).sum(1)
    assert set(rows) == {4}
    assert set(columns) <= {4, 5}
    np.testing.assert_array_equal(covered.sum((1, 2, 3)), 3 * rows * columns)


def test_hue_and_tones():  # oracle: the values that are left alone, and how many tones there are
    y = train(layers.RandomHue(0.5), COLOURS)
    np.testing.assert_allclose(y.max(-1), COLOURS.max(-1), rtol=1e-4)
    np.testing.assert_allclose(y.min(-1), COLOURS.min(-1), atol=1e-2)
    assert set(np.unique(train(layers.RandomPosterization(2), COLOURS))) <= {0.0, 64.0, 128.0, 192.0}
    y = train(layers.Solarization(threshold_factor=(0.5, 0.5)), COLOURS)
    kept, inverted = np.asarray(y == COLOURS), np.isclose(y, 255 - COLOURS, atol=1e-3)
    assert np.all(kept | inverted)
    assert 0.05 < kept.mean() < 0.45


def test_mixing():  # oracle: every picture is what two of the batch give
    rows = jnp.broadcast_to(jnp.arange(16.0)[:, None, None, None], (16, 8, 9, 3))
    y = np.asarray(train(layers.MixUp(1.0), rows))
    assert np.all((y >= 0) & (y <= 15))
    assert np.ptp(y, axis=(1, 2, 3)).max() < 1e-5
    y = np.asarray(train(layers.CutMix(), rows))
    own = y == np.asarray(rows)
    others = [set(np.unique(picture)) for picture in y]
    assert all(len(values) <= 2 for values in others)
    assert 0.2 < own.mean() < 0.95
    assert np.mean(y, axis=(1, 2, 3)).std() > 1


SEVERAL = [
    layers.RandAugment(),
    *(pytest.param(each, marks=pytest.mark.slow) for each in (layers.AugMix(), layers.AugMix(all_ops=False))),
]


@pytest.mark.parametrize("layer", SEVERAL, ids=repr)
def test_several_in_a_row(layer):  # oracle: the bounds, the key, and one program for all draws
    run = jax.jit(lambda x, key: layer.run({}, (x,), {}, Context(train=True, rngs={"dropout": key})).outputs)
    outputs = [np.asarray(run(COLOURS, jax.random.key(seed))) for seed in (0, 0, 1, 2)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert all(np.all((y >= -1e-3) & (y <= 255.001)) for y in outputs)
    assert all(np.any(y != outputs[0]) for y in outputs[2:])


def test_flat_channels():  # oracle: the pictures as they are
    flat = jnp.full((2, 4, 4, 1), 7.0)
    for layer in (layers.AutoContrast(), layers.Equalization()):
        np.testing.assert_array_equal(train(layer, flat), flat)
        assert np.all(np.isfinite(jax.grad(lambda x, layer=layer: train(layer, x).sum())(flat)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.RandomGrayscale(1.5),
        lambda: layers.RandomHue((-0.5, -0.1)),
        lambda: layers.RandomPosterization(9),
        lambda: layers.RandomGaussianBlur(kernel_size=4),
        lambda: layers.RandomPerspective(scale=2.0),
        lambda: layers.RandomColorJitter(hue_factor=2.0),
        lambda: layers.RandomElasticTransform(fill_mode="white"),
        lambda: layers.RandAugment(factor=1.5),
        lambda: layers.MixUp(0.0),
        lambda: layers.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(0, 2)),
        lambda: layers.ReversibleEmbedding(5, 3)(Input((4,)), reverse=True),
        lambda: layers.ReversibleEmbedding(5, 3)(Input((4,))),
        lambda: layers.RandomFlip("sideways"),
        lambda: layers.RandomRotation(0.1, fill_mode="white"),
        lambda: layers.RandomCrop(0, 3),
        lambda: train(layers.RandomBrightness((0.1, 0.2, 0.3))),
    ],
)
def test_refused(make):  # oracle: an error of ours
    with pytest.raises(GraphError):
        make()
