"""Where an epoch's batches come from, and where in them a run is: arrays, or an iterable."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from jaxgraphs.errors import GraphTypeError, GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.training.buckets import Buckets
from jaxgraphs.training.feeding import Arrays, Check, order_of, prepare, unpack_batch
from jaxgraphs.training.processes import Peers, Share
from jaxgraphs.training.resident import Resident
from jaxgraphs.training.step import Batch


@dataclasses.dataclass
class ArrayFeed:
    """Epochs over arrays in memory: the order of each follows from the run's key and the epoch's number.

    Args:
        limit: the most steps an epoch has.
        can_pad: whether a short batch is padded to the others' size.
        share: which rows of each batch are read, where other processes read the others.
    """

    data: Arrays | Resident
    batch_size: int
    shuffle: bool
    limit: int | None
    can_pad: bool
    share: Share | None = None

    @property
    def steps(self) -> int | None:
        """How many steps an epoch has."""
        whole = -(-self.data.size // self.batch_size)
        return whole if self.limit is None else min(whole, self.limit)

    def epoch(self, number: int, key: jax.Array, done: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, without the first `done`."""
        order = order_of(key, number, self.data.size) if self.shuffle else None
        batches = self.data.batches(self.batch_size, order, can_pad=self.can_pad, first=done, share=self.share)
        return itertools.islice(batches, None if self.limit is None else max(self.limit - done, 0))

    @property
    def can_be_ahead(self) -> bool:
        """Whether a thread had better make batches ready.

        Those on the device are; and where the step is computed on a CPU, rows in memory cost it what they cost a
        thread beside it, but those on disk are waited for.
        """
        if isinstance(self.data, Resident):
            return False
        columns = [*self.data.inputs, *self.data.targets, *self.data.weights]
        return jax.default_backend() != "cpu" or any(map(_is_on_disk, columns))

    def position(self) -> None:
        """Nothing: the epoch and the batch say it all."""

    def go_to(self, position: None) -> None:
        """Nothing to do."""

    def check_resumable(self) -> None:
        """Arrays are."""

    def describe(self) -> dict[str, Any]:
        """What must be the same for a run to go on within an epoch."""
        return {"examples": self.data.size, "batch_size": self.batch_size, "shuffle": self.shuffle}


