"""Where data enters a model: an Input for each of Keras', or, of texts that several layers read, one for each of these.

A name such as ``text:words`` says that the layer `words` reads `text`; `jg.read_inputs` knows what that means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax

from jaxgraphs.errors import GraphValueError
from jaxgraphs.io.keras.config import Call, LayerConfig, ModelConfig, Reference, references, sizes_of
from jaxgraphs.io.keras.limits import NUMBER
from jaxgraphs.io.keras.values import policy_name
from jaxgraphs.layers.crossing import HashedCrossing
from jaxgraphs.layers.lookup import HostLayer
from jaxgraphs.symbolic.node import Input, SymbolicTensor, title

Readers = tuple[HostLayer | None, ...]
"""What reads a layer's input: one reader, several of a model's, or None where the numbers come as they are."""
ReadersOf = Callable[[Any, int], Readers]
_Key = tuple[str, HostLayer | None]


class Starts:
    """The Inputs of a functional model.

    Args:
        config: of the model.
        pairs: each layer's configuration and what was made of it.
        readers_of: what reads the texts given to a layer's input of a number.
    """

    def __init__(self, config: ModelConfig, pairs: Iterable[tuple[LayerConfig, Any]], readers_of: ReadersOf) -> None:
        self._owner, self._pairs, self._readers_of = config.name, list(pairs), readers_of
        self._entries = {layer.name: layer for layer, _ in self._pairs if layer.kind == "InputLayer"}
        self._crossed: dict[HostLayer, tuple[str, ...]] = {}
        self._uses: dict[str, dict[HostLayer | None, None]] = {name: {} for name in self._entries}
        for reference in references(config.outputs):
            if reference.layer in self._entries:
                self._uses[reference.layer][None] = None
        for layer, made in self._pairs:
            for call in layer.calls:
                self._note(made, _ordered((call.args, dict(call.kwargs))))
        self._tensors: dict[_Key, SymbolicTensor] = {}
        for name, entry in self._entries.items():
            self._enter(name, entry)

    def tensors(self) -> dict[Reference, Any]:
        """What stands for each input of Keras' that is taken as it is, or read by one layer alone."""
        return {Reference(name, 0, 0): next(iter(self.of(name)), None) for name in self._entries}

    def of(self, name: str) -> list[SymbolicTensor]:
        """The Inputs that stand for one of Keras', in order."""
        return [tensor for (entry, _), tensor in self._tensors.items() if entry == name]

    @property
    def all_readers(self) -> list[HostLayer]:
        """Every layer that reads an input on the host."""
        return [reader for _, reader in self._tensors if reader is not None]

    def entries(self, tree: Any) -> list[str]:
        """The names of the model's inputs, in the order of tensors in their places."""
        return [reference.layer for reference in _ordered(tree)]

    def readers(self, name: str) -> Readers:
        """What reads each of them."""
        return tuple(reader for entry, reader in self._tensors if entry == name)

    def given(self, made: Any, call: Call) -> tuple[Call, Mapping[Reference, Any]]:
        """A call of a layer, and the tensors in it that are read for that layer."""
        found = _ordered((call.args, dict(call.kwargs)))
        entries = [reference for reference in found if reference.layer in self._entries]
        if isinstance(made, HashedCrossing) and made in self._crossed:
            joint = Reference(entries[0].layer, 0, 0)
            return Call((joint,), {}, call.is_new), {joint: self._tensors[self._crossed[made][0], made]}
        given = {
            reference: [self._tensors[reference.layer, self._reader(reference.layer, reader)] for reader in readers]
            for place, reference in enumerate(found)
            if reference.layer in self._entries and (readers := self._readers_of(made, place))
        }
        if any(len(tensors) > 1 for tensors in given.values()):
            return self._spread(found, given, call)
        return call, {reference: tensors[0] for reference, tensors in given.items()}

    def _spread(
        self, found: list[Reference], given: Mapping[Reference, list[SymbolicTensor]], call: Call
    ) -> tuple[Call, Mapping[Reference, Any]]:
        """A call of a model that reads a text in several ways: it takes a list with each of its Inputs."""
        tensors: dict[Reference, Any] = {}
        places: list[Reference] = []
        for reference in found:
            if reference not in given:
                places.append(reference)
            for tensor in given.get(reference, ()):
                place = Reference(reference.layer, 0, len(tensors))
                tensors[place] = tensor
                places.append(place)
        options = {name: value for name, value in dict(call.kwargs).items() if name == "training"}
        return Call((places,), options, call.is_new), tensors

    def _note(self, made: Any, found: list[Reference]) -> None:
        """Which readers a call needs."""
        entries = [reference.layer for reference in found if reference.layer in self._entries]
        if isinstance(made, HashedCrossing) and len(found) > 1 and len(entries) == len(found):
            if self._crossed.setdefault(made, tuple(entries)) != tuple(entries):
                raise GraphValueError(f"{title(made)} is called on several pairs of inputs.", where=self._owner)
            self._uses[entries[0]][made] = None
            return
        for place, reference in enumerate(found):
            if reference.layer in self._entries:
                for reader in self._readers_of(made, place):
                    self._uses[reference.layer][self._reader(reference.layer, reader)] = None

    def _reader(self, name: str, reader: HostLayer | None) -> HostLayer | None:
        """The reader where there are texts to read; numbers come as they are, and crossings read several inputs."""
        is_text = policy_name(self._entries[name].config.get("dtype")) == "string"
        return reader if is_text and not isinstance(reader, HashedCrossing) else None

    def _enter(self, name: str, entry: LayerConfig) -> None:
        is_crossed = any(name in entries for entries in self._crossed.values())
        uses = list(self._uses[name]) or ([] if is_crossed else [None])
        if len(uses) > 1 and None in uses and policy_name(entry.config.get("dtype")) == "string":
            raise GraphValueError(
                "Texts of one input are read by layers, and by what cannot read them.",
                where=f"{self._owner}/{name}",
                received=", ".join("neither" if reader is None else title(reader) for reader in uses),
                expected="lookup layers alone",
            )
        for reader in uses:
            given = name
            if isinstance(reader, HashedCrossing):
                given = f"{'+'.join(self._crossed[reader])}:{reader.name}"
            elif len(uses) > 1 and reader is not None:
                given = f"{name}:{reader.name}"
            self._tensors[name, reader] = entered(entry, reader, given)

    def arranged(self, tree: Any) -> Any:
        """The model's inputs in Keras' arrangement, with several in the place of one where a text has several."""
        if isinstance(tree, Reference):
            found = self.of(tree.layer)
            return found[0] if len(found) == 1 else found
        if isinstance(tree, Mapping):
            named: dict[str, Any] = {}
            for key, item in tree.items():
                found = {tensor.name: tensor for tensor in self.of(item.layer)} if isinstance(item, Reference) else {}
                is_read = bool(found) and list(found) != [item.layer]
                named |= found if is_read else {key: self.arranged(item)}
            return named
        spread: list[Any] = []
        for item in tree:
            part = self.arranged(item)
            spread += part if isinstance(item, Reference) and isinstance(part, list) else [part]
        return spread


