"""What weights are brought back to after each update: array -> array."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphValueError

Array = jax.Array
Axis = int | tuple[int, ...]
_EPSILON = 1e-7


def _norm(array: Array, axis: Axis) -> Array:
    return jnp.sqrt(jnp.sum(jnp.square(array), axis=axis, keepdims=True))


@dataclasses.dataclass(frozen=True)
class MaxNorm:
    """Columns longer than `max_value` are scaled down to it.

    >>> MaxNorm(1.0)(jnp.array([[3.0], [4.0]])).round(3).tolist()
    [[0.6000000238418579], [0.800000011920929]]
    """

    max_value: float = 2.0
    axis: Axis = 0

    def __call__(self, array: Array) -> Array:
        """The array with its norms along `axis` at most `max_value`."""
        norms = _norm(array, self.axis)
        return array * (jnp.clip(norms, 0.0, self.max_value) / (_EPSILON + norms))


@dataclasses.dataclass(frozen=True)
class NonNeg:
    """Negative weights become 0."""

    def __call__(self, array: Array) -> Array:
        """The array with its negative numbers set to 0."""
        return jax.nn.relu(array)


@dataclasses.dataclass(frozen=True)
class UnitNorm:
    """Columns have length 1."""

    axis: Axis = 0

    def __call__(self, array: Array) -> Array:
        """The array with its norms along `axis` equal to 1."""
        return array / (_EPSILON + _norm(array, self.axis))


@dataclasses.dataclass(frozen=True)
class MinMaxNorm:
    """Norms are moved into [min_value, max_value], by the share `rate` of the way."""

    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0
    axis: Axis = 0

    def __call__(self, array: Array) -> Array:
        """The array with its norms along `axis` moved towards the interval."""
        norms = _norm(array, self.axis)
        wanted = self.rate * jnp.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return array * (wanted / (_EPSILON + norms))


def max_norm(max_value: float = 2.0, axis: Axis = 0) -> MaxNorm:
    """Keras' function form of MaxNorm."""
    return MaxNorm(max_value, axis)


def non_neg() -> NonNeg:
    """Keras' function form of NonNeg."""
    return NonNeg()


def unit_norm(axis: Axis = 0) -> UnitNorm:
    """Keras' function form of UnitNorm."""
    return UnitNorm(axis)


def min_max_norm(min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0) -> MinMaxNorm:
    """Keras' function form of MinMaxNorm."""
    return MinMaxNorm(min_value, max_value, rate, axis)


_CLASSES = (MaxNorm, NonNeg, UnitNorm, MinMaxNorm)
_NAMES = {
    **{kind.__name__: kind for kind in _CLASSES},
    **{"max_norm": MaxNorm, "non_neg": NonNeg, "unit_norm": UnitNorm, "min_max_norm": MinMaxNorm},
}


def get(constraint: Any) -> Any:
    """The constraint of a Keras name; a function is itself, None is None."""
    if constraint is None or callable(constraint):
        return constraint
    if constraint in _NAMES:
        return _NAMES[constraint]()
    raise GraphValueError(
        "There is no such constraint.", received=repr(constraint), expected=f"one of {sorted(_NAMES)}, or a function"
    )
