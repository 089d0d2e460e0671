"""Checkpoints in a directory: each is there wholly or not at all, and says itself whether it is intact."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_PREFIX = "epoch-"
_UNFINISHED = ".unfinished-"
_MANIFEST = "manifest.json"
_ARRAYS = "arrays"


class Damaged(Exception):
    """A checkpoint that is not what was written; the text says in what."""


class Store:
    """The checkpoints of one run.

    A checkpoint is a directory: Orbax' files of the arrays, JSON texts, and a manifest with each file's length and
    SHA-256. It is written under another name, brought to the disk, and then renamed: that is the commit.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def names(self) -> list[str]:
        """All checkpoints that are there, the oldest first."""
        if not self.directory.is_dir():
            return []
        return sorted(path.name for path in self.directory.iterdir() if path.name.startswith(_PREFIX) and path.is_dir())

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
            _to_disk(place)
            self.remove(name)  # A damaged one may have this name.
            os.rename(place, self.directory / name)
            _sync(self.directory)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise

    def read(self, name: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Arrays and texts of an intact checkpoint.

        Raises: Damaged when anything is not as it was written.
        """
        place = self.directory / name
        self.check(name)
        texts = {path.name: path.read_text("utf-8") for path in place.glob("*.json")}
        try:
            return _load_arrays(place / _ARRAYS), texts
        except Exception as error:
            raise Damaged(f"its arrays cannot be read: {str(error).splitlines()[0]}") from error

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
    ocp.Checkpointer(ocp.PyTreeCheckpointHandler()).save(place.absolute(), tree)


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
