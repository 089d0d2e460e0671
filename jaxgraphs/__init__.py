"""jaxgraphs: Keras' functional API as pure JAX functions.

The public names, one by one, with the module that each lives in. They are imported when first used, so that the command
line starts before JAX does.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from jaxgraphs.version import __version__

if TYPE_CHECKING:
    from jaxgraphs import data, layers, models
    from jaxgraphs.errors import (
        DTypeMismatchError,
        GraphAttributeError,
        GraphError,
        GraphKeyError,
        GraphTypeError,
        GraphValueError,
        ShapeMismatchError,
    )
    from jaxgraphs.graph.graph import Graph
    from jaxgraphs.graph.reading import read_inputs
    from jaxgraphs.graph.rewrite import freeze, unfreeze
    from jaxgraphs.graph.sequential import Sequential
    from jaxgraphs.io.archive import load, save
    from jaxgraphs.io.export import load_exported
    from jaxgraphs.io.keras.read import from_keras, load_keras_weights
    from jaxgraphs.io.keras.write import to_keras_weights
    from jaxgraphs.layers.wrap import layer
    from jaxgraphs.startup import setup
    from jaxgraphs.symbolic.node import Input, SymbolicTensor
    from jaxgraphs.training import callbacks, losses, metrics, optimizers, sharding, sklearn
    from jaxgraphs.training.buckets import Buckets
    from jaxgraphs.training.checkpoint import Checkpoints
    from jaxgraphs.training.ensemble import ensemble
    from jaxgraphs.training.history import History
    from jaxgraphs.training.search import search
    from jaxgraphs.training.step import TrainState
    from jaxgraphs.training.sweep import sweep
    from jaxgraphs.training.trainer import Trainer

_HOMES = {
    "search": "jaxgraphs.training.search",
    "Buckets": "jaxgraphs.training.buckets",
    "Checkpoints": "jaxgraphs.training.checkpoint",
    "DTypeMismatchError": "jaxgraphs.errors",
    "Graph": "jaxgraphs.graph.graph",
    "GraphAttributeError": "jaxgraphs.errors",
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
    "ensemble": "jaxgraphs.training.ensemble",
    "freeze": "jaxgraphs.graph.rewrite",
    "from_keras": "jaxgraphs.io.keras.read",
    "layer": "jaxgraphs.layers.wrap",
    "load": "jaxgraphs.io.archive",
    "load_exported": "jaxgraphs.io.export",
    "read_inputs": "jaxgraphs.graph.reading",
    "load_keras_weights": "jaxgraphs.io.keras.read",
    "save": "jaxgraphs.io.archive",
    "setup": "jaxgraphs.startup",
    "sweep": "jaxgraphs.training.sweep",
    "to_keras_weights": "jaxgraphs.io.keras.write",
    "unfreeze": "jaxgraphs.graph.rewrite",
}
_MODULES = {
    "sklearn": "jaxgraphs.training.sklearn",
    "sharding": "jaxgraphs.training.sharding",
    "callbacks": "jaxgraphs.training.callbacks",
    "data": "jaxgraphs.data",
    "layers": "jaxgraphs.layers",
    "losses": "jaxgraphs.training.losses",
    "metrics": "jaxgraphs.training.metrics",
    "models": "jaxgraphs.models",
    "optimizers": "jaxgraphs.training.optimizers",
}

__all__ = [
    "Buckets",
    "Checkpoints",
    "DTypeMismatchError",
    "Graph",
    "GraphAttributeError",
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
    "ensemble",
    "freeze",
    "from_keras",
    "layer",
    "layers",
    "load",
    "load_exported",
    "load_keras_weights",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "read_inputs",
    "save",
    "search",
    "setup",
    "sharding",
    "sklearn",
    "sweep",
    "to_keras_weights",
    "unfreeze",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    instead = "; here it is jg.Graph" if name == "Model" else ""
    # With the module and the name, the interpreter looks for what is spelt alike.
    said = f"module 'jaxgraphs' has no attribute {name!r}{instead}"
    raise AttributeError(said, name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return sorted(__all__)
