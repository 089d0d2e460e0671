"""A scene as PNG, drawn by Pillow."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

from jaxgraphs.errors import GraphError
from jaxgraphs.inspect.colours import COLOURS, EDGE, QUIET, TEXT
from jaxgraphs.inspect.diagram import shortened
from jaxgraphs.inspect.layered import Point
from jaxgraphs.inspect.scene import FONT, LINE_HEIGHT, TITLE_FONT, PlacedBox, Scene, frame_title, legend_width, segments
from jaxgraphs.inspect.svg import arrow

# Larger pictures are drawn smaller, so that they fit into memory.
_MOST_PIXELS = 60_000_000
_SCALE = 2.0


def png(scene: Scene) -> bytes:
    """The picture as a PNG file, two pixels for each of the scene's where that is not too large.

    Raises: GraphError when Pillow is not installed.
    """
    image_module, drawing, fonts = _pillow()
    scale = min(_SCALE, math.sqrt(_MOST_PIXELS / (scene.width * scene.height)))
    size = (max(round(scene.width * scale), 1), max(round(scene.height * scale), 1))
    image = image_module.new("RGB", size, "white")
    _Pen(drawing.Draw(image), fonts, scale).scene(scene)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=False)
    return stream.getvalue()


class _Pen:
    """Draws in the scene's coordinates."""

    def __init__(self, draw: Any, fonts: Any, scale: float) -> None:
        self.draw, self.scale = draw, scale
        self.fonts = {font: fonts.load_default(max(font * scale, 1.0)) for font in (FONT, TITLE_FONT)}

    def scene(self, scene: Scene) -> None:
        self.text(scene.width / 2, 20, scene.title, TITLE_FONT, TEXT, is_bold=True)
        for placed in scene.boxes:
            self.box(placed)
        for route in scene.routes:
            self.edge(route, scene.is_sideways)
        self.legend(scene)

    def box(self, placed: PlacedBox) -> None:
        box, colour = placed.box, COLOURS[placed.box.group]
        self.rectangle(placed.x, placed.y, placed.width, placed.height, placed.box.group, 2.4 if box.is_shared else 1.2)
        middle = placed.x + placed.width / 2
        if box.inside is not None:
            self.text(placed.x + 9, placed.y + 13, frame_title(box), FONT, colour.stroke, "lm", is_bold=True)
            return
        self.text(middle, placed.y + LINE_HEIGHT - 4, shortened(box.title), TITLE_FONT, TEXT, is_bold=True)
        for index, line in enumerate(box.lines):
            self.text(middle, placed.y + LINE_HEIGHT * (index + 2) - 4, shortened(line), FONT, QUIET)

    def rectangle(self, x: float, y: float, width: float, height: float, group: str, thickness: float) -> None:
        corners = [value * self.scale for value in (x, y, x + width, y + height)]
        line = max(round(thickness * self.scale), 1)
        colour = COLOURS[group]
        self.draw.rounded_rectangle(corners, 5 * self.scale, fill=colour.fill, outline=colour.stroke, width=line)

    def text(
        self, x: float, y: float, text: str, font: float, colour: str, anchor: str = "mm", is_bold: bool = False
    ) -> None:
        # The font has one weight; a thin stroke makes it bold.
        stroke = 0.25 * self.scale if is_bold else 0
        place = (x * self.scale, y * self.scale)
        self.draw.text(
            place, text, fill=colour, font=self.fonts[font], anchor=anchor, stroke_width=stroke, stroke_fill=colour
        )

    def edge(self, route: Sequence[Point], is_sideways: bool) -> None:
        points = [route[0]]
        for _, *rest in segments(route, is_sideways):
            points.extend(rest if len(rest) == 1 else _curve((points[-1], *rest)))
        scaled = [(x * self.scale, y * self.scale) for x, y in points]
        self.draw.line(scaled, fill=EDGE, width=max(round(1.2 * self.scale), 1), joint="curve")
        self.draw.polygon([(x * self.scale, y * self.scale) for x, y in arrow(tuple(route), is_sideways)], fill=EDGE)

    def legend(self, scene: Scene) -> None:
        x, y = 16.0, scene.height - 26.0
        for group in scene.groups:
            self.rectangle(x, y, 14, 12, group, 1.2)
            self.text(x + 20, y + 6, group, FONT, QUIET, "lm")
            x += legend_width(group)


def _curve(corners: Sequence[Point], steps: int = 16) -> list[Point]:
    """Points on a cubic Bézier curve, its start left out."""

    def at(t: float) -> Point:
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        points = tuple(zip(weights, corners, strict=True))
        return sum(weight * x for weight, (x, _) in points), sum(weight * y for weight, (_, y) in points)

    return [at(step / steps) for step in range(1, steps + 1)]


def _pillow() -> tuple[Any, Any, Any]:
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise GraphError(
            "PNG files are drawn by Pillow, which is not installed.",
            expected="Pillow 10.1 or later",
            fix="pip install 'jaxgraphs[plot]'; .svg, .dot and .mmd need nothing",
        ) from error
    return Image, ImageDraw, ImageFont
