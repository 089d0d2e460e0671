"""ConvLSTM1D, ConvLSTM2D and ConvLSTM3D: LSTMs whose products are convolutions, over films and maps of weather."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphValueError, ShapeMismatchError
from jaxgraphs.layers.activations import linear
from jaxgraphs.layers.base import Array, Weight, Weights, describes, positive
from jaxgraphs.layers.cells import States, forget_bias, nested_list
from jaxgraphs.layers.convolve import convolve
from jaxgraphs.layers.core import check_floating, drop
from jaxgraphs.layers.recurrent import Recurrent, run_steps
from jaxgraphs.layers.spatial import AXES, named_weight, read_sizes, read_word, window_places
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import PyTree, title
from jaxgraphs.symbolic.spec import TensorSpec

_PER_AXIS = ("kernel_size", "strides", "dilation_rate")
_WORDS = {"padding": ("valid", "same"), "data_format": ("channels_last", "channels_first")}


@describes
class BaseConvLSTM(Recurrent):
    """What the three share: everything but the number of spatial axes."""

    filters: int
    kernel_size: Any
    strides: Any = 1
    padding: str = "valid"
    data_format: Any = None
    dilation_rate: Any = 1
    activation: Any = "tanh"
    recurrent_activation: Any = "sigmoid"
    use_bias: bool = True
    kernel_initializer: Any = "glorot_uniform"
    recurrent_initializer: Any = "orthogonal"
    bias_initializer: Any = "zeros"
    unit_forget_bias: bool = True
    kernel_regularizer: Any = None
    recurrent_regularizer: Any = None
    bias_regularizer: Any = None
    kernel_constraint: Any = None
    recurrent_constraint: Any = None
    bias_constraint: Any = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    seed: int | None = None

    rank: ClassVar[int] = 0

    def _normalise(self, field: str, value: Any) -> None:
        if field in _PER_AXIS:
            value = read_sizes(self, field, value, self.rank)
        elif field in _WORDS:
            value = read_word(self, field, "channels_last" if value is None else value, _WORDS[field])
        super()._normalise(field, value)

    def validate(self) -> None:
        super().validate()
        positive(self, filters=self.filters)
        rates = {name: getattr(self, name) for name in ("dropout", "recurrent_dropout")}
        if wrong := [f"{name}={rate!r}" for name, rate in rates.items() if not 0 <= rate < 1]:
            raise GraphValueError(f"{title(self)} drops at a rate of 0 or more and below 1.", received=", ".join(wrong))
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise GraphValueError(
                f"{title(self)} cannot stride and be dilated at once.",
                received=f"strides={self.strides}, dilation_rate={self.dilation_rate}",
            )

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The channels of the two states, h and c."""
        return (self.filters, self.filters)

    @property
    def runner(self) -> Any:
        return self

    @property
    def _first(self) -> bool:
        return self.data_format == "channels_first"

    def check(self, *specs: Any, initial_state: Any = None, **_: Any) -> None:
        spec = specs[0] if specs else None
        names = ("channels", *AXES[self.rank]) if self._first else (*AXES[self.rank], "channels")
        if not isinstance(spec, TensorSpec) or spec.rank != self.rank + 3:
            raise ShapeMismatchError(
                f"{title(self)} reads a sequence of fields.", expected=f"(batch, time, {', '.join(names)})"
            )
        check_floating(self, spec)
        if not all(isinstance(size, int) for size in spec.dims[2:]):
            raise ShapeMismatchError(
                f"{title(self)} has to know the sizes of its fields, which its states share.",
                received=str(spec),
                expected=f"numbers for {', '.join(names)}",
            )

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        channels = specs[0].dims[2 if self._first else -1]
        arrays = {
            "kernel": named_weight(self, "kernel", (*self.kernel_size, channels, 4 * self.filters)),
            "recurrent_kernel": named_weight(self, "recurrent", (*self.kernel_size, self.filters, 4 * self.filters)),
        }
        first = self.bias_initializer
        initializer = forget_bias(first, self.filters) if self.unit_forget_bias else first
        bias = Weight((4 * self.filters,), initializer, "params", self.bias_regularizer, self.bias_constraint)
        return {**arrays, "bias": bias} if self.use_bias else arrays

    def call(self, weights: Weights, x: Array, initial_state: Any = None, *, context: Context) -> PyTree:
        x = jnp.moveaxis(x, 2, -1) if self._first else x
        kept, held = self._drops(x, context)
        # What the input adds to the gates is found for all steps at once; only the states wait for one another.
        seen = self._seen(weights, x, kept)
        batch, sizes = x.shape[0], seen.shape[2:-1]
        width = math.prod(sizes) * self.filters
        fields = (batch, *sizes, self.filters)

        def step(now: Array, states: States) -> tuple[Array, States]:
            h, c = (state.reshape(fields) for state in states)
            h, c = self._step(now.reshape(batch, *sizes, 4 * self.filters), self._held(weights, h, held), c)
            return h.reshape(batch, width), (h.reshape(batch, width), c.reshape(batch, width))

        outputs, states = run_steps(
            step,
            seen.reshape(batch, x.shape[1], 4 * width),
            self._started(x, initial_state, width),
            None if self.return_sequences else jnp.zeros((batch, width), x.dtype),
            mask=self.steps_that_count(context, initial_state),
            backwards=self.go_backwards,
            zero_masked=self.zero_output_for_mask,
            unroll=self.unroll,
        )
        steps = (x.shape[1],) if self.return_sequences else ()
        outputs = self._arranged(outputs.reshape(batch, *steps, *sizes, self.filters))
        states = tuple(self._arranged(state.reshape(fields)) for state in states)
        return [outputs, *nested_list(states)] if self.return_state else outputs

    def _step(self, seen: Array, held: Array, c: Array) -> tuple[Array, Array]:
        inner, outer = self.activation or linear, self.recurrent_activation or linear
        i, f, candidate, o = jnp.split(seen + held, 4, axis=-1)
        c = outer(f) * c + outer(i) * inner(candidate)
        return outer(o) * inner(c), c

    def _seen(self, weights: Weights, x: Array, kept: Array | None) -> Array:
        """What each step's input adds to the gates."""
        flat = x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])
        masks = None if kept is None else jnp.repeat(kept, x.shape[1], axis=1)
        options = {"strides": self.strides, "padding": self.padding, "dilation": self.dilation_rate}
        seen = _by_gate(flat, weights["kernel"], masks, options)
        seen = seen + weights["bias"].reshape((1,) * (seen.ndim - 1) + (-1,)) if self.use_bias else seen
        return seen.reshape(x.shape[0], x.shape[1], *seen.shape[1:])

    def _held(self, weights: Weights, h: Array, masks: Array | None) -> Array:
        """What the last output adds to the gates."""
        ones = (1,) * self.rank
        return _by_gate(h, weights["recurrent_kernel"], masks, {"strides": ones, "padding": "same", "dilation": ones})

    def _drops(self, x: Array, context: Context) -> tuple[Array | None, Array | None]:
        """Masks for inputs and for last outputs, one for each gate, that hold for a whole sequence."""
        if not context.train or not (self.dropout or self.recurrent_dropout):
            return None, None
        shapes = ((4, x.shape[0], *x.shape[2:]), (4, x.shape[0], *self._places(x), self.filters))
        pairs = zip(jax.random.split(context.key()), shapes, (self.dropout, self.recurrent_dropout), strict=True)
        kept, held = (drop(jnp.ones(shape, x.dtype), key, rate) if rate else None for key, shape, rate in pairs)
        return kept, held

    def _places(self, x: Array) -> tuple[int, ...]:
        return tuple(
            window_places(size, (window - 1) * spread + 1, stride, self.padding)
            for size, window, spread, stride in zip(
                x.shape[2:-1], self.kernel_size, self.dilation_rate, self.strides, strict=True
            )
        )

    def _started(self, x: Array, given: Any, width: int) -> States:
        if given is None:
            return (jnp.zeros((x.shape[0], width), x.dtype),) * 2
        last = (jnp.moveaxis(state, 1, -1) if self._first else state for state in jax.tree.leaves(given))
        return tuple(state.reshape(x.shape[0], width) for state in last)

    def _arranged(self, x: Array) -> Array:
        return jnp.moveaxis(x, -1, x.ndim - 1 - self.rank) if self._first else x


