"""A table for a notebook that a click on a heading sorts; without scripts it is a plain table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_SORT = (
    "const t=this.closest('table'),i=this.cellIndex,d=this.dataset.down=this.dataset.down?'':'1',"
    "v=r=>r.cells[i].dataset.value,n=r=>parseFloat(v(r));"
    "[...t.tBodies[0].rows].sort((a,b)=>{const o=isNaN(n(a))||isNaN(n(b))?v(a).localeCompare(v(b)):n(a)-n(b);"
    "return d?o:-o}).forEach(r=>t.tBodies[0].append(r))"
)


def sortable_html(headers: Sequence[str], rows: Sequence[Sequence[tuple[str, str]]]) -> str:
    """HTML of a table; everything in it is escaped.

    Args:
        headers: of the columns; a click sorts upwards, the next one downwards.
        rows: for each cell the text shown and the text it is sorted by, numbers as numbers.

    >>> sortable_html(["loss"], [[("0.25", "0.25")]]).count("<td")
    1
    """
    style = "cursor:pointer;text-align:right"
    head = "".join(f'<th style="{style}" onclick="{escape(_SORT)}">{escape(header)}</th>' for header in headers)
    body = "".join(
        "<tr>" + "".join(f'<td data-value="{escape(value)}">{escape(shown)}</td>' for shown, value in row) + "</tr>"
        for row in rows
    )
    return (
        f'<table cellpadding="4" style="text-align:right"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )
