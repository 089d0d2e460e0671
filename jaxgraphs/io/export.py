"""A graph and its variables as one program for other places: StableHLO, which needs JAX alone, or ONNX."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export

from jaxgraphs.errors import GraphError, GraphTypeError, GraphValueError, combine
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.inputs import flatten_inputs
from jaxgraphs.graph.variables import check_variables
from jaxgraphs.io.plain import plainly
from jaxgraphs.symbolic.node import UNKNOWN, title
from jaxgraphs.symbolic.spec import BATCH, named_dim, symbols
from jaxgraphs.writing import replacing

PLATFORMS = ("cpu", "cuda", "tpu")
# What a graph's program may call outside StableHLO; a callback into Python, or a kernel of somebody's own, is neither.
_CALLS = frozenset(
    (
        *("Sharding", "shape_assertion", "stablehlo.dynamic_top_k", "mhlo.topk", "mhlo.erf", "chlo.top_k"),
        *("cu_threefry2x32", "cu_threefry2x32_ffi", "threefry2x32", "annotate_device_placement"),
    )
)
_TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """A graph that has been exported: call it on inputs arranged as the graph's own.

    Args:
        exported: JAX's own form of it, which ``jax.export.deserialize`` gives for the file as well.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((8,))
    >>> graph = Graph(x, Dense(3)(x))
    >>> program = graph.export(graph.init(jax.random.key(0)))
    >>> program(np.ones((5, 8), np.float32)).shape, program.inputs.shape
    ((5, 3), (batch, 8))
    """

    exported: jax_export.Exported

    @property
    def inputs(self) -> Any:
        """Shapes and dtypes of the inputs, arranged as they are to be given; sizes left open are symbols."""
        structs = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in self.exported.in_avals]
        return jax.tree.unflatten(self.exported.in_tree, structs)[0][0]

    @property
    def platforms(self) -> tuple[str, ...]:
        """Where it runs: of "cpu", "cuda", "tpu"."""
        return tuple(self.exported.platforms)

    def __call__(self, inputs: Any) -> Any:
        """The outputs, arranged as the graph's.

        Raises: GraphError when the inputs do not fit, or this is none of the program's platforms.
        """
        leaves, structure = jax.tree.flatten(self.inputs)
        values = jax.tree.leaves(inputs)
        if jax.tree.structure(inputs) != structure and (isinstance(inputs, Mapping) or len(values) != len(leaves)):
            raise GraphValueError(
                "The inputs are not arranged as the program's.",
                received=str(jax.tree.structure(inputs)),
                expected=str(structure),
            )
        arrays = [_as(value, leaf.dtype) for value, leaf in zip(values, leaves, strict=True)]
        try:
            return self.exported.call(jax.tree.unflatten(structure, arrays))
        except (ValueError, TypeError) as error:
            raise GraphValueError(
                "The program does not run on these inputs.",
                where=f"{jax.default_backend()}, of a program for {', '.join(self.platforms)}",
                received="\n".join(f"{array.shape} {array.dtype}" for array in arrays),
                expected="\n".join(f"{leaf.shape} {leaf.dtype}" for leaf in leaves),
                fix=str(error).splitlines()[0][:200],
            ) from error

    def to_bytes(self) -> bytes:
        """What the file holds: the program as JAX serialises it."""
        try:
            return bytes(self.exported.serialize())
        except ImportError as error:
            raise _needs("Writing a program", "flatbuffers", "export") from error


def export(
    graph: Graph,
    variables: Mapping[str, Any],
    path: str | os.PathLike[str] | None = None,
    *,
    inputs: Any = None,
    platforms: Sequence[str] = PLATFORMS,
) -> Any:
    """What ``graph.export`` does: see there."""
    check_variables(graph, variables)
    if path is not None and str(path).endswith(".onnx"):
        return to_onnx(graph, variables, path, inputs=inputs)
    _check_platforms(platforms)

    def compute(values: Any) -> Any:
        return graph.apply(variables, values)

    def attempt(specs: list[Any]) -> Any:
        arranged = jax.tree.unflatten(graph.input_structure, specs)
        return jax_export.export(jax.jit(compute), platforms=list(platforms))(arranged)

    program = Program(_first_that_works(attempt, graph, inputs))
    if path is not None:
        data = program.to_bytes()
        with replacing(path, "The program") as beside:
            beside.write_bytes(data)
    return program


def load_exported(path: str | os.PathLike[str]) -> Program:
    """The program that ``graph.export(variables, path)`` wrote; the graph itself is not needed.

    A file may come from anywhere: it can compute, for as long as it likes, and nothing else. One that calls for code
    outside StableHLO, such as a callback into Python, is refused before anything of it runs.

    Args:
        path: of the file.
    Returns: a Program: call it on inputs arranged as the graph's.
    Raises: GraphError when it is no such file, or holds what is refused.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise GraphValueError(f"The file cannot be read: {error.strerror}.", where=os.fspath(path)) from error
    try:
        program = Program(jax_export.deserialize(bytearray(data)))
        calls = set(_outside_calls(program.exported))
        leaves, _ = jax.tree.flatten(program.inputs)
        assert all(hasattr(leaf, "dtype") for leaf in leaves)
    except ImportError as error:
        raise _needs("Reading a program", "flatbuffers", "export") from error
    # What is wrong with bytes that are no program, its reader says in many ways.
    except Exception as error:
        raise GraphValueError(
            "This is not a file that graph.export wrote.",
            where=os.fspath(path),
            received=f"{type(error).__name__}: {error}"[:200],
            expected="a program as jax.export serialises it",
        ) from error
    if strange := sorted(calls - _CALLS):
        raise GraphValueError(
            "The program calls for code that is not its own.",
            where=os.fspath(path),
            received=", ".join(strange)[:200],
            expected="StableHLO alone",
        )
    return program


