"""What a run reported: one value an epoch for each name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass
class History:
    """The record of a run.

    Args:
        history: name -> one value for each epoch: "loss", each output's loss and metrics, "val_..." likewise.
        epoch: the numbers of the epochs, from 0.
        stopped: why training ended before its last epoch; empty where it did not.
    """

    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    epoch: list[int] = dataclasses.field(default_factory=list)
    stopped: str = ""

    def append(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """One more epoch; a name that is new has None for those before."""
        for name, value in logs.items():
            self.history.setdefault(name, [None] * len(self.epoch)).append(value)  # pyright: ignore
        self.epoch.append(epoch)
        for values in self.history.values():
            values.extend([None] * (len(self.epoch) - len(values)))  # pyright: ignore
