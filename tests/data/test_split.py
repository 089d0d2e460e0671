"""Splits stay aligned, dealing is exact, baselines are closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgraphs.data.split import Dataset, Split, deal
from jaxgraphs.errors import GraphValueError, ShapeMismatchError


def test_rows_stay_together():  # oracle: the rows by their number
    split = Split({"a": np.arange(6).reshape(6, 1), "b": np.arange(6)}, np.arange(6))
    for rows in (slice(1, 4), np.array([5, 0])):
        part = split[rows]
        assert part.inputs["a"][:, 0].tolist() == part.inputs["b"].tolist() == part.targets.tolist()
        assert len(part) == len(part.targets)


def test_unequal_rows_are_refused():  # oracle: the numbers of rows in the message
    with pytest.raises(ShapeMismatchError, match="text: 3, array: 2"):
        Split({"text": np.zeros((3, 1))}, np.zeros(2))


@pytest.mark.parametrize(
    ("count", "share", "held"), [(10, 0.2, 2), (10, 0.0, 0), (7, 0.5, 4), (1, 0.2, 0), (0, 0.2, 0)]
)
def test_deal_covers_each_row_once(count, share, held):  # oracle: the set of row numbers
    train, test = deal(count, share, seed=3)
    assert (len(test), sorted(train + test)) == (held, list(range(count)))
    assert deal(count, share, seed=3) == (train, test)


def test_deal_follows_its_seed():  # oracle: random.Random(0): .84 .76 .42 .26 .51 .40, sorted by hand
    assert deal(6, 0.5, seed=0) == ([3, 5, 2], [4, 1, 0])


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0])
def test_deal_refuses_a_share(share):  # oracle: the type of error
    with pytest.raises(GraphValueError, match="share"):
        deal(4, share, 0)


def test_baselines_by_name():  # oracle: closed forms, by hand
    def split(year, rating, kind):
        targets = {"year": np.array(year, np.float32), "rating": np.array(rating), "kind": np.array(kind, np.float32)}
        return Split(np.zeros(len(year)), targets)

    data = Dataset(split([1, 3, 5], [2, 2, 0], [1, 1, 0]), split([3, 7], [0, 2], [0, 1]))
    assert data.baselines() == {
        "year": {"mae": 2.0, "mse": 8.0},
        "rating": {"accuracy": 0.5},
        "kind": {"accuracy": 0.5},
    }
