"""The catalogue: Keras' layers under Keras' names, each an immutable description that yields a Flax module."""

from jaxgraphs.layers import activations, constraints, initializers, regularizers
from jaxgraphs.layers.activation_layers import ELU, LeakyReLU, PReLU, ReLU, Softmax
from jaxgraphs.layers.adaptive_pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
)
from jaxgraphs.layers.attention import AdditiveAttention, Attention
from jaxgraphs.layers.base import Layer, Weight, describes
from jaxgraphs.layers.cells import GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from jaxgraphs.layers.conv import Conv1D, Conv2D, Conv3D
from jaxgraphs.layers.conv_transpose import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose, Convolution3DTranspose
from jaxgraphs.layers.core import Activation, Dense, Dropout, Embedding
from jaxgraphs.layers.einsum import EinsumDense
from jaxgraphs.layers.feature_norm import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from jaxgraphs.layers.global_pooling import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalAvgPool3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
)
from jaxgraphs.layers.joining import Concatenate, Dot, concatenate, dot
from jaxgraphs.layers.merge import (
    Add,
    Average,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    maximum,
    minimum,
    multiply,
    subtract,
)
from jaxgraphs.layers.multi_head import GroupQueryAttention, MultiHeadAttention
from jaxgraphs.layers.noise import (
    AlphaDropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from jaxgraphs.layers.norm import BatchNormalization
from jaxgraphs.layers.padding import Cropping1D, Cropping2D, Cropping3D, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D
from jaxgraphs.layers.passing import ActivityRegularization, Identity, Lambda, Masking
from jaxgraphs.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from jaxgraphs.layers.preprocessing import CategoryEncoding, Normalization, Rescaling
from jaxgraphs.layers.recurrent import GRU, LSTM, RNN, SimpleRNN
from jaxgraphs.layers.repeating import RepeatAlong
from jaxgraphs.layers.residual import LayerScale, StochasticDepth
from jaxgraphs.layers.resizing import CenterCrop, Resizing, UpSampling1D, UpSampling2D, UpSampling3D
from jaxgraphs.layers.separable import DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from jaxgraphs.layers.shaping import Flatten, Permute, RepeatVector, Reshape
from jaxgraphs.layers.wrappers import Bidirectional, TimeDistributed

__all__ = [
    "ELU",
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "ActivityRegularization",
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "BatchNormalization",
    "Bidirectional",
    "CategoryEncoding",
    "CenterCrop",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Convolution3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dot",
    "Dropout",
    "EinsumDense",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "GroupQueryAttention",
    "Identity",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LayerScale",
    "LeakyReLU",
    "Masking",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "ReLU",
    "RepeatAlong",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SeparableConv1D",
    "SeparableConv2D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "StackedRNNCells",
    "StochasticDepth",
    "Subtract",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Weight",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "activations",
    "add",
    "average",
    "concatenate",
    "constraints",
    "describes",
    "dot",
    "initializers",
    "maximum",
    "minimum",
    "multiply",
    "regularizers",
    "subtract",
]
