"""Stop when a number no longer gets better, and go back to where it was best."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.training.callbacks.base import NewState, Run, Stop
from jaxgraphs.training.callbacks.monitor import Monitor
from jaxgraphs.training.processes import say

PyTree = Any


class EarlyStopping(Monitor):
    """Ends training after `patience` epochs in which `monitor` was not better than before.

    Args:
        monitor: a name in the logs.
        min_delta: a smaller change does not count as better.
        patience: epochs without improvement to wait for.
        verbose: 1 prints what is done.
        mode: ``"min"``, ``"max"``, or ``"auto"``: by what the number is.
        baseline: waiting begins anew only at an improvement that is also better than this.
        restore_best_weights: whether the trained state ends with the params and the model state of the best epoch; a
            copy of them is kept on the host.
        start_from_epoch: epochs before this one do not count.
    Raises: GraphValueError, at the first epoch's end, when there is no such number or its direction is not known.

    >>> callback = EarlyStopping(monitor="loss", patience=1)
    >>> losses = [0.5, 0.6, 0.7]
    >>> [callback.on_epoch_end(Run(None, None, None, epoch=e, logs={"loss": v})) is None for e, v in enumerate(losses)]
    [True, False, False]
    """

    fields = ("wait", "best", "best_epoch", "stopped_epoch", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch

    def forget(self) -> None:
        """Sets what is remembered as it is before a run."""
        self.wait = self.best_epoch = self.stopped_epoch = 0
        self.best: float | None = None
        self.best_weights: dict[str, PyTree] | None = None

    def on_epoch_end(self, run: Run) -> Stop | None:
        """Compares, and stops when patience has run out."""
        value = self.value(run)
        if value is None or run.epoch < self.start_from_epoch:
            return None
        if self.restore_best_weights and self.best_weights is None:
            self._keep(run)
        self.wait += 1
        if self.is_better(run, value, self.best):
            self.best = value
            self._keep(run)
            if self.baseline is None or self.is_better(run, value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and run.epoch > 0:
            self.stopped_epoch = run.epoch
            return Stop(f"early stopping: {self.monitor} was best, {self.best:.6g}, in epoch {self.best_epoch + 1}")
        return None

    def on_train_end(self, run: Run) -> NewState | None:
        """Gives back the best epoch's weights, whether training was stopped or not."""
        if self.verbose and self.stopped_epoch:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is None:
            return None
        if self.verbose:
            say(f"Restoring the weights of the best epoch: {self.best_epoch + 1}")
        now = {"params": run.state.params, "model_state": run.state.model_state}
        return NewState(run.state.replace(**jax.tree.map(_placed_as, now, self.best_weights)))

    def _keep(self, run: Run) -> None:
        self.best_epoch = run.epoch
        if self.restore_best_weights:
            now = {"params": run.state.params, "model_state": run.state.model_state}
            self.best_weights = jax.tree.map(_copied, now)


def _copied(array: Any) -> Any:
    """A copy on the host; of an array whose parts other processes hold, one where it is."""
    return np.array(array) if getattr(array, "is_fully_addressable", True) else jnp.copy(array)


def _placed_as(now: Any, kept: Any) -> Any:
    """The array that was kept, in the place and the dtype of the one it replaces."""
    return jax.device_put(jnp.asarray(kept, now.dtype), now.sharding) if isinstance(now, jax.Array) else kept
