"""Noise layers where they are deterministic, and what stands on residual branches."""

import keras
from keras.src.applications import convnext

from jaxgraphs.layers import noise, residual
from tests.layers.case import Case

theirs = keras.layers

CASES = [
    Case("gaussian_noise_inference", lambda: noise.GaussianNoise(0.3), lambda: theirs.GaussianNoise(0.3), [(3, 4)]),
    Case(
        "gaussian_noise_none", lambda: noise.GaussianNoise(0.0), lambda: theirs.GaussianNoise(0.0), [(3, 4)], train=True
    ),
    Case(
        "gaussian_dropout_inference", lambda: noise.GaussianDropout(0.3), lambda: theirs.GaussianDropout(0.3), [(3, 4)]
    ),
    Case("alpha_dropout_inference", lambda: noise.AlphaDropout(0.3), lambda: theirs.AlphaDropout(0.3), [(3, 4)]),
    Case("alpha_dropout_none", lambda: noise.AlphaDropout(0.0), lambda: theirs.AlphaDropout(0.0), [(3, 4)], train=True),
    Case("spatial_dropout_1d", lambda: noise.SpatialDropout1D(0.3), lambda: theirs.SpatialDropout1D(0.3), [(2, 3, 4)]),
    Case(
        "spatial_dropout_2d", lambda: noise.SpatialDropout2D(0.3), lambda: theirs.SpatialDropout2D(0.3), [(2, 3, 4, 2)]
    ),
    Case(
        "spatial_dropout_3d",
        lambda: noise.SpatialDropout3D(0.3, "channels_first"),
        lambda: theirs.SpatialDropout3D(0.3, "channels_first"),
        [(2, 3, 4, 2, 2)],
    ),
    Case("stochastic_depth", lambda: residual.StochasticDepth(0.3), lambda: convnext.StochasticDepth(0.3), [(3, 4)]),
    Case(
        "layer_scale",
        lambda: residual.LayerScale(0.1, 4),
        lambda: convnext.LayerScale(0.1, 4),
        [(2, 3, 4)],
        ["params/gamma"],
    ),
]
