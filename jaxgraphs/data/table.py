"""Any file with named columns as inputs and targets, and the encodings that new rows need."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from jaxgraphs.data.columns import ENCODERS, Categories, Column, Encoder, Numbers, fit, infer_kind, read
from jaxgraphs.data.reading import Fault, OnError, Unreadable, load_json, settle
from jaxgraphs.data.rows import Row, read_rows
from jaxgraphs.data.split import Dataset, Split, deal
from jaxgraphs.errors import GraphTypeError, GraphValueError, ShapeMismatchError

Columns = str | Column | Sequence[str | Column]


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A column whose kind is settled, and what its training rows taught; None before they have been read."""

    column: Column
    target: bool
    encoder: Encoder | None = None

    def read(self, value: object) -> Any:
        """One value as the encoder takes it.

        Raises: Unreadable with the reason; also for a target class that training did not learn.
        """
        value = read(self.column, value, target=self.target)
        if self.target and isinstance(self.encoder, Categories) and value not in self.encoder:
            times = f" {self.column.min_count} times" if self.column.min_count > 1 else ""
            raise Unreadable(f"{self.column.name} is {str(value)[:40]!r}, which the training rows do not hold{times}")
        return value

    def fit(self, values: Sequence[Any]) -> Fitted:
        """The same column with what `values`, from the training rows, teach."""
        return dataclasses.replace(self, encoder=fit(self.column, values, target=self.target))

    def array(self, values: Sequence[Any]) -> np.ndarray:
        """Values that `read` gave, as an array (n, width)."""
        return cast(Encoder, self.encoder).array(values)


Parts = dict[str, tuple[Fitted, ...]]  # the columns of each input, or of each target


