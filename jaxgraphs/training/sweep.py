"""A grid of hyper-parameters that change no shape, trained in one compiled program."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxgraphs.errors import GraphKeyError, GraphTypeError, GraphValueError, did_you_mean
from jaxgraphs.training.by_output import by_output
from jaxgraphs.training.members import Member, Members
from jaxgraphs.training.sortable import sortable_html
from jaxgraphs.training.step import TrainState


@dataclasses.dataclass(frozen=True, repr=False)
class Table:
    """The runs of a sweep; ``str()`` is the table, `.rows` the data.

    Args:
        rows: for each run its hyper-parameters and its last epoch's losses and metrics.
        states: the runs' states, in the order of the sweep.
        history: name -> (epochs, runs) numbers, in the order of the sweep.
        order: the numbers of the runs, in the order of the rows.
    """

    rows: tuple[Mapping[str, Any], ...]
    states: TrainState
    history: Mapping[str, np.ndarray]
    order: tuple[int, ...]

    def sort(self, by: str, *, descending: bool = False) -> Table:
        """The table in the order of a column; what is not a number comes last.

        Raises: GraphKeyError when there is no such column.
        """
        if by not in self.rows[0]:
            raise GraphKeyError(f"The table has no column {by!r}.", expected=did_you_mean(by, list(self.rows[0])))
        ranks = sorted(range(len(self.rows)), key=lambda row: _rank(self.rows[row][by], descending))
        return dataclasses.replace(
            self, rows=tuple(self.rows[row] for row in ranks), order=tuple(self.order[row] for row in ranks)
        )

    def state(self, row: int = 0) -> TrainState:
        """The state of the run in a row, as `Trainer` takes it."""
        return jax.tree.map(lambda leaf: leaf[self.order[row]], self.states)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = [tuple(self.rows[0]), *(tuple(_shown(value) for value in row.values()) for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        )

    def _repr_html_(self) -> str:
        """The table for a notebook; a click on a heading sorts it."""
        cells = [[(_shown(value), repr(value)) for value in row.values()] for row in self.rows]
        return sortable_html(tuple(self.rows[0]), cells)


def sweep(
    trainer: Any,
    x: Any,
    y: Any,
    *,
    learning_rate: Sequence[float] | None = None,
    loss_weights: Sequence[Any] | None = None,
    seed: Sequence[int] = (0,),
    **fit: Any,
) -> Table:
    """Trains every combination of some hyper-parameters side by side, in one compiled step.

    Each run comes out as ``trainer.fit(trainer.init(jax.random.key(seed)), ...)`` with its numbers would. Where the
    trainer has a mesh, runs are spread over its devices if their number divides evenly among them.

    Args:
        trainer: a Trainer; its optimizer's state must hold the rate where rates are swept, as Keras' optimizers do.
        x, y: arrays.
        learning_rate: rates to try.
        loss_weights: weights to try, each as Trainer takes them: a list in output order, or a dict by output name.
        seed: of the runs' keys.
        fit: epochs, batch_size, shuffle, sample_weight, class_weight, validation_data, validation_split, as for
            `Trainer.fit`.
    Returns: a Table with a row for each combination.
    Raises: GraphError when there is nothing to try, the optimizer's rate cannot be set, or losses are balanced already.

    >>> import jax.numpy as jnp
    >>> from jaxgraphs.graph.graph import Graph
    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> from jaxgraphs.training.trainer import Trainer
    >>> x = Input((2,))
    >>> trainer = Trainer(Graph(x, Dense(1)(x)), "sgd", "mse")
    >>> table = sweep(trainer, jnp.ones((4, 2)), jnp.ones((4, 1)), learning_rate=[0.0, 0.1], epochs=5)
    >>> table.sort("loss").rows[0]["learning_rate"]
    0.1
    """
    axes = {"learning_rate": learning_rate, "loss_weights": loss_weights, "seed": seed}
    for name, values in axes.items():
        _check(name, values)
    _check_numbers(learning_rate)
    _check_balance(trainer, loss_weights)
    given = {name: list(values) for name, values in axes.items() if values is not None}
    combinations = [dict(zip(given, values, strict=True)) for values in itertools.product(*given.values())]
    names = trainer.objective.names
    runs = Members(trainer, [_member(combination, names) for combination in combinations])
    states, history = runs.fit(runs.init(), x, y, **fit)
    rows = [
        combination | {name: float(values[-1, index]) for name, values in history.items()}
        for index, combination in enumerate(combinations)
    ]
    return Table(tuple(rows), states, history, tuple(range(len(rows))))


def _member(combination: Mapping[str, Any], names: tuple[str, ...]) -> Member:
    weights = combination.get("loss_weights")
    if weights is not None:
        weights = tuple(float(item) for item in by_output(weights, names, "loss_weights", missing=1.0))
    return Member(int(combination["seed"]), combination.get("learning_rate"), weights)


def _check(name: str, values: Any) -> None:
    if values is None:
        return
    if isinstance(values, (str, Mapping)) or not hasattr(values, "__len__"):
        raise GraphTypeError(
            f"`{name}` of a sweep is a list of what to try.", received=repr(values), fix=f"{name}=[...]"
        )
    if not len(values):
        raise GraphValueError(f"`{name}` of a sweep is empty.", expected="at least one to try")


def _check_numbers(rates: Sequence[Any] | None) -> None:
    for rate in () if rates is None else rates:
        if np.ndim(rate) or not np.issubdtype(np.asarray(rate).dtype, np.number):
            raise GraphTypeError(
                "A learning rate of a sweep is a number.", received=repr(rate), fix="learning_rate=[0.001, 0.01]"
            )


def _check_balance(trainer: Any, weights: Any) -> None:
    if weights is not None and trainer.objective.balance is not None:
        raise GraphValueError(
            "The trainer balances its losses by itself; weights to try would change nothing.",
            received=f"loss_weights to try, of a trainer of {type(trainer.objective.balance).__name__.lower()}",
            fix="a Trainer without loss_weights, or a sweep without them",
        )


def _rank(value: Any, descending: bool) -> tuple[bool, Any]:
    if isinstance(value, float) and np.isnan(value):
        return True, 0.0
    if isinstance(value, (int, float)):
        return False, -value if descending else value
    return False, str(value)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
