"""Functions that compute each row by itself, and others: by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.symbolic.by_row import is_by_row
from jaxgraphs.symbolic.spec import TensorSpec


def spec(*shape, dtype="float32"):
    return TensorSpec.of_shape((None, *shape), dtype)


X, SEQUENCE, UNKNOWN, IMAGE, IDS = spec(4), spec(5, 4), spec(None, 4), spec(8, 8, 3), spec(5, dtype="int32")
KERNEL = np.ones((3, 3, 3, 2), np.float32)


def convolved(x):
    return jax.lax.conv_general_dilated(x, KERNEL, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def summed_over_time(x):
    start = jnp.zeros((x.shape[0], 4))
    return jax.lax.scan(lambda sums, step: (sums + step, None), start, jnp.swapaxes(x, 0, 1))[0]


BY_ROW = [
    (lambda x: jax.nn.softmax(x @ jnp.ones((4, 3))), X),
    (lambda x: x.mean(1), UNKNOWN),
    (lambda x: x.reshape(x.shape[0], -1), SEQUENCE),
    (lambda x: jnp.roll(x, 1, 1), SEQUENCE),
    (lambda x: jnp.cumsum(x, 1), X),
    (lambda x: jnp.sort(x, -1), X),
    (lambda x: x[:, 1:-1] * 2, SEQUENCE),
    (lambda x: jnp.concatenate([x, x[:, :1]], 1), SEQUENCE),
    (lambda x: jnp.einsum("btc,bsc->bts", x, x), SEQUENCE),
    (lambda ids: jnp.take(jnp.ones((7, 3)), ids, axis=0), IDS),
    (lambda x: jnp.take(x, jnp.array([0, 2]), axis=1), SEQUENCE),
    (lambda x: jnp.take_along_axis(x, jnp.argmax(x, 1, keepdims=True), 1), SEQUENCE),
    (lambda x: jnp.pad(x, ((0, 0), (1, 1), (0, 0))), SEQUENCE),
    (convolved, IMAGE),
    (lambda x: jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"), IMAGE),
    (lambda x: jnp.linalg.norm(x, axis=-1), X),
    (summed_over_time, SEQUENCE),
    (lambda x: x + jnp.arange(x.shape[0]).astype(x.dtype)[:, None], X),
    (lambda x: jax.image.resize(x, (x.shape[0], 16, 16, 3), "bilinear"), IMAGE),
    (lambda x: jnp.tile(x, (1, 3)), X),
    (lambda x: jnp.stack([x, x], 1), X),
    (lambda x: jax.vmap(lambda row: row - row.mean())(x), SEQUENCE),
]
ACROSS = [
    (lambda x: x[::-1], X),
    (lambda x: x.T @ x, X),
    (lambda x: x @ x.T, X),
    (lambda x: x / x.shape[0], X),
    (lambda x: x - x.mean(), X),
    (lambda x: x.reshape(-1, 4), SEQUENCE),
    (lambda x: x.reshape(5, x.shape[0], 4), SEQUENCE),
    (lambda x: jnp.roll(x, 1, 0), X),
    (lambda x: jnp.cumsum(x, 0), X),
    (lambda x: jnp.sort(x, 0), X),
    (lambda x: x[1:], X),
    (lambda x: x[0], X),
    (lambda x: jnp.concatenate([x, x], 0), X),
    (lambda x: jnp.stack([x, x], 0), X),
    (lambda x: jnp.take(x, jnp.array([0, 2]), axis=0), SEQUENCE),
    (lambda x: jnp.pad(x[1:], ((0, 1), (0, 0))), X),
    (lambda x: jax.lax.scan(lambda sums, row: (sums + row, sums), jnp.zeros(4), x)[1], X),
    (lambda x: x + jnp.arange(x.shape[0]).astype(x.dtype)[::-1][:, None], X),
    (lambda x: x + jax.random.normal(jax.random.key(0), x.shape), X),
    (lambda x: jnp.ones((2, 4)), X),
    (lambda x: x + jnp.ones((3, 4)), X),
]


@pytest.mark.parametrize(("function", "x"), BY_ROW)
def test_by_row(function, x):  # oracle: by hand; and the numbers themselves, of all rows and of two of them
    assert is_by_row(function, [x], [True])
    random = np.random.default_rng(0)
    shape = (3, *(6 if size is None else size for size in x.shape[1:]))
    array = jnp.asarray(random.integers(0, 7, shape) if x.dtype == np.int32 else random.normal(size=shape), x.dtype)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        np.testing.assert_allclose(function(array)[:2], function(array[:2]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("function", "x"), ACROSS)
def test_across_rows(function, x):  # oracle: by hand
    assert not is_by_row(function, [x], [True])


def test_what_is_the_same_for_all_rows():  # oracle: by hand
    weights = TensorSpec.of_shape((4, 4), "float32")
    assert is_by_row(lambda x, weights: x @ weights, [X, weights], [True, False])
    assert not is_by_row(lambda x, weights: weights @ weights, [X, weights], [True, False])