@dataclasses.dataclass
class StreamFeed:
    """Epochs over batches that something gives: read from its start each time, or on from where the last epoch ended.

    Args:
        source: an iterable of batches, or a function that gives one for an epoch's number. A run goes on where it was
            if its iterator has `get_state` and `set_state`, as Grain's; else by reading from the start once more, after
            as many calls of its `on_epoch_end`, where it has one, as there were.
        steps: the steps of an epoch; where left out, an epoch is all there is.
        check: of each batch's arrays.
        peers: the processes that each read their own rows of every batch.
    """

    graph: Graph
    source: Any
    steps: int | None
    can_pad: bool
    class_weight: Any = None
    check: Check | None = None
    size: int | None = None
    peers: Peers | None = None
    read: int = 0
    _number: int = 0
    _opened: int = 0
    _running: Any = None
    _given: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.source, Buckets):
            # The first batch may be a short one, and gives no measure.
            self.size = self.source.batch_size

    def epoch(self, number: int, key: jax.Array | None = None, done: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, without the first `done`; their order is the source's."""
        return in_step(self._epoch(number, done), self.peers)

    def _epoch(self, number: int, done: int) -> Iterator[Batch]:
        if self.steps is None and not done:
            self._running = None
            self._given = self._given if _has_state(self.source) else None
        left = itertools.count() if self.steps is None else range(self.steps - done)
        for _ in left:
            item = self._next(number, is_endless=self.steps is not None)
            if item is None:
                return
            yield self._batch(item)

    @property
    def can_be_ahead(self) -> bool:
        """Whether batches may be made ready by a thread: where processes need not agree on each."""
        return self.peers is None

    def position(self) -> dict[str, Any]:
        """Where the next batch comes from."""
        # A copy: an iterator may give what it then goes on changing.
        state = copy.deepcopy(self._running.get_state()) if _has_state(self._running) else None
        opened = {"number": self._number, "opened": self._opened}
        return {**opened, "read": self.read, "size": self.size, "state": state}

    def go_to(self, position: Mapping[str, Any]) -> None:
        """Lets the next epoch begin where a run was that had this position."""
        self._given, self._opened = position, position["opened"]
        for _ in range(self._opened - 1):
            _end_epoch(self.source)

    def check_resumable(self) -> None:
        """Raises: GraphValueError where what was read cannot be read again."""
        if _is_function(self.source) or _has_state(self.source):
            return
        if isinstance(self.source, Iterator):
            raise GraphValueError(
                "A run over this data could not be resumed: it can be read only once.",
                received=f"a {type(self.source).__name__}",
                expected="arrays, a list of batches, a function of the epoch, or an iterator with get_state, set_state",
                fix="fit(state, lambda epoch: batches(epoch), ...), or a Grain data set",
            )

    def describe(self) -> dict[str, Any]:
        """What must be the same for a run to go on within an epoch."""
        # How many processes read decides which rows are in a batch.
        processes = {} if self.peers is None else {"processes": self.peers.count}
        return {"steps_per_epoch": self.steps, **processes}

    def _next(self, number: int, *, is_endless: bool) -> Any:
        item = next(self._running or self._open(number), None)
        if item is None and is_endless:
            # What can be read again is; a generator cannot, and the epoch ends short.
            item = next(self._open(number), None)
        self.read += 1
        return item

    def _open(self, number: int) -> Iterator[Any]:
        given, self._given = self._given, None
        self._number, self.read = (number, 0) if given is None else (given["number"], given["read"])
        if given is None:
            if self._opened:
                _end_epoch(self.source)
            self._opened += 1
        source = self.source(self._number) if _is_function(self.source) else self.source
        self._running = _opened(source)
        if given is not None:
            self.size = given["size"]
            self._go_on(source, given)
        return self._running

    def _go_on(self, source: Any, given: Mapping[str, Any]) -> None:
        if given["state"] is not None and _has_state(self._running):
            self._running.set_state(given["state"])
        else:
            self._read_past(source, given["read"])

    def _read_past(self, source: Any, count: int) -> None:
        is_numbered = hasattr(source, "__getitem__") and hasattr(source, "__len__")
        if count and not is_numbered and not _is_function(self.source):
            warnings.warn(
                f"The data ({type(source).__name__}) does not say how to go on in its midst: {count} batches are read "
                "again and left out. The run is exact only if they are the same batches.",
                stacklevel=2,
            )
        for _ in itertools.islice(self._running, count):
            pass

    def _batch(self, item: Any) -> Batch:
        x, y, weight = unpack_batch(self.graph, item)
        batch, self.size = prepare(
            self.graph, x, y, weight, self.class_weight, self.size, can_pad=self.can_pad, check=self.check
        )
        return batch


def in_step(batches: Iterator[Batch], peers: Peers | None) -> Iterator[Batch]:
    """A process's batches, and empty ones in their place for as long as others have some: all make the same steps.

    Raises: GraphValueError where a process has another number of rows in a batch than the others.
    """
    if peers is None:
        yield from batches
        return
    last: Batch | None = None
    while True:
        batch = next(batches, None)
        counts = peers.exchange(0 if batch is None else len(batch.inputs[0]))[:, 0]
        if not counts.any():
            return
        last = batch or _absent(last)
        if last is None or len(set(counts[counts > 0].tolist())) > 1:
            raise GraphValueError(
                "The processes' batches do not go together.",
                received=f"{', '.join(map(str, counts))} rows from processes 0 to {peers.count - 1}",
                expected="one number of rows from each; its last batch may be shorter, and it may have fewer batches",
                fix="give each process its equal share of every batch",
            )
        yield last


def _absent(batch: Batch | None) -> Batch | None:
    """The batch with no row that counts."""
    if batch is None:
        return None
    nobody: Any = np.zeros(len(batch.inputs[0]), bool)
    return dataclasses.replace(batch, targets=dataclasses.replace(batch.targets, present=nobody))


def _is_on_disk(column: Any) -> bool:
    """Whether an array is a file mapped into memory, or a part of one."""
    return isinstance(column, np.memmap) or isinstance(getattr(column, "base", None), np.memmap)


def _has_state(thing: Any) -> bool:
    return hasattr(thing, "get_state") and hasattr(thing, "set_state")


def _opened(source: Any) -> Iterator[Any]:
    """Reads batches from their start: those of an iterable, or by number.

    Raises: GraphTypeError for anything else.
    """
    if hasattr(source, "__iter__"):
        return iter(source)
    if hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        return _by_number(source)
    raise GraphTypeError(
        "This is neither data nor batches of it.",
        received=repr(source)[:100],
        expected="arrays (one, a list in order, a dict by name), an iterable of batches, or a function of the epoch",
    )


def _by_number(source: Any) -> Iterator[Any]:
    """What has batches by their numbers alone."""
    return (source[number] for number in range(len(source)))


def _end_epoch(source: Any) -> None:
    """Tells a source that has been read to its end, as Keras tells its PyDataset, which may then reorder itself."""
    if hasattr(source, "on_epoch_end"):
        source.on_epoch_end()


def _is_function(source: Any) -> bool:
    return callable(source) and not hasattr(source, "__iter__")
