"""Keras' class names and the layers of the catalogue that they build: one table, and nothing outside it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jaxgraphs import layers as catalogue
from jaxgraphs.errors import GraphError
from jaxgraphs.io.keras.config import LayerConfig, layer_config
from jaxgraphs.io.keras.limits import NUMBER
from jaxgraphs.io.keras.operations import scaled_sum
from jaxgraphs.io.keras.spellings import modern
from jaxgraphs.io.keras.values import named, plain
from jaxgraphs.io.tables import LAYERS as _CATALOGUE
from jaxgraphs.layers.base import Layer
from jaxgraphs.layers.joining import Concatenate, Dot
from jaxgraphs.layers.merge import Add, Average, Maximum, Minimum, Multiply
from jaxgraphs.layers.passing import Identity, Lambda
from jaxgraphs.layers.recurrent import Recurrent
from jaxgraphs.layers.regularizers import L1L2
from jaxgraphs.symbolic.node import Operation

if TYPE_CHECKING:
    from jaxgraphs.io.keras.build import Builder

LAYERS: Mapping[str, type] = {name: kind for name, kind in _CATALOGUE.items() if name not in ("Lambda", "RepeatAlong")}
"""Class of Keras -> layer of the catalogue with the same name and arguments."""

# Arguments that say nothing about what a layer computes, or that the catalogue decides for itself.
_SILENT = frozenset(
    (
        *("batch_input_shape", "input_shape", "batch_shape", "input_dtype", "input_length", "batch_size"),
        *("implementation", "consume_less", "time_major", "ragged", "sparse", "fused", "use_cudnn", "flash_attention"),
        *("renorm_clipping", "renorm_momentum", "synchronized", "mode", "quantization_config", "autocast", "states"),
        *("registered_name", "module", "shared_object_id", "build_config", "lora_rank", "lora_alpha"),
        *("supports_masking", "bounding_box_format", "forget_bias_init", "create_input_layer", "rng_type"),
        *("transform_bias",),
        *("query_shape", "key_shape", "value_shape"),
    )
)
_EMPTY: tuple[Any, ...] = (None, False, [], {}, "", 0, 0.0)
# Arguments of Keras 1 with a layer's input, where the class does not have them itself.
_INPUTS = ("input_dim", "input_length")
_NAMED = ("activation", "initializer", "regularizer", "constraint")
# Bounds on what makes Python write out a loop or an array of that many parts.
_MODEST = {
    "cells": 64,
    "size": 4096,
    "padding": 2**20,
    "cropping": 2**20,
    "kernel_size": 2**16,
    "groups": 2**20,
    **{"frame_length": 2**16, "fft_length": 2**16, "num_mel_bins": 2**12, "power_iterations": 2**10},
}


def build_layer(builder: Builder, record: LayerConfig, place: str) -> Any:
    """A layer of the catalogue, or None where something about it is not known; that is then noted in `builder`."""
    if record.kind in builder.unknowns.custom and not _is_spelled_alike(builder, record):
        return _custom(builder, record, place, builder.unknowns.custom[record.kind])
    if record.kind in _SPECIAL:
        return _SPECIAL[record.kind](builder, record, place)
    kind, config = modern(record.kind, record.config)
    if kind in _SPECIAL:
        return _SPECIAL[kind](builder, dataclasses.replace(record, kind=kind, config=config), place)
    if kind not in LAYERS:
        found = builder.unknowns.find(
            place, record.kind, place, what=f"the layer class {record.kind!r}", hint=record.kind
        )
        return None if found is None else _custom(builder, record, place, found)
    return make(builder, LAYERS[kind], kind, config, record, place)


def make(builder: Builder, cls: type, kind: str, config: Mapping[str, Any], record: LayerConfig, place: str) -> Any:
    """A layer of class `cls` from arguments of today's names."""
    fields = {field.name for field in dataclasses.fields(cls) if field.init} - {"created"}
    config, given = _stateless(builder, config, place), {}
    for name, value in _defaults(builder, kind, config).items():
        if name in ("name", "dtype", "trainable", "seed"):
            continue
        if name in fields:
            given[name] = argument(builder, name, value, place)
        elif name not in _SILENT and name not in _INPUTS and not any(value is item or value == item for item in _EMPTY):
            builder.unknowns.refuse(place, f"{kind} has no argument {name}={str(value)[:60]}")
    given |= {"name": record.name, "dtype": builder.values.dtype(config.get("dtype"), place)}
    given["trainable"] = config.get("trainable") is not False and not builder.is_frozen
    if issubclass(cls, Recurrent):
        given["masks_given_states"] = builder.era.is_legacy
    return _made(builder, cls, given, place)


