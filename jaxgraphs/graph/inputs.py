"""What the user gives for a graph's inputs, brought into order and checked: every mismatch is reported at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.errors import GraphError, combine, did_you_mean
from jaxgraphs.symbolic.node import UNKNOWN, SymbolicTensor, is_symbolic, title
from jaxgraphs.symbolic.spec import Dim, TensorSpec

if TYPE_CHECKING:
    from jaxgraphs.graph.graph import Graph


def flatten_inputs(graph: Graph, values: Any) -> list[Any]:
    """The values in the order of ``graph.inputs``.

    Args:
        values: one value for one input; a list in order; a dict by input name; or whatever the graph was given.
    Raises: GraphValueError that lists every missing, extra or misnamed input.
    """
    structure = jax.tree.structure(values, is_leaf=_is_value)
    if isinstance(values, Mapping) and not _is_value(values):
        names = [graph.tensor_name(tensor) for tensor in graph.inputs]
        for known in (graph.input_names, names):
            if set(values) == set(known):
                return [values[name] for name in known]
    if structure == graph.input_structure:
        return jax.tree.leaves(values, is_leaf=_is_value)
    if isinstance(values, Mapping):
        raise _misnamed(graph, values)
    if len(graph.inputs) == 1:
        only = values[0] if isinstance(values, (list, tuple)) and len(values) == 1 and _is_value(values[0]) else values
        if _is_value(only) or not isinstance(only, (list, tuple)):
            return [only]
    items = list(values) if isinstance(values, (list, tuple)) and not _is_value(values) else [values]
    if len(items) != len(graph.inputs):
        raise combine(
            f"{title(graph)} has {len(graph.inputs)} input{'s' * (len(graph.inputs) != 1)} and was given {len(items)}.",
            [_describe(item) for item in items] or ["nothing"],
            fix=f"give a list in the order {list(graph.input_names)}, or a dict with these keys",
        )
    return items


def check_inputs(graph: Graph, values: Sequence[Any]) -> list[jax.Array]:
    """The values as JAX's arrays of the right dtypes.

    Raises: as `fitted_inputs` does.
    """
    return [jnp.asarray(array) for array in fitted_inputs(graph, values)]


def fitted_inputs(graph: Graph, values: Sequence[Any]) -> list[jax.Array | np.ndarray]:
    """The values as arrays of the right dtypes; NumPy's that have them stay: compiled code takes them sooner.

    Whole numbers become floating where the Input is floating; floating numbers of another precision stay as they are.

    Raises: GraphValueError that lists every input of a wrong rank, size or dtype, and sizes that disagree.
    """
    problems, arrays = [], []
    sizes: dict[Dim, tuple[int, str]] = {}
    for tensor, value in zip(graph.inputs, values, strict=True):
        name = graph.tensor_name(tensor)
        array, problem = _as_array(value, tensor.spec)
        if problem is None:
            problem = _shape_problem(array, tensor.spec, name, sizes)
        if problem is not None:
            problems.append(f"{name}: {problem}")
        arrays.append(array)
    if problems:
        raise combine(
            f"{len(problems)} input{'s do' if len(problems) > 1 else ' does'} not fit {title(graph)}.",
            problems,
            fix="graph.summary() shows the inputs; None in a shape takes any size",
        )
    return arrays


def check_specs(graph: Graph, values: Sequence[Any]) -> list[TensorSpec]:
    """Specs of what a call of the graph as a layer reads: specs, or constant arrays.

    Raises: GraphValueError that lists every one of a wrong rank, size or dtype.
    """
    specs = [value if isinstance(value, TensorSpec) else TensorSpec.of(jnp.asarray(value)) for value in values]
    problems = [
        f"{graph.tensor_name(tensor)}: {spec}, expected {tensor.spec}"
        for tensor, spec in zip(graph.inputs, specs, strict=True)
        if UNKNOWN not in (spec, tensor.spec) and not _is_fitting(spec, tensor.spec)
    ]
    if problems:
        raise combine(
            f"{len(problems)} input{'s do' if len(problems) > 1 else ' does'} not fit {title(graph)}.",
            problems,
            fix="give the graph's Input the size None to take any",
        )
    return specs


def _is_fitting(spec: TensorSpec, wanted: TensorSpec) -> bool:
    pairs = list(zip(spec.dims, wanted.dims, strict=False))
    is_sized = all(a == b or not isinstance(a, int) or not isinstance(b, int) for a, b in pairs)
    is_rounded = jnp.issubdtype(spec.dtype, jnp.inexact) and not jnp.issubdtype(wanted.dtype, jnp.inexact)
    return spec.rank == wanted.rank and is_sized and not is_rounded


def _as_array(value: Any, spec: TensorSpec) -> tuple[Any, str | None]:
    if is_symbolic(value):
        return value, "a symbolic tensor, where an array is needed; graph(tensor) adds a call to another graph"
    try:
        plain = value if isinstance(value, jax.Array) else np.asarray(value)
        if plain.dtype.kind in "OUSMm":
            return value, f"{_a_type(value)} of {plain.dtype}, where an array of numbers is needed"
        if plain.dtype == spec.dtype:
            return plain, None
        array = jnp.asarray(plain)
    except (TypeError, ValueError) as error:
        return value, f"{_a_type(value)} cannot be made an array: {str(error).splitlines()[0]}"
    if spec == UNKNOWN or array.dtype == spec.dtype:
        return array, None
    return _convert(array, spec)


def _a_type(value: Any) -> str:
    return "an array" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def _convert(array: jax.Array, spec: TensorSpec) -> tuple[jax.Array, str | None]:
    received, expected = array.dtype, spec.dtype
    if jnp.issubdtype(received, jnp.floating) and jnp.issubdtype(expected, jnp.floating):
        return array, None
    if jnp.issubdtype(received, jnp.complexfloating) or jnp.issubdtype(received, jax.dtypes.prng_key):
        return array, f"{received}, expected {expected}"
    if jnp.issubdtype(received, jnp.floating) and jnp.issubdtype(expected, jnp.integer):
        return array, f"{received}, expected whole numbers of {expected}"
    return array.astype(expected), None


def _shape_problem(array: Any, spec: TensorSpec, name: str, sizes: dict[Dim, tuple[int, str]]) -> str | None:
    if spec == UNKNOWN:
        return None
    if array.ndim != spec.rank:
        return _other_shape(array, spec)
    for size, wanted in zip(array.shape, spec.dims, strict=True):
        if isinstance(wanted, int):
            if isinstance(size, int) and size != wanted:
                return _other_shape(array, spec)
        elif isinstance(size, int):
            first, other = sizes.setdefault(wanted, (size, name))
            if first != size and str(wanted) == "batch":
                return f"{array.shape}: a batch of {size}, where '{other}' has {first}"
    return None


def _other_shape(array: Any, spec: TensorSpec) -> str:
    return f"{array.shape}, expected {str(spec).rsplit(' ', 1)[0]}"


def _misnamed(graph: Graph, values: Mapping[str, Any]) -> GraphError:
    known = list(graph.input_names)
    problems = [f"'{name}' is missing" for name in known if name not in values]
    for name in values:
        if name not in known:
            problems.append(f"'{name}' is not an input; did you mean {did_you_mean(str(name), known)}")
    return combine(
        f"The names do not fit the inputs of {title(graph)}.", problems, fix=f"give a dict with the keys {known}"
    )


def _is_value(value: Any) -> bool:
    """Whether `value` is one input's value rather than a container of several."""
    if isinstance(value, SymbolicTensor) or hasattr(value, "dtype") or isinstance(value, TensorSpec):
        return True
    return not isinstance(value, (list, tuple, dict)) and not isinstance(value, Mapping)


def _describe(value: Any) -> str:
    if is_symbolic(value):
        return str(value.spec)
    return f"{value.shape} {value.dtype}" if hasattr(value, "dtype") else type(value).__name__
