"""Any file as a data set: what is learned, dealt, left out and saved."""

from __future__ import annotations

import json
from textwrap import dedent

import numpy as np
import pytest

from jaxgraphs.data import Column, TableEncoder, table
from jaxgraphs.errors import GraphError, GraphTypeError, GraphValueError

COLOURS = ("red", "blue", "green")
INPUTS = {"size": ["height", "width"], "colour": "colour", "note": Column("note", length=4)}
TARGETS = {"price": "price", "sold": Column("sold", "integer"), "shop": Column("shop", "category")}


def record(i):
    return {
        "height": i / 2, "width": i * i, "colour": COLOURS[i % 3], "note": f"piece w{i} of the lot",
        "price": 10 + i, "sold": i % 2, "shop": "north" if i % 4 else "south",
    }  # fmt: skip


RECORDS = [record(i) for i in range(40)]


def write_csv(path, records=RECORDS, **changed):
    lines = [",".join(RECORDS[0]), *(",".join(map(str, row.values())) for row in records)]
    for line, text in changed.items():
        lines[int(line[1:]) - 1] = text
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def path(tmp_path):
    return write_csv(tmp_path / "lots.csv")


def test_shapes_and_dtypes(path):  # oracle: the documented ones
    lots = table(path, INPUTS, TARGETS)
    got = {name: (array.shape, str(array.dtype)) for name, array in (lots.train.inputs | lots.train.targets).items()}
    assert got == {
        "size": ((32, 2), "float32"), "colour": ((32, 1), "int32"), "note": ((32, 4), "int32"),
        "price": ((32,), "float32"), "sold": ((32,), "int32"), "shop": ((32,), "int32"),
    }  # fmt: skip
    assert (len(lots.test), lots.faults) == (8, ())


def test_values(path):  # oracle: numpy on the records that the prices name
    lots = table(path, INPUTS, TARGETS, seed=5)
    train = [record(int(price) - 10) for price in lots.train.targets["price"]]
    assert sorted(np.concatenate([lots.train.targets["price"], lots.test.targets["price"]])) == list(range(10, 50))
    sizes = np.array([[row["height"], row["width"]] for row in train])
    np.testing.assert_allclose(lots.train.inputs["size"], (sizes - sizes.mean(0)) / sizes.std(0), rtol=1e-5, atol=1e-6)
    assert [sorted(COLOURS)[number - 1] for number in lots.train.inputs["colour"][:, 0]] == [r["colour"] for r in train]
    assert [lots.encoder.classes("shop")[i] for i in lots.train.targets["shop"]] == [row["shop"] for row in train]
    words = lots.encoder.inputs["note"][0].encoder.vocabulary
    # The test rows' own words taught nothing.
    assert {word for word in words.words if word[0] == "w"} == {row["note"].split()[1] for row in train}
    assert [words.decode(row) for row in lots.train.inputs["note"]] == [row["note"].split()[:4] for row in train]
    assert (lots.test.inputs["note"][:, 1] == 1).all()


def test_seeds(path):  # oracle: equality
    first, same, other = (table(path, INPUTS, TARGETS, seed=seed).test.targets["price"].tolist() for seed in (1, 1, 2))
    assert first == same != other


@pytest.mark.parametrize("through_json", [False, True])
def test_new_rows_are_encoded_as_the_set_is(path, through_json):  # oracle: the arrays of the data set
    lots = table(path, INPUTS, TARGETS)
    encoder = TableEncoder.from_json(lots.encoder.to_json()) if through_json else lots.encoder
    for split in (lots.train, lots.test):
        rows = [record(int(price) - 10) for price in split.targets["price"]]
        for name, array in encoder.encode(rows).items():
            np.testing.assert_array_equal(array, split.inputs[name])
    assert encoder == lots.encoder
    assert lots.encode([{**RECORDS[0], "colour": "mauve", "other": 1}])["colour"].tolist() == [[0]]
    assert lots.encode([])["note"].shape == (0, 4)


def test_json_lines_give_the_same(path):  # oracle: the CSV
    (path.parent / "lots.jsonl").write_text("\n".join(map(json.dumps, RECORDS)))
    lots, same = (table(path.with_suffix(suffix), INPUTS, TARGETS) for suffix in (".csv", ".jsonl"))
    for name in lots.train.inputs:
        np.testing.assert_array_equal(lots.train.inputs[name], same.train.inputs[name])


def test_parquet_gives_the_same(path):  # oracle: the CSV
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(RECORDS), path.with_suffix(".parquet"))
    lots, same = (table(path.with_suffix(suffix), INPUTS, TARGETS) for suffix in (".csv", ".parquet"))
    for name in lots.train.inputs:
        np.testing.assert_array_equal(lots.train.inputs[name], same.train.inputs[name])


