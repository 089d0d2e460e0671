"""One shape for every data set: arrays for training and for testing, and the trivial baselines they must beat."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxgraphs.data.reading import Fault
from jaxgraphs.errors import GraphValueError, ShapeMismatchError

Arrays = np.ndarray | dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Rows of inputs with their targets, ready for `Trainer.fit`.

    Args:
        inputs, targets: one array (n, ...), or a dict of such arrays by the names of inputs and outputs.
    Raises: ShapeMismatchError when the arrays differ in their number of rows.

    >>> split = Split(np.zeros((4, 3)), {"age": np.arange(4.0)})
    >>> len(split), split[:2].targets["age"].tolist()
    (4, [0.0, 1.0])
    """

    inputs: Any
    targets: Any

    def __post_init__(self) -> None:
        lengths = {name: len(array) for part in (self.inputs, self.targets) for name, array in _named(part)}
        if len({len(array) for part in (self.inputs, self.targets) for _, array in _named(part)}) > 1:
            received = ", ".join(f"{name or 'array'}: {length}" for name, length in lengths.items())
            raise ShapeMismatchError("The arrays of a split differ in their rows.", received=received)

    def __repr__(self) -> str:
        parts = [("inputs", self.inputs), ("targets", self.targets)]
        shown = (f"{array.dtype} {name or what} {array.shape}" for what, part in parts for name, array in _named(part))
        return f"<Split of {len(self):,} rows: {', '.join(shown)}>"

    def __len__(self) -> int:
        return len(next(array for _, array in _named(self.inputs)))

    def __getitem__(self, rows: slice | np.ndarray) -> Split:
        return Split(_mapped(self.inputs, lambda array: array[rows]), _mapped(self.targets, lambda array: array[rows]))


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Rows to train on and rows to test on; `faults` are the broken rows that were left out."""

    train: Split
    test: Split
    faults: tuple[Fault, ...] = dataclasses.field(default=(), kw_only=True)

    def baselines(self) -> Any:
        """What answering without looking scores on the test rows: the least a model must beat.

        A target of classes (integers, or floats that are all 0 or 1) is answered with the training rows' most
        common class, another target with their mean.

        Returns: {"accuracy": share in 0..1} or {"mae": unit, "mse": unit squared}, by name where targets are a dict.

        >>> rows = Split(np.zeros(4), np.array([1, 1, 1, 0]))
        >>> Dataset(rows, rows).baselines()
        {'accuracy': 0.75}
        """
        if not isinstance(self.train.targets, dict):
            return _baseline(self.train.targets, self.test.targets)
        return {name: _baseline(array, self.test.targets[name]) for name, array in self.train.targets.items()}


def deal(count: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Row numbers 0..count-1 in random order, dealt to training and testing.

    Args:
        count: how many rows there are.
        share: the part of them kept for testing, in 0..1 (1 excluded), rounded to whole rows.
        seed: the same seed deals the same rows, whatever the versions of Python and numpy.
    Returns: row numbers for training, row numbers for testing.
    Raises: GraphValueError for a share outside 0..1.

    >>> train, test = deal(10, 0.2, seed=0)
    >>> len(train), len(test), sorted(train + test) == list(range(10))
    (8, 2, True)
    """
    if not 0 <= share < 1:
        raise GraphValueError("The share of test rows does not fit.", received=str(share), expected="0 <= share < 1")
    # Only random() itself is promised to give one sequence on every version of Python.
    draw = random.Random(seed).random
    keys = [draw() for _ in range(count)]
    order = sorted(range(count), key=keys.__getitem__)
    cut = count - round(count * share)
    return order[:cut], order[cut:]


def _named(part: Arrays) -> list[tuple[str, np.ndarray]]:
    return list(part.items()) if isinstance(part, dict) else [("", part)]


def _mapped(part: Arrays, change: Callable[[np.ndarray], np.ndarray]) -> Arrays:
    return {name: change(array) for name, array in part.items()} if isinstance(part, dict) else change(part)


def _baseline(train: np.ndarray, test: np.ndarray) -> dict[str, float]:
    values, counts = np.unique(train, return_counts=True)
    if np.issubdtype(train.dtype, np.integer) or set(values.tolist()) <= {0.0, 1.0}:
        return {"accuracy": float(np.mean(test == values[np.argmax(counts)]))}
    errors = test.astype(np.float64) - train.astype(np.float64).mean()
    return {"mae": float(np.abs(errors).mean()), "mse": float(np.square(errors).mean())}
