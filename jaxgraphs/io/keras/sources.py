"""Weights as Keras 3 lays them out: in an HDF5 file, or in a live model."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxgraphs.errors import GraphKeyError, GraphTypeError, ShapeMismatchError
from jaxgraphs.io.keras.hdf5 import Store
from jaxgraphs.io.keras.limits import LAYERS, refuse
from jaxgraphs.layers.base import snake_case

# tf.keras of 2.12 to 2.15 wrote the same layout with another name for the list of layers.
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")


class FileSource:
    """The arrays of a `.weights.h5` file."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._container = next((name for name in _CONTAINERS if store.group(name) is not None), "layers")
        self._named: dict[str, Mapping[str, str]] = {}

    def shape(self, path: str) -> tuple[int, ...] | None:
        """The shape that the array at a path declares."""
        return self.store.shape(self._real(path))

    def read(self, path: str, shape: Sequence[int]) -> np.ndarray:
        """The array at a path."""
        return self.store.read(self._real(path), shape)

    def is_one(self, paths: Sequence[str]) -> bool:
        """Whether paths are of one array, which is then in one place alone."""
        return len(paths) == 1 or sum(self.shape(path) is not None for path in paths) == 1

    def named(self, container: str) -> Mapping[str, str]:
        """The groups of a container by the names that Keras notes beside the arrays."""
        if container not in self._named:
            self._named[container] = self._names(container)
        return self._named[container]

    def _names(self, container: str) -> dict[str, str]:
        group, found = self.store.group(self._real(container)), {}
        if group is None:
            return {}
        if len(group) > LAYERS:
            raise refuse("The weights have too many layers.", len(group), f"at most {LAYERS}")
        for place in list(group.keys()):
            inner = self.store.group(f"{self._real(container)}/{place}/vars")
            name = None if inner is None else self.store.text(inner, "name")
            if name is None or name in found:
                return {}
            found[name] = place
        return found

    def _real(self, path: str) -> str:
        if self._container != "layers":
            path = path.replace("layers/", f"{self._container}/").replace("/layers", f"/{self._container}")
        # tf.keras names the parts of an attention by its private attributes.
        private = re.sub(r"/(\w+_dense)/vars", r"/_\1/vars", path)
        return path if private == path or self.store.group(path.rsplit("/", 1)[0]) is not None else private


class LiveSource:
    """The arrays of a Keras 3 model in this process, whatever its backend."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def shape(self, path: str) -> tuple[int, ...] | None:
        """The shape of the variable at a path."""
        variable = self._variable(path)
        return None if variable is None else tuple(variable.shape)

    def read(self, path: str, shape: Sequence[int]) -> np.ndarray:
        """The numbers of the variable at a path."""
        array = np.asarray(self._variable(path))
        if array.shape != tuple(shape):
            raise ShapeMismatchError(
                "A variable of the Keras model has another shape.",
                received=f"{path}: {array.shape}",
                expected=str(tuple(shape)),
            )
        return array

    def named(self, container: str) -> Mapping[str, str]:
        """The layers of a model within the model, by name."""
        model = self._walk(container.split("/")[:-1])
        return {} if model is None else {layer.name: place for place, layer in _placed(model.layers).items()}

    def _variable(self, path: str) -> Any:
        *parts, _, index = path.split("/")
        layer = self._walk(parts)
        if layer is None:
            return None
        variables = [*layer._trainable_variables, *layer._non_trainable_variables]
        return variables[int(index)] if int(index) < len(variables) else None

    def _walk(self, parts: Sequence[str]) -> Any:
        here: Any = self.model
        for part in parts:
            if isinstance(here, dict):
                here = here.get(part)
            elif part in ("layers", "cells"):
                here = _placed(here.layers if part == "layers" else here.cells)
            elif part in _ATTRIBUTES:
                here = _ATTRIBUTES[part](here)
            else:
                raise GraphKeyError("The live model has no such part.", received=part)
            if here is None:
                return None
        return here


# The parts of Keras' layers that have arrays; nothing else of a live layer is asked for.
_DENSE: Mapping[str, Any] = {
    "query_dense": lambda layer: layer._query_dense,
    "key_dense": lambda layer: layer._key_dense,
    "value_dense": lambda layer: layer._value_dense,
    "gate_dense": lambda layer: layer._gate_dense,
    "output_dense": lambda layer: layer._output_dense,
}
_ATTRIBUTES: Mapping[str, Any] = {
    "cell": lambda layer: layer.cell,
    "layer": lambda layer: layer.layer,
    "forward_layer": lambda layer: layer.forward_layer,
    "backward_layer": lambda layer: layer.backward_layer,
    **_DENSE,
    **{f"_{name}": part for name, part in _DENSE.items()},
}


def _placed(layers: Sequence[Any]) -> dict[str, Any]:
    """Layers by the place that Keras gives each in a file."""
    counts: dict[str, int] = {}
    placed: dict[str, Any] = {}
    for layer in layers:
        stem = snake_case(type(layer).__name__)
        counts[stem] = counts.get(stem, -1) + 1
        placed[f"{stem}_{counts[stem]}" if counts[stem] else stem] = layer
    return placed


def is_live(thing: Any) -> bool:
    """Whether something is a model of Keras', which is told by what it can do."""
    return all(hasattr(thing, name) for name in ("to_json", "layers", "weights"))


def _numbering() -> Any:
    """Keras' own way to number what it writes, as in archives; nothing where this Keras has none."""
    lib = sys.modules.get("keras.src.saving.serialization_lib")
    return getattr(lib, "ObjectSharingScope", contextlib.nullcontext)()


def live_json(model: Any) -> str:
    """The configuration of a live model, in which every layer has a number of its own wherever it is written.

    Raises: GraphTypeError when it is a subclass that does not say what it is made of, or is not built.
    """
    try:
        with _numbering():
            # Keras numbers what it has written before: in the second text all of it.
            model.to_json()
            return model.to_json()
    # A model's own get_config may raise anything.
    except Exception as error:
        raise GraphTypeError(
            "The Keras model does not say what it is made of.",
            received=f"{type(model).__name__}: {error}"[:200],
            expected="a functional model or a Sequential",
            fix="rebuild it with keras.Model(inputs, outputs)",
        ) from error