def test_a_second_file_as_test(path):  # oracle: its rows, in its order
    held = write_csv(path.with_name("held.csv"), RECORDS[:3], l3="1,2,red,note,,1,north")
    lots = table(path, INPUTS, TARGETS, test=held, on_error="skip")
    assert (len(lots.train), lots.test.targets["price"].tolist()) == (40, [10.0, 12.0])
    assert [str(fault) for fault in lots.faults] == ["held.csv, line 3: price is missing"]


def test_broken_rows_are_named(tmp_path):  # oracle: the message, word for word
    path = write_csv(tmp_path / "lots.csv", l5="1,2,red,note,ten,1,north", l9="1,2", l20="1,2,red,note,10,1.5,north")
    with pytest.raises(GraphValueError) as caught:
        table(path, INPUTS, TARGETS)
    assert str(caught.value) == dedent("""\
        3 broken rows.
          received: lots.csv, line 5: price is 'ten', not a number
                    lots.csv, line 9: has 2 fields, the header has 7
                    lots.csv, line 20: sold is 1.5, not an integer that int32 holds
          fix:      mend the lines, or leave them out with on_error="skip\"""")
    lots = table(path, INPUTS, TARGETS, on_error="skip")
    assert ([fault.line for fault in lots.faults], len(lots.train) + len(lots.test)) == ([5, 9, 20], 37)


def test_rare_and_unseen_classes_are_broken_rows(tmp_path):  # oracle: the lines, by hand
    path = write_csv(tmp_path / "lots.csv", l5="1,2,red,note,10,1,east", l9="1,2,red,note,10,1,east")
    lots = table(path, INPUTS, TARGETS | {"shop": Column("shop", min_count=3)}, on_error="skip", test=0)
    assert lots.encoder.classes("shop") == ("north", "south")
    assert [fault.line for fault in lots.faults] == [5, 9]
    assert "shop is 'east', which the training rows do not hold 3 times" in str(lots.faults[0])


def test_one_column_as_input_and_target(path):  # oracle: the target's own values, standardised
    lots = table(path, {"x": "price"}, {"y": "price"})
    prices = lots.train.targets["y"]
    np.testing.assert_allclose(lots.train.inputs["x"][:, 0], (prices - prices.mean()) / prices.std(), rtol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "targets", "options", "error", "text"),
    [
        ({}, TARGETS, {}, GraphValueError, "needs inputs and targets"),
        (INPUTS, {}, {}, GraphValueError, "needs inputs and targets"),
        ({"x": []}, TARGETS, {}, GraphTypeError, "'x' has no column"),
        ({"x": 3}, TARGETS, {}, GraphTypeError, "'x' has no column"),
        ({"x": [3]}, TARGETS, {}, GraphTypeError, "named by a string"),
        ({"x": "hieght"}, TARGETS, {}, GraphError, r"no column 'hieght'(.|\n)*'height'"),
        ({"x": ["height", "colour"]}, TARGETS, {}, GraphTypeError, "height: number, colour: category"),
        (INPUTS, {"y": ["price", "sold"]}, {}, GraphValueError, "'y' must be one column"),
        (INPUTS, {"y": "note"}, {}, GraphTypeError, "text cannot be a target"),
        (
            INPUTS,
            {"y": Column("colour", "number")},
            {"on_error": "skip"},
            GraphValueError,
            "32 broken rows, the first: lots.csv, line 2: colour",
        ),
        (INPUTS, TARGETS, {"test": 1.5}, GraphValueError, "share of test rows"),
        (INPUTS, TARGETS, {"on_error": "stop"}, GraphValueError, "on_error='stop'"),
    ],
)
def test_user_errors(inputs, targets, options, error, text, path):  # oracle: the words of the message
    with pytest.raises(error, match=text):
        table(path, inputs, targets, **options)


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda lots: lots.encode([RECORDS[0], {**RECORDS[1], "height": "tall"}]), "rows, line 2: height is 'tall'"),
        (lambda lots: lots.encoder.classes("price"), "No target 'price' has classes"),
        (lambda lots: TableEncoder.from_json("{}"), "a table's encoder"),
        (lambda lots: TableEncoder.from_json('{"inputs": {"x": [1]}, "targets": {}}'), "a table's encoder"),
        (lambda lots: TableEncoder.from_json('{"inputs": 1, "targets": {}}'), "a table's encoder"),
        (lambda lots: lots.encode(RECORDS[0]), "a list of dicts"),
    ],
)
def test_encoder_errors(act, text, path):  # oracle: the words of the message
    lots = table(path, INPUTS, TARGETS)
    with pytest.raises(GraphError, match=text):
        act(lots)
