"""Every layer once in one list, crossed with every check; the lists are the cases_*.py beside this file."""

import importlib
from collections import Counter
from pathlib import Path

import pytest

from tests.layers import case as checks

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("cases_*.py"))
CASES = [case for module in MODULES for case in importlib.import_module(f"tests.layers.{module}").CASES]
TWINS = [case for case in CASES if case.theirs is not None]


def few_of_each_kind(cases, most, kind_of=lambda case: type(case.ours())):
    """All cases; those of a class that `most` earlier ones stand for run with the slow tests."""
    seen = Counter()
    for case in cases:
        kind = kind_of(case)
        yield pytest.param(case, marks=[pytest.mark.slow] if seen[kind] >= most else [], id=case.name)
        seen[kind] += 1


def subject(case):
    """The file that the case's layer is from."""
    return type(case.ours()).__module__


@pytest.mark.parametrize("case", CASES, ids=str)
def test_arrays(case):  # oracle: the declared specs
    checks.check_specs(case)


@pytest.mark.parametrize("case", list(few_of_each_kind(TWINS, 2)))
def test_numbers(case):  # oracle: Keras
    checks.check_against_keras(case)


@pytest.mark.parametrize("case", list(few_of_each_kind(CASES, 2, subject)))
def test_transforms(case):  # oracle: the plain call
    checks.check_transforms(case)
