"""Steps that read and write only those rows of a large embedding table that a batch looks up.

The rows are taken out of the table and of what the optimizer keeps for it, and the ids become places among them: the
step itself does not know. A row that is not looked up has no gradient, and SGD and Adagrad leave it and what they keep
of it as they are; so does lazy Adam, by definition; RMSprop lets its mean decay, which is one multiplication. So the
numbers are those of whole tables.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.graph.graph import Graph, places_of, shared_places
from jaxgraphs.graph.paths import layer_paths
from jaxgraphs.layers.core import Embedding, wide
from jaxgraphs.passes.base import listed
from jaxgraphs.passes.optimize import Entry
from jaxgraphs.symbolic.node import Node
from jaxgraphs.training.batch import Batch
from jaxgraphs.training.optimizers.base import RowWise
from jaxgraphs.training.patterns import path_of
from jaxgraphs.training.step import TrainState

Array = jax.Array
PyTree = Any

ROWS = "row_updates"
IDEA = "an optimizer's step moves only those rows of a large embedding that the batch looks up"

# How many times more rows than looked-up ids a table needs: to find the ids' rows is not free.
_FACTOR = 8


@dataclasses.dataclass(frozen=True)
class Lookup:
    """Tables that are read by the same ids.

    Args:
        inputs: the places of the ids among the graph's inputs.
        tables: the names of the layers.
        rows: how many each table has.
    """

    inputs: tuple[int, ...]
    tables: tuple[str, ...]
    rows: int

    def pays(self, batch: Batch) -> bool:
        """Whether the tables are large enough for the ids of a batch of this shape."""
        return self.rows >= _FACTOR * sum(batch.inputs[place].size + 1 for place in self.inputs)


def lookups(graph: Graph) -> list[Lookup]:
    """The embeddings whose rows can be moved by themselves.

    Their ids are the graph's inputs, which nothing but embeddings of one size reads; and nothing is asked of the table
    as a whole: no regularizer, no constraint.
    """
    found: list[Lookup] = []
    nested = {path[-1] for path in layer_paths(graph) if len(path) > 1}
    own = {path for path, place in places_of(graph).items() if path == place} - shared_places(graph)
    for layers, inputs in _components(graph):
        rows = {layer.input_dim for layer in layers if _is_plain(layer)}
        if all(map(_is_plain, layers)) and len(rows) == 1:
            places, names = (graph.inputs.index(tensor) for tensor in inputs), tuple(map(graph.layer_name, layers))
            # A layer of the same name in a nested graph could not be told apart.
            is_clear = not nested & set(names) and all((name,) in own for name in names)
            found += [Lookup(tuple(sorted(places)), names, rows.pop())] if is_clear else []
    return found


def _components(graph: Graph) -> list[tuple[list[Any], list[Any]]]:
    """Layers that read the graph's inputs, with those inputs: such as share one, directly or by others, together."""
    ends = {*graph.flat_outputs}
    groups: list[tuple[list[Any], list[Any]]] = []
    for tensor in graph.inputs:
        # What is no layer's input alone is kept in the group as None, which is not plain.
        readers = [_reader(graph, node) for node in graph.nodes if tensor in node.parents]
        layers, inputs = list(dict.fromkeys([*readers, *([None] if tensor in ends else [])])), [tensor]
        for group in [group for group in groups if set(group[0]) & set(layers)]:
            groups.remove(group)
            layers, inputs = list(dict.fromkeys([*group[0], *layers])), [*group[1], *inputs]
        groups.append((layers, inputs))
    return groups


def _reader(graph: Graph, node: Node) -> Any:
    """The layer of a call that reads the graph's inputs at each of its calls; None where its table has other uses."""
    calls = graph.calls(node.layer)
    reads_inputs = all(tensor in graph.inputs for call in calls for tensor in call.parents)
    return node.layer if reads_inputs and calls == graph.sharing(node.layer) else None


