"""Batch normalisation's own derivative: the numbers, forwards and backwards, and how often it reads the batch."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxgraphs.layers import batch_moments
from jaxgraphs.layers.batch_moments import BatchAxes, counted, moments, normalise
from tests.oracle import assert_close

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(2.0, 3.0, (6, 5, 4)).astype("float32")
SCALE, BIAS = RANDOM.normal(1.0, 0.3, (2, 1, 1, 4)).astype("float32")
BATCH, EPSILON = BatchAxes((0, 1)), 1e-3
COUNTS = RANDOM.random((6, 5, 1)) < 0.7


def step_by_step(x: Any, scale: Any, bias: Any, counts: Any) -> Any:
    """What `normalise` is, differentiated by JAX step by step."""
    weights = jnp.ones_like(x) if counts is None else jnp.broadcast_to(counts, x.shape).astype(x.dtype)
    average = lambda values: jnp.sum(values * weights, (0, 1), keepdims=True) / jnp.sum(weights, (0, 1), keepdims=True)  # noqa: E731
    mean = average(x)
    variance = average(jnp.square(x - mean))
    y = (x - mean) / jnp.sqrt(variance + EPSILON)
    y = y if scale is None else y * scale
    return y if bias is None else y + bias, mean, variance


def summed(outputs: Any) -> Any:
    """A number to which every output contributes by a different amount."""
    return sum(jnp.sum(jnp.sin(output + place)) for place, output in enumerate(outputs))


def each_close(found: Any, expected: Any, tolerance: float) -> None:
    """`assert_close` for each array of two trees."""
    jax.tree.map(lambda a, b: assert_close(a, b, tolerance), found, expected)


@pytest.mark.parametrize("counts", [None, COUNTS], ids=["all", "some"])
@pytest.mark.parametrize("affine", [(SCALE, BIAS), (None, BIAS), (SCALE, None), (None, None)])
def test_the_derivative_is_that_of_the_steps(affine, counts):  # oracle: JAX's derivative of each step, in float64
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda array: jnp.asarray(array, jnp.float64), (X, *affine))
        everything = None if counts is None else BATCH.counts(jnp.broadcast_to(counts, X.shape), wide[0].dtype)
        own = lambda *arrays: normalise(*arrays, everything, BATCH, EPSILON)  # noqa: E731
        steps = lambda *arrays: step_by_step(*arrays, counts)  # noqa: E731
        tangents = jax.tree.map(jnp.cos, wide)
        each_close(jax.jvp(own, wide, tangents), jax.jvp(steps, wide, tangents), 1e-10)
        places = tuple(place for place, array in enumerate(wide) if array is not None)
        gradient = lambda function: jax.grad(lambda *arrays: summed(function(*arrays)), places)  # noqa: E731
        each_close(gradient(own)(*wide), gradient(steps)(*wide), 1e-10)
        check_grads(lambda x: own(x, *wide[1:])[0], (wide[0],), order=2, eps=1e-4)


def test_a_mean_far_from_zero_costs_no_digits():  # oracle: NumPy in float64
    x = RANDOM.normal(1e4, 1.0, (4096, 3)).astype("float32")
    mean, variance = moments(jnp.asarray(x), None, BatchAxes((0,)))
    assert_close(mean[0], x.mean(0, dtype=np.float64), 1e-6)
    assert_close(variance[0], x.var(0, dtype=np.float64), 1e-3)


def test_what_does_not_count_moves_no_gradient():  # oracle: the batch without it
    full = np.concatenate([X, np.full((2, 5, 4), 99.0, "float32")])
    counts = BATCH.counts(jnp.broadcast_to((jnp.arange(8) < 6)[:, None, None], full.shape), full.dtype)

    def loss(x: Any, counts: Any) -> Any:
        y, mean, variance = normalise(x, SCALE, BIAS, counts, BATCH, EPSILON)
        return summed([y[:6], mean, variance])

    found = jax.grad(loss)(jnp.asarray(full), counts)
    assert_close(found[:6], jax.grad(loss)(jnp.asarray(X), None), 1e-5)
    assert not found[6:].any()


def test_the_gradient_sums_over_the_batch_twice():  # oracle: how many sums of the batch's size the program has
    def loss(x: Any, scale: Any, bias: Any) -> Any:
        return jnp.vdot(normalise(x, scale, bias, None, BATCH, EPSILON)[0], X)

    def sums(function: Any) -> int:
        program = jax.jit(function).lower(jnp.asarray(X), SCALE, BIAS).as_text()
        return len(re.findall(r"stablehlo.reduce\(.*across dimensions.*tensor<6x5x4xf32>", program))

    forward = sums(lambda *arrays: normalise(*arrays, None, BATCH, EPSILON)[0])
    assert (forward, sums(jax.grad(loss, (0, 1, 2)))) == (2, 4)


def test_only_the_numbers_that_count_are_kept():  # oracle: NumPy
    assert_close(counted(jnp.asarray(X), COUNTS), np.where(COUNTS, X, 0))


def test_sums_in_pairs_are_the_two_sums():  # oracle: the two sums
    paired, plain = (function((0, 1), jnp.asarray(X)) for function in (batch_moments._paired_sums, batch_moments._sums))
    each_close(paired, plain, 1e-6)
