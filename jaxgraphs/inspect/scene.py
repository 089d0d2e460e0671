"""A diagram with every box and edge in its place, in pixels: what SVG and PNG are both written from."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise

from jaxgraphs.inspect.diagram import Box, Diagram, boxes_within, shortened
from jaxgraphs.inspect.layered import Point, layered

FONT, TITLE_FONT = 11.0, 12.0
LINE_HEIGHT = 15.0
# A character of a fixed-width font is this wide, as a part of its height.
_ADVANCE = 0.61
_PADDING = 9.0
# Around what a nested graph holds, and above it for its name.
_FRAME, _HEADING = 14.0, 24.0
_MARGIN = 16.0
_LEGEND_HEIGHT = 30.0

DIRECTIONS = ("TB", "BT", "LR", "RL")


@dataclasses.dataclass(frozen=True)
class PlacedBox:
    """A box, its left upper corner and its size; a nested graph that is unfolded is a frame around its boxes."""

    box: Box
    x: float
    y: float
    width: float
    height: float


@dataclasses.dataclass(frozen=True)
class Scene:
    """What is to be drawn; frames come before what is in them.

    Args:
        boxes: in their places.
        routes: the points of each edge, from its source to its target.
        groups: what the layers do, for the legend.
        width, height: of the picture.
        is_sideways: whether edges leave boxes sideways.
    """

    title: str
    boxes: tuple[PlacedBox, ...]
    routes: tuple[tuple[Point, ...], ...]
    groups: tuple[str, ...]
    width: float
    height: float
    is_sideways: bool


@dataclasses.dataclass
class _Part:
    """A diagram laid out for itself, its corner at the origin."""

    diagram: Diagram
    corners: list[Point]
    sizes: list[tuple[float, float]]
    routes: list[tuple[Point, ...]]
    width: float
    height: float


def scene_of(diagram: Diagram, rankdir: str = "TB") -> Scene:
    """The places of all boxes and edges.

    Args:
        diagram: to lay out; nested ones are laid out first and then placed as boxes.
        rankdir: where the edges lead: TB, BT, LR or RL.
    """
    parts: dict[int, _Part] = {}
    for each in reversed([diagram, *(box.inside for _, box in boxes_within(diagram) if box.inside is not None)]):
        parts[id(each)] = _lay_out(each, parts, rankdir)
    whole = parts[id(diagram)]
    groups = tuple(dict.fromkeys(box.group for _, box in boxes_within(diagram)))
    legend = sum(legend_width(group) for group in groups)
    width = max(whole.width, legend, text_width(diagram.title, TITLE_FONT)) + 2 * _MARGIN
    boxes, routes = _collected(whole, parts, (width - whole.width) / 2)
    height = whole.height + 2 * _MARGIN + _HEADING + _LEGEND_HEIGHT
    return Scene(diagram.title, tuple(boxes), tuple(routes), groups, width, height, rankdir in ("LR", "RL"))


def text_width(text: str, font: float) -> float:
    """The width of a text in a fixed-width font; East Asian characters take two places, accents none."""
    places = sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )
    return places * font * _ADVANCE


def legend_width(group: str) -> float:
    """The width of a group's entry in the legend."""
    return 34.0 + text_width(group, FONT)


def segments(route: Sequence[Point], is_sideways: bool) -> Iterator[tuple[Point, ...]]:
    """A route as lines (two points) and cubic curves (four), each from where the one before ends."""
    for (x, y), (to_x, to_y) in pairwise(route):
        if abs(x - to_x) < 0.01 or abs(y - to_y) < 0.01:
            yield (x, y), (to_x, to_y)
        elif is_sideways:
            middle = (x + to_x) / 2
            yield (x, y), (middle, y), (middle, to_y), (to_x, to_y)
        else:
            middle = (y + to_y) / 2
            yield (x, y), (x, middle), (to_x, middle), (to_x, to_y)


def _size(box: Box, parts: dict[int, _Part]) -> tuple[float, float]:
    if box.inside is not None:
        part = parts[id(box.inside)]
        title = text_width(frame_title(box), FONT) + 2 * _PADDING
        return max(part.width + 2 * _FRAME, title), part.height + _HEADING + _FRAME
    title = text_width(shortened(box.title), TITLE_FONT) * 1.05
    widest = max([title, *(text_width(shortened(line), FONT) for line in box.lines)])
    return widest + 2 * _PADDING, LINE_HEIGHT * (1 + len(box.lines)) + _PADDING


def frame_title(box: Box) -> str:
    """What is written above an unfolded nested graph."""
    return f"{shortened(box.title)} ({box.lines[0]})"


def _lay_out(diagram: Diagram, parts: dict[int, _Part], rankdir: str) -> _Part:
    """The layout in the direction wanted: made from top to bottom, then turned."""
    sizes = [_size(box, parts) for box in diagram.boxes]
    is_sideways = rankdir in ("LR", "RL")
    laid = layered([(h, w) if is_sideways else (w, h) for w, h in sizes], diagram.links)
    width, height = (laid.height, laid.width) if is_sideways else (laid.width, laid.height)

    def turned(point: Point) -> Point:
        x, y = point[::-1] if is_sideways else point
        return (width - x if rankdir == "RL" else x), (height - y if rankdir == "BT" else y)

    centres = [turned(centre) for centre in laid.centres]
    corners = [(x - w / 2, y - h / 2) for (x, y), (w, h) in zip(centres, sizes, strict=True)]
    routes = [tuple(turned(point) for point in route) for route in laid.routes]
    return _Part(diagram, corners, sizes, routes, width, height)


def _collected(whole: _Part, parts: dict[int, _Part], indent: float) -> tuple[list[PlacedBox], list[tuple[Point, ...]]]:
    """Boxes and routes of all parts, moved to where their frames are."""
    boxes: list[PlacedBox] = []
    routes: list[tuple[Point, ...]] = []
    queue = [(whole, indent, _MARGIN + _HEADING)]
    for part, left, top in queue:
        routes.extend(tuple((x + left, y + top) for x, y in route) for route in part.routes)
        for box, (x, y), (width, height) in zip(part.diagram.boxes, part.corners, part.sizes, strict=True):
            boxes.append(PlacedBox(box, x + left, y + top, width, height))
            if box.inside is not None:
                inner = parts[id(box.inside)]
                queue.append((inner, x + left + (width - inner.width) / 2, y + top + _HEADING))
    return boxes, routes
