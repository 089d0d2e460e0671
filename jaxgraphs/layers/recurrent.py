"""Recurrent layers: a cell carried along the time axis."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphTypeError, GraphValueError, ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, Weights, describes
from jaxgraphs.layers.cells import (
    Cell,
    GRUCell,
    LSTMCell,
    SimpleRNNCell,
    StackedRNNCells,
    States,
    inner_weights,
    nested_list,
    not_a_cell,
)
from jaxgraphs.layers.core import check_floating
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import PyTree, title
from jaxgraphs.symbolic.spec import TensorSpec

Step = Callable[[Array, States], tuple[Array, States]]
"""(batch, features) and states to output and states."""


def run_steps(
    step: Step,
    x: Array,
    states: States,
    output: Array | None = None,
    *,
    mask: Array | None = None,
    backwards: bool = False,
    zero_masked: bool = False,
    unroll: bool | int = False,
) -> tuple[Array, States]:
    """Carries `step` along the time axis.

    Args:
        x: (batch, time, features).
        states: before the first step, (batch, size) each.
        output: where the last output alone is wanted, what it is before the first step; None asks for all of them.
        mask: (batch, time) booleans; where False the states stay, and the output is the first state (or zero).
        backwards: starts at the end; the outputs come in the order they were computed.
        zero_masked: the output of a masked step is zero.
        unroll: one copy of the body for each step rather than a loop; or how many copies a turn of the loop has.
    Returns: (batch, time, size) or (batch, size), and the states after the last step.
    """

    def body(carry: tuple[States, Any], now: tuple[Array, Array | None]) -> tuple[tuple[States, Any], Any]:
        states, _ = carry
        y, new = step(now[0], states)
        if now[1] is not None:
            y, new = _hold(now[1], y, new, states, zero_masked)
        return ((new, None), y) if output is None else ((new, y), None)

    live = None if mask is None else _time_first(jnp.expand_dims(mask, -1))
    steps = (_time_first(x), live)
    start = varying_as_later(body, (states, output), steps)
    (states, last), every = jax.lax.scan(body, start, steps, reverse=backwards, unroll=unroll)
    if last is not None:
        return last, states
    return _time_first(jnp.flip(every, 0) if backwards else every), states


def varying_as_later(body: Callable[[Any, Any], Any], carry: PyTree, steps: PyTree) -> PyTree:
    """The first carry of a scan, said to differ between devices where what it becomes does: `shard_map` asks for it."""
    if not jax.sharding.get_abstract_mesh().manual_axes:
        return carry
    later, _ = jax.eval_shape(body, carry, jax.tree.map(lambda x: x[0], steps))
    return jax.tree.map(_varying_as, carry, later)


def _varying_as(x: Array, later: Any) -> Array:
    if later.manual_axis_type is None:  # within a shard_map that does not check who varies
        return x
    axes = later.manual_axis_type.varying - jax.typeof(x).manual_axis_type.varying
    return jax.lax.pcast(x, tuple(axes), to="varying") if axes else x


def _hold(live: Array, y: Array, new: States, states: States, zero_masked: bool) -> tuple[Array, States]:
    """Output and states where a step counts; what there was before elsewhere."""
    # Keras takes the first state, of the last cell where there are several, to be the output before.
    before = states[-1][0] if isinstance(states[0], tuple) else states[0]
    held = jnp.zeros_like(y) if zero_masked else before
    return jnp.where(live, y, held), jax.tree.map(lambda a, b: jnp.where(live, a, b), new, states)


def _time_first(x: Array) -> Array:
    return jnp.swapaxes(x, 0, 1)


def step_mask(context: Context) -> Array | None:
    """The first argument's mask as (batch, time) booleans: a step counts when any part of it does."""
    leaves = jax.tree.leaves(context.masks[:1])
    if not leaves:
        return None
    mask = leaves[0].astype(bool)
    # A mask without a time axis is about whole sequences, as inside TimeDistributed; no step of one is left out.
    return None if mask.ndim < 2 else jnp.any(mask, axis=tuple(range(2, mask.ndim)))


