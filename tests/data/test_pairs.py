"""Pairs of sequences: what is promised of their sources holds, and the best score is Bayes' own."""

import itertools

import numpy as np
import pytest

from jaxgraphs.data import pairs
from jaxgraphs.data.split import Split
from jaxgraphs.errors import GraphValueError


def test_same_seed_same_pairs():  # oracle: the same call once more
    one, again, other = pairs.generate(3, 20, 10), pairs.generate(3, 20, 10), pairs.generate(4, 20, 10)
    assert np.array_equal(one.train.inputs["left"], again.train.inputs["left"])
    assert not np.array_equal(one.train.inputs["left"], other.train.inputs["left"])


def test_half_of_the_pairs_agree_and_knowing_the_sources_tells_them():  # oracle: the declared shares
    made = pairs.generate(0, 2_000, 500)
    assert abs(made.train.targets.mean() - 0.5) < 0.04
    assert made.best is not None
    assert made.best > 0.98
    assert made.baselines()["accuracy"] < 0.56


def test_no_step_of_one_source_is_a_step_of_another():  # oracle: the sources themselves
    steps = [set(zip(cycle, cycle[1:] + cycle[:1], strict=True)) for cycle in pairs._SOURCES]
    assert all(sorted(cycle) == list(range(6)) for cycle in pairs._SOURCES)
    assert not any(one & other for one, other in itertools.combinations(steps, 2))


def test_same_source_is_bayes_rule():  # oracle: the sum over all pairs of sources, written out
    random = np.random.default_rng(0)
    left, right = random.integers(0, 6, (2, 5, 4))

    def likelihood(symbols, cycle):
        product = 1.0
        for now, after in itertools.pairwise(symbols):
            product *= 0.2 / 6 + 0.8 * (cycle[(cycle.index(now) + 1) % 6] == after)
        return product

    for one, other, found in zip(left.tolist(), right.tolist(), pairs.same_source(left, right), strict=True):
        table = np.outer(*([likelihood(symbols, cycle) for cycle in pairs._SOURCES] for symbols in (one, other)))
        same = np.trace(table) / 4 / 2
        unlike = (table.sum() - np.trace(table)) / 12 / 2
        assert np.isclose(found, same / (same + unlike))


def test_pairs_of_classes():  # oracle: pictures whose points are their class
    classes = np.arange(400, dtype=np.int32) % 10
    pictures = np.broadcast_to(classes[:, None, None, None], (400, 3, 2, 1)).astype(np.float32)
    made = pairs.of_classes(Split(pictures, classes))
    left, right = made.inputs["left"], made.inputs["right"]
    assert left.shape == right.shape == (400, 3, 2)
    assert np.array_equal(made.targets, (left[:, 0, 0] == right[:, 0, 0]).astype(np.float32))
    assert abs(made.targets.mean() - 0.5) < 0.1


def test_counts_are_positive():  # oracle: the message, word for word
    with pytest.raises(GraphValueError) as caught:
        pairs.generate(train=0)
    assert str(caught.value) == "A count of pairs must be positive.\n  received: train=0, test=1000"