@dataclasses.dataclass(frozen=True)
class TableEncoder:
    """How rows become arrays: saved beside a model, it is all that new rows need."""

    inputs: Parts
    targets: Parts

    def encode(self, rows: Iterable[Mapping[str, object]]) -> dict[str, np.ndarray]:
        """New rows as inputs by name; targets are not looked at.

        Args:
            rows: values by column; a column that is not there is missing, other columns are passed over.
        Returns: arrays (n, width): float32 for numbers, int32 for the rest.
        Raises: GraphValueError that names the broken rows, the first being 1; GraphTypeError when a row is no dict.
        """
        numbered = [Row(line, values) for line, values in enumerate(rows, start=1)]
        if not all(isinstance(row.values, Mapping) for row in numbered):
            raise GraphTypeError("Rows are values by column.", expected='a list of dicts: [{"column": value}]')
        values, faults = _read(numbered, _flat(self.inputs), "rows")
        settle(faults, "raise")
        return _arrays(self.inputs, iter(values))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that new rows need, each once."""
        return tuple(dict.fromkeys(own.column.name for own in _flat(self.inputs)))

    def decode(self, outputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """A model's outputs in the words and units of the file.

        Args:
            outputs: by target: probabilities (n, classes), or of the second of two classes (n, 1) or (n,); numbers
                (n, 1) or (n,). What is no target stays as it is.
        Returns: arrays (n,): categories, or numbers with their mean and scale put back.
        Raises: ShapeMismatchError when an output has not one number, or probability of each class, in a row.

        >>> kind = Fitted(Column("type", "category"), True, Categories(("film", "show"), False))
        >>> TableEncoder({}, {"kind": (kind,)}).decode({"kind": np.array([[0.2], [0.9]])})["kind"].tolist()
        ['film', 'show']
        """
        decoded = {name: np.asarray(values) for name, values in outputs.items()}
        for name in decoded.keys() & self.targets.keys():
            decoded[name] = _decoded(name, cast(Encoder, self.targets[name][0].encoder), decoded[name])
        return decoded

    def classes(self, target: str) -> tuple[str, ...]:
        """The category of each class of a target, by its number.

        Raises: GraphValueError when `target` is no category.
        """
        encoders = {name: fitted.encoder for name, (fitted,) in self.targets.items()}
        known = {name: own.categories for name, own in encoders.items() if isinstance(own, Categories)}
        if target not in known:
            raise GraphValueError(f"No target {target!r} has classes.", expected=", ".join(known) or "a category")
        return known[target]

    def to_json(self) -> str:
        """One line of JSON; `from_json` gives the same encoder back."""
        parts = {"inputs": self.inputs, "targets": self.targets}
        return json.dumps(
            {
                key: {name: [dataclasses.asdict(own) for own in part[name]] for name in part}
                for key, part in parts.items()
            }
        )

    @classmethod
    def from_json(cls, text: str) -> TableEncoder:
        """The encoder that `to_json` wrote.

        Raises: GraphError when `text` is something else.
        """
        record = load_json(text, "a table's encoder", ["inputs", "targets"])
        try:
            return cls(*(_from_records(record[key]) for key in ("inputs", "targets")))
        except (TypeError, KeyError, AttributeError) as error:
            raise GraphValueError("This is not the JSON of a table's encoder.", received=str(error)) from error


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Table(Dataset):
    """A file as arrays by the names of inputs and targets; `encoder` is what new rows need."""

    encoder: TableEncoder

    def __repr__(self) -> str:
        """What each input and target became: it says how to read it in a graph."""
        skipped = f"; {len(self.faults):,} broken rows left out" if self.faults else ""
        lines = [f"Table: {len(self.train):,} rows to train on, {len(self.test):,} to test on{skipped}"]
        parts = (
            ("input", self.encoder.inputs, self.train.inputs),
            ("target", self.encoder.targets, self.train.targets),
        )
        for what, columns, arrays in parts:
            for name, own in columns.items():
                held = " and ".join(dict.fromkeys(str(fitted.encoder) for fitted in own))
                lines.append(f"  {what:<6} {name!r}: {arrays[name].dtype} {arrays[name].shape[1:]}, {held}")
        return "\n".join(lines)

    def encode(self, rows: Iterable[Mapping[str, object]]) -> dict[str, np.ndarray]:
        """New rows as inputs by name; see `TableEncoder.encode`."""
        return self.encoder.encode(rows)


def table(
    path: str | Path,
    inputs: Mapping[str, Columns],
    targets: Mapping[str, Columns],
    *,
    test: float | str | Path = 0.2,
    seed: int = 0,
    delimiter: str | None = None,
    on_error: OnError = "raise",
) -> Table:
    """Named columns of a CSV, JSON-lines or Parquet file as inputs and targets of a model.

    A column is given by its name, or as `Column("name", kind=..., ...)`. Where only its name is given, its kind is
    inferred from the training rows: a number where nine tenths of its values are numbers, a category where there are at
    most 100 different values and each stands twice on average, else a text; an "integer" has to be asked for.
    An input can be made of several columns of one kind, which then stand side by side: {"features": ["height", "age"]}.
    Means, vocabularies and categories come from the training rows alone. A missing text or category is padding or
    class 0; a missing number, unless its column says how to fill it, and a missing target make a broken row.

    Args:
        path: .csv, .tsv, .txt, .jsonl, .ndjson, .json, .parquet or .pq; see `rows.read_rows`.
        inputs, targets: columns by the name of the model's input or output.
        test: the share of rows kept for testing, 0 <= share < 1, or the path of a second file with the same columns.
        seed: the same seed deals the same rows to training and testing.
        delimiter: what stands between the fields of a CSV; by default a comma, and a tab in .tsv.
        on_error: "raise" names every broken row by its line, "skip" leaves them out and keeps them in `faults`.
    Returns: Table. Inputs are (n, width): float32 numbers, standardised; int32 integers, words or categories (counted
        from 1, 0 for one not seen in training). Targets are (n,): numbers as they stand, integers, or classes from 0.
    Raises: GraphError when the file or a column is not there or does not fit, or for broken rows.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "people.csv")
    >>> _ = path.write_text("height,mood\\n1.5,good\\n2.5,bad\\n1.5,good\\n2.5,bad\\n")
    >>> people = table(path, inputs={"height": "height"}, targets={"mood": "mood"}, test=0)
    >>> people.encode([{"height": 3}]), people.encoder.classes("mood")
    ({'height': array([[2.]], dtype=float32)}, ('bad', 'good'))
    >>> people
    Table: 4 rows to train on, 0 to test on
      input  'height': float32 (1,), numbers, less their mean 2, in deviations of 0.5
      target 'mood': int32 (), 2 classes from 0: bad, good
    """
    parts = parts_of(inputs, targets)
    wanted = [own.column.name for part in parts for own in _flat(part)]
    name = Path(path).name
    rows, faults = read_rows(path, wanted, delimiter=delimiter)
    if isinstance(test, str | Path):
        more, test_faults = read_rows(test, wanted, delimiter=delimiter)
        return from_rows((name, rows), (Path(test).name, more), *parts, faults=faults + test_faults, on_error=on_error)
    train, held = ([rows[index] for index in indices] for indices in deal(len(rows), test, seed))
    return from_rows((name, train), (name, held), *parts, faults=faults, on_error=on_error)


def from_rows(
    train: tuple[str, Sequence[Row]],
    test: tuple[str, Sequence[Row]],
    inputs: Parts,
    targets: Parts,
    *,
    faults: Sequence[Fault] = (),
    on_error: OnError = "raise",
) -> Table:
    """`table` for rows already read and dealt: each with the name of its file, and the faults that reading met."""
    encoder = _learned(*train, inputs, targets, faults, on_error)
    splits, found = [], list(faults)
    for name, rows in (train, test):
        # The training rows are read again: classes too rare to be learned are known only now.
        values, broken = _read(rows, [*_flat(encoder.inputs), *_flat(encoder.targets)], name)
        columns = iter(values)
        arrays = _arrays(encoder.inputs, columns)
        splits.append(Split(arrays, {key: array[:, 0] for key, array in _arrays(encoder.targets, columns).items()}))
        found += broken
    kept = settle(found, on_error)
    _require_rows(len(splits[0]), train[0], kept)
    return Table(splits[0], splits[1], encoder, faults=kept)


def _learned(
    name: str, rows: Sequence[Row], inputs: Parts, targets: Parts, faults: Sequence[Fault], on_error: OnError
) -> TableEncoder:
    """Kinds, means, vocabularies and categories of the training rows that can be read."""
    settled = [{key: _settled(part[key], rows) for key in part} for part in (inputs, targets)]
    values, broken = _read(rows, [own for part in settled for own in _flat(part)], name)
    if not values[0]:
        _require_rows(0, name, settle([*faults, *broken], on_error))
    columns = iter(values)
    return TableEncoder(
        *({key: tuple(own.fit(next(columns)) for own in part[key]) for key in part} for part in settled)
    )


def _require_rows(count: int, name: str, faults: Sequence[Fault]) -> None:
    if not count:
        received = f"{len(faults)} broken rows, the first: {faults[0]}" if faults else "no row"
        raise GraphValueError("No row is left to train on.", where=name, received=received)


def parts_of(inputs: Mapping[str, Columns], targets: Mapping[str, Columns]) -> tuple[Parts, Parts]:
    """The columns that a user named, in one form, before any row is read.

    Raises: GraphError when an input or target has no column, or a target has several or is a text.
    """
    if not inputs or not targets:
        raise GraphValueError("A table needs inputs and targets.", expected='{"name of the input": "column"}')
    parts = _parts(inputs, target=False), _parts(targets, target=True)
    for name, own in parts[1].items():
        if len(own) != 1:
            raise GraphValueError(f"Target {name!r} must be one column.", received=f"{len(own)} columns")
    return parts


def _parts(part: Mapping[str, Columns], *, target: bool) -> Parts:
    return {
        name: tuple(Fitted(_column(own), target) for own in _several(name, columns)) for name, columns in part.items()
    }


def _several(name: str, columns: Columns) -> Sequence[str | Column]:
    several = [columns] if isinstance(columns, str | Column) else columns
    if not isinstance(several, list | tuple) or not several:
        raise GraphTypeError(
            f"{name!r} has no column.", received=repr(columns), expected="a column's name, a Column, or a list of them"
        )
    return several


def _column(given: str | Column) -> Column:
    return given if isinstance(given, Column) else Column(given)


def _flat(part: Parts) -> list[Fitted]:
    return [own for several in part.values() for own in several]


def _settled(several: tuple[Fitted, ...], rows: Sequence[Row]) -> tuple[Fitted, ...]:
    """The columns of one input or target, each with its kind."""
    columns = [
        dataclasses.replace(
            own.column, kind=own.column.kind or infer_kind([row.values[own.column.name] for row in rows])
        )
        for own in several
    ]
    if len({column.kind for column in columns}) > 1:
        received = ", ".join(f"{column.name}: {column.kind}" for column in columns)
        raise GraphTypeError("The columns of one input differ in kind.", received=received, fix="make them two inputs")
    if several[0].target and columns[0].kind == "text":
        raise GraphTypeError(
            "A text cannot be a target.", where=columns[0].name, fix='Column(..., kind="category") or "number"'
        )
    return tuple(dataclasses.replace(own, column=column) for own, column in zip(several, columns, strict=True))


def _read(rows: Sequence[Row], columns: Sequence[Fitted], name: str) -> tuple[list[list[Any]], list[Fault]]:
    """The values of each column over the rows in which all can be read, and the other rows."""
    values: list[list[Any]] = []
    faults: list[Fault] = []
    for row in rows:
        try:
            values.append([own.read(row.values.get(own.column.name)) for own in columns])
        except Unreadable as reason:
            faults.append(Fault(name, row.line, str(reason)))
    return [list(column) for column in zip(*values, strict=True)] or [[] for _ in columns], faults


def _arrays(part: Parts, values: Iterator[list[Any]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([own.array(next(values)) for own in part[name]], axis=1) for name in part}


def _decoded(name: str, encoder: Encoder, values: np.ndarray) -> np.ndarray:
    """One output as the file has its column."""
    classes = len(encoder.categories) if isinstance(encoder, Categories) else 1
    width = values.shape[-1] if values.ndim > 1 else 1
    if values.ndim not in (1, 2) or (width not in (1, classes)) or (width == 1 and classes > 2):
        allowed = ["(n, 1)"] * (classes <= 2) + [f"probabilities (n, {classes})"] * (classes > 1)
        raise ShapeMismatchError(
            f"Output {name!r} cannot be read.", received=str(values.shape), expected=" or ".join(allowed)
        )
    if isinstance(encoder, Numbers):
        return values.reshape(-1) * encoder.scale + encoder.mean
    if not isinstance(encoder, Categories):
        return np.round(values.reshape(-1)).astype(np.int64)
    numbers = values.argmax(-1) if width == classes > 1 else (values.reshape(-1) > 0.5).astype(np.int64)
    return np.array(encoder.categories)[numbers]


def _from_records(part: dict[str, Any]) -> Parts:
    return {name: tuple(map(_from_record, own)) for name, own in part.items()}


def _from_record(record: dict[str, Any]) -> Fitted:
    column = Column(**record["column"])
    learned = {name: tuple(value) if isinstance(value, list) else value for name, value in record["encoder"].items()}
    return Fitted(column, record["target"], ENCODERS[str(column.kind)](**learned))
