"""jg.from_keras and jg.load_keras_weights: Keras' models and weights, read without Keras."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import jax

from jaxgraphs.errors import GraphError, GraphTypeError, GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.io.keras.archive import CONFIG, METADATA, Archive
from jaxgraphs.io.keras.build import Builder, whole_model
from jaxgraphs.io.keras.era import Era, major_of
from jaxgraphs.io.keras.hdf5 import opened
from jaxgraphs.io.keras.legacy import differing, era_of, is_legacy, legacy_arrays, legacy_variables
from jaxgraphs.io.keras.limits import ARRAY_BYTES, DRAWN, TOTAL_BYTES, refuse
from jaxgraphs.io.keras.sharing import Sharing
from jaxgraphs.io.keras.sources import FileSource, LiveSource, is_live, live_json
from jaxgraphs.io.keras.texts import check, parse
from jaxgraphs.io.keras.values import policy_name
from jaxgraphs.io.keras.weights import assemble, several, variables_from

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
Asset = Callable[[str], str | None]


def from_keras(source: Any, custom_objects: Mapping[str, Any] | None = None) -> tuple[Graph, dict[str, Any]]:
    """A Keras model as a graph and variables that compute the same numbers.

    Files are read without Keras, and as data: no code in them is run, no module or path that they name is opened.

    Args:
        source: a `.keras` archive, an HDF5 file of a whole model (Keras 1, 2, 3 or tf.keras), a JSON configuration
            (as a text, a dict, or a `.json` file; the variables are then drawn anew), or a live Keras 3 model.
        custom_objects: name -> what it stands for: for an activation a JAX function, for a layer class a subclass of
            `layers.Layer` or a JAX function, for a Lambda, under its layer's name, a JAX function.
    Returns: (graph, variables); names of layers are Keras'. Inputs of texts take what their layer's `read` gives: see
        `jg.read_inputs`. Augmentations that have no twin here are passed over, with a warning that names them.
    Raises: GraphError when the source is no such model, when it asks for more than is safe, or, once for all places,
        when it names something that is not known.

    >>> dense = {"class_name": "Dense", "config": {"units": 3, "batch_input_shape": [None, 4]}}
    >>> config = {"class_name": "Sequential", "config": {"layers": [dense]}}
    >>> graph, variables = from_keras(config)
    >>> graph.apply(variables, jax.numpy.ones((2, 4))).shape
    (2, 3)
    """
    custom = _checked_custom(custom_objects)
    if is_live(source):
        return _from_live(source, custom)
    if isinstance(source, Mapping):
        check(source, "The configuration")
        return _from_config(source, custom)
    if isinstance(source, str) and source.lstrip()[:1] in ("{", "["):
        return _from_config(parse(source, "The configuration"), custom)
    with _file(source) as (file, name):
        return _from_file(file, name, custom)


def load_keras_weights(path: Any, graph: Graph, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The weights in a Keras file, arranged as the variables of a graph.

    Layers are matched by name; where the file's names are others, by order. Shapes are checked before anything is read.

    Args:
        path: a `.weights.h5`, `.h5` or `.hdf5` file, or a `.keras` archive, of a model with the same layers.
        graph: what the weights are for.
        variables: the graph's; what the file has none of, such as arrays of custom modules, is taken from them.
    Returns: new variables; the arguments are left alone.
    Raises: GraphError when the file is none of these, or lists the arrays that do not fit.
    """
    if not isinstance(graph, Graph):
        raise GraphTypeError(
            "Weights are laid over a graph.", received=type(graph).__name__, fix="jg.load_keras_weights(path, graph)"
        )
    with _file(path) as (file, name):
        start = _start(file)
        data: Any = Archive(file).weights() if start.startswith(_ZIP) else file
        if not start.startswith((_ZIP, _HDF5)):
            raise _not_a_model(name, start)
        with opened(data, name) as store:
            root = "model_weights" if store.group("model_weights") is not None else ""
            if is_legacy(store, root):
                loaded = legacy_variables(graph, store, root, era_of(store, root))
            else:
                loaded = variables_from(graph, FileSource(store))
    merged = {key: {**tree, **loaded.get(key, {})} for key, tree in (variables or {}).items()}
    return {**loaded, **merged}


