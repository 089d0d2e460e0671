"""The graph as a picture: in a notebook, or as an SVG, PNG, DOT or Mermaid file, without any program outside Python."""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path

from jaxgraphs.errors import GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.inspect import texts
from jaxgraphs.inspect.diagram import Diagram, diagram_of
from jaxgraphs.inspect.scene import DIRECTIONS, Scene, scene_of
from jaxgraphs.writing import replacing

_FORMATS = (".svg", ".png", ".dot", ".mmd")


@dataclasses.dataclass(frozen=True)
class Picture:
    """A graph drawn; a notebook shows it.

    Args:
        diagram: its boxes and edges.
        rankdir: where the edges lead: TB, BT, LR or RL.
    """

    diagram: Diagram = dataclasses.field(repr=False)
    rankdir: str = "TB"

    @functools.cached_property
    def scene(self) -> Scene:
        """Where everything is, in pixels."""
        return scene_of(self.diagram, self.rankdir)

    def svg(self) -> str:
        """As an SVG document."""
        from jaxgraphs.inspect.svg import svg

        return svg(self.scene)

    def png(self) -> bytes:
        """As a PNG file.

        Raises: GraphError when Pillow is not installed.
        """
        from jaxgraphs.inspect.png import png

        return png(self.scene)

    def dot(self) -> str:
        """In Graphviz' language."""
        return texts.dot(self.diagram, self.rankdir)

    def mermaid(self) -> str:
        """In Mermaid's language."""
        return texts.mermaid(self.diagram, self.rankdir)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file that the path's ending says, whole or not at all.

        Raises: GraphError for another ending, or where the file cannot be written.
        """
        target = Path(path)
        _check_ending(target)
        contents = {".svg": self.svg, ".png": self.png, ".dot": self.dot, ".mmd": self.mermaid}[target.suffix.lower()]()
        with replacing(target, "The picture") as beside:
            beside.write_bytes(contents if isinstance(contents, bytes) else contents.encode())

    def _repr_svg_(self) -> str:
        return self.svg()


def plot(
    graph: Graph,
    path: str | os.PathLike[str] | None = None,
    *,
    show_shapes: bool = True,
    show_params: bool = False,
    expand_nested: bool = False,
    rankdir: str = "TB",
) -> Picture:
    """Draws a graph.

    Args:
        graph: to draw; each call is a box, and the calls of a shared layer have thick edges.
        path: of a file to write, ending in .svg, .png, .dot or .mmd; None for none.
        show_shapes, show_params: what is said of each call.
        expand_nested: whether nested graphs are unfolded, each at its first call.
        rankdir: where the edges lead: TB, BT, LR or RL.
    Returns: the picture, which a notebook shows.
    Raises: GraphError for another ending or direction, or where the file cannot be written.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((8,), name="x")
    >>> plot(Graph(x, Dense(3, name="y")(x))).svg()[:4]
    '<svg'
    """
    if rankdir not in DIRECTIONS:
        raise GraphValueError(
            "There is no such direction.", received=f"rankdir={rankdir!r}", expected=", ".join(DIRECTIONS)
        )
    if path is not None:
        _check_ending(Path(path))
    picture = Picture(
        diagram_of(graph, show_shapes=show_shapes, show_params=show_params, expand_nested=expand_nested), rankdir
    )
    if path is not None:
        picture.save(path)
    return picture


def _check_ending(path: Path) -> None:
    if path.suffix.lower() not in _FORMATS:
        raise GraphValueError(
            "A picture of a graph is written in one of four formats, by the file's ending.",
            received=repr(str(path)),
            expected=", ".join(_FORMATS),
            fix='graph.plot("model.svg")',
        )
