import dataclasses
import html
import io
from textwrap import dedent
from xml.etree import ElementTree

import pytest
from rich.console import Console

from jaxgraphs.errors import GraphValueError
from jaxgraphs.graph.count import count
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.rewrite import freeze
from jaxgraphs.graph.sequential import Sequential
from jaxgraphs.layers.core import Dense, Dropout, Embedding
from jaxgraphs.layers.joining import Concatenate
from jaxgraphs.layers.norm import BatchNormalization
from jaxgraphs.layers.recurrent import LSTM
from jaxgraphs.layers.wrap import layer
from jaxgraphs.symbolic.node import Input


def siamese():
    """One LSTM on two sentences."""
    left, right = Input((None, 128), name="left"), Input((None, 128), name="right")
    lstm = LSTM(32, name="lstm")
    merged = Concatenate(name="merged")([lstm(left), lstm(right)])
    return Graph([left, right], Dense(1, activation="sigmoid", name="same")(merged), name="siamese")


def nested():
    """A graph called twice within a graph, itself with a Sequential in it."""
    a = Input((8,), name="a")
    inner = Graph(a, Sequential([Dense(4, name="down"), Dense(8, name="up")], name="pair")(a) + a, name="inner")
    x = Input((8,), name="x")
    return Graph(x, Dense(2, name="y")(inner(inner(x))), name="outer")


TABLE = """\
    Graph 'siamese'
    =======================================================================
    Layer (type)          Output shape       Params  Connected to
    -----------------------------------------------------------------------
    left (Input)          (None, None, 128)       0
    right (Input)         (None, None, 128)       0
    lstm (LSTM)           (None, 32)         20,608  left[0][0]
      call 1              (None, 32)                 right[0][0]
    merged (Concatenate)  (None, 64)              0  lstm[0][0], lstm[1][0]
    same (Dense)          (None, 1)              65  merged[0][0]
    =======================================================================
    Total params: 20,673 (80.8 KiB)
    Trainable params: 20,673
    Non-trainable params: 0"""


def test_table():  # oracle: word for word, and the chapter's 20,673 and 20,608
    assert str(siamese().summary()) == dedent(TABLE)


def test_nested_graphs_unfold():  # oracle: the rows by hand
    rows = nested().summary(expand_nested=True).rows
    found = [(row.depth, row.name, row.kind, row.output_shape, row.params, row.connected_to) for row in rows]
    assert found == [
        (0, "x", "Input", (None, 8), 0, ()),
        (0, "inner", "Graph", (None, 8), 76, ("x[0][0]", "inner[0][0]")),
        (1, "a", "Input", (None, 8), 0, ()),
        (1, "pair", "Sequential", (None, 8), 76, ("a[0][0]",)),
        (2, "input_layer", "Input", (None, 8), 0, ()),
        (2, "down", "Dense", (None, 4), 36, ("input_layer[0][0]",)),
        (2, "up", "Dense", (None, 8), 40, ("down[0][0]",)),
        (1, "add", "Add", (None, 8), 0, ("pair[0][0]", "a[0][0]")),
        (0, "y", "Dense", (None, 2), 18, ("inner[1][0]",)),
    ]


def test_nested_graphs_are_folded_otherwise():  # oracle: the rows by hand
    summary = nested().summary()
    assert [row.name for row in summary.rows] == ["x", "inner", "y"]
    assert len(summary.rows[1].calls) == 2
    assert sum(row.params for row in summary.rows) == summary.totals.total == 94


def test_totals_equal_the_count():  # oracle: graph.count_params, graph.count
    x = Input((8,))
    graph = Graph(x, Dense(3)(Dropout(0.5)(BatchNormalization()(Dense(5, name="cold")(x)))))
    for each in (graph, freeze(graph, "cold"), freeze(graph)):
        totals = each.summary().totals
        assert totals.total == each.count_params()
        assert (totals.trainable, totals.non_trainable) == tuple(count(each))
        assert totals.bytes == 4 * totals.total
    assert "cold (Dense) frozen" in str(freeze(graph, "cold").summary())


def test_bytes_follow_the_dtype():  # oracle: two bytes each
    x = Input((8,))
    assert Graph(x, Dense(3, dtype="bfloat16")(x)).summary().totals.bytes == 2 * 27


def test_several_outputs():  # oracle: shapes by hand
    x = Input((5, 3), name="x")
    sequence, state, _ = LSTM(4, return_sequences=True, return_state=True, name="lstm")(x)
    graph = Graph(x, [sequence, Dense(2, name="y")(state)])
    _, lstm, dense = graph.summary().rows
    assert lstm.output_shape == [(None, 5, 4), (None, 4), (None, 4)]
    assert dense.connected_to == ("lstm[0][1]",)


