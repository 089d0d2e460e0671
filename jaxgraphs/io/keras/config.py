"""Every era's configuration of a model in one form: layers, the calls of each, and what goes in and out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxgraphs.errors import GraphValueError
from jaxgraphs.io.keras.limits import LAYERS, refuse

MODELS = ("Functional", "Model", "Sequential", "Pipeline")
"""The classes that are graphs; a Pipeline is a Sequential of what is done to pictures."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """An output of a call: which layer, its how-manieth call, which of the outputs."""

    layer: str
    call: int
    output: int


@dataclasses.dataclass(frozen=True)
class Call:
    """What a layer was called on; leaves are References or constants. Keras 3 writes calls anew, and counts them so."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    is_new: bool = True


@dataclasses.dataclass(frozen=True)
class LayerConfig:
    """A layer as a file describes it.

    Args:
        kind: the class' name.
        name: the layer's; given where the file has none.
        config: the class' arguments, not read yet.
        module: where Keras keeps the class; it tells operations from layers, and is not imported.
        calls: in order.
        shared: the number under which Keras keeps a layer that occurs in several places.
        built: shape of the input it was built for, where the file says so.
    """

    kind: str
    name: str
    config: Mapping[str, Any]
    module: str | None = None
    calls: tuple[Call, ...] = ()
    shared: int | None = None
    built: Any = None

    @property
    def is_model(self) -> bool:
        """Whether the layer is itself a graph."""
        return self.kind in MODELS and not self.is_operation

    @property
    def is_operation(self) -> bool:
        """Whether it is a function of `keras.ops` rather than a layer."""
        return (self.module or "").startswith(("keras.src.ops", "keras.ops", "keras.operations", "keras.backend"))


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A model: functional, or a Sequential, which has no inputs and outputs of its own."""

    kind: str
    name: str
    layers: tuple[LayerConfig, ...]
    inputs: Any = None
    outputs: Any = None
    trainable: bool = True
    built: Any = None


def layer_config(value: Any, owner: str) -> LayerConfig:
    """One layer's part of a file.

    Raises: GraphValueError when it is not a class name with a configuration.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("class_name"), str):
        raise _malformed(owner, value, "a layer: class_name and config")
    config = value.get("config")
    # Keras 1 describes a Sequential by the list of its layers alone.
    config = {"layers": config} if isinstance(config, list) else config
    if not isinstance(config, Mapping):
        raise _malformed(owner, config, "the arguments of a layer")
    kind = value["class_name"].split(">")[-1]
    name = value.get("name") or config.get("name") or kind.lower()
    if not isinstance(name, str):
        raise _malformed(owner, name, "the name of a layer")
    module, shared, built = value.get("module"), value.get("shared_object_id"), value.get("build_config")
    calls = value.get("inbound_nodes") or []
    if not isinstance(calls, list):
        raise _malformed(f"{owner}/{name}", calls, "a list of calls")
    return LayerConfig(
        kind,
        name,
        config,
        module if isinstance(module, str) else None,
        tuple(_call(node, f"{owner}/{name}") for node in calls),
        shared if isinstance(shared, int) else None,
        built.get("input_shape") if isinstance(built, Mapping) else None,
    )


def model_config(layer: LayerConfig) -> ModelConfig:
    """The model that a layer's configuration describes.

    Raises: GraphValueError when parts are missing, names are alike, or there are too many layers.
    """
    config, owner = layer.config, layer.name
    listed = config.get("layers")
    if not isinstance(listed, list) or not listed:
        raise _malformed(owner, listed, "a list of layers")
    layers = tuple(layer_config(item, owner) for item in listed)
    if len(layers) + sum(len(item.calls) for item in layers) > LAYERS:
        raise refuse(f"The model {owner!r} has too many layers.", len(layers), f"at most {LAYERS}")
    trainable, built = config.get("trainable") is not False, config.get("build_input_shape", layer.built)
    if "input_layers" not in config and "output_layers" not in config:
        return ModelConfig("Sequential", owner, layers, trainable=trainable, built=built)
    names = [item.name for item in layers]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})[:8] if len(names) < 2000 else []
        raise GraphValueError(f"Layers of the model {owner!r} have one name.", received=", ".join(twice))
    starts = _ends(config.get("input_layers"), f"{owner}/input_layers")
    outputs = _ends(config.get("output_layers"), f"{owner}/output_layers")
    return ModelConfig("Functional", owner, layers, starts, outputs, trainable, built)