def _from_live(model: Any, custom: Mapping[str, Any]) -> tuple[Graph, dict[str, Any]]:
    config = parse(live_json(model), "The model's configuration")
    graph, builder = _build(config, Era(3), custom)
    return graph, variables_from(graph, LiveSource(model), _children(builder))


def _from_config(config: Any, custom: Mapping[str, Any]) -> tuple[Graph, dict[str, Any]]:
    version = config.get("keras_version") if isinstance(config, Mapping) else "1"
    major = major_of(version) if isinstance(version, str) else 3 if "module" in config else 2
    era = Era(major, config.get("backend") if isinstance(config, Mapping) else None)
    graph, _ = _build(config, era, custom, sharing=Sharing(era.is_legacy, by_name=False))
    count = graph.count_params()
    if count > DRAWN:
        raise refuse(
            "The configuration has too many weights to draw.",
            f"{count} numbers",
            f"at most {DRAWN}, or a file with weights",
        )
    return graph, graph.init(jax.random.key(0))


def _from_file(file: BinaryIO, name: str, custom: Mapping[str, Any]) -> tuple[Graph, dict[str, Any]]:
    start = _start(file)
    if start.startswith(_ZIP):
        return _from_archive(Archive(file), name, custom)
    if start.startswith(_HDF5):
        return _from_hdf5(file, name, custom)
    if start.lstrip()[:1] in (b"{", b"["):
        return _from_config(parse(_text(file), name), custom)
    raise _not_a_model(name, start)


def _from_archive(archive: Archive, name: str, custom: Mapping[str, Any]) -> tuple[Graph, dict[str, Any]]:
    config = parse(archive.text(CONFIG), "config.json")
    metadata = parse(archive.text(METADATA), "metadata.json")
    version = metadata.get("keras_version") if isinstance(metadata, Mapping) else None
    era = Era(major_of(version if isinstance(version, str) else "3"))
    graph, builder = _build(config, era, custom, archive.words, Sharing(era.is_legacy, by_name=True))
    _check_sizes(graph)
    if not graph.variable_specs():
        return graph, {"params": {}}
    with opened(archive.weights(), f"{name}: model.weights.h5") as store:
        source = FileSource(store)
        wrong = builder.wrong(graph, several(graph, source, _children(builder)) if builder.sharing.guesses else ())
        if wrong:
            graph, builder = _build(config, era, custom, archive.words, Sharing(era.is_legacy, True, wrong))
        return graph, variables_from(graph, source, _children(builder))


def _from_hdf5(file: BinaryIO, name: str, custom: Mapping[str, Any]) -> tuple[Graph, dict[str, Any]]:
    with opened(file, name) as store:
        text = store.text(store.file, "model_config")
        if text is None:
            raise GraphValueError(
                "The HDF5 file has weights and no model.",
                received=name,
                expected="a whole model, with the attribute model_config",
                fix="jg.load_keras_weights(path, graph) lays weights over a graph",
            )
        era = era_of(store, "model_weights")
        config = parse(text, "The model's configuration")
        graph, builder = _build(config, era, custom, sharing=Sharing(is_complete=True, by_name=True))
        _check_sizes(graph)
        if store.group("model_weights") is None:
            raise GraphValueError("The HDF5 file has a model and no weights.", received=name)
        arrays = legacy_arrays(graph, store, "model_weights", era, _children(builder))
        if wrong := builder.wrong(graph, differing(arrays)):
            graph, builder = _build(config, era, custom, sharing=Sharing(True, True, wrong))
            arrays = legacy_arrays(graph, store, "model_weights", era, _children(builder))
        return graph, assemble(arrays)


