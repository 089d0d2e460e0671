"""The share of each process: disjoint, together everything, the same each time."""

import types

import jax
import numpy as np
import pytest

import jaxgraphs as jg

ROWS = list(range(11))


class Again:
    """What can be read again and again."""

    def __iter__(self):
        return iter(ROWS)


SOURCES = {
    "list": ROWS,
    "array": np.arange(11),
    "iterable": Again(),
    "function": lambda epoch: (row for row in ROWS),
    "function of lists": lambda epoch: ROWS,
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("count", [1, 2, 4])
def test_shares_are_disjoint_and_together_all(kind, count):  # oracle: counting off by hand
    source = SOURCES[kind]
    shares = [jg.data.shard(source, index, count) for index in range(count)]
    for _ in range(2):
        read = [list(share(0) if isinstance(share, types.FunctionType) else share) for share in shares]
        assert read == [ROWS[index::count] for index in range(count)]


def test_arrays_stay_together():  # oracle: counting off by hand
    x, y = np.arange(5), {"a": np.arange(5) * 2}
    (first,), second = jg.data.shard((x,), 1, 2), jg.data.shard(y, 1, 2)
    assert (first.tolist(), second["a"].tolist()) == ([1, 3], [2, 6])


def test_a_grain_data_set():  # oracle: counting off by hand
    grain = pytest.importorskip("grain")
    share = jg.data.shard(grain.MapDataset.source(ROWS), 2, 3)
    assert list(share.to_iter_dataset()) == [2, 5, 8]


def test_the_process_is_known(monkeypatch):  # oracle: what JAX says
    assert jg.data.shard(ROWS) == ROWS
    monkeypatch.setattr(jax, "process_index", lambda: 3)
    monkeypatch.setattr(jax, "process_count", lambda: 4)
    assert jg.data.shard(ROWS) == [3, 7]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((ROWS, 2, 2), "This is no share of the data.\n  received: index 2 of 2\n  expected: 0 <= index < count"),
        (
            (3, 0, 2),
            "The items cannot be counted off.\n  received: int\n  expected: a list, arrays or an iterable",
        ),
    ],
)
def test_errors(given, text):  # oracle: the message, word for word
    with pytest.raises(jg.GraphError) as caught:
        jg.data.shard(*given)
    assert str(caught.value) == text
