"""Sequences of unlike length in batches of like length, so that a handful of shapes compile."""

from __future__ import annotations

import bisect
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxgraphs.errors import GraphValueError, combine

Columns = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Buckets:
    """Batches for `fit` whose sequences end alike: `Buckets(...)(epoch)` gives an epoch's.

    Each example goes to the first of `lengths` that its sequence fits in, and is padded to it; other inputs of unlike
    length are padded to the longest there is. The order of examples and of batches follows from `seed` and the epoch,
    so that a run goes on from a checkpoint. A bucket's last batch is short; `fit` pads it with rows that do not count.

    Args:
        x: inputs by name: lists of sequences of numbers, or arrays.
        y: targets: an array or a list, or a dict of these by output name.
        by: the input whose lengths make the buckets.
        lengths: the sizes of sequences, rising; the last holds the longest sequence.
        batch_size: examples in a batch.
        padding: the number that fills up, at the end; 0 is what `Embedding(mask_zero=True)` masks.
        shuffle, seed: whether each epoch has an order of its own, and from what.
    Raises: GraphValueError when a sequence is longer than the last length, or the columns' numbers of rows differ.

    >>> buckets = Buckets({"text": [[1], [1, 2, 3], [4]]}, [0, 1, 0], by="text", lengths=(1, 4), shuffle=False)
    >>> [(x["text"].tolist(), y.tolist()) for x, y in buckets(0)]
    [([[1], [4]], [0, 0]), ([[1, 2, 3, 0]], [1])]
    """

    x: Mapping[str, Any]
    y: Any
    by: str
    lengths: Sequence[int]
    batch_size: int = 32
    padding: int = 0
    shuffle: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.by not in self.x or list(self.lengths) != sorted(set(self.lengths)) or not self.lengths:
            raise GraphValueError(
                "Buckets need the name of an input and rising lengths.",
                received=f"by={self.by!r}, lengths={self.lengths!r}",
                expected=f"one of {list(self.x)}, and for example (16, 64, 256)",
            )
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise GraphValueError("A batch has at least one example.", received=f"batch_size={self.batch_size!r}")
        counts = {name: len(column) for name, column in (*self.x.items(), *self._targets().items())}
        if len(set(counts.values())) > 1:
            rows = [f"{name}: {count} rows" for name, count in counts.items()]
            raise combine("The columns differ in length.", rows, fix="give one row for each example")
        longest = max((len(row) for row in self.x[self.by]), default=0)
        if longest > self.lengths[-1]:
            raise GraphValueError(
                f"A sequence of '{self.by}' fits in no bucket.",
                received=f"{longest} steps",
                expected=f"at most {self.lengths[-1]}",
                fix=f"lengths={(*self.lengths, longest)!r}, or cut the sequences",
            )

    def __call__(self, epoch: int) -> Iterator[tuple[Columns, Any]]:
        """The batches (x, y) of an epoch."""
        generator = np.random.default_rng((self.seed, epoch))
        count = len(self.x[self.by])
        order = generator.permutation(count) if self.shuffle else np.arange(count)
        batches = [batch for bucket in self._grouped(order) for batch in self._cut(bucket)]
        for place in generator.permutation(len(batches)) if self.shuffle else range(len(batches)):
            yield self._batch(*batches[place])

    def _grouped(self, order: np.ndarray) -> list[tuple[int, list[int]]]:
        """The rows of each length, in order."""
        found: list[list[int]] = [[] for _ in self.lengths]
        for row in order:
            found[bisect.bisect_left(self.lengths, len(self.x[self.by][row]))].append(int(row))
        return list(zip(self.lengths, found, strict=True))

    def _cut(self, bucket: tuple[int, list[int]]) -> list[tuple[int, list[int]]]:
        length, rows = bucket
        return [(length, rows[start : start + self.batch_size]) for start in range(0, len(rows), self.batch_size)]

    def _batch(self, length: int, rows: list[int]) -> tuple[Columns, Any]:
        inputs = {name: self._rows(name, column, rows, length) for name, column in self.x.items()}
        targets = {name: np.asarray([column[row] for row in rows]) for name, column in self._targets().items()}
        return inputs, targets if isinstance(self.y, Mapping) else targets["y"]

    def _rows(self, name: str, column: Any, rows: list[int], length: int) -> np.ndarray:
        if name != self.by:
            if isinstance(column, np.ndarray):
                return column[rows]
            length = max(len(row) for row in column)
        shape, dtype = self._forms[name]
        padded = np.full((len(rows), length, *shape), self.padding, dtype)
        for place, row in enumerate(rows):
            padded[place, : len(column[row])] = column[row]
        return padded

    @functools.cached_property
    def _forms(self) -> dict[str, tuple[tuple[int, ...], Any]]:
        """For each input the shape of a step, and the dtype that holds every row's numbers; empty rows have none."""
        found = {}
        for name, column in self.x.items():
            rows = [np.asarray(row) for row in column if len(row)] or [np.zeros(0, np.int32)]
            found[name] = rows[0].shape[1:], np.result_type(*{row.dtype for row in rows})
        return found

    def _targets(self) -> dict[str, Any]:
        return dict(self.y) if isinstance(self.y, Mapping) else {"y": self.y}
