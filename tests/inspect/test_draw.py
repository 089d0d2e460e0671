import re
import sys
from xml.etree import ElementTree

import pytest

from jaxgraphs.errors import GraphError, GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.sequential import Sequential
from jaxgraphs.inspect.diagram import boxes_within, diagram_of
from jaxgraphs.inspect.draw import plot
from jaxgraphs.layers.core import Dense
from jaxgraphs.symbolic.node import Input
from tests.inspect import graphs

SVG = "{http://www.w3.org/2000/svg}"
DOT_BOX = re.compile(r'^\s*(n\d+) \[label=("(?:[^"\\]|\\.)*"), fillcolor="#[0-9a-f]{6}", color="#[0-9a-f]{6}".*\];$')
DOT_EDGE = re.compile(r"^  (n\d+) -> (n\d+);$")
MERMAID_BOX = re.compile(r'^\s+(n\d+)\["([^"]*)"\]$')


def dot_parts(text):
    """Boxes with their labels, and edges, of a DOT text in which every line is known."""
    boxes, edges, depth = {}, [], 0
    for line in text.strip().split("\n")[3:-1]:
        if match := DOT_BOX.match(line):
            boxes[match[1]] = re.sub(
                r"\\(.)", lambda escaped: "\n" if escaped[1] == "n" else escaped[1], match[2][1:-1]
            )
        elif match := DOT_EDGE.match(line):
            edges.append((match[1], match[2]))
        else:
            assert re.match(r'^\s*(subgraph cluster_n\d+ \{ label=".*";|\})$', line), line
            depth += 1 if "{" in line else -1
    assert depth == 0
    return boxes, edges


def test_a_diagram_has_a_box_for_each_call():  # oracle: boxes and edges by hand
    diagram = diagram_of(graphs.nested())
    assert [box.title for box in diagram.boxes] == ["x", "z", "shared", "shared", "inner", "inner", "lambda", "y"]
    assert diagram.links == ((0, 2), (1, 3), (2, 4), (3, 4), (4, 5), (5, 6), (0, 6), (6, 7))
    assert diagram.boxes[3].lines == ("Dense", "shared: call 2 of 2", "(None, 8)")
    assert [box.is_shared for box in diagram.boxes] == [False, False, True, True, True, True, False, False]


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ({}, ("Dense", "(None, 2)")),
        ({"show_shapes": False}, ("Dense",)),
        ({"show_params": True}, ("Dense", "(None, 2)", "18 params")),
    ],
)
def test_what_is_said_of_a_call(options, lines):  # oracle: the lines by hand
    assert diagram_of(graphs.nested(), **options).boxes[-1].lines == lines


def test_unfolded_graphs_are_unfolded_once():  # oracle: titles by hand
    diagram = diagram_of(graphs.nested(), expand_nested=True)
    first, second = [box for box in diagram.boxes if box.title == "inner"]
    assert [box.title for box in first.inside.boxes] == ["a", "b", "pair", "add", "side"]
    assert second.inside is None
    keys = [box.key for _, box in boxes_within(diagram)]
    assert len(set(keys)) == len(keys) == 16


@pytest.mark.parametrize(
    "graph", [graphs.nested(), graphs.hostile(), graphs.mixed(1)], ids=["nested", "hostile", "mixed"]
)
def test_svg(graph):  # oracle: an XML parser
    picture = plot(graph, expand_nested=True, show_params=True)
    tree = ElementTree.fromstring(picture._repr_svg_())
    boxes = list(boxes_within(picture.diagram))
    assert len(list(tree.iter(f"{SVG}g"))) == len(boxes)
    assert len(list(tree.iter(f"{SVG}path"))) == len(picture.scene.routes)
    titles = [title.text for title in tree.iter(f"{SVG}title")]
    assert titles == [picture.diagram.title, *("\n".join(["/".join(b.path), *b.lines]) for _, b in boxes)]
    assert {element.tag.removeprefix(SVG) for element in tree.iter()} == {
        *("svg", "title", "rect", "text", "g", "path", "polygon")
    }


def test_dot():  # oracle: a reader of DOT's quoting; edges by hand
    boxes, edges = dot_parts(plot(graphs.nested(), expand_nested=True).dot())
    names = {key: label.split("\n")[0] for key, label in boxes.items()}
    found = sorted((names[source], names[target]) for source, target in edges)
    assert found == sorted(
        [
            *[("x", "shared"), ("z", "shared"), ("shared", "a"), ("shared", "b"), ("a", "input_layer")],
            *[("input_layer", "down"), ("down", "up"), ("up", "add"), ("b", "add"), ("b", "side")],
            *[("add", "inner"), ("side", "inner"), ("inner", "lambda"), ("x", "lambda"), ("lambda", "y")],
        ]
    )