def _ordered(tree: Any) -> list[Reference]:
    """The References in the order of the tensors that they stand for."""
    leaves = jax.tree.leaves(tree, is_leaf=lambda leaf: isinstance(leaf, Reference))
    return [leaf for leaf in leaves if isinstance(leaf, Reference)]


def entered(config: LayerConfig, reader: HostLayer | None = None, name: str | None = None) -> SymbolicTensor:
    """The Input that stands for one of Keras', or for what a layer reads of it."""
    shape = sizes_of(config.config.get("batch_shape", config.config.get("batch_input_shape")))
    dtype = policy_name(config.config.get("dtype", config.config.get("input_dtype"))) or "float32"
    if shape is None or any(size is not None and not 0 <= size <= NUMBER for size in shape):
        raise GraphValueError(
            "An input of the Keras model has no usable shape.", where=config.name, received=repr(config.config)[:200]
        )
    if reader is not None:
        return Input(batch_shape=reader.read_shape(tuple(shape)), dtype="int32", name=name or config.name)
    if dtype == "string" or config.config.get("ragged"):
        raise GraphValueError(
            "An input of the Keras model takes texts or ragged rows, which JAX has no arrays for.",
            where=config.name,
            fix="cut the model after what it does with texts, and look words up before",
        )
    return Input(batch_shape=tuple(shape), dtype=dtype, name=name or config.name)
