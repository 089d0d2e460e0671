"""The order of places within ranks, with few crossings, and their coordinates, with straight edges."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

Ranks = list[list[int]]
Neighbours = Mapping[int, Sequence[int]]

# The order is improved in so many sweeps; fewer where there are many places, one beyond MANY.
_SWEEPS = 24
MANY = 20_000
_GAP = 18.0
# How strongly places of one column hold together; other links pull with 1.
_TIE = 12.0


def best_order(rank: Sequence[int], links: Sequence[tuple[int, int]]) -> Ranks:
    """The places of each rank in an order with few crossings, by sweeps of barycentres.

    Args:
        rank: of each place.
        links: pairs (upper, lower) of places one rank apart.
    """
    above, below = _neighbours(links)
    ranks = _first_order(rank, above, below)
    best, fewest = ranks, _crossings(ranks, below)
    for sweep in range(_SWEEPS if len(rank) < MANY // 8 else 4 if len(rank) < MANY else 1):
        if fewest == 0:
            break
        ranks = _sweep(ranks, above if sweep % 2 == 0 else below, is_down=sweep % 2 == 0)
        crossings = _crossings(ranks, below)
        if crossings < fewest:
            best, fewest = ranks, crossings
    return best


def place_in_ranks(ranks: Ranks, widths: Sequence[float], links: Sequence[tuple[int, int]]) -> list[float]:
    """The middle of each place along its rank: ordered, without overlap, near what it is linked to.

    A place that is the only one to read the only place it reads stands right below it, so that a branch is a column and
    a long edge is straight; a column is as wide as its widest place.

    Args:
        ranks: places in order.
        widths: of the places.
        links: as in `best_order`.
    """
    above, below = _neighbours(links)
    tied = {lower for upper, lower in links if len(below[upper]) == 1 and len(above[lower]) == 1}
    columns = _column_widths(ranks, widths, above, tied)
    xs = [0.0] * len(widths)
    for places in ranks:
        _settle(places, [(0.0, 1.0)] * len(places), columns, xs)

    def pull(place: int, sides: Sequence[Neighbours], is_last: bool) -> tuple[float, float]:
        """Where neighbours pull a place, and how strongly."""
        if is_last and place in tied:
            return xs[above[place][0]], _TIE
        others = [
            (xs[other], _TIE if (other if side is below else place) in tied else 1.0)
            for side in sides
            for other in side.get(place, ())
        ]
        strength = sum(weight for _, weight in others)
        return (sum(x * weight for x, weight in others) / strength, strength) if others else (xs[place], 0.1)

    def sweep(order: Ranks, sides: Sequence[Neighbours], is_last: bool = False) -> None:
        for places in order:
            _settle(places, [pull(place, sides, is_last) for place in places], columns, xs)

    for _ in range(8 if len(widths) < MANY else 2):
        sweep(ranks, [above])
        sweep(ranks[::-1], [below])
        sweep(ranks, [above, below])
    for _ in range(3):
        sweep(ranks[::-1], [above, below])
        sweep(ranks, [above, below], is_last=True)
    return xs


def _column_widths(ranks: Ranks, widths: Sequence[float], above: Neighbours, tied: set[int]) -> list[float]:
    """For each place the width of the widest place in its column."""
    head: dict[int, int] = {}
    widest: dict[int, float] = {}
    for places in ranks:
        for place in places:
            head[place] = head[above[place][0]] if place in tied else place
            widest[head[place]] = max(widest.get(head[place], 0.0), widths[place])
    return [widest[head[place]] for place in range(len(widths))]


def _neighbours(links: Sequence[tuple[int, int]]) -> tuple[Neighbours, Neighbours]:
    above: dict[int, list[int]] = defaultdict(list)
    below: dict[int, list[int]] = defaultdict(list)
    for upper, lower in links:
        below[upper].append(lower)
        above[lower].append(upper)
    return dict(above), dict(below)


def _first_order(rank: Sequence[int], above: Neighbours, below: Neighbours) -> Ranks:
    """Depth first from the sources, so that a branch stays together."""
    ranks: Ranks = [[] for _ in range(max(rank, default=-1) + 1)]
    seen = [False] * len(rank)
    stack = [place for place in reversed(range(len(rank))) if place not in above]
    while stack:
        place = stack.pop()
        if not seen[place]:
            seen[place] = True
            ranks[rank[place]].append(place)
            stack.extend(reversed(below.get(place, ())))
    return ranks


def _sweep(ranks: Ranks, neighbours: Neighbours, is_down: bool) -> Ranks:
    """Each rank sorted by the mean position of what its places are linked to in the rank before."""
    position: dict[int, float] = {}
    swept: Ranks = []
    for places in ranks if is_down else ranks[::-1]:
        means = {}
        for index, place in enumerate(places):
            others = neighbours.get(place, ())
            means[place] = sum(position[other] for other in others) / len(others) if others else float(index)
        ordered = sorted(places, key=means.__getitem__)
        position.update((place, float(index)) for index, place in enumerate(ordered))
        swept.append(ordered)
    return swept if is_down else swept[::-1]


def _crossings(ranks: Ranks, below: Neighbours) -> int:
    """How often links cross, over all pairs of ranks."""
    count = 0
    for upper, lower in pairwise(ranks):
        position = {place: index for index, place in enumerate(lower)}
        passed: list[int] = []
        for place in upper:
            ends = sorted(position[other] for other in below.get(place, ()))
            count += sum(len(passed) - bisect_right(passed, end) for end in ends)
            for end in ends:
                insort(passed, end)
    return count


def _settle(
    places: Sequence[int], pulls: Sequence[tuple[float, float]], widths: Sequence[float], xs: list[float]
) -> None:
    """The places as near to where they are pulled, in least squares, as order and widths allow.

    Without the widths this is isotonic regression, which pooling adjacent violators solves.
    """
    offsets, reach = [], 0.0
    for index, place in enumerate(places):
        reach += 0.0 if index == 0 else (widths[places[index - 1]] + widths[place]) / 2 + _GAP
        offsets.append(reach)
    pools: list[tuple[float, float, int]] = []
    for (wanted, weight), offset in zip(pulls, offsets, strict=True):
        mean, size = wanted - offset, 1
        while pools and pools[-1][0] >= mean:
            other, other_weight, other_size = pools.pop()
            mean = (mean * weight + other * other_weight) / (weight + other_weight)
            weight, size = weight + other_weight, size + other_size
        pools.append((mean, weight, size))
    means = (mean for mean, _, size in pools for _ in range(size))
    for place, mean, offset in zip(places, means, offsets, strict=True):
        xs[place] = mean + offset
