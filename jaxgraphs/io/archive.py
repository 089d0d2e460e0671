"""A graph and its variables in one safetensors file: arrays under their paths, the graph's JSON beside them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.errors import GraphError, GraphTypeError, GraphValueError, combine
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.variables import check_variables
from jaxgraphs.io.json import to_json
from jaxgraphs.io.reading import MAX_PARAMETERS, from_json
from jaxgraphs.symbolic.spec import TensorSpec, canonical_dtype
from jaxgraphs.writing import whole

VERSION = 1
MAX_HEADER = 2**27
_DTYPES: Mapping[str, str] = {
    **{"BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32"},
    **{"U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"},
    **{"C64": "complex64"},
}
_CODES = {name: code for code, name in _DTYPES.items()}
Leaves = dict[tuple[str, ...], Any]
Place = Callable[[tuple[str, ...], np.ndarray], Any]


def save(path: str | os.PathLike[str], graph: Graph, variables: Mapping[str, Any], *, extra: Any = None) -> None:
    """Writes a graph and its variables to one file, whole or not at all.

    Args:
        path: of the file, such as ``model.safetensors``; one that is there is replaced.
        graph: what the variables belong to.
        variables: arrays by collection, layer and name.
        extra: anything JSON can hold, such as a vocabulary; `load(..., with_extra=True)` gives it back.
    Raises: GraphError when the variables are not the graph's, or something has no form in the file.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((8,))
    >>> graph = Graph(x, Dense(3)(x))
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/model.safetensors", graph, graph.init(jax.random.key(0)))
    ...     load(f"{folder}/model.safetensors")[0].count_params()
    27
    """
    check_variables(graph, variables)
    leaves = dict(_leaves((), variables))
    metadata = {"format": "jaxgraphs", "version": str(VERSION), "graph": to_json(graph), "extra": _extra_text(extra)}
    _write(Path(path), _pieces(leaves, metadata))


def load(
    path: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    *,
    with_extra: bool = False,
    dtype: Any = None,
    sharding: Any = None,
    max_parameters: int = MAX_PARAMETERS,
) -> Any:
    """Reads what `save` wrote; safe for files from anywhere.

    Args:
        path: of the file.
        custom_objects: functions, Flax modules and layer classes by the names that the file has for them.
        with_extra: whether to return what was saved as `extra` as well.
        dtype: of floating arrays, such as "bfloat16"; None is as they were saved.
        sharding: where the arrays are to lie: a `jax.sharding.Sharding` for all, or a function of an array's path, such
            as ``("params", "dense", "kernel")``, and its shape. Each array is placed as soon as it is read.
        max_parameters: more numbers than this in all layers together are refused.
    Returns: (graph, variables), and the extra where asked for.
    Raises: GraphError when the file is not such a file, is cut short, does not hold the arrays that its graph needs, or
        names something that was not given.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            header, start = _read_header(file, size, path)
            metadata = header.pop("__metadata__", None)
            graph = from_json(_graph_text(metadata, path), custom_objects, max_parameters=max_parameters)
            entries = _check_entries(header, size - start, path)
            _check_arrays(graph, entries, path)
            place = _placing(dtype, sharding)
            variables = {name: {} for name in ("params",)} | _read_arrays(file, start, entries, place)
    except OSError as error:
        raise GraphValueError(f"The file cannot be read: {error.strerror}.", where=os.fspath(path)) from error
    return (graph, variables, _extra(metadata, path)) if with_extra else (graph, variables)


def _leaves(path: tuple[str, ...], tree: Any) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    if isinstance(tree, Mapping):
        for name, inner in tree.items():
            yield from _leaves((*path, str(name)), inner)
        return
    array = _as_numpy(tree)
    if array is None or array.dtype.name not in _CODES:
        raise GraphTypeError(
            "A variable cannot be written to the file.",
            where="/".join(path),
            received=str(getattr(tree, "dtype", type(tree).__name__)),
            expected=f"an array of {', '.join(_CODES)}",
        )
    yield path, array


def _as_numpy(value: Any) -> np.ndarray | None:
    if hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return None
    array = np.asarray(value)
    # Bytes in the file are little-endian and in C order.
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False)).reshape(array.shape)


def escape(path: tuple[str, ...]) -> str:
    """A path as one text; slashes within names are told from those between them.

    >>> escape(("params", "a/b", "kernel")), unescape("params/a~1b/kernel")
    ('params/a~1b/kernel', ('params', 'a/b', 'kernel'))
    """
    return "/".join(name.replace("~", "~0").replace("/", "~1") for name in path)


def unescape(text: str) -> tuple[str, ...]:
    """The way back."""
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in text.split("/"))


