"""A `.keras` archive, read in memory: exactly the members expected, none of them unpacked."""

from __future__ import annotations

import io
import re
import stat
import zipfile
import zlib
from typing import Any, BinaryIO

from jaxgraphs.errors import GraphError, GraphValueError
from jaxgraphs.io.keras.limits import CONFIG_BYTES, EXPANSION, FLOOR_BYTES, MEMBERS, TOTAL_BYTES, refuse

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_ASSET = re.compile(r"assets(/[A-Za-z0-9_.\-]+)*/?")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_CHUNK = 2**20


class Archive:
    """The members of a `.keras` archive, each read once it has been found harmless.

    Args:
        file: the archive, open for reading.
    Raises: GraphError when it is no archive, or holds anything that Keras does not write there.
    """

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
            self._members = _checked(self._zip.infolist())
        except GraphError:
            raise
        except Exception as error:
            raise _broken(error) from error

    def text(self, name: str) -> bytes:
        """A JSON member."""
        return self._read(name, CONFIG_BYTES)

    def weights(self) -> io.BytesIO:
        """The HDF5 member, in memory."""
        return io.BytesIO(self._read(WEIGHTS, TOTAL_BYTES))

    def words(self, name: str) -> str | None:
        """A text below assets/, such as a vocabulary; None where there is none."""
        return self._read(name, CONFIG_BYTES).decode("utf-8", "replace") if name in self._members else None

    def _read(self, name: str, most: int) -> bytes:
        if name not in self._members:
            raise refuse(
                f"The archive has no {name}.", ", ".join(sorted(self._members)[:20]), f"{CONFIG} and {WEIGHTS}"
            )
        member = self._members[name]
        if member.file_size > min(most, max(FLOOR_BYTES, EXPANSION * member.compress_size)):
            raise refuse(
                f"{name} in the archive is too large.", f"{member.compress_size} bytes that become {member.file_size}"
            )
        try:
            with self._zip.open(member) as stream:
                return _exactly(stream, member.file_size)
        except GraphError:
            raise
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            ValueError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise _broken(error) from error


def _exactly(stream: Any, size: int) -> bytes:
    """The bytes of a member, refused as soon as there are more than it declares."""
    parts, count = [], 0
    while part := stream.read(_CHUNK):
        count += len(part)
        if count > size:
            raise refuse("A member of the archive is longer than it says.", f"over {size} bytes")
        parts.append(part)
    if count != size:
        raise refuse("A member of the archive is shorter than it says.", f"{count} of {size} bytes")
    return b"".join(parts)


def _checked(members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The members by name; anything that does not belong there is refused."""
    if len(members) > MEMBERS:
        raise refuse("The archive has too many members.", len(members), f"at most {MEMBERS}")
    problems = [f"{member.filename[:80]!r}: {problem}" for member in members if (problem := _problem(member))]
    names = [member.filename for member in members]
    problems += [f"{name[:80]!r}: twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if problems:
        raise refuse(
            "The archive has members that do not belong there.",
            "\n".join(problems[:8]),
            f"{CONFIG}, {METADATA}, {WEIGHTS}",
        )
    return {member.filename: member for member in members}


def _problem(member: zipfile.ZipInfo) -> str | None:
    mode = member.external_attr >> 16
    if member.filename != member.orig_filename or ".." in member.filename.split("/"):
        return "a path that leaves the archive"
    if member.filename not in (CONFIG, METADATA, WEIGHTS) and not _ASSET.fullmatch(member.filename):
        return "not a part of a Keras archive"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a link or a device"
    if member.flag_bits & 0x1:
        return "encrypted"
    if member.compress_type not in _METHODS:
        return f"compression method {member.compress_type}"
    return None


def _broken(error: Exception) -> GraphError:
    return GraphValueError(
        "The .keras archive cannot be read.",
        received=f"{type(error).__name__}: {error}"[:200],
        expected="a zip archive from Keras 3",
    )
