"""The embedded digits are scikit-learn's, dealt once."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from jaxgraphs.data import digits
from jaxgraphs.errors import GraphValueError


def test_every_digit_once():  # oracle: scikit-learn's arrays, as a multiset
    from sklearn.datasets import load_digits

    whole, data = load_digits(), digits.load()
    got = np.concatenate([data.train.inputs, data.test.inputs]).reshape(-1, 64) * 16
    labels = np.concatenate([data.train.targets, data.test.targets])
    assert (got.dtype, labels.dtype) == (np.float32, np.int32)
    assert sorted(map(tuple, np.column_stack([got, labels]))) == sorted(
        map(tuple, np.column_stack([whole.data, whole.target]))
    )


def test_deals_follow_the_seed():  # oracle: equality
    assert np.array_equal(digits.load(seed=1).test.inputs, digits.load(seed=1).test.inputs)
    assert not np.array_equal(digits.load(seed=1).test.inputs, digits.load(seed=2).test.inputs)
    assert len(digits.load(test=0).test) == 0


def test_without_scikit_learn(monkeypatch):  # oracle: the command in the message
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(GraphValueError, match="pip install scikit-learn"):
        digits.load()
