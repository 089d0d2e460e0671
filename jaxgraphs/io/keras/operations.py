"""Operators and functions recorded in models as layers: `keras.ops`, and the TFOpLambda and kin of tf.keras.

One table from names to pure functions, which take what Keras' take; broadcasting and promotion are spelled out.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgraphs.errors import GraphValueError
from jaxgraphs.io.keras import ops_arrays, ops_networks
from jaxgraphs.io.keras.ops_arrays import ARRAYS
from jaxgraphs.io.keras.ops_common import Function, check_sizes, constant
from jaxgraphs.io.keras.ops_common import axes as _axes
from jaxgraphs.io.keras.ops_images import IMAGES
from jaxgraphs.io.keras.ops_networks import NETWORKS
from jaxgraphs.io.keras.ops_tensorflow import TENSORFLOW
from jaxgraphs.io.keras.values import keras_sparsemax, old_hard_sigmoid, policy_name, relu_with
from jaxgraphs.layers.activations import ACTIVATIONS
from jaxgraphs.layers.extremes import larger, smaller
from jaxgraphs.symbolic.arrays import align_ranks, promote
from jaxgraphs.symbolic.node import OPERATORS


def _two(function: Function) -> Function:
    """`function` of two tensors, broadcast and promoted as Keras does."""

    def binary(x1: Any, x2: Any) -> Any:
        return function(*align_ranks(*promote(x1, x2)))

    return binary


def _one(function: Function) -> Function:
    return lambda x: function(jnp.asarray(x))


def _floating(function: Function) -> Function:
    """`function` of one tensor, whole numbers made floating first."""

    def unary(x: Any) -> Any:
        x = jnp.asarray(x)
        return function(x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.float32))

    return unary


def _reduce(function: Function, *, floating: bool = False) -> Function:
    def reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        x = jnp.asarray(x)
        x = x.astype(jnp.float32) if floating and not jnp.issubdtype(x.dtype, jnp.inexact) else x
        return function(x, axis=_axes(axis), keepdims=keepdims)

    return reduce


def _arg(function: Function) -> Function:
    return lambda x, axis=None, keepdims=False: function(jnp.asarray(x), axis=axis, keepdims=keepdims).astype(jnp.int32)


def _along(function: Function) -> Function:
    return lambda xs, axis=0: function(list(promote(*xs)), axis=axis)


def _shape(newshape: Any, x: Any) -> tuple[Any, ...]:
    """A shape for `reshape`: None is the batch, or -1 where it is elsewhere."""
    sizes = tuple(newshape) if isinstance(newshape, (list, tuple)) else (newshape,)
    sizes = tuple(int(size) if isinstance(size, (int, np.integer)) else size for size in sizes)
    return tuple(
        (x.shape[0] if index == 0 and -1 in sizes else -1) if size is None else size for index, size in enumerate(sizes)
    )


def _reshape(x: Any, newshape: Any) -> Any:
    sizes = _shape(newshape, x)
    if sizes and sizes[0] == -1 and -1 not in sizes[1:]:
        rest = [size for size in sizes[1:] if isinstance(size, int)]
        inner = [size for size in x.shape[1:] if isinstance(size, int)]
        # The batch may be of unknown size; where the rest agrees it goes through as it is.
        if len(inner) == x.ndim - 1 and np.prod(rest, dtype=object) == np.prod(inner, dtype=object):
            sizes = (x.shape[0], *sizes[1:])
    return jnp.reshape(x, sizes)


def _get_item(x: Any, key: Any) -> Any:
    return OPERATORS["get_item"](x, tuple(key) if isinstance(key, (list, tuple)) else key)


def _slice(x: Any, slice_spec: Any) -> Any:
    return _get_item(x, slice_spec)


def _old_relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    return relu_with(x, max_value, alpha, threshold)


def _cast(x: Any, dtype: Any) -> Any:
    return jnp.asarray(x).astype(jax.dtypes.canonicalize_dtype(policy_name(dtype)))


def _softmax(x: Any, axis: Any = -1) -> Any:
    return jax.nn.softmax(x, axis=_axes(axis))


def _clip(x: Any, x_min: Any, x_max: Any) -> Any:
    return jnp.clip(x, jnp.asarray(x_min, x.dtype), jnp.asarray(x_max, x.dtype))


def _pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    wide = np.asarray(pad_width)
    pairs = np.broadcast_to(wide if wide.ndim == 2 else wide.reshape(1, -1), (x.ndim, 2)).tolist()
    check_sizes(*[size for pair in pairs for size in pair])
    filling = {} if constant_values is None or mode != "constant" else {"constant_values": constant_values}
    return jnp.pad(x, pairs, mode=mode.lower(), **filling)


def _where(condition: Any, x1: Any, x2: Any) -> Any:
    x1, x2 = promote(x1, x2)
    return jnp.where(*align_ranks(jnp.asarray(condition, bool), x1, x2))


def _einsum(*operands: Any, subscripts: str | None = None) -> Any:
    if subscripts is None:
        subscripts, *operands = operands  # type: ignore[assignment]
    return jnp.einsum(subscripts, *promote(*operands))


def _split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    parts = indices_or_sections
    return list(jnp.split(x, parts if isinstance(parts, int) else list(parts), axis=axis))


def _repeat(x: Any, repeats: Any, axis: Any = None) -> Any:
    check_sizes(*np.ravel(repeats).tolist())
    return jnp.repeat(x, repeats if isinstance(repeats, int) else np.asarray(repeats), axis=axis)


def _tile(x: Any, repeats: Any) -> Any:
    check_sizes(*np.ravel(repeats).tolist())
    return jnp.tile(x, repeats)


def _one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = "float32", sparse: bool = False) -> Any:
    return jax.nn.one_hot(x, num_classes, axis=axis, dtype=jnp.dtype(policy_name(dtype) or "float32"))


def _gelu(x: Any, approximate: bool = True) -> Any:
    return jax.nn.gelu(x, approximate=approximate)


def _normalize(x: Any, axis: Any = -1, order: int = 2, epsilon: float = 1e-12) -> Any:
    norm = jnp.sqrt(jnp.maximum(jnp.sum(jnp.square(x), axis=_axes(axis), keepdims=True), epsilon))
    return (
        x / norm
        if order == 2
        else x / jnp.maximum(jnp.sum(jnp.abs(x) ** order, axis=_axes(axis), keepdims=True) ** (1 / order), epsilon)
    )


def _take(x: Any, indices: Any, axis: Any = None) -> Any:
    return jnp.take(x, jnp.asarray(indices), axis=axis)


def _transpose(x: Any, axes: Any = None) -> Any:
    return jnp.transpose(x, None if axes is None else tuple(axes))


def _squeeze(x: Any, axis: Any = None) -> Any:
    return jnp.squeeze(x, axis=_axes(axis))


def _expand_dims(x: Any, axis: Any) -> Any:
    return jnp.expand_dims(x, _axes(axis))


def _broadcast_to(x: Any, shape: Any) -> Any:
    """x repeated to a shape; where that leaves a size open, as the batch, x has its own there."""
    own = (1,) * (len(shape) - x.ndim) + tuple(x.shape)
    return jnp.broadcast_to(x, tuple(mine if size is None else size for size, mine in zip(shape, own, strict=True)))


def scaled_sum(inputs: Any, scale: float) -> Any:
    """The first tensor plus `scale` times the second: the residuals of InceptionResNetV2, a class of its own there."""
    return inputs[0] + inputs[1] * scale


def _top_k(x: Any, k: int, sorted: bool = True) -> Any:
    return list(lax.top_k(x, k))


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    return jnp.linalg.norm(x, ord=ord, axis=_axes(axis), keepdims=keepdims)


def _leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    return jax.nn.leaky_relu(x, negative_slope)


def _elu(x: Any, alpha: float = 1.0) -> Any:
    return jax.nn.elu(x, alpha)


def _unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    return [jnp.squeeze(part, axis) for part in jnp.split(x, num or x.shape[axis], axis=axis)]


_BINARY: Mapping[str, Function] = {
    **{"Add": jnp.add, "Subtract": jnp.subtract, "Multiply": jnp.multiply, "Divide": jnp.divide},
    **{"TrueDivide": jnp.divide},
    **{"FloorDivide": jnp.floor_divide, "Mod": jnp.mod, "Power": jnp.power, "Maximum": larger},
    **{"Minimum": smaller},
    **{"Equal": jnp.equal, "NotEqual": jnp.not_equal, "Greater": jnp.greater, "GreaterEqual": jnp.greater_equal},
    **{"Less": jnp.less, "LessEqual": jnp.less_equal, "LogicalAnd": jnp.logical_and, "LogicalOr": jnp.logical_or},
    **{"LogicalXor": jnp.logical_xor, "Arctan2": jnp.arctan2, "Logaddexp": jnp.logaddexp, "Hypot": jnp.hypot},
}
_UNARY: Mapping[str, Function] = {
    **{"Absolute": jnp.abs, "Abs": jnp.abs, "Negative": jnp.negative, "Square": jnp.square, "Sign": jnp.sign},
    **{"Floor": jnp.floor, "Ceil": jnp.ceil, "Isfinite": jnp.isfinite, "Isnan": jnp.isnan, "Isinf": jnp.isinf},
    **{"LogicalNot": jnp.logical_not, "Identity": lambda x: x},
    **{"StopGradient": lax.stop_gradient, "Conjugate": jnp.conj, "Real": jnp.real, "Trunc": jnp.trunc},
    **{"Ravel": jnp.ravel},
}
_FLOATING: Mapping[str, Function] = {
    **{"Exp": jnp.exp, "Expm1": jnp.expm1, "Log": jnp.log, "Log1p": jnp.log1p, "Log2": jnp.log2, "Log10": jnp.log10},
    **{"Sqrt": jnp.sqrt, "Rsqrt": lax.rsqrt, "Reciprocal": jnp.reciprocal, "Sin": jnp.sin, "Cos": jnp.cos},
    **{"Tan": jnp.tan},
    **{"Arcsin": jnp.arcsin, "Arccos": jnp.arccos, "Arctan": jnp.arctan, "Sinh": jnp.sinh, "Cosh": jnp.cosh},
    **{"Tanh": jnp.tanh, "Arcsinh": jnp.arcsinh, "Arccosh": jnp.arccosh, "Arctanh": jnp.arctanh, "Erf": lax.erf},
    **{"Erfinv": lax.erf_inv},
    **{"Sigmoid": jax.nn.sigmoid, "Silu": jax.nn.silu, "Softplus": jax.nn.softplus, "Softsign": jax.nn.soft_sign},
    **{"LogSigmoid": jax.nn.log_sigmoid, "Relu": jax.nn.relu, "Relu6": jax.nn.relu6, "Selu": jax.nn.selu},
    **{
        "HardSigmoid": jax.nn.hard_sigmoid,
        "HardSilu": jax.nn.hard_silu,
        "HardTanh": jax.nn.hard_tanh,
        "Mish": jax.nn.mish,
    },
    **{"TanhShrink": ACTIVATIONS["tanh_shrink"]},
}

OPERATIONS: Mapping[str, Function] = {
    **{name: _two(function) for name, function in _BINARY.items()},
    **{name: _one(function) for name, function in _UNARY.items()},
    **{name: _floating(function) for name, function in _FLOATING.items()},
    **{name: _reduce(function) for name, function in (("Sum", jnp.sum), ("All", jnp.all), ("Any", jnp.any))},
    **{
        name: _reduce(function, floating=True)
        for name, function in (("Mean", jnp.mean), ("Std", jnp.std), ("Var", jnp.var))
    },
    "Logsumexp": _reduce(jax.nn.logsumexp, floating=True),
    "Median": _reduce(jnp.median, floating=True),
    "Argmax": _arg(jnp.argmax),
    "Argmin": _arg(jnp.argmin),
    "Argsort": lambda x, axis=-1: jnp.argsort(x, axis=axis).astype(jnp.int32),
    "Sort": lambda x, axis=-1: jnp.sort(x, axis=axis),
    **{name.title().replace("_", ""): function for name, function in OPERATORS.items() if name != "get_item"},
    "Dot": lambda x1, x2: jnp.dot(*promote(x1, x2)),
    "Tensordot": lambda x1, x2, axes=2: jnp.tensordot(*promote(x1, x2), axes=axes),
    "Outer": lambda x1, x2: jnp.einsum("i,j->ij", *(jnp.ravel(x) for x in promote(x1, x2))),
    "Einsum": _einsum,
    "GetItem": _get_item,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Swapaxes": lambda x, axis1, axis2: jnp.swapaxes(x, axis1, axis2),
    "Moveaxis": lambda x, source, destination: jnp.moveaxis(x, _axes(source), _axes(destination)),
    "ExpandDims": _expand_dims,
    "Squeeze": _squeeze,
    "Flip": lambda x, axis=None: jnp.flip(x, axis=_axes(axis)),
    "Roll": lambda x, shift, axis=None: jnp.roll(x, _axes(shift), axis=_axes(axis)),
    "BroadcastTo": _broadcast_to,
    "Concatenate": _along(jnp.concatenate),
    "Stack": _along(jnp.stack),
    "Split": _split,
    "Unstack": _unstack,
    "Repeat": _repeat,
    "Tile": _tile,
    "Pad": _pad,
    "Clip": _clip,
    "Round": lambda x, decimals=0: jnp.round(x, decimals),
    "Where": _where,
    "Take": _take,
    "TakeAlongAxis": lambda x, indices, axis=None: jnp.take_along_axis(x, indices, axis=axis),
    "Tril": lambda x, k=0: jnp.tril(x, k),
    "Triu": lambda x, k=0: jnp.triu(x, k),
    "Diagonal": lambda x, offset=0, axis1=0, axis2=1: jnp.diagonal(x, offset, axis1, axis2),
    "Cast": _cast,
    "FirstOf": lambda x, *_: x,
    "Softmax": _softmax,
    "LeakyRelu": _leaky_relu,
    "Elu": _elu,
    "Celu": lambda x, alpha=1.0: jax.nn.celu(x, alpha),
    "Gelu": _gelu,
    "Glu": lambda x, axis=-1: jax.nn.glu(x, axis),
    "OneHot": _one_hot,
    "Normalize": _normalize,
    "TopK": _top_k,
    "Norm": _norm,
    "L2Normalize": lambda x, axis=None, epsilon=1e-12: _normalize(x, axis=axis, epsilon=epsilon),
    "SquaredDifference": _two(lambda x1, x2: jnp.square(x1 - x2)),
    **ARRAYS,
    **NETWORKS,
    **IMAGES,
}
"""Class of `keras.ops` -> function of arrays."""

# Names of TensorFlow's functions and operators as tf.keras records them.
_TENSORFLOW: Mapping[str, str] = {
    **{"math.add": "Add", "__operators__.add": "Add", "add": "Add", "AddV2": "Add", "Add": "Add", "BiasAdd": "Add"},
    **{"math.subtract": "Subtract", "subtract": "Subtract", "Sub": "Subtract", "math.multiply": "Multiply"},
    **{"multiply": "Multiply"},
    **{"Mul": "Multiply", "math.truediv": "Divide", "math.divide": "Divide", "divide": "Divide", "RealDiv": "Divide"},
    **{"math.floordiv": "FloorDivide", "FloorDiv": "FloorDivide", "math.floormod": "Mod", "FloorMod": "Mod"},
    **{"math.pow": "Power"},
    **{"pow": "Power", "Pow": "Power", "math.negative": "Negative", "Neg": "Negative", "math.abs": "Absolute"},
    **{"abs": "Absolute"},
    **{"Abs": "Absolute", "math.square": "Square", "Square": "Square", "math.sqrt": "Sqrt", "Sqrt": "Sqrt"},
    **{"math.rsqrt": "Rsqrt"},
    **{"Rsqrt": "Rsqrt", "math.exp": "Exp", "Exp": "Exp", "math.log": "Log", "Log": "Log", "math.log1p": "Log1p"},
    **{"math.sigmoid": "Sigmoid", "sigmoid": "Sigmoid", "Sigmoid": "Sigmoid", "math.tanh": "Tanh", "tanh": "Tanh"},
    **{"Tanh": "Tanh"},
    **{"nn.relu": "Relu", "Relu": "Relu", "nn.relu6": "Relu6", "Relu6": "Relu6", "nn.softmax": "Softmax"},
    **{"Softmax": "Softmax"},
    **{"nn.silu": "Silu", "nn.swish": "Silu", "nn.elu": "Elu", "nn.selu": "Selu"},
    **{"nn.leaky_relu": "LeakyRelu"},
    **{"math.softplus": "Softplus", "math.reduce_sum": "Sum", "math.reduce_mean": "Mean", "math.reduce_max": "Max"},
    **{"math.reduce_min": "Min", "math.reduce_prod": "Prod", "math.reduce_std": "Std", "math.reduce_variance": "Var"},
    **{"Sum": "Sum", "Mean": "Mean", "Max": "Max", "Min": "Min", "math.maximum": "Maximum", "math.minimum": "Minimum"},
    **{"Maximum": "Maximum", "Minimum": "Minimum", "math.equal": "Equal", "math.not_equal": "NotEqual"},
    **{"math.greater": "Greater"},
    **{
        "math.less": "Less",
        "math.logical_and": "LogicalAnd",
        "math.logical_or": "LogicalOr",
        "math.logical_not": "LogicalNot",
    },
    **{"math.sin": "Sin", "math.cos": "Cos", "math.erf": "Erf", "math.floor": "Floor", "math.ceil": "Ceil"},
    **{"math.sign": "Sign"},
    **{"math.l2_normalize": "L2Normalize", "linalg.matmul": "Matmul", "MatMul": "Matmul", "BatchMatMulV2": "Matmul"},
    **{"expand_dims": "ExpandDims", "squeeze": "Squeeze", "reshape": "Reshape", "Reshape": "Reshape"},
    **{"transpose": "Transpose"},
    **{"compat.v1.transpose": "Transpose", "Transpose": "Transpose", "concat": "Concatenate", "stack": "Stack"},
    **{"cast": "Cast"},
    **{"tile": "Tile", "clip_by_value": "Clip", "where": "Where", "one_hot": "OneHot", "identity": "Identity"},
    **{"Identity": "Identity"},
    **{"stop_gradient": "StopGradient", "compat.v1.pad": "Pad", "pad": "Pad", "compat.v1.gather": "Take"},
    **{"gather": "Take"},
    **{"math.argmax": "Argmax", "repeat": "Repeat", "split": "Split", "unstack": "Unstack", "reverse": "Flip"},
    **{"roll": "Roll"},
    **{"math.cumsum": "Cumsum", "nn.log_softmax": "LogSoftmax", "nn.softplus": "Softplus", "nn.tanh": "Tanh"},
    **{"nn.sigmoid": "Sigmoid"},
    **{"ExpandDims": "ExpandDims", "Squeeze": "Squeeze", "Softplus": "Softplus", "ConcatV2": "Concatenate"},
    **{"SquaredDifference": "SquaredDifference", "math.squared_difference": "SquaredDifference", "Tile": "Tile"},
    **dict.fromkeys(("nn.space_to_depth", "space_to_depth", "compat.v1.space_to_depth"), "SpaceToDepth"),
    **dict.fromkeys(("compat.v1.nn.space_to_depth", "SpaceToDepth"), "SpaceToDepth"),
    **dict.fromkeys(("nn.depth_to_space", "depth_to_space", "compat.v1.depth_to_space"), "DepthToSpace"),
    **dict.fromkeys(("compat.v1.nn.depth_to_space", "DepthToSpace"), "DepthToSpace"),
    **{"math.reduce_logsumexp": "Logsumexp", "math.reduce_any": "Any", "math.reduce_all": "All"},
    **{"math.argmin": "Argmin", "argsort": "Argsort", "sort": "Sort", "math.top_k": "TopK", "nn.top_k": "TopK"},
    **{"math.round": "Round", "math.log_sigmoid": "LogSigmoid", "math.atan2": "Arctan2", "math.tan": "Tan"},
    **{"math.acos": "Arccos", "math.asin": "Arcsin", "math.atan": "Arctan", "math.sinh": "Sinh", "math.cosh": "Cosh"},
    **{"math.less_equal": "LessEqual", "math.greater_equal": "GreaterEqual", "math.expm1": "Expm1"},
    **{"math.reciprocal": "Reciprocal", "math.is_nan": "Isnan", "math.is_finite": "Isfinite", "math.is_inf": "Isinf"},
    **{"math.divide_no_nan": "DivideNoNan", "math.multiply_no_nan": "Multiply", "math.mod": "Mod"},
    **{"math.softmax": "Softmax", "math.erfc": "Erfc", "math.cumprod": "Cumprod"},
    **{"math.real": "Real", "math.imag": "Imag", "math.conj": "Conj", "math.angle": "Angle", "meshgrid": "Meshgrid"},
    **{"linalg.l2_normalize": "L2Normalize", "nn.l2_normalize": "L2Normalize", "einsum": "Einsum"},
    **{"linalg.einsum": "Einsum", "linalg.det": "Det"},
    **{"linalg.inv": "Inv", "linalg.cholesky": "Cholesky", "linalg.solve": "Solve", "tensordot": "Tensordot"},
    **{"linalg.tensordot": "Tensordot", "slice": "Slice", "ones_like": "OnesLike", "zeros_like": "ZerosLike"},
    **{"compat.v1.ones_like": "OnesLike", "compat.v1.zeros_like": "ZerosLike", "broadcast_to": "BroadcastTo"},
    **{"compat.v1.expand_dims": "ExpandDims", "compat.v1.squeeze": "Squeeze", "convert_to_tensor": "ConvertToTensor"},
    **{"image.rgb_to_grayscale": "RGBToGrayscale", "image.rgb_to_hsv": "RGBToHSV", "image.hsv_to_rgb": "HSVToRGB"},
    **{"nn.softsign": "Softsign", "math.unsorted_segment_sum": "SegmentSum"},
    **{"nn.moments": "Moments", "compat.v1.nn.softmax": "Softmax", "compat.v1.nn.relu": "Relu"},
}
_ARGUMENTS: Mapping[str, str] = {
    "input": "x",
    "tensor": "x",
    "features": "x",
    "logits": "x",
    "a": "x",
    "input_tensor": "x",
}
_SECONDS = frozenset((*_BINARY, *ops_arrays.TWO, "Matmul", "SquaredDifference"))
_RENAMED: Mapping[str, Mapping[str, str]] = {
    "Reshape": {"shape": "newshape"},
    "Transpose": {"perm": "axes", "conjugate": ""},
    "Clip": {"clip_value_min": "x_min", "clip_value_max": "x_max", "t": "x"},
    "Tile": {"multiples": "repeats"},
    "Pad": {"paddings": "pad_width", "tensor": "x"},
    "Take": {"params": "x", "batch_dims": ""},
    "OneHot": {"depth": "num_classes", "indices": "x"},
    "LeakyRelu": {"alpha": "negative_slope"},
    "Concatenate": {"values": "xs"},
    "Stack": {"values": "xs"},
    "Split": {"value": "x", "num_or_size_splits": "indices_or_sections"},
    "Slice": {"input_": "inputs", "begin": "start_indices", "size": "shape"},
    "Sort": {"values": "x"},
    "Argsort": {"values": "x"},
    "Tensordot": {"a": "x1", "b": "x2"},
}


def keras_operation(name: str, config: Mapping[str, Any]) -> Function | None:
    """The function of a class of `keras.ops`, its configured arguments bound; None where it is not known."""
    function = OPERATIONS.get(name)
    if function is None:
        return None
    unsaid = ("name", "trainable") if name in _TYPED else ("name", "trainable", "dtype")
    bound = without_none({key: value for key, value in config.items() if key not in unsaid})
    return functools.partial(function, **bound) if bound else function


# The operations to which a dtype says something.
_TYPED = ("Cast", "OneHot", *ops_arrays.TYPED, *ops_networks.TYPED)


def without_none(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that say something; an axis of None says all of them."""
    return {key: value for key, value in kwargs.items() if value is not None or key == "axis"}


