"""Where and how often a run is saved, so that it goes on after any end as if nothing had happened."""

from __future__ import annotations

import dataclasses
import os
from typing import Literal

from jaxgraphs.errors import GraphTypeError, GraphValueError


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """What ``fit(..., resume=...)`` writes and reads.

    A checkpoint is the whole run: parameters, model state, optimizer state, step, epoch, keys, the position in the
    data, the epoch's running sums, callbacks' memory, history and the graph. It is committed by one rename, with
    SHA-256 sums of its files; a damaged one is passed over for the one before. The run's beginning and its end are
    always saved. Where several processes train, the first one writes, and all read from the one directory.

    Args:
        directory: of this run alone; made where it is not there.
        every_epochs: epochs from one checkpoint to the next; None for none at epochs' ends.
        every_steps: steps from one to the next, within epochs too; None for none.
        keep_last: how many of the newest stay.
        keep_best: how many of the best stay, by `monitor`, a name in the logs; `mode` says what is better:
            "min", "max", or "auto", by what the number is, as for `EarlyStopping`.
        keep_every: every so many epochs one stays for good.
        on_error: what to do when the disk is full or cannot be written to: "warn" and go on, "stop" the training
            between two steps, or "raise". Checkpoints that are there stay whole.
        asynchronous: whether they are written while training goes on.
    Raises: GraphError when an argument does not fit.

    >>> Checkpoints("runs/first", every_steps=100).keep_last
    3
    """

    directory: str | os.PathLike[str]
    every_epochs: int | None = 1
    every_steps: int | None = None
    keep_last: int = 3
    keep_best: int = 0
    keep_every: int | None = None
    monitor: str = "val_loss"
    mode: Literal["auto", "min", "max"] = "auto"
    on_error: Literal["warn", "stop", "raise"] = "warn"
    asynchronous: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.directory, (str, os.PathLike)):
            raise GraphTypeError(
                "`resume` is a directory, or jg.Checkpoints(directory, ...).",
                received=repr(self.directory),
                fix='fit(..., resume="runs/first")',
            )
        for name in ("every_epochs", "every_steps", "keep_last", "keep_best", "keep_every"):
            _check_count(name, getattr(self, name))
        for name, known in (("mode", ("auto", "min", "max")), ("on_error", ("warn", "stop", "raise"))):
            if (given := getattr(self, name)) not in known:
                expected = " or ".join(map(repr, known))
                raise GraphValueError(f"`{name}` of Checkpoints is not known.", received=repr(given), expected=expected)


def _check_count(name: str, value: int | None) -> None:
    is_optional, least = not name.startswith("keep_") or name == "keep_every", 0 if name == "keep_best" else 1
    if value is None and is_optional:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise GraphValueError(
            f"`{name}` of Checkpoints does not fit.",
            received=repr(value),
            expected=f"a whole number from {least}{' or None' if is_optional else ''}",
        )
