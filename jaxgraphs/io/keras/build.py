"""Configurations become graphs: first every layer, so that all that is unknown is told at once; then the calls."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections import ChainMap, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphError, GraphValueError
from jaxgraphs.graph.graph import Graph, leaves_of, uses_of
from jaxgraphs.graph.places import Path
from jaxgraphs.graph.sequential import Sequential
from jaxgraphs.io.keras.config import (
    Call,
    LayerConfig,
    ModelConfig,
    Reference,
    fill,
    layer_config,
    model_config,
    references,
    sizes_of,
    unwrap,
)
from jaxgraphs.io.keras.era import Era
from jaxgraphs.io.keras.layers import build_layer
from jaxgraphs.io.keras.limits import LAYERS, NESTING, NUMBER, UNROLLED, refuse
from jaxgraphs.io.keras.operations import (
    OPERATIONS,
    keras_operation,
    node_operation,
    tensorflow_operation,
    with_constants,
    without_none,
)
from jaxgraphs.io.keras.shapes import computed, settled
from jaxgraphs.io.keras.sharing import Key, Sharing
from jaxgraphs.io.keras.starts import Readers, Starts, entered
from jaxgraphs.io.keras.unknown import Unknowns
from jaxgraphs.io.keras.values import Values, plain, policy_name
from jaxgraphs.layers.attention import AdditiveAttention, Attention
from jaxgraphs.layers.augmentation import Augmentation
from jaxgraphs.layers.base import Layer, snake_case
from jaxgraphs.layers.core import Embedding
from jaxgraphs.layers.lookup import HostLayer
from jaxgraphs.layers.merge import Merge
from jaxgraphs.layers.multi_head import GroupQueryAttention, MultiHeadAttention
from jaxgraphs.layers.preprocessing import CategoryEncoding
from jaxgraphs.layers.recurrent import Recurrent
from jaxgraphs.layers.reversible import ReversibleEmbedding
from jaxgraphs.layers.spectral import SpectralNormalization
from jaxgraphs.layers.wrappers import Bidirectional
from jaxgraphs.symbolic.node import Input, Operation, SymbolicTensor, innermost, is_symbolic, title


@dataclasses.dataclass
class Part:
    """A layer of a model with what the file says of it."""

    config: LayerConfig
    layer: Any
    model: Plan | None = None
    towers: tuple[Plan, ...] = ()


@dataclasses.dataclass(eq=False)
class Plan:
    """A model whose layers are made and whose calls are not; the graph comes with them."""

    config: ModelConfig
    parts: list[Part]


class Builder:
    """Makes the layers of a model and of the models within it.

    Args:
        era: of the Keras that wrote it.
        custom: the user's objects by name.
        asset: the text of a file in the archive's assets; None where there is none.
        sharing: says which layers are one; by their numbers alone where left out.
    """

    def __init__(
        self,
        era: Era,
        custom: Mapping[str, Any],
        asset: Callable[[str], str | None] = lambda _: None,
        sharing: Sharing | None = None,
    ) -> None:
        self._asset, self._place, self._level = asset, "", 0
        self.sharing = sharing or Sharing(is_complete=True, by_name=False)
        self.readers: dict[tuple[Graph, int], Readers] = {}
        self.era, self.unknowns = era, Unknowns(custom)
        self.values = Values(era, self.unknowns)
        self.notes: dict[str, list[str]] = {}
        self.within: dict[str, Any] = {}
        self.is_frozen, self._depth, self._count, self._levels = False, 0, 0, 0
        self._graphs: dict[Plan, Graph] = {}
        self.models: dict[Graph, tuple[tuple[LayerConfig, Any], ...]] = {}

    def graph(self, config: ModelConfig) -> Graph:
        """The graph of a whole model.

        Raises: GraphError that lists everything not known.
        """
        plan = self.plan(config)
        if error := self.unknowns.error():
            raise error
        return self._connect(plan)

    def plan(self, config: ModelConfig) -> Plan:
        """The layers of a model, those of models within it included."""
        self._depth += 1
        if self._depth > NESTING:
            raise refuse(
                "Models lie too deeply in one another.", where=config.name, expected=f"at most {NESTING} levels"
            )
        was_frozen, self.is_frozen = self.is_frozen, self.is_frozen or not config.trainable
        place, parts, level = self._place, [], self._level
        self._level = self._levels = self._levels + 1
        for layer, stem in zip(config.layers, _stems(config.layers), strict=True):
            self._place = f"{place}layers/{stem}/"
            parts.append(self._part(layer, config))
        self.is_frozen, self._depth, self._place = was_frozen, self._depth - 1, place
        self._level = level
        return Plan(config, parts)

    def note(self, sentence: str, place: str) -> None:
        """Keeps a place at which the graph does less than the Keras model, for the warning."""
        self.notes.setdefault(sentence, []).append(place)

    def vocabulary(self, config: LayerConfig) -> list[Any] | None:
        """The values that the archive keeps for the layer being made, one a line."""
        text = self._asset(f"assets/{self._place}vocabulary.txt")
        lines = [] if text is None else text.split("\n")
        while lines and not lines[-1]:
            lines.pop()
        if config.kind != "IntegerLookup":
            return lines or None
        return [int(line) for line in lines if re.fullmatch(r"-?\d{1,19}", line)] or None

    def layer(self, config: LayerConfig, place: str) -> Any:
        """A layer within another one: a wrapper's, or a model's that is called at every time step."""
        if not config.is_model:
            return self._shared_or(config, place, lambda: build_layer(self, config, place))
        plan = self._shared_or(config, place, lambda: self.plan(model_config(config)))
        return None if self.unknowns.places else self._connect(plan)

    def _part(self, config: LayerConfig, owner: ModelConfig) -> Part:
        self._count += 1
        if self._count > LAYERS:
            raise refuse("The model has too many layers.", f"over {LAYERS}")
        if config.kind == "InputLayer":
            return Part(config, None)
        if config.kind == "Merge" and isinstance(config.config.get("layers"), list):
            # Keras 1 lets a Sequential start with several others, merged.
            inner = [layer_config(item, config.name) for item in config.config["layers"]]
            named = [dataclasses.replace(item, name=f"{config.name}_{index}") for index, item in enumerate(inner)]
            towers = tuple(self.plan(model_config(item)) for item in named)
            return Part(config, build_layer(self, config, config.name), towers=towers)
        place = f"{owner.name}/{config.name}"
        if self._is_graph(config):
            return Part(config, None, self._shared_or(config, place, lambda: self.plan(model_config(config))))
        if is_operation(config):
            return Part(config, self._operation(config))
        return Part(config, self._shared_or(config, place, lambda: build_layer(self, config, config.name)))

    def _is_graph(self, config: LayerConfig) -> bool:
        given = self.unknowns.custom.get(config.kind)
        return config.is_model or (isinstance(given, type) and issubclass(given, Graph))

    def _shared_or(self, config: LayerConfig, place: str, make: Callable[[], Any]) -> Any:
        return self.sharing.made(config, self._level, place, make)

    def wrong(self, graph: Graph, places: Collection[Path]) -> frozenset[Key]:
        """What was taken to be one by name, of which the arrays at some places are several."""
        uses = [(use.layer, graph.place(use.path)) for use in uses_of(graph)]
        several = {layer for layer, place in uses if any(path[: len(place)] == place for path in places)}
        found = ((key, self._leaves(made)) for made, key in self.sharing.guesses.items())
        return frozenset(key for key, leaves in found if several & leaves)

    def _leaves(self, made: Any) -> set[Any]:
        """The layers with arrays in what was made."""
        graph = self._graphs.get(made) if isinstance(made, Plan) else None
        return {innermost(made)} if graph is None else {leaf for _, leaf in leaves_of(graph)}

    def _operation(self, config: LayerConfig) -> Any:
        """A recorded function as a layer; None, and a note, where it is not known."""
        if config.kind == "TensorFlowOpLayer":
            name, function, constants = node_operation(config.config)
            function = None if function is None else with_constants(function, constants)
        elif config.kind in ("TFOpLambda", "SlicingOpLambda"):
            name = config.config.get("function")
            function = tensorflow_operation(str(name))
        else:
            name, function = config.kind, keras_operation(config.kind, _plain_config(config.config))
        if function is None:
            function = self.unknowns.find(
                config.name, str(name), config.name, what=f"the operation {name!r}", hint="lambda x: ..."
            )
        return None if function is None else Operation(function, name=config.name, default_name=snake_case(config.kind))

    def _connect(self, plan: Plan) -> Graph:
        """The graph of a plan, one and the same wherever the plan is met."""
        if plan not in self._graphs:
            self._graphs[plan] = self._connected(plan)
        return self._graphs[plan]

    def _connected(self, plan: Plan) -> Graph:
        made = {id(part): self._made(part) for part in plan.parts}
        pairs = tuple((part.config, made[id(part)]) for part in plan.parts)
        graph = (
            self._sequential(plan.config, pairs)
            if plan.config.kind == "Sequential"
            else self._functional(plan.config, pairs)
        )
        self.models[graph] = pairs
        return graph

    def _made(self, part: Part) -> Any:
        if part.model is not None:
            return self._connect(part.model)
        return self._merged(part) if part.towers else part.layer

    def _merged(self, part: Part) -> Graph:
        """Models side by side and what merges their outputs, as one model."""
        towers = [self._connect(plan) for plan in part.towers]
        starts = [[Input(batch_shape=tensor.shape, dtype=tensor.dtype) for tensor in tower.inputs] for tower in towers]
        ends = [tower(*start) for tower, start in zip(towers, starts, strict=True)]
        merge = part.layer.replace(name=f"{part.config.name}_{part.layer.default_name}")
        graph = Graph([tensor for start in starts for tensor in start], merge(ends), part.config.name)
        self.models[graph] = tuple((dataclasses.replace(part.config, kind="Sequential"), tower) for tower in towers)
        return graph

    def _sequential(self, config: ModelConfig, pairs: Any) -> Graph:
        layers = [layer for item, layer in pairs if item.kind != "InputLayer"]
        reader = next(iter(self._readers_of(layers[0], 0)), None) if layers else None
        start = [entered(layer, reader) for layer, _ in pairs if layer.kind == "InputLayer"][:1]
        if not start and pairs and (first := _first_input(pairs[0][0], config, reader)) is not None:
            start = [first]
        if layers and isinstance(layers[0], Graph) and len(layers[0].inputs) > 1:
            return _chain(layers, config.name)
        if not start and layers and isinstance(layers[0], Graph) and _knows(layers[0]):
            tensor = next(iter(layers[0].inputs))
            start = [Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{layers[0].name}_input")]
        if not layers:
            return Graph(start[0], start[0], config.name)
        graph = Sequential([*start, *_cast(start, layers[0]), *layers], config.name)
        if reader is not None:
            self.readers[graph, 0] = (reader,)
        return graph

    def _readers_of(self, layer: Any, position: int) -> Readers:
        """What reads the texts that are given to a layer, or to a model's input of that number."""
        return (layer,) if isinstance(layer, HostLayer) else self.readers.get((layer, position), (None,))

    def _functional(self, config: ModelConfig, pairs: Any) -> Graph:
        config, pairs = counted_from_zero(config, pairs)
        starts = Starts(config, pairs, self._readers_of)
        tensors = _Calls(config, pairs, starts).run()
        for reference in references((config.inputs, config.outputs)):
            if reference not in tensors:
                raise _dangling(reference, config.name)
        first, last = ((unwrap(side) if self.era.is_legacy else side) for side in (config.inputs, config.outputs))
        graph = Graph(starts.arranged(first), fill(last, tensors), config.name)
        for index, name in enumerate(starts.entries(config.inputs)):
            self.readers[graph, index] = starts.readers(name)
        return graph


