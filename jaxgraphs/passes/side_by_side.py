"""Several recurrent layers computed at one time, each on a host device of its own."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
from jax.sharding import Mesh

from jaxgraphs.layers.base import Array, Weights, describes
from jaxgraphs.layers.core import look_up
from jaxgraphs.passes.grouping import Together, masks_of, work_of
from jaxgraphs.passes.kernels.apart import apart
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import PyTree

AXIS = "branch"

# Multiplications in the recurrent steps of a batch under which handing arrays from device to device costs more than a
# second core saves.
_LEAST_WORK = 2e7


@describes
class SideBySide(Together):
    """Calls of recurrent layers that do not read each other, spread over devices.

    Args:
        layers: one for each call.
        places: the device's number for each call.
        mesh: has the devices along its axis "branch".
    Call: as `Together`.
    """

    places: tuple[int, ...]
    mesh: Mesh

    def call(self, weights: Weights, *calls: Any, context: Context) -> PyTree:
        run = [partial(_run, layer, context) for layer in self.layers]
        masks = masks_of(context, calls)
        if sum(_work(layer, call) for layer, call in zip(self.layers, calls, strict=True)) < _LEAST_WORK:
            outputs = [each(pair) for each, pair in zip(run, zip(calls, masks, strict=True), strict=True)]
        else:
            outputs = apart(run, self.places, self.mesh, AXIS)([*zip(map(_own, calls), masks, strict=True)])
        return [leaf for leaves in outputs for leaf in leaves]


def _own(call: Any) -> Any:
    """The call without the rows of an embedding that it reads, where its device can look them up.

    Then one device adds up the gradients of the rows, and the devices hand each other that of the table.
    """
    arrays, args, kwargs = call
    return (arrays, (None, *args[1:]), kwargs) if "table" in kwargs else call


def _run(layer: Any, context: Context, pair: Any) -> list[Array]:
    (weights, args, kwargs), masks = pair
    if args[0] is None:
        args = (look_up(kwargs["table"], kwargs["ids"]), *args[1:])
    return jax.tree.leaves(layer.call(weights, *args, context=context.replace(masks=masks), **kwargs))


def _work(layer: Any, call: Any) -> float:
    _, (x, *_), _ = call
    return work_of(layer, x)
