"""From what the user gives, arrays in any form or an iterable of batches, to batches of one shape."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.errors import GraphTypeError, GraphValueError, combine
from jaxgraphs.graph.graph import Graph
from jaxgraphs.symbolic.keys import fold_path
from jaxgraphs.training.by_output import by_output
from jaxgraphs.training.filling import ALONE
from jaxgraphs.training.objective import Targets
from jaxgraphs.training.processes import Share
from jaxgraphs.training.step import Batch

Columns = Sequence[Any]


@dataclasses.dataclass(frozen=True)
class Arrays:
    """A data set in memory: inputs, targets and sample weights by position, None where there is none."""

    inputs: Columns
    targets: Columns
    weights: Columns

    @property
    def size(self) -> int:
        """How many examples there are."""
        return len(self.inputs[0])

    def take(self, rows: Any) -> Arrays:
        """The examples of these numbers, or of a slice."""
        pick = lambda column: None if column is None else column[rows]  # noqa: E731
        return Arrays(*([pick(column) for column in part] for part in (self.inputs, self.targets, self.weights)))

    def batches(
        self,
        batch_size: int,
        order: np.ndarray | None = None,
        *,
        can_pad: bool = True,
        first: int = 0,
        share: Share | None = None,
    ) -> Iterator[Batch]:
        """Batches in order from number `first`; where the last is short, all have a mark of real rows and one shape.

        Args:
            share: which rows of each batch to read, where other processes read the others.
        """
        is_even = self.size % batch_size == 0
        for start in range(first * batch_size, self.size, batch_size):
            end = min(start + batch_size, self.size)
            if share is not None:
                rows = np.arange(start, end) if order is None else order[start:end]
                yield self._shared(rows, batch_size if can_pad else len(rows), share, can_pad=can_pad)
            else:
                # A slice copies nothing.
                part = self.take(slice(start, end) if order is None else order[start:end])
                yield pad(part, batch_size, is_marked=not is_even) if can_pad else batch_of(part)

    def _shared(self, rows: np.ndarray, size: int, share: Share, *, can_pad: bool) -> Batch:
        """This process's rows of a batch that has these rows; filled up to whole parts where that can be marked."""
        if size % share.shards and not can_pad:
            raise GraphValueError(
                "The rows of a batch do not divide evenly among the devices.",
                received=f"{size} rows for {share.shards} devices",
                expected=f"a multiple; {ALONE}",
                fix="another batch_size",
            )
        mine = share.rows(share.filled(size))
        present = mine < len(rows)
        return batch_of(self.take(rows[np.where(present, mine, 0)]), present if can_pad else None)


def arrays_of(
    graph: Graph, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None, *, is_batch: bool = False
) -> Arrays:
    """Data given as an array, a list or a dict, brought into the order of the graph's inputs and outputs.

    Args:
        is_batch: whether all of it is one batch; what is on a device already then stays there.
    Raises: GraphValueError that lists every name that does not fit and every column of another length.
    """
    names = graph.output_names
    read = _batch_array if is_batch else _array
    inputs = [read(value, name) for value, name in zip(graph.flatten_inputs(x), graph.input_names, strict=True)]
    targets = [None] * len(names) if y is None else _targets(y, names, read)
    given = by_output_or_all(sample_weight, names, "sample_weight")
    weights = [None if item is None else read(item, "sample_weight") for item in given]
    if class_weight is not None:
        ranks = [tensor.spec.rank for tensor in graph.flat_outputs]
        weights = _with_class_weights(class_weight, names, targets, weights, ranks)
    _check_lengths(graph, inputs, targets, weights)
    return Arrays(inputs, targets, weights)


def split(data: Arrays, share: float) -> tuple[Arrays, Arrays]:
    """The data without its last `share`, and that share, as Keras' validation_split."""
    if not isinstance(share, numbers.Real) or not 0 < share < 1:
        raise GraphValueError(
            "validation_split is a share between 0 and 1.", received=repr(share), fix="for example 0.2"
        )
    cut = int(data.size * (1 - share))
    if cut in (0, data.size):
        received = f"{share!r} of {data.size} examples"
        raise GraphValueError("validation_split leaves a part without examples.", received=received)
    return data.take(slice(0, cut)), data.take(slice(cut, None))


