"""Old names of classes and of arguments, brought to those of today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CLASSES: Mapping[str, str] = {
    **{f"Convolution{n}D": f"Conv{n}D" for n in (1, 2, 3)},
    **{f"AtrousConvolution{n}D": f"Conv{n}D" for n in (1, 2)},
    **{f"AtrousConv{n}D": f"Conv{n}D" for n in (1, 2)},
    **{f"SeparableConvolution{n}D": f"SeparableConv{n}D" for n in (1, 2)},
    **{f"Convolution{n}DTranspose": f"Conv{n}DTranspose" for n in (1, 2, 3)},
    **{"Deconvolution2D": "Conv2DTranspose", "Deconv2D": "Conv2DTranspose", "Deconvolution3D": "Conv3DTranspose"},
    **{
        f"{kind}Pool{n}D": f"{name}Pooling{n}D"
        for kind, name in (("Max", "Max"), ("Avg", "Average"))
        for n in (1, 2, 3)
    },
    **{f"GlobalMaxPool{n}D": f"GlobalMaxPooling{n}D" for n in (1, 2, 3)},
    **{f"GlobalAvgPool{n}D": f"GlobalAveragePooling{n}D" for n in (1, 2, 3)},
    **{"BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization"},
    "GroupedQueryAttention": "GroupQueryAttention",
    **{"SyncBatchNormalization": "BatchNormalization", "LSTMV2": "LSTM", "GRUV2": "GRU", "DenseV2": "Dense"},
    **{"CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU", "BidirectionalV2": "Bidirectional", "ThresholdedReLU": "ReLU"},
    **{"ActivityRegularizationV2": "ActivityRegularization"},
}
"""Class of another time -> class of today."""

_COMMON: Mapping[str, str] = {
    **{"output_dim": "units", "nb_filter": "filters", "border_mode": "padding", "bias": "use_bias"},
    **{"init": "kernel_initializer", "inner_init": "recurrent_initializer", "inner_activation": "recurrent_activation"},
    **{
        "W_regularizer": "kernel_regularizer",
        "U_regularizer": "recurrent_regularizer",
        "b_regularizer": "bias_regularizer",
    },
    **{"W_constraint": "kernel_constraint", "U_constraint": "recurrent_constraint", "b_constraint": "bias_constraint"},
    **{"subsample": "strides", "dim_ordering": "data_format", "dropout_W": "dropout", "dropout_U": "recurrent_dropout"},
    **{"atrous_rate": "dilation_rate", "p": "rate", "sigma": "stddev"},
}
_BY_CLASS: Mapping[str, Mapping[str, str]] = {
    "Embedding": {
        "output_dim": "output_dim",
        "init": "embeddings_initializer",
        "W_regularizer": "embeddings_regularizer",
    }
    | {"W_constraint": "embeddings_constraint"},
    "RandomGaussianBlur": {"sigma": "sigma"},
    "ReversibleEmbedding": {"output_dim": "output_dim"},
    "Conv1D": {"filter_length": "kernel_size", "subsample_length": "strides"},
    "LocallyConnected1D": {"filter_length": "kernel_size", "subsample_length": "strides"},
    "BatchNormalization": {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
    "MaxPooling1D": {"pool_length": "pool_size", "stride": "strides"},
    "AveragePooling1D": {"pool_length": "pool_size", "stride": "strides"},
    "UpSampling1D": {"length": "size"},
    "LeakyReLU": {"alpha": "negative_slope"},
    "ReLU": {"theta": "threshold"},
    "PReLU": {"init": "alpha_initializer"},
    "SpatialDropout1D": {"p": "rate"},
    "Normalization": {"input_mean": "mean", "input_variance": "variance"},
    "SeparableConv2D": {"depthwise_init": "depthwise_initializer", "init": "depthwise_initializer"},
    "DepthwiseConv2D": {"kernel_initializer": "depthwise_initializer", "kernel_regularizer": "depthwise_regularizer"}
    | {"kernel_constraint": "depthwise_constraint"},
    "DepthwiseConv1D": {"kernel_initializer": "depthwise_initializer", "kernel_regularizer": "depthwise_regularizer"}
    | {"kernel_constraint": "depthwise_constraint"},
}
_SEPARATE: Mapping[str, tuple[tuple[str, ...], str]] = {
    "Conv2D": (("nb_row", "nb_col"), "kernel_size"),
    "SeparableConv2D": (("nb_row", "nb_col"), "kernel_size"),
    "LocallyConnected2D": (("nb_row", "nb_col"), "kernel_size"),
    "Conv2DTranspose": (("nb_row", "nb_col"), "kernel_size"),
    "Conv3D": (("kernel_dim1", "kernel_dim2", "kernel_dim3"), "kernel_size"),
}
_ORDERINGS = {"th": "channels_first", "tf": "channels_last", "default": None}


def modern(kind: str, config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Class and arguments as Keras 3 names them; what already has today's name is left alone.

    >>> modern("Convolution2D", {"nb_filter": 8, "nb_row": 3, "nb_col": 5, "dim_ordering": "th"})
    ('Conv2D', {'filters': 8, 'data_format': 'channels_first', 'kernel_size': [3, 5]})
    """
    # CuDNN's gates are sigmoids, and its GRU resets after the product.
    unsaid = {"CuDNNLSTM": {}, "CuDNNGRU": {"reset_after": True}}
    config = {"recurrent_activation": "sigmoid", **unsaid[kind], **config} if kind in unsaid else config
    kind = CLASSES.get(kind, kind)
    names = {**_COMMON, **_BY_CLASS.get(kind, {})}
    renamed: dict[str, Any] = {}
    for name, value in config.items():
        today = names.get(name, name)
        if today == name or today not in config:
            renamed[today] = value
    apart, together = _SEPARATE.get(kind, ((), ""))
    if apart and all(name in renamed for name in apart):
        renamed[together] = [renamed.pop(name) for name in apart]
    if isinstance(ordering := renamed.get("data_format"), str):
        renamed["data_format"] = _ORDERINGS.get(ordering, ordering)
    return kind, renamed
