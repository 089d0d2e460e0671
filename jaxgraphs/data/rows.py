"""Rows of a CSV, JSON-lines or Parquet file, each with its line, and the lines that are no row."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jaxgraphs.data.reading import Fault, Unreadable, has_bad_bytes, require_file, require_package
from jaxgraphs.errors import GraphKeyError, GraphValueError, did_you_mean

_SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv",
    ".jsonl": "json", ".ndjson": "json", ".json": "json",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Row:
    """One row: the line it begins on (from 1; its number in a Parquet file), and its values by column."""

    line: int
    values: Mapping[str, object]


def read_rows(
    path: str | Path, columns: Sequence[str], *, delimiter: str | None = None
) -> tuple[list[Row], list[Fault]]:
    """The values of `columns` in every row that can be read, and the rows that cannot.

    Text is UTF-8, with or without a byte-order mark, with any line ends; in CSV quoted fields may hold line ends.

    Args:
        path: a file ending in .csv, .tsv, .txt (a header, then rows), .jsonl, .ndjson, .json (one object a line),
            .parquet or .pq (needs pyarrow).
        columns: the columns to keep; others are passed over.
        delimiter: what stands between the fields of a CSV; by default a comma, and a tab in .tsv.
    Returns: rows, and faults named by line.
    Raises: GraphKeyError when a column is not there; GraphValueError when the file is missing, empty, of another kind,
        has no row, a header that is not UTF-8 text, or has one of `columns` twice.
    """
    file = require_file(path)
    kind = _kind(file)
    if kind == "parquet":
        return _parquet(file, columns), []
    text = _text(file)
    return _jsonl(text, file, columns) if kind == "json" else _csv(text, file, columns, delimiter)


def column_names(path: str | Path, *, delimiter: str | None = None) -> tuple[str, ...]:
    """The columns of a file that `read_rows` reads, in order; of JSON-lines those of the first line.

    Raises: GraphValueError when the file is missing, empty or of another kind, or its header cannot be read.
    """
    file = require_file(path)
    kind = _kind(file)
    if kind == "parquet":
        return tuple(_parquet_names(file))
    text = _text(file)
    if kind == "csv":
        return tuple(_header(text, file, delimiter)[0])
    try:
        return tuple(_object(next(line for line in text.split("\n") if line.strip())))
    except Unreadable as reason:
        raise GraphValueError("The first line cannot be read.", where=str(file), received=str(reason)) from reason


def _kind(file: Path) -> str:
    kind = _SUFFIXES.get(file.suffix.lower())
    if kind is None:
        raise GraphValueError(
            "No reader knows this kind of file.", where=str(file), expected=f"a name in {', '.join(_SUFFIXES)}"
        )
    return kind


def _text(file: Path) -> str:
    text = file.read_bytes().decode("utf-8-sig", "surrogateescape")
    if not text.strip():
        raise GraphValueError("The file is empty.", where=str(file), expected="rows with named columns")
    return text


def _csv(text: str, file: Path, columns: Sequence[str], delimiter: str | None) -> tuple[list[Row], list[Fault]]:
    names, records = _header(text, file, delimiter)
    _require_columns(columns, names, f"{file}, line 1")
    wanted = [(name, names.index(name)) for name in columns]
    rows: list[Row] = []
    faults: list[Fault] = []
    for line, record in records:
        if isinstance(record, Unreadable):
            faults.append(Fault(file.name, line, str(record)))
        elif len(record) != len(names):
            faults.append(Fault(file.name, line, f"has {_fields(len(record))}, the header has {len(names)}"))
        else:
            rows.append(Row(line, {name: record[index] for name, index in wanted}))
    if not rows and not faults:
        raise GraphValueError("There is no row below the header.", where=f"{file}, line 1")
    return rows, faults


def _header(
    text: str, file: Path, delimiter: str | None
) -> tuple[list[str], Iterator[tuple[int, list[str] | Unreadable]]]:
    """The names of the columns, and the records below them."""
    records = _records(text, delimiter or ("\t" if file.suffix.lower() == ".tsv" else ","))
    _, header = next(records)
    if isinstance(header, Unreadable):
        raise GraphValueError("The header cannot be read.", where=f"{file}, line 1", received=str(header))
    return [name.strip() for name in header], records


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str] | Unreadable]]:
    """Each record that is not blank, with the line it begins on; what cannot be read in place of a broken one."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except TypeError as error:
        raise GraphValueError("The delimiter does not fit.", received=repr(delimiter), expected="one letter") from error
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader, None)
        except csv.Error as error:
            record = Unreadable(f"is not CSV: {error}{_swallowed(line, reader.line_num)}")
        if record is None:
            return
        if isinstance(record, list) and any(map(has_bad_bytes, record)):
            record = Unreadable("has bytes that are not UTF-8")
        if record:
            yield line, record


def _swallowed(first: int, last: int) -> str:
    return f" (a quote opened here runs on to line {last})" if last > first else ""


def _jsonl(text: str, file: Path, columns: Sequence[str]) -> tuple[list[Row], list[Fault]]:
    rows: list[Row] = []
    faults: list[Fault] = []
    names: dict[str, None] = {}
    for line, record in enumerate(text.split("\n"), start=1):
        if not record.strip():
            continue
        try:
            values = _object(record)
        except Unreadable as reason:
            faults.append(Fault(file.name, line, str(reason)))
            continue
        names.update(dict.fromkeys(values))
        rows.append(Row(line, {name: values.get(name) for name in columns}))
    # Where no line could be read, the lines are what there is to say.
    if rows:
        _require_columns(columns, list(names), str(file))
    return rows, faults


def _object(line: str) -> dict[str, object]:
    if has_bad_bytes(line):
        raise Unreadable("has bytes that are not UTF-8")
    try:
        record = json.loads(line, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise Unreadable("is not a JSON object")
    return record


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return record


def _parquet_names(file: Path) -> list[str]:
    parquet = require_package("pyarrow.parquet", "pyarrow")
    try:
        return list(parquet.read_schema(file).names)
    except (OSError, ValueError) as error:
        raise GraphValueError("This Parquet file cannot be read.", where=str(file), received=str(error)) from error


def _parquet(file: Path, columns: Sequence[str]) -> list[Row]:
    _require_columns(columns, _parquet_names(file), str(file))
    parquet = require_package("pyarrow.parquet", "pyarrow")
    try:
        records = parquet.read_table(file, columns=list(dict.fromkeys(columns))).to_pylist()
    except (OSError, ValueError) as error:
        raise GraphValueError("This Parquet file cannot be read.", where=str(file), received=str(error)) from error
    if not records:
        raise GraphValueError("There is no row in the file.", where=str(file))
    return list(itertools.starmap(Row, enumerate(records, start=1)))


def _require_columns(columns: Sequence[str], names: Sequence[str], where: str) -> None:
    missing = [name for name in columns if name not in names]
    if missing:
        known = [name for name in names if not has_bad_bytes(name)]
        raise GraphKeyError(
            f"There is no column {missing[0]!r}.", where=where, fix=f"did you mean {did_you_mean(missing[0], known)}"
        )
    repeated = [name for name, count in Counter(names).items() if count > 1 and name in columns]
    if repeated:
        raise GraphValueError(f"The column {repeated[0]!r} stands twice in the header.", where=where, fix="rename one")


def _fields(count: int) -> str:
    return f"{count} field" if count == 1 else f"{count} fields"