def order_of(key: jax.Array, epoch: int, size: int) -> np.ndarray:
    """The order of examples in an epoch: depends on the run's key and the epoch alone."""
    return np.asarray(jax.random.permutation(fold_path(key, ("shuffle", str(epoch))), size))


def pad(data: Arrays, size: int, *, is_marked: bool = True) -> Batch:
    """A batch of `size` rows: real ones, then copies of the first; a mark says which are real."""
    count = data.size
    if count > size:
        expected = f"at most {size}"
        raise GraphValueError("A batch is larger than those before it.", received=f"{count} rows", expected=expected)
    rows = np.concatenate([np.arange(count), np.zeros(size - count, int)]) if count < size else slice(None)
    present = np.arange(size) < count if is_marked or count < size else None
    return batch_of(data.take(rows), present)


def batch_of(data: Arrays, present: np.ndarray | None = None) -> Batch:
    """The rows as one batch."""
    marks: Any = present
    return Batch(tuple(data.inputs), Targets(tuple(data.targets), tuple(data.weights), marks))


def unpack(item: Any) -> tuple[Any, Any, Any]:
    """One element of an iterable of batches: x, (x, y) or (x, y, sample_weight)."""
    if isinstance(item, tuple):
        if len(item) in (1, 2, 3):
            x, y, weight = (*item, None, None)[:3]
            return x, y, weight
        raise GraphTypeError("A batch is (x, y) or (x, y, sample_weight).", received=f"a tuple of {len(item)}")
    return item, None, None


def unpack_batch(graph: Graph, item: Any) -> tuple[Any, Any, Any]:
    """As `unpack`; also a list [x, y], as some loaders give it, and one dict of inputs and targets by name."""
    if isinstance(item, Mapping) and set(item) > set(graph.input_names) and set(item) & set(graph.output_names):
        inputs = {name: item[name] for name in graph.input_names}
        return inputs, {name: value for name, value in item.items() if name not in inputs}, None
    is_pair = isinstance(item, list) and len(item) in (2, 3)
    # As many arrays as there are inputs are these.
    if is_pair and (len(item) != len(graph.input_names) or isinstance(item[0], (Mapping, list, tuple))):
        return unpack(tuple(item))
    return unpack(item)


Check = Callable[[Arrays], Arrays]
"""Gives the data itself, or raises an error that says what is wrong with it."""


def prepare(
    graph: Graph,
    x: Any,
    y: Any,
    weight: Any,
    class_weight: Any,
    size: int | None,
    *,
    can_pad: bool,
    check: Check | None = None,
) -> tuple[Batch, int]:
    """One batch of a stream, and the size that the stream's batches have: that of the first."""
    data = arrays_of(graph, x, y, weight, class_weight, is_batch=True)
    data = data if check is None else check(data)
    size = size or data.size
    return (pad(data, size, is_marked=False) if can_pad and data.size < size else batch_of(data)), size


def is_in_memory(x: Any) -> bool:
    """Whether `x` is data itself, rather than an iterable of batches."""
    if isinstance(x, Mapping):
        return True
    if isinstance(x, (list, tuple)):
        return all(_is_arraylike(item) or isinstance(item, list) for item in x) and not _is_batches(x)
    return _is_arraylike(x)


def by_output_or_all(given: Any, names: Sequence[str], what: str) -> list[Any]:
    """As `by_output`, but one value stands for every output."""
    if given is not None and len(names) > 1 and not isinstance(given, (list, tuple, Mapping)):
        return [given] * len(names)
    if len(names) == 1 and isinstance(given, (list, tuple)) and len(given) == 1 and _is_arraylike(given[0]):
        return list(given)
    return by_output(given, names, what, is_leaf=lambda item: len(names) == 1 and not isinstance(item, Mapping))


def _targets(y: Any, names: Sequence[str], read: Callable[[Any, str], Any]) -> list[Any]:
    if isinstance(y, Mapping):
        absent = [name for name in names if name not in y]
        if absent:
            raise combine(
                f"The targets of {len(absent)} outputs are missing.",
                [f"'{name}' is not among {list(y)}" for name in absent],
                fix="give a target for each output; None says that an output has none in this data",
            )
    is_listed = isinstance(y, Mapping) or (isinstance(y, (list, tuple)) and len(y) == 1 and _is_arraylike(y[0]))
    given = [y] if len(names) == 1 and not is_listed else by_output(y, names, "y")
    return [None if item is None else read(item, name) for item, name in zip(given, names, strict=True)]


