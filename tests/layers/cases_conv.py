"""Convolutions with the arguments that matter, beside their Keras twins."""

import keras

from jaxgraphs.layers import conv, conv_transpose, separable
from tests.layers.case import Case

KERNEL = ("params/kernel", "params/bias")
BARE = {"use_bias": False, "weights": KERNEL[:1]}
SEPARABLE = ("params/depthwise_kernel", "params/pointwise_kernel", "params/bias")
FIRST = {"data_format": "channels_first"}
UNBIASED = {"use_bias": False, "weights": SEPARABLE[:2]}


def twin(module, kind, label, shape, *args, weights=KERNEL, **options):
    """One class with the same arguments on both sides."""
    return Case(
        f"{kind}_{label}",
        lambda: getattr(module, kind)(*args, **options),
        lambda: getattr(keras.layers, kind)(*args, **options),
        [shape],
        weights,
    )


CASES = [
    *(
        twin(conv, *row[:3], *row[3], **row[4])
        for row in [
            ("Conv1D", "causal", (2, 7, 4), (3, 3), {"padding": "causal", "dilation_rate": 2, "activation": "relu"}),
            ("Conv1D", "causal_first", (2, 4, 7), (3, 4), {"padding": "causal", "strides": 2, **FIRST}),
            ("Conv1D", "same_groups", (2, 7, 4), (6, [3]), {"padding": "SAME", "groups": 2, "strides": 2}),
            ("Conv2D", "same_odd", (2, 5, 6, 3), (4, (3, 2)), {"padding": "same", "strides": (2, 2)}),
            ("Conv2D", "same_even", (1, 6, 7, 2), (3, 4), {"padding": "same", "strides": 3, "activation": "tanh"}),
            ("Conv2D", "valid_strides", (1, 6, 7, 2), (3, 3), {"strides": [2, 1], **BARE}),
            ("Conv2D", "point_strides", (1, 6, 7, 2), (3, 1), {"strides": 2, "padding": "same"}),
            ("Conv2D", "dilated", (1, 7, 8, 2), (3, 3), {"dilation_rate": (2, 3), "padding": "same"}),
            ("Conv2D", "groups_first", (1, 4, 5, 6), (6, 3), {"groups": 2, **FIRST}),
            ("Conv3D", "same", (1, 3, 4, 5, 2), (3, (1, 2, 3)), {"padding": "same", "strides": (1, 2, 2)}),
            ("Conv3D", "valid_first", (1, 2, 3, 4, 5), (3, 2), FIRST),
        ]
    ),
    *(
        twin(conv_transpose, *row[:3], *row[3], **row[4])
        for row in [
            ("Conv1DTranspose", "narrow", (2, 4, 3), (2, 2), {"strides": 3}),
            ("Conv1DTranspose", "dilated", (2, 4, 3), (2, 3), {"dilation_rate": 2, "padding": "same"}),
            ("Conv1DTranspose", "first", (2, 3, 4), (2, 3), {"strides": 2, "output_padding": 1, **FIRST}),
            ("Conv2DTranspose", "valid", (1, 3, 4, 2), (3, (3, 2)), BARE),
            ("Conv2DTranspose", "same", (1, 3, 4, 2), (3, 3), {"strides": (2, 3), "padding": "same"}),
            ("Conv2DTranspose", "extra", (1, 3, 4, 2), (3, 3), {"strides": 2, "padding": "same", "output_padding": 1}),
            ("Conv2DTranspose", "no_extra", (1, 3, 4, 2), (3, 4, 2, "same"), {"output_padding": (0, 1)}),
            ("Conv3DTranspose", "same", (1, 2, 3, 2, 2), (2, 2), {"strides": 2, "padding": "same"}),
            ("Conv3DTranspose", "valid_first", (1, 2, 2, 3, 2), (2, (1, 2, 3)), FIRST),
        ]
    ),
    *(
        twin(separable, *row[:3], *row[3], **row[4])
        for row in [
            ("DepthwiseConv1D", "first", (2, 3, 7), (3,), {"padding": "same", "strides": 2, **FIRST}),
            ("DepthwiseConv2D", "valid", (1, 5, 6, 3), ((2, 3),), {"activation": "relu"}),
            ("DepthwiseConv2D", "same", (1, 5, 6, 3), (3, 2, "same", 2), BARE),
            ("DepthwiseConv2D", "dilated", (1, 7, 6, 3), (3,), {"dilation_rate": 2, "padding": "same"}),
        ]
    ),
    *(
        twin(separable, *row[:3], *row[3], **{"weights": SEPARABLE} | row[4])
        for row in [
            ("SeparableConv1D", "first", (2, 3, 7), (4, 3, 2, "same"), {"depth_multiplier": 2, **FIRST}),
            ("SeparableConv2D", "same", (1, 5, 6, 3), (4, 3), {"padding": "same", "strides": 2, "activation": "relu"}),
            ("SeparableConv2D", "dilated", (1, 7, 6, 3), (4, 3), {"dilation_rate": 2, **UNBIASED}),
        ]
    ),
]