def _is_plain(layer: Any) -> bool:
    if type(layer) is not Embedding or not layer.trainable or layer.activity_regularizer is not None:
        return False
    return layer.embeddings_regularizer is None and layer.embeddings_constraint is None


def row_entry(found: Sequence[Lookup], optimizer: Any, objection: str | None) -> Entry:
    """What a plan says of the tables.

    Args:
        objection: why they are left alone, where the reason is neither the tables nor the optimizer.
    """
    if objection is None and not isinstance(optimizer, RowWise):
        objection = (
            "the optimizer moves rows that are not looked up; SGD, RMSprop and Adagrad without momentum do not, "
            "nor does lazy_adam"
        )
    if objection is not None:
        return Entry(ROWS, IDEA, objection=objection)
    notes = [f"{listed(list(each.tables))}: where a batch has up to {each.rows // _FACTOR} ids" for each in found]
    return Entry(ROWS, IDEA, tuple(notes))


def by_rows(step: Callable[..., Any], found: Sequence[Lookup], optimizer: Any) -> Callable[..., Any]:
    """The train step, that moves rows alone where that pays; itself where the optimizer does not allow it."""
    if not found or not isinstance(optimizer, RowWise):
        return step
    decay = optimizer.decay

    def row_step(state: TrainState, sums: PyTree, batch: Batch) -> tuple[TrainState, PyTree, dict[str, Array]]:
        narrowed = {}
        small, few = state, batch
        for lookup in [each for each in found if each.pays(batch)]:
            rows, few = _found(lookup, few)
            narrowed |= dict.fromkeys(lookup.tables, rows)
        small = _map_tables(lambda whole, rows: jnp.take(whole, rows, axis=0, mode="clip"), narrowed, state)
        small, sums, logs = step(small, sums, few)
        params = _map_tables(_put, narrowed, state.params, small.params)
        kept = _map_tables(lambda whole, rows, new: _put(whole * decay, rows, new), narrowed, *_kept(state, small))
        return small.replace(params=params, opt_state=kept), sums, logs

    return row_step


def _kept(state: TrainState, small: TrainState) -> tuple[PyTree, PyTree]:
    return state.opt_state, small.opt_state


def _found(lookup: Lookup, batch: Batch) -> tuple[Array, Batch]:
    """The rows that a batch looks up, sorted, then numbers beyond the table; and the batch with their places as ids."""
    ids = [wide(jnp.asarray(batch.inputs[place])) for place in lookup.inputs]
    # Row 0 is always the first, so that 0 goes on to be padding.
    flat = jnp.concatenate([jnp.zeros(1, ids[0].dtype), *(part.ravel() for part in ids)])
    inside = jnp.clip(flat, 0, lookup.rows - 1)
    rows, places = jnp.unique(inside, size=flat.size, fill_value=lookup.rows, return_inverse=True)
    # Ids below the table read its first row, without being padding.
    places = jnp.where(flat < 0, -1, places.ravel().astype(flat.dtype))[1:]
    inputs, start = list(batch.inputs), 0
    for place, part in zip(lookup.inputs, ids, strict=True):
        inputs[place] = places[start : start + part.size].reshape(part.shape)
        start += part.size
    return rows, dataclasses.replace(batch, inputs=tuple(inputs))


def _put(whole: Array, rows: Array, new: Array) -> Array:
    """The table with some of its rows replaced; what lies beyond it is dropped."""
    return whole.at[rows].set(new, mode="drop")


def _map_tables(function: Callable[..., Array], narrowed: Mapping[str, Array], tree: PyTree, *others: PyTree) -> PyTree:
    """`tree` with ``function(leaf, rows, *others)`` for each array of a table; the last of `others` elsewhere."""

    def visit(keys: Any, leaf: Array, *more: Array) -> Array:
        path = path_of(keys)
        rows = narrowed.get(path[-2]) if len(path) > 1 and path[-1] == "embedding" else None
        return (more or (leaf,))[-1] if rows is None else function(leaf, rows, *more)

    return jax.tree_util.tree_map_with_path(visit, tree, *others)
