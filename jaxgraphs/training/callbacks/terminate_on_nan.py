"""Stop when the loss is no longer a number, and say where that began."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import jax.numpy as jnp

from jaxgraphs.errors import GraphValueError
from jaxgraphs.training.callbacks.base import Callback, Run, Stop
from jaxgraphs.training.callbacks.probe import activations, is_finite, some_batch, weights_in_order
from jaxgraphs.training.processes import say


class TerminateOnNaN(Callback):
    """Ends training when the loss is infinite or not a number.

    It looks at each batch's loss once the device has it, some steps late, so that no step waits; at an epoch's end it
    has looked at all. It names the batch, and the first weights and the first activation, in the order of the graph,
    that are not finite. A batch's activations are those at inference.

    Args:
        raise_error: whether to raise an error rather than to stop.
    Raises: GraphValueError where `raise_error` says so.

    >>> TerminateOnNaN().on_batch_end(Run(None, None, None, batch=0, logs={"loss": 0.5}))
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error
        self._waiting: deque[Run] = deque()

    def on_train_begin(self, run: Run) -> None:
        """Forgets the run before."""
        self._waiting.clear()

    def on_batch_end(self, run: Run) -> Stop | None:
        """Looks at the losses that have arrived, in order."""
        if "loss" in run.logs:
            self._waiting.append(run)
        while self._waiting and _is_ready(self._waiting[0].logs["loss"]):
            if stop := self._check(self._waiting.popleft(), run):
                return stop
        return None

    def on_epoch_end(self, run: Run) -> Stop | None:
        """Looks at all that are left, and at the epoch's own numbers."""
        while self._waiting:
            if stop := self._check(self._waiting.popleft(), run):
                return stop
        return self._check(run, run) if "loss" in run.logs else None

    def _check(self, then: Run, now: Run) -> Stop | None:
        """Stops where the loss of `then` is not finite; of the states only that of `now` is still there."""
        loss = float(then.logs["loss"])
        if math.isfinite(loss):
            return None
        self._waiting.clear()
        when = f"epoch {then.epoch + 1}" if then.batch is None else f"batch {then.batch + 1} of epoch {then.epoch + 1}"
        where = _culprits(then, now.state)
        if self.raise_error:
            raise GraphValueError(
                f"The loss is {loss} after {when}.", where=where, fix="a smaller learning rate, or other data"
            )
        reason = f"the loss is {loss} after {when}: {where}"
        say(f"Training ends: {reason}")
        return Stop(reason)


def _is_ready(value: Any) -> bool:
    is_ready = getattr(value, "is_ready", None)
    return is_ready is None or is_ready()


def _culprits(run: Run, state: Any) -> str:
    """The first weights and the first activation that are not finite, in words."""
    weights = (path for path, array in weights_in_order(run.graph, state.variables) if not is_finite(array))
    said = [f"the first weights that are not finite: {next(weights, 'none')}"]
    batch = some_batch(run)
    if batch is None:
        return said[0]
    if not is_finite(batch.inputs):
        said.append(f"the inputs are not finite: {', '.join(_bad_inputs(run, batch))}")
    finite = activations(run.graph, state.variables, batch, read=is_finite)
    bad = (place for place, is_good in finite.items() if not is_good)
    return "; ".join([*said, f"the first activation: {next(bad, 'none')}"])


def _bad_inputs(run: Run, batch: Any) -> list[str]:
    names = zip(run.graph.input_names, batch.inputs, strict=True)
    return [name for name, value in names if not is_finite(jnp.asarray(value))]
