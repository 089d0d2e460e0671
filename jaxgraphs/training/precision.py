"""Which dtype each layer computes in: the graph is rewritten, its names and arrays stay."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgraphs.errors import GraphTypeError, GraphValueError, did_you_mean
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.paths import layer_paths
from jaxgraphs.graph.rewrite import map_layers
from jaxgraphs.layers.base import Layer
from jaxgraphs.layers.wrap import LinenLayer
from jaxgraphs.training.patterns import check_patterns, first_fitting

Array = jax.Array
PyTree = Any
Precision = str | Mapping[str, str] | None

# What a layer is told: params stay float32 where the computation has fewer bits.
POLICIES: Mapping[str, str] = {
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
    "float32": "float32",
    "float64": "float64",
}
FIRST_SCALE = 2.0**15
STEPS_TO_GROW = 2000


def with_precision(graph: Graph, precision: Precision) -> Graph:
    """The graph with layers that compute in another dtype; the same variables feed it.

    Params, statistics and losses are float32 under "bfloat16" and "float16", and float64 under "float64". A layer that
    was made with a dtype of its own keeps it, unless a pattern names it. Functions compute in what they are given.

    Args:
        graph: to copy.
        precision: "bfloat16", "float16", "float32" or "float64"; or pattern -> one of these, of which the first that
            fits a layer's path counts; None changes nothing.
    Raises: GraphError when a dtype or a pattern is not known, or float64 is asked for and JAX has it turned off.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((8,))
    >>> str(with_precision(Graph(x, Dense(3)(x)), "bfloat16").outputs.dtype)
    'bfloat16'
    """
    if precision is None:
        return graph
    table = check_precision(precision)
    if isinstance(precision, Mapping):
        check_patterns(table, layer_paths(graph), "precision")
    is_strict = isinstance(precision, Mapping)

    def change(path: str, layer: Any) -> Any:
        pattern = first_fitting(path.split("/"), table)
        return layer if pattern is None else with_dtype(layer, table[pattern], keep_own=not is_strict)

    return map_layers(graph, change)


def check_precision(precision: Precision) -> dict[str, str]:
    """The precision as pattern -> dtype.

    Raises: GraphError when it is not one.
    """
    table = dict(precision) if isinstance(precision, Mapping) else {"*": precision} if precision is not None else {}
    for dtype in table.values():
        if not isinstance(dtype, str):
            raise GraphTypeError("`precision` is the name of a dtype.", received=repr(dtype), fix='"bfloat16"')
        if dtype not in POLICIES:
            raise GraphValueError(f"There is no precision {dtype!r}.", fix=did_you_mean(dtype, list(POLICIES)))
    if "float64" in table.values() and jax.dtypes.canonicalize_dtype("float64") != jnp.float64:
        raise GraphValueError(
            "JAX has float64 turned off, so that nothing can be computed in it.",
            received="precision='float64'",
            fix='jax.config.update("jax_enable_x64", True) before any array is made, or JAX_ENABLE_X64=1',
        )
    return {pattern: str(dtype) for pattern, dtype in table.items()}


def with_dtype(layer: Any, dtype: str, *, keep_own: bool) -> Any:
    """One layer, and the layers in it, in another dtype; itself where it has none to change."""
    if isinstance(layer, LinenLayer):
        return _linen_with_dtype(layer, dtype)
    if not isinstance(layer, Layer) or (keep_own and layer.dtype is not None):
        return layer
    changes = {
        field.name: _inner(getattr(layer, field.name), dtype, keep_own)
        for field in dataclasses.fields(layer)
        if _holds_layers(getattr(layer, field.name))
    }
    return layer.replace(dtype=POLICIES[dtype], **changes)


def is_scaled(precision: Precision) -> bool:
    """Whether gradients are computed from a loss scaled up: float16 has no small numbers."""
    return "float16" in check_precision(precision).values()


class ScaledState(NamedTuple):
    """The optimizer's state around its own: by what the loss is multiplied, and how that went.

    Args:
        scale: a power of two.
        good: how many steps in a row had finite gradients since the scale changed.
        skipped: how many steps were left out.
        is_finite: whether the last one had finite gradients.
        inner: the optimizer's own state.
    """

    scale: Array
    good: Array
    skipped: Array
    is_finite: Array
    inner: PyTree


def scaled(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """An optimizer for gradients of a scaled loss.

    It divides by the scale. Where a gradient is infinite or not a number, it changes nothing and halves the scale;
    after 2000 good steps it doubles the scale.

    Reference: Micikevicius et al. (2018), Mixed precision training, arXiv:1710.03740, section 3.2.

    >>> import optax
    >>> optimizer = scaled(optax.sgd(1.0))
    >>> change, state = optimizer.update({"w": jnp.array(jnp.inf)}, optimizer.init({"w": jnp.array(0.0)}))
    >>> float(change["w"]), float(state.scale), int(state.skipped)
    (0.0, 16384.0, 1)
    """

    def init(params: PyTree) -> ScaledState:
        zero = jnp.zeros((), jnp.int32)
        return ScaledState(
            jnp.asarray(FIRST_SCALE, jnp.float32), zero, jnp.zeros_like(zero), jnp.asarray(True), optimizer.init(params)
        )

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        plain = jax.tree.map(lambda g: g / state.scale.astype(g.dtype), updates)
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(g)) for g in jax.tree.leaves(plain)] or [jnp.asarray(True)]))
        change, inner = optimizer.update(plain, state.inner, params)
        change = jax.tree.map(lambda c: jnp.where(finite, c, jnp.zeros_like(c)), change)
        return change, _moved(state, finite, where(finite, inner, state.inner))

    return optax.GradientTransformation(init, update)


def loss_scale(opt_state: PyTree) -> Array | None:
    """By what the loss is multiplied; None where it is not."""
    return opt_state.scale if isinstance(opt_state, ScaledState) else None


def kept_where_skipped(opt_state: PyTree, new: PyTree, old: PyTree) -> PyTree:
    """`new`; or `old` where the step was left out."""
    return where(opt_state.is_finite, new, old) if isinstance(opt_state, ScaledState) else new


def where(condition: Array, new: PyTree, old: PyTree) -> PyTree:
    """One of two trees of arrays."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def widened(tree: PyTree) -> PyTree:
    """The tree with half-precision arrays as float32."""

    def widen(leaf: Any) -> Any:
        is_half = jnp.issubdtype(leaf.dtype, jnp.floating) and jnp.finfo(leaf.dtype).bits < 32
        return leaf.astype(jnp.float32) if is_half else leaf

    return jax.tree.map(widen, tree)


