"""A run and its checkpoints: found at the start, written beside the training, kept by policy."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from jaxgraphs.errors import GraphError, GraphValueError
from jaxgraphs.training.callbacks.monitor import direction_in
from jaxgraphs.training.checkpoint import Checkpoints
from jaxgraphs.training.checkpointing.identity import identity_differences, identity_of
from jaxgraphs.training.checkpointing.lock import Lock
from jaxgraphs.training.checkpointing.parts import Part, pieces
from jaxgraphs.training.checkpointing.policy import Kept, to_remove
from jaxgraphs.training.checkpointing.snapshot import (
    Snapshot,
    array_differences,
    decode,
    encode,
    json_differences,
    name_of,
    place_of,
    refuse,
)
from jaxgraphs.training.checkpointing.store import Damaged, Store
from jaxgraphs.training.processes import Peers

PyTree = Any
_FORMAT = 1
_DATA = "data-"


class Halted(Exception):
    """Ends the training between two steps because a checkpoint could not be written."""


def open_session(resume: Any, trainer: Any, feed: Any) -> Session:
    """What `fit(resume=...)` asks for.

    Raises: GraphError when the data cannot be read again, another run has the directory, or it is not known what the
        best checkpoints are.
    """
    feed.check_resumable()
    config = resume if isinstance(resume, Checkpoints) else Checkpoints(resume)
    direction = direction_in(trainer.objective, config.monitor) if config.mode == "auto" else config.mode
    if config.keep_best and direction is None:
        raise GraphValueError(
            f"Checkpoints cannot tell whether '{config.monitor}' should rise or fall.",
            received="mode='auto'",
            fix="mode='max' or mode='min'",
        )
    return Session(config, identity_of(trainer), feed.describe(), direction, trainer.peers)


class Session:
    """One run's hold on its directory, from its first step to its last.

    Args:
        config: what the user asked for.
        about: what a checkpoint must share with this run: graph and optimizer.
        data: what it must share to go on within an epoch.
        direction: whether the best checkpoints are those of the "min" or the "max".
        peers: the processes that train together; the first one has the lock, and finds what to go on from.
    """

    def __init__(
        self,
        config: Checkpoints,
        about: Mapping[str, Any],
        data: Mapping[str, Any],
        direction: str | None = "min",
        peers: Peers | None = None,
    ) -> None:
        self.peers, self._is_first, self._attempt, self.trouble = peers, peers is None or peers.index == 0, 0, ""
        self.config, self.about, self.data, self.direction = config, dict(about), dict(data), direction
        self.store = Store(Path(config.directory))
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None
        self._last = self._first = ""
        self._kept: list[Kept] = []
        self._lock = self._agreed_lock()

    def restore(self, state: PyTree, sums: PyTree) -> Snapshot | None:
        """The newest intact checkpoint, laid out as `state` and `sums`; None where there is none.

        Raises: GraphError when it is another run's.
        """
        name, arrays, texts = self._found()
        if not name:
            return None
        record = json.loads(texts["run.json"])
        differences = self._differences(record, state, sums)
        if differences and not record.get("steps"):
            warnings.warn(f"A run that had made no step is given up: {differences[0]}.", stacklevel=2)
            return None
        refuse(differences, str(self.store.directory / name))
        if self.peers is not None and (own := texts.get(f"{_DATA}{self.peers.index}.json")):
            record["data"] = json.loads(own)
        names = self.store.names()
        self._last, self._first = name, "" if record["steps"] else name
        self._kept = [self._read_kept(other) for other in names[: names.index(name) + 1]]
        for path, (shape, dtype) in record["arrays"].items():
            arrays[path] = arrays.get(path, np.zeros(shape, dtype)).reshape(shape)
        return decode(arrays, record, state, sums)

    def is_due(self, epoch: int, steps: int, made: int, *, is_epoch: bool) -> bool:
        """Whether to save now: after an epoch, or after the last `made` of `steps` steps."""
        config = self.config
        if is_epoch:
            return config.every_epochs is not None and epoch % config.every_epochs == 0
        every = config.every_steps
        return every is not None and steps // every > (steps - made) // every

    def save(self, snapshot: Snapshot, numbers: Mapping[str, float] | None, *, is_last: bool) -> None:
        """Writes beside the training; the one before is waited for. The last one is waited for too."""
        if self._lock is None or snapshot.name == self._last:
            self._wait(is_last)
            return
        self._wait(True)
        arrays, record = encode(snapshot)
        self._last, self._first = snapshot.name, self._first if snapshot.steps else snapshot.name
        self._attempt += 1
        kept = Kept(snapshot.name, snapshot.epoch, not snapshot.batch, self._score(numbers))
        record |= {"format": _FORMAT, "about": self.about, "feed": self.data, "score": kept.score}
        self._pending = self._writer.submit(self._write, kept, arrays, record)
        self._wait(is_last or not self.config.asynchronous)

    def check(self, *, is_last: bool = False) -> None:
        """Acts on a checkpoint that could not be written.

        Raises: GraphError or Halted, as the user chose.
        """
        if self._pending is None or not (self._pending.done() or is_last):
            return
        error, self._pending = self._pending.exception(), None
        if error is None:
            return
        self._last = "" if self.peers is None else self._last
        self._fail(f"A checkpoint could not be written: {_reason(error)}", error)

    def close(self, *, forgotten: bool = False) -> None:
        """Waits for what is being written and lets the directory go.

        Args:
            forgotten: whether the run ended by an error before its first step: then nothing of it stays.
        """
        self.store.is_closing.set()
        self._writer.shutdown(wait=True)
        if self._lock is None:
            return
        if forgotten and self._is_first and [one.name for one in self._kept] == [self._first]:
            self.store.remove(self._first)
        self._lock.release()
        self._lock = None

    def _locked(self) -> Lock | None:
        directory = self.store.directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = Lock(directory)
        except OSError as error:
            text = f"Checkpoints cannot be written to {directory}: {_reason(error)}"
            if self.config.on_error != "warn":
                raise GraphError(text, fix='another directory, or Checkpoints(..., on_error="warn")') from error
            warnings.warn(text + ". The run goes on without.", stacklevel=2)
            return None
        self.store.sweep()
        return lock

    def _agreed_lock(self) -> Any:
        """The lock; a process that is not the first goes by what the first one got."""
        if self.peers is None:
            return self._locked()
        lock, problem = None, None
        try:
            lock = self._locked() if self._is_first else None
        except GraphError as error:
            problem = error
        self.peers.agree(problem)
        has_lock = bool(self.peers.exchange(int(lock is not None))[0, 0])
        return lock or (_Followed() if has_lock else None)

    def _found(self) -> tuple[str, dict[str, np.ndarray], dict[str, str]]:
        """The checkpoint that all processes go on from: the first process' choice; no name where there is none."""
        found = self._newest() if self._is_first else None
        if self.peers is None:
            return found or ("", {}, {})
        epoch, batch = self.peers.exchange(*(place_of(found[0]) if found else (-1, -1)))[0].tolist()
        if epoch < 0:
            return "", {}, {}
        name, problem = name_of(epoch, batch), None
        try:
            found = found or (name, *self.store.read(name))
        except Damaged as damage:
            problem = self._not_shared(name, damage)
        self.peers.agree(problem)
        assert found is not None
        return found

    def _newest(self) -> tuple[str, dict[str, np.ndarray], dict[str, str]] | None:
        """The name, the arrays and the texts of the newest checkpoint that is as it was written."""
        names = self.store.names()
        while names:
            name = names.pop()
            try:
                return name, *self.store.read(name)
            except Damaged as damage:
                before = f"The one before, {names[-1]}, is tried." if names else "There is none before: a fresh start."
                warnings.warn(f"The checkpoint {name} is damaged: {damage}. {before}", stacklevel=2)
        return None

    def _not_shared(self, name: str, damage: Damaged) -> GraphError:
        return GraphError(
            f"The checkpoint {name} cannot be read by every process.",
            where=str(self.store.directory),
            received=str(damage),
            fix="a directory that all processes share",
        )

    def _differences(self, record: Mapping[str, Any], state: PyTree, sums: PyTree) -> list[str]:
        """Where a checkpoint is not of this run."""
        if record.get("format") != _FORMAT:
            return [f"format: {record.get('format')} in the checkpoint, {_FORMAT} in this version"]
        found = identity_differences(record["about"], self.about) + array_differences(record, state, sums)
        return found + (json_differences(record["feed"], self.data, "data") if record["batch"] else [])

    def _write(self, kept: Kept, arrays: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        if self.peers is None:
            on_host = {name: np.asarray(array) for name, array in arrays.items()}
            self.store.write(kept.name, on_host, {"run.json": json.dumps(record)})
        else:
            part = Part(self.peers.index, self.peers.count, self._attempt)
            texts = {f"{_DATA}{part.index}.json": json.dumps(record["data"])}
            texts |= {"run.json": json.dumps(record)} if self._is_first else {}
            self.store.write_part(kept.name, part, pieces(arrays, is_first=self._is_first), texts)
        if self._is_first:
            self._tidy(kept)

    def _tidy(self, kept: Kept) -> None:
        self._kept = [other for other in self._kept if other.name != kept.name] + [kept]
        for name in to_remove(self._kept, self.config, self.direction):
            self.store.remove(name)
            self._kept = [other for other in self._kept if other.name != name]

    def _wait(self, is_wanted: bool) -> None:
        if is_wanted and self._pending is not None:
            self._pending.exception()
            self.check()

    def fail(self) -> None:
        """Ends a run of several processes in each of them, for what one of them could not write.

        Raises: GraphError or Halted, as the user chose.
        """
        text = self.trouble or "A checkpoint could not be written by another process"
        if self.config.on_error == "raise":
            raise GraphError(text, where=str(self.store.directory))
        raise Halted(text)

    def _fail(self, text: str, error: BaseException) -> None:
        if self.peers is not None and self.config.on_error != "warn":
            # All end together, at the next place where they agree.
            self.trouble = text
            return
        if self.config.on_error == "raise":
            raise GraphError(text, where=str(self.store.directory)) from error
        if self.config.on_error == "stop":
            raise Halted(text)
        warnings.warn(f"{text}. The run goes on.", stacklevel=2)

    def _score(self, numbers: Mapping[str, float] | None) -> float | None:
        value = None if numbers is None else numbers.get(self.config.monitor)
        if numbers is not None and value is None and self.config.keep_best:
            raise GraphValueError(
                "`keep_best` watches a name that is not in the logs.",
                received=repr(self.config.monitor),
                expected=f"one of {list(numbers)}",
            )
        return value

    def _read_kept(self, name: str) -> Kept:
        try:
            record = json.loads(self.store.text(name, "run.json"))
            return Kept(name, record["epoch"], not record["batch"], record["score"])
        except (OSError, ValueError, KeyError):
            return Kept(name, -1, False, None)


class _Followed:
    """The lock that the first process has."""

    def release(self) -> None:
        """Nothing to let go."""


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    # What writes the arrays says the system's reason at the end of a long text.
    code = re.search(r"os_error_code='(\d+)'", str(error))
    if code:
        return os.strerror(int(code[1]))
    return (str(error).strip() or type(error).__name__).splitlines()[0]
