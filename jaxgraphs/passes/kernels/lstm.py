"""The loop of an LSTM with a derivative of its own: what is left in it is what depends on the step before.

The gradient by the gates comes out for all steps, so that those by the kernels and by the input are one product each
over all of them, where autodiff adds up a small product in each step. The states alone are kept; a step's gates are
computed again. The values between are told not to be merged with what reads them: XLA on a CPU else computes a gate
once for each reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxgraphs.layers.steps import project, shift

Array = jax.Array
States = tuple[Array, Array]


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def lstm_loop(
    every: bool, gates: Array, recurrent_kernel: Array, states: States, mask: Array | None
) -> tuple[Array | None, States]:
    """An LSTM with the usual activations over all steps.

    Args:
        every: whether the outputs of all steps are wanted.
        gates: (time, batch, 4 units), x kernel + bias in the order i, f, c, o.
        recurrent_kernel: (units, 4 units).
        states: h and c before the first step, (batch, units).
        mask: (time, batch, 1) booleans; the states stay where it is False. None: every step counts.
    Returns: (time, batch, units) outputs, or None; and the states after the last step.

    There is a reverse-mode derivative to the first order, and no forward-mode one.

    >>> zeros = jnp.zeros((1, 1))
    >>> _, (h, c) = lstm_loop(False, jnp.zeros((3, 1, 4)), jnp.zeros((1, 4)), (zeros, zeros + 8.0), None)
    >>> float(c[0, 0])
    1.0
    """
    return _forward(every, gates, recurrent_kernel, states, mask)[0]


def _forward(every: bool, gates: Array, recurrent_kernel: Array, states: States, mask: Array | None) -> Any:
    def step(states: States, now: Any) -> tuple[States, Any]:
        x, live = now
        return _after(x + jnp.matmul(states[0], recurrent_kernel), states, live), states

    last, before = lax.scan(step, states, (gates, mask))
    return (_outputs(before, last) if every else None, last), (gates, recurrent_kernel, mask, before)


def _backward(every: bool, kept: Any, cotangents: Any) -> Any:
    gates, recurrent_kernel, mask, before = kept
    by_outputs, by_last = cotangents
    turned = recurrent_kernel.T

    def step(carried: States, now: Any) -> tuple[States, Array]:
        (dh, dc), ((h, c), x, live, by_output) = carried, now
        dh = dh if by_output is None else dh + by_output
        by_gates, dc_here = _by_gates(x + jnp.matmul(h, recurrent_kernel), c, dh, dc, live)
        return _held(live, (jnp.matmul(by_gates, turned), dc_here), (dh, dc)), by_gates

    by_states, by_gates = lax.scan(step, by_last, (before, gates, mask, by_outputs), reverse=True)
    by_kernel = jnp.matmul(_rows(before[0]).T, _rows(by_gates))
    return by_gates, by_kernel, by_states, None


lstm_loop.defvjp(_forward, _backward)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def lstm_steps(
    every: bool, x: Array, weights: Mapping[str, Array | None], states: States, mask: Array | None
) -> tuple[Array | None, States]:
    """The same, with the products with the input in the loop: nothing in it wants a second core.

    Args:
        every, states, mask: as in `lstm_loop`.
        x: (batch, time, features), read as it lies: an array turned about for the loop is copied for either pass.
        weights: kernel (features, 4 units), None where x is that product already; recurrent_kernel (units, 4 units);
            bias (4 units,) or None.
    Returns: as `lstm_loop`.

    The gates before their activation are kept, beside the states.

    >>> weights = {"kernel": jnp.zeros((1, 4)), "recurrent_kernel": jnp.zeros((1, 4)), "bias": None}
    >>> _, (h, c) = lstm_steps(False, jnp.zeros((1, 3, 1)), weights, (jnp.zeros((1, 1)), jnp.full((1, 1), 8.0)), None)
    >>> float(c[0, 0])
    1.0
    """
    return _steps_forward(every, x, weights, states, mask)[0]


def _steps_forward(every: bool, x: Array, weights: Mapping[str, Any], states: States, mask: Array | None) -> Any:
    kernel, recurrent_kernel, bias = weights["kernel"], weights["recurrent_kernel"], weights["bias"]

    def step(states: States, now: Any) -> tuple[States, Any]:
        place, live = now
        z = shift(project(_at(x, place), kernel) + jnp.matmul(states[0], recurrent_kernel), bias)
        return _after(z, states, live), (z, states)

    last, (gates, before) = lax.scan(step, states, (jnp.arange(x.shape[1]), mask))
    return (_outputs(before, last) if every else None, last), (x, weights, mask, gates, before)


def _steps_backward(every: bool, kept: Any, cotangents: Any) -> Any:
    x, weights, mask, gates, before = kept
    by_outputs, by_last = cotangents
    kernel, turned = weights["kernel"], weights["recurrent_kernel"].T
    turned_kernel = None if kernel is None else kernel.T

    def step(carried: Any, now: Any) -> Any:
        ((dh, dc), by_weights), (place, (h, c), z, live, by_output) = carried, now
        dh = dh if by_output is None else dh + by_output
        by_gates, dc_here = _by_gates(z, c, dh, dc, live)
        products = {
            "kernel": None if kernel is None else jnp.matmul(_at(x, place).T, by_gates),
            "recurrent_kernel": jnp.matmul(h.T, by_gates),
            "bias": None if weights["bias"] is None else by_gates.sum(0),
        }
        by_weights = jax.tree.map(jnp.add, by_weights, products)
        by_x = by_gates if turned_kernel is None else jnp.matmul(by_gates, turned_kernel)
        return (_held(live, (jnp.matmul(by_gates, turned), dc_here), (dh, dc)), by_weights), by_x

    start = (by_last, jax.tree.map(jnp.zeros_like, weights))
    every_step = (jnp.arange(x.shape[1]), before, gates, mask, by_outputs)
    (by_states, by_weights), by_x = lax.scan(step, start, every_step, reverse=True)
    return jnp.swapaxes(by_x, 0, 1), by_weights, by_states, None


lstm_steps.defvjp(_steps_forward, _steps_backward)


def _after(z: Array, states: States, live: Array | None) -> States:
    """The states after a step, of its gates before their activation."""
    i, f, g, o = _activated(z)
    c = lax.optimization_barrier(f * states[1] + i * g)
    return _held(live, (o * jnp.tanh(c), c), states)


def _outputs(before: States, last: States) -> Array:
    """The outputs of all steps, of the states before each."""
    return jnp.concatenate([before[0][1:], last[0][None]])


def _by_gates(z: Array, c: Array, dh: Array, dc: Array, live: Array | None) -> tuple[Array, Array]:
    """The cotangents of a step's gates before their activation, and of the state c before the step.

    Args:
        z: the gates before their activation.
        c: before the step.
        dh, dc: the cotangents of the states after it.
        live: which rows the step counts for.
    """
    i, f, g, o = _activated(z)
    squashed = lax.optimization_barrier(jnp.tanh(f * c + i * g))
    dc = lax.optimization_barrier(dc + dh * o * (1 - squashed**2))
    parts = (dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2))
    by_gates = jnp.concatenate([*parts, dh * squashed * o * (1 - o)], axis=-1)
    by_gates = by_gates if live is None else jnp.where(live, by_gates, 0)
    return lax.optimization_barrier(by_gates), dc * f


def _activated(z: Array) -> list[Array]:
    """The gates i, f, the candidate and o; each of them is one tanh: sigmoid(z) = (tanh(z / 2) + 1) / 2."""
    units = z.shape[-1] // 4
    half = jnp.repeat(jnp.array([[0.5, 0.5, 1.0, 0.5]], z.dtype), units, axis=1)
    squashed = jnp.tanh(z * half) * half + (1 - half)
    return jnp.split(lax.optimization_barrier(squashed), 4, axis=-1)


def _at(x: Array, place: Array) -> Array:
    """(batch, time, n) -> (batch, n), of one step."""
    return lax.dynamic_index_in_dim(x, place, axis=1, keepdims=False)


def _rows(x: Array) -> Array:
    """(time, batch, n) -> (time batch, n): over two axes at once XLA on a CPU contracts from copies, turned about."""
    return x.reshape(-1, x.shape[-1])


def _held(live: Array | None, new: States, old: States) -> States:
    return new if live is None else (jnp.where(live, new[0], old[0]), jnp.where(live, new[1], old[1]))