def tensorflow_operation(name: str) -> Function | None:
    """A function of TensorFlow by the name that tf.keras gives it, taking TensorFlow's arguments; None if unknown."""
    if name in ("__operators__.getitem", "SlicingOpLambda"):
        return _slice
    if name == "keras.activations.relu" or name == "keras.backend.relu":
        return _old_relu
    if name in TENSORFLOW:
        return TENSORFLOW[name]
    if name not in _TENSORFLOW:
        return None
    known = _TENSORFLOW[name]
    function = OPERATIONS.get(known)
    return None if function is None else functools.partial(call_as_tensorflow, function, known)


def call_as_tensorflow(function: Function, known: str, *args: Any, **kwargs: Any) -> Any:
    """Calls `function` with TensorFlow's argument names brought to ours."""
    given = {key: value for key, value in kwargs.items() if key not in ("name", "stable") and value is not None}
    if known in _SECONDS or known == "Where":
        named = [given.pop(key) for key in ("condition", "x", "y", "a", "b", "x1", "x2") if key in given]
        options = {key: value for key, value in given.items() if key.startswith("transpose") and value}
        operands = [*args, *named]
        if known == "Matmul":
            pairs = zip(("transpose_a", "transpose_b"), operands, strict=True)
            operands = [jnp.swapaxes(x, -1, -2) if key in options else x for key, x in pairs]
        return function(*map(constant, operands))
    names = {**_ARGUMENTS, **_RENAMED.get(known, {})}
    if unread := {key: value for key, value in given.items() if names.get(key) == "" and value}:
        raise GraphValueError("A function of TensorFlow has an argument that is not known here.", received=str(unread))
    renamed = {names.get(key, key): value for key, value in given.items() if names.get(key) != ""}
    renamed |= {key: constant(renamed[key]) for key in ("x1", "x2") if key in renamed}
    if known == "Cast" and "dtype" in renamed:
        renamed["dtype"] = policy_name(renamed["dtype"])
    if known == "Split" and isinstance(renamed.get("indices_or_sections"), (list, tuple)):
        renamed["indices_or_sections"] = np.cumsum(renamed["indices_or_sections"])[:-1].tolist()
    return function(*args, **renamed)