@describes
class Recurrent(Layer):
    """What recurrent layers have in common, whatever their cell."""

    _: dataclasses.KW_ONLY
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    stateful: bool = False
    unroll: bool = False
    zero_output_for_mask: bool = False
    use_cudnn: Any = "auto"
    recompute: bool = False
    masks_given_states: bool = True

    supports_masking: ClassVar[bool] = True

    def validate(self) -> None:
        super().validate()
        if self.stateful:
            raise GraphValueError(
                f"{title(self)} cannot be stateful: a layer is a description, and carries no arrays from call to call.",
                received="stateful=True",
                fix="return_state=True gives the states back; pass them on with layer(x, initial_state=states)",
            )

    @property
    def runner(self) -> Cell:
        """The cell that is carried along."""
        raise GraphTypeError(f"{self.kind} has no cell.", fix="define runner")

    def check(self, *specs: Any, initial_state: Any = None, **_: Any) -> None:
        sequence, given = _split(specs, initial_state)
        if not isinstance(sequence, TensorSpec) or sequence.rank != 3:
            raise ShapeMismatchError(
                f"{title(self)} reads a sequence.",
                expected="one tensor of shape (batch, time, features)",
                fix="layers.Embedding turns ids into features; states are given with initial_state=[...]",
            )
        check_floating(self, sequence)
        if self.unroll and not isinstance(sequence.dims[1], int):
            raise GraphValueError(
                f"{title(self)} cannot unroll an unknown number of steps.",
                expected="a known time axis",
                fix="unroll=False, or Input((100, 64)) in place of Input((None, 64))",
            )
        self._check_states(given)

    def _check_states(self, given: Any) -> None:
        sizes, specs = jax.tree.leaves(self.runner.state_sizes), jax.tree.leaves(given)
        widths = [spec.shape[-1] for spec in specs]
        if specs and (len(specs) != len(sizes) or any(a not in (b, None) for a, b in zip(widths, sizes, strict=True))):
            raise ShapeMismatchError(
                f"{title(self)} cannot start from this initial_state.",
                received=", ".join(str(spec) for spec in specs),
                expected=", ".join(f"(batch, {size})" for size in sizes),
                fix=f"initial_state=[...] with {len(sizes)} tensor{'s' if len(sizes) > 1 else ''} of these widths",
            )

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        return self.runner.cell_weights(specs[0].dims[-1])

    def call(self, weights: Weights, x: Array, initial_state: Any = None, *, context: Context) -> PyTree:
        cell, batch = self.runner, x.shape[0]
        drops = cell.draw(batch, x.shape[-1], x.dtype, context)
        step: Callable[..., tuple[Array, States]] = partial(_step, cell)
        # A loop keeps the backward pass apart from the forward one: nothing has to be said against merging them.
        step = jax.checkpoint(step, prevent_cse=False) if self.recompute and context.train else step
        outputs, states = run_steps(
            partial(step, weights, drops),
            x,
            self.start(x, initial_state),
            None if self.return_sequences else jnp.zeros((batch, cell.output_size), x.dtype),
            mask=self.steps_that_count(context, initial_state),
            backwards=self.go_backwards,
            zero_masked=self.zero_output_for_mask,
            unroll=self.unroll,
        )
        return [outputs, *nested_list(states)] if self.return_state else outputs

    def steps_that_count(self, context: Context, states: Any) -> Array | None:
        """The mask, unless states were given and it is not to count then, as in Keras 3."""
        return step_mask(context) if states is None or self.masks_given_states else None

    def start(self, x: Array, given: Any) -> States:
        """The states before the first step: those given, or zeros."""
        if given is None:
            return self.runner.initial_states(x.shape[0], x.dtype)
        return jax.tree.unflatten(jax.tree.structure(self.runner.state_sizes), jax.tree.leaves(given))

    def output_mask(self, context: Context, *args: Any, **_: Any) -> PyTree:
        kept = self.return_sequences and step_mask(context) is not None
        mask = jax.tree.leaves(context.masks[:1])[0] if kept else None
        states = jax.tree.map(lambda _: None, nested_list(self.runner.state_sizes))
        return [mask, *states] if self.return_state else mask


def _step(cell: Cell, weights: Weights, drops: Any, now: Array, states: States) -> tuple[Array, States]:
    return cell.step(weights, now, states, drops)


def _split(specs: tuple[Any, ...], initial_state: Any) -> tuple[Any, Any]:
    """The sequence, and the states wherever they were given."""
    if len(specs) == 2 and initial_state is None:
        return specs
    return (specs[0] if len(specs) == 1 else None), initial_state


@describes
class SimpleRNN(Recurrent, SimpleRNNCell):
    """A fully connected recurrent layer: h' = activation(x kernel + h recurrent_kernel + bias) along the time axis.

    Args:
        units: the width of the output.
        activation: a Keras name or a JAX function; None is linear.
        dropout, recurrent_dropout: rates at which inputs and last outputs are dropped in training, one mask a sequence.
        return_sequences: gives the outputs of all steps rather than of the last.
        return_state: gives ``[output, h]``.
        go_backwards: reads from the end; the outputs come in the order they were computed.
        stateful: refused, for a layer carries no arrays from call to call.
        unroll: one copy of the step for each time step; needs a known time axis.
        zero_output_for_mask: the output of a masked step is zero rather than the one before.
        recompute: in training, the gates of a step are computed again in the backward pass rather than kept.
        masks_given_states: whether a mask counts in calls with `initial_state` too; Keras 3 passes over it there, and
            models ported from it do.
        seed, use_cudnn: accepted as in Keras, without effect.
    Call: ``layer(x, initial_state=[h], mask=mask, training=None)``; masked steps leave the state as it was.
    Shapes: (batch, time, features) -> (batch, units), or (batch, time, units); kernel (features, units),
        recurrent_kernel (units, units), bias (units,).
    Raises: GraphError when the input is no sequence of floats, a state has another width, or an argument is senseless.
    Reference: Elman (1990), Cognitive Science 14(2), 179-211.

    >>> from jaxgraphs.symbolic.node import Input
    >>> SimpleRNN(3, return_sequences=True)(Input((None, 2))).shape
    (None, None, 3)
    """

    @property
    def runner(self) -> Cell:
        return self


