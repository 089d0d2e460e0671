"""Layers of Keras 1 and 2, of which Keras 3 has no twin; their numbers are tested where files are read."""

from jaxgraphs.layers import former
from tests.layers.case import Case

CASES = [
    Case("highway", lambda: former.Highway("tanh"), None, [(3, 4)]),
    Case("highway_without_bias", lambda: former.Highway(use_bias=False), None, [(3, 4)]),
    Case("maxout_dense", lambda: former.MaxoutDense(5), None, [(3, 4)]),
    Case("locally_connected_1d", lambda: former.LocallyConnected1D(5, 2, strides=2), None, [(3, 8, 4)]),
    Case("locally_connected_2d", lambda: former.LocallyConnected2D(5, (3, 2)), None, [(3, 5, 6, 2)]),
    Case(
        "locally_connected_2d_first",
        lambda: former.LocallyConnected2D(5, (3, 2), data_format="channels_first", use_bias=False),
        None,
        [(3, 2, 5, 6)],
    ),
]
