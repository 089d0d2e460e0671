"""A graph that a word of the command line means."""

from __future__ import annotations

from jaxgraphs import models
from jaxgraphs.errors import GraphKeyError, did_you_mean
from jaxgraphs.graph.graph import Graph
from jaxgraphs.io.archive import load


def graph_of(name: str) -> Graph:
    """The graph of a file, or the one that a model's name makes with its usual arguments.

    Raises: GraphError when there is no such model, or the file cannot be read.
    """
    if name.endswith((".safetensors", ".json")):
        return load(name)[0]
    if name not in models.__all__:
        raise GraphKeyError(
            f"There is no model called {name!r}.",
            expected=did_you_mean(name, models.__all__),
            fix="or give a .safetensors file",
        )
    return getattr(models, name)()
