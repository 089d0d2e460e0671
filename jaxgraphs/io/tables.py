"""What a file may name: layers, functions and the parts of a layer's configuration, in tables fixed here.

A name that is in none of them is not looked for anywhere; the user is asked for what it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxgraphs import layers
from jaxgraphs.io.keras.operations import FUNCTIONS as PORTED
from jaxgraphs.layers.activations import ACTIVATIONS
from jaxgraphs.layers.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from jaxgraphs.layers.regularizers import L1L2, OrthogonalRegularizer
from jaxgraphs.symbolic.node import OPERATORS

# fmt: off
_CLASSES = (
    layers.Activation, layers.ActivityRegularization, layers.AdaptiveAveragePooling1D,
    layers.AdaptiveAveragePooling2D, layers.AdaptiveAveragePooling3D, layers.AdaptiveMaxPooling1D,
    layers.AdaptiveMaxPooling2D, layers.AdaptiveMaxPooling3D, layers.Add, layers.AdditiveAttention,
    layers.AlphaDropout, layers.Attention, layers.Average, layers.AveragePooling1D, layers.AveragePooling2D,
    layers.AveragePooling3D, layers.BatchNormalization, layers.Bidirectional, layers.CategoryEncoding,
    layers.CenterCrop, layers.Concatenate, layers.Conv1D, layers.Conv1DTranspose, layers.Conv2D,
    layers.Conv2DTranspose, layers.Conv3D, layers.Conv3DTranspose, layers.Cropping1D, layers.Cropping2D,
    layers.Cropping3D, layers.Dense, layers.DepthwiseConv1D, layers.DepthwiseConv2D, layers.Dot, layers.Dropout,
    layers.ELU, layers.EinsumDense, layers.Embedding, layers.Flatten, layers.GRU, layers.GRUCell,
    layers.GaussianDropout, layers.GaussianNoise, layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D, layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D,
    layers.GroupNormalization, layers.GroupQueryAttention, layers.Identity, layers.LSTM, layers.LSTMCell,
    layers.Lambda, layers.LayerNormalization, layers.LayerScale, layers.LeakyReLU, layers.Masking,
    layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D, layers.Maximum, layers.Minimum,
    layers.MultiHeadAttention, layers.Multiply, layers.Normalization, layers.PReLU, layers.Permute,
    layers.RMSNormalization, layers.RNN, layers.ReLU, layers.RepeatAlong, layers.RepeatVector, layers.Rescaling,
    layers.Reshape, layers.Resizing, layers.SeparableConv1D, layers.SeparableConv2D, layers.SimpleRNN,
    layers.SimpleRNNCell, layers.Softmax, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D,
    layers.StackedRNNCells, layers.StochasticDepth, layers.Subtract, layers.TimeDistributed,
    layers.UnitNormalization, layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D, layers.ZeroPadding1D,
    layers.ZeroPadding2D, layers.ZeroPadding3D, layers.Discretization, layers.HashedCrossing, layers.Hashing,
    layers.IntegerLookup, layers.StringLookup, layers.TextVectorization,
    layers.RandomBrightness, layers.RandomContrast, layers.RandomCrop,
    layers.RandomFlip, layers.RandomRotation, layers.RandomTranslation, layers.RandomZoom,
    layers.ConvLSTM1D, layers.ConvLSTM2D, layers.ConvLSTM3D, layers.MelSpectrogram, layers.STFTSpectrogram,
    layers.SpectralNormalization,
    layers.AugMix, layers.AutoContrast, layers.ContrastLimitedAdaptiveHistogramEqualization, layers.CutMix,
    layers.Equalization, layers.MixUp, layers.RandAugment, layers.RandomColorDegeneration, layers.RandomColorJitter,
    layers.RandomElasticTransform, layers.RandomErasing, layers.RandomGaussianBlur, layers.RandomGrayscale,
    layers.RandomHue, layers.RandomInvert, layers.RandomPerspective, layers.RandomPosterization,
    layers.RandomSaturation, layers.RandomSharpness, layers.RandomShear, layers.ReversibleEmbedding,
    layers.Solarization, layers.Highway, layers.LocallyConnected1D, layers.LocallyConnected2D, layers.MaxoutDense,
)
_NUMPY = (
    jnp.abs, jnp.add, jnp.all, jnp.any, jnp.arccos, jnp.arccosh, jnp.arcsin, jnp.arcsinh, jnp.arctan, jnp.arctan2,
    jnp.arctanh, jnp.argmax, jnp.argmin, jnp.argsort, jnp.broadcast_to, jnp.cbrt, jnp.ceil, jnp.clip, jnp.concatenate,
    jnp.cos, jnp.cosh, jnp.cross, jnp.cumprod, jnp.cumsum, jnp.diagonal, jnp.divide, jnp.dot, jnp.einsum,
    jnp.equal, jnp.exp, jnp.exp2, jnp.expand_dims, jnp.expm1, jnp.flip, jnp.floor, jnp.floor_divide, jnp.greater,
    jnp.greater_equal, jnp.hypot, jnp.inner, jnp.isfinite, jnp.isnan, jnp.less, jnp.less_equal, jnp.log, jnp.log10,
    jnp.log1p, jnp.log2, jnp.logaddexp, jnp.logical_and, jnp.logical_not, jnp.logical_or, jnp.logical_xor, jnp.matmul,
    jnp.max, jnp.maximum, jnp.mean, jnp.median, jnp.min, jnp.minimum, jnp.mod, jnp.moveaxis, jnp.multiply,
    jnp.nan_to_num, jnp.negative, jnp.not_equal, jnp.ones_like, jnp.outer, jnp.pad, jnp.power, jnp.prod,
    jnp.reciprocal, jnp.remainder, jnp.repeat, jnp.reshape, jnp.roll, jnp.round, jnp.sign, jnp.sin, jnp.sinh,
    jnp.sort, jnp.sqrt, jnp.square, jnp.squeeze, jnp.stack, jnp.std, jnp.subtract, jnp.sum, jnp.swapaxes,
    jnp.take, jnp.take_along_axis, jnp.tan, jnp.tanh, jnp.tensordot, jnp.tile, jnp.transpose, jnp.tril, jnp.triu,
    jnp.trunc, jnp.var, jnp.where, jnp.zeros_like,
)
_NN = (
    jax.nn.celu, jax.nn.elu, jax.nn.gelu, jax.nn.glu, jax.nn.hard_sigmoid, jax.nn.hard_silu, jax.nn.hard_tanh,
    jax.nn.leaky_relu, jax.nn.log_sigmoid, jax.nn.log_softmax, jax.nn.logsumexp, jax.nn.mish, jax.nn.one_hot,
    jax.nn.relu, jax.nn.relu6, jax.nn.selu, jax.nn.sigmoid, jax.nn.silu, jax.nn.soft_sign, jax.nn.softmax,
    jax.nn.softplus, jax.nn.sparse_plus, jax.nn.squareplus, jax.nn.standardize,
)
_LAX = (
    lax.erf, lax.erf_inv, lax.cummax, lax.cummin, lax.cumsum, lax.integer_pow, lax.lgamma, lax.logistic, lax.rsqrt,
    lax.stop_gradient, lax.top_k,
)
# fmt: on

LAYERS: Mapping[str, type] = {cls.__name__: cls for cls in _CLASSES}
"""Class name -> layer of the catalogue."""

PARTS: Mapping[str, type] = {
    cls.__name__: cls for cls in (L1L2, MaxNorm, MinMaxNorm, NonNeg, OrthogonalRegularizer, UnitNorm)
}
"""Class name -> regulariser or constraint."""


def _named(module: str, functions: Iterable[Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    return {f"{module}.{function.__name__}": function for function in functions}


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{f"operator.{name}": function for name, function in OPERATORS.items()},
    **{f"activation.{name}": function for name, function in ACTIVATIONS.items()},
    **_named("jnp", _NUMPY),
    **_named("nn", _NN),
    **_named("lax", _LAX),
    **PORTED,
}
"""Name in a file -> function; the first name of a function that has two is the one written."""

_NAMES: Mapping[int, str] = {id(function): name for name, function in reversed(FUNCTIONS.items())}


def function_name(function: Any) -> str | None:
    """The name under which a function is written; None for one that is not in the table.

    >>> function_name(jnp.tanh), function_name(print)
    ('activation.tanh', None)
    """
    return _NAMES.get(id(function))
