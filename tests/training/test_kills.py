"""A run that is killed again and again ends as one that was not; the long version is `python -m benchmarks.kills`."""

import json
import random

import pytest

from benchmarks.kills import SCENARIOS, survive, train


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kills"), [("dropout", 3), ("outputs", 3)])
def test_a_killed_run_ends_as_if_nothing_had_happened(name, kills):  # oracle: the run without kills, bit for bit
    expected = json.loads(json.dumps(train(name, None)))
    went = survive(name, kills, random.Random(name), expected, lambda made: None)
    assert (went["kills"], went["differing"]) == (kills, [])


@pytest.mark.slow
def test_the_judge_sees_a_difference(monkeypatch):  # oracle: a run that forgets its callbacks' memory
    expected = train("statistics", None)
    scenario = SCENARIOS["statistics"]
    changed = type(scenario)(scenario.trainer, lambda: scenario.fit() | {"callbacks": []})
    monkeypatch.setitem(SCENARIOS, "statistics", changed)
    assert {part for part, value in train("statistics", None).items() if value != expected[part]} >= {
        "params",
        "callbacks",
    }