def to_onnx(graph: Graph, variables: Mapping[str, Any], path: str | os.PathLike[str], *, inputs: Any = None) -> Path:
    """Writes the graph as ONNX by jax2onnx, once onnxruntime has been seen to give the same numbers.

    Raises: GraphError when jax2onnx is not there, lacks an operation, or makes a program of other numbers.
    """
    try:
        import jax2onnx  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise _needs("Writing ONNX", "jax2onnx and onnxruntime", "onnx") from error
    names, ends = _plain_names(graph.input_names), _plain_names(graph.output_names)

    def compute(*values: Any) -> Any:
        return tuple(jax.tree.leaves(graph.apply(variables, list(values))))

    def attempt(specs: list[Any]) -> Any:
        return jax2onnx.to_onnx(
            plainly(compute), specs, model_name=graph.name or "graph", input_names=names, output_names=ends
        )

    model = _first_that_works(attempt, graph, inputs).SerializeToString()
    _check_onnx(model, graph, variables, inputs)
    with replacing(path, "The program") as beside:
        beside.write_bytes(model)
    return Path(path)


def _check_onnx(model: bytes, graph: Graph, variables: Mapping[str, Any], inputs: Any) -> None:
    """onnxruntime's outputs are the graph's, on seeded numbers; names and order too."""
    import onnxruntime  # pyright: ignore[reportMissingImports]

    values = [_example(spec, index) for index, spec in enumerate(_structs(graph, inputs))]
    expected = jax.tree.leaves(graph.apply(variables, values))
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        outputs = session.run(None, dict(zip(_plain_names(graph.input_names), values, strict=True)))
    # onnxruntime's errors have no class in common.
    except Exception as error:
        raise GraphError("onnxruntime cannot run the program.", received=str(error)[:300]) from error
    apart = [_apart(np.asarray(one), np.asarray(other)) for one, other in zip(outputs, expected, strict=True)]
    if not max(apart, default=0.0) <= _TOLERANCE:
        raise combine(
            "onnxruntime computes other numbers than the graph; nothing was written.",
            [f"{name}: {value:.1e} apart" for name, value in zip(graph.output_names, apart, strict=True)],
            fix="graph.export(variables, path) without .onnx writes StableHLO",
        )


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    difference = np.abs(one.astype(np.float64) - other.astype(np.float64))
    return float(np.max(difference, initial=0.0) / max(float(np.max(np.abs(other), initial=0.0)), 1e-6))


def _first_that_works(attempt: Callable[[list[Any]], Any], graph: Graph, inputs: Any) -> Any:
    """The program with every open size a symbol of its own; else with all but the batch one symbol."""
    first: Exception | None = None
    for specs in _attempts(graph, inputs):
        try:
            return attempt(specs)
        except GraphError:
            raise
        # Tracing on symbols fails in as many ways as there are functions.
        except Exception as error:
            first = first or error
    known = inputs is not None or not any(symbols(spec.shape) for spec in _structs(graph, inputs))
    raise GraphValueError(
        f"{title(graph)} cannot be exported.",
        received=f"{type(first).__name__}: {first}"[:400],
        fix=None if known else "graph.export(variables, path, inputs=example) fixes the sizes to the example's",
    ) from first


