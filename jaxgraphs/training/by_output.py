"""Things given for several outputs: as one value, as a list in output order, or as a dict by output name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxgraphs.errors import combine, did_you_mean


def by_output(given: Any, names: Sequence[str], what: str, *, missing: Any = None, is_leaf: Any = None) -> list[Any]:
    """One entry for each output, in order.

    Args:
        given: one value for one output, a list in order, or a dict by name; None is `missing` for all.
        names: of the outputs.
        what: the argument's name, for messages.
        missing: stands for names that a dict leaves out.
        is_leaf: says of a list or dict that it is one value.
    Raises: GraphValueError that lists unknown names, or when a list has another length.

    >>> by_output({"age": "mse"}, ["age", "income"], "loss")
    ['mse', None]
    """
    if given is None:
        return [missing] * len(names)
    if isinstance(given, Mapping) and not (is_leaf and is_leaf(given)):
        unknown = [
            f"'{name}' is not an output; did you mean {did_you_mean(str(name), names)}"
            for name in given
            if name not in names
        ]
        if unknown:
            raise combine(
                f"`{what}` names outputs that the graph does not have.", unknown, fix=f"use the keys {list(names)}"
            )
        return [given.get(name, missing) for name in names]
    if isinstance(given, (list, tuple)) and not (is_leaf and is_leaf(given)):
        if len(given) != len(names):
            raise combine(
                f"`{what}` has {len(given)} entries, and the graph has {len(names)} outputs.",
                [f"{what}={given!r}"],
                fix=f"give one for each of {list(names)}, or a dict by these names",
            )
        return list(given)
    if len(names) == 1:
        return [given]
    raise combine(
        f"`{what}` is one value, and the graph has {len(names)} outputs.",
        [f"{what}={given!r}"],
        fix=f"give a list in the order {list(names)}, or a dict by these names",
    )
