"""How arrays lie on a mesh of devices: rules by the paths of params, and what comes of them for a whole state."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgraphs.errors import GraphTypeError, GraphValueError
from jaxgraphs.inspect.placement import Placed, Placement, placement
from jaxgraphs.training.patterns import Path, check_patterns, first_fitting, path_of, paths_of
from jaxgraphs.training.processes import Share, initialize, is_global, is_spread, put

__all__ = [
    "Along",
    "LargestAlong",
    "Layout",
    "Placed",
    "Placement",
    "data_parallel",
    "fully_sharded",
    "initialize",
    "make_layout",
    "make_mesh",
    "placement",
    "tensor_parallel",
]

PyTree = Any
Shape = tuple[int, ...]


def __dir__() -> list[str]:
    return __all__


@dataclasses.dataclass(frozen=True)
class Along:
    """One axis of an array lies along one axis of the mesh.

    Args:
        mesh_axis: of the mesh.
        axis: of the array, counted from the front, or from the end where negative.
    """

    mesh_axis: str
    axis: int = -1

    def spec(self, shape: Shape, mesh: Mesh) -> PartitionSpec:
        """The array's layout; whole on each device where the axis is not there."""
        place = self.axis % len(shape) if shape and -len(shape) <= self.axis < len(shape) else None
        return PartitionSpec(*(self.mesh_axis if index == place else None for index in range(len(shape))))


@dataclasses.dataclass(frozen=True)
class LargestAlong:
    """The largest axis that divides evenly lies along an axis of the mesh.

    Args:
        mesh_axis: of the mesh.
        least: arrays of fewer numbers are whole on each device.
    """

    mesh_axis: str
    least: int = 0

    def spec(self, shape: Shape, mesh: Mesh) -> PartitionSpec:
        """The array's layout."""
        count = mesh.shape[self.mesh_axis]
        fitting = [size for size in shape if size % count == 0 and math.prod(shape) >= self.least]
        place = shape.index(max(fitting)) if fitting else None
        return PartitionSpec(*(self.mesh_axis if index == place else None for index in range(len(shape))))


Rules = Mapping[str, Any]
"""Pattern of params' paths -> PartitionSpec, Along or LargestAlong; the first that fits counts, else it is whole."""


