"""Penalties on weights and activations: array -> scalar, to be added to the loss."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphValueError

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class L1L2:
    """l1 sum |w| + l2 sum w².

    Args:
        l1, l2: the two factors, 0 or more.

    >>> float(L1L2(l1=0.5, l2=0.25)(jnp.array([2.0, -2.0])))
    4.0
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        if self.l1 < 0 or self.l2 < 0:
            raise GraphValueError("A regulariser's factor is negative.", received=repr(self), expected="0 or more")

    def __call__(self, array: Array) -> Array:
        """The penalty of one array, a scalar."""
        penalty = jnp.zeros((), array.dtype)
        if self.l1:
            penalty = penalty + self.l1 * jnp.sum(jnp.abs(array))
        if self.l2:
            penalty = penalty + self.l2 * jnp.sum(jnp.square(array))
        return penalty


@dataclasses.dataclass(frozen=True)
class OrthogonalRegularizer:
    """factor times the mean of |cos| over all pairs of a matrix' rows, or of its columns.

    Args:
        factor: 0 or more.
        mode: "rows" or "columns".
    Raises: GraphError for a negative factor, another mode, or an array that is no matrix.

    >>> float(OrthogonalRegularizer(0.5)(jnp.array([[1.0, 0.0], [-2.0, 0.0]])))
    0.5
    """

    factor: float = 0.01
    mode: str = "rows"

    def __post_init__(self) -> None:
        if self.factor < 0 or self.mode not in ("rows", "columns"):
            raise GraphValueError(
                "A regulariser has no such arguments.",
                received=repr(self),
                expected="a factor of 0 or more, and mode 'rows' or 'columns'",
            )

    def __call__(self, array: Array) -> Array:
        """The penalty of one matrix, a scalar."""
        if array.ndim != 2:
            raise GraphValueError("OrthogonalRegularizer needs a matrix.", received=str(array.shape))
        rows = array if self.mode == "rows" else array.T
        # Keras bounds the squares of lengths from below, so that rows of zeros have a direction.
        rows = rows * jax.lax.rsqrt(jnp.maximum(jnp.sum(jnp.square(rows), axis=1, keepdims=True), 1e-12))
        cosines = jnp.abs(rows @ rows.T) * (1 - jnp.eye(rows.shape[0], dtype=rows.dtype))
        return self.factor * jnp.sum(cosines) / (rows.shape[0] * (rows.shape[0] - 1.0))


def l1(l1: float = 0.01) -> L1L2:
    """l1 sum |w|; Keras' factor is 0.01."""
    return L1L2(l1=l1)


def l2(l2: float = 0.01) -> L1L2:
    """l2 sum w²; Keras' factor is 0.01."""
    return L1L2(l2=l2)


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """Both."""
    return L1L2(l1=l1, l2=l2)


_NAMES = {
    **{"l1": l1, "L1": l1, "l2": l2, "L2": l2, "l1_l2": l1_l2, "L1L2": l1_l2},
    **dict.fromkeys(("orthogonal_regularizer", "OrthogonalRegularizer"), OrthogonalRegularizer),
}


def get(regularizer: Any) -> Any:
    """The regulariser of a Keras name; a function is itself, None is None."""
    if regularizer is None or callable(regularizer):
        return regularizer
    if regularizer in _NAMES:
        return _NAMES[regularizer]()
    raise GraphValueError(
        "There is no such regulariser.", received=repr(regularizer), expected="'l1', 'l2', 'l1_l2' or a function"
    )
