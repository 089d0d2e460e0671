"""The bAbI tasks: short stories with questions that need one or more of their facts.

Reference: Weston et al. (2015), Towards AI-Complete Question Answering: A Set of Prerequisite Toy Tasks,
arXiv:1502.05698.
"""

from __future__ import annotations

import dataclasses
import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from jaxgraphs.data.questions import Example, Questions, Stories, encode
from jaxgraphs.data.reading import Fault, OnError, Unreadable, has_bad_bytes, settle
from jaxgraphs.errors import GraphValueError

__all__ = ["Example", "Questions", "Stories", "encode", "load", "parse"]

_FOLDERS = {1_000: "en", 10_000: "en-10k"}
_FILE = re.compile(r"qa(\d+)_[\w-]+_(train|test)\.txt")
_ARCHIVES = (".tar", ".tgz", ".gz")
# The whole published set unpacks to less than half of this; a file that says more is not it.
_MOST_BYTES = 1 << 29


def load(
    path: str | Path, task: int = 1, size: int = 10_000, *, only_supporting: bool = False, on_error: OnError = "raise"
) -> Stories:
    """The stories of one task, from any form in which bAbI is found.

    Args:
        path: the directory that holds `en` and `en-10k` (or `tasks_1-20_v1-2` above them), one of these two itself,
            one `qaN_..._train.txt` beside its `_test.txt`, or the published tarball, which is read without unpacking.
        task: 1 to 20; not read when `path` is one file.
        size: training questions, 1_000 (`en`) or 10_000 (`en-10k`); not read when `path` holds the task's files itself.
        only_supporting: whether to keep only the sentences that each answer rests on.
        on_error: "raise" names every broken line, "skip" leaves out what depends on it and keeps `faults`.
    Returns: Stories, as text; `encode` makes arrays of them.
    Raises: GraphValueError when the files are not there, hold no question, or have broken lines.

    >>> load("stories/nowhere")
    Traceback (most recent call last):
    jaxgraphs.errors.GraphValueError: There are no bAbI stories here.
      where:    stories/nowhere
      received: nothing there
    """
    if size not in _FOLDERS:
        raise GraphValueError("bAbI has no such size.", received=str(size), expected="1_000 or 10_000")
    files = _find(Path(path), task, _FOLDERS[size])
    parts = {part: parse(data, name) for part, (name, data) in files.items()}
    faults = settle([fault for _, found in parts.values() for fault in found], on_error)
    name = files["train"][0].removesuffix("_train.txt")
    stories = Stories(name, tuple(parts["train"][0]), tuple(parts["test"][0]), faults)
    return stories.supported() if only_supporting else stories


def parse(data: bytes, source: str) -> tuple[list[Example], list[Fault]]:
    """The questions in one file's bytes, each with the story up to it, and the broken lines.

    A broken question costs itself; a broken sentence costs the later questions of its story, for their answers may
    rest on it.

    >>> parse(b"1 Mary is in the hall.\\n2 Where is Mary?\\thall\\t1\\n", "told")[0]
    [Example(story=('Mary is in the hall.',), question='Where is Mary?', answer='hall', supporting=(0,))]
    """
    examples: list[Example] = []
    faults: list[Fault] = []
    story = _Story()
    for number, line in enumerate(data.decode("utf-8-sig", "surrogateescape").split("\n"), start=1):
        if not line.strip():
            continue
        if re.match(r"1\s", line):
            story = _Story()
        if story.lost:
            continue
        try:
            examples.extend(story.read(line))
        except Unreadable as reason:
            story.lost = "\t" not in line
            faults.append(Fault(source, number, str(reason)))
    return examples, faults