@describes
class LSTM(Recurrent, LSTMCell):
    """Long short-term memory: c' = f c + i tanh(...), h' = o tanh(c') along the time axis.

    Args:
        units: the width of the output.
        activation: of the candidate and of c; None is linear.
        recurrent_activation: of the gates i, f and o.
        unit_forget_bias: the bias of f starts at 1.
        return_state: gives ``[output, h, c]``.
        dropout, recurrent_dropout, return_sequences, go_backwards, stateful, unroll, zero_output_for_mask, seed,
            use_cudnn, recompute: as in SimpleRNN.
    Call: ``layer(x, initial_state=[h, c], mask=mask, training=None)``; masked steps leave the states as they were.
    Shapes: (batch, time, features) -> (batch, units), or (batch, time, units); kernel (features, 4 units) in the order
        i, f, c, o, recurrent_kernel (units, 4 units), bias (4 units,).
    Raises: GraphError when the input is no sequence of floats, a state has another width, or an argument is senseless.
    Reference: Hochreiter and Schmidhuber (1997), Neural Computation 9(8), 1735-1780.

    >>> from jaxgraphs.symbolic.node import Input
    >>> output, h, c = LSTM(32, return_state=True)(Input((None, 64)))
    >>> output.shape, c.shape
    ((None, 32), (None, 32))
    """

    @property
    def runner(self) -> Cell:
        return self


@describes
class GRU(Recurrent, GRUCell):
    """Gated recurrent units: h' = z h + (1 - z) candidate along the time axis.

    Args:
        units: the width of the output.
        activation: of the candidate; None is linear.
        recurrent_activation: of the gates z and r.
        reset_after: r multiplies h recurrent_kernel + bias (as cuDNN has it) rather than h.
        return_state: gives ``[output, h]``.
        dropout, recurrent_dropout, return_sequences, go_backwards, stateful, unroll, zero_output_for_mask, seed,
            use_cudnn, recompute: as in SimpleRNN.
    Call: ``layer(x, initial_state=[h], mask=mask, training=None)``; masked steps leave the state as it was.
    Shapes: (batch, time, features) -> (batch, units), or (batch, time, units); kernel (features, 3 units) in the order
        z, r, h, recurrent_kernel (units, 3 units), bias (2, 3 units) with `reset_after`, else (3 units,).
    Raises: GraphError when the input is no sequence of floats, a state has another width, or an argument is senseless.
    Reference: Cho et al. (2014), arXiv 1406.1078.

    >>> from jaxgraphs.symbolic.node import Input
    >>> GRU(32)(Input((None, 64))).shape
    (None, 32)
    """

    @property
    def runner(self) -> Cell:
        return self


@describes
class RNN(Recurrent):
    """Any cell carried along the time axis.

    Args:
        cell: a Cell, or a list of them to stack; with one cell the arrays are named as the cell names them.
        return_state: gives ``[output, *states]``; the states of stacked cells come as a list for each.
        return_sequences, go_backwards, stateful, unroll, zero_output_for_mask, recompute: as in SimpleRNN.
    Call: ``layer(x, initial_state=states, mask=mask, training=None)``.
    Shapes: (batch, time, features) -> (batch, size), or (batch, time, size).
    Raises: GraphError when `cell` is not a cell, the input is no sequence of floats, or a state has another width.

    >>> from jaxgraphs.symbolic.node import Input
    >>> RNN([LSTMCell(8), GRUCell(4)], return_sequences=True)(Input((None, 2))).shape
    (None, None, 4)
    """

    cell: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        # A graph freezes whole layers, so a layer around a frozen cell is frozen.
        object.__setattr__(self, "trainable", self.trainable and self.cell.trainable)

    def _normalise(self, field: str, value: Any) -> None:
        stacked = field == "cell" and isinstance(value, (list, tuple))
        super()._normalise(field, StackedRNNCells(value) if stacked else value)

    def validate(self) -> None:
        super().validate()
        if not isinstance(self.cell, Cell) or isinstance(self.cell, Recurrent):
            raise not_a_cell(self, self.cell)

    @property
    def runner(self) -> Cell:
        return self.cell

    @property
    def held(self) -> Any:
        return self.cell

    def holding(self, layer: Any) -> Any:
        return self.replace(cell=layer)

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        return inner_weights(self.cell, self.cell.cell_weights(specs[0].dims[-1]))
