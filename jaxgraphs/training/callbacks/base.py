"""A callback reads an event and returns an action: continue, stop, or go on with another state.

One that stores every layer's activations for the first validation example at each epoch:

>>> import jax
>>> class ActivationLogger(Callback):
...     def on_train_begin(self, run):
...         names = [run.graph.layer_name(layer) for layer in run.graph.layers]
...         self.layers, self.stored = run.graph.subgraph({name: name for name in names}), []
...
...     def on_epoch_end(self, run):
...         inputs = jax.tree.map(lambda column: column[:1], run.validation[0])
...         self.stored.append(jax.device_get(self.layers.apply(run.state.variables, inputs)))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxgraphs.errors import GraphTypeError

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Stop:
    """The action that ends training after this event."""

    reason: str = ""


@dataclasses.dataclass(frozen=True)
class NewState:
    """The action that lets training go on with another TrainState, such as one with a new learning rate."""

    state: Any


Action = Stop | NewState


@dataclasses.dataclass(frozen=True)
class Run:
    """What a callback sees of a training run.

    Args:
        graph: the graph that is trained.
        trainer: the Trainer.
        state: the TrainState at this event. The next step reuses its memory: copy what you keep.
        epoch: from 0.
        batch: number of the batch within the epoch, from 0; None outside of batches.
        data: the batch itself, inputs and targets in the graph's order; None outside of batches.
        logs: names to values: the running means at a batch's end (on the device still), an epoch's numbers at its end.
        history: names to one value for each epoch so far.
        epochs, steps: how many there will be; `steps` an epoch, None where it is not known yet.
        validation: the validation data as (inputs, targets, sample weights), or None.
        verbose: as given to `fit`.
        resumed: whether the run goes on from a checkpoint.
    """

    graph: Any
    trainer: Any
    state: Any
    epoch: int = 0
    batch: int | None = None
    data: Any = None
    logs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    history: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)
    epochs: int = 1
    steps: int | None = None
    validation: Any = None
    verbose: int = 1
    resumed: bool = False


class Callback:
    """What runs beside training; override the hooks that matter.

    Each hook sees a `Run` and returns None, a `Stop` or a `NewState`. What a callback remembers from event to event it
    keeps on itself and names in `memory`, so that a resumed run remembers it too. A resumed run begins with `remember`;
    then comes `on_train_begin` with `run.resumed`, and what it returns does not count.

    Where several processes train one model, each has its callbacks and all see the same numbers, so that they decide
    alike; one with ``is_for_people = True``, which only shows or writes numbers, is called in the first process alone.

    >>> class Names(Callback):
    ...     def on_epoch_end(self, run):
    ...         return Stop("low enough") if run.logs["loss"] < 0.1 else None
    """

    is_for_people = False

    def on_train_begin(self, run: Run) -> Action | None:
        """Before the first epoch; in a run that goes on from a checkpoint, after `remember`."""

    def on_train_end(self, run: Run) -> Action | None:
        """After the last epoch, or after a stop."""

    def on_epoch_begin(self, run: Run) -> Action | None:
        """Before the first batch of an epoch."""

    def on_epoch_end(self, run: Run) -> Action | None:
        """After an epoch and its validation; `run.logs` has both."""

    def on_batch_begin(self, run: Run) -> Action | None:
        """Before a step."""

    def on_batch_end(self, run: Run) -> Action | None:
        """After a step; reading a number from `run.logs` waits for the device."""

    def memory(self) -> dict[str, Any]:
        """What must survive a restart: dicts, lists and tuples of numbers, texts, None and arrays."""
        return {}

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Takes back what `memory` gave."""


def dispatch(callbacks: Sequence[Callback], hook: str, run: Run) -> tuple[Run, Stop | None]:
    """Calls one hook of each callback in order; the later ones see the state that earlier ones put in place."""
    stop = None
    for callback in callbacks:
        action = getattr(callback, hook)(run)
        if isinstance(action, NewState):
            run = dataclasses.replace(run, state=action.state)
        elif isinstance(action, Stop):
            stop = stop or action
        elif action is not None:
            raise GraphTypeError(
                f"{type(callback).__name__}.{hook} returned something that is not an action.",
                received=repr(action),
                expected="None, jg.callbacks.Stop(reason) or jg.callbacks.NewState(state)",
            )
    return run, stop
