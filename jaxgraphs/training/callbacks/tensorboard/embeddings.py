"""A graph's Embedding layers, for the projector."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxgraphs.errors import GraphKeyError, did_you_mean
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.run import nodes_of
from jaxgraphs.layers.core import Embedding
from jaxgraphs.training.callbacks.base import Run
from jaxgraphs.training.callbacks.files import told
from jaxgraphs.training.callbacks.tensorboard import projector
from jaxgraphs.training.processes import fetched


@dataclasses.dataclass(frozen=True)
class Embeddings:
    """What the projector shows beside the vectors.

    Args:
        metadata, sprites: for all Embeddings, or a mapping from their names; None for none.
    """

    metadata: Any = None
    sprites: Any = None

    def check(self, run: Run) -> None:
        """Makes, and drops, what will be written, so that a mistake is told before the first step.

        Raises: GraphError when labels or pictures do not fit the rows, or are for a layer that is no Embedding.
        """
        vectors = vectors_of(run)
        for name, labels in _by_name(self.metadata, vectors, "embeddings_metadata").items():
            projector.labels(name, labels, len(vectors[name]))
        for name, pictures in _by_name(self.sprites, vectors, "embeddings_sprites").items():
            projector.sprite(name, pictures, len(vectors[name]))

    def write(self, run: Run, folder: Path) -> None:
        """Writes the vectors as they are now."""
        vectors = vectors_of(run)
        metadata = _by_name(self.metadata, vectors, "embeddings_metadata")
        sprites = _by_name(self.sprites, vectors, "embeddings_sprites")
        with told("The embeddings cannot be written.", folder):
            projector.write(folder, fetched(vectors), metadata, sprites)


def vectors_of(run: Run) -> dict[str, Any]:
    """The tables of the Embedding layers by path, those in nested graphs included: (rows, features)."""
    return {"/".join(path): _table(run.state.params, path) for path in _paths(run.graph)}


def _paths(graph: Graph) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(path for path, node in nodes_of(graph) if isinstance(node.layer, Embedding)))


def _table(params: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        params = params[name]
    return params["embedding"]


def _by_name(given: Any, vectors: Mapping[str, Any], what: str) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        return dict.fromkeys(vectors, given)
    for name in given:
        if name not in vectors:
            expected = did_you_mean(str(name), list(vectors))
            raise GraphKeyError(f"`{what}` names '{name}', which is no Embedding.", expected=expected)
    return dict(given)
