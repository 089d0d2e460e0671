"""Broken rows, missing files and packages: each is named."""

from __future__ import annotations

from textwrap import dedent

import pytest

from jaxgraphs.data.reading import Fault, load_json, require_choice, require_file, require_package, settle
from jaxgraphs.errors import GraphTypeError, GraphValueError


def test_settle_raise_lists_lines_in_order():  # oracle: the message, word for word
    faults = [Fault("a.csv", 9, "is torn"), Fault("a.csv", 2, "is missing")]
    with pytest.raises(GraphValueError) as caught:
        settle(faults, "raise")
    assert str(caught.value) == dedent("""\
        2 broken rows.
          received: a.csv, line 2: is missing
                    a.csv, line 9: is torn
          fix:      mend the lines, or leave them out with on_error="skip\"""")


def test_settle_shows_ten_and_counts_the_rest():  # oracle: the message's last line
    with pytest.raises(GraphValueError, match="12 broken rows") as caught:
        settle([Fault("a.csv", line, "is torn") for line in range(12)], "raise")
    assert caught.value.received is not None
    assert caught.value.received.splitlines()[-1] == "and 2 more"


def test_settle_skip_keeps_all():  # oracle: the faults given, by line
    faults = [Fault("a.csv", 9, "is torn"), Fault("a.csv", 2, "is missing")]
    assert [fault.line for fault in settle(faults, "skip")] == [2, 9]
    assert settle([], "raise") == ()


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda: settle([], "ignore"), GraphValueError, "on_error='ignore' is not known"),  # type: ignore[arg-type]
        (lambda: require_file("nowhere.csv"), GraphValueError, "nothing there"),
        (lambda: require_file("."), GraphValueError, "a directory"),
        (lambda: require_package("no_such_module", "some-package"), GraphValueError, "pip install some-package"),
        (lambda: load_json("{", "a thing", []), GraphValueError, "not the JSON of a thing"),
        (lambda: load_json("[]", "a thing", ["words"]), GraphValueError, "an object with words"),
        (lambda: require_choice("side", "pst", ("post", "pre")), GraphValueError, "'post'"),
        (lambda: require_choice("side", 3, ("post", "pre")), GraphTypeError, "must be a string"),  # type: ignore[arg-type]
    ],
)
def test_user_errors(act, error, text):  # oracle: the words of the message
    with pytest.raises(error, match=text.replace("[", r"\[")):
        act()
