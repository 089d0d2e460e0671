"""A callback of plain functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from jaxgraphs.errors import GraphTypeError
from jaxgraphs.training.callbacks.base import Action, Callback, Run

Hook = Callable[..., Any]


class LambdaCallback(Callback):
    """Calls functions at the events of training.

    Args:
        on_epoch_begin, on_epoch_end: functions of the run, or, in Keras' way, of ``(epoch, logs)``.
        on_train_begin, on_train_end: functions of the run, or of ``logs``.
        on_batch_begin, on_batch_end: functions of the run, or of ``(batch, logs)``; also under Keras' names
            ``on_train_batch_begin`` and ``on_train_batch_end``. Logs are then numbers, for which it waits.
    A function of the run returns None or an action. What one in Keras' way returns counts only where it is an action.

    >>> seen = []
    >>> callback = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((epoch, logs["loss"])))
    >>> callback.on_epoch_end(Run(None, None, None, epoch=3, logs={"loss": 0.5}))
    >>> seen
    [(3, 0.5)]
    """

    def __init__(
        self,
        on_epoch_begin: Hook | None = None,
        on_epoch_end: Hook | None = None,
        on_train_begin: Hook | None = None,
        on_train_end: Hook | None = None,
        on_train_batch_begin: Hook | None = None,
        on_train_batch_end: Hook | None = None,
        *,
        on_batch_begin: Hook | None = None,
        on_batch_end: Hook | None = None,
    ) -> None:
        self._hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_batch_begin": on_batch_begin or on_train_batch_begin,
            "on_batch_end": on_batch_end or on_train_batch_end,
        }
        self._styles = {name: _style(name, hook) for name, hook in self._hooks.items() if hook is not None}

    def on_train_begin(self, run: Run) -> Action | None:
        """Calls the function given for this event; so do the others."""
        return self._call("on_train_begin", run)

    def on_train_end(self, run: Run) -> Action | None:
        return self._call("on_train_end", run)

    def on_epoch_begin(self, run: Run) -> Action | None:
        return self._call("on_epoch_begin", run)

    def on_epoch_end(self, run: Run) -> Action | None:
        return self._call("on_epoch_end", run)

    def on_batch_begin(self, run: Run) -> Action | None:
        return self._call("on_batch_begin", run)

    def on_batch_end(self, run: Run) -> Action | None:
        return self._call("on_batch_end", run)

    def _call(self, name: str, run: Run) -> Action | None:
        hook, style = self._hooks[name], self._styles.get(name)
        if hook is None or style is None:
            return None
        if style == "run":
            return hook(run)
        returned = hook(*_keras_arguments(name, style, run))
        return returned if isinstance(returned, Action) else None


def _keras_arguments(name: str, style: str, run: Run) -> tuple[Any, ...]:
    logs = _numbers(run.logs)
    if style == "logs":
        return (logs,)
    return (run.epoch if "epoch" in name else run.batch, logs)


def _numbers(logs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: float(value) for name, value in logs.items()}


def _style(name: str, hook: Hook) -> str:
    """How a function wants to be called: with the run, with the logs, or with a number and the logs."""
    signature = inspect.signature(hook)
    if "train" not in name and _binds(signature, 2):
        return "number"
    if _binds(signature, 1):
        return "logs" if next(iter(signature.parameters)) == "logs" else "run"
    keras = "(logs)" if "train" in name else f"({'epoch' if 'epoch' in name else 'batch'}, logs)"
    raise GraphTypeError(
        f"LambdaCallback cannot call {name}.", received=f"a function of {signature}", expected=f"(run), or {keras}"
    )


def _binds(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True
