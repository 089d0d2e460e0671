"""Colours by what a layer does: light enough for dark text, apart in lightness or hue."""

from __future__ import annotations

from typing import NamedTuple


class Colour(NamedTuple):
    """Of a box: its inside and its edge."""

    fill: str
    stroke: str


COLOURS = {
    "input": Colour("#e9ecef", "#495057"),
    "convolution": Colour("#d0e4fb", "#2866a8"),
    "pooling": Colour("#c9efe3", "#1f7a5c"),
    "recurrent": Colour("#e4d9f7", "#6a42b0"),
    "normalisation": Colour("#fdf3c4", "#a07d0a"),
    "attention": Colour("#f9d3e6", "#a83074"),
    "dense": Colour("#fbdcc4", "#b35a17"),
    "merge": Colour("#dff0c5", "#5b8418"),
    "noise": Colour("#eee3da", "#86694f"),
    "activation": Colour("#fbd0cd", "#b23a32"),
    "shape": Colour("#d5eef4", "#2a7f93"),
    "nested graph": Colour("#f4f1ff", "#4c3fa5"),
    "other": Colour("#f1f3f5", "#868e96"),
}
TEXT, QUIET, EDGE = "#16191d", "#495057", "#5c636a"