def _moved(state: ScaledState, finite: Array, inner: PyTree) -> ScaledState:
    good = jnp.where(finite, state.good + 1, 0)
    is_due = good >= STEPS_TO_GROW
    larger = jnp.where(is_due, state.scale * 2, state.scale)
    scale = jnp.where(finite, jnp.where(jnp.isfinite(larger), larger, state.scale), jnp.maximum(state.scale / 2, 1.0))
    skipped = state.skipped + jnp.where(finite, 0, 1)
    return ScaledState(scale, jnp.where(is_due, 0, good), skipped, finite, inner)


def _linen_with_dtype(layer: LinenLayer, dtype: str) -> LinenLayer:
    """A Flax module says by two attributes what it computes in and what its params are; not every module has them."""
    changes: dict[str, Any] = {"dtype": jnp.dtype(dtype)} if _is_open(layer.linen, "dtype") else {}
    if dtype == "float64" and hasattr(layer.linen, "param_dtype"):
        changes["param_dtype"] = jnp.dtype(dtype)
    return layer.replace(linen=layer.linen.clone(**changes)) if changes else layer


def _is_open(module: nn.Module, name: str) -> bool:
    return hasattr(module, name) and getattr(module, name) is None


def _holds_layers(value: Any) -> bool:
    return isinstance(value, Layer) or (isinstance(value, tuple) and any(isinstance(item, Layer) for item in value))


def _inner(value: Any, dtype: str, keep_own: bool) -> Any:
    if isinstance(value, tuple):
        return tuple(with_dtype(item, dtype, keep_own=keep_own) for item in value)
    return with_dtype(value, dtype, keep_own=keep_own)
