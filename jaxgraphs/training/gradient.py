"""The gradient of one batch: at once, in parts one after another, or on many devices; each gives the same numbers.

A mean over a batch is a sum over its parts, each divided by what the whole batch counts. So the counts are found
first, and then each part or device sums its own share: padding, masks and weights are right of themselves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxgraphs.graph.module import updated
from jaxgraphs.graph.run import Wrap, run_graph
from jaxgraphs.symbolic.context import Context
from jaxgraphs.training.balancing import COLLECTION
from jaxgraphs.training.batch import Batch, combine
from jaxgraphs.training.losses.loss import Loss
from jaxgraphs.training.losses.reduction import reduce
from jaxgraphs.training.losses.shapes import divide_or_zero
from jaxgraphs.training.objective import Objective
from jaxgraphs.training.precision import where, widened
from jaxgraphs.training.regularization import penalty

Array = jax.Array
PyTree = Any
Found = tuple[PyTree, tuple[Array, dict[str, Array], PyTree, list[Array], list[Any]]]
"""Gradients; and the total loss, its terms, the new model state, flat outputs and their masks."""


@dataclasses.dataclass(frozen=True)
class Way:
    """How a batch's gradient is found.

    Args:
        parts: how many parts of the batch are computed one after another.
        unrolled: whether the parts are written out rather than looped over.
        wrap: what stands around each call, such as `jax.checkpoint`.
        mesh, axis: where given, each device along the axis computes its rows by itself and the sums are joined.
    """

    parts: int = 1
    unrolled: bool = False
    wrap: Wrap | None = None
    mesh: Mesh | None = None
    axis: str | None = None


@dataclasses.dataclass(frozen=True)
class _Count:
    """In a loss' place: what the loss divides by."""

    loss: Loss

    def reduced(
        self, outputs: Any, targets: Any, weights: Any = None, mask: Any = None, *, present: Any = None
    ) -> Array:
        values = self.loss.values(outputs, targets)
        if values.ndim == 0:
            return _rows(outputs, present).astype(values.dtype)
        each = weights if self.loss.reduction == "mean_with_sample_weight" else None
        return reduce(jnp.ones_like(values), each, _mask(self.loss, targets, values, mask), "sum", present=present)


@dataclasses.dataclass(frozen=True)
class _Share:
    """In a loss' place: what some rows add to the loss of a batch that counts `count`."""

    loss: Loss
    count: Array

    def reduced(
        self, outputs: Any, targets: Any, weights: Any = None, mask: Any = None, *, present: Any = None
    ) -> Array:
        values = self.loss.values(outputs, targets)
        if values.ndim == 0:
            whole = self.loss.reduced(outputs, targets, weights, mask, present=present)
            return divide_or_zero(whole * _rows(outputs, present).astype(whole.dtype), self.count.astype(whole.dtype))
        total = dataclasses.replace(self.loss, reduction="sum").reduced(
            outputs, targets, weights, mask, present=present
        )
        return total if self.loss.reduction == "sum" else divide_or_zero(total, self.count.astype(total.dtype))


def make_gradient(objective: Objective, way: Way) -> Callable[..., Found]:
    """(learned, fixed, model_state, batch, key, scale) -> gradients, (total, terms, model_state, outputs, masks).

    Under `way.parts` dropout draws anew for each part, and batch statistics are each part's own, moved part after
    part: all else is that of the whole batch. Along `way.axis` batch statistics are those of the whole batch.
    """
    if way.axis is not None:
        return _over_devices(objective, way)
    if way.parts > 1:
        return _with_penalties(objective, lambda *args: _in_parts(objective, way, *args))
    return lambda *args: _at_once(objective, way, *args)


def forward(
    objective: Objective,
    params: PyTree,
    model_state: PyTree,
    batch: Batch,
    *,
    train: bool,
    key: Array | None = None,
    wrap: Wrap | None = None,
    axis: str | None = None,
    share: Any = 1.0,
) -> tuple[Array, Any]:
    """The total loss of a batch; and (total, its terms, new model state, outputs, masks).

    Args:
        wrap: as in `run_graph`.
        axis: the name of the devices' axis along which the batch's other rows are.
        share: by which penalties on activations, means over these rows, enter the total: their part of the batch's.
    """
    rngs = {} if key is None else {"dropout": key}
    name = objective.graph.name or "graph"
    context = Context(train=train, rngs=rngs, name=name, present=batch.targets.present, axis=axis)
    variables = {"params": params, **model_state}
    ran = run_graph(objective.computing(train=train), variables, batch.inputs, context, wrap=wrap)
    # Losses and metrics of half-precision outputs are computed in float32.
    outputs = widened(jax.tree.leaves(ran.outputs))
    masks = jax.tree.leaves(ran.masks, is_leaf=lambda leaf: leaf is None)
    total, parts = objective.loss(outputs, masks, batch.targets, params, model_state.get(COLLECTION))
    for extra in ran.losses:
        total = total + jnp.asarray(share, total.dtype) * extra.astype(total.dtype)
    changed = updated(variables, ran)
    state = {name: changed.get(name, tree) for name, tree in model_state.items()}
    return total, (total, parts, state, outputs, masks)


