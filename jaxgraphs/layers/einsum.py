"""EinsumDense: a linear map written as an equation; and initial values for kernels of many axes."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from jaxgraphs.errors import GraphValueError, ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, Weight, Weights, describes, single_input
from jaxgraphs.layers.core import check_floating
from jaxgraphs.layers.initializers import Init, Initializer
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import title
from jaxgraphs.symbolic.spec import Dim, TensorSpec

_FORM = re.compile(r"(?P<left>\.\.\.)?(?P<read>[a-zA-Z]+)(?P<right>\.\.\.)?,(?P<kernel>[a-zA-Z]+)->(?P<rest>.*)")
# Those whose spread depends on the number of inputs and outputs of a unit.
_FANNED = re.compile("variance_scaling|(glorot|he|lecun)_(uniform|normal)")


@dataclasses.dataclass(frozen=True)
class Equation:
    """An einsum of an input and a kernel, taken apart: axes are letters.

    Args:
        read, kernel, made: the letters of the input, the kernel and the output.
        elided: where further axes stand: "left", "right", or "" where there are none.
    """

    read: str
    kernel: str
    made: str
    elided: str

    @classmethod
    def of(cls, text: str) -> Equation | None:
        """The parts of an equation, or None where it has another form.

        >>> Equation.of("...x,xy->...y")
        Equation(read='x', kernel='xy', made='y', elided='left')
        """
        match = _FORM.fullmatch(text.replace(" ", ""))
        if match is None or (match["left"] and match["right"]):
            return None
        elided = "left" if match["left"] else "right" if match["right"] else ""
        form = {"left": r"\.\.\.([a-zA-Z]+)", "right": r"([a-zA-Z]+)\.\.\.", "": r"([a-zA-Z]+)"}[elided]
        made = re.fullmatch(form, match["rest"])
        return made and cls(match["read"], match["kernel"], made[1], elided)

    def sizes(self, dims: Sequence[Dim], output_shape: Sequence[int | None]) -> dict[str, Dim]:
        """A size for each letter, from the input's and from what the user said of the output's."""
        skipped = len(dims) - len(self.read) if self.elided == "left" else 0
        made = self.made if self.elided == "left" else self.made[1:]
        given = {letter: size for letter, size in zip(made, output_shape, strict=True) if size is not None}
        return given | dict(zip(self.read, dims[skipped : skipped + len(self.read)], strict=True))


@describes
class EinsumDense(Layer):
    """y = activation(einsum(equation, x, kernel) + bias).

    Args:
        equation: such as "abc,cd->abd"; "..." stands for further axes on the left or on the right.
        output_shape: the sizes of the output without the batch axis and without axes under "..."; None is the input's.
        activation: a Keras name or a JAX function; None is linear.
        bias_axes: the letters of the output's axes that have a bias of their own; None is no bias.
    Shapes: as the equation says; the kernel has its letters' sizes.
    Raises: GraphError when the equation has another form, or its sizes do not fit the input's.

    >>> from jaxgraphs.symbolic.node import Input
    >>> EinsumDense("abc,cd->abd", output_shape=(None, 64), bias_axes="d")(Input((32, 128))).shape
    (None, 32, 64)
    """

    equation: str
    output_shape: Any
    activation: Any = None
    bias_axes: str | None = None
    kernel_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    kernel_regularizer: Any = None
    bias_regularizer: Any = None
    kernel_constraint: Any = None
    bias_constraint: Any = None

    def __post_init__(self) -> None:
        if isinstance(self.output_shape, int):
            object.__setattr__(self, "output_shape", (self.output_shape,))
        super().__post_init__()

    def validate(self) -> None:
        parts = Equation.of(self.equation)
        if (
            parts is None
            or not set(parts.kernel) <= set(parts.read + parts.made)
            or not set(parts.made) <= set(parts.read + parts.kernel)
        ):
            raise GraphValueError(
                f"{title(self)} cannot read its equation.",
                received=repr(self.equation),
                expected="'ab,bc->ac', '...a,ab->...b' or 'ab...,bc->ac...', each letter of one side on the other",
            )
        if len(self.output_shape) != len(parts.made) - (parts.elided != "left"):
            raise GraphValueError(
                f"{title(self)} has an output_shape of another rank than its equation's output.",
                received=f"equation={self.equation!r}, output_shape={self.output_shape!r}",
                expected="a size or None for each letter but the batch's; none for axes under '...'",
            )
        if not set(self.bias_axes or "") <= set(parts.made):
            raise GraphValueError(
                f"{title(self)} has a bias along an axis that the output lacks.",
                received=f"bias_axes={self.bias_axes!r}",
                expected=f"letters of {parts.made!r}",
            )

    def check(self, *specs: Any, **_: Any) -> None:
        spec = single_input(self, specs)
        check_floating(self, spec)
        parts = self._parts
        further = spec.rank - len(parts.read)
        if further < 0 or (further and not parts.elided) or self._contradicts(spec):
            raise ShapeMismatchError(
                f"{title(self)} cannot apply {self.equation!r} to its input.",
                expected=f"an axis for each letter of {parts.read!r}, and sizes that agree with {self.output_shape!r}",
                fix="give output_shape None where the output keeps the input's size",
            )

    def weights(self, *specs: Any, **_: Any) -> Mapping[str, Any]:
        parts, spec = self._parts, specs[0]
        sizes = parts.sizes(spec.dims, self.output_shape)
        inputs = tuple(place for place, letter in enumerate(parts.kernel) if letter not in parts.made)
        kernel = Weight(
            tuple(sizes[letter] for letter in parts.kernel),
            by_axes(self.kernel_initializer, inputs),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if not self.bias_axes:
            return {"kernel": kernel}
        bias = Weight(
            self._bias_shape(sizes, spec.rank - len(parts.read)),
            self.bias_initializer,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )
        return {"kernel": kernel, "bias": bias}

    def call(self, weights: Weights, x: Array, *, context: Context) -> Array:
        y = self.product(x, weights["kernel"])
        if self.bias_axes:
            bias = weights["bias"]
            y = y + bias.reshape((1,) * (y.ndim - bias.ndim) + bias.shape)
        return self.activation(y) if self.activation else y

    def product(self, x: Array, kernel: Array) -> Array:
        """What the equation says."""
        return jnp.einsum(self.equation, x, kernel)

    @property
    def _parts(self) -> Equation:
        parts = Equation.of(self.equation)
        assert parts is not None  # validate() has seen to it
        return parts

    def _contradicts(self, spec: TensorSpec) -> bool:
        parts = self._parts
        sizes = parts.sizes(spec.dims, self.output_shape)
        made = parts.made if parts.elided == "left" else parts.made[1:]
        said = zip(made, self.output_shape, strict=True)
        unknown = any(letter not in sizes for letter in parts.kernel)
        return unknown or any(
            size is not None and isinstance(sizes[letter], int) and sizes[letter] != size for letter, size in said
        )

    def _bias_shape(self, sizes: Mapping[str, Dim], further: int) -> tuple[Dim, ...]:
        """Keras': from the first axis with a bias on, 1 for axes without; axes elided on the right follow."""
        made = self._parts.made
        first = min(made.index(letter) for letter in self.bias_axes or "")
        own = tuple(sizes[letter] if letter in (self.bias_axes or "") else 1 for letter in made[first:])
        return own + (1,) * (further if self._parts.elided != "left" else 0)


def by_axes(initializer: Init, inputs: Sequence[int]) -> Init:
    """An initializer for a kernel whose axes `inputs` are the inputs of a unit and whose others are units.

    Glorot's, He's and LeCun's take a kernel for a convolution's otherwise, and its leading axes for its window.
    """
    if not isinstance(initializer, Initializer) or not _FANNED.fullmatch(initializer.name):
        return initializer

    def init(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        fan_in = math.prod(shape[axis] for axis in inputs)
        return initializer(key, (fan_in, math.prod(shape) // fan_in), dtype).reshape(shape)

    return init
