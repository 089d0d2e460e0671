"""Keras' files written by hand, so that they can be wrong in any way that a test wants."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import h5py
import numpy as np


def dense(name: str = "dense", units: int = 3, **config: Any) -> dict[str, Any]:
    """A Dense layer as Keras 3 describes it."""
    return {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {"name": name, "units": units, **config},
        "registered_name": None,
    }


def entry(name: str = "x", shape: Sequence[int | None] = (None, 4), dtype: str = "float32") -> dict[str, Any]:
    """An InputLayer."""
    return {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": list(shape), "dtype": dtype, "name": name},
    }


def tensor(name: str, call: int = 0, output: int = 0) -> dict[str, Any]:
    """A reference to an output of a call."""
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, 4], "dtype": "float32", "keras_history": [name, call, output]},
    }


def called(layer: Mapping[str, Any], *calls: Any) -> dict[str, Any]:
    """The layer with what it was called on: one list of arguments for each call."""
    nodes = [{"args": list(args), "kwargs": {}} for args in calls]
    return {**layer, "name": layer["config"]["name"], "inbound_nodes": nodes}


def functional(layers: Sequence[Mapping[str, Any]], end: str, start: str = "x", **config: Any) -> dict[str, Any]:
    """A functional model of one input and one output."""
    named = [{"name": layer["config"].get("name", "layer"), "inbound_nodes": [], **layer} for layer in layers]
    ends = {"input_layers": [start, 0, 0], "output_layers": [end, 0, 0]}
    whole = {"name": "model", "trainable": True, "layers": named, **ends, **config}
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": whole,
        "registered_name": "Functional",
    }


def one_layer(layer: Mapping[str, Any], name: str = "bad") -> dict[str, Any]:
    """A model of one layer."""
    placed = {**layer, "config": {"name": name, **layer.get("config", {})}}
    return functional([entry(), called(placed, [tensor("x")])], name)


def archive(config: Any, weights: bytes = b"", **members: bytes) -> bytes:
    """A `.keras` archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        file.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        file.writestr("model.weights.h5", weights or hdf5(good_weights))
        for name, data in members.items():
            file.writestr(name, data)
    return stream.getvalue()


def hdf5(fill: Callable[[Any], None]) -> bytes:
    """An HDF5 file that `fill` writes."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        fill(file)
    return stream.getvalue()


def good_weights(file: Any) -> None:
    """The arrays of GOOD in Keras 3's layout."""
    file["layers/dense/vars/0"] = np.arange(12, dtype="float32").reshape(4, 3)
    file["layers/dense/vars/1"] = np.ones(3, "float32")


def whole(
    config: Any,
    weights: Callable[[Any], None] | None = None,
    version: str | None = "2.4.0",
    backend: str = "tensorflow",
) -> bytes:
    """An HDF5 file of a whole model, as Keras 1, 2 and tf.keras write them."""

    def fill(file: Any) -> None:
        group = file.create_group("model_weights")
        for place in (file, group):
            place.attrs["backend"] = backend.encode()
            if version is not None:
                place.attrs["keras_version"] = version.encode()
        file.attrs["model_config"] = json.dumps(config).encode()
        (weights or old_weights({"dense": {"kernel": np.arange(12.0).reshape(4, 3), "bias": np.ones(3)}}))(group)

    return hdf5(fill)


def old_weights(layers: Mapping[str, Mapping[str, Any]]) -> Callable[[Any], None]:
    """Arrays by layer and name in the layout of Keras 1, 2 and tf.keras."""

    def fill(group: Any) -> None:
        group.attrs["layer_names"] = [name.encode() for name in layers]
        for name, arrays in layers.items():
            inner = group.create_group(name)
            names = [weight if "/" in weight or ":" in weight else f"{name}/{weight}:0" for weight in arrays]
            inner.attrs["weight_names"] = [weight.encode() for weight in names]
            for weight, array in zip(names, arrays.values(), strict=True):
                inner[weight] = np.asarray(array, "float32")

    return fill


GOOD = functional([entry(), called(dense(), [tensor("x")])], "dense")
"""One Dense layer from 4 to 3."""
OLD = {
    "class_name": "Sequential",
    "config": [{"class_name": "Dense", "config": {"name": "dense", "units": 3, "batch_input_shape": [None, 4]}}],
}
"""The same as Keras 2 describes it."""
