"""Cells as numbers: each kind, missing and broken values, and what is learned."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jaxgraphs.data.columns import Column, fit, infer_kind, read
from jaxgraphs.data.reading import Unreadable
from jaxgraphs.errors import GraphError


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2.5", "-3e4", ""], "number"),
        ([1, 2.0, None, math.nan], "number"),
        ([True, False], "number"),
        (["1"] * 9 + ["74 min"], "number"),
        (["1"] * 8 + ["n", "o"], "category"),
        (["film", "show", "film", "show"], "category"),
        (["1_000", "1_000"], "category"),
        (["a man", "a plan"], "text"),
        ([str(i % 101) + "x" for i in range(1_000)], "text"),
        ([None, ""], "category"),
    ],
)
def test_infer_kind(values, kind):  # oracle: the rule, by hand
    assert infer_kind(values) == kind


@pytest.mark.parametrize(
    ("column", "value", "target", "expected"),
    [
        (Column("c", "number"), " 1.5 ", False, 1.5),
        (Column("c", "number"), 2, True, 2.0),
        (Column("c", "integer"), "7.0", True, 7),
        (Column("c", "integer", fill=-1), "NA", False, -1),
        (Column("c", "category"), " red ", True, "red"),
        (Column("c", "category"), None, False, ""),
        (Column("c", "category"), 3, False, "3"),
        (Column("c", "text"), "A man.", False, ["a", "man"]),
        (Column("c", "text"), None, False, []),
    ],
)
def test_read(column, value, target, expected):  # oracle: by hand
    got = read(column, value, target=target)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("column", "value", "target", "reason"),
    [
        (Column("c", "number"), "74 min", False, "c is '74 min', not a number"),
        (Column("c", "number"), "1_000", False, "c is '1_000', not a number"),
        (Column("c", "number"), "", False, 'c is missing; its Column may fill it, with fill="mean" or a number'),
        (Column("c", "number"), "NaN", False, 'c is missing; its Column may fill it, with fill="mean" or a number'),
        (Column("c", "number", fill=0), "NaN", True, "c is missing"),
        (Column("c", "number"), "inf", False, "c is inf, which float32 does not hold"),
        (Column("c", "number"), "1e39", False, "c is 1e39, which float32 does not hold"),
        (
            Column("c", "number"),
            10**39,
            False,
            "c is 1000000000000000000000000000000000000000, which float32 does not hold",
        ),
        (Column("c", "number"), 10**400, False, f"c is '1{'0' * 39}', not a number"),
        (Column("c", "integer"), "1.5", False, "c is 1.5, not an integer that int32 holds"),
        (Column("c", "integer"), 2**31, False, "c is 2147483648, not an integer that int32 holds"),
        (Column("c", "category"), " ", True, "c is missing"),
        (Column("c", "category"), ["a"], False, "c holds a list, not one value"),
        (Column("c", "text"), {"a": 1}, False, "c holds a dict, not one value"),
    ],
)
def test_read_names_what_is_broken(column, value, target, reason):  # oracle: the reason, word for word
    with pytest.raises(Unreadable) as caught:
        read(column, value, target=target)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("column", "target", "learned", "values", "expected"),
    [
        (Column("c", "number"), False, [1.0, 3.0], [2.0, 5.0], [[0.0], [3.0]]),
        (Column("c", "number"), True, [1.0, 3.0], [2.0, 5.0], [[2.0], [5.0]]),
        (Column("c", "number", standardize=False), False, [1.0, 3.0], [2.0], [[2.0]]),
        (Column("c", "number", standardize=True), True, [1.0, 3.0], [3.0], [[1.0]]),
        (Column("c", "number"), False, [4.0, 4.0], [5.0], [[1.0]]),
        (Column("c", "number", fill="mean"), False, [1.0, math.nan, 3.0], [math.nan], [[0.0]]),
        (Column("c", "number", fill=4), False, [1.0, 3.0], [math.nan], [[2.0]]),
        (Column("c", "integer"), False, [9], [4, 5], [[4], [5]]),
        (Column("c", "category"), False, ["b", "a", "b", ""], ["a", "b", "z", ""], [[1], [2], [0], [0]]),
        (Column("c", "category"), True, ["b", "a", "b"], ["a", "b"], [[0], [1]]),
        (Column("c", "category", min_count=2), False, ["b", "a", "b"], ["a", "b"], [[0], [1]]),
        (Column("c", "text"), False, [["x"], ["y", "x"]], [["y"], ["z", "x", "y"]], [[3, 0], [1, 2]]),
        (Column("c", "text", length=1, vocabulary=3), False, [["x"], ["y", "x"]], [["y"], ["x"]], [[1], [2]]),
        (Column("c", "text"), False, [[]], [["x"]], [[1]]),
    ],
)
def test_arrays(column, target, learned, values, expected):  # oracle: by hand
    array = fit(column, learned, target=target).array(values)
    assert array.dtype == (np.float32 if column.kind == "number" else np.int32)
    assert array.tolist() == expected


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda: Column(3), "named by a string"),  # type: ignore[arg-type]
        (lambda: Column("c", "numbr"), "'number'"),  # type: ignore[arg-type]
        (lambda: Column("c", length=0), "length of column 'c'"),
        (lambda: Column("c", vocabulary=-1), "vocabulary of column 'c'"),
        (lambda: Column("c", fill="median"), "fill='median'"),  # type: ignore[arg-type]
        (lambda: Column("c", "integer", fill="mean"), "mean is seldom"),
    ],
)
def test_user_errors(act, text):  # oracle: the words of the message
    with pytest.raises(GraphError, match=text):
        act()
