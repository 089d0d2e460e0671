"""Event files, as TensorBoard reads them, written record by record with tensorboardX; no TensorFlow.

A run that goes on from a checkpoint must not show a step twice. Each event file only ever grows, so the checkpoint
remembers how long each was, and what was written later is cut off before the run writes it again.
"""

from __future__ import annotations

import importlib
import socket
import time
import uuid
import weakref
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jaxgraphs.errors import GraphError
from jaxgraphs.training.callbacks.files import told, write_whole

SUFFIX = ".jaxgraphs"


def tensorboardx(module: str) -> Any:
    """A module of tensorboardX, imported when it is needed.

    Raises: GraphError when it is not installed.
    """
    try:
        return importlib.import_module(f"tensorboardX.{module}")
    except ImportError as error:
        raise GraphError(
            "TensorBoard logs are written with tensorboardX.",
            received=str(error),
            fix="pip install 'jaxgraphs[tensorboard]'",
        ) from error


class Events:
    """The event files of one run in one directory tree: ``train``, ``validation``, and the root as ``"."``.

    Args:
        directory: as given to ``tensorboard --logdir``.
        run: marks the run's own files; None makes a new mark.
    """

    def __init__(self, directory: Path, run: str | None = None) -> None:
        self.directory, self.run = directory, run or uuid.uuid4().hex[:12]
        self._open: dict[str, Any] = {}
        # A run that fails closes its files too.
        self._finalizer = weakref.finalize(self, _close_all, self._open)
        self._protos = tensorboardx("proto.event_pb2")
        self._records = tensorboardx("record_writer")

    def summary(self, where: str, step: int, *values: Any) -> None:
        """Writes values of one step: `Summary.Value` messages."""
        message = tensorboardx("proto.summary_pb2").Summary(value=values)
        self.event(where, step=step, summary=message)

    def event(self, where: str, **fields: Any) -> None:
        """Writes one event to the files of `where`, which is a path in the directory."""
        self._write(where, self._protos.Event(wall_time=time.time(), **fields))

    def flush(self) -> None:
        """Brings to the disk what was written."""
        with told("The TensorBoard log cannot be written.", self.directory):
            for writer in self._open.values():
                writer.flush()

    def close(self) -> None:
        """Closes the files; another event opens new ones."""
        self.flush()
        _close_all(self._open)

    def sizes(self) -> dict[str, int]:
        """The length of each file of the run, by its path in the directory."""
        self.flush()
        return {path.relative_to(self.directory).as_posix(): path.stat().st_size for path in self._files()}

    def cut_to(self, sizes: Mapping[str, int]) -> None:
        """Takes off what this run has written since it had these sizes, so that it can be written again."""
        with told("The TensorBoard log cannot be written.", self.directory):
            for path in self._files():
                known = sizes.get(path.relative_to(self.directory).as_posix())
                if known is None:
                    path.unlink()
                else:
                    # A new file of that name: what a run that failed has not written yet goes to the old one.
                    write_whole(path, partial(_copy_start, path, int(known)))

    def _files(self) -> Iterator[Path]:
        return iter(sorted(self.directory.glob(f"**/events.out.tfevents.*.{self.run}.*{SUFFIX}")))

    def _write(self, where: str, event: Any) -> None:
        with told("The TensorBoard log cannot be written.", self.directory / where):
            if where not in self._open:
                self._open[where] = self._records.RecordWriter(str(self._new_file(self.directory / where)))
                first = self._protos.Event(wall_time=time.time(), file_version="brain.Event:2")
                self._open[where].write(first.SerializeToString())
            self._open[where].write(event.SerializeToString())

    def _new_file(self, folder: Path) -> Path:
        """A name that sorts after all before it, for TensorBoard reads a directory's files in that order."""
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time_ns()
        return folder / f"events.out.tfevents.{now // 10**9}.{socket.gethostname()}.{self.run}.{now:020d}{SUFFIX}"


def _copy_start(path: Path, size: int, beside: Path) -> None:
    with path.open("rb") as file:
        beside.write_bytes(file.read(size))


def _close_all(writers: dict[str, Any]) -> None:
    for writer in writers.values():
        writer.close()
    writers.clear()