def make_mesh(devices: Sequence[Any] | None = None, **axes: int) -> Mesh:
    """A mesh of devices with named axes.

    Args:
        devices: all that JAX has where left out.
        axes: name=size, of which one may be -1: what is left. Nothing is ``data=-1``. Rows of a batch lie along "data".
    Raises: GraphValueError when the sizes do not fit the devices.

    >>> make_mesh(jax.devices()[:1]).axis_names
    ('data',)
    """
    devices = list(jax.devices() if devices is None else devices)
    sizes = axes or {"data": -1}
    known = math.prod(size for size in sizes.values() if size != -1)
    counts = [len(devices) // known if size == -1 and known > 0 else size for size in sizes.values()]
    if list(sizes.values()).count(-1) > 1 or math.prod(counts) != len(devices) or min(counts) < 1:
        raise GraphValueError(
            "The sizes of a mesh do not fit the devices.",
            received=f"{', '.join(f'{name}={size}' for name, size in sizes.items())} for {len(devices)} devices",
            expected="sizes whose product is the number of devices; -1 is what is left",
        )
    return Mesh(np.asarray(devices).reshape(counts), tuple(sizes))


def data_parallel() -> Rules:
    """Each device has all params and its rows of a batch."""
    return {}


def fully_sharded(axis: str = "data", least: int = 0) -> Rules:
    """Each device has a part of every array of params and of the optimizer's state, and its rows of a batch.

    Args:
        axis: of the mesh.
        least: arrays of fewer numbers stay whole.
    Reference: Rajbhandari et al. (2020), ZeRO, arXiv:1910.02054; Zhao et al. (2023), PyTorch FSDP, arXiv:2304.11277.
    """
    return {"*": LargestAlong(axis, least)}


def tensor_parallel(axis: str = "model") -> Rules:
    """Each device computes a part of each layer's outputs, for every layer of the catalogue.

    Kernels lie along their outputs: columns of dense and recurrent kernels, channels of convolutions, heads of
    attention, whose last projection lies along its inputs; vectors of a word along their features; biases, scales and
    the like along their one axis. What does not divide evenly is whole on each device.

    Args:
        axis: of the mesh.
    Reference: Shoeybi et al. (2019), Megatron-LM, arXiv:1909.08053.
    """
    heads = {f"*/{name}/kernel": Along(axis, -2) for name in ("query", "key", "value")}
    return {
        **heads,
        **{f"*/{name}/bias": Along(axis, -2) for name in ("query", "key", "value")},
        "*/output/kernel": Along(axis, 0),
        "*/depthwise_kernel": Along(axis, -2),
        "*": Along(axis, -1),
    }


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the arrays of a training run lie.

    Args:
        mesh: the devices.
        rules: for params; the optimizer's state lies as the params do.
        axis: of the mesh, along which a batch's rows lie.
    """

    mesh: Mesh
    rules: Rules
    axis: str

    @property
    def shards(self) -> int:
        """In how many parts a batch's rows are."""
        return self.mesh.shape[self.axis]

    @functools.cached_property
    def share(self) -> Share | None:
        """Which rows this process has; None where it has all."""
        if not is_spread(self.mesh):
            return None
        parts = NamedSharding(self.mesh, PartitionSpec(self.axis)).addressable_devices_indices_map((self.shards,))
        held = {index[0].indices(self.shards)[0] for index in parts.values() if index is not None}
        return Share(self.shards, tuple(sorted(held)))

    def of_state(self, state: Any) -> Any:
        """A tree like a TrainState with a NamedSharding for each array."""
        specs = {path: self.spec(path, leaf.shape) for path, leaf in _leaves(state.params)}
        shapes = {path: leaf.shape for path, leaf in _leaves(state.params)}

        def lies(keys: Any, leaf: Any) -> NamedSharding:
            path = path_of(keys)
            ends = (path[start:] for start in range(len(path)))
            found = next((end for end in ends if end in specs and shapes[end] == leaf.shape), None)
            return NamedSharding(self.mesh, PartitionSpec() if found is None else specs[found])

        return jax.tree_util.tree_map_with_path(lies, state)

    def spec(self, path: Path, shape: Shape) -> PartitionSpec:
        """The layout of one array of params; axes that do not divide evenly are whole."""
        pattern = first_fitting(path, self.rules)
        rule = PartitionSpec() if pattern is None else self.rules[pattern]
        spec = rule if isinstance(rule, PartitionSpec) else rule.spec(shape, self.mesh)
        entries = zip(shape, tuple(spec) + (None,) * (len(shape) - len(spec)), strict=False)
        return PartitionSpec(*(name if size % self._count(name) == 0 else None for size, name in entries))

    def place(self, state: Any) -> Any:
        """The state on the mesh."""
        return jax.tree.map(put, state, self.of_state(state))

    def place_whole(self, tree: Any) -> Any:
        """Arrays that each device has whole; those that lie over several processes stay as they are."""
        return jax.tree.map(lambda leaf: leaf if is_global(leaf) else put(leaf, self._whole), tree)

    def constrain(self, state: Any) -> Any:
        """The same within a compiled step: a state leaves a step as it came."""
        return jax.lax.with_sharding_constraint(state, self.of_state(state))

    def constrain_whole(self, tree: Any) -> Any:
        """Within a compiled step: arrays that each device has whole."""
        return jax.lax.with_sharding_constraint(tree, self._whole)

    def place_rows(self, tree: Any) -> Any:
        """Arrays of rows on the mesh; whole on each device where the rows do not divide evenly.

        Args:
            tree: where there are several processes, this one's share of the rows.
        """
        leaves, structure = jax.tree.flatten(tree)
        if self.share is not None:
            placed = [_joined(leaf, self.share, self._rows) for leaf in leaves]
        else:
            is_even = [leaf.shape and leaf.shape[0] % self.shards == 0 for leaf in leaves]
            layouts = [self._rows if each else self._whole for each in is_even]
            placed = jax.device_put([_read(leaf) for leaf in leaves], layouts)
        return jax.tree.unflatten(structure, placed)

    @functools.cached_property
    def _rows(self) -> NamedSharding:
        return NamedSharding(self.mesh, PartitionSpec(self.axis))

    @functools.cached_property
    def _whole(self) -> NamedSharding:
        return NamedSharding(self.mesh, PartitionSpec())

    def _count(self, name: Any) -> int:
        names = () if name is None else name if isinstance(name, tuple) else (name,)
        return math.prod(self.mesh.shape[each] for each in names)


def make_layout(mesh: Any, rules: Any, params: PyTree) -> Layout:
    """The layout that a Trainer was asked for, checked.

    Raises: GraphError when the mesh is not one, or a rule names an axis or a param that is not there.
    """
    if not isinstance(mesh, Mesh):
        raise GraphTypeError(
            "`mesh` is a mesh of devices.", received=repr(mesh), fix="jg.sharding.make_mesh() has all devices"
        )
    if all(device.process_index != jax.process_index() for device in mesh.devices.flat):
        raise GraphValueError(
            "`mesh` has no device of this process.",
            received=f"devices of other processes; this is process {jax.process_index()}",
            fix="jg.sharding.make_mesh() has the devices of all, make_mesh(jax.local_devices()) those of this one",
        )
    rules = data_parallel() if rules is None else rules
    if not isinstance(rules, Mapping):
        raise GraphTypeError(
            "`sharding_rules` are layouts by patterns of params' paths.",
            received=repr(rules),
            fix='jg.sharding.fully_sharded(), or {"*/kernel": PartitionSpec(None, "model")}',
        )
    for pattern, rule in rules.items():
        _check_rule(pattern, rule, mesh)
    own = [pattern for pattern, rule in rules.items() if isinstance(rule, PartitionSpec)]
    check_patterns(own, paths_of(params), "sharding_rules")
    return Layout(mesh, rules, "data" if "data" in mesh.axis_names else mesh.axis_names[0])


def _joined(leaf: Any, share: Share, rows: NamedSharding) -> jax.Array:
    """The array of all processes' rows, of which `leaf` are this one's."""
    each = len(leaf) // len(share.held)

    def block(index: Any) -> Any:
        first = share.held.index((index[0].start or 0) // each) * each
        return leaf[first : first + each]

    return jax.make_array_from_callback((share.whole(len(leaf)), *leaf.shape[1:]), rows, block)


def _read(leaf: Any) -> Any:
    """An array of one CPU device as NumPy reads it where it lies, from which it is handed out in half the time."""
    if not isinstance(leaf, jax.Array) or isinstance(leaf, Tracer):
        return leaf
    return np.asarray(leaf) if [device.platform for device in leaf.devices()] == ["cpu"] else leaf


def _leaves(tree: PyTree) -> list[tuple[Path, Any]]:
    return [(path_of(keys), leaf) for keys, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def _check_rule(pattern: str, rule: Any, mesh: Mesh) -> None:
    if not isinstance(rule, (PartitionSpec, Along, LargestAlong)):
        fix = 'jax.sharding.PartitionSpec(None, "model")'
        raise GraphTypeError(f"The rule for {pattern!r} is no layout.", received=repr(rule), fix=fix)
    entries = tuple(rule) if isinstance(rule, PartitionSpec) else (rule.mesh_axis,)
    names = [
        name for entry in entries for name in (entry if isinstance(entry, tuple) else (entry,)) if name is not None
    ]
    strange = [name for name in names if name not in mesh.axis_names]
    if strange:
        raise GraphValueError(
            f"The rule for {pattern!r} names an axis that the mesh does not have.",
            received=repr(strange[0]),
            expected=f"one of {list(mesh.axis_names)}",
            fix="jg.sharding.make_mesh(data=4, model=2)",
        )
