"""An ensemble: members from keys of their own in one step, averaged, or weighted by what they are worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.errors import GraphTypeError, GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.passes.logits import final_activation
from jaxgraphs.training.feeding import arrays_of
from jaxgraphs.training.members import History, Member, Members
from jaxgraphs.training.step import TrainState
from jaxgraphs.training.trainer import Trainer

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Diversity:
    """How much members differ on some data.

    Args:
        disagreement: (members, members): for classes the share of examples on which two members choose differently,
            for other outputs the root of the mean squared difference.
        spread: the mean standard deviation of the members' predictions about their average.
    """

    disagreement: np.ndarray
    spread: float

    @property
    def mean_disagreement(self) -> float:
        """Over all pairs of members."""
        count = len(self.disagreement)
        return float(self.disagreement.sum() / max(count * (count - 1), 1))


class Ensemble:
    """`n` members of one graph, trained side by side in one compiled step.

    Args:
        graph: what each member is.
        n: how many.
        options: as for `Trainer`: optimizer, loss, metrics and so on.
    Raises: GraphError when `n` is not a whole number from 1.
    """

    def __init__(self, graph: Graph, n: int, **options: Any) -> None:
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise GraphValueError("An ensemble has a whole number of members from 1.", received=repr(n))
        self.graph, self.n = graph, n
        self.trainer = Trainer(graph, **options)
        self.members = Members(self.trainer, [Member(seed) for seed in range(n)])

    def init(self, key: jax.Array) -> TrainState:
        """The members' states as one: member i is ``trainer.init(jax.random.split(key, n)[i])``."""
        return self.members.init_from(jax.random.split(key, self.n))

    def fit(self, state: TrainState, x: Any, y: Any, **fit: Any) -> tuple[TrainState, History]:
        """Trains all members; each comes out as if it had been trained alone.

        Args: as for `Trainer.fit`: epochs, batch_size, shuffle, sample_weight, validation_data, validation_split.
        Returns: the members' states; and name -> (epochs, members) numbers.
        """
        return self.members.fit(state, x, y, **fit)

    def evaluate(self, state: TrainState, x: Any, y: Any, **options: Any) -> dict[str, np.ndarray]:
        """Each member's losses and metrics: name -> (members,)."""
        return self.members.evaluate(state, x, y, **options)

    def predict(
        self, state: TrainState, x: Any, *, weights: Sequence[float] | None = None, batch_size: int = 32
    ) -> PyTree:
        """The members' predictions, averaged.

        Args:
            weights: one for each member, such as `fit_weights` gives; equal ones where left out.
        """
        shares = _shares(weights, self.n)
        each = self.members.predict(state, x, batch_size=batch_size)
        return jax.tree.map(lambda leaf: np.tensordot(shares.astype(leaf.dtype), leaf, axes=1), each)

    def fit_weights(self, state: TrainState, x: Any, y: Any, *, batch_size: int = 32) -> np.ndarray:
        """Weights, not negative and with sum 1, for which the average does best on data that was not trained on.

        The trainer's loss of the weighted average is minimised by Nelder and Mead's simplex search over the weights'
        logarithms, from equal weights and from each member alone; the best end counts.

        Args:
            x, y: validation data.
        Returns: (members,) weights.
        Raises: GraphTypeError where SciPy is not there.
        Reference: Nelder and Mead (1965), The Computer Journal 7(4), 308-313.
        """
        search = _minimiser()
        each = jax.tree.leaves(self.members.predict(state, x, batch_size=batch_size))
        targets = arrays_of(self.graph, x, y).targets
        loss_of = _loss_of_average(self.trainer, targets)

        def loss(logits: np.ndarray) -> float:
            shares = _softmax(logits)
            return loss_of([np.tensordot(shares.astype(leaf.dtype), leaf, axes=1) for leaf in each])

        # Members alone are near the corners of the simplex; 4 leaves the others a share of their own to grow from.
        starts = [np.zeros(self.n), *(4.0 * np.eye(self.n))]
        ends = [search(loss, start, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-6}) for start in starts]
        return _softmax(min(ends, key=lambda end: end.fun).x)

    def diversity(self, state: TrainState, x: Any, *, batch_size: int = 32) -> dict[str, Diversity]:
        """How much the members differ, by output name."""
        each = jax.tree.leaves(self.members.predict(state, x, batch_size=batch_size))
        kinds = [final_activation(tensor) for tensor in self.graph.flat_outputs]
        triples = zip(self.graph.output_names, each, kinds, strict=True)
        return {name: _diversity(np.asarray(leaf), kind) for name, leaf, kind in triples}


def ensemble(graph: Graph, n: int, **options: Any) -> Ensemble:
    """`n` members of a graph, trained side by side; see `Ensemble`.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((2,))
    >>> three = ensemble(Graph(x, Dense(1)(x)), 3, optimizer="sgd", loss="mse")
    >>> state, history = three.fit(three.init(jax.random.key(0)), jnp.ones((4, 2)), jnp.ones((4, 1)), epochs=2)
    >>> history["loss"].shape, three.predict(state, jnp.ones((4, 2))).shape
    ((2, 3), (4, 1))
    """
    return Ensemble(graph, n, **options)


def _loss_of_average(trainer: Trainer, targets: Sequence[Any]) -> Any:
    """(average predictions) -> the weighted sum of the losses."""
    objective = trainer.objective
    losses = [_on_predictions(*pair) for pair in zip(objective.losses, objective.kinds, strict=True)]

    @jax.jit
    def total(averages: list[Any]) -> jax.Array:
        value = jnp.zeros((), jnp.float32)
        for loss, weight, average, target in zip(losses, objective.weights, averages, targets, strict=True):
            if loss is not None and target is not None:
                value = value + weight * loss.reduced(average, jnp.asarray(target)).astype(value.dtype)
        return value

    return lambda averages: float(total(averages))


def _on_predictions(loss: Any, kind: Any) -> Any:
    """The loss of an output itself; training has that of its logits."""
    return loss if loss is None or kind is None else dataclasses.replace(loss, from_logits=False)


def _diversity(each: np.ndarray, kind: str | None) -> Diversity:
    choices = {"softmax": lambda: each.argmax(-1), "sigmoid": lambda: (each > 0.5).astype(int)}
    chosen = choices[kind]() if kind in choices else each
    pairs = [[_difference(one, other) for other in chosen] for one in chosen]
    return Diversity(np.array(pairs), float(np.mean(np.std(each, axis=0))))


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    if one.dtype.kind in "iu":
        return float(np.mean(one != other))
    return float(np.sqrt(np.mean(np.square(one - other))))


def _shares(weights: Sequence[float] | None, count: int) -> np.ndarray:
    if weights is None:
        return np.full(count, 1.0 / count)
    shares = np.asarray(weights, np.float64)
    if shares.shape != (count,) or shares.min() < 0 or shares.sum() <= 0:
        raise GraphValueError(
            "An ensemble's weights do not fit.",
            received=repr(weights),
            expected=f"{count} numbers that are not negative, one above 0",
        )
    return shares / shares.sum()


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def _minimiser() -> Any:
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise GraphTypeError("Weights are fitted by SciPy, which is not there.", fix="pip install scipy") from error
    return minimize