def references(tree: Any) -> list[Reference]:
    """All References in a nesting."""
    found, stack = [], [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, Reference):
            found.append(item)
        elif isinstance(item, Mapping):
            stack.extend(item.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)
    return found


def fill(tree: Any, values: Mapping[Reference, Any]) -> Any:
    """A nesting with values in the places of its References."""
    if isinstance(tree, Reference):
        return values[tree]
    if isinstance(tree, Mapping):
        return {key: fill(item, values) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(fill(item, values) for item in tree)
    return tree


def _ends(value: Any, owner: str) -> Any:
    """Inputs or outputs; older Kerases list a single one too."""
    if _is_triple(value):
        return _reference(value, owner)
    if isinstance(value, Mapping):
        return {str(key): _ends(item, owner) for key, item in value.items()}
    if isinstance(value, list) and value:
        return [_ends(item, owner) for item in value]
    raise _malformed(owner, value, "references to layers")


def _call(node: Any, owner: str) -> Call:
    if isinstance(node, Mapping) and "args" in node:
        kwargs = _tensors(node.get("kwargs") or {}, owner)
        args = _tensors(node["args"], owner)
        if not isinstance(kwargs, Mapping) or not isinstance(args, (list, tuple)):
            raise _malformed(owner, node, "args and kwargs")
        return Call(tuple(args), kwargs)
    return _old_call(node, owner)


def _tensors(value: Any, owner: str) -> Any:
    """Keras 3's arguments of a call with References in place of tensors."""
    if isinstance(value, list):
        return [_tensors(item, owner) for item in value]
    if not isinstance(value, Mapping):
        return value
    if value.get("class_name") == "__keras_tensor__":
        config = value.get("config")
        return _reference(config.get("keras_history") if isinstance(config, Mapping) else None, owner)
    if value.get("class_name") == "__tuple__":
        return tuple(_tensors(list(value.get("items", value.get("config", {}).get("value", []))), owner))
    if "class_name" in value:
        return value
    return {key: _tensors(item, owner) for key, item in value.items()}


def _old_call(node: Any, owner: str) -> Call:
    """A call as Keras 1, 2 and tf.keras write it: a list of [layer, call, output, kwargs]."""
    kwargs: dict[str, Any] = {}

    def visit(item: Any) -> Any:
        if _is_old_leaf(item):
            if len(item) > 3 and isinstance(item[3], Mapping):
                kwargs.update({key: _old_tensors(part) for key, part in item[3].items()})
            # tf.keras writes a constant in the place of a tensor so.
            return item[2] if item[0] == "_CONSTANT_VALUE" else _reference(item[:3], owner)
        if isinstance(item, Mapping):
            return {key: visit(part) for key, part in item.items()}
        if isinstance(item, list):
            return [visit(part) for part in item]
        raise _malformed(owner, item, "references to layers")

    args = visit(node)
    if isinstance(args, list) and len(args) == 1:
        args = args[0]
    return Call((args,), kwargs, is_new=False)


def _old_tensors(value: Any) -> Any:
    if _is_triple(value) and not isinstance(value[1], bool):
        return _reference(value, "kwargs")
    if isinstance(value, list):
        return [_old_tensors(item) for item in value]
    if isinstance(value, Mapping) and "class_name" not in value:
        return {key: _old_tensors(item) for key, item in value.items()}
    return value


def _is_old_leaf(item: Any) -> bool:
    return isinstance(item, list) and len(item) in (3, 4) and isinstance(item[0], str) and isinstance(item[1], int)


def _is_triple(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 3
        and isinstance(value[0], str)
        and all(isinstance(n, int) for n in value[1:])
    )


def _reference(value: Any, owner: str) -> Reference:
    if not _is_triple(value) or value[1] < 0 or value[2] < 0:
        raise _malformed(owner, value, "[layer, call, output]")
    return Reference(value[0], int(value[1]), int(value[2]))


def _malformed(owner: str, value: Any, expected: str) -> GraphValueError:
    return GraphValueError(
        "The Keras configuration is not one of a model.",
        where=str(owner)[:200],
        received=repr(value)[:200],
        expected=expected,
    )


def unwrap(tree: Any) -> Any:
    """A list of one as its item: older Kerases list even a single input."""
    return tree[0] if isinstance(tree, list) and len(tree) == 1 else tree


def sizes_of(shape: Any) -> Sequence[Any] | None:
    """A batch shape in a configuration; None where there is none."""
    if isinstance(shape, Mapping):
        shape = shape.get("items", shape.get("config"))
    return (
        shape
        if isinstance(shape, (list, tuple)) and all(size is None or isinstance(size, int) for size in shape)
        else None
    )
