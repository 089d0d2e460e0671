"""The table of a graph for a notebook: nested graphs unfold on a click."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from jaxgraphs.inspect.lines import row_lines
from jaxgraphs.inspect.rows import Row

_STYLE = "font-family:monospace;text-align:left;white-space:pre;border-collapse:collapse"
_END = "</table></details></td></tr>"


def table_html(title: str, headers: Sequence[str], rows: Sequence[Row], footer: Sequence[str]) -> str:
    """The table as HTML; every name in it is escaped.

    Args:
        title, headers, footer: texts above, at the head of and below the table.
        rows: all, those of a nested graph directly after its own.
    """
    head = "<tr>" + "".join(f"<th>{escape(header)}</th>" for header in headers) + "</tr>"
    foot = "<br>".join(escape(line) for line in footer)
    return f"<div><strong>{escape(title)}</strong>{_table(head, len(headers), rows)}<div>{foot}</div></div>"


def _table(head: str, columns: int, rows: Sequence[Row]) -> str:
    """The rows of each nested graph are a table of their own, folded, below its own row."""
    # The attribute gives way to a page's own rules; a page without any would set the columns edge to edge.
    start = f'<table cellpadding="4" style="{_STYLE}">{head}'
    parts, depth = [start], 0
    for row in rows:
        if row.depth > depth:
            unfold = f"<summary>{escape(row.path[-2])} unfolded</summary>"
            parts.append(f'<tr><td colspan="{columns}"><details>{unfold}{start}')
        parts.extend(_END for _ in range(depth - row.depth))
        parts.extend(_lines(row))
        depth = row.depth
    return "".join([*parts, *(_END for _ in range(depth)), "</table>"])


def _lines(row: Row) -> Iterator[str]:
    for line in row_lines(row):
        yield "<tr>" + "".join(f"<td>{escape(cell.strip())}</td>" for cell in line) + "</tr>"
