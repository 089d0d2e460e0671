"""Merges, with arguments and with inputs that broadcast."""

import keras

from jaxgraphs.layers import joining, merge
from tests.layers.case import Case

theirs = keras.layers
ELEMENTWISE = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")


def case(name, kind, shapes, dtype="float32", **options):
    """A merge with options."""
    make_ours = getattr(merge, kind, None) or getattr(joining, kind)
    return Case(name, lambda: make_ours(**options), lambda: getattr(theirs, kind)(**options), shapes, dtype=dtype)


CASES = [
    *[case(f"{kind}_equal".lower(), kind, [(3, 4), (3, 4)]) for kind in ELEMENTWISE],
    *[case(f"{kind}_broadcast".lower(), kind, [(3, 1, 4), (3, 2, 1)]) for kind in ELEMENTWISE],
    *[case(f"{kind}_ranks".lower(), kind, [(3, 4), (3, 2, 4)]) for kind in ELEMENTWISE],
    *[case(f"{kind}_three".lower(), kind, [(3, 4)] * 3) for kind in ELEMENTWISE if kind != "Subtract"],
    case("add_ids", "Add", [(3, 4), (3, 4)], "int32"),
    case("average_ids", "Average", [(3, 4), (3, 4)], "int32"),
    case("concatenate", "Concatenate", [(3, 4), (3, 2)]),
    case("concatenate_three", "Concatenate", [(3, 2, 4), (3, 1, 4), (3, 3, 4)], axis=1),
    case("concatenate_batch", "Concatenate", [(3, 4), (2, 4)], axis=0),
    case("dot_vectors", "Dot", [(3, 4), (3, 4)], axes=1),
    case("dot_cosine", "Dot", [(3, 4), (3, 4)], axes=-1, normalize=True),
    case("dot_matrices", "Dot", [(3, 2, 4), (3, 4, 5)], axes=(2, 1)),
    case("dot_same_axis", "Dot", [(3, 4, 2), (3, 4, 5)], axes=1),
    case("dot_vector_matrix", "Dot", [(3, 4), (3, 4, 5)], axes=(1, 1)),
    case("dot_matrix_vector", "Dot", [(3, 2, 4), (3, 4)], axes=(-1, -1), normalize=True),
    case("dot_wide", "Dot", [(3, 2, 4, 3), (3, 5, 4, 2)], axes=(2, 2)),
]