def _stateless(builder: Builder, config: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """The arguments of a layer that carries no states from batch to batch; the user is told."""
    if config.get("stateful") is not True:
        return config
    builder.note(_STATEFUL, place)
    return {**config, "stateful": False}


_STATEFUL = (
    "These recurrent layers of the Keras model carry their states from batch to batch; here each batch starts from "
    "zeros, as after Keras' reset_states(): {places}. Layers with return_state=True give their states back."
)


def argument(builder: Builder, name: str, value: Any, place: str) -> Any:
    """One argument as the catalogue takes it."""
    for ending in _NAMED:
        if name == ending or name.endswith(f"_{ending}"):
            return _reader(builder, ending)(value, place)
    value = plain(value)
    check_number(name, value)
    return tuple(value) if isinstance(value, list) else value


def check_number(name: str, value: Any) -> None:
    """Refuses a size beyond reason before anything is made of it."""
    from jaxgraphs.io.keras.limits import refuse

    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, (list, tuple)):
            stack.extend(item)
        elif (
            isinstance(item, (int, float))
            and not isinstance(item, bool)
            and abs(item) > _MODEST.get(name, NUMBER)
            and item not in (float("inf"), -float("inf"))
        ):
            raise refuse(
                f"An argument of a layer is too large: {name}.", str(item)[:40], f"at most {_MODEST.get(name, NUMBER)}"
            )


def _reader(builder: Builder, ending: str) -> Callable[[Any, str], Any]:
    values = builder.values
    return {
        "activation": values.activation,
        "initializer": values.initializer,
        "regularizer": values.regularizer,
        "constraint": values.constraint,
    }[ending]


def _made(builder: Builder, cls: Any, given: Mapping[str, Any], place: str) -> Any:
    try:
        return cls(**given)
    except GraphError as error:
        if not builder.unknowns.places:
            raise type(error)(
                error.what, where=place, received=error.received, expected=error.expected, fix=error.fix
            ) from error
        # What is not known has already been noted; this layer only lacks it.
        return None