def _build(
    config: Any,
    era: Era,
    custom: Mapping[str, Any],
    asset: Asset = lambda _: None,
    sharing: Sharing | None = None,
) -> tuple[Graph, Builder]:
    builder = Builder(Era(era.major, era.backend, _mixes_dtypes(config)), custom, asset, sharing)
    try:
        graph = builder.graph(whole_model(config))
        _warn(builder.notes)
        return graph, builder
    except GraphError:
        raise
    # A configuration that is not what its class expects fails somewhere in Python; what it is, is not known here.
    except (
        TypeError,
        ValueError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
        ZeroDivisionError,
        MemoryError,
    ) as error:
        raise GraphValueError(
            "The Keras configuration is not one of a model.", received=f"{type(error).__name__}: {error}"[:300]
        ) from error


def _warn(notes: Mapping[str, list[str]]) -> None:
    """Says which layers do something in Keras that they do not do here."""
    for sentence, places in notes.items():
        rest = f", and {len(places) - 20} more" if len(places) > 20 else ""
        warnings.warn(sentence.format(places=", ".join(places[:20]) + rest), UserWarning, stacklevel=5)


def _children(builder: Builder) -> Any:
    """The layers of each graph as the file lists them."""

    def children(graph: Graph) -> list[tuple[str, str, Any]]:
        pairs = builder.models[graph]
        return [
            (config.kind, graph.layer_name(layer), layer)
            for config, layer in pairs
            if layer in graph.names and not config.is_operation
        ]

    return children


def _mixes_dtypes(config: Any) -> bool:
    """Whether any layer computes in something other than float32."""
    stack = [config]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            name = policy_name(item.get("dtype")) if item.get("class_name") is None else None
            if isinstance(name, str) and name.startswith(("mixed_", "float16", "bfloat16", "float64")):
                return True
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return False


def _check_sizes(graph: Graph) -> None:
    """Refuses a graph whose arrays are too large, each or together, before any is made."""
    specs = jax.tree.leaves(graph.variable_specs())
    total = 4 * graph.count_params()
    largest = max((4 * _count(spec) for spec in specs), default=0)
    if largest > ARRAY_BYTES or total > TOTAL_BYTES:
        raise refuse(
            "The model is too large.",
            f"{total} bytes, of which one array has {largest}",
            f"at most {TOTAL_BYTES} and {ARRAY_BYTES}",
        )


def _count(spec: Any) -> int:
    size = 1
    for dim in spec.dims:
        size *= dim
    return size


@contextlib.contextmanager
def _file(source: Any) -> Iterator[tuple[BinaryIO, str]]:
    """A source as an open file with a name for messages; one that was open stays open."""
    if isinstance(source, (bytes, bytearray)):
        yield io.BytesIO(source), "the bytes given"
    elif isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.is_dir() or not path.exists():
            raise GraphValueError(
                "There is no such file.", received=str(path), expected="a .keras, .h5, .hdf5 or .json file"
            )
        with open(path, "rb") as file:
            yield file, path.name
    elif hasattr(source, "read") and hasattr(source, "seek"):
        yield source, str(getattr(source, "name", "the file given"))
    else:
        raise GraphTypeError(
            "jg.from_keras cannot read this.",
            received=type(source).__name__,
            expected="a path, a JSON configuration, or a live Keras model",
        )


def _start(file: BinaryIO) -> bytes:
    file.seek(0)
    start = file.read(64)
    file.seek(0)
    return start


def _text(file: BinaryIO) -> bytes:
    from jaxgraphs.io.keras.limits import CONFIG_BYTES

    return file.read(CONFIG_BYTES + 1)


def _checked_custom(custom_objects: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if custom_objects is not None and not isinstance(custom_objects, Mapping):
        raise GraphTypeError(
            "custom_objects is a dict.", received=type(custom_objects).__name__, fix='custom_objects={"name": function}'
        )
    return dict(custom_objects or {})


def _not_a_model(name: str, start: bytes) -> GraphValueError:
    is_pointer = start.startswith(b"version https://git-lfs")
    return GraphValueError(
        f"{name} is not a file of Keras'.",
        received="a Git LFS pointer; the file itself was not downloaded" if is_pointer else repr(start[:16]),
        expected="a .keras archive, an HDF5 file, or a JSON configuration",
        fix="git lfs pull" if is_pointer else None,
    )
