"""Where the arrays of layers are: one place for each layer, however many ways through a graph lead to it.

A layer may be called by a graph, by graphs nested in it, and by layers that hold it, as a TimeDistributed does. Its
arrays are where the graph itself calls it, else in the first nested graph that does, else with the first layer that
holds it. A graph made from another keeps the places, so that the variables of the one feed the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Path = tuple[str, ...]


class Use(NamedTuple):
    """One way to a layer that has arrays.

    Args:
        path: names of the graphs around it, outermost first, and its own, or that of the layer that holds it.
        layer: whose arrays they are.
        own: where these would be if this were the only way.
        rank: 0 where the graph itself calls it, 1 in a nested graph, 2 in a layer that holds it.
    """

    path: Path
    layer: Any
    own: Path
    rank: int


def choose_places(uses: Sequence[Use], kept: Mapping[Path, Path]) -> dict[Path, Path]:
    """The place of the arrays for each path at which they are not.

    Args:
        uses: in the order of the calls.
        kept: places by path that stay what they were.
    """
    places: dict[Path, Path] = {}
    for group in _groups(uses):
        ranked = sorted(group, key=lambda use: use.rank)
        place = next((kept[use.path] for use in ranked if use.path in kept), ranked[0].own)
        places |= {use.path: place for use in group if use.path != place or use.own != place}
    return places


def _groups(uses: Sequence[Use]) -> list[list[Use]]:
    """Uses of the same arrays together: of one layer, or of layers that have one place in a nested graph."""
    numbers: dict[Any, int] = {}
    groups: list[list[int]] = []
    for number, use in enumerate(uses):
        met = sorted({numbers[key] for key in (use.layer, use.own) if key in numbers})
        together = [*(other for index in met for other in groups[index]), number]
        for index in met:
            groups[index] = []
        groups.append(sorted(together))
        numbers.update({key: len(groups) - 1 for other in together for key in (uses[other].layer, uses[other].own)})
    return [[uses[number] for number in group] for group in groups if group]


def at(tree: Any, path: Iterable[str]) -> Any:
    """The branch of nested mappings at a path; None where there is none."""
    for name in path:
        if not isinstance(tree, Mapping) or name not in tree:
            return None
        tree = tree[name]
    return tree


def over(old: Any, new: Any) -> Any:
    """The old arrays with the newer ones among them."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    return {**old, **{name: over(old.get(name), value) for name, value in new.items()}}


def put(tree: dict[str, Any], path: Path, value: Any) -> None:
    """Lays a branch over what a tree has at a path; the branch itself is copied, and stays as it is."""
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = over(tree.get(path[-1]), copied(value))


def copied(tree: Any) -> Any:
    """Nested mappings copied, the arrays in them not."""
    return {name: copied(value) for name, value in tree.items()} if isinstance(tree, Mapping) else tree


class Home(NamedTuple):
    """Where the arrays of one layer are, which has an arrangement of its own for them.

    Args:
        path: of what is not elsewhere.
        elsewhere: pairs of a path in the layer's own arrangement and a place; for a graph of which layers are shared.
    """

    path: Path
    elsewhere: tuple[tuple[Path, Path], ...] = ()

    def of(self, inner: Path) -> Path:
        """The place of what the layer itself has at a path."""
        known = dict(self.elsewhere)
        for length in range(len(inner), 0, -1) if known else ():
            if inner[:length] in known:
                return (*known[inner[:length]], *inner[length:])
        return (*self.path, *inner)

    def apart(self, variables: Mapping[str, Any]) -> list[tuple[Path, Mapping[str, Any]]]:
        """What the layer has by collection, for each place of it."""
        found = [(self.path, variables)]
        for inner, place in self.elsewhere:
            trees = ((key, at(tree, inner)) for key, tree in variables.items())
            found.append((place, {key: tree for key, tree in trees if tree is not None}))
        return found

    def read(self, tree: Any) -> Any:
        """The arrays of the layer, as it arranges them, from a tree of all; None where there are none."""
        found = at(tree, self.path)
        for inner, place in self.elsewhere:
            if (value := at(tree, place)) is not None:
                found = over({} if found is None else found, _nested(inner, value))
        return found

    def write(self, tree: dict[str, Any], arrays: Any) -> None:
        """Lays the arrays of the layer over those in a tree of all."""
        for inner, place in self.elsewhere:
            if (value := at(arrays, inner)) is not None:
                put(tree, place, value)
                arrays = _without(arrays, inner)
        if arrays or not self.elsewhere:
            put(tree, self.path, arrays)


def _nested(path: Path, value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value


def _without(tree: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The tree without a branch, and without what is then empty."""
    name, *rest = path
    inner = _without(tree[name], tuple(rest)) if rest else {}
    return {**{key: value for key, value in tree.items() if key != name}, **({name: inner} if inner else {})}