def _defaults(builder: Builder, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with those that an older Keras left unsaid, and with axes as numbers."""
    said = dict(config)
    if builder.era.is_legacy and kind in _HARD:
        said.setdefault("recurrent_activation", "hard_sigmoid")
        if kind.startswith("GRU"):
            said.setdefault("reset_after", False)
    if builder.era.major == 1 and kind == "Softmax":
        said.setdefault("axis", -1)
    axis = plain(said.get("axis"))
    if kind in ("BatchNormalization", "Softmax") and isinstance(axis, (list, tuple)) and len(axis) == 1:
        said["axis"] = axis[0]
    if kind == "Normalization" and (said.get("mean") is None or said.get("variance") is None):
        said = {name: value for name, value in said.items() if name not in ("mean", "variance")}
    if kind in ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"):
        # Keras 1 gave the shape of the output, which follows from the rest; tf.keras has groups, of which there is one.
        unsaid = {"output_shape": said.get("output_shape"), "groups": 1}
        said = {name: value for name, value in said.items() if name not in unsaid or value != unsaid[name]}
    if kind == "AutoContrast":
        # It looks at the same two axes, whichever of them are the channels.
        said.pop("data_format", None)
    if kind == "ReLU" and said.get("negative_slope") is None:
        said.pop("negative_slope", None)
    return said


# Layers whose gates were hard sigmoids where nothing was said.
_HARD = ("LSTM", "GRU", "LSTMCell", "GRUCell", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")


def _is_spelled_alike(builder: Builder, record: LayerConfig) -> bool:
    """Whether a custom object of a class' name is meant for something else, such as an activation called `Softmax`."""
    return record.kind in LAYERS and not isinstance(builder.unknowns.custom[record.kind], type)


def _custom(builder: Builder, record: LayerConfig, place: str, found: Any) -> Any:
    """A layer that the user gave for a class: a class of layers, a finished layer, or a JAX function."""
    if isinstance(found, type) and issubclass(found, Layer):
        return make(builder, found, record.kind, dict(record.config), record, place)
    if isinstance(found, type):
        return found(**{name: value for name, value in record.config.items() if name not in ("dtype", "trainable")})
    if all(hasattr(found, name) for name in ("variable_specs", "init", "run")):
        return found.replace(name=record.name) if hasattr(found, "replace") and found.name is None else found
    arguments = plain(record.config.get("arguments") or {})
    return Lambda(found, arguments=arguments or None, name=record.name)


def _lambda(builder: Builder, record: LayerConfig, place: str) -> Any:
    """A Lambda: its code is never read; the user gives the function."""
    function = record.config.get("function")
    name = function.get("config") if isinstance(function, Mapping) else function
    keys = [record.name, *([name] if isinstance(name, str) else [])]
    what = f"the function {name!r} of a Lambda" if isinstance(name, str) else "the code of a Lambda, which is never run"
    found = builder.unknowns.find(place, *keys, what=what, hint="lambda x: ...")
    return None if found is None else _custom(builder, record, place, found)


def inner(builder: Builder, value: Any, place: str) -> Any:
    """A layer within a layer's configuration, or None where it is not known."""
    record = layer_config(value, place)
    return builder.layer(record, f"{place}/{record.name}")


def _bidirectional(builder: Builder, record: LayerConfig, place: str) -> Any:
    forward = inner(builder, record.config.get("layer"), place)
    given = record.config.get("backward_layer")
    backward = None if given is None else inner(builder, given, place)
    if forward is None or (given is not None and backward is None):
        return None
    if not isinstance(forward, Layer):
        builder.unknowns.refuse(place, "a Bidirectional around what is not recurrent")
        return None
    options = {"merge_mode": record.config.get("merge_mode", "concat"), "backward_layer": backward}
    return _made(builder, catalogue.Bidirectional, {"layer": forward, "name": record.name, **options}, place)


def _time_distributed(builder: Builder, record: LayerConfig, place: str) -> Any:
    layer = inner(builder, record.config.get("layer"), place)
    return (
        None
        if layer is None
        else _made(builder, catalogue.TimeDistributed, {"layer": layer, "name": record.name}, place)
    )


def _spectral(builder: Builder, record: LayerConfig, place: str) -> Any:
    layer, count = inner(builder, record.config.get("layer"), place), record.config.get("power_iterations", 1)
    check_number("power_iterations", count)
    given = {"layer": layer, "power_iterations": count, "name": record.name}
    return None if layer is None else _made(builder, catalogue.SpectralNormalization, given, place)


def _time_distributed_dense(builder: Builder, record: LayerConfig, place: str) -> Any:
    dense = build_layer(builder, dataclasses.replace(record, kind="Dense"), place)
    return None if dense is None else catalogue.TimeDistributed(dense, name=record.name)


def _rnn(builder: Builder, record: LayerConfig, place: str) -> Any:
    cell = inner(builder, record.config.get("cell"), place)
    if cell is None:
        return None
    builder.within[record.name] = (cell,)
    kept = _stateless(builder, {name: value for name, value in record.config.items() if name != "cell"}, place)
    cls = functools.partial(catalogue.RNN, cell)
    fields = {name: argument(builder, name, value, place) for name, value in kept.items() if name in _RNN_ARGUMENTS}
    fields |= {"name": record.name, "trainable": kept.get("trainable") is not False}
    return _made(builder, cls, {**fields, "masks_given_states": builder.era.is_legacy}, place)


_RNN_ARGUMENTS = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "zero_output_for_mask",
    "activity_regularizer",
)


