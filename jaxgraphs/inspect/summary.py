"""The table of a graph: rows as data, then as text, for a terminal and for a notebook."""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxgraphs.graph.graph import Graph
from jaxgraphs.inspect.cost import ASSUMED_SIZE, Sizes, costs
from jaxgraphs.inspect.html import table_html
from jaxgraphs.inspect.lines import is_right_aligned, number, row_lines, ruled, size
from jaxgraphs.inspect.placement import Placement, placement
from jaxgraphs.inspect.rows import Row, Totals, rows_of, totals_of
from jaxgraphs.symbolic.node import UNKNOWN
from jaxgraphs.symbolic.spec import is_known


@dataclasses.dataclass(frozen=True, repr=False)
class Summary:
    """A graph as a table: ``str()`` is plain text, `rows` and `totals` are data.

    Args:
        title: of the table.
        rows: one for each layer; those in nested graphs only where these are unfolded.
        totals: of the whole graph.
        notes: what a reader has to know of the numbers.
        all_rows: the rows with all nested graphs unfolded.
        placement: where each parameter lies, where arrays were shown.
    """

    title: str
    rows: tuple[Row, ...]
    totals: Totals
    notes: tuple[str, ...] = ()
    all_rows: tuple[Row, ...] = dataclasses.field(default=(), repr=False)
    placement: Placement | None = None

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n".join([self.title, *ruled(self.headers, self.table()), *self.footer()])

    @property
    def headers(self) -> tuple[str, ...]:
        """The titles of the columns."""
        cost = ("FLOPs", "Bytes", "Share") if self.totals.flops is not None else ()
        held = () if self.placement is None else ("Bytes a device",)
        return ("Layer (type)", "Output shape", "Params", *held, *cost, "Connected to")

    def table(self) -> list[tuple[str, ...]]:
        """The cells as texts, line by line; a further call of a layer has a line of its own."""
        return [line for row in self.rows for line in row_lines(row)]

    def footer(self) -> list[str]:
        """The totals and the notes."""
        totals = self.totals
        lines = [
            f"Total params: {number(totals.total)} ({size(totals.bytes)})",
            f"Trainable params: {number(totals.trainable)}",
            f"Non-trainable params: {number(totals.non_trainable)}",
        ]
        if totals.flops is not None:
            lines.append(f"FLOPs: {number(totals.flops)}; bytes read and written: {size(totals.moved)}")
        placed = [] if self.placement is None else ["", *self.placement.lines()]
        return [*lines, *self.notes, *placed]

    def __rich__(self) -> Any:
        """The table for a terminal, as rich shows it."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(self.title), title_justify="left")
        for header in self.headers:
            table.add_column(header, justify="right" if is_right_aligned(header) else "left", overflow="fold")
        for line in self.table():
            # Names are the user's; their brackets are not markup.
            table.add_row(*(Text(cell) for cell in line))
        return Group(table, *(Text(line) for line in self.footer()))

    def _repr_html_(self) -> str:
        """The table for a notebook; nested graphs unfold."""
        return table_html(self.title, self.headers, self.all_rows, self.footer())


def summary(
    graph: Graph,
    cost: bool = False,
    expand_nested: bool = False,
    *,
    batch_size: int = 1,
    sizes: Sizes | None = None,
    state: Any = None,
) -> Summary:
    """A graph as a table.

    Args:
        graph: to show.
        cost: whether to add floating-point operations, their share, and bytes read and written.
        expand_nested: whether the layers of nested graphs have rows.
        batch_size: how many examples the costs are for.
        sizes: for the costs, of inputs that leave them open: by name, a number or the whole shape without the batch.
        state: a TrainState or variables: adds how each parameter lies on the devices, and the bytes on each.
    Raises: GraphError when costs are asked of a graph whose inputs are not known, or `sizes` do not fit them.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((8,), name="x")
    >>> print(summary(Graph(x, Dense(3, name="y")(x), name="small")))
    Graph 'small'
    ================================================
    Layer (type)  Output shape  Params  Connected to
    ------------------------------------------------
    x (Input)     (None, 8)          0
    y (Dense)     (None, 3)         27  x[0][0]
    ================================================
    Total params: 27 (108 B)
    Trainable params: 27
    Non-trainable params: 0
    """
    spent = costs(graph, batch_size, sizes) if cost else None
    rows = rows_of(graph, spent or ())
    placed = None if state is None else placement(state)
    if placed is not None:
        rows = tuple(dataclasses.replace(row, per_device=placed.held(row.arrays or {})) for row in rows)
    shown = tuple(row for row in rows if expand_nested or row.depth == 0)
    label = f" {graph.name!r}" if graph.name else ""
    notes = _notes(graph, cost, batch_size, sizes or {})
    return Summary(f"{graph.kind}{label}", shown, totals_of(rows, spent), notes, rows, placed)


def _notes(graph: Graph, cost: bool, batch_size: int, sizes: Sizes) -> tuple[str, ...]:
    if UNKNOWN in graph.input_specs():
        return ("The shapes are not known yet: the Sequential has no Input; Sequential([Input((8,)), ...]) has one.",)
    if not cost:
        return ()
    assumed = [
        name
        for tensor, name in ((tensor, graph.tensor_name(tensor)) for tensor in graph.inputs)
        if name not in sizes and not is_known(tensor.spec.dims[1:])
    ]
    notes = [f"Costs are for {batch_size} example{'s' * (batch_size != 1)}, at inference."]
    if assumed:
        names = ", ".join(assumed)
        notes.append(f"Sizes not known are taken as {ASSUMED_SIZE} in {names}; sizes={{...}} gives others.")
    return tuple(notes)
