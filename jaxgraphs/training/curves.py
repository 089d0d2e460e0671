"""Learning curves: a panel for each quantity, training and validation in it."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from jaxgraphs.errors import GraphError, GraphKeyError, did_you_mean

VALIDATION = "val_"
PANEL = (4.0, 2.8)  # inches
ACROSS = 3


def quantities(history: Mapping[str, Sequence[Any]]) -> list[str]:
    """What is drawn in a panel of its own: a name, "val_" taken off, in the order of the logs.

    >>> quantities({"loss": [1.0], "accuracy": [0.5], "val_loss": [1.1]})
    ['loss', 'accuracy']
    """
    return list(dict.fromkeys(name.removeprefix(VALIDATION) for name in history))


def curves(history: Mapping[str, Sequence[Any]], epochs: Sequence[int], names: Sequence[str] | None = None) -> Any:
    """The curves as a `matplotlib.figure.Figure`, which a notebook shows and `savefig` writes.

    Args:
        history: name -> one value for each epoch; None where there was none.
        epochs: their numbers, from 0; the axis counts from 1.
        names: the quantities to draw; all where left out.
    Raises: GraphKeyError when there is no such quantity; GraphError when Matplotlib is not installed or no epoch ran.
    """
    known = quantities(history)
    wanted = known if names is None else list(names)
    if not wanted or not epochs:
        raise GraphError("There is no epoch to draw.", received=f"{len(epochs)} epochs, {len(known)} quantities")
    for name in wanted:
        if name not in known:
            raise GraphKeyError(f"The history has no {name!r}.", expected=did_you_mean(name, known))
    rows, columns = math.ceil(len(wanted) / ACROSS), min(ACROSS, len(wanted))
    figure = _shown_figure()(figsize=(PANEL[0] * columns, PANEL[1] * rows), layout="constrained")
    for panel, name in enumerate(wanted, start=1):
        _panel(figure.add_subplot(rows, columns, panel), name, history, epochs)
    return figure


def _shown_figure() -> Any:
    """A figure that a notebook shows, whether pyplot has told it of figures or not."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise GraphError("Curves are drawn by Matplotlib.", fix="pip install 'jaxgraphs[plot]'") from error

    class Shown(Figure):
        def _repr_png_(self) -> bytes:
            picture = io.BytesIO()
            self.savefig(picture, format="png")
            return picture.getvalue()

    return Shown


def _panel(axes: Any, name: str, history: Mapping[str, Sequence[Any]], epochs: Sequence[int]) -> None:
    for label, key in (("training", name), ("validation", VALIDATION + name)):
        if key in history:
            pairs = zip(epochs, history[key], strict=True)
            drawn = [(epoch + 1, value) for epoch, value in pairs if value is not None]
            axes.plot(*zip(*drawn, strict=True), marker="." if len(drawn) < 30 else "", label=label)
    axes.set_title(name)
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    if VALIDATION + name in history:
        axes.legend()
