"""The epochs' numbers as rows of a CSV file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxgraphs.training.callbacks.base import Run
from jaxgraphs.training.callbacks.files import cut, told
from jaxgraphs.training.callbacks.memory import Remembering


class CSVLogger(Remembering):
    """Writes one row an epoch: its number from 0, then the logs by name; "NA" where an epoch lacks one.

    A run that goes on from a checkpoint cuts off the rows written after it, and writes them again.

    Args:
        filename: of the file.
        separator: between columns.
        append: whether rows are added to a file that is there, rather than replacing it.
    Raises: GraphError when the file cannot be written.

    >>> logger = CSVLogger("run/log.csv", append=True)
    """

    fields = ("keys", "size")
    is_for_people = True

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        self.path, self.separator, self.append = Path(filename), separator, append
        super().__init__()

    def forget(self) -> None:
        """Sets what is remembered as it is before a run."""
        self.keys: list[str] | None = None
        self.size: int | None = None

    def on_train_begin(self, run: Run) -> None:
        """Empties the file, or brings it to where the checkpoint left it."""
        super().on_train_begin(run)
        with told("The CSV log cannot be written.", self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.size is not None:
                cut(self.path, self.size)
            self.path.open("ab" if self.append or self.size is not None else "wb").close()
            self.size = self.path.stat().st_size

    def on_epoch_end(self, run: Run) -> None:
        """Writes the row, in one go."""
        if self.keys is None:
            self.keys = _columns(run.logs)
        with told("The CSV log cannot be written.", self.path), self.path.open("ab") as file:
            rows: list[list[Any]] = [] if file.tell() else [["epoch", *self.keys]]
            rows.append([run.epoch, *(_cell(run.logs.get(key, "NA")) for key in self.keys)])
            file.write(_lines(rows, self.separator))
            self.size = file.tell()


def _columns(logs: Mapping[str, Any]) -> list[str]:
    """The names in order; those of the validation too, where it only begins later."""
    names = sorted(logs)
    return names if any(name.startswith("val_") for name in names) else [*names, *(f"val_{name}" for name in names)]


def _cell(value: Any) -> Any:
    if isinstance(value, str) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'


def _lines(rows: list[list[Any]], separator: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows(rows)
    return text.getvalue().encode()