def _extra_text(extra: Any) -> str:
    try:
        return json.dumps(extra, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise GraphTypeError(
            "The extra has no form in JSON.",
            received=str(error)[:200],
            expected="numbers, texts, None, and lists and dicts of these",
        ) from error


def _pieces(leaves: Leaves, metadata: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    """The bytes of the file, in order: the header's length, the header, the arrays."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    # Wide dtypes come first, so that each array stands at a multiple of its item's size.
    ordered = sorted(leaves.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    offset = 0
    for path, array in ordered:
        end = offset + array.nbytes
        code = _CODES[array.dtype.name]
        header[escape(path)] = {"dtype": code, "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise GraphValueError("The graph is too large for the file.", received=f"a header of {len(text)} bytes")
    yield len(text).to_bytes(8, "little")
    yield text
    for _, array in ordered:
        yield array.tobytes() if array.ndim == 0 or not array.size else memoryview(array.view(np.uint8).reshape(-1))


def _write(path: Path, pieces: Iterator[bytes | memoryview]) -> None:
    """Writes all of the file or nothing, to the disk itself."""
    try:
        with whole(path) as beside, open(beside, "xb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise GraphValueError(f"The file cannot be written: {error.strerror}.", where=os.fspath(path)) from error


def _read_header(file: Any, size: int, path: Any) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(MAX_HEADER, size - 8):
        raise _not_ours(path, f"{size} bytes, of which the header would be {length}")
    try:
        header = json.loads(file.read(length), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _not_ours(path, f"a header that is not JSON: {str(error)[:100]}") from error
    if not isinstance(header, dict):
        raise _not_ours(path, "a header that is not a table")
    return header, 8 + length


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name is there twice")
    return table


def _graph_text(metadata: Any, path: Any) -> str:
    if (
        not isinstance(metadata, dict)
        or metadata.get("format") != "jaxgraphs"
        or not isinstance(metadata.get("graph"), str)
    ):
        raise _not_ours(path, "no graph in the metadata")
    if metadata.get("version") not in {str(number) for number in range(1, VERSION + 1)}:
        raise GraphValueError(
            "The file is of a version that is not known here.",
            where=os.fspath(path),
            received=f"version {metadata.get('version')!r}"[:80],
            expected=f"1 to {VERSION}",
            fix="python3 -m pip install --upgrade jaxgraphs",
        )
    return metadata["graph"]


def _extra(metadata: Any, path: Any) -> Any:
    try:
        return json.loads(metadata.get("extra", "null"))
    except (TypeError, ValueError, RecursionError) as error:
        raise _not_ours(path, "an extra that is not JSON") from error


def _check_entries(header: Mapping[str, Any], room: int, path: Any) -> dict[tuple[str, ...], tuple[TensorSpec, int]]:
    """What the header says of each array, as far as it can be true of a file of this size; nothing is read yet."""
    entries: dict[tuple[str, ...], tuple[TensorSpec, int]] = {}
    spans: list[tuple[int, int]] = []
    for name, entry in header.items():
        try:
            dtype, shape, (start, end) = jnp.dtype(_DTYPES[entry["dtype"]]), entry["shape"], entry["data_offsets"]
            is_whole = all(type(number) is int and number >= 0 for number in [*shape, start, end])
            if not is_whole or end > room or end - start != math.prod(shape) * dtype.itemsize:
                raise ValueError(f"{entry['dtype']} {shape} in bytes {start} to {end} of {room}")
        except (KeyError, TypeError, ValueError) as error:
            raise _not_ours(path, f"the array {name!r}: {error}"[:200]) from error
        entries[unescape(name)] = (TensorSpec(tuple(shape), dtype), start)
        spans.append((start, end))
    _check_spans(sorted(spans), room, path)
    return entries


def _check_spans(spans: list[tuple[int, int]], room: int, path: Any) -> None:
    """Arrays lie one after another and fill the file, so that no byte is read twice and none is left over."""
    place = 0
    for start, end in spans:
        if start != place:
            raise _not_ours(path, f"arrays that overlap or leave a gap at byte {min(start, place)}")
        place = end
    if place != room:
        raise _not_ours(path, f"{room} bytes of arrays, where the header speaks of {place}")


def _check_arrays(graph: Graph, entries: Mapping[tuple[str, ...], tuple[TensorSpec, int]], path: Any) -> None:
    """The shapes are the graph's own before a byte is read."""
    try:
        check_variables(graph, _nested({place: spec.struct() for place, (spec, _) in entries.items()}))
    except GraphError as error:
        raise combine(
            "The file does not hold the arrays that its graph needs.",
            [line for line in (error.received, error.expected) if line],
            where=os.fspath(path),
        ) from error


def _read_arrays(
    file: Any, start: int, entries: Mapping[tuple[str, ...], tuple[TensorSpec, int]], place: Place
) -> dict[str, Any]:
    arrays: Leaves = {}
    for path, (spec, offset) in entries.items():
        file.seek(start + offset)
        array = np.empty(spec.dims, spec.dtype)
        file.readinto(array.reshape(-1).view(np.uint8))
        arrays[path] = place(path, array)
    return _nested(arrays)


def _placing(dtype: Any, sharding: Any) -> Place:
    """What becomes of each array when it has been read."""
    wanted = None if dtype is None else canonical_dtype(dtype)
    if wanted is not None and not jnp.issubdtype(wanted, jnp.floating):
        raise GraphTypeError("Variables are loaded as floating numbers.", received=f"dtype={dtype!r}", fix='"bfloat16"')

    def place(path: tuple[str, ...], array: np.ndarray) -> Any:
        if wanted is not None and jnp.issubdtype(array.dtype, jnp.floating):
            array = array.astype(wanted)
        if sharding is not None:
            return jax.device_put(array, sharding(path, array.shape) if callable(sharding) else sharding)
        # Without 64-bit numbers enabled JAX would round; such an array stays NumPy's, bit for bit.
        is_wide = jax.dtypes.canonicalize_dtype(array.dtype) != array.dtype
        return array if is_wide else jnp.asarray(array)

    return place


def _nested(leaves: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in leaves.items():
        place = tree
        for name in path[:-1]:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise GraphValueError("An array stands where a layer should.", where="/".join(path))
        if path[-1] in place:
            raise GraphValueError("A layer stands where an array should.", where="/".join(path))
        place[path[-1]] = value
    return tree


def _not_ours(path: Any, reason: str) -> GraphValueError:
    return GraphValueError(
        "This is not a file that jg.save wrote.",
        where=os.fspath(path),
        received=reason,
        expected="a whole safetensors file",
    )