def test_hostile_names_are_text_in_dot():  # oracle: a reader of DOT's quoting
    boxes, edges = dot_parts(plot(graphs.hostile()).dot())
    assert [label.split("\n")[0] for label in boxes.values()] == [graphs.HOSTILE, '"]; drop --> a["']
    assert edges == [("n0", "n1")]


def test_hostile_names_are_text_in_mermaid():  # oracle: entities decoded by hand
    lines = plot(graphs.hostile()).mermaid().split("\n")
    labels = [match[2] for line in lines if (match := MERMAID_BOX.match(line))]
    assert not any(set(label.replace("<br/>", "")) & set("<>\"'`[]{}&") for label in labels)
    decoded = [re.sub(r"#(\d+);", lambda match: chr(int(match[1])), label.split("<br/>")[0]) for label in labels]
    assert decoded == [graphs.HOSTILE, '"]; drop --> a["']
    assert lines[0] == "flowchart TB"


@pytest.mark.parametrize(
    ("ending", "start"), [(".svg", b"<svg"), (".PNG", b"\x89PNG"), (".dot", b"digraph"), (".mmd", b"flow")]
)
def test_files(tmp_path, ending, start):  # oracle: the first bytes; nothing else is left in the folder
    path = tmp_path / f"model{ending}"
    path.write_text("old")
    picture = graphs.nested().plot(path)
    assert path.read_bytes().startswith(start)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert picture.svg().startswith("<svg")


def test_png_shows_boxes_in_their_colours(tmp_path):  # oracle: a pixel within each box
    from io import BytesIO

    from PIL import Image

    from jaxgraphs.inspect.colours import COLOURS

    picture = plot(graphs.mixed(2))
    image = Image.open(BytesIO(picture.png()))
    scale = image.size[0] / picture.scene.width
    for placed in picture.scene.boxes:
        pixel = image.getpixel((round((placed.x + 5) * scale), round((placed.y + placed.height - 4) * scale)))
        assert "#{:02x}{:02x}{:02x}".format(*pixel) == COLOURS[placed.box.group].fill


def test_another_ending(tmp_path):  # oracle: the message, word for word
    with pytest.raises(GraphValueError) as caught:
        graphs.nested().plot("model.jpg")
    assert str(caught.value) == (
        "A picture of a graph is written in one of four formats, by the file's ending.\n"
        "  received: 'model.jpg'\n"
        "  expected: .svg, .png, .dot, .mmd\n"
        '  fix:      graph.plot("model.svg")'
    )


def test_another_direction():  # oracle: the message
    with pytest.raises(GraphValueError, match="There is no such direction"):
        graphs.nested().plot(rankdir="UP")


def test_a_folder_that_is_not_there(tmp_path):  # oracle: the message; nothing is written
    with pytest.raises(GraphError, match="The picture cannot be written"):
        graphs.nested().plot(tmp_path / "far" / "model.svg")
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(GraphError, match="The picture cannot be written"):
        graphs.nested().plot(tmp_path / "folder.svg")
    assert [each.name for each in tmp_path.iterdir()] == ["folder.svg"]


def test_without_pillow(tmp_path, monkeypatch):  # oracle: the message; nothing is written
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(GraphError) as caught:
        graphs.nested().plot(tmp_path / "model.png")
    assert "pip install 'jaxgraphs[plot]'" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    graphs.nested().plot(tmp_path / "model.svg")


def test_a_sequential_without_input():  # oracle: unknown shapes are question marks
    assert "?" in diagram_of(Sequential([Dense(3)])).boxes[-1].lines


def test_an_inner_tensor_as_input():  # oracle: the box by hand
    h = Dense(5, name="below")(Input((4,)))
    diagram = diagram_of(Graph(h, Dense(3, name="y")(h)))
    assert [(box.title, box.lines[0]) for box in diagram.boxes] == [("below", "Input"), ("y", "Dense")]


def test_long_graphs():  # oracle: every call is a box
    picture = plot(graphs.residual(400))
    assert len(picture.scene.boxes) == 1 + 3 * 400 + 1
    assert picture.svg().endswith("</svg>\n")


def test_a_notebook_shows_a_graph():  # oracle: its picture and its table
    graph = graphs.nested()
    html = graph._repr_html_()
    assert html.startswith(graph.plot()._repr_svg_())
    assert html.endswith(f"<details><summary>layers</summary>{graph.summary()._repr_html_()}</details>")
