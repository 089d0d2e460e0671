"""Files that callbacks write: whole or not at all, and never longer than a checkpoint knows."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from jaxgraphs.errors import GraphError
from jaxgraphs.training.checkpointing.lock import is_alive


@contextlib.contextmanager
def told(what: str, path: Path) -> Iterator[None]:
    """Within, a failure of the file system becomes a GraphError that names the file."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise GraphError(what, received=f"{path}: {reason}", fix="give a path that can be written to") from error


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file beside its place and then puts it there, so that nobody ever sees a part of it.

    Args:
        path: the place; folders on the way are made.
        write: writes the file to the path it is given, which has the same name, in a folder of its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    beside = path.with_name(f".{os.getpid()}-{path.name}")
    beside.mkdir(exist_ok=True)
    try:
        write(beside / path.name)
        os.replace(beside / path.name, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def cut(path: Path, size: int) -> None:
    """Takes off what was written after a file had `size` bytes; a shorter file stays as it is."""
    if path.exists() and path.stat().st_size > size:
        os.truncate(path, size)


def _sweep(path: Path) -> None:
    """Clears away what processes that were killed left beside a file."""
    for left in path.parent.glob(f".*-{glob.escape(path.name)}"):
        number = left.name[1 : -len(path.name) - 1]
        if number.isdigit() and not is_alive(int(number)):
            shutil.rmtree(left, ignore_errors=True)