def _at_once(
    objective: Objective,
    way: Way,
    learned: PyTree,
    fixed: PyTree,
    model_state: PyTree,
    batch: Batch,
    key: Array,
    scale: Array | None,
    share: Any = 1.0,
) -> Found:
    def loss_of(learned: PyTree) -> tuple[Array, Any]:
        params = combine(learned, fixed)
        options: Any = {"wrap": way.wrap, "axis": way.axis, "share": share}
        total, found = forward(objective, params, model_state, batch, train=True, key=key, **options)
        return total if scale is None else total * scale.astype(total.dtype), found

    return jax.grad(loss_of, has_aux=True)(learned)


def _in_parts(
    objective: Objective,
    way: Way,
    learned: PyTree,
    fixed: PyTree,
    model_state: PyTree,
    batch: Batch,
    key: Array,
    scale: Array | None,
    counts: dict[str, Array] | None = None,
    real: Array | None = None,
) -> Found:
    counts = count(objective, combine(learned, fixed), model_state, batch) if counts is None else counts
    local, parts = shared(objective, counts), min(way.parts, len(batch.inputs[0]))
    pieces, real = _split(batch, parts), _real(batch) if real is None else real

    def one(state: PyTree, numbered: tuple[Array, Batch]) -> tuple[PyTree, PyTree]:
        index, piece = numbered
        inner = jax.random.fold_in(key, index) if parts > 1 else key
        found = _at_once(local, way, learned, fixed, state, piece, inner, scale, _real(piece) / real)
        gradients, (total, terms, new, outputs, masks) = found
        state = new if piece.targets.present is None else where(_is_any(piece.targets.present, way.axis), new, state)
        return state, ((gradients, total, terms), (outputs, masks))

    numbers = jnp.arange(parts)
    if way.unrolled or parts == 1:
        model_state, (sums, rows) = _one_by_one(one, model_state, (numbers, pieces), parts)
    else:
        model_state, (sums, rows) = _looped(one, model_state, (numbers, pieces))
    outputs, masks = _joined(rows, len(batch.inputs[0]))
    gradients, total, terms = sums
    return gradients, (total, terms, model_state, outputs, masks)


def _is_any(present: Array, axis: str | None) -> Array:
    """Whether a part has a real row on any device; what has none must not move batch statistics."""
    count = jnp.sum(present.astype(jnp.int32))
    return (count if axis is None else jax.lax.psum(count, axis)) > 0


def _one_by_one(one: Callable[..., Any], state: PyTree, pieces: PyTree, count: int) -> tuple[PyTree, Any]:
    parts = []
    for index in range(count):
        state, part = one(state, jax.tree.map(lambda leaf, at=index: leaf[at], pieces))
        parts.append(part)
    sums = jax.tree.map(lambda *leaves: sum(leaves[1:], start=leaves[0]), *(part[0] for part in parts))
    return state, (sums, jax.tree.map(lambda *leaves: jnp.stack(leaves), *(part[1] for part in parts)))


def _looped(one: Callable[..., Any], state: PyTree, pieces: PyTree) -> tuple[PyTree, Any]:
    first = jax.tree.map(lambda leaf: leaf[0], pieces)
    _, (sums, _) = jax.eval_shape(one, state, first)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), sums)

    def add(carry: PyTree, piece: PyTree) -> tuple[PyTree, PyTree]:
        state, (more, rows) = one(carry[0], piece)
        return (state, jax.tree.map(jnp.add, carry[1], more)), rows

    (state, sums), rows = jax.lax.scan(add, (state, zeros), pieces)
    return state, (sums, rows)


def _over_devices(objective: Objective, way: Way) -> Callable[..., Found]:
    assert way.mesh is not None
    axis = str(way.axis)
    whole, rows = PartitionSpec(), PartitionSpec(axis)

    def local(learned: PyTree, fixed: PyTree, state: PyTree, batch: Batch, key: Array, scale: Array | None) -> Found:
        counts = jax.lax.psum(count(objective, combine(learned, fixed), state, batch), axis)
        key = jax.random.fold_in(key, jax.lax.axis_index(axis))
        real = jax.lax.psum(_real(batch), axis)
        found = _in_parts(objective, way, learned, fixed, state, batch, key, scale, counts, real)
        gradients, (total, terms, state, outputs, masks) = found
        gradients, total, terms = jax.lax.psum((gradients, total, terms), axis)
        return gradients, (total, terms, _averaged(state, axis), outputs, masks)

    spread = jax.shard_map(
        local,
        mesh=way.mesh,
        in_specs=(whole, whole, whole, rows, whole, whole),
        out_specs=(whole, (whole, whole, whole, rows, rows)),
        check_vma=False,
    )
    return _with_penalties(objective, spread)


