"""Data that fits is kept on the device: a batch is gathered there, and nothing but its place is sent."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxgraphs.training.batch import Batch
from jaxgraphs.training.feeding import Arrays, batch_of
from jaxgraphs.training.sharding import Layout

Array = jax.Array
SMALL = 2**28
"""Bytes: data up to this size is kept where the device does not say how much memory it has; else an eighth of that."""


@dataclasses.dataclass(frozen=True)
class Resident:
    """A data set whose columns are on the device.

    Args:
        data: the same on the host, for who looks at single examples.
        columns: inputs, targets and weights in one list, with None where there is none.
        sharding: where they lie: whole on each device of a mesh; None is the default device.
    """

    data: Arrays
    columns: Sequence[Any]
    sharding: NamedSharding | None

    @property
    def size(self) -> int:
        """How many examples there are."""
        return self.data.size

    def batches(
        self,
        batch_size: int,
        order: np.ndarray | None = None,
        *,
        can_pad: bool = True,
        first: int = 0,
        share: Any = None,
    ) -> Iterator[Batch]:
        """The batches that `Arrays.batches` gives, to the last bit, gathered on the device."""
        count = -(-self.size // batch_size)
        rows = np.arange(self.size) if order is None else order
        short = count * batch_size - self.size
        if can_pad and short:
            rows = np.concatenate([rows, np.full(short, rows[(count - 1) * batch_size])])
        on_device = self._put(rows.astype(np.int32))
        marks = self._marks(batch_size, short) if can_pad and short else None
        for number in range(first, count):
            start = number * batch_size
            size = min(batch_size, len(rows) - start)
            columns = _gathered(self.columns, on_device, self._put(np.int32(start)), size)
            present: Any = None if marks is None else marks[int(number == count - 1)]
            yield batch_of(self._arranged(columns), present)

    def _marks(self, batch_size: int, short: int) -> list[Array]:
        """Which rows are real, in all batches but the last and in the last."""
        places = np.arange(batch_size)
        return [self._put(places < batch_size), self._put(places < batch_size - short)]

    def _arranged(self, columns: Sequence[Any]) -> Arrays:
        left = iter(columns)
        parts = (self.data.inputs, self.data.targets, self.data.weights)
        return Arrays(*([next(left) for _ in part] for part in parts))

    def _put(self, array: Any) -> Array:
        return jax.device_put(array, self.sharding)


def kept(data: Arrays, layout: Layout | None) -> Arrays | Resident:
    """The data on the device where it fits there beside the rest; else as it is."""
    if layout is not None and layout.share is not None:
        # Of several processes each reads its own rows.
        return data
    devices = jax.local_devices()[:1] if layout is None else list(layout.mesh.devices.flat)
    columns = [*data.inputs, *data.targets, *data.weights]
    if sum(column.nbytes for column in columns if column is not None) > min(map(_room, devices)):
        return data
    sharding = None if layout is None else NamedSharding(layout.mesh, PartitionSpec())
    return Resident(data, jax.device_put(columns, sharding), sharding)


def _room(device: Any) -> int:
    """The bytes that data may take on a device."""
    stats = device.memory_stats() or {}
    if "bytes_limit" not in stats:
        return SMALL
    return (stats["bytes_limit"] - stats.get("bytes_in_use", 0)) // 8


@functools.partial(jax.jit, static_argnums=3)
def _gathered(columns: Sequence[Any], order: Array, start: Array, size: int) -> list[Any]:
    rows = jax.lax.dynamic_slice_in_dim(order, start, size)
    return jax.tree.map(lambda column: jnp.take(column, rows, axis=0, mode="clip"), columns)
