"""Normalisations, with arguments; batch normalisation in training and at inference, with and without masks."""

import keras

from jaxgraphs.layers import feature_norm, norm
from tests.layers.case import Case

theirs = keras.layers
AFFINE = ("params/scale", "params/bias")
STATISTICS = ("batch_stats/mean", "batch_stats/var")


def batch(name, shape, weights=AFFINE + STATISTICS, mask=None, train=False, **options):
    """BatchNormalization with options."""
    return Case(
        f"batch_{name}{'_train' if train else ''}",
        lambda: norm.BatchNormalization(**options),
        lambda: theirs.BatchNormalization(**options),
        [shape],
        weights,
        mask=mask,
        train=train,
    )


def plain(name, kind, shape, weights, **options):
    """A normalisation of each example with options."""
    make_ours, make_theirs = getattr(feature_norm, kind), getattr(theirs, kind)
    return Case(name, lambda: make_ours(**options), lambda: make_theirs(**options), [shape], weights)


RENORM = (*AFFINE, *STATISTICS, *(f"batch_stats/{name}" for name in ("stddev", "renorm_mean", "renorm_stddev")))
BOUNDS = {"rmin": 0.5, "rmax": 1.5, "dmax": 0.3}

CASES = [
    *[
        case
        for train in (False, True)
        for case in (
            batch("norm_2d", (6, 4), train=train),
            batch("norm_4d", (3, 2, 3, 4), train=train, momentum=0.9, epsilon=1e-2),
            batch("norm_channels_first", (3, 4, 2, 2), train=train, axis=1),
            batch("norm_bare", (6, 4), STATISTICS, train=train, center=False, scale=False),
            batch("norm_no_scale", (6, 4), AFFINE[1:] + STATISTICS, train=train, scale=False),
            batch("norm_mask", (4, 3, 5), mask=(4, 3), train=train),
        )
    ],
    batch("norm_renorm", (6, 4), RENORM, renorm=True),
    batch(
        "norm_renorm_bounds", (6, 3, 4), RENORM, train=True, renorm=True, renorm_clipping=BOUNDS, renorm_momentum=0.9
    ),
    batch("norm_frozen", (6, 4), trainable=False),
    plain("layer_norm", "LayerNormalization", (3, 4, 5), AFFINE),
    plain("layer_norm_axes", "LayerNormalization", (3, 4, 5), AFFINE, axis=[1, 2], epsilon=1e-2),
    plain("layer_norm_axis", "LayerNormalization", (3, 4, 5), AFFINE, axis=1),
    plain("layer_norm_bare", "LayerNormalization", (3, 4), (), center=False, scale=False),
    plain("layer_norm_rms", "LayerNormalization", (3, 4), AFFINE[:1], rms_scaling=True),
    plain("rms_norm", "RMSNormalization", (3, 4, 5), AFFINE[:1]),
    plain("rms_norm_axes", "RMSNormalization", (3, 4, 5), AFFINE[:1], axis=[1, 2], epsilon=1e-3),
    plain("group_norm", "GroupNormalization", (3, 2, 2, 6), AFFINE, groups=3),
    plain("group_norm_each", "GroupNormalization", (3, 2, 2, 6), AFFINE, groups=-1),
    plain("group_norm_all", "GroupNormalization", (3, 4, 6), AFFINE[1:], groups=1, scale=False),
    plain("group_norm_first", "GroupNormalization", (3, 6, 2, 2), AFFINE, groups=2, axis=1),
    plain("unit_norm", "UnitNormalization", (3, 4, 5), ()),
    plain("unit_norm_axes", "UnitNormalization", (3, 4, 5), (), axis=[1, 2]),
]
