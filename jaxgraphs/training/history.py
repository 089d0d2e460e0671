"""What a run reported: one value an epoch for each name."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from typing import Any

from jaxgraphs.errors import GraphError
from jaxgraphs.training.curves import curves


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

    def plot(self, *names: str) -> Any:
        """The learning curves: a panel for each loss and metric, training and validation together.

        Args:
            names: such as "loss" or "income_accuracy", without "val_"; all where left out.
        Returns: a `matplotlib.figure.Figure`: shown by a notebook, written by its `savefig`.
        Raises: GraphKeyError when there is no such name; GraphError when Matplotlib is not installed or no epoch ran.

        >>> History({"loss": [1.0, 0.5], "val_loss": [1.1, 0.7]}, [0, 1]).plot().axes[0].get_title()
        'loss'
        """
        return curves(self.history, self.epoch, names or None)

    def _repr_html_(self) -> str | None:
        """The curves for a notebook; where they cannot be drawn it shows the numbers."""
        text = io.StringIO()
        try:
            self.plot().savefig(text, format="svg")
        except GraphError:
            return None
        return text.getvalue()[text.getvalue().index("<svg") :]