@dataclasses.dataclass
class _Story:
    """A story while its lines are read."""

    sentences: list[str] = dataclasses.field(default_factory=list)
    places: dict[str, int] = dataclasses.field(default_factory=dict)  # the number of a line -> its index in sentences
    lines: int = 0
    lost: bool = False  # a sentence could not be read

    def read(self, line: str) -> list[Example]:
        """Takes one line in; a question comes out as an example."""
        self.lines += 1
        if has_bad_bytes(line):
            raise Unreadable("has bytes that are not UTF-8")
        number, _, text = line.strip().partition(" ")
        if number != str(self.lines):
            raise Unreadable(f"begins with {number[:20]!r} where its story's line number {self.lines} is due")
        if "\t" in line:
            return [self._question(text.split("\t"))]
        if not text.strip():
            raise Unreadable("has no sentence")
        self.places[number] = len(self.sentences)
        self.sentences.append(text.strip())
        return []

    def _question(self, fields: list[str]) -> Example:
        fields = [field.strip() for field in fields]
        if len(fields) not in (2, 3) or not all(fields[:2]):
            raise Unreadable("is not a question, its answer and its supporting lines, with tabs between")
        question, answer = fields[:2]
        numbers = " ".join(fields[2:]).split()
        unknown = [number for number in numbers if number not in self.places]
        if unknown:
            raise Unreadable(f"rests on line {unknown[0][:20]}, which is no earlier sentence of its story")
        return Example(tuple(self.sentences), question, answer, tuple(self.places[number] for number in numbers))


def _find(path: Path, task: int, folder: str) -> dict[str, tuple[str, bytes]]:
    """The name and bytes of the training file and of the test file."""
    if named := _FILE.fullmatch(path.name):
        task = int(named[1])
    if path.is_dir():
        files = _in_directory(path, task, folder)
    elif path.is_file():
        files = _in_archive(path, task, folder) if path.suffix in _ARCHIVES else _beside(path)
    else:
        raise GraphValueError("There are no bAbI stories here.", where=str(path), received="nothing there")
    found = {match[2]: (name, data) for name, data in files if (match := _FILE.fullmatch(name))}
    missing = {"train", "test"} - set(found)
    if missing:
        raise GraphValueError(
            f"Task {task} of bAbI is not all here.",
            where=f"{path} ({folder})",
            received=", ".join(name for name, _ in found.values()) or "no file of this task",
            expected=" and ".join(f"qa{task}_..._{part}.txt" for part in sorted(missing)),
            fix="choose a task and a size (1_000 is en, 10_000 is en-10k) that are there",
        )
    return found


def _in_directory(path: Path, task: int, folder: str) -> Iterator[tuple[str, bytes]]:
    for place in (path, path / folder, path / "tasks_1-20_v1-2" / folder):
        for file in sorted(place.glob(f"qa{task}_*.txt")):
            yield file.name, _bounded(file)


def _beside(path: Path) -> Iterator[tuple[str, bytes]]:
    stem = re.sub(r"_(train|test)\.txt$", "", path.name)
    for file in (path.with_name(f"{stem}_train.txt"), path.with_name(f"{stem}_test.txt")):
        if file.is_file():
            yield file.name, _bounded(file)


def _bounded(file: Path) -> bytes:
    if file.stat().st_size > _MOST_BYTES:
        raise GraphValueError("This file is too large to be bAbI.", where=str(file), expected=f"{_MOST_BYTES} bytes")
    return file.read_bytes()


def _in_archive(path: Path, task: int, folder: str) -> Iterator[tuple[str, bytes]]:
    wanted = re.compile(rf"(?:.*/)?{re.escape(folder)}/(qa{task}_[\w-]+_(?:train|test)\.txt)")
    opened: Any = Path.open if path.suffix == ".tar" else gzip.open
    try:
        with opened(path, "rb") as stream, tarfile.open(fileobj=_Capped(stream, path), mode="r|") as archive:
            for member in archive:
                match = wanted.fullmatch(member.name)
                if match and member.isfile() and (held := archive.extractfile(member)):
                    yield match[1], held.read()
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise GraphValueError(
            "This archive cannot be read.", where=str(path), received=str(error), expected="a whole .tar or .tar.gz"
        ) from error


class _Capped(io.RawIOBase):
    """A stream that ends in an error once it has given more bytes than bAbI can have: no archive fills the memory."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        super().__init__()
        self._stream, self._path, self._left = stream, path, _MOST_BYTES

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise GraphValueError(
                "This archive unpacks to more than bAbI holds.", where=str(self._path), expected=f"{_MOST_BYTES} bytes"
            )
        return data
