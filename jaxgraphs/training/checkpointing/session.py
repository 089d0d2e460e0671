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
from jaxgraphs.training.checkpoint import Checkpoints
from jaxgraphs.training.checkpointing.lock import Lock
from jaxgraphs.training.checkpointing.policy import Kept, to_remove
from jaxgraphs.training.checkpointing.snapshot import (
    Snapshot,
    array_differences,
    decode,
    encode,
    json_differences,
    refuse,
)
from jaxgraphs.training.checkpointing.store import Damaged, Store

PyTree = Any


class Halted(Exception):
    """Ends the training between two steps because a checkpoint could not be written."""


def open_session(resume: Any, trainer: Any, feed: Any) -> Session:
    """What `fit(resume=...)` asks for.

    Raises: GraphError when the data cannot be read again, or another run has the directory.
    """
    feed.check_resumable()
    config = resume if isinstance(resume, Checkpoints) else Checkpoints(resume)
    return Session(config, {"graph": _graph(trainer.graph), "optimizer": trainer.optimizer_name}, feed.describe())


class Session:
    """One run's hold on its directory, from its first step to its last.

    Args:
        config: what the user asked for.
        about: what a checkpoint must share with this run: graph and optimizer.
        data: what it must share to go on within an epoch.
    """

    def __init__(self, config: Checkpoints, about: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self.config, self.about, self.data = config, dict(about), dict(data)
        self.store = Store(Path(config.directory))
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None
        self._last = ""
        self._kept: list[Kept] = []
        self._lock = self._locked()

    def restore(self, state: PyTree, sums: PyTree) -> Snapshot | None:
        """The newest intact checkpoint, laid out as `state` and `sums`; None where there is none.

        Raises: GraphError when it is another run's.
        """
        names = self.store.names()
        for name in reversed(self.store.names()):
            try:
                arrays, texts = self.store.read(name)
            except Damaged as damage:
                names.remove(name)
                before = f"The one before, {names[-1]}, is tried." if names else "There is none before: a fresh start."
                warnings.warn(f"The checkpoint {name} is damaged: {damage}. {before}", stacklevel=2)
                continue
            self._last = name
            self._kept = [self._read_kept(other) for other in names]
            return self._decoded(name, arrays, json.loads(texts["run.json"]), state, sums)
        return None

    def is_due(self, epoch: int, steps: int, *, is_epoch: bool) -> bool:
        """Whether to save now: after an epoch, or after a step of one."""
        config = self.config
        if is_epoch:
            return config.every_epochs is not None and epoch % config.every_epochs == 0
        return config.every_steps is not None and steps % config.every_steps == 0

    def save(self, snapshot: Snapshot, numbers: Mapping[str, float] | None, *, is_last: bool) -> None:
        """Writes beside the training; the one before is waited for. The last one is waited for too."""
        if self._lock is None or snapshot.name == self._last:
            self._wait(is_last)
            return
        self._wait(True)
        arrays, record = encode(snapshot)
        kept = Kept(snapshot.name, snapshot.epoch, not snapshot.batch, self._score(numbers))
        record |= {"about": self.about, "feed": self.data, "score": kept.score}
        self._last = snapshot.name
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
        self._last = ""
        self._fail(f"A checkpoint could not be written: {_reason(error)}", error)

    def close(self) -> None:
        """Waits for what is being written and lets the directory go."""
        self._writer.shutdown(wait=True)
        if self._lock is not None:
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

    def _decoded(self, name: str, arrays: dict[str, np.ndarray], record: Any, state: PyTree, sums: PyTree) -> Snapshot:
        place = str(self.store.directory / name)
        differences = json_differences(record["about"], self.about) + array_differences(record, state, sums)
        if record["batch"]:
            differences += json_differences(record["feed"], self.data, "data")
        refuse(differences, place)
        for path, (shape, dtype) in record["arrays"].items():
            arrays[path] = arrays.get(path, np.zeros(shape, dtype)).reshape(shape)
        return decode(arrays, record, state, sums)

    def _write(self, kept: Kept, arrays: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        on_host = {name: np.asarray(array) for name, array in arrays.items()}
        self.store.write(kept.name, on_host, {"run.json": json.dumps(record)})
        self._kept = [other for other in self._kept if other.name != kept.name] + [kept]
        for name in to_remove(self._kept, self.config):
            self.store.remove(name)
            self._kept = [other for other in self._kept if other.name != name]

    def _wait(self, is_wanted: bool) -> None:
        if is_wanted and self._pending is not None:
            self._pending.exception()
            self.check()

    def _fail(self, text: str, error: BaseException) -> None:
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


def _graph(graph: Any) -> Any:
    """The graph's description; None where it holds functions that no text can name."""
    try:
        return json.loads(graph.to_json())
    except GraphError:
        return None


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    # What writes the arrays says the system's reason at the end of a long text.
    code = re.search(r"os_error_code='(\d+)'", str(error))
    if code:
        return os.strerror(int(code[1]))
    return (str(error).strip() or type(error).__name__).splitlines()[0]
