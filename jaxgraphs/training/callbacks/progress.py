"""The progress of fit: a bar in a terminal, plain lines elsewhere; it never waits for the device during an epoch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import jax
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from jaxgraphs.training.callbacks.base import Callback, Run


class ProgressBar(Callback):
    """Shows loss, metrics and time left.

    Args:
        console: where to; standard output where left out.
        interval: seconds between two looks at the numbers.
    """

    is_for_people = True

    def __init__(self, console: Console | None = None, interval: float = 0.2) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.interval = interval
        self._bar: Progress | None = None
        self._task: Any = None
        self._waiting: Mapping[str, Any] | None = None
        self._began = self._looked = 0.0

    def on_train_begin(self, run: Run) -> None:
        """Goes on within the epoch of a run that is taken up there: no further one begins it."""
        if run.resumed:
            self._open(run)

    def on_epoch_begin(self, run: Run) -> None:
        """Starts the epoch's bar."""
        self._close()
        self._open(run)

    def _open(self, run: Run) -> None:
        self._began, self._waiting, self._looked = time.monotonic(), None, 0.0
        if run.verbose == 1 and self.console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[logs]}"),
                console=self.console,
                transient=True,
            )
            self._task = self._bar.add_task(_title(run), total=run.steps, logs="")
            self._bar.start()

    def on_batch_end(self, run: Run) -> None:
        """Moves the bar; numbers are shown once the device has them, some steps late."""
        if self._bar is None:
            return
        now = time.monotonic()
        fields: dict[str, Any] = {}
        if self._waiting is None and now - self._looked > self.interval:
            self._waiting = run.logs
        if self._waiting is not None and all(value.is_ready() for value in jax.tree.leaves(self._waiting)):
            fields = {"logs": _text(self._waiting)}
            self._waiting, self._looked = None, now
        self._bar.update(self._task, completed=(run.batch or 0) + 1, **fields)

    def on_epoch_end(self, run: Run) -> None:
        """Prints the epoch's line."""
        self._close()
        seconds = time.monotonic() - self._began
        left = seconds * (run.epochs - run.epoch - 1)
        rest = f" · {_clock(left)} left" if left else ""
        self.console.print(f"{_title(run)} · {_clock(seconds)}{rest} · {_text(run.logs)}", markup=False)

    def on_train_end(self, run: Run) -> None:
        """Removes a bar that an interruption left."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _title(run: Run) -> str:
    return f"epoch {run.epoch + 1}/{run.epochs}"


def _text(logs: Mapping[str, Any]) -> str:
    return "  ".join(f"{name} {float(value):.4g}" for name, value in logs.items())


def _clock(seconds: float) -> str:
    """Seconds in words.

    >>> _clock(3.21), _clock(75), _clock(7260)
    ('3.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