def _averaged(state: PyTree, axis: str) -> PyTree:
    """Model state that every device agrees on, also where a layer's own statistics are each device's."""
    is_float = lambda leaf: jnp.issubdtype(leaf.dtype, jnp.floating)  # noqa: E731
    return jax.tree.map(lambda leaf: jax.lax.pmean(leaf, axis) if is_float(leaf) else leaf, state)


def _with_penalties(objective: Objective, find: Callable[..., Found]) -> Callable[..., Found]:
    """`find`, and the penalties on weights, once for all parts."""

    def gradient(learned: PyTree, fixed: PyTree, model_state: PyTree, batch: Batch, key: Array, scale: Any) -> Found:
        gradients, (total, terms, state, outputs, masks) = find(learned, fixed, model_state, batch, key, scale)

        def penalty_of(learned: PyTree) -> tuple[Array, Array]:
            value = penalty(objective.declared, combine(learned, fixed))
            value = jnp.zeros((), jnp.float32) if value is None else value
            return value if scale is None else value * scale.astype(value.dtype), value

        if all(weight.regularizer is None for weight in objective.declared.values()):
            return gradients, (total, terms, state, outputs, masks)
        more, value = jax.grad(penalty_of, has_aux=True)(learned)
        gradients = jax.tree.map(lambda a, b: a + b.astype(a.dtype), gradients, more)
        terms = terms | {"regularization_loss": value}
        return gradients, (total + value.astype(total.dtype), terms, state, outputs, masks)

    return gradient


def count(objective: Objective, params: PyTree, model_state: PyTree, batch: Batch) -> dict[str, Array]:
    """What each loss divides by over the whole batch.

    The graph is run for its masks alone; the compiler leaves out all else.
    """
    counting = _silent(objective, [None if loss is None else _Count(loss) for loss in objective.losses])
    _, (_, counts, _, _, _) = forward(counting, params, model_state, batch, train=False)
    return jax.lax.stop_gradient(counts)


def shared(objective: Objective, counts: dict[str, Array]) -> Objective:
    """The objective whose losses of a batch's parts add up to that of the batch; without penalties on weights."""
    pairs = [(loss, counts.get(f"{name}_loss")) for name, loss in zip(objective.names, objective.losses, strict=True)]
    return _silent(objective, [None if count is None else _Share(loss, count) for loss, count in pairs])


def _silent(objective: Objective, losses: list[Any]) -> Objective:
    return dataclasses.replace(objective, losses=tuple(losses), declared={})


def _mask(loss: Loss, targets: Any, values: Array, mask: Any) -> Any:
    counted = loss.counted(targets)
    if counted is None:
        return mask
    counted = counted.reshape(values.shape)
    return counted if mask is None else counted & jnp.asarray(mask).astype(bool)


def _real(batch: Batch) -> Array:
    """How many rows of a batch count."""
    rows = _rows(batch.inputs[0], batch.targets.present)
    return rows.astype(jax.dtypes.canonicalize_dtype(np.float64))


def _rows(outputs: Array, present: Any) -> Array:
    return jnp.asarray(float(outputs.shape[0])) if present is None else jnp.sum(present.astype(jnp.float32))


def _split(batch: Batch, parts: int) -> Batch:
    """The batch's rows in `parts` parts of one size, the last rows filled up with copies of the first."""
    size = len(batch.inputs[0])
    each = -(-size // parts)
    batch = batch if each * parts == size else _filled(batch, size, each * parts)
    # Dealt out in turn, so that rows stay on the device that has them.
    return jax.tree.map(lambda leaf: jnp.swapaxes(leaf.reshape(each, parts, *leaf.shape[1:]), 0, 1), batch)


def _filled(batch: Batch, size: int, total: int) -> Batch:
    """The batch with copies of its first row behind, marked as not real."""
    numbers = jnp.arange(total)
    filled = jax.tree.map(lambda leaf: leaf[jnp.where(numbers < size, numbers, 0)], batch)
    present = numbers < size if filled.targets.present is None else (numbers < size) & filled.targets.present
    return dataclasses.replace(filled, targets=dataclasses.replace(filled.targets, present=present))


def _joined(rows: PyTree, size: int) -> PyTree:
    """The inverse of `_split` for outputs."""

    def join(leaf: Array) -> Array:
        return jnp.swapaxes(leaf, 0, 1).reshape(-1, *leaf.shape[2:])[:size]

    return jax.tree.map(join, rows)
