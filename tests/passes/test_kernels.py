"""Arithmetic that stands for XLA's own gives the same numbers and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.layers.convolve import convolve
from jaxgraphs.layers.pooling import max_pool
from jaxgraphs.passes.kernels.convolution import convolve_by_products
from jaxgraphs.passes.kernels.pooling import shifted_max_pool
from tests.passes.test_equal import assert_near, quickly

CONVOLUTIONS = [
    ((2, 7, 6, 3), (3, 2, 3, 4), (1, 1), "same", (1, 1)),
    ((2, 7, 6, 3), (3, 3, 3, 4), (2, 3), "valid", (1, 1)),
    ((2, 8, 9, 3), (3, 2, 3, 4), (1, 1), "same", (2, 1)),
    ((2, 9, 3), (4, 3, 2), (1,), "causal", (2,)),
    ((1, 5, 5, 5, 2), (2, 2, 2, 2, 3), (2, 1, 2), "same", (1, 1, 1)),
]


def numbers(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def with_gradients(function, *arrays):
    """The outputs, gradients, and gradients of the gradients' squares."""

    def total(*arrays):
        return jnp.sum(jnp.sin(function(*arrays)))

    places = tuple(range(len(arrays)))

    def slopes(*arrays):
        return sum(jnp.sum(slope**2) for slope in jax.grad(total, places)(*arrays))

    return function(*arrays), jax.grad(total, places)(*arrays), jax.grad(slopes, places)(*arrays)


@pytest.mark.parametrize(("image", "window", "strides", "padding", "dilation"), CONVOLUTIONS)
def test_convolution(image, window, strides, padding, dilation):  # oracle: XLA's convolution, to its second derivative
    options = {"strides": strides, "padding": padding, "dilation": dilation}

    def pair(x, kernel):
        ours = with_gradients(lambda x, kernel: convolve_by_products(x, kernel, **options), x, kernel)
        return ours, with_gradients(lambda x, kernel: convolve(x, kernel, **options), x, kernel)

    assert_near(*quickly(pair, numbers(image), numbers(window, 1)))


POOLINGS = [
    ((2, 7, 6, 3), (1, 3, 3, 1), (1, 2, 2, 1), "same"),
    ((2, 7, 7, 3), (1, 2, 3, 1), (1, 3, 1, 1), "valid"),
    ((2, 3, 8), (1, 1, 3), (1, 1, 1), "same"),
    ((1, 5, 4, 6, 2), (1, 2, 2, 2, 1), (1, 2, 2, 2, 1), "same"),
    # Between windows lie numbers that none of them reads.
    ((2, 9, 2), (1, 2, 1), (1, 4, 1), "valid"),
]


@pytest.mark.parametrize(("shape", "window", "strides", "padding"), POOLINGS)
def test_pooling(shape, window, strides, padding):  # oracle: XLA's windows; many numbers are alike
    place = (window, strides, padding)

    def pair(x):
        ours = with_gradients(lambda x: shifted_max_pool(x, *place), x)
        return ours[:2], with_gradients(lambda x: max_pool(x, *place), x)[:2]

    assert_near(*quickly(pair, jnp.round(numbers(shape))))
