"""Which layers in a file are one layer: by the numbers that Keras notes, and by names where it does not note them.

Keras 3 numbers a layer in an archive from the second time that it writes it on, so that the first time has to be found
by name; in JSON and in HDF5 it numbers nothing. tf.keras numbers every time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from jaxgraphs.errors import GraphValueError
from jaxgraphs.io.keras.config import LayerConfig

Key = tuple[int | None, str]
"""The model that two layers are in, or None for anywhere, and what they have in common."""


class Sharing:
    """The layers made so far.

    Args:
        is_complete: whether every time that a shared layer is written it has its number.
        by_name: whether layers without a number, of one name and one configuration, within one model and the wrappers
            in it, are taken to be one layer.
        apart: what was taken to be one by name, and is not.
    """

    def __init__(self, is_complete: bool, by_name: bool, apart: Collection[Key] = ()) -> None:
        self.is_complete, self.by_name, self.apart = is_complete, by_name, apart
        self.guesses: dict[Any, Key] = {}
        self._numbered: dict[int, Any] = {}
        self._named: dict[Key, dict[Any, None]] = {}

    def made(self, config: LayerConfig, level: int, place: str, make: Callable[[], Any]) -> Any:
        """What was made of the same layer before; else what is made now.

        Args:
            level: the number of the model that the layer is in.
            place: of the layer, for messages.
        Raises: GraphError when a file does not say which layer is meant.
        """
        keys = self._keys(config, level)
        known = self._numbered.get(config.shared) if config.shared is not None else None
        found = self._guessed(config, place, keys) if known is None else known
        found = make() if found is None else found
        if found is not None:
            self._note(config, keys, found)
        return found

    def _keys(self, config: LayerConfig, level: int) -> tuple[Key, ...]:
        if self.is_complete and not self.by_name:
            return ()
        alike = repr((config.kind, config.name, _bare(config.config)))
        return (level, alike), (None, alike)

    def _guessed(self, config: LayerConfig, place: str, keys: tuple[Key, ...]) -> Any:
        """What has the same name, anywhere for a layer with a number, else in its model."""
        in_model, anywhere = keys[:1] if self.by_name else (), () if self.is_complete else keys[1:]
        for key in in_model if config.shared is None else anywhere:
            found = list(self._named.get(key, ())) if key not in self.apart else []
            if len(found) > 1:
                raise _unclear(config, place, len(found))
            if found:
                self.guesses[found[0]] = key
                return found[0]
        return None

    def _note(self, config: LayerConfig, keys: tuple[Key, ...], made: Any) -> None:
        if config.shared is not None:
            self._numbered[config.shared] = made
        for key in keys:
            self._named.setdefault(key, {})[made] = None


def _bare(config: Any) -> Any:
    """A configuration without what Keras notes of objects as it writes them."""
    if isinstance(config, Mapping):
        return {key: _bare(value) for key, value in config.items() if key not in ("shared_object_id", "build_config")}
    return [_bare(item) for item in config] if isinstance(config, list) else config


def _unclear(config: LayerConfig, place: str, count: int) -> GraphValueError:
    return GraphValueError(
        f"The file has {count} layers named {config.name!r}, and does not say which of them is used again.",
        where=place,
        received=f"{count} times {config.kind} {config.name!r} in one configuration",
        expected="one layer of this name and configuration before it",
        fix="give the layers names of their own, or pass the live model to jg.from_keras",
    )
