"""Padding, cropping and resizing with the arguments that matter, beside their Keras twins."""

import keras

from jaxgraphs.layers import padding, resizing
from tests.layers.case import Case

FIRST = {"data_format": "channels_first"}


def twin(module, kind, label, shape, *args, **options):
    """One class with the same arguments on both sides."""
    return Case(
        f"{kind}_{label}",
        lambda: getattr(module, kind)(*args, **options),
        lambda: getattr(keras.layers, kind)(*args, **options),
        [shape],
    )


IMAGE, VOLUME = (1, 5, 6, 2), (1, 3, 4, 5, 2)

CASES = [
    *(
        twin(padding, *row[:3], *row[3:-1], **row[-1])
        for row in [
            ("ZeroPadding1D", "pair", (2, 4, 3), (2, 0), {}),
            ("ZeroPadding1D", "first", (2, 4, 3), [0, 1], FIRST),
            ("ZeroPadding2D", "one", IMAGE, 1, {}),
            ("ZeroPadding2D", "four", IMAGE, ((0, 1), (2, 0)), FIRST),
            ("ZeroPadding3D", "mixed", VOLUME, ((0, 1), 1, (2, 0)), FIRST),
            ("Cropping1D", "end", (2, 4, 3), (0, 2), {}),
            ("Cropping2D", "two", IMAGE, (1, 2), {}),
            ("Cropping2D", "four", (1, 2, 5, 6), ((0, 1), (2, 0)), FIRST),
            ("Cropping3D", "mixed", (1, 2, 3, 4, 5), ((0, 1), (1, 0), (2, 2)), FIRST),
        ]
    ),
    *(
        twin(resizing, *row[:3], *row[3:-1], **row[-1])
        for row in [
            ("UpSampling1D", "three", (2, 4, 3), 3, {}),
            ("UpSampling2D", "nearest", IMAGE, (2, 3), {}),
            ("UpSampling2D", "bilinear", IMAGE, 2, {"interpolation": "bilinear"}),
            ("UpSampling2D", "bicubic_first", (1, 2, 4, 3), (3, 2), {"interpolation": "BICUBIC", **FIRST}),
            ("UpSampling3D", "last", VOLUME, (1, 2, 3), {}),
            ("UpSampling3D", "first", VOLUME, 2, FIRST),
            ("Resizing", "bilinear", IMAGE, 3, 8, {}),
            ("Resizing", "nearest_first", (1, 2, 5, 6), 4, 4, {"interpolation": "nearest", **FIRST}),
            ("Resizing", "antialias", IMAGE, 2, 3, {"antialias": True}),
            ("Resizing", "crop", IMAGE, 4, 2, {"crop_to_aspect_ratio": True}),
            ("Resizing", "pad", (1, 4, 8, 2), 5, 5, {"pad_to_aspect_ratio": True, "fill_value": 0.5}),
            ("CenterCrop", "inside", IMAGE, 2, 3, {}),
            ("CenterCrop", "small", IMAGE, 8, 4, {}),
        ]
    ),
]