def _stacked(builder: Builder, record: LayerConfig, place: str) -> Any:
    listed = record.config.get("cells")
    if not isinstance(listed, list) or len(listed) > _MODEST["cells"]:
        builder.unknowns.refuse(place, "cells that are not a list of modest length")
        return None
    cells = [inner(builder, value, place) for value in listed]
    return (
        None
        if None in cells
        else _made(builder, catalogue.StackedRNNCells, {"cells": cells, "name": record.name}, place)
    )


_MODES = {"sum": Add, "mul": Multiply, "ave": Average, "max": Maximum, "min": Minimum}


def _merge(builder: Builder, record: LayerConfig, place: str) -> Any:
    """Keras 1's Merge with its modes."""
    mode, config = record.config.get("mode", "sum"), record.config
    axes = plain(config.get("dot_axes", -1))
    axes = -1 if not isinstance(axes, (int, list, tuple)) else tuple(axes) if isinstance(axes, list) else axes
    if mode == "concat":
        return Concatenate(axis=int(config.get("concat_axis", -1)), name=record.name)
    if mode in ("dot", "cos"):
        # Keras 1 numbers the axes within a pair of lists; one of each is one number each.
        flat = (
            tuple(axis[0] if isinstance(axis, (list, tuple)) else axis for axis in axes)
            if isinstance(axes, tuple)
            else axes
        )
        return Dot(axes=flat, normalize=mode == "cos", name=record.name)
    if mode in _MODES:
        return _MODES[mode](name=record.name)
    builder.unknowns.find(place, place, what=f"the merge mode {str(mode)[:60]!r}", hint="lambda tensors: ...")
    return _custom(builder, record, place, builder.unknowns.custom[place]) if place in builder.unknowns.custom else None


def _batch_normalization(builder: Builder, record: LayerConfig, place: str) -> Any:
    if record.config.get("mode") == 1 or record.config.get("virtual_batch_size"):
        builder.unknowns.refuse(place, "batch normalisation by sample, or with virtual batches")
        return None
    _, config = modern("BatchNormalization", record.config)
    return make(builder, catalogue.BatchNormalization, "BatchNormalization", config, record, place)


def _depthwise(kind: str) -> Callable[[Builder, LayerConfig, str], Any]:
    def build(builder: Builder, record: LayerConfig, place: str) -> Any:
        # Keras writes the arguments of the kernel it does not have beside those of the depthwise kernel.
        config = {
            name: value
            for name, value in record.config.items()
            if name not in _KERNEL or f"depthwise_{name[7:]}" not in record.config
        }
        config = {name: value for name, value in config.items() if name not in ("filters", "groups")}
        _, config = modern(kind, config)
        return make(builder, LAYERS[kind], kind, config, record, place)

    return build


_KERNEL = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")


def _separable(kind: str) -> Callable[[Builder, LayerConfig, str], Any]:
    def build(builder: Builder, record: LayerConfig, place: str) -> Any:
        config = {name: value for name, value in record.config.items() if name not in (*_KERNEL, "groups")}
        return make(builder, LAYERS[kind], kind, modern(kind, config)[1], record, place)

    return build


def _group_norm(builder: Builder, record: LayerConfig, place: str) -> Any:
    config = {name: value for name, value in record.config.items() if name != "invert_mask"}
    return make(builder, catalogue.GroupNormalization, "GroupNormalization", config, record, place)


def _activity(builder: Builder, record: LayerConfig, place: str) -> Any:
    factors = {name: float(record.config.get(name) or 0.0) for name in ("l1", "l2")}
    return Identity(name=record.name, activity_regularizer=L1L2(**factors))


def _augmenting(builder: Builder, record: LayerConfig, place: str) -> Any:
    """An image augmentation: it changes nothing at inference, and has no twin in training; the user is told."""
    builder.note(_PICTURES, f"{place} ({record.kind})")
    return Identity(name=record.name)


_PICTURES = (
    "These layers of the Keras model change pictures in training only; the graph passes them on: {places}. "
    "Change the pictures before they are given to the graph, where training goes on."
)


def _foreign(builder: Builder, record: LayerConfig, place: str) -> Any:
    """A layer around code of another framework, which a file names or holds, and which is never run."""
    what = f"the code within a {record.kind}, which is never run"
    found = builder.unknowns.find(place, record.name, what=what, hint="lambda x: ...")
    return None if found is None else _custom(builder, record, place, found)


