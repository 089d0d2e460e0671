"""The learning rate changed between epochs: it is a number in the state, so that no step is compiled anew."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxgraphs.errors import GraphTypeError, GraphValueError
from jaxgraphs.training import optimizers
from jaxgraphs.training.callbacks.base import Callback, NewState, Run
from jaxgraphs.training.callbacks.monitor import Monitor
from jaxgraphs.training.processes import say


class LearningRateScheduler(Callback):
    """Sets the learning rate at each epoch's beginning.

    Args:
        schedule: ``schedule(epoch, rate)``, or ``schedule(epoch)``, gives the epoch's rate; epochs count from 0.
        verbose: 1 prints each rate.
    Raises: GraphError when the optimizer's state holds no rate, or the schedule gives no number.

    >>> halve = LearningRateScheduler(lambda epoch, rate: rate * 0.5 if epoch else rate)
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, run: Run) -> NewState:
        """The state with the epoch's rate."""
        now = rate_of(run)
        rate = self.schedule(run.epoch, now) if _takes_rate(self.schedule) else self.schedule(run.epoch)
        rate = _checked(rate)
        if self.verbose:
            say(f"Epoch {run.epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")
        return with_rate(run, rate)


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by `factor` after `patience` epochs in which `monitor` was not better than before.

    Args:
        monitor, mode, min_delta: what is watched, which way is better, and the smallest change that counts.
        factor: below 1.
        patience: epochs without improvement to wait for.
        verbose: 1 prints each new rate.
        cooldown: epochs after a change in which nothing is counted.
        min_lr: the rate falls no lower.
    Raises: GraphValueError when `factor` is not below 1; at the first epoch's end as `EarlyStopping`.

    >>> ReduceLROnPlateau(monitor="loss", factor=0.5, patience=3).wait
    0
    """

    fields = ("wait", "best", "cooldown_counter")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        if not factor < 1:
            raise GraphValueError("ReduceLROnPlateau makes the rate smaller.", received=f"factor={factor}")
        super().__init__(monitor, mode, min_delta)
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr

    def forget(self) -> None:
        """Sets what is remembered as it is before a run."""
        self.wait = self.cooldown_counter = 0
        self.best: float | None = None

    def on_epoch_end(self, run: Run) -> NewState | None:
        """Compares, and lowers the rate when patience has run out."""
        value = self.value(run)
        if value is None:
            return None
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(run, value, self.best):
            self.best, self.wait = value, 0
        elif self.cooldown_counter <= 0:
            self.wait += 1
            if self.wait >= self.patience:
                return self._reduced(run)
        return None

    def _reduced(self, run: Run) -> NewState | None:
        old = rate_of(run)
        if old <= float(np.float32(self.min_lr)):
            return None
        rate = max(old * self.factor, self.min_lr)
        self.cooldown_counter, self.wait = self.cooldown, 0
        if self.verbose:
            say(f"Epoch {run.epoch + 1}: ReduceLROnPlateau reducing learning rate to {rate}.")
        return with_rate(run, rate)


def rate_of(run: Run) -> float:
    """The learning rate in the run's state.

    Raises: GraphValueError when it holds none.
    """
    rate = optimizers.learning_rate(run.state.opt_state)
    if rate is None:
        # Says what is missing, and how to mend it.
        optimizers.with_learning_rate(run.state.opt_state, 0.0)
    return float(np.asarray(rate))


def with_rate(run: Run, rate: float) -> NewState:
    """The action that goes on with another learning rate."""
    return NewState(run.state.replace(opt_state=optimizers.with_learning_rate(run.state.opt_state, rate)))


def _checked(rate: Any) -> float:
    """What a schedule gave, as a number."""
    what = "The schedule gave no learning rate."
    is_number = isinstance(rate, (int, float)) or hasattr(rate, "dtype")
    if not is_number or isinstance(rate, bool) or np.ndim(rate):
        raise GraphTypeError(what, received=repr(rate), expected="one number")
    if not math.isfinite(float(rate)):
        raise GraphValueError(what, received=repr(rate), expected="a finite number")
    return float(rate)


def _takes_rate(schedule: Callable[..., Any]) -> bool:
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except (TypeError, ValueError):
        return False
    return True
