"""Checkpoints in a directory: each is there wholly or not at all, and says itself whether it is intact."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxgraphs.training.checkpointing.parts import Part, load_pieces, save_pieces

_NAME = re.compile(r"epoch-(\d+)(?:-batch-(\d+))?")
_UNFINISHED = ".unfinished-"
_MANIFEST = "manifest.json"
_ARRAYS = "arrays"
# Bytes on the disk for an array beside its own: its name, shape and sums, in blocks.
_BESIDE = 4096
_PIECES = ".safetensors"
_DONE = ".done-"
_FAILED = ".failed-"
# Seconds: for all parts of a checkpoint to come, the same once the run has ended, and between two looks.
_PATIENCE, _GRACE, _PAUSE = 600.0, 3.0, 0.01


class Damaged(Exception):
    """A checkpoint that is not what was written; the text says in what."""


class Store:
    """The checkpoints of one run.

    A checkpoint is a directory: Orbax' files of the arrays, JSON texts, and a manifest with each file's length and
    SHA-256. It is written under another name, brought to the disk, and then renamed: that is the commit. Where several
    processes write, each has a file of its pieces of the arrays in the place of Orbax' files.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.is_closing = threading.Event()

    def names(self) -> list[str]:
        """All checkpoints that are there, the oldest first."""
        if not self.directory.is_dir():
            return []
        found = {path.name: _NAME.fullmatch(path.name) for path in self.directory.iterdir() if path.is_dir()}
        # By number: a name has more digits from epoch 100,000 on.
        places = {name: tuple(int(part or 0) for part in match.groups()) for name, match in found.items() if match}
        return sorted(places, key=places.__getitem__)

    def write(self, name: str, arrays: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> None:
        """Adds one checkpoint, or leaves everything as it was."""
        place = self.directory / (_UNFINISHED + name)
        shutil.rmtree(place, ignore_errors=True)
        try:
            place.mkdir(parents=True)
            _save_arrays(place / _ARRAYS, arrays)
            for file, text in texts.items():
                (place / file).write_text(text, "utf-8")
            (place / _MANIFEST).write_text(_signed(_digests(place)), "utf-8")
            self._commit(place, name)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise

    def write_part(self, name: str, part: Part, parts: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> None:
        """Adds this process's part of a checkpoint that several write; the first process commits it, or nobody.

        Raises: OSError when a part could not be written, or did not come.
        """
        place = self.directory / f"{_UNFINISHED}{name}-{part.attempt}"
        try:
            place.mkdir(parents=True, exist_ok=True)
            save_pieces(place / f"{_ARRAYS}-{part.index}{_PIECES}", parts)
            for file, text in texts.items():
                (place / file).write_text(text, "utf-8")
            (place / f"{_DONE}{part.index}").touch()
        except BaseException:
            with contextlib.suppress(OSError):
                (place / f"{_FAILED}{part.index}").touch()
            raise
        if part.index == 0:
            self._commit_parts(place, name, part.count)

    def _commit_parts(self, place: Path, name: str, count: int) -> None:
        try:
            self._await(place, count)
            for path in place.glob(_DONE + "*"):
                path.unlink()
            (place / _MANIFEST).write_text(_signed(_digests(place)), "utf-8")
            self._commit(place, name)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise

    def _await(self, place: Path, count: int) -> None:
        """Waits for the other processes' parts; not for long where the run has ended."""
        until = time.monotonic() + _PATIENCE
        while len(list(place.glob(_DONE + "*"))) < count:
            failed = sorted(path.name.removeprefix(_FAILED) for path in place.glob(_FAILED + "*"))
            if failed:
                raise OSError(f"process {failed[0]} could not write its part")
            if self.is_closing.wait(_PAUSE):
                until = min(until, time.monotonic() + _GRACE)
                time.sleep(_PAUSE)
            if time.monotonic() > until:
                raise OSError("the parts of other processes did not come")

    def _commit(self, place: Path, name: str) -> None:
        _to_disk(place)
        self.remove(name)  # A damaged one may have this name.
        os.rename(place, self.directory / name)
        _sync(self.directory)

    def read(self, name: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Arrays and texts of an intact checkpoint.

        Raises: Damaged when anything is not as it was written.
        """
        place = self.directory / name
        try:
            self.check(name)
            texts = {path.name: path.read_text("utf-8") for path in place.glob("*.json")}
            parts = sorted(place.glob(f"{_ARRAYS}-*{_PIECES}"))
            return load_pieces(parts) if parts else _load_arrays(place / _ARRAYS), texts
        except Damaged:
            raise
        except OSError as error:
            raise Damaged(f"it cannot be read: {error.strerror or error}") from error
        except Exception as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise Damaged(f"its arrays cannot be read: {reason}") from error

    def text(self, name: str, file: str) -> str:
        """One text of a checkpoint, unchecked."""
        return (self.directory / name / file).read_text("utf-8")

    def check(self, name: str) -> None:
        """Raises: Damaged when a file is missing, or has another length or other bytes than were written."""
        place = self.directory / name
        expected = _manifest(place / _MANIFEST)
        for file, (size, digest) in expected.items():
            path = place / file
            if not path.is_file():
                raise Damaged(f"{file} is missing")
            if path.stat().st_size != size:
                raise Damaged(f"{file} has {path.stat().st_size} bytes of {size}")
            if _digest(path) != digest:
                raise Damaged(f"{file} has changed")

    def remove(self, name: str) -> None:
        """Takes one away, at once: a half-removed one would look damaged."""
        if (self.directory / name).exists():
            gone = self.directory / (_UNFINISHED + "removed-" + name)
            shutil.rmtree(gone, ignore_errors=True)
            os.rename(self.directory / name, gone)
            shutil.rmtree(gone, ignore_errors=True)

    def sweep(self) -> None:
        """Clears away what a killed process left unfinished; only for who has the directory's lock."""
        for path in self.directory.glob(_UNFINISHED + "*"):
            shutil.rmtree(path, ignore_errors=True)


def _save_arrays(place: Path, arrays: Mapping[str, np.ndarray]) -> None:
    import orbax.checkpoint as ocp

    # Orbax stores no empty arrays; their shapes and dtypes are in the record, which is all there is to them.
    tree = {name: np.asarray(array) for name, array in arrays.items() if array.size}
    _check_room(place.parent, tree)
    ocp.Checkpointer(ocp.PyTreeCheckpointHandler()).save(place.absolute(), tree)


def _check_room(folder: Path, tree: Mapping[str, np.ndarray]) -> None:
    """Raises: OSError where the disk is too full, before Orbax' many threads meet it and each says so."""
    needed = sum(array.nbytes + _BESIDE for array in tree.values())
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _load_arrays(place: Path) -> dict[str, np.ndarray]:
    import orbax.checkpoint as ocp

    restored: Any = ocp.Checkpointer(ocp.PyTreeCheckpointHandler()).restore(place.absolute())
    return {name: np.asarray(array) for name, array in restored.items()}


def _digests(place: Path) -> dict[str, list[Any]]:
    files = sorted(path for path in place.rglob("*") if path.is_file())
    return {path.relative_to(place).as_posix(): [path.stat().st_size, _digest(path)] for path in files}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _signed(files: Mapping[str, Any]) -> str:
    body = json.dumps(files)
    return json.dumps({"files": files, "sha256": hashlib.sha256(body.encode()).hexdigest()})


def _manifest(path: Path) -> dict[str, list[Any]]:
    try:
        read = json.loads(path.read_text("utf-8"))
        is_intact = hashlib.sha256(json.dumps(read["files"]).encode()).hexdigest() == read["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        is_intact, read = False, {}
    if not is_intact:
        raise Damaged(f"{_MANIFEST} is missing or has changed")
    return read["files"]


def _to_disk(place: Path) -> None:
    for path in (*place.rglob("*"), place):
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
