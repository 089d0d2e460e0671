"""Callbacks whose memory is a few plain fields: forgotten at the start of a run, unless a checkpoint gave them back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxgraphs.training.callbacks.base import Callback, Run


class Remembering(Callback):
    """A callback that can be used for one run after another, and in a run that goes on where it was interrupted.

    A subclass sets its fields in `forget`, and names those of them that must survive a restart in `fields`.
    """

    fields: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Sets what is remembered as it is before a run."""

    def on_train_begin(self, run: Run) -> None:
        """Forgets the run before; a run that goes on from a checkpoint was just told what to remember."""
        if not run.resumed:
            self.forget()

    def memory(self) -> dict[str, Any]:
        """The fields that are set; None is left out, for it is no leaf of a tree."""
        return {name: getattr(self, name) for name in self.fields if getattr(self, name) is not None}

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Takes back what `memory` gave."""
        self.forget()
        for name in self.fields:
            if name in memory:
                setattr(self, name, _plain(memory[name]))


def _plain(value: Any) -> Any:
    """A number that came back as an array of one number, as a number again."""
    return value.item() if getattr(value, "shape", None) == () else value
