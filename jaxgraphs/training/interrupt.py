"""Signals between steps, never within one, so that a state that was given away is not lost."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import threading
from collections.abc import Iterator
from typing import Any

PREEMPTED = 75
"""The exit status after SIGTERM in a run that saves checkpoints: `EX_TEMPFAIL`, start me again."""

INTERRUPTED = "interrupted"
"""Why a run stopped that Ctrl-C ended, in its history."""


@dataclasses.dataclass
class Signals:
    """What arrived so far.

    Args:
        interrupts: how often Ctrl-C was pressed.
        is_preempted: whether SIGTERM came.
    """

    interrupts: int = 0
    is_preempted: bool = False


@contextlib.contextmanager
def signals_held(*, terminations: bool = False) -> Iterator[Signals]:
    """Within, the first Ctrl-C is remembered and a second one raises; so is SIGTERM where `terminations` says so.

    Signals reach the main thread alone; elsewhere nothing is changed.
    """
    signals = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return

    def interrupt(number: int, frame: Any) -> None:
        signals.interrupts += 1
        if signals.interrupts > 1:
            raise KeyboardInterrupt

    def terminate(number: int, frame: Any) -> None:
        signals.is_preempted = True

    handlers = {signal.SIGINT: interrupt} | ({signal.SIGTERM: terminate} if terminations else {})
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