def _stems(layers: Sequence[LayerConfig]) -> list[str]:
    """What Keras calls each layer within an archive: its class, numbered."""
    counts: dict[str, int] = {}
    stems = []
    for layer in layers:
        stem = snake_case(layer.kind)
        counts[stem] = counts.get(stem, -1) + 1
        stems.append(f"{stem}_{counts[stem]}" if counts[stem] else stem)
    return stems


def _chain(layers: list[Any], name: str) -> Graph:
    """Layers one after another, of which the first is a model of several inputs."""
    starts = [Input(batch_shape=tensor.shape, dtype=tensor.dtype) for tensor in layers[0].inputs]
    tensor = layers[0](starts)
    for layer in layers[1:]:
        tensor = layer(tensor)
    return Graph(starts, tensor, name)


def counted_from_zero(config: ModelConfig, pairs: Any) -> tuple[ModelConfig, Any]:
    """The same with every call numbered from 0: a model within a model counts its own making as call 0, in places.

    Keras 3 does so for inputs and outputs alone, older Kerases for the arguments of calls too.
    """
    inner = {layer.name: layer for layer, made in pairs if isinstance(made, Graph)}
    if not inner:
        return config, pairs
    read = [ref for layer, _ in pairs for call in layer.calls for ref in references((call.args, call.kwargs))]
    ends = references((config.inputs, config.outputs))
    is_new = all(call.is_new for layer, _ in pairs for call in layer.calls)
    usual = {name: int(not is_new or layer.kind != "Sequential") for name, layer in inner.items()}
    at_ends = {name: _offset(layer, ends, usual[name]) for name, layer in inner.items()}
    in_calls = {
        name: _offset(layer, read if is_new else read + ends, 0 if is_new else 1) for name, layer in inner.items()
    }
    pairs = tuple(
        (dataclasses.replace(layer, calls=tuple(_shifted(call, in_calls) for call in layer.calls)), made)
        for layer, made in pairs
    )
    at_ends = at_ends if is_new else in_calls
    return dataclasses.replace(
        config, inputs=_shifted(config.inputs, at_ends), outputs=_shifted(config.outputs, at_ends)
    ), pairs


