"""The way back from JSON to a graph, for files that no one vouches for.

Everything is bounded before it is built: the text, its depth, the number of its values, the calls that nested graphs
multiply to, sizes, and the total of parameters. A reference can only point to what stands before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jax

from jaxgraphs.errors import GraphError, GraphKeyError, GraphTypeError, GraphValueError
from jaxgraphs.graph.count import leaves_with_path, size_of
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.places import Path
from jaxgraphs.graph.sequential import Sequential
from jaxgraphs.io.json import FORMAT, VERSION
from jaxgraphs.io.tables import LAYERS
from jaxgraphs.io.values import DTYPES, decode
from jaxgraphs.layers.wrap import LinenLayer
from jaxgraphs.layers.wrap import layer as wrap
from jaxgraphs.symbolic.node import Node, Operation, SymbolicTensor, record
from jaxgraphs.symbolic.spec import BATCH, TensorSpec, canonical_dtype, unknown_dim

MAX_TEXT = 2**26
MAX_DEPTH = 64
MAX_VALUES = 5_000_000
MAX_CALLS = 100_000
MAX_RANK = 32
# Some layers prepare an index for each place along an axis; only a table of embeddings is longer than this.
MAX_SIZE = 2**24
_UNBOUND = ("seed", "input_dim", "num_tokens")
MAX_PARAMETERS = 10**11


def from_json(
    text: str | bytes, custom_objects: Mapping[str, Any] | None = None, *, max_parameters: int = MAX_PARAMETERS
) -> Graph:
    """The graph that `to_json` wrote; safe for texts from anywhere.

    Args:
        text: JSON.
        custom_objects: what names stand for that are in no table: functions, Flax modules, layer classes.
        max_parameters: more numbers than this in all layers together are refused; nothing is allocated either way.
    Raises: GraphError when the text is not such JSON, is of a newer version, is too large or too deep, or names
        something that is neither in the tables nor in `custom_objects`; all such names at once.
    """
    document = _parse(text)
    try:
        return _read(document, dict(custom_objects or {}), max_parameters)
    except GraphError:
        raise
    # Whatever else goes wrong is due to the text, whose every part is checked where it is used.
    except Exception as error:
        raise _broken(f"{type(error).__name__}: {error}"[:300]) from error


def _parse(text: Any) -> dict[str, Any]:
    if not isinstance(text, (str, bytes)):
        raise GraphTypeError("from_json reads a text.", received=type(text).__name__, fix="graph.to_json() writes one")
    if len(text) > MAX_TEXT:
        raise GraphValueError(
            "The JSON is too long.", received=f"{len(text)} characters", expected=f"at most {MAX_TEXT}"
        )
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _broken(str(error)[:300] or type(error).__name__) from error
    _check_extent(document)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _broken("no " + repr({"format": FORMAT})[1:-1])
    version = document.get("version")
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise GraphValueError(
            "The graph is of a version that is not known here.",
            received=f"version {version!r}"[:80],
            expected=f"1 to {VERSION}",
            fix="python3 -m pip install --upgrade jaxgraphs",
        )
    return document


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _check_extent(document: Any) -> None:
    """Bounds depth and number, without recursion."""
    count, level, depth = 0, [document], 0
    while level:
        depth, count = depth + 1, count + len(level)
        if depth > MAX_DEPTH or count > MAX_VALUES:
            raise _broken(f"more than {MAX_DEPTH} levels or {MAX_VALUES} values")
        level = [
            inner
            for value in level
            if isinstance(value, (dict, list))
            for inner in (value.values() if isinstance(value, dict) else value)
        ]


def _read(document: Mapping[str, Any], customs: Mapping[str, Any], max_parameters: int) -> Graph:
    entries = document["layers"]
    if not isinstance(entries, list) or not entries or "graph" not in entries[-1]:
        raise _broken("no graph")
    _check_calls(entries)
    _check_customs(entries, customs)
    reader = _Reader(customs)
    for entry in entries:
        reader.add(entry)
    graph = reader.things[-1]
    _check_parameters(graph, max_parameters)
    return graph


def _check_calls(entries: list[Any]) -> None:
    """A graph that calls a graph twice, fifty deep, is a short text and endless work."""
    calls: list[int] = []
    for entry in entries:
        graph = entry.get("graph")
        if graph is None:
            # A layer around a graph, such as a TimeDistributed, calls it.
            calls.append(1 + sum(calls[_earlier(place, len(calls))] for place in _held(entry.get("config"))))
            continue
        called = graph["chain"] if "chain" in graph else [node["layer"] for node in graph["nodes"] if "layer" in node]
        calls.append(sum(calls[place] for place in (_earlier(place, len(calls)) for place in called)))
        if sum(calls) > MAX_CALLS:
            raise GraphValueError(
                "The graph makes too many calls.", expected=f"at most {MAX_CALLS}, nested ones included"
            )


def _held(config: Any) -> list[Any]:
    """The places of the layers within a layer."""
    found, stack = [], [config]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            found += [value.get("at")] if value.get("$") == "layer" else []
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
    return found


def _earlier(place: Any, count: int) -> int:
    if not isinstance(place, int) or isinstance(place, bool) or not 0 <= place < count:
        raise _broken(f"a reference to {place!r}, of {count} before it"[:200])
    return place


def _check_customs(entries: list[Any], customs: Mapping[str, Any]) -> None:
    """Every name that is in no table and was not given, at once, with the place where it is used."""
    missing: dict[str, list[str]] = {}
    for entry in entries:
        for name, what in _customs_of(entry):
            if name not in customs:
                missing.setdefault(name, []).append(what)
    if missing:
        lines = [f"{name!r}: {', '.join(dict.fromkeys(places))}" for name, places in missing.items()]
        given = ", ".join(f"{name!r}: ..." for name in missing)
        raise GraphKeyError(
            f"The graph uses {len(missing)} thing{'s' * (len(missing) != 1)} that a file cannot hold.",
            received="\n".join(lines),
            expected="functions, Flax modules or layer classes of these names",
            fix=f"custom_objects={{{given}}}",
        )


def _customs_of(entry: Any) -> list[tuple[str, str]]:
    config = entry.get("config")
    given = (
        entry.get("name") or (config or {}).get("name") or entry.get("default_name") or entry.get("class") or "graph"
    )
    found: list[tuple[str, str]] = []
    if "module" in entry:
        found.append((entry["module"], f"the module of the layer {given!r}"))
    if "class" in entry and entry["class"] not in LAYERS:
        found.append((entry["class"], f"the class of the layer {given!r}"))
    stack = [entry]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if value.get("$") == "custom":
                found.append((value["name"], f"a function of the layer {given!r}"))
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
    if not all(isinstance(name, str) for name, _ in found):
        raise _broken("a name that is not a text")
    return found


class _Reader:
    """Builds the entries one by one, each from those before it."""

    def __init__(self, customs: Mapping[str, Any]) -> None:
        self.customs, self.things, self.sizes = customs, [], {}

    def add(self, entry: Mapping[str, Any]) -> None:
        """One more layer, function, module or graph."""
        try:
            self.things.append(self._build(entry))
        except GraphError:
            raise
        except Exception as error:
            shown = entry.get("class") or entry.get("name") or entry.get("default_name") or "a graph"
            raise _broken(f"{shown}: {type(error).__name__}: {error}"[:300]) from error

    def _build(self, entry: Mapping[str, Any]) -> Any:
        if "graph" in entry:
            return self._graph(entry["graph"])
        if "class" in entry:
            config = entry["config"]
            _check_sizes([value for name, value in config.items() if name not in _UNBOUND])
            return self._class(entry["class"])(**{name: self._value(value) for name, value in config.items()})
        if "module" in entry:
            layer = wrap(self.customs[entry["module"]])
            if not isinstance(layer, LinenLayer):
                raise GraphTypeError(
                    f"{entry['module']!r} is not a Flax module.", received=type(self.customs[entry["module"]]).__name__
                )
            names = {"name": _text(entry["name"], True), "default_name": _text(entry["default_name"], False)}
            return layer.replace(trainable=bool(entry["trainable"]), **names)
        function = self._value(entry["function"])
        if not callable(function):
            raise _broken("a function that is none")
        names = {"name": _text(entry["name"], True), "default_name": _text(entry["default_name"], False)}
        return Operation(function, **names, keeps_mask=bool(entry.get("keeps_mask", True)))

    def _class(self, name: str) -> Any:
        return LAYERS[name] if name in LAYERS else self.customs[name]

    def _graph(self, data: Mapping[str, Any]) -> Graph:
        names: dict[Any, str] = {}
        for place, name in data["names"]:
            names[self._thing(place)] = _text(name, False)
        given, kept = _text(data["name"], True), {"names": names, "places": _places(data.get("places", []))}
        if "chain" in data:
            return Sequential([self._thing(place) for place in data["chain"]], given, **kept)
        tensors: list[tuple[SymbolicTensor, ...]] = []
        for node in data["nodes"]:
            tensors.append(self._input(node, names) if "input" in node else self._call(node, tensors))
        inputs, outputs = self._value(data["inputs"], tensors), self._value(data["outputs"], tensors)
        if data["class"] == "Sequential":
            called = [self._thing(node["layer"]) for node in data["nodes"] if "layer" in node]
            return Sequential([inputs, *called], given, **kept)
        return Graph(inputs, outputs, given, **kept)

    def _input(self, data: Mapping[str, Any], names: dict[Any, str]) -> tuple[SymbolicTensor, ...]:
        sizes = data["shape"]
        if len(sizes) > MAX_RANK:
            raise _broken(f"an input of {len(sizes)} axes")
        spec = TensorSpec(tuple(self._size(size) for size in sizes), canonical_dtype(DTYPES[data["dtype"]]))
        node = Node(None, (), (spec,), jax.tree.structure(0), name=_text(data["given"], True))
        names[node] = _text(data["input"], False)
        return node.tensors

    def _size(self, size: Any) -> Any:
        if size == "batch":
            return BATCH
        if isinstance(size, str) and len(size) < 40:
            return self.sizes.setdefault(size, unknown_dim())
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_SIZE:
            raise _broken(f"a size of {size!r}"[:100])
        return size

    def _call(self, data: Mapping[str, Any], tensors: list[tuple[SymbolicTensor, ...]]) -> tuple[SymbolicTensor, ...]:
        args, kwargs = self._value(data["args"], tensors), self._value(data["kwargs"], tensors)
        outputs = record(self._thing(data["layer"]), tuple(args), kwargs)
        return jax.tree.leaves(outputs)[0].node.tensors

    def _thing(self, place: Any) -> Any:
        return self.things[_earlier(place, len(self.things))]

    def _value(self, value: Any, tensors: list[tuple[SymbolicTensor, ...]] | None = None) -> Any:
        def special(piece: dict[str, Any]) -> Any:
            match piece.get("$"):
                case "tensor" if tensors is not None:
                    number, index = piece["at"]
                    outputs = tensors[_earlier(number, len(tensors))]
                    return outputs[_earlier(index, len(outputs))]
                case "layer":
                    return self._thing(piece["at"])
                case "custom":
                    return self.customs[piece["name"]]
            return NotImplemented

        return decode(value, special)


def _places(pairs: Any) -> dict[Path, Path]:
    """Where the arrays of shared layers are, by path."""
    found: dict[Path, Path] = {}
    for pair in pairs:
        path, place = (tuple(_text(name, False) for name in names) for names in pair)
        if not path or not place:
            raise _broken("a place that is none")
        found[path] = place
    return found


def _check_sizes(value: Any) -> None:
    """Bounds the whole numbers of a configuration."""
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, int) and abs(value) > MAX_SIZE:
            raise _broken(f"a size of {value}"[:100])
        if isinstance(value, (dict, list)):
            stack.extend(value.values() if isinstance(value, dict) else value)


def _text(value: Any, is_optional: bool) -> Any:
    if isinstance(value, str) or (value is None and is_optional):
        return value
    raise _broken(f"{value!r} in place of a name"[:100])


def _check_parameters(graph: Graph, most: int) -> None:
    if not all(node.is_inferred for node in graph.nodes):
        return
    total = sum(size_of(spec) or 0 for _, spec in leaves_with_path(graph.variable_specs()))
    if total > most:
        raise GraphValueError(
            "The graph has too many parameters.",
            received=f"{total:,}",
            expected=f"at most {most:,}",
            fix="max_parameters= allows more",
        )


def _broken(reason: str) -> GraphValueError:
    return GraphValueError(
        "This JSON does not describe a graph.", received=reason, expected="what graph.to_json() of jaxgraphs writes"
    )
