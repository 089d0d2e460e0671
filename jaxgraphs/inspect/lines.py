"""Rows of a graph as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from jaxgraphs.inspect.rows import Call, Row

# What a layer reads is continued on a line of its own beyond this width.
_SOURCES_WIDTH = 48
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def row_lines(row: Row) -> list[tuple[str, ...]]:
    """The cells of a row's lines: one for each call, more where it reads much."""
    indent = "  " * row.depth
    label = f"{indent}{row.name} ({row.kind})" + ("" if row.trainable or not row.params else " frozen")
    cost = () if row.per_device is None else (number(row.per_device),)
    cost += () if row.flops is None else (number(row.flops), size(row.bytes), f"{row.share:.1%}")
    lines: list[tuple[str, ...]] = []
    for index, call in enumerate(row.calls):
        sources = _wrapped(call.connected_to)
        head = (label, shapes(call), number(row.params), *cost)
        again = (f"{indent}  call {index}", shapes(call), "", *("" for _ in cost))
        lines.append((*(again if index else head), sources[0]))
        lines.extend((*("" for _ in head), further) for further in sources[1:])
    return lines


def shapes(call: Call) -> str:
    """The shapes of a call's outputs.

    >>> shapes(Call((), ((None, 3), (None,))))
    '(None, 3), (None,)'
    """
    return ", ".join("?" if shape is None else str(shape) for shape in call.output_shapes)


def number(value: int | None) -> str:
    """A whole number with its thousands set apart; ? where it is not known."""
    return "?" if value is None else f"{value:,}"


def size(count: int | None) -> str:
    """A number of bytes to read.

    >>> size(12), size(1536), size(None)
    ('12 B', '1.5 KiB', '?')
    """
    if count is None:
        return "?"
    power = min(max(count.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    return f"{count} B" if power == 0 else f"{count / 1024**power:.1f} {_UNITS[power]}"


def ruled(headers: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """The lines as aligned text between rules."""
    widths = [max(len(cell) for cell in column) for column in zip(headers, *lines, strict=True)]
    is_right = [is_right_aligned(header) for header in headers]

    def aligned(cells: Sequence[str]) -> str:
        parts = zip(cells, widths, is_right, strict=True)
        return "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in parts).rstrip()

    rule = sum(widths) + 2 * (len(widths) - 1)
    return ["=" * rule, aligned(headers), "-" * rule, *(aligned(line) for line in lines), "=" * rule]


def is_right_aligned(header: str) -> bool:
    """Whether a column is of numbers."""
    return header in ("Params", "Bytes a device", "FLOPs", "Bytes", "Share")


def _wrapped(sources: Sequence[str]) -> list[str]:
    """The names on as few lines as their width allows."""
    lines = [""]
    for index, source in enumerate(sources):
        word = source + ("," if index < len(sources) - 1 else "")
        if lines[-1] and len(lines[-1]) + 1 + len(word) > _SOURCES_WIDTH:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
