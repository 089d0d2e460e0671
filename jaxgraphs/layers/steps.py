"""What recurrent cells compute in one step, as pure functions of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array
Weights = Mapping[str, Any]


def project(x: Array, kernel: Array | None, masks: Array | None = None) -> Array:
    """x kernel, where each gate's columns may see x under a mask of their own.

    Args:
        x: (batch, features).
        kernel: (features, gates x units); None where x is that product already.
        masks: (1, batch, features) for all gates, (gates, batch, features) for each, or None.
    """
    if kernel is None:
        return x
    if masks is None:
        return jnp.matmul(x, kernel)
    if masks.shape[0] == 1:
        return jnp.matmul(x * masks[0], kernel)
    blocks = jnp.split(kernel, masks.shape[0], axis=1)
    return jnp.concatenate([jnp.matmul(x * mask, block) for mask, block in zip(masks, blocks, strict=True)], axis=-1)


def shift(x: Array, bias: Array | None) -> Array:
    """x + bias, or x."""
    return x if bias is None else x + bias.reshape(1, -1)


def simple_step(weights: Weights, x: Array, h: Array, activation: Any, drops: Any = None) -> Array:
    """activation(x kernel + h recurrent_kernel + bias)."""
    kept_x, kept_h = drops or (None, None)
    z = shift(project(x, weights["kernel"], kept_x), weights.get("bias"))
    return activation(z + project(h, weights["recurrent_kernel"], kept_h))


def lstm_step(
    weights: Weights, x: Array, states: tuple[Array, Array], functions: tuple[Any, Any], drops: Any = None
) -> tuple[Array, Array]:
    """The new (h, c) of an LSTM; gates stand in Keras' order i, f, c, o.

    Args:
        functions: activations of the values, and of the gates.
        drops: masks of dropout for x and h, as `project` takes them; None drops nothing.
    """
    (h, c), (squash, gate), (kept_x, kept_h) = states, functions, drops or (None, None)
    z = project(x, weights["kernel"], kept_x) + project(h, weights["recurrent_kernel"], kept_h)
    i, f, g, o = jnp.split(shift(z, weights.get("bias")), 4, axis=-1)
    c = gate(f) * c + gate(i) * squash(g)
    return gate(o) * squash(c), c


def gru_step(weights: Weights, x: Array, h: Array, functions: tuple[Any, Any], drops: Any = None) -> Array:
    """The new h of a GRU that resets after the product; gates stand in Keras' order z, r, h; bias (2, 3 units)."""
    (squash, gate), (kept_x, kept_h) = functions, drops or (None, None)
    bias, recurrent_bias = weights.get("bias", (None, None))
    x_z, x_r, x_h = jnp.split(shift(project(x, weights["kernel"], kept_x), bias), 3, axis=-1)
    h_z, h_r, h_h = jnp.split(shift(project(h, weights["recurrent_kernel"], kept_h), recurrent_bias), 3, axis=-1)
    z, r = gate(x_z + h_z), gate(x_r + h_r)
    return z * h + (1 - z) * squash(x_h + r * h_h)


def gru_reset_before_step(weights: Weights, x: Array, h: Array, functions: tuple[Any, Any], drops: Any = None) -> Array:
    """The new h of a GRU that resets before the product, as first published; bias (3 units,)."""
    (squash, gate), (kept_x, kept_h) = functions, drops or (None, None)
    units = h.shape[-1]
    x_z, x_r, x_h = jnp.split(shift(project(x, weights["kernel"], kept_x), weights.get("bias")), 3, axis=-1)
    gates, candidate = weights["recurrent_kernel"][:, : 2 * units], weights["recurrent_kernel"][:, 2 * units :]
    h_z, h_r = jnp.split(project(h, gates, None if kept_h is None else kept_h[:2]), 2, axis=-1)
    z, r = gate(x_z + h_z), gate(x_r + h_r)
    return z * h + (1 - z) * squash(x_h + project(r * h, candidate, None if kept_h is None else kept_h[2:]))
