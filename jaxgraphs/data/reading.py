"""What every reader shares: broken rows named by line, files that must be there, packages imported late."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from jaxgraphs.errors import GraphTypeError, GraphValueError, did_you_mean

OnError = Literal["raise", "skip"]
_SHOWN = 10
# A file is decoded with "surrogateescape", so that one bad byte costs one row and not the file.
_ESCAPED_BYTES = re.compile("[\udc80-\udcff]")


@dataclasses.dataclass(frozen=True)
class Fault:
    """One broken row: the file, its line (from 1) and why it cannot be used.

    >>> print(Fault("titles.csv", 12, "rating is missing"))
    titles.csv, line 12: rating is missing
    """

    source: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.source}, line {self.line}: {self.reason}"


class Unreadable(Exception):
    """Raised inside a reader for one row or cell; the reader turns it into a `Fault` with its line."""


def settle(faults: Sequence[Fault], on_error: OnError) -> tuple[Fault, ...]:
    """The faults, sorted by line, once the caller's choice about them is honoured.

    Args:
        faults: every broken row that a reader met.
        on_error: "raise" refuses the file and names its broken lines; "skip" leaves those rows out.
    Returns: the faults, for the caller to keep beside the rows that were read.
    Raises: GraphValueError for another `on_error`, or when it is "raise" and there are faults.

    >>> settle([Fault("a.csv", 3, "has 1 field, the header has 2")], "skip")[0].line
    3
    """
    if on_error not in ("raise", "skip"):
        raise GraphValueError(f"on_error={on_error!r} is not known.", expected='"raise" or "skip"')
    ordered = tuple(sorted(faults, key=lambda fault: (fault.source, fault.line)))
    if ordered and on_error == "raise":
        raise GraphValueError(
            f"{len(ordered)} broken row{'s' if len(ordered) > 1 else ''}.",
            received=_listed(ordered),
            fix='mend the lines, or leave them out with on_error="skip"',
        )
    return ordered


def require_file(path: str | Path) -> Path:
    """`path` as a Path, once it is sure to be a file.

    Raises: GraphValueError when nothing, or a directory, is there.
    """
    found = Path(path)
    if not found.is_file():
        raise GraphValueError(
            "There is no file to read.", where=str(path), received="a directory" if found.is_dir() else "nothing there"
        )
    return found


def has_bad_bytes(text: str) -> bool:
    """Whether `text`, decoded with "surrogateescape", held bytes that are not UTF-8."""
    return _ESCAPED_BYTES.search(text) is not None


def require_package(module: str, package: str) -> ModuleType:
    """Imports `module` now; a package that only some readers need is never imported before.

    Raises: GraphValueError with the command that installs `package`, when it is not there.

    >>> require_package("json", "json").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise GraphValueError(
            f"This reader needs the package {package}.",
            received=str(error),
            fix=f"python3 -m pip install {package}   (or: python3 -m pip install 'jaxgraphs[data]')",
        ) from error


def load_json(text: str, what: str, keys: Sequence[str]) -> dict[str, Any]:
    """The JSON object in `text`, sure to have `keys`.

    Raises: GraphValueError when `text` is not JSON, not an object, or lacks a key.

    >>> load_json('{"words": []}', "a vocabulary", ["words"])
    {'words': []}
    """
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GraphValueError(f"This is not the JSON of {what}.", received=str(error)) from error
    missing = [key for key in keys if not isinstance(record, dict) or key not in record]
    if missing:
        raise GraphValueError(f"This is not the JSON of {what}.", expected=f"an object with {', '.join(keys)}")
    return record


def require_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raises GraphValueError, with the nearest known name, unless `value` is one of `choices`."""
    if not isinstance(value, str):
        raise GraphTypeError(f"{name} must be a string.", received=repr(value), expected=", ".join(choices))
    if value not in choices:
        raise GraphValueError(f"{name}={value!r} is not known.", fix=f"did you mean {did_you_mean(value, choices)}")


def _listed(faults: Sequence[Fault]) -> str:
    more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
    return "\n".join([*map(str, faults[:_SHOWN]), *more])
