"""A diagram as DOT and as Mermaid; names that are code in either language are only text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from jaxgraphs.inspect.colours import COLOURS
from jaxgraphs.inspect.diagram import Box, Diagram

_MERMAID_PLAIN = re.compile(r"[A-Za-z0-9 _.,()\-]")


def dot(diagram: Diagram, rankdir: str = "TB") -> str:
    """The diagram in Graphviz' language.

    >>> print(dot(Diagram("empty", (), ())))
    digraph {
      graph [label="empty", labelloc=t, rankdir=TB];
      node [shape=box, style="rounded,filled", fontname="monospace", fontsize=11];
    }
    <BLANKLINE>
    """
    head = [
        f"  graph [label={quoted(diagram.title)}, labelloc=t, rankdir={rankdir}];",
        '  node [shape=box, style="rounded,filled", fontname="monospace", fontsize=11];',
    ]
    lines = _nested(diagram, _dot_box, lambda box: f"subgraph cluster_{box.key} {{ label={quoted(box.title)};", "}")
    edges = (f"  {source.key} -> {target.key};" for source, target in edges_of(diagram))
    return "\n".join(["digraph {", *head, *lines, *edges, "}\n"])


def mermaid(diagram: Diagram, rankdir: str = "TB") -> str:
    """The diagram in Mermaid's language, which GitHub and notebooks draw.

    >>> print(mermaid(Diagram("empty", (), ())))
    flowchart TB
    <BLANKLINE>
    """
    lines = _nested(diagram, _mermaid_box, lambda box: f'subgraph {box.key}x["{_entities(box.title)}"]', "end")
    edges = (f"  {source.key} --> {target.key}" for source, target in edges_of(diagram))
    boxes = list(_boxes(diagram))
    groups = dict.fromkeys(box.group for box in boxes)
    styles = [
        f"  classDef {_word(group)} fill:{COLOURS[group].fill},stroke:{COLOURS[group].stroke},color:#16191d"
        for group in groups
    ]
    classes = (f"  class {','.join(box.key for box in boxes if box.group == group)} {_word(group)}" for group in groups)
    return "\n".join([f"flowchart {rankdir}", *lines, *edges, *styles, *classes]) + "\n"


def quoted(text: str) -> str:
    r"""A text as a quoted string of DOT.

    >>> print(quoted('a "b" \\N'))
    "a \"b\" \\N"
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def edges_of(diagram: Diagram) -> tuple[tuple[Box, Box], ...]:
    """The edges between boxes, each once: into the very input of an unfolded nested graph, and out of the very box."""
    found: dict[tuple[str, str], tuple[Box, Box]] = {}
    queue = [diagram]
    for each in queue:
        for edge in each.edges:
            source, target = (
                _giving(each.boxes[edge.source], edge.output),
                _reading(each.boxes[edge.target], edge.input),
            )
            found[source.key, target.key] = (source, target)
        queue.extend(box.inside for box in each.boxes if box.inside is not None)
    return tuple(found.values())


def _reading(box: Box, entry: int) -> Box:
    """The Input that reads what a nested graph is given."""
    return box if box.inside is None else box.inside.boxes[box.inside.inputs[entry]]


def _giving(box: Box, output: int) -> Box:
    """The box within a nested graph that gives an output."""
    while box.inside is not None:
        number, output = box.inside.outputs[output]
        box = box.inside.boxes[number]
    return box


def _boxes(diagram: Diagram) -> Iterator[Box]:
    """The boxes that are drawn as such, in order."""
    queue = [diagram]
    for each in queue:
        for box in each.boxes:
            if box.inside is None:
                yield box
            else:
                queue.append(box.inside)


def _nested(diagram: Diagram, line: Callable[[Box], str], start: Callable[[Box], str], end: str) -> Iterator[str]:
    """A line for each box; those of an unfolded nested graph between its start and its end."""
    stack = [iter(diagram.boxes)]
    while stack:
        indent = "  " * len(stack)
        box = next(stack[-1], None)
        if box is None:
            stack.pop()
            if stack:
                yield "  " * len(stack) + end
        elif box.inside is None:
            yield indent + line(box)
        else:
            yield indent + start(box)
            stack.append(iter(box.inside.boxes))


def _dot_box(box: Box) -> str:
    colour = COLOURS[box.group]
    shared = ", penwidth=2.4" if box.is_shared else ""
    label = quoted("\n".join([box.title, *box.lines]))
    return f'{box.key} [label={label}, fillcolor="{colour.fill}", color="{colour.stroke}"{shared}];'


def _mermaid_box(box: Box) -> str:
    return f'{box.key}["{"<br/>".join(_entities(line) for line in (box.title, *box.lines))}"]'


def _entities(text: str) -> str:
    """A text with all that Mermaid or HTML might read as code as numbered characters."""
    return "".join(letter if _MERMAID_PLAIN.match(letter) else f"#{ord(letter)};" for letter in text)


def _word(group: str) -> str:
    return group.replace(" ", "_")
