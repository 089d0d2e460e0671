"""jaxgraphs: Keras' functional API as pure JAX functions.

The public names, one by one, with the module that each lives in. They are imported when first used, so that the command
line starts before JAX does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from jaxgraphs.version import __version__

if TYPE_CHECKING:
    from jaxgraphs import data, layers, models
    from jaxgraphs.errors import (
        DTypeMismatchError,
        GraphError,
        GraphKeyError,
        GraphTypeError,
        GraphValueError,
        ShapeMismatchError,
    )
    from jaxgraphs.graph.graph import Graph
    from jaxgraphs.graph.rewrite import freeze, unfreeze
    from jaxgraphs.graph.sequential import Sequential
    from jaxgraphs.io.archive import load, save
    from jaxgraphs.layers.wrap import layer
    from jaxgraphs.symbolic.node import Input, SymbolicTensor
    from jaxgraphs.training import callbacks, losses, metrics, optimizers
    from jaxgraphs.training.history import History
    from jaxgraphs.training.step import TrainState
    from jaxgraphs.training.trainer import Trainer

_HOMES = {
    "DTypeMismatchError": "jaxgraphs.errors",
    "Graph": "jaxgraphs.graph.graph",
    "GraphError": "jaxgraphs.errors",
    "GraphKeyError": "jaxgraphs.errors",
    "GraphTypeError": "jaxgraphs.errors",
    "GraphValueError": "jaxgraphs.errors",
    "History": "jaxgraphs.training.history",
    "Input": "jaxgraphs.symbolic.node",
    "Sequential": "jaxgraphs.graph.sequential",
    "ShapeMismatchError": "jaxgraphs.errors",
    "SymbolicTensor": "jaxgraphs.symbolic.node",
    "TrainState": "jaxgraphs.training.step",
    "Trainer": "jaxgraphs.training.trainer",
    "freeze": "jaxgraphs.graph.rewrite",
    "layer": "jaxgraphs.layers.wrap",
    "load": "jaxgraphs.io.archive",
    "save": "jaxgraphs.io.archive",
    "unfreeze": "jaxgraphs.graph.rewrite",
}
_MODULES = {
    "callbacks": "jaxgraphs.training.callbacks",
    "data": "jaxgraphs.data",
    "layers": "jaxgraphs.layers",
    "losses": "jaxgraphs.training.losses",
    "metrics": "jaxgraphs.training.metrics",
    "models": "jaxgraphs.models",
    "optimizers": "jaxgraphs.training.optimizers",
}

__all__ = [
    "DTypeMismatchError",
    "Graph",
    "GraphError",
    "GraphKeyError",
    "GraphTypeError",
    "GraphValueError",
    "History",
    "Input",
    "Sequential",
    "ShapeMismatchError",
    "SymbolicTensor",
    "TrainState",
    "Trainer",
    "__version__",
    "callbacks",
    "data",
    "freeze",
    "layer",
    "layers",
    "load",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "save",
    "unfreeze",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'jaxgraphs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
