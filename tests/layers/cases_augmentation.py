"""Augmentations at inference, and in training where the range that is drawn from is one number."""

import keras

from jaxgraphs import layers
from jaxgraphs.layers import augmentation
from tests.layers.case import Case

SHAPE, FIRST = (2, 5, 6, 3), (2, 3, 5, 6)
WIDE = {"value_range": (-4.0, 4.0)}
BRIGHT = {"value_range": (-1.0, 1.0)}


def both(kind, *arguments, shape=SHAPE, train=True, **options):
    """A layer that both libraries name alike."""
    return Case(
        f"{kind}_{'_'.join(map(str, [*arguments, *options.values()]))}_{'train' if train else 'test'}",
        lambda: getattr(layers, kind)(*arguments, **options),
        lambda: getattr(keras.layers, kind)(*arguments, **options),
        [shape],
        train=train,
        call={} if train else {"training": False},
    )


CASES = [
    *[
        both(kind, *arguments, train=False)
        for kind, *arguments in (
            *(("RandomFlip",), ("RandomRotation", 0.2), ("RandomZoom", 0.2), ("RandomTranslation", 0.2, 0.3)),
            *(("RandomContrast", 0.3), ("RandomBrightness", 0.3)),
        )
    ],
    *[both("RandomRotation", (0.1, 0.1), fill_mode=mode) for mode in ("constant", "nearest", "wrap", "reflect")],
    both("RandomRotation", (0.25, 0.25), interpolation="nearest", shape=FIRST, data_format="channels_first"),
    both("RandomZoom", (0.3, 0.3), (-0.2, -0.2), fill_mode="constant", fill_value=0.5),
    both("RandomZoom", (-0.3, -0.3)),
    both("RandomTranslation", (0.3, 0.3), (-0.2, -0.2)),
    both("RandomBrightness", (0.3, 0.3), **BRIGHT),
    *[
        both(kind, *arguments, train=False)
        for kind, *arguments in (
            *(("RandomGrayscale",), ("RandomHue", 0.2), ("RandomSaturation", 0.2), ("RandomColorDegeneration", 0.3)),
            *(("RandomColorJitter",), ("RandomInvert",), ("RandomPosterization", 3), ("Solarization",), ("MixUp",)),
            *(("RandomSharpness", 0.2), ("RandomGaussianBlur",), ("RandomShear", 0.2), ("RandomPerspective",)),
            *(("RandomElasticTransform",), ("RandomErasing",), ("CutMix",), ("RandAugment",), ("AugMix",)),
            *(("Equalization",),),
        )
    ],
    both("RandomGrayscale", 1.0),
    both("RandomGrayscale", 1.0, shape=FIRST, data_format="channels_first"),
    # Half a turn to either side is the same hue.
    both("RandomHue", (1.0, 1.0), **WIDE),
    both("RandomSaturation", (0.3, 0.3), value_range=(0.0, 1.0)),
    both("RandomSaturation", (0.6, 0.6), shape=FIRST, data_format="channels_first"),
    both("RandomColorDegeneration", (0.4, 0.4), **WIDE),
    both("RandomColorDegeneration", (-0.4, -0.4), shape=FIRST, data_format="channels_first", **WIDE),
    both("RandomColorJitter", **WIDE, brightness_factor=(0.2, 0.2), saturation_factor=(0.7, 0.7)),
    both("RandomInvert", (1.0, 1.0), value_range=(0, 1)),
    both("RandomPosterization", (3, 3), **WIDE),
    both("Solarization", **WIDE),
    both("RandomSharpness", (0.9, 0.9), **WIDE),
    both("RandomSharpness", (0.2, 0.2), shape=FIRST, data_format="channels_first", **WIDE),
    both("RandomGaussianBlur", (1.0, 1.0), sigma=(0.7, 0.7), kernel_size=(3, 5), **WIDE),
    both("RandomShear", 0.0, 0.0),
    both("RandomPerspective", (1.0, 1.0), scale=0.0),
    both("RandomElasticTransform", (1.0, 1.0), scale=0.0, **WIDE),
    both("RandomErasing", (1.0, 1.0), scale=(1.0, 1.0), fill_value=0.25, **WIDE),
    both("RandomErasing", (1.0, 1.0), scale=(1.0, 1.0), fill_value=(0.25, 0.5, -0.5), **WIDE),
    both("AutoContrast", **WIDE),
    both("AutoContrast"),
    both("Equalization", bins=8, **WIDE),
    both("Equalization", bins=4, shape=FIRST, data_format="channels_first", **WIDE),
    both("ContrastLimitedAdaptiveHistogramEqualization", tile_grid_size=(2, 2), **WIDE),
    both("ContrastLimitedAdaptiveHistogramEqualization", tile_grid_size=(2, 3), clip_limit=0.0, **WIDE),
    both(
        "ContrastLimitedAdaptiveHistogramEqualization",
        tile_grid_size=(3, 2),
        clip_limit=1.0,
        shape=FIRST,
        data_format="channels_first",
        **WIDE,
    ),
    Case("random_crop", lambda: augmentation.RandomCrop(3, 4), None, [SHAPE]),
]
