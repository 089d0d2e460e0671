"""Optimizers made of optimizers: one for each group of params, averaged weights, clipped gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgraphs.errors import GraphTypeError, GraphValueError
from jaxgraphs.training.optimizers.named import get
from jaxgraphs.training.patterns import check_patterns, first_fitting, path_of, paths_of

PyTree = Any
_OTHERS = "all others"


def by_pattern(table: Mapping[str, Any], default: Any = None) -> optax.GradientTransformation:
    """An optimizer for each group of params, such as a smaller learning rate for a pretrained block.

    Args:
        table: pattern of params' paths -> a Keras name or an Optax transformation; the first that fits counts. "base*"
            is every layer whose path starts so, "*/bias" every bias.
        default: for params that no pattern fits; where left out, they are not changed.
    Returns: a transformation; `init` refuses patterns that fit nothing.
    Raises: GraphError when the table is empty, or something in it is not an optimizer.

    >>> from jaxgraphs.training.optimizers.first_order import sgd
    >>> optimizer = by_pattern({"base": sgd(0.1)}, default=sgd(1.0))
    >>> params = {"base": {"w": jnp.ones(())}, "head": {"w": jnp.ones(())}}
    >>> change, _ = optimizer.update(params, optimizer.init(params), params)
    >>> [round(float(change[name]["w"]), 3) for name in params]
    [-0.1, -1.0]
    """
    if not isinstance(table, Mapping) or not table:
        raise GraphTypeError(
            "by_pattern needs an optimizer for each pattern.",
            received=repr(table),
            fix='by_pattern({"base*": jg.optimizers.adam(1e-5)}, default="adam")',
        )
    groups: dict[Any, optax.GradientTransformation] = {pattern: get(optimizer) for pattern, optimizer in table.items()}
    groups[_OTHERS] = optax.set_to_zero() if default is None else get(default)

    def labels(params: PyTree) -> PyTree:
        return jax.tree_util.tree_map_with_path(lambda keys, _: first_fitting(path_of(keys), table) or _OTHERS, params)

    inner = optax.multi_transform(groups, labels)

    def init(params: PyTree) -> Any:
        check_patterns(table, paths_of(params), "by_pattern")
        return inner.init(params)

    return optax.GradientTransformation(init, inner.update)


class AveragedState(NamedTuple):
    """An optimizer's state, and the moving average of the params."""

    average: PyTree
    inner: PyTree


def averaged(optimizer: Any, decay: float = 0.999) -> optax.GradientTransformation:
    """An optimizer that also keeps an exponential moving average: a <- decay a + (1 - decay) w after each step.

    Args:
        optimizer: a Keras name or an Optax transformation.
        decay: how much of the average stays, from 0 to below 1.
    Returns: a transformation; `average_of(opt_state)` reads the average.
    Raises: GraphError when `decay` is out of range or the optimizer is not one.
    Reference: Polyak and Juditsky (1992), SIAM Journal on Control and Optimization 30(4), 838-855.

    >>> from jaxgraphs.training.optimizers.first_order import sgd
    >>> optimizer, params = averaged(sgd(1.0), decay=0.5), {"w": jnp.zeros(())}
    >>> _, state = optimizer.update({"w": jnp.ones(())}, optimizer.init(params), params)
    >>> float(average_of(state)["w"])
    -0.5
    """
    if isinstance(decay, bool) or not isinstance(decay, (int, float)) or not 0 <= decay < 1:
        raise GraphValueError("A moving average needs a decay from 0 to below 1.", received=repr(decay))
    inner = get(optimizer)

    def init(params: PyTree) -> AveragedState:
        return AveragedState(jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), params), inner.init(params))

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        change, inner_state = inner.update(updates, state.inner, params)
        after = optax.apply_updates(params, change)
        average = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, state.average, after)
        return change, AveragedState(average, inner_state)

    return optax.GradientTransformation(init, update)


def average_of(opt_state: PyTree) -> PyTree:
    """The moving average of the learned params that `averaged` keeps.

    Raises: GraphValueError where the state has none.
    """
    is_average = lambda node: isinstance(node, AveragedState)  # noqa: E731
    found = [node for node in jax.tree.leaves(opt_state, is_leaf=is_average) if is_average(node)]
    if not found:
        fix = 'optimizer=jg.optimizers.averaged("adam", decay=0.999)'
        raise GraphValueError("This optimizer keeps no average of the weights.", fix=fix)
    return found[0].average


def clipped_by(
    optimizer: Any, *, global_norm: float | None = None, norm: float | None = None, value: float | None = None
) -> optax.GradientTransformation:
    """Any optimizer, on gradients that are clipped first.

    Args:
        optimizer: a Keras name or an Optax transformation.
        global_norm: the largest norm of all gradients together; `norm`: of each array's; `value`: of each number.
    Raises: GraphValueError unless one limit is given, above 0.

    >>> from jaxgraphs.training.optimizers.first_order import sgd
    >>> optimizer = clipped_by(sgd(1.0), value=0.5)
    >>> params = {"w": jnp.zeros(())}
    >>> float(optimizer.update({"w": jnp.ones(())}, optimizer.init(params), params)[0]["w"])
    -0.5
    """
    limits = {"global_norm": global_norm, "norm": norm, "value": value}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if len(given) != 1 or not all(isinstance(limit, (int, float)) and limit > 0 for limit in given.values()):
        raise GraphValueError(
            "Gradients are clipped by one limit above 0.", received=repr(given), fix="global_norm=1.0"
        )
    ways = {"global_norm": optax.clip_by_global_norm, "norm": _clip_each, "value": optax.clip}
    return optax.chain(*(ways[name](limit) for name, limit in given.items()), get(optimizer))


def _clip_each(limit: float) -> optax.GradientTransformation:
    """Each array held within a norm, as Keras' clipnorm; Optax' clip_by_block_rms goes by the mean."""

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        return jax.tree.map(lambda g: g * (limit / jnp.maximum(jnp.linalg.norm(g.ravel()), limit)), updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
