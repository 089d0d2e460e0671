"""What layers over time, images and volumes share: how arguments are read, which axes count, which inputs fit."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from jaxgraphs.errors import GraphValueError, ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, Weight, describes, single_input
from jaxgraphs.symbolic.node import Inferred, title
from jaxgraphs.symbolic.spec import Dim, TensorSpec

AXES: Mapping[int, tuple[str, ...]] = {1: ("steps",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""What the axes between batch and channels are called, by how many there are."""


@describes
class SpatialLayer(Layer):
    """A layer along `rank` spatial axes, with the channels last or first.

    A subclass names its arguments that have one number for each axis in `per_axis`, with the least that is allowed;
    the number alone stands for all axes. None is kept where it is the default.
    """

    rank: ClassVar[int] = 0
    per_axis: ClassVar[Mapping[str, int]] = {}
    paddings: ClassVar[tuple[str, ...]] = ()
    interpolations: ClassVar[tuple[str, ...]] = ()

    def _normalise(self, field: str, value: Any) -> None:
        if value is not None or self._default(field) is not None:
            value = self._read(field, value)
        super()._normalise(field, "channels_last" if field == "data_format" and value is None else value)

    def _read(self, field: str, value: Any) -> Any:
        words = {
            "data_format": ("channels_last", "channels_first"),
            "padding": self.paddings,
            "interpolation": self.interpolations,
        }
        if field in self.per_axis:
            return read_sizes(self, field, value, self.rank, self.per_axis[field])
        return read_word(self, field, value, words[field]) if words.get(field) else value

    def _default(self, field: str) -> Any:
        return next(known.default for known in dataclasses.fields(self) if known.name == field)

    @property
    def channels_first(self) -> bool:
        """Whether the channels precede the spatial axes; layers without a `data_format` have them last."""
        return getattr(self, "data_format", None) == "channels_first"

    @property
    def channel_axis(self) -> int:
        """Where the channels are."""
        return 1 if self.channels_first else self.rank + 1

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The axes between batch and channels."""
        first = 2 if self.channels_first else 1
        return tuple(range(first, first + self.rank))

    def check(self, *specs: Any, **_: Any) -> None:
        spec = single_input(self, specs)
        if spec.rank != self.rank + 2:
            raise ShapeMismatchError(
                f"{title(self)} reads tensors of {self.rank + 2} axes.",
                expected=f"({', '.join(self._axis_names())})",
                fix="layers.Reshape arranges the axes; the batch axis is not part of its target_shape",
            )
        self.check_input(spec)

    def check_input(self, spec: TensorSpec) -> None:
        """Refuses inputs of the right number of axes that do not fit otherwise."""

    def infer(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Inferred:
        inferred = super().infer(tuple(self._settled(spec) for spec in args), kwargs)
        return inferred._replace(specs=tuple(self._sized(spec, *args) for spec in inferred.specs))

    def _settled(self, source: Any) -> Any:
        """The input's spec with an example of each size whose outcome is known, so that JAX has no symbol there."""
        if not isinstance(source, TensorSpec) or source.rank != self.rank + 2:
            return source
        dims = list(source.dims)
        for index, axis in enumerate(self.spatial_axes):
            if not isinstance(dims[axis], int) and self.size_after(index, dims[axis]) is not None:
                dims[axis] = _EXAMPLE_SIZE
        return TensorSpec(tuple(dims), source.dtype)

    def _sized(self, spec: TensorSpec, source: TensorSpec) -> TensorSpec:
        """The output's spec with its unknown sizes by `size_after`.

        JAX does not know that a window finds a place, and writes max(size - 2, 0). Such terms within each other take it
        exponential time to compare, so that a deep graph of unknown size would never be described.
        """
        dims = list(spec.dims)
        for index, axis in enumerate(self.spatial_axes):
            exact = None if isinstance(source.dims[axis], int) else self.size_after(index, source.dims[axis])
            if exact is not None:
                dims[axis] = exact
        return TensorSpec(tuple(dims), spec.dtype)

    def size_after(self, index: int, size: Dim) -> Dim | None:
        """What becomes of an unknown `size` of the spatial axis number `index`; None leaves it to JAX."""
        return None

    def _axis_names(self) -> tuple[str, ...]:
        if self.channels_first:
            return ("batch", "channels", *AXES[self.rank])
        return ("batch", *AXES[self.rank], "channels")


# Large enough for any window, and divisible by most strides and factors.
_EXAMPLE_SIZE = 55440