def _by_gate(x: Array, kernel: Array, masks: Array | None, options: Mapping[str, Any]) -> Array:
    """The convolution, where each gate's part of the kernel may see x under a mask of its own."""
    if masks is None:
        return convolve(x, kernel, **options)
    kernels = jnp.split(kernel, 4, axis=-1)
    return jnp.concatenate([convolve(x * mask, part, **options) for mask, part in zip(masks, kernels, strict=True)], -1)


@describes
class ConvLSTM1D(BaseConvLSTM):
    """An LSTM over a sequence of rows, with convolutions for products.

    Args: as for `ConvLSTM2D`, with one size for each.
    Shapes: (batch, time, steps, channels) -> (batch, new steps, filters), or with `return_sequences` one for each time.

    >>> from jaxgraphs.symbolic.node import Input
    >>> ConvLSTM1D(4, 3, padding="same")(Input((None, 8, 2))).shape
    (None, 8, 4)
    """

    rank: ClassVar[int] = 1


@describes
class ConvLSTM2D(BaseConvLSTM):
    """An LSTM over a film, with convolutions for products: of the input with `kernel`, of h with `recurrent_kernel`.

    Args:
        filters: the channels of the output and of the two states.
        kernel_size, strides, padding, dilation_rate: of the input's convolution; that of h keeps its size.
        data_format: "channels_last" (None is this) or "channels_first".
        activation, recurrent_activation: of the values, and of the gates.
        unit_forget_bias: the bias of f starts at 1.
        dropout, recurrent_dropout: rates at which inputs and last outputs are dropped in training.
        return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: as for `LSTM`.
    Call: ``layer(x, initial_state=[h, c], mask=mask, training=None)``.
    Shapes: (batch, time, height, width, channels) -> (batch, new height, new width, filters), or with
        `return_sequences` one for each time; kernel (*window, channels, 4 filters) in the order i, f, c, o.
    Raises: GraphError when sizes of the fields are unknown, or an argument is senseless.
    Reference: Shi et al. (2015), Convolutional LSTM network, arXiv:1506.04214.

    >>> from jaxgraphs.symbolic.node import Input
    >>> ConvLSTM2D(4, 3, return_sequences=True)(Input((None, 8, 8, 1))).shape
    (None, None, 6, 6, 4)
    """

    rank: ClassVar[int] = 2


@describes
class ConvLSTM3D(BaseConvLSTM):
    """An LSTM over a sequence of volumes, with convolutions for products.

    Args: as for `ConvLSTM2D`, with three sizes for each.
    Shapes: (batch, time, depth, height, width, channels) -> (batch, new depth, new height, new width, filters), or with
        `return_sequences` one for each time.

    >>> from jaxgraphs.symbolic.node import Input
    >>> ConvLSTM3D(2, 2)(Input((None, 4, 4, 4, 1))).shape
    (None, 3, 3, 3, 2)
    """

    rank: ClassVar[int] = 3
