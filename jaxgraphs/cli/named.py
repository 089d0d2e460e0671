"""A graph that a word of the command line means."""

from __future__ import annotations

import os
from typing import Any

from jaxgraphs import models
from jaxgraphs.errors import GraphKeyError, did_you_mean
from jaxgraphs.graph.graph import Graph
from jaxgraphs.io.archive import load

OURS, KERAS = (".safetensors",), (".keras", ".h5", ".hdf5", ".json")
TRAINED_AS = {
    "inception": "inception_module",
    "residual": "residual_block",
    "separable": "separable_convnet",
    "siamese": "siamese_lstm",
}
"""The models behind the jobs that are not named as they are."""


def graph_of(name: str) -> Graph:
    """The graph of a file, or the one that a model's or a job's name makes with its usual arguments.

    Raises: GraphError when there is no such model, or the file cannot be read.
    """
    if name.endswith((*OURS, *KERAS)) or os.path.isfile(name):
        return read(name)[0]
    model = TRAINED_AS.get(name, name)
    if model not in models.__all__:
        raise GraphKeyError(
            f"There is no model called {name!r}.",
            expected=did_you_mean(name, models.__all__),
            fix="or give a file: .safetensors, .keras or .h5",
        )
    return getattr(models, model)()


def read(path: str) -> tuple[Graph, Any]:
    """The graph and the variables of a file, ours or Keras'.

    Raises: GraphError when it cannot be read.
    """
    if not path.endswith(KERAS):
        return load(path)
    from jaxgraphs.io.keras.read import from_keras  # its many tables take a while, and few files need them

    return from_keras(path)
