"""Recurrent layers whose input is multiplied before the loop, and several of them in one loop.

On a GPU a step of a recurrent layer takes as long as its kernels take to launch. What does not depend on the step
before is therefore computed for all steps at once, the loop has several steps a turn, and calls that do not read each
other take their steps together: those of one layer as one batch, those of several by products of stacked arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgraphs.layers.base import Array, Weights
from jaxgraphs.layers.cells import States, nested_list
from jaxgraphs.layers.recurrent import Recurrent, run_steps
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import PyTree

# Steps in a turn of the loop (docs/scaling.md, "On a GPU"): more gain little and take long to compile.
STEPS_IN_A_TURN = 4


class Reading(NamedTuple):
    """One call of a recurrent layer.

    Args:
        layer: an LSTM, GRU or SimpleRNN.
        weights: its arrays.
        x: (batch, time, features).
        states: given ones, or None.
        context: as for the layer's own call.
    """

    layer: Any
    weights: Weights
    x: Array
    states: Any
    context: Context


def read(readings: Sequence[Reading]) -> list[PyTree]:
    """What each call gives: as the layers' own calls, with as few loops as can be.

    >>> from jaxgraphs.layers.recurrent import GRU
    >>> layer, x = GRU(2), jnp.ones((1, 3, 4))
    >>> arrays = {"kernel": jnp.ones((4, 6)), "recurrent_kernel": jnp.ones((2, 6)), "bias": jnp.ones((2, 6))}
    >>> (y,) = read([Reading(layer, arrays, x, None, Context())])
    >>> bool(jnp.allclose(y, layer.call(arrays, x, context=Context())))
    True
    """
    outputs: list[PyTree] = [None] * len(readings)
    loops: dict[Any, list[int]] = {}
    for index, reading in enumerate(readings):
        loops.setdefault(_key(reading, index), []).append(index)
    for places in loops.values():
        for place, output in zip(places, _read_together([readings[place] for place in places]), strict=True):
            outputs[place] = output
    return outputs


def _key(reading: Reading, index: int) -> Any:
    """What calls of one loop have in common."""
    layer, dtype = reading.layer, reading.x.dtype
    if _stays(reading):
        return index
    names = ("activation", "recurrent_activation", "reset_after", "zero_output_for_mask")
    alike = tuple(getattr(layer, name, None) for name in names)
    return layer.gates, layer.state_sizes, alike, tuple(sorted(reading.weights)), reading.x.shape[0], str(dtype)


def _stays(reading: Reading) -> bool:
    """Whether a call is left to its layer: where it draws a mask for each gate, and where only shapes are asked for."""
    is_sized = all(isinstance(size, int) for size in reading.x.shape)
    return not is_sized or bool(reading.context.train and reading.layer.recurrent_dropout)


def _read_together(readings: Sequence[Reading]) -> list[PyTree]:
    first = readings[0]
    if _stays(first):
        return [Recurrent.call(first.layer, first.weights, first.x, first.states, context=first.context)]
    gates, masks = zip(*map(_before_the_loop, readings), strict=True)
    steps = max(each.shape[1] for each in gates)
    starts = [reading.layer.start(reading.x, reading.states) for reading in readings]
    keeps_all = any(reading.layer.return_sequences for reading in readings)
    joined = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *starts)
    outputs, states = run_steps(
        _step(readings),
        jnp.concatenate([_in_front(each, steps) for each in gates]),
        joined,
        None if keeps_all else jnp.zeros_like(joined[0]),
        mask=_mask(gates, masks, steps),
        zero_masked=first.layer.zero_output_for_mask,
        unroll=STEPS_IN_A_TURN,
    )
    rows = len(first.x)
    return [
        _given(reading.layer, outputs[part], jax.tree.map(lambda leaf, part=part: leaf[part], states), each.shape[1])
        for index, (reading, each) in enumerate(zip(readings, gates, strict=True))
        for part in [slice(index * rows, (index + 1) * rows)]
    ]


def _before_the_loop(reading: Reading) -> tuple[Array, Array | None]:
    """(batch, time, gates x units), the input times the kernel in the order of reading; and which steps count."""
    layer, x, context = reading.layer, reading.x, reading.context
    mask = layer.steps_that_count(context, reading.states)
    kept, _ = layer.draw(x.shape[0], x.shape[-1], x.dtype, context) or (None, None)
    gates = jnp.matmul(x if kept is None else x * kept[0][:, None], reading.weights["kernel"])
    if not layer.go_backwards:
        return gates, mask
    return jnp.flip(gates, 1), None if mask is None else jnp.flip(mask, 1)


def _step(readings: Sequence[Reading]) -> Callable[[Array, States], tuple[Array, States]]:
    """A step of all calls, whose rows follow one another."""
    cell, count = readings[0].layer, len(readings)
    arrays = [{name: leaf for name, leaf in reading.weights.items() if name != "kernel"} for reading in readings]
    if all(reading.layer is cell for reading in readings):
        return partial(_step_of, cell, arrays[0])
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *arrays)

    def step(now: Array, states: States) -> tuple[Array, States]:
        apart = jax.tree.map(lambda leaf: leaf.reshape(count, -1, leaf.shape[-1]), (now, states))
        made = jax.vmap(partial(_step_of, cell))(stacked, *apart)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, leaf.shape[-1]), made)

    return step


def _step_of(cell: Any, arrays: Weights, now: Array, states: States) -> tuple[Array, States]:
    return cell.step({**arrays, "kernel": None}, now, states)


def _in_front(x: Array, steps: int) -> Array:
    """The sequence with steps that do not count before its own."""
    missing = steps - x.shape[1]
    return jnp.pad(x, ((0, 0), (missing, 0), *((0, 0),) * (x.ndim - 2))) if missing else x


def _mask(gates: Sequence[Array], masks: Sequence[Array | None], steps: int) -> Array | None:
    if all(mask is None for mask in masks) and all(each.shape[1] == steps for each in gates):
        return None
    filled = [jnp.ones(each.shape[:2], bool) if mask is None else mask for each, mask in zip(gates, masks, strict=True)]
    return jnp.concatenate([_in_front(mask, steps) for mask in filled])


def _given(layer: Any, outputs: Array, states: States, steps: int) -> PyTree:
    """What a layer gives, of all outputs or of the last alone."""
    if outputs.ndim == 3:
        outputs = outputs[:, -steps:] if layer.return_sequences else outputs[:, -1]
    return [outputs, *nested_list(states)] if layer.return_state else outputs
