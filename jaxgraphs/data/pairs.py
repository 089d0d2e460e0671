"""Pairs of sequences, and whether both have one source: made up with a best score that is known, or of pictures."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

import numpy as np

from jaxgraphs.data.split import Dataset, Split
from jaxgraphs.errors import GraphValueError

_SYMBOLS, _STEPS, _FIDELITY = 6, 12, 0.8
# Each source turns the six symbols round in an order of its own; no step of one is a step of another.
_SOURCES = ((0, 1, 2, 3, 4, 5), (0, 2, 1, 3, 5, 4), (0, 4, 1, 5, 3, 2), (0, 5, 2, 4, 3, 1))


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs(Dataset):
    """Inputs "left" and "right", float32 (n, time, features), and targets float32 (n,): 1 where one source made both.

    `best` is the share of test pairs, 0..1, that are right if the sources are known: no model does better but by luck.
    """

    best: float | None = dataclasses.field(default=None, kw_only=True)


def generate(seed: int = 0, train: int = 4_000, test: int = 1_000) -> Pairs:
    """Sequences of six symbols from four sources: a source goes on to its own next symbol, or one time in five to any.

    The source of a sequence shows only in the order of its symbols; half of the pairs share theirs.

    Args:
        seed: the same seed gives the same pairs, whatever the versions of Python and numpy.
        train, test: how many pairs; both positive.
    Returns: Pairs of one-hot sequences (n, 12, 6).
    Raises: GraphValueError when a count is not positive.

    >>> pairs = generate(train=8, test=4)
    >>> pairs.train.inputs["left"].shape, pairs.test.targets.shape
    ((8, 12, 6), (4,))
    """
    if train < 1 or test < 1:
        raise GraphValueError("A count of pairs must be positive.", received=f"train={train}, test={test}")
    draw = random.Random(seed)
    drawn = [_drawn(draw) for _ in range(train + test)]
    left, right = (np.array([pair[side] for pair in drawn]) for side in (0, 1))
    same = np.array([pair[2] for pair in drawn], np.float32)
    whole = Split({"left": _one_hot(left), "right": _one_hot(right)}, same)
    guessed = same_source(left[train:], right[train:]) > 0.5
    return Pairs(whole[:train], whole[train:], best=float(np.mean(guessed == (same[train:] > 0.5))))


def same_source(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The probability, by Bayes' rule, that one source made both sequences of symbols.

    Args:
        left, right: (n, time) symbols, as `generate` draws them.
    Returns: (n,) in 0..1.
    """
    one, other = _posterior(left), _posterior(right)
    agree = np.sum(one * other, axis=1)
    # Half of the pairs share their source; unlike sources are equally likely.
    return agree / (agree + (1 - agree) / (len(_SOURCES) - 1))


def of_classes(split: Split, seed: int = 0) -> Split:
    """Pairs of pictures read row by row: each row of `split` with another, half of them of its own class.

    Args:
        split: inputs (n, height, width, 1) and targets (n,), classes.
        seed: of the partners.
    Returns: Split with inputs "left" and "right" (n, height, width), and targets float32 (n,), 1 where classes agree.
    """
    draw = random.Random(seed)
    rows = [np.flatnonzero(split.targets == own) for own in np.unique(split.targets)]
    number = {int(split.targets[group[0]]): index for index, group in enumerate(rows)}
    partners = np.array([_partner(draw, rows, number[int(own)]) for own in split.targets])
    pictures = split.inputs[..., 0]
    same = (split.targets == split.targets[partners]).astype(np.float32)
    return Split({"left": pictures, "right": pictures[partners]}, same)


def _partner(draw: random.Random, rows: Sequence[np.ndarray], own: int) -> int:
    group = own
    if len(rows) > 1 and draw.random() < 0.5:
        group = (own + 1 + _below(draw, len(rows) - 1)) % len(rows)
    return int(rows[group][_below(draw, len(rows[group]))])


def _drawn(draw: random.Random) -> tuple[list[int], list[int], bool]:
    is_same = draw.random() < 0.5
    first = _below(draw, len(_SOURCES))
    second = first if is_same else (first + 1 + _below(draw, len(_SOURCES) - 1)) % len(_SOURCES)
    return _sequence(draw, _SOURCES[first]), _sequence(draw, _SOURCES[second]), is_same


def _sequence(draw: random.Random, cycle: Sequence[int]) -> list[int]:
    symbols = [_below(draw, _SYMBOLS)]
    for _ in range(_STEPS - 1):
        is_next = draw.random() < _FIDELITY
        symbols.append(cycle[(cycle.index(symbols[-1]) + 1) % _SYMBOLS] if is_next else _below(draw, _SYMBOLS))
    return symbols


def _posterior(symbols: np.ndarray) -> np.ndarray:
    """(n, sources): how likely each source is, of sequences (n, time)."""
    logs = np.stack([np.log(_steps(cycle))[symbols[:, :-1], symbols[:, 1:]].sum(axis=1) for cycle in _SOURCES], axis=1)
    likelihood = np.exp(logs - logs.max(axis=1, keepdims=True))
    return likelihood / likelihood.sum(axis=1, keepdims=True)


def _steps(cycle: Sequence[int]) -> np.ndarray:
    """(symbols, symbols): the probability of each next symbol after each."""
    table = np.full((_SYMBOLS, _SYMBOLS), (1 - _FIDELITY) / _SYMBOLS)
    for place, symbol in enumerate(cycle):
        table[symbol, cycle[(place + 1) % _SYMBOLS]] += _FIDELITY
    return table


def _one_hot(symbols: np.ndarray) -> np.ndarray:
    return np.eye(_SYMBOLS, dtype=np.float32)[symbols]


def _below(draw: random.Random, limit: int) -> int:
    # Only random() is promised to give one sequence on every version of Python.
    return int(draw.random() * limit)
