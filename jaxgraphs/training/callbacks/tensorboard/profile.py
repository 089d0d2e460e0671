"""A trace of some batches, as jax.profiler takes it and TensorBoard's profile plugin shows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from jaxgraphs.errors import GraphValueError


class Trace:
    """Traces the batches from `first` to `last`, counted from 1 since the run began; 0 traces none.

    Args:
        folder: the directory of a TensorBoard run; the trace goes to ``plugins/profile`` there.
    """

    def __init__(self, folder: Path, first: int, last: int) -> None:
        self.folder, self.first, self.last = folder, first, last
        self.is_running = False

    def begin(self, batch: int) -> None:
        """Before a batch."""
        if self.first and batch == self.first and not self.is_running:
            jax.profiler.start_trace(str(self.folder))
            self.is_running = True

    def end(self, batch: int, results: Any) -> None:
        """After a batch; `results` are waited for, so that the trace has all of it."""
        if self.is_running and batch >= self.last:
            jax.block_until_ready(results)
            self.stop()

    def stop(self) -> None:
        """Writes the trace where one is being taken."""
        if self.is_running:
            self.is_running = False
            jax.profiler.stop_trace()


def batches_of(given: int | str | Sequence[int]) -> tuple[int, int]:
    """The first and the last batch.

    Raises: GraphValueError when they are no such pair.

    >>> batches_of(3), batches_of((10, 20)), batches_of("10,20")
    ((3, 3), (10, 20), (10, 20))
    """
    try:
        numbers = [int(part) for part in given.split(",")] if isinstance(given, str) else given
        pair = (numbers, numbers) if isinstance(numbers, int) else tuple(int(number) for number in numbers)
        first, last = pair
    except (TypeError, ValueError):
        first, last = 0, -1
    if not 0 <= first <= last or (first == 0 and last > 0):
        raise GraphValueError(
            "`profile_batch` is a batch, or the first and the last one.",
            received=repr(given),
            expected="0 for none, 3, or (10, 20)",
        )
    return first, last
