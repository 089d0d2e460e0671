"""The one loop: one call of fit, from a state to a state, that can be left and taken up again between any two steps."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import jax

from jaxgraphs.errors import GraphError, GraphValueError
from jaxgraphs.training.ahead import ahead
from jaxgraphs.training.callbacks.base import Callback, Run, Stop, dispatch
from jaxgraphs.training.checkpointing.session import Halted, Session
from jaxgraphs.training.checkpointing.snapshot import Snapshot, memories_of, remember
from jaxgraphs.training.history import History
from jaxgraphs.training.interrupt import INTERRUPTED, PREEMPTED, signals_held
from jaxgraphs.training.processes import peers_watched
from jaxgraphs.training.step import Batch, TrainState

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class Validation:
    """What is evaluated between epochs.

    Args:
        data: as given, for callbacks.
        batches: gives the batches, each time from the first.
        every: after how many epochs.
    """

    data: Any
    batches: Any
    every: int = 1


@dataclasses.dataclass
class Loop:
    """One call of fit, and where it is.

    Args:
        trainer: has the steps, jitted.
        feed: gives the batches of an epoch.
        session: where checkpoints go; None where there are none.
        prefetch: how many batches are made ready beside the step, where the feed's can be.
        epochs: the number of the last epoch.
        epoch, batch: the epoch that goes on or comes next, and how many of its steps are done.
        begun: whether callbacks were told of the epoch.
        steps: all steps done.
        position: where the data was after the last step, as the feed says it.
        sums: the epoch's running sums.
        stop: why no further step is made.
    """

    trainer: Any
    feed: Any
    validation: Validation | None
    callbacks: Sequence[Callback]
    epochs: int
    verbose: int
    session: Session | None = None
    prefetch: int = 2
    epoch: int = 0
    batch: int = 0
    begun: bool = False
    steps: int = 0
    position: Any = None
    sums: Any = None
    stop: Stop | None = None
    history: History = dataclasses.field(default_factory=History)

    def go(self, state: TrainState) -> tuple[TrainState, History]:
        """Trains from `state`, whose memory is reused, or from what the session has."""
        self.sums = self.trainer._empty()
        self.run = self._first_run(state)
        with (
            signals_held(terminations=self.session is not None) as self.signals,
            peers_watched(self.trainer.peers),
        ):
            is_failed = True
            try:
                self._begin()
                self._epochs()
                self.history.stopped = self.stop.reason if self.stop else ""
                self._hook("on_train_end", batch=None, data=None)
                is_failed = False
            finally:
                if self.session:
                    self.session.close(forgotten=is_failed and not self.steps)
        if self.signals.is_preempted:
            # It came after the last step; all is saved.
            raise SystemExit(PREEMPTED)
        return self.run.state, self.history

    def _first_run(self, state: TrainState) -> Run:
        return Run(
            graph=self.trainer.graph,
            trainer=self.trainer,
            state=state,
            epoch=self.epoch,
            history=self.history.history,
            epochs=self.epochs,
            steps=self.feed.steps,
            validation=None if self.validation is None else self.validation.data,
            verbose=self.verbose,
        )

    def _begin(self) -> None:
        found = self.session.restore(self.run.state, self.sums) if self.session else None
        if found is None:
            self._hook("on_train_begin")
            return
        self._take_up(found)
        remember(self.callbacks, found.memories)
        dispatch(self._heard, "on_train_begin", self.run)

    def _take_up(self, found: Snapshot) -> None:
        self.epoch, self.batch, self.begun, self.steps = found.epoch, found.batch, found.begun, found.steps
        self.sums, self.history = found.sums, found.history
        self.stop = None if found.stop is None else Stop(found.stop)
        self.position = found.data
        if found.data is not None:
            self.feed.go_to(found.data)
        last = found.epoch if found.begun else max(found.epoch - 1, 0)
        self.run = dataclasses.replace(
            self.run,
            state=self.trainer.execution.place(found.state),
            epoch=last,
            history=self.history.history,
            resumed=True,
        )

    def _epochs(self) -> None:
        try:
            if self.session and not self.run.resumed:
                # So that a run which is killed before its next one goes on too, and its callbacks with it.
                self.session.save(self._snapshot(), None, is_last=False)
            is_interrupted = self._until_interrupted()
            self._save(is_last=True)
            self._end_together()
            self.stop = Stop(INTERRUPTED) if is_interrupted else self.stop
        except Halted as halted:
            self.stop = Stop(str(halted))

    def _end_together(self) -> None:
        """Where there are several processes: the last checkpoint is there for all of them, or none says so."""
        peers, session = self.trainer.peers, self.session
        if peers is not None and session is not None and peers.exchange(int(bool(session.trouble))).any():
            session.fail()

    def _until_interrupted(self) -> bool:
        try:
            while self.epoch < self.epochs and (self.stop is None or self.begun):
                self._epoch()
        except KeyboardInterrupt:
            # After a second one the loop may be within a step.
            if self.signals.interrupts > 1 or not _is_usable(self.run.state):
                raise
            return True
        return False

    def _epoch(self) -> None:
        if not self.begun:
            self._hook("on_epoch_begin", epoch=self.epoch, batch=None, logs={})
            self.begun = True
        if self.stop is None:
            batches = self.feed.epoch(self.epoch, self.run.state.key, self.batch)
            depth = self.prefetch if self.feed.can_be_ahead else 0
            with contextlib.closing(ahead(self._placed(batches, is_ahead=depth > 0), depth)) as placed:
                for some in in_calls(placed, self.trainer.execution.steps_per_call):
                    self._steps(some)
                    if self.stop is not None:
                        break
        if self.batch:
            self._end_epoch()
        elif self.stop is None:
            raise _no_batches(self.epoch)
        self.begun = False

    def _placed(self, batches: Iterator[Batch], *, is_ahead: bool) -> Iterator[tuple[Batch, Any]]:
        """Batches as steps read them, each with the position of the data after it, which is only then as it says."""
        for batch in batches:
            yield self.trainer._cast(batch, is_ahead=is_ahead), self.feed.position() if self.session else None

    def _steps(self, some: Sequence[tuple[Batch, Any]]) -> None:
        batches = [batch for batch, _ in some]
        self._hook("on_batch_begin", epoch=self.epoch, batch=self.batch, data=batches[-1], logs={})
        state, self.sums, logs = self.trainer._train_on(self.run.state, self.sums, batches)
        self.run = dataclasses.replace(self.run, state=state, logs=logs)
        self.batch, self.steps = self.batch + len(batches), self.steps + len(batches)
        self.position = some[-1][1]
        self._hook("on_batch_end")
        self._look()
        self._save(made=len(batches))

    def _end_epoch(self) -> None:
        # Not the last step's logs: a resumed run, which may have no step left, must compute the same numbers.
        numbers = self.trainer._numbers(self.trainer._logs(self.sums)) | self._validate()
        self.history.append(self.epoch, numbers)
        self._hook("on_epoch_end", batch=None, data=None, logs=numbers)
        self.epoch, self.batch, self.begun = self.epoch + 1, 0, False
        self.sums = self.trainer._empty()
        self._save(numbers)
        self._look()

    def _validate(self) -> dict[str, float]:
        if self.validation is None or (self.epoch + 1) % self.validation.every:
            return {}
        logs = self.trainer._evaluate_batches(self.run.state.variables, self._watched(self.validation.batches()))
        return {f"val_{name}": value for name, value in logs.items()}

    def _watched(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            self._look()
            yield batch

    def _hook(self, name: str, **changes: Any) -> None:
        before = dataclasses.replace(self.run, **changes)
        self.run, stop = dispatch(self._heard, name, before)
        if self.run.state is not before.state and self.trainer.peers is not None:
            # A number that a callback has put in its place is this process's alone.
            self.run = dataclasses.replace(self.run, state=self.trainer.execution.place(self.run.state))
        self.stop = self.stop or stop

    @property
    def _heard(self) -> Sequence[Callback]:
        """The callbacks that are called in this process."""
        is_alone = self.trainer.peers is None or self.trainer.peers.index == 0
        return self.callbacks if is_alone else [one for one in self.callbacks if not one.is_for_people]

    def _look(self) -> None:
        """Acts on signals, those of other processes too; the loop is between two steps."""
        is_interrupted, is_preempted, is_failed = self._told()
        if is_failed and self.session:
            self.session.fail()
        if is_interrupted:
            raise KeyboardInterrupt
        if is_preempted:
            with contextlib.suppress(Halted):
                self._save(is_last=True)
            raise SystemExit(PREEMPTED)

    def _told(self) -> tuple[bool, ...]:
        own = bool(self.signals.interrupts), self.signals.is_preempted, bool(self.session and self.session.trouble)
        peers = self.trainer.peers
        return own if peers is None else peers.any(*own)

    def _save(self, numbers: dict[str, float] | None = None, *, made: int = 0, is_last: bool = False) -> None:
        if self.session is None:
            return
        is_epoch = not self.batch and not self.begun
        if is_last or self.session.is_due(self.epoch, self.steps, made, is_epoch=is_epoch):
            self.session.save(self._snapshot(), numbers, is_last=is_last)
        self.session.check(is_last=is_last)

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            state=self.run.state,
            sums=self.sums,
            epoch=self.epoch,
            batch=self.batch,
            begun=self.begun,
            steps=self.steps,
            stop=None if self.stop is None else self.stop.reason,
            data=self.position,
            memories=memories_of(self.callbacks),
            history=self.history,
        )


def in_calls(batches: Iterator[Item], count: int) -> Iterator[list[Item]]:
    """The batches that one compiled call trains on: `count` of them, at the end those left over.

    >>> list(in_calls(iter("abcde"), 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    while some := list(itertools.islice(batches, count)):
        yield some


def _is_usable(state: TrainState) -> bool:
    """Whether no array of the state was given away to a step that did not end."""
    return not any(leaf.is_deleted() for leaf in jax.tree.leaves(state) if isinstance(leaf, jax.Array))


def _no_batches(epoch: int) -> GraphError:
    return GraphValueError(
        f"Epoch {epoch + 1} had no batch.",
        expected="an iterable that can be read again for each epoch",
        fix="give a list or an object with __iter__, or steps_per_epoch with an endless generator",
    )
