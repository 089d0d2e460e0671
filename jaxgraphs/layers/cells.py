"""One step of a recurrent layer: what a cell has and computes, before anything is said of sequences."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphTypeError, GraphValueError
from jaxgraphs.layers import activations, initializers
from jaxgraphs.layers.base import Array, Layer, Weight, Weights, describes, map_weights, positive
from jaxgraphs.layers.core import drop
from jaxgraphs.layers.steps import gru_reset_before_step, gru_step, lstm_step, simple_step
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import PyTree, title
from jaxgraphs.symbolic.spec import Dim

States = tuple[Any, ...]
"""What a cell carries from step to step; the first is its last output, as Keras assumes."""


@describes
class Cell(Layer):
    """What a recurrent layer asks of a cell: `state_sizes`, `cell_weights`, `step` and, for dropout, `draw`.

    A cell is a layer of one step too: ``output, states = cell(x, states)``.
    """

    @property
    def state_sizes(self) -> PyTree:
        """The width of each state, arranged as the states are."""
        raise GraphTypeError(f"{self.kind} does not say what it carries.", fix="define state_sizes, such as (units,)")

    @property
    def output_size(self) -> int:
        """The width of the output."""
        return self.state_sizes[0]

    def cell_weights(self, features: Dim) -> Mapping[str, Any]:
        """The arrays for inputs of that many features."""
        return {}

    def step(self, weights: Weights, x: Array, states: States, drops: Any = None) -> tuple[Array, States]:
        """The output and the new states of one step.

        Args:
            x: (batch, features).
            states: (batch, size) each.
            drops: what `draw` gave for the sequence; None drops nothing.
        """
        raise GraphTypeError(
            f"{self.kind} does not say what it computes.", fix="define step(self, weights, x, states, drops)"
        )

    def draw(self, batch: Dim, features: Dim, dtype: Any, context: Context) -> Any:
        """What is drawn once for a whole sequence: masks of dropout, or None."""
        return None

    def initial_states(self, batch: Dim, dtype: Any) -> States:
        """Zeros, (batch, size) for each state."""
        return jax.tree.map(lambda size: jnp.zeros((batch, size), dtype), self.state_sizes)

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        return self.cell_weights(specs[0].dims[-1])

    def call(self, weights: Weights, x: Array, states: Any, *, context: Context) -> PyTree:
        drops = self.draw(x.shape[0], x.shape[-1], x.dtype, context)
        carried = jax.tree.unflatten(jax.tree.structure(self.state_sizes), jax.tree.leaves(states))
        output, new = self.step(weights, x, carried, drops)
        return output, nested_list(new)


@describes
class KernelCell(Cell):
    """What the cells of this file share: a product with the input and one with the last output, for each gate."""

    units: int
    activation: Any = "tanh"
    _: dataclasses.KW_ONLY
    kernel_regularizer: Any = None
    recurrent_regularizer: Any = None
    bias_regularizer: Any = None
    kernel_constraint: Any = None
    recurrent_constraint: Any = None
    bias_constraint: Any = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    seed: int | None = None

    def validate(self) -> None:
        positive(self, units=self.units)
        for name in ("dropout", "recurrent_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise GraphValueError(
                    f"{title(self)} needs {name} to be a rate of 0 or more and below 1.",
                    received=f"{name}={getattr(self, name)!r}",
                )

    @property
    def gates(self) -> int:
        """How many blocks of `units` columns a kernel has."""
        return 1

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.units,)

    def cell_weights(self, features: Dim) -> Mapping[str, Any]:
        width = self.gates * self.units
        arrays = {
            "kernel": self._weight("kernel", (features, width)),
            "recurrent_kernel": self._weight("recurrent", (self.units, width)),
        }
        # Each cell declares use_bias itself, for Keras has it after arguments that only some cells have.
        return arrays | ({"bias": self._bias(width)} if getattr(self, "use_bias", True) else {})

    def draw(self, batch: Dim, features: Dim, dtype: Any, context: Context) -> tuple[Array | None, Array | None] | None:
        """Masks for the input and for the last output, (count, batch, width) each, or None.

        As in Keras, the gates share one mask until `recurrent_dropout` asks for a mask of each gate's own.
        """
        if not context.train or not (self.dropout or self.recurrent_dropout):
            return None
        count, key = self.gates if self.recurrent_dropout else 1, context.key()

        def kept(width: Dim, rate: float, stream: int) -> Array | None:
            ones = jnp.ones((count, batch, width), dtype)
            return drop(ones, jax.random.fold_in(key, stream), rate) if rate else None

        return kept(features, self.dropout, 0), kept(self.units, self.recurrent_dropout, 1)

    def _bias(self, width: int) -> Weight:
        return self._weight("bias", (width,))

    def _weight(self, part: str, shape: tuple[Dim, ...], initializer: Any = None) -> Weight:
        regularizer, constraint = getattr(self, f"{part}_regularizer"), getattr(self, f"{part}_constraint")
        return Weight(shape, initializer or getattr(self, f"{part}_initializer"), "params", regularizer, constraint)


@describes
class SimpleRNNCell(KernelCell):
    """h' = activation(x kernel + h recurrent_kernel + bias).

    Args:
        units: the width of the output and of the state.
        activation: a Keras name or a JAX function; None is linear.
        dropout: rate at which inputs are dropped in training; one mask holds for a whole sequence.
        recurrent_dropout: the same for the last output on its way into the product.
        seed: accepted as in Keras; the caller's key decides.
    Shapes: x (batch, features), h (batch, units); kernel (features, units), recurrent_kernel (units, units),
        bias (units,).
    Raises: GraphError when `units` is not positive or a rate is not in [0, 1).

    >>> from jaxgraphs.symbolic.node import Input
    >>> output, states = SimpleRNNCell(3)(Input((2,)), [Input((3,))])
    >>> output.shape, len(states)
    ((None, 3), 1)
    """

    use_bias: bool = True
    kernel_initializer: Any = "glorot_uniform"
    recurrent_initializer: Any = "orthogonal"
    bias_initializer: Any = "zeros"

    def step(self, weights: Weights, x: Array, states: States, drops: Any = None) -> tuple[Array, States]:
        h = simple_step(weights, x, states[0], self.activation or activations.linear, drops)
        return h, (h,)


@describes
class GatedCell(KernelCell):
    """What LSTM and GRU share: gates with an activation of their own."""

    recurrent_activation: Any = "sigmoid"
    use_bias: bool = True
    kernel_initializer: Any = "glorot_uniform"
    recurrent_initializer: Any = "orthogonal"
    bias_initializer: Any = "zeros"

    @property
    def functions(self) -> tuple[Any, Any]:
        """The activations of the values and of the gates."""
        return self.activation or activations.linear, self.recurrent_activation or activations.linear


@describes
class LSTMCell(GatedCell):
    """One step of an LSTM: c' = f c + i tanh(...), h' = o tanh(c'), with gates i, f, o of x and h.

    Args:
        units: the width of the output and of the two states, h and c.
        activation: of the candidate and of c; None is linear.
        recurrent_activation: of the gates.
        unit_forget_bias: the bias of f starts at 1 in place of `bias_initializer`.
        dropout, recurrent_dropout, seed: as in SimpleRNNCell.
    Shapes: x (batch, features), h and c (batch, units); kernel (features, 4 units) in the order i, f, c, o,
        recurrent_kernel (units, 4 units), bias (4 units,).
    Raises: GraphError when `units` is not positive or a rate is not in [0, 1).
    Reference: Hochreiter and Schmidhuber (1997), Neural Computation 9(8), 1735-1780.

    >>> from jaxgraphs.symbolic.node import Input
    >>> output, (h, c) = LSTMCell(3)(Input((2,)), [Input((3,)), Input((3,))])
    >>> output.shape, c.shape
    ((None, 3), (None, 3))
    """

    _: dataclasses.KW_ONLY
    unit_forget_bias: bool = True

    @property
    def gates(self) -> int:
        return 4

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.units, self.units)

    def step(self, weights: Weights, x: Array, states: States, drops: Any = None) -> tuple[Array, States]:
        h, c = lstm_step(weights, x, (states[0], states[1]), self.functions, drops)
        return h, (h, c)

    def _bias(self, width: int) -> Weight:
        first = self.bias_initializer
        return self._weight("bias", (width,), forget_bias(first, self.units) if self.unit_forget_bias else first)


@describes
class GRUCell(GatedCell):
    """One step of a GRU: h' = z h + (1 - z) candidate, where the reset gate r decides what the candidate sees of h.

    Args:
        units: the width of the output and of the state.
        activation: of the candidate; None is linear.
        recurrent_activation: of the gates.
        reset_after: r multiplies h recurrent_kernel + bias (as cuDNN has it) rather than h.
        dropout, recurrent_dropout, seed: as in SimpleRNNCell.
    Shapes: x (batch, features), h (batch, units); kernel (features, 3 units) in the order z, r, h,
        recurrent_kernel (units, 3 units), bias (2, 3 units) with `reset_after`, else (3 units,).
    Raises: GraphError when `units` is not positive or a rate is not in [0, 1).
    Reference: Cho et al. (2014), arXiv 1406.1078.

    >>> from jaxgraphs.symbolic.node import Input
    >>> GRUCell(3)(Input((2,)), [Input((3,))])[0].shape
    (None, 3)
    """

    _: dataclasses.KW_ONLY
    reset_after: bool = True

    @property
    def gates(self) -> int:
        return 3

    def step(self, weights: Weights, x: Array, states: States, drops: Any = None) -> tuple[Array, States]:
        step = gru_step if self.reset_after else gru_reset_before_step
        h = step(weights, x, states[0], self.functions, drops)
        return h, (h,)

    def _bias(self, width: int) -> Weight:
        return self._weight("bias", (2, width) if self.reset_after else (width,))


@describes
class StackedRNNCells(Cell):
    """Cells that read one another within a step, as one cell.

    Args:
        cells: each reads the output of the one before; its arrays are under ``cell_0``, ``cell_1`` ...
    Raises: GraphTypeError when one is not a cell.

    >>> StackedRNNCells([LSTMCell(4), GRUCell(3)]).state_sizes
    ((4, 4), (3,))
    """

    cells: Any

    def validate(self) -> None:
        strangers = [cell for cell in self.cells if not isinstance(cell, Cell)]
        if strangers or not self.cells:
            raise not_a_cell(self, strangers[0] if strangers else None)

    @property
    def state_sizes(self) -> tuple[Any, ...]:
        return tuple(cell.state_sizes for cell in self.cells)

    @property
    def output_size(self) -> int:
        return self.cells[-1].output_size

    def cell_weights(self, features: Dim) -> Mapping[str, Any]:
        return {
            f"cell_{index}": inner_weights(cell, cell.cell_weights(width))
            for index, (cell, width) in enumerate(self._inputs(features))
        }

    def draw(self, batch: Dim, features: Dim, dtype: Any, context: Context) -> Any:
        return tuple(
            cell.draw(batch, width, dtype, branch_context(context, index))
            for index, (cell, width) in enumerate(self._inputs(features))
        )

    def step(self, weights: Weights, x: Array, states: States, drops: Any = None) -> tuple[Array, States]:
        new = []
        for index, cell in enumerate(self.cells):
            x, carried = cell.step(weights[f"cell_{index}"], x, states[index], drops and drops[index])
            new.append(carried)
        return x, tuple(new)

    def _inputs(self, features: Dim) -> Iterator[tuple[Cell, Dim]]:
        """Each cell with the width of what it reads."""
        return zip(self.cells, (features, *(cell.output_size for cell in self.cells[:-1])), strict=True)


def branch_context(context: Context, index: int) -> Context:
    """The context for a part of a layer, with keys of that part's own."""
    return context.replace(rngs={stream: jax.random.fold_in(key, index) for stream, key in context.rngs.items()})


def inner_weights(inner: Layer, weights: Mapping[str, Any]) -> dict[str, Any]:
    """The Weights of a layer inside another, stored as the inner one says where it says so."""
    if inner.dtype is None:
        return dict(weights)
    return map_weights(
        lambda _, weight: dataclasses.replace(weight, dtype=weight.dtype or inner.variable_dtype), weights
    )


def nested_list(states: Any) -> Any:
    """The states in lists, as Keras gives them back."""
    return [nested_list(state) for state in states] if isinstance(states, tuple) else states


def not_a_cell(layer: Layer, received: Any) -> GraphTypeError:
    """The complaint about a thing that takes no single step."""
    return GraphTypeError(
        f"{title(layer)} needs a cell that computes one step.",
        received="no cell" if received is None else f"{type(received).__name__}",
        expected="LSTMCell, GRUCell, SimpleRNNCell, StackedRNNCells, a list of them, or a subclass of Cell",
        fix="layers.RNN([layers.LSTMCell(32), layers.LSTMCell(32)])",
    )


def forget_bias(initializer: Any, units: int) -> Any:
    """`initializer` for the biases of i, f, c and o, with ones for f."""

    def init(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        first, last = jax.random.split(key)
        ones = initializers.make("ones")(key, (units,), dtype)
        return jnp.concatenate([initializer(first, (units,), dtype), ones, initializer(last, (2 * units,), dtype)])

    return init
