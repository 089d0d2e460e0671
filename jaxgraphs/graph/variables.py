"""What the user gives for a graph's arrays and random keys, checked: every mismatch is reported at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jaxgraphs.errors import GraphKeyError, GraphTypeError, ShapeMismatchError
from jaxgraphs.graph.graph import Graph, home_of
from jaxgraphs.graph.paths import find_layer, layer_paths
from jaxgraphs.graph.places import Home, Path, at, copied
from jaxgraphs.graph.run import steps_of
from jaxgraphs.symbolic.keys import check_key
from jaxgraphs.symbolic.node import title
from jaxgraphs.symbolic.spec import TensorSpec

# More lines than this hide what they say.
_SHOWN = 12


def check_variables(graph: Graph, variables: Any) -> None:
    """Refuses variables that lack an array of the graph, or have one of another shape; others may be there.

    Raises: GraphKeyError or ShapeMismatchError that lists them.
    """
    if not isinstance(variables, Mapping):
        raise GraphTypeError(
            f"The variables of {title(graph)} are arrays by collection, layer and name.",
            received=type(variables).__name__,
            expected='{"params": {layer: {name: array}}}',
            fix="state.variables" if hasattr(variables, "variables") else "variables = graph.init(jax.random.key(0))",
        )
    missing, unfit = [], []
    for path, spec in _wanted(graph):
        array = at(variables, path)
        if array is None:
            missing.append(f"{'/'.join(path)}: {spec}")
        elif not _has_shape(array, spec):
            unfit.append(f"{'/'.join(path)}: {getattr(array, 'shape', type(array).__name__)}, expected {spec}")
    if missing:
        raise _missing(graph, variables, missing)
    if unfit:
        raise ShapeMismatchError(
            f"{len(unfit)} of the variables do not have the shapes that {title(graph)} needs.",
            received=_listed(unfit),
            fix="graph.init(key) makes variables for this graph",
        )


def variables_of(graph: Graph, name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of one layer or nested graph, out of those of a graph, as they are for it alone."""
    home = _home(graph, name)
    check_variables(graph, variables)
    found = {key: home.read(tree) for key, tree in variables.items()}
    return {"params": {}, **{key: tree for key, tree in found.items() if tree is not None}}


def variables_with(
    graph: Graph, name: str, given: Mapping[str, Any], variables: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """The arrays of a graph with others for one layer or nested graph; the arguments stay as they are."""
    home = _home(graph, name)
    made = {key: copied(tree) for key, tree in variables.items()}
    for key, tree in given.items():
        home.write(made.setdefault(key, {}), tree)
    check_variables(graph, made)
    return made


def _home(graph: Graph, name: str) -> Home:
    path = find_layer(graph, name)
    return home_of(graph, path, layer_paths(graph)[path])


def check_streams(rngs: Any) -> None:
    """Refuses random keys that are not one key for each stream, by name."""
    if rngs is None:
        return
    if not isinstance(rngs, Mapping):
        raise GraphTypeError(
            "The random keys are given by stream.",
            received=type(rngs).__name__,
            expected="a dict from names to keys",
            fix='rngs={"dropout": jax.random.key(0)}',
        )
    for name, key in rngs.items():
        check_key(key, f"The stream {name!r}")


def _wanted(graph: Graph) -> Iterator[tuple[Path, TensorSpec]]:
    """The place and spec of each array, as far as the graph knows them; a shared layer's once."""
    seen: set[tuple[Path, Any]] = set()
    for step in steps_of(graph):
        if (step.home.path, step.node.layer) not in seen:
            seen.add((step.home.path, step.node.layer))
            for collection, tree in step.node.variables.items():
                for path, spec in _leaves((), tree):
                    yield (collection, *step.home.of(path)), spec


def _leaves(path: Path, tree: Any) -> Iterator[tuple[Path, TensorSpec]]:
    if isinstance(tree, TensorSpec):
        yield path, tree
    elif isinstance(tree, Mapping):
        for name, inner in tree.items():
            yield from _leaves((*path, name), inner)


def _has_shape(array: Any, spec: TensorSpec) -> bool:
    shape = getattr(array, "shape", None)
    if shape is None or len(shape) != spec.rank:
        # Flax may box an array with its sharding; what is in the box is checked where it is used.
        return shape is None and hasattr(array, "value")
    return all(size == wanted or not isinstance(wanted, int) for size, wanted in zip(shape, spec.dims, strict=True))


def _missing(graph: Graph, variables: Mapping[str, Any], missing: list[str]) -> GraphKeyError:
    # A frequent slip: the params alone.
    whole = {"params": variables}
    is_inner = "params" not in variables and all(at(whole, path) is not None for path, _ in _wanted(graph))
    return GraphKeyError(
        f"The variables lack {len(missing)} of the arrays of {title(graph)}.",
        received=f"collections {sorted(map(str, variables)) or 'none'}",
        expected=_listed(missing),
        fix='graph.apply({"params": params}, inputs)' if is_inner else "graph.init(key) makes variables for this graph",
    )


def _listed(lines: list[str]) -> str:
    rest = len(lines) - _SHOWN
    return "\n".join([*lines[:_SHOWN], *([f"and {rest} more"] if rest > 0 else [])])