def test_what_is_not_known():  # oracle: None in rows and totals; the note
    summary = Sequential([Dense(3)]).summary()
    assert [(row.params, row.output_shape) for row in summary.rows] == [(0, None), (None, None)]
    assert summary.totals.total is None
    assert "The shapes are not known yet: the Sequential has no Input" in str(summary)
    x = Input((None,))
    unknown = Graph(x, layer(lambda a: a * 2.0)(x) + Dense(3)(x).node.parents[0]).summary()
    assert unknown.totals.total == 0
    open_width = Graph(x, Dense(3)(x)).summary()
    assert open_width.totals.total is None
    assert "Total params: ? (?)" in str(open_width)


def test_costs_of_what_is_not_known():  # oracle: the message
    with pytest.raises(GraphValueError, match="has no Input"):
        Sequential([Dense(3)]).summary(cost=True)


def test_costs():  # oracle: hand counts
    x = Input((8,), name="x")
    shared = Dense(8, use_bias=False, name="shared")
    graph = Graph(x, Dense(4, use_bias=False, name="y")(shared(shared(x))), name="both")
    summary = graph.summary(cost=True)
    assert [(row.flops, row.bytes) for row in summary.rows] == [
        (0, 0),
        (256, 2 * 4 * (8 + 64 + 8)),
        (64, 4 * (8 + 32 + 4)),
    ]
    assert [row.share for row in summary.rows] == [0.0, 0.8, 0.2]
    assert summary.totals.flops == 320
    assert str(summary) == dedent("""\
        Graph 'both'
        =======================================================================
        Layer (type)    Output shape  Params  FLOPs  Bytes  Share  Connected to
        -----------------------------------------------------------------------
        x (Input)       (None, 8)          0      0    0 B   0.0%
        shared (Dense)  (None, 8)         64    256  640 B  80.0%  x[0][0]
          call 1        (None, 8)                                  shared[0][0]
        y (Dense)       (None, 4)         32     64  176 B  20.0%  shared[1][0]
        =======================================================================
        Total params: 96 (384 B)
        Trainable params: 96
        Non-trainable params: 0
        FLOPs: 320; bytes read and written: 816 B
        Costs are for 1 example, at inference.""")


def test_nested_costs_add_up():  # oracle: the inner rows' sum, and twice one call
    rows = {"/".join(row.path): row for row in nested().summary(cost=True, expand_nested=True).rows}
    inner = [row for row in rows.values() if row.depth == 1]
    assert rows["inner"].flops == sum(row.flops for row in inner)
    assert rows["inner/pair/down"].flops == 2 * (2 * 8 * 4 + 4)


def test_assumed_sizes_are_stated():  # oracle: the note
    x = Input((None,), dtype="int32", name="text")
    graph = Graph(x, Embedding(10, 4)(x))
    assert "Sizes not known are taken as 128 in text; sizes={...} gives others." in str(graph.summary(cost=True))
    assert "128" not in str(graph.summary(cost=True, sizes={"text": 7}))


def test_many_sources_take_several_lines():  # oracle: no line is wide, every source is there
    x = Input((4,), name="x")
    graph = Graph(x, Concatenate(name="all")([Dense(3, name=f"branch_number_{i}")(x) for i in range(9)]))
    text = str(graph.summary())
    assert all(f"branch_number_{i}[0][0]" in text for i in range(9))
    assert max(map(len, text.split("\n"))) < 110


def test_rows_are_frozen():  # oracle: dataclasses
    with pytest.raises(dataclasses.FrozenInstanceError):
        siamese().summary().rows[0].name = "other"


HOSTILE = '<b>&"[red]x[/red]'


def test_html_unfolds_and_escapes():  # oracle: an XML parser
    x = Input((8,), name=HOSTILE)
    graph = Graph(x, nested()(x))
    text = graph.summary()._repr_html_()
    tree = ElementTree.fromstring(text.replace("<br>", "<br/>"))
    cells = ["".join(cell.itertext()) for cell in tree.iter("td")]
    assert f"{HOSTILE} (Input)" in cells
    assert len(list(tree.iter("details"))) == 3
    deepest = [line for line in tree.findall(".//details//details//details//tr") if "down" in "".join(line.itertext())]
    assert deepest
    assert html.escape(HOSTILE) in text


def test_rich():  # oracle: the cells, brackets as they are
    x = Input((8,), name=HOSTILE)
    stream = io.StringIO()
    Console(file=stream, width=200).print(Graph(x, Dense(3, name="y")(x)).summary())
    shown = stream.getvalue()
    assert f"{HOSTILE} (Input)" in shown
    assert f"{HOSTILE}[0][0]" in shown
    assert "Total params: 27 (108 B)" in shown


def test_every_call_of_a_layer_called_often():  # oracle: rows and calls by hand
    x = Input((4,), name="x")
    shared, tensor = layer(lambda a: -a, name="minus"), x
    for _ in range(300):
        tensor = shared(tensor)
    (_, row) = Graph(x, tensor).summary().rows
    assert len(row.calls) == 300
    assert row.calls[299].connected_to == ("minus[298][0]",)
