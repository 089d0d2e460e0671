"""Poolings with the arguments that matter, beside their Keras twins."""

import keras

from jaxgraphs.layers import adaptive_pooling, global_pooling, pooling
from tests.layers.case import Case

SHAPES = {"1D": (2, 7, 3), "2D": (2, 5, 6, 3), "3D": (1, 4, 5, 3, 2)}
FIRST = {"data_format": "channels_first"}


def twin(module, kind, label, *args, shape=None, mask=None, **options):
    """One class with the same arguments on both sides."""
    return Case(
        f"{kind}_{label}",
        lambda: getattr(module, kind)(*args, **options),
        lambda: getattr(keras.layers, kind)(*args, **options),
        [shape or SHAPES[kind[-2:]]],
        mask=mask,
    )


WINDOWED = [
    twin(pooling, f"{mode}Pooling{rank}", label, *args, **options)
    for mode in ("Max", "Average")
    for rank, label, args, options in [
        ("1D", "same", (3,), {"strides": 2, "padding": "same"}),
        ("1D", "first", (2,), {"strides": 1, "padding": "same", **FIRST}),
        ("2D", "valid", ((2, 3),), {}),
        ("2D", "same_strides", (3, (2, 3), "same"), {}),
        ("2D", "sparse", (1,), {"strides": [2, 2], "padding": "same"}),
        ("3D", "same", ((1, 2, 3),), {"strides": 2, "padding": "same"}),
    ]
]

GLOBAL = [
    twin(global_pooling, f"Global{mode}Pooling{rank}", label, **options)
    for mode in ("Max", "Average")
    for rank, label, options in [
        ("1D", "last", {}),
        ("2D", "first_kept", {"keepdims": True, **FIRST}),
        ("3D", "last", {}),
    ]
]

MASKED = [
    twin(global_pooling, "GlobalAveragePooling1D", "mask", mask=(4, 5), shape=(4, 5, 3)),
    twin(global_pooling, "GlobalAveragePooling1D", "mask_first", mask=(4, 5), shape=(4, 3, 5), keepdims=True, **FIRST),
]

ADAPTIVE = [
    twin(adaptive_pooling, f"Adaptive{mode}Pooling{rank}", label, size, **options)
    for mode in ("Max", "Average")
    for rank, label, size, options in [
        ("1D", "last", 3, {}),
        ("2D", "first", 3, {"shape": (2, 3, 5, 6), **FIRST}),
        ("3D", "last", (2, 2, 3), {}),
    ]
]

CASES = [*WINDOWED, *GLOBAL, *MASKED, *ADAPTIVE]
