"""Calls of a functional Keras model, counted from 0: each after those it reads, with arguments as ours take them."""

from __future__ import annotations

import dataclasses
import functools
from collections import ChainMap, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.errors import DTypeMismatchError, GraphError, GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.subgraph import reached
from jaxgraphs.io.keras.config import Call, LayerConfig, ModelConfig, Reference, fill, references
from jaxgraphs.io.keras.limits import UNROLLED, refuse
from jaxgraphs.io.keras.operations import OPERATIONS, without_none
from jaxgraphs.io.keras.shapes import computed, settled
from jaxgraphs.io.keras.starts import Starts
from jaxgraphs.io.keras.values import plain
from jaxgraphs.layers.attention import AdditiveAttention, Attention
from jaxgraphs.layers.augmentation import Augmentation
from jaxgraphs.layers.base import Layer
from jaxgraphs.layers.core import Embedding
from jaxgraphs.layers.lookup import HostLayer
from jaxgraphs.layers.merge import Merge
from jaxgraphs.layers.multi_head import GroupQueryAttention, MultiHeadAttention
from jaxgraphs.layers.preprocessing import CategoryEncoding
from jaxgraphs.layers.recurrent import Recurrent
from jaxgraphs.layers.reversible import ReversibleEmbedding
from jaxgraphs.layers.spectral import SpectralNormalization
from jaxgraphs.layers.wrappers import Bidirectional
from jaxgraphs.symbolic.node import Operation, SymbolicTensor, is_symbolic, title


class Calls:
    """The calls of a functional model, each made when all it reads is there; linear in their number.

    Args:
        pairs: each layer's configuration and what was made of it.
        starts: the model's Inputs.
    """

    def __init__(self, config: ModelConfig, pairs: Any, starts: Starts) -> None:
        self.owner, self.starts = config.name, starts
        self.joined: dict[Reference, Any] = {}
        self.pairs = {layer.name: (layer, made) for layer, made in pairs}

    def run(self, idle: Sequence[SymbolicTensor] = ()) -> dict[Reference, Any]:
        """Every output of every call; `idle` inputs are read by what stands in the place of another one."""
        self.joined = _reading(self.starts, idle) if idle else {}
        tensors = {**self.starts.tensors(), **self.joined}
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
                raise dangling(Reference(other, 0, 0), f"{self.owner}/{name}")

    def _call(self, config: LayerConfig, call: Call, tensors: Mapping[Reference, Any]) -> list[Any]:
        layer = self.pairs[config.name][1]
        place = f"{self.owner}/{config.name}"
        found = [reference for reference in references((call.args, call.kwargs)) if reference not in tensors]
        if found:
            raise dangling(found[0], place)
        if layer is None:
            raise GraphValueError("An input of the Keras model is called.", where=place)
        call, given = self.starts.given(layer, call)
        everything: Any = tensors
        known = ChainMap(self.joined, dict(given), everything)
        args, kwargs = (_plain_call(fill(part, known)) for part in (call.args, dict(call.kwargs)))
        if isinstance(layer, Operation):
            function = config.config.get("function")
            if (sizes := computed(function, args, kwargs)) is not None:
                return list(sizes)
            args, kwargs = settled(function, args, kwargs, place)
        if config.kind == "Pipeline":
            # Keras 3 records the default of its argument.
            kwargs.pop("training", None)
        args, kwargs = _arranged(layer, tuple(args), kwargs)
        _check_read(layer, self.starts.all_readers, place)
        _check_unrolled(layer, args, place)
        leaves = jax.tree.leaves(_called(layer, _with_whole_numbers(layer, args, kwargs), kwargs))
        for leaf in leaves:
            _check_size(leaf, place)
        return leaves


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


def _arranged(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
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


def _plain_call(tree: Any) -> Any:
    """Arguments of a call without Keras' wrapping; tensors are left alone."""
    if isinstance(tree, (list, tuple)):
        return type(tree)(_plain_call(item) for item in tree)
    if isinstance(tree, Mapping):
        is_wrapped = "class_name" in tree or set(tree) == {"start", "stop", "step"}
        return plain(tree) if is_wrapped else {key: _plain_call(item) for key, item in tree.items()}
    return tree


def _called(layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """A call; Keras makes whole numbers floats for layers that compute with them."""
    try:
        return layer(*args, **kwargs)
    except DTypeMismatchError:
        if not any(map(_is_whole, jax.tree.leaves(args))):
            raise
        floats = jax.tree.map(lambda arg: as_float()(arg) if _is_whole(arg) else arg, args)
        return layer(*floats, **kwargs)


def as_float() -> Operation:
    """What makes whole numbers and truth values floats."""
    return Operation(functools.partial(OPERATIONS["Cast"], dtype="float32"), default_name="as_float")


def _is_whole(arg: Any) -> bool:
    return is_symbolic(arg) and not jnp.issubdtype(arg.dtype, jnp.inexact)


def with_floats(layers: Sequence[Any], tensor: SymbolicTensor) -> list[Any]:
    """Layers that follow one another, and what makes whole numbers floats before those that compute with them."""
    found = []
    for layer in layers:
        try:
            after = layer(tensor)
        except DTypeMismatchError:
            if not _is_whole(tensor):
                raise
            found.append(as_float())
            after = layer(found[-1](tensor))
        found.append(layer)
        tensor = after
    return found


def _with_whole_numbers(layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """Keras looks ids up even where they come as floating numbers; here they are made whole first."""
    if kwargs.get("reverse"):
        return args
    return tuple(cast[0](arg) if (cast := whole_numbers([arg], layer)) else arg for arg in args)


def whole_numbers(tensors: Sequence[Any], layer: Any) -> list[Operation]:
    """What makes the tensors whole numbers where the layer looks ids up and they are not."""
    floats = [tensor for tensor in tensors if is_symbolic(tensor) and jnp.issubdtype(tensor.dtype, jnp.floating)]
    if not floats or not isinstance(layer, (Embedding, ReversibleEmbedding, CategoryEncoding)):
        return []
    return [Operation(functools.partial(OPERATIONS["Cast"], dtype="int32"), name=f"{layer.name}_ids")]


def _check_read(layer: Any, readers: Iterable[HostLayer], place: str) -> None:
    """Numbers that a Hashing is to sort would pass through the graph as if they were sorted already."""
    if isinstance(layer, HostLayer) and not any(layer is reader for reader in readers):
        raise GraphValueError(
            f"{title(layer)} reads on the host, and what it reads is computed in the graph.",
            where=place,
            expected="an Input of texts",
            fix="cut the model after it, and give it the numbers that layer.read(values) gives",
        )


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


def unread(inputs: Any, outputs: Any) -> list[SymbolicTensor]:
    """The inputs from which no output comes."""
    _, read = reached(jax.tree.leaves(outputs), ())
    return [tensor for tensor in jax.tree.leaves(inputs) if tensor not in read]


def _reading(starts: Starts, idle: Sequence[SymbolicTensor]) -> dict[Reference, Any]:
    """In the place of an input that is read as it is, one with its numbers that reads the idle ones as well."""
    tensors = starts.tensors()
    used = [place for place in tensors if tensors[place] not in idle and starts.readers(place.layer) == (None,)]
    first = Operation(OPERATIONS["FirstOf"], default_name="inputs")
    return {place: first(tensors[place], *idle) for place in used[:1]}


def dangling(reference: Reference, place: str) -> GraphError:
    """The error of reading what no call gives."""
    return GraphValueError(
        "The Keras model refers to a call that is not there.",
        where=str(place)[:200],
        received=f"output {reference.output} of call {reference.call} of {reference.layer[:100]!r}",
    )
