"""Values of several columns crossed, and the crossings sorted into bins by their hash."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from jaxgraphs.errors import GraphTypeError, GraphValueError
from jaxgraphs.layers.base import describes
from jaxgraphs.layers.hashing import cross_fingerprints, fingerprint64
from jaxgraphs.layers.lookup import BinLayer, encoded
from jaxgraphs.symbolic.node import title


@describes
class HashedCrossing(BinLayer):
    """Pairs of values, texts or whole numbers, as bins by their common hash.

    Args:
        num_bins: how many bins.
        output_mode: "int" or "one_hot".
    Shapes: `read` takes a list of two or more arrays of one shape, (batch,) or (batch, 1), and gives that shape in
        int32: the graph has one Input for them together.
    Raises: GraphError when the columns are fewer than two, or of unlike shapes.

    >>> HashedCrossing(5).read([["A", "B", "A", "B", "A"], [101, 101, 101, 102, 102]]).tolist()
    [1, 4, 1, 1, 3]
    """

    output_mode: str = "int"
    sparse: bool = False

    modes: ClassVar[tuple[str, ...]] = ("int", "one_hot")

    def read(self, values: Any) -> np.ndarray:
        columns = [np.asarray(column) for column in values] if isinstance(values, (list, tuple)) else []
        shapes = {column.shape for column in columns}
        if len(columns) < 2 or len(shapes) > 1:
            raise GraphValueError(
                f"{title(self)} crosses two columns or more, of one shape.",
                received=", ".join(str(column.shape) for column in columns) or type(values).__name__,
                fix="layer.read([first, second])",
            )
        prints = [[_print(value) for value in column.ravel().tolist()] for column in columns]
        bins = [cross_fingerprints(row) % self.num_bins for row in zip(*prints, strict=True)]
        return np.asarray(bins, np.int32).reshape(shapes.pop())


def _print(value: Any) -> int:
    """What stands for a value: a text's fingerprint, or the number itself."""
    if isinstance(value, float):
        raise GraphTypeError("A text or a whole number was expected.", received=repr(value))
    return value if isinstance(value, int) else fingerprint64(encoded(value))
