"""Functions compiled with options for XLA, which JAX takes for the outermost call alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.core import Tracer


class Compiled:
    """``jax.jit`` with options for XLA; traced into a larger function as ``jax.jit`` without them is.

    Args:
        function: pure.
        options: gives names and values of XLA's options; asked when the function is first compiled.
        jit: more arguments of ``jax.jit``.

    >>> double = Compiled(lambda x: 2 * x, dict)
    >>> float(double(3.0)), float(jax.jit(lambda x: double(x) + 1)(3.0))
    (6.0, 7.0)
    """

    def __init__(self, function: Callable[..., Any], options: Callable[[], Mapping[str, Any]], **jit: Any) -> None:
        self._function, self._options, self._jit = function, options, jit

    @functools.cached_property
    def _chosen(self) -> dict[str, Any]:
        return dict(self._options())

    @functools.cached_property
    def _outermost(self) -> Any:
        return jax.jit(self._function, compiler_options=self._chosen or None, **self._jit)

    @functools.cached_property
    def _within(self) -> Any:
        return jax.jit(self._function, **self._jit)

    def __call__(self, *args: Any) -> Any:
        # Without options there is nothing to leave out, and no leaf to look at in each step.
        is_within = self._chosen and any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(args))
        return (self._within if is_within else self._outermost)(*args)

    def lower(self, *args: Any) -> Any:
        """As ``jax.jit(...).lower``: its `compile` takes the same options."""
        return self._outermost.lower(*args)

    @property
    def programs(self) -> int:
        """For how many forms of arguments it has been compiled by itself."""
        return self._outermost._cache_size()
