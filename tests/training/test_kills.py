"""A run that is killed again and again ends as one that was not; the long version is `python -m benchmarks.kills`."""

import random

import pytest

from benchmarks.kill_runs import SCENARIOS, train
from benchmarks.kills import expected_of, run_child, survive


def test_a_killed_run_ends_as_if_nothing_had_happened(tmp_path):  # oracle: the run without kills, bit for bit
    expected = expected_of("outputs")
    # The eighth event lies in the first save, the twentieth in one of the next.
    assert run_child("outputs", tmp_path, die_at=8) is None
    assert run_child("outputs", tmp_path, die_at=20) is None
    assert run_child("outputs", tmp_path) == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_kind_of_run_survives(name):  # oracle: the run without kills, bit for bit
    went = survive(name, 5, random.Random(name), expected_of(name), lambda made: None)
    assert went["differing"] == []


@pytest.mark.slow
def test_the_judge_sees_a_difference(tmp_path, monkeypatch):  # oracle: a run that forgets its callbacks' memory
    expected = train("statistics", tmp_path, is_saved=False)
    scenario = SCENARIOS["statistics"]
    changed = type(scenario)(scenario.trainer, lambda folder: scenario.fit(folder) | {"callbacks": []})
    monkeypatch.setitem(SCENARIOS, "statistics", changed)
    other = train("statistics", tmp_path, is_saved=False)
    assert {part for part, value in other.items() if value != expected[part]} >= {"params", "callbacks"}
