"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from jaxgraphs.errors import GraphValueError


def check_place(path: str | os.PathLike[str]) -> None:
    """Raises GraphValueError where a file could not be written at the end of a long job, before it begins."""
    place = Path(path)
    if place.is_dir() or not place.parent.is_dir() or not os.access(place.parent, os.W_OK):
        is_folder = place.is_dir()
        raise GraphValueError(
            f"{os.fspath(path)!r} cannot be written.",
            received="a folder of that name" if is_folder else f"no folder {os.fspath(place.parent)!r} to write to",
            fix="a name for the file in it" if is_folder else f"mkdir -p {place.parent}, or another path",
        )


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A place beside `path` to write to; what stands there takes its place at once when all went well.

    Nothing is left behind when something fails; the file system's own errors pass.
    """
    # Short, whatever the length of the name: a file system has a limit for one.
    beside = path.with_name(f".{uuid.uuid4().hex}{path.suffix[:20]}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], what: str = "The file") -> Iterator[Path]:
    """As `whole`, with an error of ours where the file system refuses.

    Args:
        path: where the file is wanted; its folder is there.
        what: is written, for the error.
    Raises: GraphValueError when the file system refuses; nothing is left behind then, nor after any other error.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "notes.txt")
    >>> with replacing(path) as beside:
    ...     _ = beside.write_text("whole")
    >>> path.read_text(), len(list(path.parent.iterdir()))
    ('whole', 1)
    """
    try:
        with whole(Path(path)) as beside:
            yield beside
    except OSError as error:
        raise GraphValueError(
            f"{what} cannot be written.",
            received=f"{os.fspath(path)!r}: {error.strerror}",
            expected="a folder that is there and can be written to",
        ) from error
