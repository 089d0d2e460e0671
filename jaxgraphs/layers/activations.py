"""Activation functions under Keras' names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphValueError, did_you_mean

Array = jax.Array
Activation = Callable[[Array], Array]


def linear(x: Array) -> Array:
    """x itself."""
    return x


@jax.custom_jvp
@jax.jit
def relu(x: Array) -> Array:
    """x where positive, else 0; Nair and Hinton (2010).

    Its derivative, 0 at 0, is read from the output, so that the input need not be kept: a library that adds a bias
    and cuts off below 0 while it convolves, such as cuDNN, is then asked for all three at once.

    >>> float(jax.grad(relu)(2.0)), float(jax.grad(relu)(0.0)), float(jax.grad(relu)(-2.0))
    (1.0, 0.0, 0.0)
    """
    return jnp.maximum(x, 0)


@relu.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    y = relu(*primals)
    # XLA would make `y > 0` into `x > 0` again.
    return y, jax.lax.select(y != 0, tangents[0], jax.lax.full_like(tangents[0], 0))


def leaky_relu(x: Array, negative_slope: float = 0.2) -> Array:
    """x where positive, else negative_slope x; Keras' slope is 0.2."""
    return jax.nn.leaky_relu(x, negative_slope)


def hard_shrink(x: Array, threshold: float = 0.5) -> Array:
    """x where |x| > threshold, else 0."""
    return jnp.where(jnp.abs(x) > threshold, x, jnp.zeros_like(x))


def soft_shrink(x: Array, threshold: float = 0.5) -> Array:
    """x moved towards 0 by the threshold, and 0 within it."""
    return jnp.sign(x) * jax.nn.relu(jnp.abs(x) - threshold)


def tanh_shrink(x: Array) -> Array:
    """x - tanh x."""
    return x - jnp.tanh(x)


def threshold(x: Array, threshold: float = 0.0, value: float = 0.0) -> Array:
    """x where above the threshold, else the value."""
    return jnp.where(x > threshold, x, jnp.full_like(x, value))


def glu(x: Array, axis: int = -1) -> Array:
    """The first half times the sigmoid of the second; Dauphin et al. (2017)."""
    return jax.nn.glu(x, axis)


def softmax(x: Array) -> Array:
    """exp x over its sum along the last axis."""
    return jax.nn.softmax(x, axis=-1)


def log_softmax(x: Array) -> Array:
    """The logarithm of the softmax along the last axis."""
    return jax.nn.log_softmax(x, axis=-1)


def hard_sigmoid(x: Array) -> Array:
    """relu6(x + 3) / 6."""
    return jax.nn.hard_sigmoid(x)


def gelu(x: Array) -> Array:
    """x times the normal distribution function at x, exactly; Hendrycks and Gimpel (2016)."""
    return jax.nn.gelu(x, approximate=False)


def sparsemax(x: Array) -> Array:
    """The nearest point of the simplex along the last axis; Martins and Astudillo (2016)."""
    ordered = jnp.flip(jnp.sort(x, axis=-1), axis=-1)
    total = jnp.cumsum(ordered, axis=-1)
    rank = jnp.arange(1, x.shape[-1] + 1, dtype=x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))
    inside = rank * ordered + 1 > total
    count = jnp.sum(inside, axis=-1, keepdims=True)
    last = jnp.take_along_axis(total, count - 1, axis=-1)
    return jax.nn.relu(x - (last - 1) / count.astype(x.dtype))


ACTIVATIONS: Mapping[str, Activation] = {
    "linear": linear,
    "relu": relu,
    "relu6": jax.nn.relu6,
    "leaky_relu": leaky_relu,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "celu": jax.nn.celu,
    "gelu": gelu,
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
    "mish": jax.nn.mish,
    "sigmoid": jax.nn.sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "hard_silu": jax.nn.hard_silu,
    "hard_swish": jax.nn.hard_silu,
    "hard_tanh": jax.nn.hard_tanh,
    "log_sigmoid": jax.nn.log_sigmoid,
    "tanh": jnp.tanh,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "softplus": jax.nn.softplus,
    "softsign": jax.nn.soft_sign,
    "exponential": jnp.exp,
    "glu": glu,
    "hard_shrink": hard_shrink,
    "soft_shrink": soft_shrink,
    "tanh_shrink": tanh_shrink,
    "threshold": threshold,
    "squareplus": partial(jax.nn.squareplus, b=4),
    "sparse_plus": jax.nn.sparse_plus,
    "sparse_sigmoid": jax.nn.sparse_sigmoid,
    "sparsemax": sparsemax,
}
"""Keras' name -> function."""


def get(activation: Any) -> Activation | None:
    """The function of a Keras name; a function is itself, None is None.

    Raises: GraphValueError for a name that is not known.

    >>> float(get("relu")(jnp.array(-1.0)))
    0.0
    """
    if activation is None or callable(activation):
        return cast(Any, activation)
    if isinstance(activation, str) and activation in ACTIVATIONS:
        return ACTIVATIONS[activation]
    raise GraphValueError(
        "There is no such activation.",
        received=repr(activation),
        expected=did_you_mean(str(activation), list(ACTIVATIONS)),
        fix="or give any JAX function of one array",
    )


def name_of(activation: Any) -> str | None:
    """The Keras name of a function of the table; None for others."""
    return next((name for name, function in ACTIVATIONS.items() if function is activation), None)
