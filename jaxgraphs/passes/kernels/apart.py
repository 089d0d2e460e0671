"""Functions computed at one time, each on a device of its own, with a derivative that keeps what its own device needs.

Which functions a device computes is a branch of a switch. By autodiff each branch would give zeros in the place of all
that the others keep for the backward pass, and a recurrent layer keeps several arrays of all its steps. Here arrays of
one shape that unlike branches give have one place, so that of branches that are alike nothing is filled with zeros.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun
from jax.sharding import Mesh, PartitionSpec
from jax.tree_util import Partial

Array = jax.Array
PyTree = Any


@dataclasses.dataclass(frozen=True)
class _Slot:
    """The place of an array that branches give: those of one shape are counted in each branch."""

    shape: tuple[int, ...]
    dtype: Any
    number: int


@dataclasses.dataclass(frozen=True)
class _Branch:
    """What one device computes forward.

    Args:
        compute: gives all its arrays from the leaves of all arguments.
        slots: one for each of these.
        outputs: the slots of the outputs of each of the device's functions.
        back: those of the backward pass, flat; a number is that of the argument which is kept.
        tree: of the function of the outputs' cotangents, whose leaves are `back`.
    """

    compute: Callable[..., list[Array]]
    slots: list[_Slot]
    outputs: list[list[_Slot]]
    back: list[_Slot | int]
    tree: Any

    def forward(self, leaves: list[Array], _: Any) -> dict[_Slot, Array]:
        """The arrays by slot."""
        return dict(zip(self.slots, self.compute(*leaves), strict=True))


def apart(functions: Sequence[Callable[[PyTree], list[Array]]], places: Sequence[int], mesh: Mesh, axis: str) -> Any:
    """A function of a list of arguments, one for each of `functions`, that gives the list of what these give.

    Args:
        functions: pure; each gives a list of floating point arrays.
        places: the device's number for each of them.
        mesh: has the devices along `axis`; arguments and outputs lie whole on each.

    There are reverse-mode derivatives, and no forward-mode ones.

    >>> import numpy as np
    >>> mesh = Mesh(np.array(jax.devices()[:1]), ("branch",))
    >>> both = apart([lambda x: [jnp.sin(x)], lambda x: [x * x]], [0, 0], mesh, "branch")
    >>> print(jax.grad(lambda x: both([x, x])[1][0])(3.0))
    6.0
    """
    owned = [[index for index, each in enumerate(places) if each == place] for place in range(mesh.shape[axis])]
    spread = partial(_spread, mesh, axis)

    def forward(args: Sequence[PyTree]) -> Any:
        leaves = jax.tree.leaves(args)
        branches = [_traced(partial(_with_back, functions, own), args) for own in owned]
        slots = _union(branch.slots for branch in branches)
        asked = {slot for branch in branches for each in branch.outputs for slot in each}
        found = spread([branch.forward for branch in branches], slots, asked, leaves)
        outputs: dict[int, list[Array]] = {}
        for place, (own, branch) in enumerate(zip(owned, branches, strict=True)):
            each = [[found[slot][place] for slot in slots] for slots in branch.outputs]
            outputs |= dict(zip(own, each, strict=True))
        kept = {slot: array for slot, array in found.items() if any(slot in branch.back for branch in branches)}
        back = partial(_backward, spread, owned, branches, [*kept])
        return [outputs[index] for index in range(len(functions))], Partial(back, args, [*kept.values()])

    run = jax.custom_vjp(lambda args: forward(args)[0])
    run.defvjp(forward, lambda back, cotangents: (back(cotangents),))
    return lambda args: run(jax.tree.map(jnp.asarray, args))


def _spread(
    mesh: Mesh,
    axis: str,
    branches: Sequence[Callable[[PyTree, list[Array]], Mapping[_Slot, Array]]],
    slots: Sequence[_Slot],
    asked: Collection[_Slot],
    whole: PyTree,
    own: Sequence[Array] = (),
) -> dict[_Slot, Array]:
    """What the devices' branches give, with the devices along a new first axis.

    Args:
        branches: of `whole` and the device's part of `own`; a slot that one does not give is filled with zeros.
        slots: all there are.
        asked: those that are to lie whole on each device; the others lie apart.
        whole: lies whole on each device.
        own: lies apart.
    """

    def filled(branch: Any, whole: PyTree, own: list[Array]) -> list[Array]:
        found = branch(whole, own)
        return [found[slot] if slot in found else jnp.zeros(slot.shape, slot.dtype) for slot in slots]

    def on_each(whole: PyTree, own: list[Array]) -> list[Array]:
        run = [partial(filled, branch) for branch in branches]
        found = jax.lax.switch(jax.lax.axis_index(axis), run, whole, [array[0] for array in own])
        return [
            jax.lax.all_gather(array, axis) if slot in asked else array[None]
            for slot, array in zip(slots, found, strict=True)
        ]

    apart = PartitionSpec(axis)
    given = [PartitionSpec() if slot in asked else apart for slot in slots]
    mapped = jax.shard_map(on_each, mesh=mesh, in_specs=(PartitionSpec(), apart), out_specs=given, check_vma=False)
    return dict(zip(slots, mapped(whole, [*own]), strict=True))


def _with_back(functions: Sequence[Any], own: Sequence[int], args: Sequence[PyTree]) -> tuple[list[list[Array]], Any]:
    """The outputs of a device's functions, and the function of their cotangents."""
    leaves, tree = jax.tree.flatten([args[index] for index in own])
    moving = [number for number, leaf in enumerate(leaves) if _is_inexact(leaf)]

    def run(values: list[Array]) -> list[list[Array]]:
        changed = dict(zip(moving, values, strict=True))
        filled = jax.tree.unflatten(tree, [changed.get(number, leaf) for number, leaf in enumerate(leaves)])
        return [functions[index](arg) for index, arg in zip(own, filled, strict=True)]

    return jax.vjp(run, [leaves[number] for number in moving])