def _boxes(builder: Builder, record: LayerConfig, place: str) -> Any:
    """A limit on how many boxes come with a picture, which leaves pictures alone."""
    return Identity(name=record.name)


def _adding(builder: Builder, record: LayerConfig, place: str) -> Any:
    """What tf.keras records of `model.add_loss` and `add_metric`: a tensor that a graph has no use for."""
    builder.note(_ADDED, f"{place} ({record.kind})")
    return Identity(name=record.name)


_ADDED = (
    "These layers of the Keras model add to its loss or its metrics; the graph passes them on: {places}. "
    "Make what they read an output, graph.subgraph([...]), and give it a loss, where training goes on."
)


def _scaled_sum(builder: Builder, record: LayerConfig, place: str) -> Any:
    scale = record.config.get("scale")
    if not isinstance(scale, (int, float)):
        builder.unknowns.refuse(place, "a scale that is no number")
        return None
    return Operation(functools.partial(scaled_sum, scale=float(scale)), record.name, "custom_scale_layer")


def _lookup(builder: Builder, record: LayerConfig, place: str) -> Any:
    """What looks values up in a vocabulary, which must be inline, or in the archive beside the model."""
    config = {name: value for name, value in record.config.items() if name not in _OF_LOOKUPS}
    if "vocabulary" in config or record.kind not in ("Hashing", "HashedCrossing"):
        config["vocabulary"] = _vocabulary(builder, record, place)
        if config["vocabulary"] is None:
            return None
    for name in ("standardize", "split"):
        if not isinstance(config.get(name), (str, type(None))):
            function, _ = named(config[name])
            config[name] = builder.unknowns.find(
                place,
                str(function),
                f"{place}/{name}",
                what=f"the function {function!r} ({name})",
                hint="lambda text: ...",
            )
    return make(builder, LAYERS[record.kind], record.kind, config, record, place)


_OF_LOOKUPS = ("dtype", "vocabulary_size", "has_input_vocabulary", "oov_method", "max_values", "adapted")


def _vocabulary(builder: Builder, record: LayerConfig, place: str) -> list[Any] | None:
    """The values that a layer knows; None, and a note, where they are not data."""
    given = record.config.get("vocabulary")
    if isinstance(given, str):
        problem = f"{record.kind} has its vocabulary at a path or an address, which is never opened"
        builder.unknowns.refuse(place, problem)
        return None
    values: Any = builder.vocabulary(record) if given is None else plain(given)
    values = values.tolist() if hasattr(values, "tolist") else values
    if not isinstance(values, list) or not all(isinstance(value, (str, int)) for value in values):
        builder.unknowns.refuse(place, f"{record.kind} has no vocabulary inline, nor in an archive")
        return None
    return values


# Augmentations of tf.keras alone, which change the sides of pictures.
_AUGMENTATIONS = ("RandomHeight", "RandomWidth")
_FOREIGN = ("FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper")

_SPECIAL: Mapping[str, Callable[[Builder, LayerConfig, str], Any]] = {
    "Lambda": _lambda,
    "Bidirectional": _bidirectional,
    "TimeDistributed": _time_distributed,
    "SpectralNormalization": _spectral,
    "TimeDistributedDense": _time_distributed_dense,
    "RNN": _rnn,
    "StackedRNNCells": _stacked,
    "Merge": _merge,
    "BatchNormalization": _batch_normalization,
    "GroupNormalization": _group_norm,
    "ActivityRegularization": _activity,
    "CustomScaleLayer": _scaled_sum,
    **{name: _depthwise(name) for name in ("DepthwiseConv1D", "DepthwiseConv2D")},
    **{name: _separable(name) for name in ("SeparableConv1D", "SeparableConv2D")},
    **dict.fromkeys(_AUGMENTATIONS, _augmenting),
    **dict.fromkeys(_FOREIGN, _foreign),
    "MaxNumBoundingBoxes": _boxes,
    **dict.fromkeys(("AddLoss", "AddMetric"), _adding),
    **dict.fromkeys(("StringLookup", "IntegerLookup", "TextVectorization", "Hashing", "HashedCrossing"), _lookup),
}
