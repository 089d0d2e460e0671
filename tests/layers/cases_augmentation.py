"""Augmentations at inference, and in training where the range that is drawn from is one number."""

import keras

from jaxgraphs.layers import augmentation
from tests.layers.case import Case

SHAPE, FIRST = (2, 5, 6, 3), (2, 3, 5, 6)
BRIGHT = {"value_range": (-1.0, 1.0)}


def both(kind, *arguments, shape=SHAPE, train=True, **options):
    """A layer that both libraries name alike."""
    return Case(
        f"{kind}_{'_'.join(map(str, [*arguments, *options.values()]))}_{'train' if train else 'test'}",
        lambda: getattr(augmentation, kind)(*arguments, **options),
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
    Case("random_crop", lambda: augmentation.RandomCrop(3, 4), None, [SHAPE]),
]
