"""Every layer once in one list, crossed with every check; the lists are the cases_*.py beside this file."""

import importlib
from pathlib import Path

import pytest

from tests.layers import case as checks

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("cases_*.py"))
CASES = [case for module in MODULES for case in importlib.import_module(f"tests.layers.{module}").CASES]
TWINS = [case for case in CASES if case.theirs is not None]


def first_of_each_kind():
    """All cases; those of a class that an earlier one stands for run with the slow tests."""
    seen = set()
    for case in CASES:
        kind = type(case.ours())
        yield pytest.param(case, marks=[pytest.mark.slow] if kind in seen else [], id=case.name)
        seen.add(kind)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_arrays(case):  # oracle: the declared specs, and Keras' shapes
    checks.check_specs(case)


@pytest.mark.parametrize("case", TWINS, ids=str)
def test_numbers(case):  # oracle: Keras
    checks.check_against_keras(case)


@pytest.mark.parametrize("case", list(first_of_each_kind()))
def test_transforms(case):  # oracle: the plain call
    checks.check_transforms(case)