def _attempts(graph: Graph, inputs: Any) -> Iterator[list[Any]]:
    specs = _structs(graph, inputs)
    free = [name for name in symbols(size for spec in specs for size in spec.shape) if name != str(BATCH)]
    yield specs
    if len(free) > 1:
        same = dict.fromkeys(free, named_dim(free[0]))
        yield [jax.ShapeDtypeStruct(_substituted(spec.shape, same), spec.dtype) for spec in specs]


def _structs(graph: Graph, inputs: Any) -> list[Any]:
    """Shapes and dtypes of the inputs in order: the example's, or the graph's with open sizes named by their place."""
    if inputs is not None:
        return [jax.ShapeDtypeStruct(value.shape, value.dtype) for value in map(_sized, flatten_inputs(graph, inputs))]
    if any(spec == UNKNOWN for spec in graph.input_specs()):
        raise GraphValueError(
            f"{title(graph)} has no Input, so that nothing is known of its inputs.",
            fix="graph.export(variables, path, inputs=example)",
        )
    structs = []
    for name, spec in zip(_plain_names(graph.input_names), graph.input_specs(), strict=True):
        names = {
            str(size): named_dim(f"{name}_{axis}")
            for axis, size in enumerate(spec.dims)
            if not isinstance(size, int) and size is not BATCH and str(size) != str(BATCH)
        }
        structs.append(jax.ShapeDtypeStruct(_substituted(spec.dims, names), spec.dtype))
    return structs


def _substituted(shape: Sequence[Any], sizes: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(sizes.get(str(size), size) for size in shape)


def _sized(value: Any) -> Any:
    return value if hasattr(value, "dtype") else np.asarray(value)


def _example(spec: Any, seed: int) -> np.ndarray:
    """Seeded numbers: small whole ones for whole dtypes; 2 examples, and 8 for each open size."""
    shape = tuple(size if isinstance(size, int) else 2 if str(size) == str(BATCH) else 8 for size in spec.shape)
    random = np.random.default_rng(seed)
    is_whole = jnp.issubdtype(spec.dtype, jnp.integer) or spec.dtype == bool
    return np.asarray(random.integers(0, 2, shape) if is_whole else random.normal(size=shape)).astype(spec.dtype)


def _as(value: Any, dtype: Any) -> jax.Array:
    """An array of the dtype that the program wants, where no precision is lost by it."""
    array = jnp.asarray(value)
    is_safe = jnp.issubdtype(dtype, jnp.floating) or not jnp.issubdtype(array.dtype, jnp.floating)
    return array.astype(dtype) if is_safe and not jnp.issubdtype(array.dtype, jnp.complexfloating) else array


def _outside_calls(exported: jax_export.Exported) -> Iterator[str]:
    """What the program calls that is not StableHLO."""
    from jaxlib.mlir import ir
    from jaxlib.mlir.dialects import stablehlo

    found: list[str] = []

    def visit(operation: Any) -> Any:
        if operation.operation.name == "stablehlo.custom_call":
            found.append(ir.StringAttr(operation.operation.attributes["call_target_name"]).value)
        return ir.WalkResult.ADVANCE

    with ir.Context() as context:
        stablehlo.register_dialect(context)
        module: Any = stablehlo.deserialize_portable_artifact(context, exported.mlir_module_serialized)
        module.operation.walk(visit)
    yield from found


def _plain_names(names: Sequence[str]) -> list[str]:
    """Names that symbols and ONNX can have: words, each once."""
    words = [re.sub(r"\W", "_", name, flags=re.ASCII) or "x" for name in names]
    words = [word if word[0].isalpha() else f"x{word}" for word in words]
    return [word if words.count(word) == 1 else f"{word}_{index}" for index, word in enumerate(words)]


def _check_platforms(platforms: Sequence[str]) -> None:
    strange = [name for name in platforms if name not in (*PLATFORMS, "rocm")]
    if strange or not platforms or isinstance(platforms, str):
        raise GraphTypeError(
            "The platforms are not those that JAX exports to.",
            received=repr(platforms),
            expected=f"some of {', '.join(PLATFORMS)}, rocm",
        )


def _needs(what: str, package: str, extra: str) -> GraphError:
    return GraphError(f"{what} needs {package}.", fix=f'pip install "jaxgraphs[{extra}]"')