def node_operation(config: Mapping[str, Any]) -> tuple[str, Function | None, Mapping[int, Any]]:
    """The operation of a TensorFlowOpLayer (TensorFlow 2.0 to 2.3), its function, and its constant operands."""
    node, constants = config.get("node_def"), config.get("constants") or {}
    if isinstance(node, str):
        from jaxgraphs.io.keras.texts import parse

        node = parse(node, "The node of a TensorFlowOpLayer") if node.lstrip().startswith("{") else {}
    name = node.get("op") if isinstance(node, Mapping) else None
    places = (
        {int(key): value for key, value in constants.items() if str(key).isdigit()}
        if isinstance(constants, Mapping)
        else {}
    )
    return str(name), OPERATIONS.get(_TENSORFLOW.get(str(name), "")), places


def with_constants(function: Function, constants: Mapping[int, Any]) -> Function:
    """`function` of the tensors alone, constants put between them where they stood."""
    return functools.partial(call_between, function, dict(constants))


def call_between(function: Function, constants: Mapping[int, Any], *tensors: Any) -> Any:
    """Calls `function` with `constants` by place, and `tensors` in the places left."""
    operands: Sequence[Any] = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    remaining, merged = list(operands), []
    for index in range(len(remaining) + len(constants)):
        merged.append(constant(constants[index]) if index in constants else remaining.pop(0))
    return function(*merged)


FUNCTIONS: Mapping[str, Function] = {
    **{f"keras.{name}": function for name, function in OPERATIONS.items()},
    "keras.slice": _slice,
    "keras.old_relu": _old_relu,
    "keras.old_hard_sigmoid": old_hard_sigmoid,
    "keras.relu_with": relu_with,
    "keras.sparsemax": keras_sparsemax,
    "keras.call_as_tensorflow": call_as_tensorflow,
    "keras.call_between": call_between,
    "keras.scaled_sum": scaled_sum,
    **{f"keras.tensorflow.{name}": function for name, function in TENSORFLOW.items()},
}
"""The functions that ported graphs are made of, by the names they have in files of ours."""
