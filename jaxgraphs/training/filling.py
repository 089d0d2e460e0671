"""Whether rows may fill a short batch up to the others' size: they must change nothing of the real ones."""

from __future__ import annotations

from typing import Any

import jax

from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.run import nodes_of
from jaxgraphs.layers.base import Layer, in_fields
from jaxgraphs.layers.mixing import CutMix, MixUp
from jaxgraphs.layers.passing import Lambda
from jaxgraphs.layers.wrap import LinenLayer
from jaxgraphs.symbolic.by_row import is_by_row
from jaxgraphs.symbolic.node import Node, Operation, Ran, is_symbolic, on_arrays
from jaxgraphs.symbolic.spec import TensorSpec
from jaxgraphs.training.losses.loss import FunctionLoss, Loss
from jaxgraphs.training.objective import Objective

ALONE = "what reads several rows, as a Flax module or a function may, cannot be told which only fill a batch"
"""Why rows are not added, for messages."""


def can_fill(graph: Graph, objective: Objective) -> bool:
    """Whether every call, loss and metric either computes each row by itself or is told which rows are real.

    The layers and losses of this package do one or the other; what a user's function does is seen when it is traced.
    A Flax module is taken to read several rows, as its batch statistics do.
    """
    readers = zip(objective.losses, objective.metrics, objective.weighted_metrics, graph.flat_outputs, strict=True)
    size = graph.inputs[0].spec.dims[0]
    return all(_is_fine(node, size) for _, node in nodes_of(graph)) and all(
        _values_by_row(reader, tensor.spec)
        for loss, metrics, weighted, tensor in readers
        for reader in (loss, *(metric for _, metric in (*metrics, *weighted)))
    )


def _is_fine(node: Node, size: Any) -> bool:
    layer = node.layer
    if isinstance(layer, (LinenLayer, MixUp, CutMix)):
        return False
    is_function = isinstance(layer, Operation)
    if not is_function and not _is_users(layer):
        return True
    args, kwargs = jax.tree.map(lambda leaf: leaf.spec if is_symbolic(leaf) else leaf, node.args)
    own = sum(isinstance(leaf, TensorSpec) for leaf in jax.tree.leaves(node.variables))

    def runs(train: bool) -> bool:
        function, specs = on_arrays(layer, node.variables, args, kwargs, train=train)
        rows = [index >= own and spec.dims[:1] == (size,) for index, spec in enumerate(specs)]
        return is_by_row(lambda *arrays: _all_of(function(*arrays)), specs, rows)

    return runs(False) and (is_function or runs(True))


def _all_of(ran: Ran) -> Any:
    return ran.outputs, ran.state, ran.losses


def _is_users(layer: Any) -> bool:
    """Whether a layer, or one that it holds, has a function of the user's."""
    if isinstance(layer, Lambda) or _is_foreign(layer):
        return True
    return any(_is_users(item) for item in in_fields(layer) if isinstance(item, (Layer, LinenLayer, Operation)))


def _is_foreign(thing: Any) -> bool:
    package, _, _ = __name__.partition(".")
    return not type(thing).__module__.startswith(f"{package}.")


def _values_by_row(reader: Any, spec: TensorSpec) -> bool:
    """Whether a loss or a metric gives a value for each row; those of this package do."""
    loss = getattr(reader, "loss", reader)
    if not isinstance(loss, Loss) or not (isinstance(loss, FunctionLoss) or _is_foreign(loss)):
        return True
    # The first kind of targets that it takes decides: as the output, or a class for each.
    targets = (spec, TensorSpec((*spec.dims[:-1], 1), spec.dtype))
    return any(is_by_row(loss.values, [spec, each], [True, True]) for each in targets)
