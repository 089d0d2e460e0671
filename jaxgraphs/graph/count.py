"""How many numbers a graph holds, and which of them are learned."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax

from jaxgraphs.errors import combine
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.places import Path
from jaxgraphs.graph.run import steps_of
from jaxgraphs.symbolic.spec import TensorSpec, is_known


class Count(NamedTuple):
    """Numbers that are learned, and numbers that are not: statistics, and params of frozen layers."""

    trainable: int
    non_trainable: int

    @property
    def total(self) -> int:
        """Both."""
        return self.trainable + self.non_trainable


def count_params(graph: Graph) -> int:
    """All numbers of all layers; a shared layer counts once."""
    return count(graph).total


def count(graph: Graph) -> Count:
    """The numbers of a graph by whether they are learned.

    Raises: GraphValueError when a size depends on an input size that is not known.
    """
    specs = graph.variable_specs()
    unsettled = [f"{'/'.join(path)}: {spec}" for path, spec in leaves_with_path(specs) if not is_known(spec.dims)]
    if unsettled:
        raise combine(
            "Sizes of weights depend on input sizes that are not known.", unsettled, fix="give the sizes in Input"
        )
    frozen = frozen_paths(graph)
    trainable = non_trainable = 0
    for (collection, *path), spec in leaves_with_path(specs):
        size = math.prod(spec.dims)
        if collection == "params" and not _is_under(tuple(path), frozen):
            trainable += size
        else:
            non_trainable += size
    return Count(trainable, non_trainable)


def frozen_paths(graph: Graph) -> frozenset[Path]:
    """The places of params that are not learned, of a layer all that it has."""
    homes = [step.home for step in steps_of(graph) if not getattr(step.node.layer, "trainable", True)]
    return frozenset(place for home in homes for place in (home.path, *(place for _, place in home.elsewhere)))


def trainable_mask(graph: Graph, params: Mapping[str, Any]) -> Any:
    """A tree like `params` that says of each array whether it is learned."""
    frozen = frozen_paths(graph)
    return jax.tree_util.tree_map_with_path(
        lambda path, _: not _is_under(tuple(str(key.key) for key in path if hasattr(key, "key")), frozen), params
    )


def leaves_with_path(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The leaves of nested mappings with the keys that lead to them."""
    if isinstance(tree, Mapping):
        for name, inner in tree.items():
            yield from leaves_with_path(inner, (*path, name))
    else:
        yield path, tree


def size_of(spec: TensorSpec) -> int | None:
    """How many numbers an array of this spec has; None where a size is not known."""
    return math.prod(spec.dims) if is_known(spec.dims) else None


def _is_under(path: Path, prefixes: frozenset[Path]) -> bool:
    return any(path[:length] in prefixes for length in range(1, len(path) + 1))
