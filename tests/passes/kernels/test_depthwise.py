"""Depthwise convolution as shifted products, beside XLA's grouped one."""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.layers.convolve import depthwise_convolve
from jaxgraphs.passes.kernels.depthwise import shifted_depthwise

# (sizes, window, strides, dilation, padding, channels, multiplier)
CASES = [
    ((7, 9), (3, 3), (1, 1), (1, 1), "same", 5, 1),
    ((8, 7), (3, 2), (2, 3), (1, 1), "same", 4, 1),
    ((9, 8), (3, 3), (2, 2), (1, 1), "valid", 3, 2),
    ((9, 11), (2, 3), (1, 1), (3, 2), "same", 2, 1),
    ((10, 10), (1, 5), (3, 1), (1, 1), "valid", 3, 1),
    ((5, 5), (4, 2), (5, 5), (1, 1), "same", 2, 3),
    ((11,), (3,), (2,), (1,), "same", 4, 2),
    ((11,), (3,), (1,), (2,), "causal", 4, 1),
    ((4, 5, 6), (2, 3, 1), (1, 2, 1), (1, 1, 2), "same", 3, 1),
]


def arrays(sizes, window, channels, multiplier, dtype=np.float32):
    random = np.random.default_rng(0)
    shapes = ((2, *sizes, channels), (*window, channels, multiplier))
    return tuple(jnp.asarray(random.normal(size=shape), dtype) for shape in shapes)


def both(case):
    sizes, window, strides, dilation, padding, channels, multiplier = case
    options = {"strides": strides, "dilation": dilation, "padding": padding}
    pair = (partial(shifted_depthwise, **options), partial(depthwise_convolve, **options))
    return pair, arrays(sizes, window, channels, multiplier)


def assert_close(found, expected, tolerance=2e-6):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, float(np.max(np.abs(b)))))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_shifted_is_grouped(case):  # oracle: XLA's grouped convolution, and its gradients
    (shifted, grouped), values = both(case)

    def with_gradients(function):
        return jax.jit(jax.value_and_grad(lambda *values: jnp.sum(jnp.sin(function(*values))), (0, 1)))

    assert_close(jax.jit(shifted)(*values), jax.jit(grouped)(*values))
    assert_close(with_gradients(shifted)(*values), with_gradients(grouped)(*values))


def test_gradients_of_gradients():  # oracle: XLA's, twice differentiated
    (shifted, grouped), values = both(CASES[1])

    def slope(function):
        inner = jax.grad(lambda x, kernel: jnp.sum(jnp.sin(function(x, kernel))), (0, 1))
        return jax.jit(jax.grad(lambda *values: sum(jnp.sum(g**2) for g in inner(*values)), (0, 1)))(*values)

    assert_close(slope(shifted), slope(grouped), 1e-5)


def test_under_vmap():  # oracle: one after another
    (shifted, _), (x, kernel) = both(CASES[0])
    kernels = jnp.stack([kernel, 2 * kernel])
    assert_close(jax.jit(jax.vmap(shifted, (None, 0)))(x, kernels), jnp.stack([shifted(x, one) for one in kernels]))


def test_under_remat():  # oracle: without remat
    (shifted, _), (x, kernel) = both(CASES[6])

    def slope(function):
        return jax.jit(jax.grad(lambda kernel: jnp.sum(function(x, kernel) ** 2)))(kernel)

    assert_close(slope(jax.checkpoint(shifted)), slope(shifted))


def test_half_precision_is_summed_in_float32():  # oracle: the same in float64, rounded once
    x, kernel = arrays((9, 9), (5, 5), 3, 1, jnp.bfloat16)
    options = {"strides": (1, 1), "dilation": (1, 1), "padding": "same"}
    found = shifted_depthwise(x, kernel, **options)
    padded = np.pad(np.asarray(x, np.float64), ((0, 0), (2, 2), (2, 2), (0, 0)))
    weights = np.asarray(kernel, np.float64)[..., 0]
    exact = sum(padded[:, i : i + 9, j : j + 9] * weights[i, j] for i, j in product(range(5), range(5)))
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(found, np.float64), exact, rtol=2**-8, atol=1e-5)


def test_only_a_cpu_has_products():  # oracle: the operations of the lowered program
    (shifted, _), values = both(CASES[0])
    texts = {
        platform: jax.jit(shifted).trace(*values).lower(lowering_platforms=(platform,)).as_text()
        for platform in ("cpu", "cuda")
    }
    assert "stablehlo.convolution" not in texts["cpu"]
    assert "stablehlo.multiply" not in texts["cuda"]
    assert "stablehlo.convolution" in texts["cuda"]


def test_the_gradient_holds_no_copies():  # oracle: the size of the input
    options = {"strides": (1, 1), "dilation": (1, 1), "padding": "same"}
    x, kernel = jnp.ones((4, 32, 32, 64)), jnp.ones((3, 3, 64, 1))
    step = jax.jit(jax.grad(lambda *values: jnp.sum(shifted_depthwise(*values, **options) ** 2), (0, 1)))
    memory = step.lower(x, kernel).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 4 * x.nbytes


@pytest.mark.parametrize("channels_first", [False, True])
def test_sizes_that_are_not_known_and_channels_first(channels_first):  # oracle: depthwise_convolve
    options = {"strides": (1, 1), "dilation": (1, 1), "padding": "same", "channels_first": channels_first}
    x, kernel = arrays((6, 4), (3, 3), 4, 1)
    x = jnp.moveaxis(x, -1, 1) if channels_first else x
    assert_close(shifted_depthwise(x, kernel, **options), depthwise_convolve(x, kernel, **options))
