"""A scene as SVG; every text in it is escaped."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from jaxgraphs.inspect.colours import COLOURS, EDGE, QUIET, TEXT
from jaxgraphs.inspect.diagram import shortened
from jaxgraphs.inspect.layered import Point
from jaxgraphs.inspect.scene import FONT, LINE_HEIGHT, TITLE_FONT, PlacedBox, Scene, frame_title, legend_width, segments

_FONTS = "DejaVu Sans Mono, Menlo, Consolas, Liberation Mono, monospace"


def svg(scene: Scene) -> str:
    """The picture as an SVG document."""
    size = f'width="{scene.width:.0f}" height="{scene.height:.0f}" viewBox="0 0 {scene.width:.0f} {scene.height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family={quoteattr(_FONTS)} font-size="{FONT:.0f}">'
    parts = [head, f"<title>{escape(scene.title)}</title>", '<rect width="100%" height="100%" fill="white"/>']
    parts.append(_text(scene.width / 2, 24, scene.title, TITLE_FONT, TEXT, True))
    for placed in scene.boxes:
        parts.extend(_box(placed))
    # Edges come last, so that they show within the frames of nested graphs.
    parts.extend(_edge(route, scene.is_sideways) for route in scene.routes)
    parts.extend(_legend(scene))
    return "\n".join([*parts, "</svg>\n"])


def _box(placed: PlacedBox) -> Iterator[str]:
    box, colour = placed.box, COLOURS[placed.box.group]
    place = (placed.x, placed.y, placed.width, placed.height)
    tip = "\n".join(["/".join(box.path), *box.lines])
    yield f"<g><title>{escape(tip)}</title>"
    yield _rect(*place, colour.fill, colour.stroke, 2.4 if box.is_shared else 1.2, box.inside is not None)
    middle = placed.x + placed.width / 2
    if box.inside is not None:
        yield _text(placed.x + 9, placed.y + 16, frame_title(box), FONT, colour.stroke, True, "start")
    else:
        yield _text(middle, placed.y + LINE_HEIGHT, shortened(box.title), TITLE_FONT, TEXT, True)
        for index, line in enumerate(box.lines):
            yield _text(middle, placed.y + LINE_HEIGHT * (index + 2), shortened(line), FONT, QUIET)
    yield "</g>"


def _rect(
    x: float, y: float, width: float, height: float, fill: str, stroke: str, thickness: float, is_frame: bool
) -> str:
    dashes = ' stroke-dasharray="6 3"' if is_frame else ""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="5"'
    return f'<rect {place} fill="{fill}" stroke="{stroke}" stroke-width="{thickness}"{dashes}/>'


def _text(
    x: float, y: float, text: str, font: float, colour: str, is_bold: bool = False, anchor: str = "middle"
) -> str:
    weight = ' font-weight="bold"' if is_bold else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{font:.0f}"'
    return f'<text {place} fill="{colour}"{weight} xml:space="preserve">{escape(text)}</text>'


def _edge(route: tuple[Point, ...], is_sideways: bool) -> str:
    path = [f"M{route[0][0]:.1f} {route[0][1]:.1f}"]
    for _, *points in segments(route, is_sideways):
        path.append(("L" if len(points) == 1 else "C") + " ".join(f"{x:.1f} {y:.1f}" for x, y in points))
    tip = " ".join(f"{x:.1f},{y:.1f}" for x, y in arrow(route, is_sideways))
    line = f'<path d="{"".join(path)}" fill="none" stroke="{EDGE}" stroke-width="1.3"/>'
    return f'{line}<polygon points="{tip}" fill="{EDGE}"/>'


def arrow(route: tuple[Point, ...], is_sideways: bool, length: float = 7.0) -> tuple[Point, Point, Point]:
    """The corners of the head at the end of a route, which arrives straight whatever comes before."""
    (x, y), (from_x, from_y) = route[-1], route[-2]
    half = length / 2.2
    if is_sideways:
        back = x - length if x > from_x else x + length
        return (x, y), (back, y - half), (back, y + half)
    back = y - length if y > from_y else y + length
    return (x, y), (x - half, back), (x + half, back)


def _legend(scene: Scene) -> Iterator[str]:
    x, y = 16.0, scene.height - 26.0
    for group in scene.groups:
        colour = COLOURS[group]
        yield _rect(x, y, 14.0, 12.0, colour.fill, colour.stroke, 1.2, False)
        yield _text(x + 20, y + 10, group, FONT, QUIET, False, "start")
        x += legend_width(group)
