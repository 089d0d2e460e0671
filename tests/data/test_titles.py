"""Titles: three targets from one description, real and made up."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from jaxgraphs.data import TableEncoder, titles
from jaxgraphs.errors import GraphError, GraphValueError

HEADER = "show_id,type,release_year,rating,description"


def write(path, *lines):
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    return path


def test_targets(tmp_path):  # oracle: by hand
    path = write(
        tmp_path / "netflix_titles.csv",
        *(
            f's{i},{"Movie" if i % 2 else "TV Show"},{1990 + i},{"R" if i % 3 else "PG"},"word{i}, again"'
            for i in range(9)
        ),
        's9,Movie,1999,74 min,"a slip"',
        's10,Movie,1999,,"a gap"',
    )
    data = titles.load(tmp_path, length=3, min_ratings=2, test=0)
    order = (data.train.targets["year"] + 10).astype(int)
    assert sorted(order) == list(range(9))
    assert data.train.targets["kind"].tolist() == [float(i % 2 == 0) for i in order]
    assert [data.encoder.classes("rating")[k] for k in data.train.targets["rating"]] == [
        "R" if i % 3 else "PG" for i in order
    ]
    words = data.encoder.inputs["posts"][0].encoder.vocabulary
    assert [words.decode(row) for row in data.train.inputs["posts"]] == [[f"word{i}", "again"] for i in order]
    assert [str(fault) for fault in data.faults] == [
        "netflix_titles.csv, line 11: rating is '74 min', which the training rows do not hold 2 times",
        "netflix_titles.csv, line 12: rating is missing",
    ]
    with pytest.raises(GraphValueError, match="2 broken rows"):
        titles.load(path, min_ratings=2, test=0, on_error="raise")


def test_generated_titles_are_of_the_same_type():  # oracle: the documented shapes and dtypes
    data = titles.generate(train=300, test=60, length=25)
    got = {name: (a.shape, str(a.dtype)) for name, a in (data.test.inputs | data.test.targets).items()}
    assert got == {
        "posts": ((60, 25), "int32"),
        "year": ((60,), "float32"),
        "rating": ((60,), "int32"),
        "kind": ((60,), "float32"),
    }
    assert TableEncoder.from_json(data.encoder.to_json()) == data.encoder
    assert data.faults == ()


def test_generated_words_tell_the_targets():  # oracle: least squares and bags of words beat the baselines by far
    data = titles.generate(train=1_500, test=300)

    def bags(split):
        counts = np.zeros((len(split), len(data.encoder.inputs["posts"][0].encoder.vocabulary)))
        np.add.at(counts, (np.arange(len(split))[:, None], split.inputs["posts"]), 1)
        counts[:, 0] = 1
        return counts

    train, test, base = bags(data.train), bags(data.test), data.baselines()
    year, kind = (np.linalg.lstsq(train, data.train.targets[name], rcond=None)[0] for name in ("year", "kind"))
    classes = np.eye(4)[data.train.targets["rating"]]
    rating = (test @ np.linalg.lstsq(train, classes, rcond=None)[0]).argmax(1)
    assert np.abs(test @ year - data.test.targets["year"]).mean() < base["year"]["mae"] / 2.5
    assert 0.85 < (rating == data.test.targets["rating"]).mean() < 0.99
    assert base["rating"]["accuracy"] < 0.4
    assert 0.85 < ((test @ kind > 0.5) == data.test.targets["kind"]).mean() < 0.99
    assert base["kind"]["accuracy"] < 0.6


def test_generated_seeds():  # oracle: equality
    first, same, other = (titles.generate(seed, 20, 5).train.inputs["posts"] for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["s1,Film,1999,R,words", "s2,TV Show,1999,R,words"], r"not films and shows(.|\n)*Film"),
        (["s1,Movie,1999,R,words"], "not films and shows"),
        (["s1,Movie,soon,R,words"], "No row is left"),
    ],
)
def test_other_files_are_refused(lines, text, tmp_path):  # oracle: the words of the message
    with pytest.raises(GraphError, match=text):
        titles.load(write(tmp_path / "t.csv", *lines), min_ratings=1, test=0)


def test_counts_must_be_positive():  # oracle: the type of error
    with pytest.raises(GraphValueError, match="positive"):
        titles.generate(train=0)


def test_real_titles(real_data):  # oracle: Python's own CSV reader and a count of ratings
    data = titles.load(real_data)
    with open(real_data / "netflix_titles.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(data.train) + len(data.test) + len(data.faults) == len(rows) == 8_806
    assert {fault.reason.split("'")[1] for fault in data.faults if "'" in fault.reason} == {
        "74 min", "84 min", "66 min", "NC-17", "UR", "TV-Y7-FV",
    }  # fmt: skip
    assert sum(fault.reason == "rating is missing" for fault in data.faults) == sum(not row["rating"] for row in rows)
    years = np.concatenate([data.train.targets["year"], data.test.targets["year"]]) + titles.YEAR_ORIGIN
    assert (years.min(), years.max()) == (1925, 2021)
    assert data.train.inputs["posts"].shape[1] >= 269
    base = data.baselines()
    assert 5 < base["year"]["mae"] < 6
    assert 0.3 < base["rating"]["accuracy"] < 0.4
    assert 0.65 < base["kind"]["accuracy"] < 0.75