def _traced(function: Callable[..., Any], args: Sequence[PyTree]) -> _Branch:
    # Without the arrays' shardings, which are others where a device computes by itself.
    plain = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), args)
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(plain)
    arguments = {id(variable): number for number, variable in enumerate(closed.jaxpr.invars)}
    slots = _slots(closed.out_avals)
    outputs, back = shapes
    count = len(jax.tree.leaves(outputs))
    from_arguments = [arguments.get(id(variable)) for variable in closed.jaxpr.outvars[count:]]
    kept = [slot if number is None else number for number, slot in zip(from_arguments, slots[count:], strict=True)]
    of_outputs = jax.tree.unflatten(jax.tree.structure(outputs), slots[:count])
    return _Branch(jaxpr_as_fun(closed), slots, of_outputs, kept, jax.tree.structure(back))


def _backward(
    spread: Any,
    owned: Sequence[Sequence[int]],
    branches: Sequence[_Branch],
    names: Sequence[_Slot],
    args: Sequence[PyTree],
    kept: Sequence[Array],
    cotangents: Sequence[list[Array]],
) -> PyTree:
    """The cotangents of `args`, None in the place of those that are no floating point numbers."""
    leaves, tree = jax.tree.flatten(args)
    numbered = jax.tree.unflatten(tree, range(len(leaves)))
    moving = [
        [number for number in jax.tree.leaves([numbered[index] for index in own]) if _is_inexact(leaves[number])]
        for own in owned
    ]
    slots = [_slots([leaves[number] for number in numbers]) for numbers in moving]

    def of(own: Sequence[int], branch: _Branch, slots: list[_Slot]) -> Any:
        def run(whole: Any, kept: list[Array]) -> dict[_Slot, Array]:
            leaves, cotangents = whole
            found = dict(zip(names, kept, strict=True))
            values = [leaves[each] if isinstance(each, int) else found[each] for each in branch.back]
            (changes,) = jax.tree.unflatten(branch.tree, values)([cotangents[index] for index in own])
            return dict(zip(slots, changes, strict=True))

        return run

    run = [of(*each) for each in zip(owned, branches, slots, strict=True)]
    union = _union(slots)
    found = spread(run, union, union, (leaves, cotangents), kept)
    changes: list[Array | None] = [None] * len(leaves)
    for place, (numbers, own_slots) in enumerate(zip(moving, slots, strict=True)):
        for number, slot in zip(numbers, own_slots, strict=True):
            changes[number] = found[slot][place]
    return jax.tree.unflatten(tree, changes)


def _is_inexact(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def _slots(arrays: Sequence[Any]) -> list[_Slot]:
    """A slot for each array of a branch."""
    counts: Counter[Any] = Counter()
    slots: list[_Slot] = []
    for array in arrays:
        kind = (array.shape, array.dtype)
        slots.append(_Slot(*kind, counts[kind]))
        counts[kind] += 1
    return slots


def _union(slots: Any) -> list[_Slot]:
    return [*dict.fromkeys(slot for each in slots for slot in each)]