def read_sizes(layer: Layer, name: str, value: Any, count: int, least: int = 1) -> tuple[int, ...]:
    """One whole number for each of `count` axes; a single one stands for all."""
    values: Sequence[Any] = tuple(value) if isinstance(value, Iterable) else (value,) * count
    try:
        # True is an index in Python, and a slip of the pen here.
        numbers = tuple(operator.index(item) for item in values if not isinstance(item, bool))
    except TypeError:
        numbers = ()
    if len(numbers) == count and min(numbers) >= least:
        return numbers
    raise GraphValueError(
        f"{title(layer)} cannot use this {name}.",
        received=f"{name}={value!r}",
        expected=f"a whole number of at least {least}" + (f", or a tuple of {count} of them" if count > 1 else ""),
    )


def read_pairs(layer: Layer, name: str, value: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """(before, after) for each axis: from one number, one number for each axis, or the pairs themselves."""
    items = tuple(value) if isinstance(value, Iterable) else (value,) * rank
    if len(items) == rank:
        try:
            return tuple((pair[0], pair[1]) for pair in (read_sizes(layer, name, item, 2, 0) for item in items))
        except GraphValueError:  # the error below shows the whole argument
            pass
    pairs = ", ".join(f"(before_{axis}, after_{axis})" for axis in AXES[rank])
    raise GraphValueError(
        f"{title(layer)} cannot use this {name}.",
        received=f"{name}={value!r}",
        expected=f"a whole number of at least 0, {rank} of them, or ({pairs})",
    )


def read_word(layer: Layer, name: str, value: Any, words: Sequence[str]) -> str:
    """One of `words`, in lower case as Keras takes it."""
    if isinstance(value, str) and value.lower() in words:
        return value.lower()
    raise GraphValueError(
        f"{title(layer)} cannot use this {name}.", received=f"{name}={value!r}", expected=" or ".join(map(repr, words))
    )


def known_channels(layer: SpatialLayer, spec: TensorSpec) -> int:
    """The number of channels, which the shape of a kernel depends on."""
    channels = spec.dims[layer.channel_axis]
    if isinstance(channels, int) and channels > 0:
        return channels
    raise ShapeMismatchError(
        f"{title(layer)} has to know the number of channels to make its kernel.",
        expected=f"a number on axis {layer.channel_axis}, where the channels are",
        fix=_known_shape(layer),
    )


def window_fits(layer: SpatialLayer, x: Array, window: Sequence[int], fix: str) -> None:
    """Refuses arrays in which a window has no place at all; sizes that are still unknown pass.

    Called when the layer computes, so that it also sees the sizes that were unknown when the graph was described.
    """
    long_enough(layer, x, window, f"{title(layer)} has a window that is larger than its input.", fix)


def long_enough(layer: SpatialLayer, x: Array, least: Sequence[int], what: str, fix: str) -> None:
    """Refuses arrays with fewer than `least` elements along a spatial axis."""
    small = [
        f"{name} of at least {count}"
        for name, axis, count in zip(AXES[layer.rank], layer.spatial_axes, least, strict=True)
        if isinstance(x.shape[axis], int) and x.shape[axis] < count
    ]
    if small:
        raise ShapeMismatchError(what, received=str(TensorSpec.of(x)), expected=", ".join(small), fix=fix)


def named_weight(layer: Layer, name: str, shape: Sequence[Any]) -> Weight:
    """A Weight with the initializer, regularizer and constraint that the layer's fields give to `name`."""
    initializer, regularizer, constraint = (
        getattr(layer, f"{name}_{part}") for part in ("initializer", "regularizer", "constraint")
    )
    return Weight(tuple(shape), initializer, regularizer=regularizer, constraint=constraint)


def window_places(size: Dim, reach: int, stride: int, padding: str) -> Dim:
    """How many windows have a place: ceil(size / stride), of the size without reach - 1 where nothing is padded.

    >>> window_places(28, 3, 2, "same"), window_places(28, 3, 2, "valid")
    (14, 13)
    """
    return -(-(size - reach + 1 if padding == "valid" else size) // stride)


def with_bias(layer: Any, kernels: Mapping[str, Weight], units: int) -> Mapping[str, Weight]:
    """The kernels, and a bias of `units` numbers where the layer has one."""
    return {**kernels, "bias": named_weight(layer, "bias", (units,))} if layer.use_bias else kernels


def _known_shape(layer: SpatialLayer) -> str:
    sizes = ("None",) * layer.rank
    return f"Input(({', '.join(('3', *sizes) if layer.channels_first else (*sizes, '3'))}))"
