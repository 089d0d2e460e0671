"""Optimizers that read the parameters: FTRL, which solves for them, and Adafactor, which scales by their size."""

from __future__ import annotations

from typing import Any, Unpack

import jax.numpy as jnp
import optax
from jax import Array

from jaxgraphs.errors import GraphValueError
from jaxgraphs.training.optimizers.base import Options, Rate, check_number, leafwise, transformation


def ftrl(
    learning_rate: Rate = 0.001,
    learning_rate_power: float = -0.5,
    initial_accumulator_value: float = 0.1,
    l1_regularization_strength: float = 0.0,
    l2_regularization_strength: float = 0.0,
    l2_shrinkage_regularization_strength: float = 0.0,
    beta: float = 0.0,
    **options: Unpack[Options],
) -> optax.GradientTransformation:
    """Follow the regularised leader, as in Keras.

    n' = n + g²; z <- z + g + 2 shrinkage w - (n'^-power - n^-power) w / rate;
    w <- (clip(z, -l1, l1) - z) / (n'^-power / rate + 2 l2 + beta / rate).

    Args:
        learning_rate, options: as for `sgd`; the rate must be above 0.
        learning_rate_power: at most 0; how the rate falls with n.
        initial_accumulator_value: the first n, not negative.
        l1_regularization_strength, l2_regularization_strength, l2_shrinkage_regularization_strength: not negative.
        beta: of the paper; not negative.
    Returns: a transformation whose state holds the rate.
    Raises: GraphValueError for a number out of range, or an unknown option.
    Reference: McMahan et al. (2013), Ad click prediction: a view from the trenches, KDD.
    """
    l1, l2, shrinkage = l1_regularization_strength, l2_regularization_strength, l2_shrinkage_regularization_strength
    if learning_rate_power > 0:
        raise GraphValueError(
            f"ftrl cannot use learning_rate_power={learning_rate_power}.", expected="a number up to 0"
        )
    check_number("initial_accumulator_value", initial_accumulator_value)
    check_number("beta", beta)
    check_number("l1_regularization_strength", l1)
    check_number("l2_regularization_strength", l2)
    check_number("l2_shrinkage_regularization_strength", shrinkage)

    def move(g: Array, p: Array, rate: Array, step: Array, n: Array, z: Array) -> tuple[Array, tuple[Array, ...]]:
        grown = n + jnp.square(g)
        power, old_power = grown**-learning_rate_power, n**-learning_rate_power
        z = z + (g + 2.0 * shrinkage * p - (power - old_power) / rate * p)
        curvature = power / rate + 2.0 * (l2 + beta / (2.0 * rate))
        return (jnp.clip(z, -l1, l1) - z) / curvature - p, (grown, z)

    slots = {"accumulator": lambda p: jnp.full_like(p, initial_accumulator_value), "linear": jnp.zeros_like}
    return transformation(leafwise(slots, move), learning_rate, options)


def adafactor(
    learning_rate: Rate = 0.001,
    beta_2_decay: float = -0.8,
    epsilon_1: float = 1e-30,
    epsilon_2: float = 1e-3,
    clip_threshold: float = 1.0,
    relative_step: bool = True,
    **options: Unpack[Options],
) -> optax.GradientTransformation:
    """Adafactor, as in Keras: v is kept as the means of its rows and columns where a parameter has two axes or more.

    u = g / sqrt(v); w <- w - max(epsilon_2, rms(w)) min(rate, 1 / sqrt(t)) u / max(1, rms(u) / clip_threshold), where
    v is the mean of g² + epsilon_1 with 1 - t^beta_2_decay as the weight of the past.

    Args:
        learning_rate, options: as for `sgd`.
        beta_2_decay: below 0.
        epsilon_1, epsilon_2: the least square of a gradient, and the least size of a parameter.
        clip_threshold: the largest root mean square of u.
        relative_step: without effect here as in Keras, where the rate is held under 1 / sqrt(t) in any case.
    Returns: a transformation whose state holds the rate.
    Raises: GraphValueError for a number out of range, or an unknown option.
    Reference: Shazeer and Stern (2018), Adafactor: adaptive learning rates with sublinear memory cost, ICML.
    """
    check_number("clip_threshold", clip_threshold)

    def move(g: Array, p: Array, rate: Array, step: Array, rows: Any, columns: Any, whole: Any):
        past = (1.0 - step**beta_2_decay).astype(p.dtype)
        squares = jnp.square(g) + epsilon_1
        if p.ndim < 2:
            velocity = whole = past * whole + (1.0 - past) * squares
        else:
            rows = past * rows + (1.0 - past) * jnp.mean(squares, axis=-1)
            columns = past * columns + (1.0 - past) * jnp.mean(squares, axis=-2)
            velocity = (rows / jnp.mean(rows, axis=-1, keepdims=True))[..., None] * columns[..., None, :]
        way = g / jnp.sqrt(velocity)
        way = way / jnp.maximum(1.0, _rms(way) / clip_threshold)
        rate = jnp.minimum(rate, (1.0 / jnp.sqrt(step)).astype(p.dtype))
        return -(jnp.maximum(epsilon_2, _rms(p)) * rate) * way, (rows, columns, whole)

    slots = {
        "rows": lambda p: None if p.ndim < 2 else jnp.zeros_like(p[..., 0]),
        "columns": lambda p: None if p.ndim < 2 else jnp.zeros_like(p[..., 0, :]),
        "whole": lambda p: jnp.zeros_like(p) if p.ndim < 2 else None,
    }
    return transformation(leafwise(slots, move), learning_rate, options)


def _rms(values: Array) -> Array:
    return jnp.sqrt(jnp.mean(jnp.square(values)))