def _offset(layer: LayerConfig, used: list[Reference], usual: int) -> int:
    numbers = {reference.call for reference in used if reference.layer == layer.name}
    if 0 in numbers:
        return 0
    return 1 if numbers and max(numbers) >= len(layer.calls) else usual


def _shifted(tree: Any, offsets: Mapping[str, int]) -> Any:
    if isinstance(tree, Reference):
        return dataclasses.replace(tree, call=tree.call - offsets.get(tree.layer, 0))
    if isinstance(tree, Call):
        return dataclasses.replace(tree, args=_shifted(tree.args, offsets), kwargs=_shifted(tree.kwargs, offsets))
    if isinstance(tree, Mapping):
        return {key: _shifted(item, offsets) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(_shifted(item, offsets) for item in tree)
    return tree


class _Calls:
    """The calls of a functional model, each made when all it reads is there; linear in their number.

    Args:
        pairs: each layer's configuration and what was made of it.
        starts: the model's Inputs.
    """

    def __init__(self, config: ModelConfig, pairs: Any, starts: Starts) -> None:
        self.owner, self.starts = config.name, starts
        self.pairs = {layer.name: (layer, made) for layer, made in pairs}

    def run(self) -> dict[Reference, Any]:
        """Every output of every call."""
        tensors = self.starts.tensors()
        waiting: dict[tuple[str, int], list[tuple[LayerConfig, int]]] = {}
        missing: dict[tuple[str, int], int] = {}
        ready: deque[tuple[LayerConfig, int]] = deque()
        for name, (layer, _) in self.pairs.items():
            for index, call in enumerate(layer.calls):
                needed = {(ref.layer, ref.call) for ref in references((call.args, call.kwargs))}
                self._check_known(needed, name)
                needed = {key for key in needed if Reference(*key, 0) not in tensors}
                missing[name, index] = len(needed)
                for key in needed:
                    waiting.setdefault(key, []).append((layer, index))
                if not needed:
                    ready.append((layer, index))
        done = 0
        while ready:
            layer, index = ready.popleft()
            for position, tensor in enumerate(self._call(layer, layer.calls[index], tensors)):
                tensors[Reference(layer.name, index, position)] = tensor
            done += 1
            for other, later in waiting.pop((layer.name, index), ()):
                missing[other.name, later] -= 1
                if not missing[other.name, later]:
                    ready.append((other, later))
        if done < len(missing):
            stuck = sorted({name for name, _ in missing if missing[name, _]})[:8]
            raise GraphValueError(
                "Calls in the Keras model wait for each other, or for a call that is not there.",
                where=", ".join(stuck)[:300],
            )
        return tensors

    def _check_known(self, needed: set[tuple[str, int]], name: str) -> None:
        for other, _ in needed:
            if other not in self.pairs:
                raise _dangling(Reference(other, 0, 0), f"{self.owner}/{name}")

    def _call(self, config: LayerConfig, call: Call, tensors: Mapping[Reference, Any]) -> list[Any]:
        layer = self.pairs[config.name][1]
        place = f"{self.owner}/{config.name}"
        found = [reference for reference in references((call.args, call.kwargs)) if reference not in tensors]
        if found:
            raise _dangling(found[0], place)
        if layer is None:
            raise GraphValueError("An input of the Keras model is called.", where=place)
        call, given = self.starts.given(layer, call)
        everything: Any = tensors
        known = ChainMap(dict(given), everything)
        args, kwargs = (_plain_call(fill(part, known)) for part in (call.args, dict(call.kwargs)))
        if isinstance(layer, Operation):
            function = config.config.get("function")
            if (sizes := computed(function, args, kwargs)) is not None:
                return list(sizes)
            args, kwargs = settled(function, args, kwargs, place)
        if config.kind == "Pipeline":
            # Keras 3 records the default of its argument.
            kwargs.pop("training", None)
        args, kwargs = arranged(layer, tuple(args), kwargs)
        _check_read(layer, self.starts.all_readers, place)
        _check_unrolled(layer, args, place)
        leaves = jax.tree.leaves(layer(*_whole_numbers(layer, args, kwargs), **kwargs))
        for leaf in leaves:
            _check_size(leaf, place)
        return leaves


def _whole_numbers(layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """Keras looks ids up even where they come as floating numbers; here they are made whole first."""
    if kwargs.get("reverse"):
        return args
    return tuple(cast[0](arg) if (cast := _cast([arg], layer)) else arg for arg in args)


def _cast(tensors: Sequence[Any], layer: Any) -> list[Operation]:
    """What makes the tensors whole numbers where the layer looks ids up and they are not."""
    floats = [tensor for tensor in tensors if is_symbolic(tensor) and jnp.issubdtype(tensor.dtype, jnp.floating)]
    if not floats or not isinstance(layer, (Embedding, ReversibleEmbedding, CategoryEncoding)):
        return []
    return [Operation(functools.partial(OPERATIONS["Cast"], dtype="int32"), name=f"{layer.name}_ids")]


def arranged(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call as the catalogue's layer takes them."""
    if isinstance(layer, Operation):
        return args, without_none({name: value for name, value in kwargs.items() if name != "training"})
    kwargs = {name: value for name, value in kwargs.items() if value is not None}
    if isinstance(layer, (Augmentation, SpectralNormalization)):
        # Keras 3 records the default of their argument, and lets the model's own argument decide all the same.
        kwargs.pop("training", None)
    if isinstance(layer, Graph):
        flat = [kwargs.pop(name) for name in ("inputs",) if name in kwargs]
        return (*args, *flat), {name: value for name, value in kwargs.items() if name == "training"}
    for names in (("inputs", "sequences", "x", "inputs"), ("query",), ("value",), ("key",)):
        args += tuple(kwargs.pop(name) for name in dict.fromkeys(names) if name in kwargs)
    if isinstance(layer, (Recurrent, Bidirectional)) and len(args) == 1 and isinstance(args[0], (list, tuple)):
        # Older Kerases list the states after the sequence.
        sequence, *states = args[0]
        return (sequence,), ({"initial_state": states} if states else {}) | kwargs
    if (
        isinstance(layer, (MultiHeadAttention, GroupQueryAttention))
        and len(args) == 1
        and isinstance(args[0], (list, tuple))
    ):
        args = tuple(args[0])
    if (
        isinstance(layer, (Merge, Attention, AdditiveAttention))
        and len(args) > 1
        and all(is_symbolic(arg) for arg in args)
    ):
        args = (list(args),)
    if isinstance(layer, Layer) and not isinstance(layer, (Merge, Attention, AdditiveAttention)):
        args = tuple(arg[0] if isinstance(arg, list) and len(arg) == 1 else arg for arg in args)
    return args, kwargs


def _is_reference(leaf: Any) -> bool:
    return isinstance(leaf, Reference)


def _check_read(layer: Any, readers: Iterable[HostLayer], place: str) -> None:
    """Numbers that a Hashing is to sort would pass through the graph as if they were sorted already."""
    if isinstance(layer, HostLayer) and not any(layer is reader for reader in readers):
        raise GraphValueError(
            f"{title(layer)} reads on the host, and what it reads is computed in the graph.",
            where=place,
            expected="an Input of texts",
            fix="cut the model after it, and give it the numbers that layer.read(values) gives",
        )


def _first_input(first: LayerConfig, config: ModelConfig, reader: HostLayer | None = None) -> SymbolicTensor | None:
    """The Input that an older Sequential leaves to its first layer to describe."""
    if reader is not None:
        shape = sizes_of(first.config.get("batch_input_shape")) or sizes_of(config.built) or (None, 1)
        return Input(batch_shape=reader.read_shape(tuple(shape)), dtype="int32", name=f"{first.name}_input")
    given = first.config
    shape = sizes_of(given.get("batch_input_shape", given.get("batch_shape")))
    if shape is None and sizes_of(given.get("input_shape")) is not None:
        shape = (None, *given["input_shape"])
    if shape is None and isinstance(given.get("input_dim"), int) and first.kind != "Embedding":
        shape = (
            (None, given["input_dim"])
            if given.get("input_length") is None
            else (None, given["input_length"], given["input_dim"])
        )
    if shape is None and first.kind == "Embedding" and given.get("input_length"):
        shape = (None, given["input_length"])
    if shape is None:
        shape = sizes_of(config.built)
    if shape is None or any(size is not None and not 0 <= size <= NUMBER for size in shape):
        return None
    dtype = "int32" if first.kind == "Embedding" else policy_name(given.get("input_dtype")) or "float32"
    return Input(batch_shape=tuple(shape), dtype=dtype, name=f"{first.name}_input")


def _knows(graph: Graph) -> bool:
    return all(node.is_inferred for node in graph.nodes)


def is_operation(config: LayerConfig) -> bool:
    """Whether a recorded function is meant, not a layer; older files do not name the module of a class that is both.

    Layers say whether they are trainable; operations have nothing to say about it.
    """
    if config.is_operation or config.kind in ("TensorFlowOpLayer", "TFOpLambda", "SlicingOpLambda"):
        return True
    is_new = bool(config.calls) and all(call.is_new for call in config.calls)
    return config.module is None and config.kind in OPERATIONS and is_new and "trainable" not in config.config


def _plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in config.items() if name not in ("name", "trainable")}


def _plain_call(tree: Any) -> Any:
    """Arguments of a call without Keras' wrapping; tensors are left alone."""
    if isinstance(tree, (list, tuple)):
        return type(tree)(_plain_call(item) for item in tree)
    if isinstance(tree, Mapping):
        is_wrapped = "class_name" in tree or set(tree) == {"start", "stop", "step"}
        return plain(tree) if is_wrapped else {key: _plain_call(item) for key, item in tree.items()}
    return tree


def _check_unrolled(layer: Any, args: Any, place: str) -> None:
    """A loop written out step by step takes as long as it has steps."""
    for inner in (layer, getattr(layer, "layer", None)):
        if getattr(inner, "unroll", False) and any(
            (leaf.shape[1] or 0) > UNROLLED for leaf in jax.tree.leaves(args) if leaf.ndim > 1
        ):
            raise refuse(
                "A recurrent layer is to be unrolled over too many steps.", where=place, expected=f"at most {UNROLLED}"
            )


def _check_size(tensor: Any, place: str) -> None:
    size = 1
    for dim in tensor.shape[1:]:
        size *= 1 if dim is None else dim
    if size > 2**40:
        raise refuse("A tensor in the Keras model is too large.", f"{size} numbers for an example", where=place)


def _dangling(reference: Reference, place: str) -> GraphError:
    return GraphValueError(
        "The Keras model refers to a call that is not there.",
        where=str(place)[:200],
        received=f"output {reference.output} of call {reference.call} of {reference.layer[:100]!r}",
    )


def whole_model(value: Any) -> ModelConfig:
    """The model that a file's whole configuration describes."""
    return model_config(
        layer_config({"class_name": "Sequential", "config": value} if isinstance(value, list) else value, "the model")
    )
