"""Files as found in the wild: each gives its rows, or an error that names the line."""

from __future__ import annotations

import sys

import pytest

from jaxgraphs.data.rows import read_rows
from jaxgraphs.errors import GraphError, GraphKeyError, GraphValueError


def rows_of(path, data, columns=("a", "b"), **options):
    path.write_bytes(data)
    rows, faults = read_rows(path, columns, **options)
    return [(row.line, *row.values.values()) for row in rows], [(fault.line, fault.reason) for fault in faults]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"a,b\n1,x\n", [(2, "1", "x")]),
        (b"\xef\xbb\xbfa,b\n1,x\n", [(2, "1", "x")]),
        (b"a,b\r\n1,x\r\n2,y\r\n", [(2, "1", "x"), (3, "2", "y")]),
        (b"a,b\r1,x\r2,y", [(2, "1", "x"), (3, "2", "y")]),
        (b'a,b\n1,"two\nlines, and ""quotes"""\n2,y\n', [(2, "1", 'two\nlines, and "quotes"'), (4, "2", "y")]),
        (b"a,extra,b\n1,,x\n", [(2, "1", "x")]),
        (b"b, a \nx,1\n", [(2, "1", "x")]),
        (b"a,b\n\n1,\n\n", [(3, "1", "")]),
        (b"a,b,c,c\n1,x,5,6\n", [(2, "1", "x")]),
        ("a,b\né,漢\n".encode(), [(2, "é", "漢")]),
        (b"a,b\n1\0,x\n", [(2, "1\0", "x")]),
    ],
    ids=["plain", "mark", "CRLF", "CR", "quoted", "extra", "order", "blank", "repeated elsewhere", "unicode", "NUL"],
)
def test_csv_that_is_whole(data, rows, tmp_path):  # oracle: rows and lines counted by hand
    assert rows_of(tmp_path / "t.csv", data) == (rows, [])


@pytest.mark.parametrize(
    ("data", "rows", "faults"),
    [
        (b"a,b\n1\n2,y\n", [(3, "2", "y")], [(2, "has 1 field, the header has 2")]),
        (b"a,b\n1,x,9\n2,y\n", [(3, "2", "y")], [(2, "has 3 fields, the header has 2")]),
        (b"a,b\n1,\xff\n2,y\n", [(3, "2", "y")], [(2, "has bytes that are not UTF-8")]),
        (b'a,b\n1,"x"y\n2,y\n', [(3, "2", "y")], [(2, "is not CSV: ',' expected after '\"'")]),
        (
            b'a,b\n1,x\n2,"y\n3,z\n',
            [(2, "1", "x")],
            [(3, "is not CSV: unexpected end of data (a quote opened here runs on to line 4)")],
        ),
    ],
)
def test_csv_that_is_broken(data, rows, faults, tmp_path):  # oracle: rows, lines and reasons by hand
    assert rows_of(tmp_path / "t.csv", data) == (rows, faults)


def test_a_field_beyond_the_limit_costs_its_row(tmp_path):  # oracle: the line and the rows around it
    rows, faults = rows_of(tmp_path / "t.csv", b"a,b\n1," + b"x" * 200_000 + b"\n2,y\n")
    assert rows == [(3, "2", "y")]
    assert faults[0][0] == 2
    assert "field larger than field limit" in faults[0][1]


def test_delimiters(tmp_path):  # oracle: by hand
    assert rows_of(tmp_path / "t.tsv", b"a\tb\n1\tx,y\n")[0] == [(2, "1", "x,y")]
    assert rows_of(tmp_path / "t.csv", b"a;b\n1;x\n", delimiter=";")[0] == [(2, "1", "x")]
    with pytest.raises(GraphValueError, match="one letter"):
        rows_of(tmp_path / "t.csv", b"a;b\n1;x\n", delimiter="; ")


def test_json_lines(tmp_path):  # oracle: by hand
    data = b'\xef\xbb\xbf{"a": 1, "b": "x", "c": [1]}\r\n\n{"b": null}\n{"a": \n[1]\n{"a": 1, "a": 2}\n{"a": "\xff"}\n'
    rows, faults = rows_of(tmp_path / "t.jsonl", data)
    assert rows == [(1, 1, "x"), (3, None, None)]
    assert [line for line, _ in faults] == [4, 5, 6, 7]
    reasons = ("is not JSON", "is not a JSON object", "a name stands twice", "not UTF-8")
    assert all(reason in fault for reason, (_, fault) in zip(reasons, faults, strict=True))


def test_deep_json_costs_its_row(tmp_path):  # oracle: the line
    rows, faults = rows_of(tmp_path / "t.jsonl", b'{"a": 1, "b": 2}\n' + b'{"a":' + b"[" * 100_000 + b"\n")
    assert (len(rows), [line for line, _ in faults]) == (1, [2])


@pytest.mark.parametrize(
    ("name", "data", "error", "text"),
    [
        ("t.csv", b"", GraphValueError, "The file is empty"),
        ("t.csv", b" \n\n", GraphValueError, "The file is empty"),
        ("t.jsonl", b"", GraphValueError, "The file is empty"),
        ("t.csv", b"a,b\n", GraphValueError, r"no row below the header(.|\n)*line 1"),
        ("t.csv", b"a,a,b\n1,2,3\n", GraphValueError, r"'a' stands twice(.|\n)*line 1"),
        ("t.csv", b"a,bb\n1,2\n", GraphKeyError, r"no column 'b'(.|\n)*'bb'"),
        ("t.csv", b"\xff\xfea\0,\0b\0\n\0", GraphValueError, r"header cannot be read(.|\n)*not UTF-8"),
        ("t.jsonl", b'{"a": 1}\n', GraphKeyError, "no column 'b'"),
        ("t.xlsx", b"a,b\n1,2\n", GraphValueError, r"this kind of file(.|\n)*\.parquet"),
    ],
)
def test_files_that_cannot_be_used(name, data, error, text, tmp_path):  # oracle: the words of the message
    with pytest.raises(error, match=text):
        rows_of(tmp_path / name, data)


def test_parquet(tmp_path):  # oracle: the rows written
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"a": [1, None], "c": [0, 0], "b": ["x", "y"]}), path)
    rows, faults = read_rows(path, ["a", "b"])
    assert ([(row.line, *row.values.values()) for row in rows], faults) == ([(1, 1, "x"), (2, None, "y")], [])
    with pytest.raises(GraphKeyError, match="no column 'd'"):
        read_rows(path, ["d"])
    path.write_bytes(b"PAR1 nonsense")
    with pytest.raises(GraphError, match="cannot be read"):
        read_rows(path, ["a"])


def test_parquet_without_pyarrow(tmp_path, monkeypatch):  # oracle: the command in the message
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(GraphValueError, match="pip install pyarrow"):
        rows_of(tmp_path / "t.parquet", b"PAR1")
