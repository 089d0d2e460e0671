"""A layered layout of a directed acyclic graph: ranks, order within a rank, coordinates, and ways for the edges.

After Sugiyama, Tagawa and Toda (1981), IEEE Transactions on Systems, Man, and Cybernetics 11(2), 109-125. Boxes stand
in bands, one below the other; an edge bends only in the gaps between bands, and passes a band in a place of its own, so
that no edge crosses a box.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

from jaxgraphs.inspect.placing import best_order, place_in_ranks

Point = tuple[float, float]

# An edge over many ranks takes a place in each. Beyond so many places such edges run down the right side instead.
MOST_PLACES = 20_000
# So many tracks are there on the right side.
_TRACKS = 60
_TRACK_WIDTH = 6.0
# The width that an edge takes in a band.
_EDGE_WIDTH = 8.0


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where things are.

    Args:
        centres: of the boxes.
        routes: for each edge the points it goes through. Between points that differ in both coordinates it bends.
        width, height: of the whole.
    """

    centres: tuple[Point, ...]
    routes: tuple[tuple[Point, ...], ...]
    width: float
    height: float


@dataclasses.dataclass
class _Layers:
    """Places in ranks: those of boxes come first, those of long edges after."""

    rank: list[int]
    widths: list[float]
    links: list[tuple[int, int]]
    chains: dict[int, list[int]]
    tracks: list[int]


def layered(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> Layout:
    """A layout from top to bottom.

    Args:
        sizes: width and height of each box.
        edges: pairs (from, to) of box numbers, with from < to.

    >>> layout = layered([(40.0, 20.0), (40.0, 20.0)], [(0, 1)])
    >>> layout.centres[0][1] < layout.centres[1][1]
    True
    """
    layers = _with_places(_ranks(len(sizes), edges), [width for width, _ in sizes], edges)
    ranks = best_order(layers.rank, layers.links)
    xs = place_in_ranks(ranks, layers.widths, layers.links)
    left = min((x - width / 2 for x, width in zip(xs, layers.widths, strict=True)), default=0.0)
    xs = [x - left for x in xs]
    width = max((x + width / 2 for x, width in zip(xs, layers.widths, strict=True)), default=0.0)
    bands = _bands(layers, ranks, xs, [height for _, height in sizes])
    centres = tuple((xs[box], sum(bands[layers.rank[box]]) / 2) for box in range(len(sizes)))
    routes = _routes(layers, sizes, edges, centres, xs, bands, width)
    if layers.tracks:
        width += (_TRACKS + 1) * _TRACK_WIDTH
    return Layout(centres, routes, width, bands[-1][1] if bands else 0.0)


def _ranks(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The longest way from a source; a source stands right above what first reads it."""
    rank, nearest = [0] * count, {}
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        rank[target] = max(rank[target], rank[source] + 1)
    targets = {target for _, target in edges}
    for source, target in edges:
        nearest[source] = min(nearest.get(source, rank[target]), rank[target])
    return [rank[box] if box in targets or box not in nearest else nearest[box] - 1 for box in range(count)]


def _with_places(rank: list[int], widths: list[float], edges: Sequence[tuple[int, int]]) -> _Layers:
    """A place in each rank that a long edge passes."""
    layers = _Layers(list(rank), list(widths), [], {}, [])
    wanted = sum(rank[target] - rank[source] - 1 for source, target in edges)
    for number, (source, target) in enumerate(edges):
        span = range(rank[source] + 1, rank[target])
        if wanted > MOST_PLACES and span:
            layers.tracks.append(number)
            continue
        chain = list(range(len(layers.rank), len(layers.rank) + len(span)))
        layers.rank.extend(span)
        layers.widths.extend(_EDGE_WIDTH for _ in span)
        layers.chains[number] = chain
        layers.links.extend(zip([source, *chain], [*chain, target], strict=True))
    return layers


def _bands(
    layers: _Layers, ranks: Sequence[Sequence[int]], xs: Sequence[float], heights: Sequence[float]
) -> list[tuple[float, float]]:
    """Top and bottom of each rank; a gap is higher where an edge goes far sideways in it."""
    reach: dict[int, float] = defaultdict(float)
    for source, target in layers.links:
        rank = layers.rank[source]
        reach[rank] = max(reach[rank], abs(xs[source] - xs[target]))
    bands, top = [], 0.0
    for rank, places in enumerate(ranks):
        bottom = top + max((heights[place] for place in places if place < len(heights)), default=0.0)
        bands.append((top, bottom))
        top = bottom + min(26.0 + 0.08 * reach[rank], 80.0)
    return bands


def _routes(
    layers: _Layers,
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    centres: Sequence[Point],
    xs: Sequence[float],
    bands: Sequence[tuple[float, float]],
    width: float,
) -> tuple[tuple[Point, ...], ...]:
    ends = _end_points(layers, sizes, edges, xs)
    tracks = {number: width + (1 + index % _TRACKS) * _TRACK_WIDTH for index, number in enumerate(layers.tracks)}
    routes = []
    for number, (source, target) in enumerate(edges):
        start_x, end_x = centres[source][0], ends[number]
        above, below = bands[layers.rank[source]][1], bands[layers.rank[target]][0]
        points = [(start_x, centres[source][1] + sizes[source][1] / 2), (start_x, above)]
        if number in layers.chains:
            for place in layers.chains[number]:
                points.extend((xs[place], y) for y in bands[layers.rank[place]])
        else:
            track = tracks[number]
            points.extend([(start_x, above + 8), (track, above + 8), (track, below - 12), (end_x, below - 12)])
        points.extend([(end_x, below), (end_x, centres[target][1] - sizes[target][1] / 2)])
        routes.append(_without_repeats(points))
    return tuple(routes)


def _without_repeats(points: Sequence[Point]) -> tuple[Point, ...]:
    """The points without those that are where the one before is, up to rounding."""
    kept = list(points[:1])
    for point in points[1:]:
        if abs(point[0] - kept[-1][0]) + abs(point[1] - kept[-1][1]) > 1e-6:
            kept.append(point)
    return tuple(kept)


def _end_points(
    layers: _Layers, sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], xs: Sequence[float]
) -> list[float]:
    """Where along its target's top each edge ends: side by side, in the order in which they come."""
    arriving: dict[int, list[int]] = defaultdict(list)
    for number, (_, target) in enumerate(edges):
        arriving[target].append(number)
    ends = [0.0] * len(edges)
    for target, numbers in arriving.items():
        before = {number: xs[[edges[number][0], *layers.chains.get(number, [])][-1]] for number in numbers}
        step = min(16.0, 0.7 * sizes[target][0] / len(numbers))
        for index, number in enumerate(sorted(numbers, key=before.__getitem__)):
            ends[number] = xs[target] + step * (index - (len(numbers) - 1) / 2)
    return ends
