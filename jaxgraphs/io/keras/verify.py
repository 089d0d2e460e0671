"""What `jaxgraphs convert` reports of a port: its layers, and how far its outputs are from those of Keras itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxgraphs.errors import GraphError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.run import nodes_of

# Sizes that stand for unknown ones.
_UNKNOWN = 16


def listing(graph: Graph) -> list[dict[str, str]]:
    """The layers in order, each with its arrays, those of graphs within the graph included."""
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for path, node in nodes_of(graph):
        if path not in rows:
            leaves = jax.tree_util.tree_leaves_with_path(dict(node.variables))
            arrays = [f"{_last(where)} {tuple(spec.dims)}" for where, spec in leaves]
            rows[path] = {"name": "/".join(path), "kind": node.layer.kind, "arrays": ", ".join(arrays)}
    return list(rows.values())


def outputs_apart(source: str, graph: Graph, variables: Mapping[str, Any]) -> float:
    """The largest difference from Keras' outputs on random inputs, relative to the largest output.

    Raises: GraphError when Keras is not installed, or cannot read the file itself.
    """
    values = [_example(tensor.spec, index) for index, tensor in enumerate(graph.inputs)]
    expected = _theirs(source, values, graph)
    outputs = jax.tree.leaves(graph.apply(variables, values))
    pairs = zip(outputs, jax.tree.leaves(expected), strict=True)
    return max(
        float(np.max(np.abs(np.asarray(a) - np.asarray(b))) / max(np.max(np.abs(np.asarray(b))), 1e-6))
        for a, b in pairs
    )


def _theirs(source: str, values: list[Any], graph: Graph) -> Any:
    try:
        import keras.models as theirs  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise GraphError("Comparing with Keras needs Keras.", fix="pip install keras, or leave out --verify") from error
    # Keras mixes ranks and dtypes where JAX may be told not to.
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        try:
            model: Any = theirs.load_model(source, compile=False, safe_mode=True)
            # Keras lists the inputs in its own order, which names settle.
            named = dict(zip((graph.tensor_name(tensor) for tensor in graph.inputs), values, strict=True))
            given = [named.get(tensor.name, value) for tensor, value in zip(model.inputs, values, strict=True)]
            return model(jax.tree.unflatten(jax.tree.structure(model.input), given), training=False)
        # Whatever Keras says of the file is its own complaint.
        except Exception as error:
            raise GraphError("Keras itself cannot read the file.", where=source, received=str(error)[:300]) from error


def _example(spec: Any, seed: int) -> np.ndarray:
    """Seeded numbers: small whole ones for whole dtypes."""
    shape = tuple(
        size if isinstance(size, int) else (2 if axis == 0 else _UNKNOWN) for axis, size in enumerate(spec.dims)
    )
    random = np.random.default_rng(seed)
    is_whole = np.issubdtype(spec.dtype, np.integer) or spec.dtype == bool
    return (random.integers(0, 2, shape) if is_whole else random.normal(size=shape)).astype(spec.dtype)


def _last(where: Any) -> str:
    return str(where[-1].key)
