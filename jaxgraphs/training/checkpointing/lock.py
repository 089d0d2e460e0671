"""One run in one directory: the system releases the lock when its process ends, however it ends."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from pathlib import Path

from jaxgraphs.errors import GraphValueError

_NAME = ".lock"


class Lock:
    """Held from `Lock(directory)` to `release`.

    Raises: GraphValueError that names the process that has it; OSError where the directory cannot be written to.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / _NAME
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            self._take_over()
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)

    def release(self) -> None:
        """Lets the next one in."""
        os.close(self._handle)

    def _take_over(self) -> None:
        """A child that outlived a killed run still holds its lock: a new file takes the place of the old one."""
        holder = _holder(self.path)
        if holder.get("host") != socket.gethostname() or is_alive(holder.get("pid")):
            raise _taken(self.path.parent, holder)
        self.path.unlink(missing_ok=True)
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(path: Path) -> dict:
    """Who wrote the file; empty where that cannot be read."""
    try:
        found = json.loads(path.read_text("utf-8"))
        return {"pid": int(found["pid"]), "host": str(found["host"])}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def is_alive(pid: int | None) -> bool:
    """Whether a process of this machine is there; so is one whose number is not known.

    >>> is_alive(os.getpid())
    True
    """
    if pid is None:
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _taken(directory: Path, holder: dict) -> GraphValueError:
    who = f"process {holder['pid']} on {holder['host']}" if holder else "another process"
    return GraphValueError(
        "Another run saves its checkpoints in this directory.",
        where=str(directory),
        received=f"in use by {who}",
        fix="wait for it to end, or give this run a directory of its own: fit(..., resume=...)",
    )
