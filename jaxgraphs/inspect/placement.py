"""Where arrays lie on the devices: read from the arrays themselves, so that a layout is shown as it is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Any

from jaxgraphs.graph.count import leaves_with_path

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Placed:
    """One array on the mesh: its path, shape, layout, bytes, and how many of them each device holds."""

    path: str
    shape: Shape
    spec: str
    bytes: int
    per_device: int


@dataclasses.dataclass(frozen=True, repr=False)
class Placement:
    """Where the params of a state lie; ``str()`` is the table, `.rows` the data."""

    rows: tuple[Placed, ...]

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The lines of the table, with a total."""
        cells = [("param", "shape", "layout", "bytes", "bytes a device")]
        cells += [(row.path, str(row.shape), row.spec, f"{row.bytes:,}", f"{row.per_device:,}") for row in self.rows]
        totals = [sum(getattr(row, name) for row in self.rows) for name in ("bytes", "per_device")]
        cells.append(("total", "", "", f"{totals[0]:,}", f"{totals[1]:,}"))
        widths = [max(len(line[column]) for line in cells) for column in range(5)]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
        ]

    def held(self, places: Collection[tuple[str, ...]]) -> int:
        """The bytes that each device holds of the arrays at some places, of which the collection comes first."""
        paths = {"/".join(place[1:]) for place in places if place[0] == "params"}
        return sum(row.per_device for row in self.rows if row.path in paths)


def placement(state: Any) -> Placement:
    """Where each array of a state's params lies.

    Args:
        state: a TrainState, or variables as `graph.apply` takes them.

    >>> import jax
    >>> placement({"params": {"dense": {"bias": jax.numpy.zeros(3)}}}).rows[0].per_device
    12
    """
    params = state["params"] if isinstance(state, Mapping) else state.params
    return Placement(tuple(_placed("/".join(path), leaf) for path, leaf in leaves_with_path(params)))


def _placed(path: str, leaf: Any) -> Placed:
    sharding = getattr(leaf, "sharding", None)
    if sharding is None:
        return Placed(path, leaf.shape, "host", leaf.nbytes, 0)
    part = math.prod(sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
    spec = str(tuple(sharding.spec)) if hasattr(sharding, "spec") else "one device"
    return Placed(path, leaf.shape, spec, leaf.nbytes, part)
