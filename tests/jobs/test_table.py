"""A file of one's own: odd headers, gaps, dates; every kind of column, every kind of target."""

import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs.data.rows import column_names
from jaxgraphs.jobs import JOBS, Options
from jaxgraphs.jobs.table import loss_for

HEADER = "Price (EUR),Ship date,Größe,Sent back,late,on time?"


@pytest.fixture(scope="module")
def orders(tmp_path_factory):
    """Sixty orders; a price in five is missing, and one answer."""
    lines = [HEADER]
    for row in range(60):
        price, size = "" if row % 5 == 0 else f"{row}.5", ("S", "M", "L")[row % 3]
        date = f"2025-01-{row % 28 + 1:02d} {'morning' if row % 2 else 'evening'} {row}"
        back = "" if row == 7 else ("no", "yes", "partly")[row % 3]
        lines.append(f"{price},{date},{size},{back},{row},{row % 2}")
    path = tmp_path_factory.mktemp("orders") / "orders.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8-sig")
    return str(path)


def train(orders, *targets, **options):
    return JOBS["table"].run(Options(data=orders, targets=targets, epochs=1, verbose=0, **options))


def test_every_kind_of_target(orders):  # oracle: the file's columns, and the graph's ends
    outcome = train(orders, "Sent back", "late", "on time?")
    assert outcome.graph.input_names == ("Größe", "Price (EUR)", "Ship date")
    assert outcome.graph.output_names == ("Sent back", "late", "on time?")
    assert [tensor.shape[-1] for tensor in outcome.graph.flat_outputs] == [3, 1, 1]
    assert outcome.report["left out"] == "1 rows, the first: orders.csv, line 9: Sent back is missing"
    assert outcome.results["train"] + outcome.results["test"] == 59
    encoder = jg.data.TableEncoder.from_json(outcome.extra["table"])
    kinds = {name: loss_for(encoder, name) for name in encoder.targets}
    assert list(kinds.values()) == ["sparse_categorical_crossentropy", "mse", "binary_crossentropy"]
    found = outcome.graph.apply(outcome.variables, encoder.encode([{"Größe": "XL", "Ship date": "2026-01-01"}]))
    decoded = encoder.decode(found)
    assert decoded["Sent back"][0] in ("no", "yes", "partly")
    assert np.isfinite(decoded["late"][0])


@pytest.mark.slow
def test_columns_may_be_chosen(orders):  # oracle: what was asked for
    outcome = train(orders, "late", inputs=("Größe",), size=10)
    assert outcome.graph.input_names == ("Größe",)
    assert outcome.results["train"] == 10


@pytest.mark.parametrize(
    ("targets", "inputs", "said"),
    [
        ((), (), "jaxgraphs train table --data FILE.csv --target COLUMN"),
        (("late?",), (), "There is no column 'late?'."),
        (("late",), ("Size",), "There is no column 'Size'."),
    ],
)
def test_what_it_refuses(targets, inputs, said, orders):  # oracle: the messages
    with pytest.raises(jg.GraphError) as caught:
        train(orders, *targets, inputs=inputs)
    assert said in str(caught.value)


def test_other_jobs_have_their_columns():  # oracle: the message
    with pytest.raises(jg.GraphValueError, match="The columns that siamese reads are settled"):
        JOBS["siamese"].run(Options(targets=("x",)))


def test_the_columns_of_a_file(orders, tmp_path):  # oracle: its header; the keys of its first line
    assert column_names(orders) == tuple(HEADER.split(","))
    (tmp_path / "rows.jsonl").write_text('\n{"a": 1, "b": 2}\n', "utf-8")
    assert column_names(tmp_path / "rows.jsonl") == ("a", "b")
    (tmp_path / "bad.jsonl").write_text("[1]\n", "utf-8")
    with pytest.raises(jg.GraphValueError, match="The first line cannot be read"):
        column_names(tmp_path / "bad.jsonl")


@pytest.mark.slow
def test_a_run_that_was_there(orders, tmp_path):  # oracle: the epochs of either process
    options = {"resume": str(tmp_path / "run")}
    assert "resumed" not in train(orders, "late", **options).report
    assert train(orders, "late", **options).report["resumed"].endswith("nothing was trained; --epochs 2 goes on")
