"""What one of several processes reads: each its own files, rows or batches, the same ones in every run."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jaxgraphs.data.reading import require_package
from jaxgraphs.errors import GraphTypeError, GraphValueError


def shard(items: Any, index: int | None = None, count: int | None = None) -> Any:
    """Every `count`-th item from number `index` on: the share of one process, which reads nothing of the others'.

    In a run of several processes `fit` joins the batches that each gives to one; who has one batch more than the others
    loses nothing by it. Arrays are given to `fit` whole: of those each process reads its rows by itself.

    Args:
        items: a list (of files, rows or batches), arrays in a dict or tuple, a Grain data set, an iterable, or a
            function of an epoch's number that gives one of these.
        index, count: the number of the process, and how many there are; as JAX knows them where left out.
    Returns: the same kind of thing; of an iterable one that can be read as often as the iterable itself.
    Raises: GraphError when `index` is not below `count`, or the items cannot be counted off.

    >>> shard(["a.csv", "b.csv", "c.csv"], index=0, count=2)
    ['a.csv', 'c.csv']
    >>> list(shard(lambda epoch: iter(range(7)), index=1, count=3)(0))
    [1, 4]
    """
    # JAX is asked only where it has to be: readers are light.
    own = int(require_package("jax", "jax").process_index() if index is None else index)
    all_of = int(require_package("jax", "jax").process_count() if count is None else count)
    if not 0 <= own < all_of:
        raise GraphValueError(
            "This is no share of the data.", received=f"index {own} of {all_of}", expected="0 <= index < count"
        )
    return _share(items, own, all_of)


def _share(items: Any, index: int, count: int) -> Any:
    if isinstance(items, Mapping):
        return {name: _share(column, index, count) for name, column in items.items()}
    if isinstance(items, tuple) and all(hasattr(column, "shape") for column in items):
        return tuple(_share(column, index, count) for column in items)
    if hasattr(items, "__getitem__"):
        return items[index::count]
    if isinstance(items, Iterable):
        return _Every(items, index, count)
    if callable(items):
        return lambda epoch: _share(items(epoch), index, count)
    raise GraphTypeError(
        "The items cannot be counted off.", received=type(items).__name__, expected="a list, arrays or an iterable"
    )


@dataclasses.dataclass(frozen=True)
class _Every:
    """A share of an iterable, read again where that can be."""

    items: Iterable[Any]
    index: int
    count: int

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(self.items, self.index, None, self.count)
