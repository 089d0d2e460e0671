"""Many tensors in, one out, number by number: Add, Subtract, Multiply, Average, Maximum, Minimum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, ClassVar

import jax.numpy as jnp

from jaxgraphs.errors import GraphTypeError, ShapeMismatchError
from jaxgraphs.layers.base import Array, Layer, Weights, describes
from jaxgraphs.layers.extremes import larger, smaller
from jaxgraphs.layers.sizes import common_size, settle, unlike
from jaxgraphs.symbolic.arrays import promote
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import is_symbolic, title
from jaxgraphs.symbolic.spec import Dim, TensorSpec


@describes
class Merge(Layer):
    """What the merging layers share: a list of inputs, brought to one rank and one dtype.

    Inputs of lower rank get axes of size 1 after the batch axis; sizes broadcast. An unknown size may turn out to be
    any other. The output has a mask where every input has one: a step counts if it counts in any of them.
    """

    count: ClassVar[int | None] = None
    """How many inputs there must be; None is one or more."""

    supports_masking: ClassVar[bool] = True

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Adds a call to the graph: `inputs` is a list of symbolic tensors."""
        try:
            return super().__call__(inputs, **kwargs)
        except ShapeMismatchError as error:
            names = [tensor.name if is_symbolic(tensor) else "constant" for tensor in inputs]
            fix = self.fix([tensor.spec if is_symbolic(tensor) else tensor for tensor in inputs], names)
            raise ShapeMismatchError(
                error.what, where=error.where, received=error.received, expected=error.expected, fix=fix
            ) from None

    def check(self, *specs: Any, **_: Any) -> None:
        inputs = several_inputs(self, specs)
        if not self.fits(inputs):
            raise ShapeMismatchError(
                f"{title(self)} cannot combine its inputs.",
                expected=self.expected(inputs),
                fix=self.fix(inputs, [f"inputs[{index}]" for index in range(len(inputs))]),
            )

    def fits(self, specs: Sequence[TensorSpec]) -> bool:
        """Whether the sizes go together; batches of unlike size never do, as in Keras."""
        rank = max(spec.rank for spec in specs)
        columns = zip(*(_dims_of_rank(spec.dims, rank) for spec in specs), strict=True)
        return not any(
            unlike([size for size in column if size != 1 or not axis]) for axis, column in enumerate(columns)
        )

    def expected(self, specs: Sequence[TensorSpec]) -> str:
        """What would have fitted, for the message."""
        return "shapes that broadcast together"

    def fix(self, specs: Sequence[Any], names: Sequence[str]) -> str:
        """How to mend shapes that do not go together."""
        widths = [spec.shape[-1] for spec in specs]
        if len({tuple(spec.shape[:-1]) for spec in specs}) > 1 or None in widths or len(set(widths)) == 1:
            return "give the branches one shape, for example by pooling, cropping or layers.Reshape"
        narrow = min(range(len(widths)), key=widths.__getitem__)
        return f"give both branches one width, for example Dense({max(widths)})({names[narrow]})"

    def call(self, weights: Weights, inputs: Sequence[Array], *, context: Context) -> Array:
        values = broadcastable(promote(*inputs))
        # Keras gives up the masks of inputs whose rank it has to change.
        masks = masks_of(context, len(values)) if len({x.ndim for x in inputs}) == 1 else [None] * len(values)
        return self.merge(values, [_over(mask, x) for mask, x in zip(masks, values, strict=True)])

    def merge(self, values: Sequence[Array], masks: Sequence[Array | None]) -> Array:
        """The output from arrays of one rank; a mask has its array's rank."""
        raise GraphTypeError(f"{self.kind} does not say how it merges.", fix="define merge(self, values, masks)")

    def output_mask(self, context: Context, *args: Any, **_: Any) -> Array | None:
        masks = masks_of(context, len(args[0]))
        if any(mask is None for mask in masks):
            return None
        return reduce(jnp.logical_or, broadcastable(masks))


@describes
class Add(Merge):
    """The sum of its inputs.

    Shapes: a list of (batch, ...) that broadcast -> (batch, ...).
    Raises: ShapeMismatchError when two sizes differ and neither is 1; GraphTypeError when not called on a list.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Add()([Input((4, 8)), Input((8,))]).shape
    (None, 4, 8)
    """

    def merge(self, values: Sequence[Array], masks: Sequence[Array | None]) -> Array:
        return reduce(jnp.add, values)


@describes
class Subtract(Merge):
    """The first input minus the second.

    Shapes: a list of two (batch, ...) that broadcast -> (batch, ...).
    Raises: as Add; GraphTypeError when there are not two inputs.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Subtract()([Input((8,)), Input((8,))]).shape
    (None, 8)
    """

    count: ClassVar[int | None] = 2

    def merge(self, values: Sequence[Array], masks: Sequence[Array | None]) -> Array:
        return values[0] - values[1]