def _with_class_weights(
    given: Any, names: Sequence[str], targets: Columns, weights: Columns, ranks: Sequence[int]
) -> list[Any]:
    if not isinstance(given, Mapping):
        raise GraphTypeError(
            "class_weight is a table.", received=repr(given)[:100], expected="a dict {class: weight}", fix="{0: 1.0}"
        )
    is_by_output = isinstance(given, Mapping) and any(isinstance(value, Mapping) for value in given.values())
    tables = by_output(given, names, "class_weight") if is_by_output else [given]
    if len(tables) != len(names):
        raise GraphValueError(
            "class_weight is one table, and the graph has several outputs.",
            received=repr(given),
            fix=f"class_weight={{'{names[0]}': {{0: 1.0, 1: 2.0}}}}",
        )
    return [_class_weighted(*one) for one in zip(tables, targets, weights, ranks, strict=True)]


def _class_weighted(table: Mapping[Any, float] | None, target: Any, weight: Any, rank: int) -> np.ndarray | None:
    if table is None or target is None:
        return weight
    strange = [label for label in table if not isinstance(label, numbers.Real)]
    if strange:
        raise GraphTypeError(
            "class_weight has a weight for each class by its number.",
            received=", ".join(map(repr, strange))[:100],
            fix="class_weight={0: 1.0, 1: 2.0}",
        )
    # A class for each place has no axis for the classes.
    if target.ndim > 1 and target.ndim >= rank:
        target = np.argmax(target, -1) if target.shape[-1] > 1 else target[..., 0]
    classes = np.round(np.asarray(target)).astype(int)
    factors = np.ones(classes.shape, np.float32)
    for label, factor in table.items():
        factors[classes == int(label)] = factor
    return factors if weight is None else factors * weight.reshape(weight.shape + (1,) * (factors.ndim - weight.ndim))


def _check_lengths(graph: Graph, inputs: Columns, targets: Columns, weights: Columns) -> None:
    columns = [(f"input '{name}'", column) for name, column in zip(graph.input_names, inputs, strict=True)]
    columns += [(f"target '{name}'", column) for name, column in zip(graph.output_names, targets, strict=True)]
    columns += [(f"weight of '{name}'", column) for name, column in zip(graph.output_names, weights, strict=True)]
    lengths = {name: (len(column) if column.ndim else None) for name, column in columns if column is not None}
    if len(set(lengths.values())) > 1 or None in lengths.values():
        raise combine(
            "The data's columns differ in length.",
            [f"{name}: {'no batch axis' if count is None else f'{count} examples'}" for name, count in lengths.items()],
            fix="give one row for each example in every array",
        )
    if 0 in lengths.values():
        raise GraphValueError("The data has no examples.", received="arrays of length 0")


def _batch_array(value: Any, name: str) -> Any:
    """The array where it is: a device's is not fetched to be sent back."""
    is_ready = isinstance(value, jax.Array) and not jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    return value if is_ready else _array(value, name)


def _array(value: Any, name: str) -> np.ndarray:
    """A NumPy array in the dtype that JAX will compute with."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        received = str(error).splitlines()[0]
        raise GraphTypeError(
            f"'{name}' is not an array.", received=received, fix="pad rows of unlike length"
        ) from error
    if array.dtype.kind in "OSUMmV":
        raise GraphTypeError(
            f"'{name}' holds no numbers.",
            received=f"dtype {array.dtype}",
            expected="numbers",
            fix="encode texts as whole numbers first",
        )
    return array.astype(jax.dtypes.canonicalize_dtype(array.dtype), copy=False)


def _is_arraylike(value: Any) -> bool:
    # A data frame has dtypes, and no dtype.
    return hasattr(value, "shape") and (hasattr(value, "dtype") or hasattr(value, "to_numpy"))


def _is_batches(items: Sequence[Any]) -> bool:
    """A list of pairs (x, y) or [x, y] is an iterable of batches; so is one of dicts."""
    return bool(items) and all(isinstance(item, tuple) or _is_pair(item) for item in items)


def _is_pair(item: Any) -> bool:
    """Whether a list holds arrays, as [x, y] does, and not numbers."""
    return isinstance(item, list) and len(item) in (2, 3) and any(_is_arraylike(part) and part.ndim for part in item)
