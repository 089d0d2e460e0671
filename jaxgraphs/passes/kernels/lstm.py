"""The loop of an LSTM with a derivative of its own: what is left in it is what depends on the step before.

The gradient by the gates comes out for all steps, so that those by the kernels and by the input are one product each
over all of them, where autodiff adds up a small product in each step. The states alone are kept; a step's gates are
computed again. The values between are told not to be merged with what reads them: XLA on a CPU else computes a gate
once for each reader.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

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
        (h, c), (x, live) = states, now
        i, f, g, o = _activated(x + jnp.matmul(h, recurrent_kernel))
        new_c = lax.optimization_barrier(f * c + i * g)
        new = _held(live, (o * jnp.tanh(new_c), new_c), states)
        return new, states

    last, before = lax.scan(step, states, (gates, mask))
    outputs = jnp.concatenate([before[0][1:], last[0][None]]) if every else None
    return (outputs, last), (gates, recurrent_kernel, mask, before)


def _backward(every: bool, kept: Any, cotangents: Any) -> Any:
    gates, recurrent_kernel, mask, before = kept
    by_outputs, by_last = cotangents
    turned = recurrent_kernel.T

    def step(carried: States, now: Any) -> tuple[States, Array]:
        (dh, dc), ((h, c), x, live, by_output) = carried, now
        dh = dh if by_output is None else dh + by_output
        i, f, g, o = _activated(x + jnp.matmul(h, recurrent_kernel))
        squashed = lax.optimization_barrier(jnp.tanh(f * c + i * g))
        dc_here = lax.optimization_barrier(dc + dh * o * (1 - squashed**2))
        parts = (dc_here * g * i * (1 - i), dc_here * c * f * (1 - f), dc_here * i * (1 - g**2))
        by_gates = jnp.concatenate([*parts, dh * squashed * o * (1 - o)], axis=-1)
        if live is not None:
            by_gates = jnp.where(live, by_gates, 0)
        by_gates = lax.optimization_barrier(by_gates)
        return _held(live, (jnp.matmul(by_gates, turned), dc_here * f), (dh, dc)), by_gates

    by_states, by_gates = lax.scan(step, by_last, (before, gates, mask, by_outputs), reverse=True)
    by_kernel = jnp.einsum("tbu,tbg->ug", before[0], by_gates)
    return by_gates, by_kernel, by_states, None


lstm_loop.defvjp(_forward, _backward)


def _activated(z: Array) -> list[Array]:
    """The gates i, f, the candidate and o; each of them is one tanh: sigmoid(z) = (tanh(z / 2) + 1) / 2."""
    units = z.shape[-1] // 4
    half = jnp.repeat(jnp.array([[0.5, 0.5, 1.0, 0.5]], z.dtype), units, axis=1)
    squashed = jnp.tanh(z * half) * half + (1 - half)
    return jnp.split(lax.optimization_barrier(squashed), 4, axis=-1)


def _held(live: Array | None, new: States, old: States) -> States:
    return new if live is None else (jnp.where(live, new[0], old[0]), jnp.where(live, new[1], old[1]))
