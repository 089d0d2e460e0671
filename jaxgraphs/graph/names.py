"""The names that layers have within one graph: given ones are kept, others follow Keras."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxgraphs.errors import GraphValueError
from jaxgraphs.symbolic.node import Node, SymbolicTensor, describe_call


def derive_names(
    nodes: Sequence[Node], inputs: Sequence[SymbolicTensor], kept: Mapping[Any, str], taken: Iterable[str] = ()
) -> dict[Any, str]:
    """A name for each layer and each Input node of a graph, and for each inner tensor that is an input.

    Keras numbers layers of a class in the order in which they were made; so does this, within one graph: `dense`,
    `dense_1`. What was built before makes no difference.

    Args:
        nodes: the calls, in order.
        inputs: of the graph.
        kept: names that some of them already have.
        taken: names that are not to be derived.
    Raises: GraphValueError when two given names are alike.
    """
    owners = _owners(nodes, inputs)
    given = {owner: name for owner in owners if (name := kept.get(owner) or _given(owner)) is not None}
    _check_clashes(given, nodes)
    names, taken, counts = dict(given), {*given.values(), *taken}, Counter[str]()
    for owner in sorted((owner for owner in owners if owner not in given), key=_created):
        stem = _stem(owner)
        while (name := stem + (f"_{counts[stem]}" if counts[stem] else "")) in taken:
            counts[stem] += 1
        counts[stem] += 1
        taken.add(name)
        names[owner] = name
    return {owner: names[owner] for owner in owners}


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """The names with `_1`, `_2` added where one comes again.

    >>> unique(["lstm", "dense", "lstm"])
    ('lstm', 'dense', 'lstm_1')
    """
    result: dict[str, None] = {}
    for name in names:
        candidate, count = name, 0
        while candidate in result:
            count += 1
            candidate = f"{name}_{count}"
        result[candidate] = None
    return tuple(result)


def _owners(nodes: Sequence[Node], inputs: Sequence[SymbolicTensor]) -> tuple[Any, ...]:
    computed = set(nodes)
    inner = [tensor for tensor in inputs if tensor.node not in computed]
    return tuple(dict.fromkeys([*inner, *(node if node.layer is None else node.layer for node in nodes)]))


def _given(owner: Any) -> str | None:
    return None if isinstance(owner, SymbolicTensor) else owner.name


def _created(owner: Any) -> int:
    return owner.node.created if isinstance(owner, SymbolicTensor) else owner.created


def _stem(owner: Any) -> str:
    if isinstance(owner, Node):
        return "input_layer"
    return owner.name if isinstance(owner, SymbolicTensor) else owner.default_name


def _check_clashes(given: Mapping[Any, str], nodes: Sequence[Node]) -> None:
    counts = Counter(given.values())
    clashing = [name for name, count in counts.items() if count > 1]
    if not clashing:
        return
    places = [_place(owner, nodes) for owner, name in given.items() if name == clashing[0]]
    raise GraphValueError(
        f"{len(places)} different things in the graph have the given name {clashing[0]!r}.",
        where="; ".join(places),
        received="; ".join(f"{name!r} {counts[name]} times" for name in clashing),
        expected="a name of its own for each layer and Input",
        fix="rename one; or call one and the same layer object twice if its weights are to be shared",
    )


def _place(owner: Any, nodes: Sequence[Node]) -> str:
    if isinstance(owner, Node):
        return f"Input {owner.name!r} {owner.specs[0]}"
    call = next(node for node in nodes if node.layer is owner)
    return f"{owner.kind}: {describe_call(owner, call.parents)}"
