"""Keras as the judge: its own code runs under its own, lax rules; comparisons are relative to the largest number."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.extend.core
import numpy as np


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """`function` as one program, compiled without much optimisation.

    To compute each operation by itself takes a program for each, which is most of what a test would cost; to optimise
    a program that runs once would be the rest.
    """
    quickly = {
        # At level 0 XLA's functions give NaN here and there, on which CPU depends (jax 0.10.2, Sapphire Rapids, Zen 5).
        "xla_backend_optimization_level": 1,
        "xla_llvm_disable_expensive_passes": True,
    }
    return jax.jit(function, compiler_options=quickly, **options)


@contextlib.contextmanager
def keras_rules() -> Iterator[None]:
    """Keras mixes ranks and dtypes, and warns; ours must not."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def assert_close(actual, expected, tolerance: float = 1e-5, what: str = "", least: float = 1e-3) -> None:
    """Equal arrays up to `tolerance` of the largest number expected, or of `least` where all are smaller."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, expected {expected.shape}"
    scale = max(np.max(np.abs(expected), initial=0.0), least)
    error = np.max(np.abs(actual - expected), initial=0.0) / scale
    assert error <= tolerance, f"{what}: relative error {error:.2e} is over {tolerance:.0e}"


def assert_trees_close(actual, expected, tolerance: float = 1e-5) -> None:
    """The same for each leaf of two trees of one structure."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for (path, one), other in zip(jax.tree_util.tree_leaves_with_path(actual), jax.tree.leaves(expected), strict=True):
        assert_close(one, other, tolerance, jax.tree_util.keystr(path))


def equations(jaxpr: Any, but: str | None = None) -> Iterator[Any]:
    """All of a traced program, of loops and calls within it too; `but` names a primitive that is left out whole."""
    for each in jaxpr.eqns:
        if each.primitive.name != but:
            yield each
            for inner in jax.extend.core.jaxprs_in_params(each.params):
                yield from equations(inner, but)
