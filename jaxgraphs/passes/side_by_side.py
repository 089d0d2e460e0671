"""Several recurrent layers computed at one time, each on a host device of its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from jaxgraphs.layers.base import Array, Weights, describes
from jaxgraphs.passes.grouping import Together, masks_of, work_of
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
        pairs = [*zip(calls, masks_of(context, calls), strict=True)]
        if sum(_work(layer, call) for layer, call in zip(self.layers, calls, strict=True)) < _LEAST_WORK:
            return [leaf for each, pair in zip(run, pairs, strict=True) for leaf in each(*pair)]
        return self._spread(run, pairs)

    def _spread(self, run: Sequence[Any], pairs: Sequence[Any]) -> list[Array]:
        shapes = [jax.eval_shape(each, *pair) for each, pair in zip(run, pairs, strict=True)]

        def on_one(place: int, pairs: Sequence[Any]) -> list[Array]:
            """The outputs of the calls that have this place, and zeros in the place of the others'."""
            outputs = [
                each(*pair) if own == place else [jnp.zeros(leaf.shape, leaf.dtype) for leaf in shape]
                for each, pair, own, shape in zip(run, pairs, self.places, shapes, strict=True)
            ]
            return [jnp.expand_dims(leaf, 0) for leaves in outputs for leaf in leaves]

        def on_each(pairs: Sequence[Any]) -> list[Array]:
            number = jax.lax.axis_index(AXIS)
            return jax.lax.switch(number, [partial(on_one, place) for place in range(self.mesh.shape[AXIS])], pairs)

        whole, apart = PartitionSpec(), PartitionSpec(AXIS)
        spread = jax.shard_map(on_each, mesh=self.mesh, in_specs=whole, out_specs=apart, check_vma=False)
        outputs = spread(pairs)
        owners = [place for place, shape in zip(self.places, shapes, strict=True) for _ in shape]
        return [leaf[place] for leaf, place in zip(outputs, owners, strict=True)]


def _run(layer: Any, context: Context, call: Any, masks: Any) -> list[Array]:
    weights, args, kwargs = call
    return jax.tree.leaves(layer.call(weights, *args, context=context.replace(masks=masks), **kwargs))


def _work(layer: Any, call: Any) -> float:
    _, (x, *_), _ = call
    return work_of(layer, x)
