"""Configurations become graphs: first every layer, so that all that is unknown is told at once; then the calls."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from jaxgraphs.errors import DTypeMismatchError
from jaxgraphs.graph.graph import Graph, leaves_of, uses_of
from jaxgraphs.graph.places import Path
from jaxgraphs.graph.sequential import Sequential
from jaxgraphs.io.keras.calling import Calls, counted_from_zero, dangling, unread, whole_numbers, with_floats
from jaxgraphs.io.keras.config import (
    LayerConfig,
    ModelConfig,
    fill,
    layer_config,
    model_config,
    references,
    sizes_of,
    unwrap,
)
from jaxgraphs.io.keras.era import Era
from jaxgraphs.io.keras.layers import build_layer
from jaxgraphs.io.keras.limits import LAYERS, NESTING, NUMBER, refuse
from jaxgraphs.io.keras.operations import (
    OPERATIONS,
    keras_operation,
    node_operation,
    tensorflow_operation,
    with_constants,
)
from jaxgraphs.io.keras.sharing import Key, Sharing
from jaxgraphs.io.keras.starts import Readers, Starts, entered
from jaxgraphs.io.keras.unknown import Unknowns
from jaxgraphs.io.keras.values import Values, plain, policy_name
from jaxgraphs.layers.base import snake_case
from jaxgraphs.layers.lookup import HostLayer
from jaxgraphs.symbolic.node import Input, Operation, SymbolicTensor, innermost


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
        if function is None:
            return None
        # Keras knows masks of what layers give alone.
        return Operation(function, name=config.name, default_name=snake_case(config.kind), keeps_mask=False)

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
        layers = [*whole_numbers(start, layers[0]), *layers]
        try:
            graph = Sequential([*start, *layers], config.name)
        except DTypeMismatchError:
            graph = Sequential([*start, *with_floats(layers, start[0])], config.name)
        if reader is not None:
            self.readers[graph, 0] = (reader,)
        return graph

    def _readers_of(self, layer: Any, position: int) -> Readers:
        """What reads the texts that are given to a layer, or to a model's input of that number."""
        return (layer,) if isinstance(layer, HostLayer) else self.readers.get((layer, position), (None,))

    def _functional(self, config: ModelConfig, pairs: Any) -> Graph:
        config, pairs = counted_from_zero(config, pairs)
        starts = Starts(config, pairs, self._readers_of)
        calls = Calls(config, pairs, starts)
        tensors = calls.run()
        for reference in references((config.inputs, config.outputs)):
            if reference not in tensors:
                raise dangling(reference, config.name)
        first, last = ((unwrap(side) if self.era.is_legacy else side) for side in (config.inputs, config.outputs))
        inputs, outputs = starts.arranged(first), fill(last, tensors)
        if idle := unread(inputs, outputs):
            # A Graph reads all its inputs; Keras' model may have some that nothing reads.
            outputs = fill(last, calls.run(idle))
        graph = Graph(inputs, outputs, config.name)
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


def whole_model(value: Any) -> ModelConfig:
    """The model that a file's whole configuration describes."""
    return model_config(
        layer_config({"class_name": "Sequential", "config": value} if isinstance(value, list) else value, "the model")
    )