@describes
class Multiply(Merge):
    """The product of its inputs; where a mask leaves a step of one input out, the others' product stands.

    Shapes: a list of (batch, ...) that broadcast -> (batch, ...); 0 where every input's mask is False.
    Raises: as Add.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Multiply()([Input((4, 8)), Input((4, 1))]).shape
    (None, 4, 8)
    """

    def merge(self, values: Sequence[Array], masks: Sequence[Array | None]) -> Array:
        pairs = zip(values, masks, strict=True)
        product = reduce(
            jnp.multiply, [x if mask is None else jnp.where(mask, x, jnp.ones_like(x)) for x, mask in pairs]
        )
        known = [mask for mask in masks if mask is not None]
        if len(known) < len(masks):
            return product
        return jnp.where(reduce(jnp.logical_or, known), product, jnp.zeros_like(product))


@describes
class Average(Merge):
    """The mean of its inputs.

    Shapes: a list of (batch, ...) that broadcast -> (batch, ...).
    Raises: as Add.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Average()([Input((8,)), Input((8,))]).shape
    (None, 8)
    """

    def merge(self, values: Sequence[Array], masks: Sequence[Array | None]) -> Array:
        return reduce(jnp.add, values) / len(values)


@describes
class Maximum(Merge):
    """The largest of its inputs, number by number, steps left out by a mask aside.

    Shapes: a list of (batch, ...) that broadcast -> (batch, ...).
    Raises: as Add.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Maximum()([Input((8,)), Input((8,))]).shape
    (None, 8)
    """

    def merge(self, values: Sequence[Array], masks: Sequence[Array | None]) -> Array:
        return _choose(larger, values, masks)


@describes
class Minimum(Merge):
    """The smallest of its inputs, number by number, steps left out by a mask aside.

    Shapes: a list of (batch, ...) that broadcast -> (batch, ...).
    Raises: as Add.

    >>> from jaxgraphs.symbolic.node import Input
    >>> Minimum()([Input((8,)), Input((8,))]).shape
    (None, 8)
    """

    def merge(self, values: Sequence[Array], masks: Sequence[Array | None]) -> Array:
        return _choose(smaller, values, masks)


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The sum of `inputs`; `kwargs` are Add's.

    >>> from jaxgraphs.symbolic.node import Input
    >>> add([Input((8,)), Input((8,))], name="join").name
    'join'
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The first of `inputs` minus the second; `kwargs` are Subtract's."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The product of `inputs`; `kwargs` are Multiply's."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The mean of `inputs`; `kwargs` are Average's."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The largest of `inputs`, number by number; `kwargs` are Maximum's."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """The smallest of `inputs`, number by number; `kwargs` are Minimum's."""
    return Minimum(**kwargs)(inputs)


def several_inputs(layer: Merge, specs: tuple[Any, ...]) -> list[TensorSpec]:
    """The specs of the list that a merging layer was called on, or a GraphTypeError."""
    wanted = "a list of symbolic tensors" if layer.count is None else f"a list of {layer.count} symbolic tensors"
    given = specs[0] if len(specs) == 1 and isinstance(specs[0], (list, tuple)) else None
    if given and layer.count in (None, len(given)) and all(hasattr(item, "dtype") for item in given):
        return [item if isinstance(item, TensorSpec) else TensorSpec.of(item) for item in given]
    received = f"a list of {len(given)}" if given is not None else f"{len(specs)} argument(s), the first not a list"
    raise GraphTypeError(
        f"{title(layer)} joins the tensors of a list.",
        received=received,
        expected=wanted,
        fix=f"layers.{layer.kind}()([a, b])",
    )


def masks_of(context: Context, count: int) -> list[Array | None]:
    """The mask of each input of a list; None where an input has none."""
    return list(context.masks[0]) if context.masks and context.masks[0] is not None else [None] * count


def broadcastable(arrays: Sequence[Any]) -> list[Array]:
    """The arrays with one rank, by axes of size 1 after the batch, and with sizes that broadcast."""
    rank = max(x.ndim for x in arrays)
    same = [x.reshape(_dims_of_rank(x.shape, rank)) for x in arrays]
    sizes = [common_size(column) for column in zip(*(x.shape for x in same), strict=True)]
    return [_settle_all(x, sizes) for x in same]


def _settle_all(x: Array, sizes: Sequence[Dim]) -> Array:
    for axis, size in enumerate(sizes):
        x = x if x.shape[axis] == 1 else settle(x, axis, size)
    return x


def _dims_of_rank(dims: Sequence[Dim], rank: int) -> tuple[Dim, ...]:
    return (*dims[:1], *[1] * (rank - len(dims)), *dims[1:])


def _over(mask: Array | None, x: Array) -> Array | None:
    """A mask with axes of size 1 for those that it does not speak of."""
    return None if mask is None else mask.astype(bool).reshape(mask.shape + (1,) * (x.ndim - mask.ndim))


def _choose(better: Callable[[Array, Array], Array], values: Sequence[Array], masks: Sequence[Array | None]) -> Array:
    """`better` of all values; a value that its mask leaves out gives way to the value before it, or to the next."""
    chosen, counts = values[0], masks[0]
    for x, mask in zip(values[1:], masks[1:], strict=True):
        x = x if mask is None else jnp.where(mask, x, chosen)
        chosen = chosen if counts is None else jnp.where(counts, chosen, x)
        counts = None if counts is None or mask is None else counts | mask
        chosen = better(chosen, x)
    return chosen
