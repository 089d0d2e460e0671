"""Loss weights that follow the training: what is carried from step to step, and how it moves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphValueError, did_you_mean
from jaxgraphs.graph.graph import Graph
from jaxgraphs.symbolic.node import Node
from jaxgraphs.training import losses as loss_functions
from jaxgraphs.training.losses.named import Crossentropy
from jaxgraphs.training.metrics.metric import zeros

Array = jax.Array
Carried = Mapping[str, Any]

COLLECTION = "objective"
"""The collection of variables in which weights are carried, beside those of the graph's layers."""

_OF_CLASSES = (
    Crossentropy,
    loss_functions.BinaryCrossentropy,
    loss_functions.BinaryFocalCrossentropy,
    loss_functions.CategoricalCrossentropy,
    loss_functions.CategoricalFocalCrossentropy,
    loss_functions.SparseCategoricalCrossentropy,
    loss_functions.KLDivergence,
    loss_functions.CTC,
)


class Balance(Protocol):
    """A way to weigh the losses of several outputs; `carried` is what it keeps from step to step."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the outputs with a loss."""
        ...

    @property
    def shared_layer(self) -> str | None:
        """The layer whose gradients, loss by loss, `moved` must know; None where it needs none."""
        ...

    def init(self) -> Carried:
        """What is carried before the first step."""
        ...

    def weights(self, carried: Carried) -> dict[str, Array]:
        """The weights by output name."""
        ...

    def offset(self, carried: Carried, present: Sequence[str]) -> Array:
        """What the total has beside the weighted losses of the outputs `present`."""
        ...

    def learned(self, carried: Carried) -> Carried:
        """What the optimizer of the graph moves too."""
        ...

    def gradients(self, carried: Carried, losses: Mapping[str, Array]) -> Carried:
        """The total's gradients to `learned`, from the losses before weighting."""
        ...

    def moved(
        self, carried: Carried, learned: Carried, losses: Mapping[str, Array], norms: Mapping[str, Array]
    ) -> Carried:
        """What is carried after a step, from `learned` after it."""
        ...


@dataclasses.dataclass(frozen=True)
class Uncertainty:
    """Each loss with a learned variance: the sum of L exp(-s) c + s / 2 over outputs, s the logarithm of a variance.

    c is 1/2 for losses of numbers, whose noise is Gaussian, and 1 for losses of classes. The sum is least in s where
    the weight c exp(-s) is 1 / (2 L): every output then adds 1/2, whatever its loss is measured in.

    Args:
        factors: c by output name.
    Reference: Kendall, Gal and Cipolla (2018), Multi-task learning using uncertainty to weigh losses, arXiv:1705.07115.

    >>> balance = Uncertainty({"age": 0.5, "gender": 1.0})
    >>> {name: float(weight) for name, weight in balance.weights(balance.init()).items()}
    {'age': 0.5, 'gender': 1.0}
    """

    factors: Mapping[str, float]
    shared_layer: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.factors)

    def init(self) -> Carried:
        return {"log_variance": {name: zeros() for name in self.factors}}

    def weights(self, carried: Carried) -> dict[str, Array]:
        return {name: factor * jnp.exp(-carried["log_variance"][name]) for name, factor in self.factors.items()}

    def offset(self, carried: Carried, present: Sequence[str]) -> Array:
        return jnp.sum(jnp.stack([0.5 * carried["log_variance"][name] for name in present]))

    def learned(self, carried: Carried) -> Carried:
        return carried

    def gradients(self, carried: Carried, losses: Mapping[str, Array]) -> Carried:
        weights, zero = self.weights(carried), zeros()
        found = {name: 0.5 - weights[name] * losses[name] if name in losses else zero for name in self.factors}
        return {"log_variance": found}

    def moved(
        self, carried: Carried, learned: Carried, losses: Mapping[str, Array], norms: Mapping[str, Array]
    ) -> Carried:
        return learned


@dataclasses.dataclass(frozen=True)
class GradNorm:
    """Weights under which every loss pulls equally hard at the last shared layer, those that lag behind harder.

    With g the norm of a weighted loss' gradient to that layer's weights, and r how far the loss has come down beside
    the others, g is brought to mean(g) r^alpha. Weights move by Adam in their logarithms, so that they stay positive
    and losses of any scale are balanced as fast, and are then scaled to sum to the number of losses.

    Args:
        names: of the outputs with a loss.
        shared_layer: the last layer that all of them read.
        alpha: how hard losses that lag behind are pulled; 0 is equal norms.
        rate: by how much a weight's logarithm moves in a step, about.
    Reference: Chen, Badrinarayanan, Lee and Rabinovich (2018), GradNorm, arXiv:1711.02257.

    >>> balance = GradNorm(("age", "gender"), "dense")
    >>> {name: float(weight) for name, weight in balance.weights(balance.init()).items()}
    {'age': 1.0, 'gender': 1.0}
    """

    names: tuple[str, ...]
    shared_layer: str | None
    alpha: float = 1.5
    rate: float = 0.025

    def init(self) -> Carried:
        # Arrays of their own: a step is given the memory of each.
        kept = ("log_weight", "first_loss", "mean", "square")
        sums = {each: {name: zeros() for name in self.names} for each in kept}
        return {**sums, "count": zeros()}

    def weights(self, carried: Carried) -> dict[str, Array]:
        return {name: jnp.exp(carried["log_weight"][name]) for name in self.names}

    def offset(self, carried: Carried, present: Sequence[str]) -> Array:
        return zeros()

    def learned(self, carried: Carried) -> Carried:
        return {}

    def gradients(self, carried: Carried, losses: Mapping[str, Array]) -> Carried:
        return {}

    def moved(
        self, carried: Carried, learned: Carried, losses: Mapping[str, Array], norms: Mapping[str, Array]
    ) -> Carried:
        present = [name for name in self.names if name in losses]
        first = {
            name: jnp.where(value == 0, losses.get(name, value), value) for name, value in carried["first_loss"].items()
        }
        pulls = {name: weight * norms[name] for name, weight in self.weights(carried).items() if name in present}
        progress = {name: losses[name] / jnp.maximum(first[name], 1e-12) for name in present}
        changes, adam = _adam(carried, self._slopes(pulls, progress))
        # Weights without a target in this batch stay; the others' sum stays what it was.
        old = {name: carried["log_weight"][name] for name in present}
        new = {name: old[name] - self.rate * changes[name] for name in present}
        shift = _log_sum(old) - _log_sum(new)
        logs = {**carried["log_weight"], **{name: value + shift for name, value in new.items()}}
        return {"log_weight": logs, "first_loss": first, **adam}

    def _slopes(self, pulls: Mapping[str, Array], progress: Mapping[str, Array]) -> dict[str, Array]:
        """The gradient of the sum of |g - mean(g) r^alpha| to the weights' logarithms, relative to the mean."""
        mean_pull, mean_progress = _mean(pulls), _mean(progress)
        targets = {name: mean_pull * (progress[name] / mean_progress) ** self.alpha for name in pulls}
        return {name: jnp.sign(pulls[name] - targets[name]) * pulls[name] / mean_pull for name in pulls}


WAYS = ("uncertainty", "gradnorm")


def balance(way: str, graph: Graph, names: Sequence[str], losses: Sequence[Any]) -> Balance:
    """The balance of the name `way`.

    Args:
        graph: whose first outputs are called `names`.
        losses: of the outputs; None where one has none.
    Raises: GraphValueError for another name, fewer than two losses, or outputs that share no learned layer.
    """
    if way not in WAYS:
        raise GraphValueError(
            "There is no such way to balance losses.", received=repr(way), expected=did_you_mean(way, WAYS)
        )
    trained = {name: index for index, (name, loss) in enumerate(zip(names, losses, strict=True)) if loss is not None}
    if len(trained) < 2:
        raise GraphValueError(
            "Losses are balanced against each other.",
            received=f"a loss for {', '.join(map(repr, trained))} alone",
            expected="two outputs at least that have a loss",
            fix="leave loss_weights out",
        )
    if way == "uncertainty":
        is_of_classes = {name: isinstance(losses[index], _OF_CLASSES) for name, index in trained.items()}
        return Uncertainty({name: 1.0 if of_classes else 0.5 for name, of_classes in is_of_classes.items()})
    return GradNorm(tuple(trained), _last_shared_layer(graph, list(trained.values())))


def _last_shared_layer(graph: Graph, outputs: Sequence[int]) -> str:
    """The name of the last layer with learned weights on which all of these outputs depend."""
    behind = [_behind(graph.flat_outputs[index].node) for index in outputs]
    shared = [node for node in graph.nodes if all(node in nodes for nodes in behind) and _is_learned(node)]
    if not shared:
        raise GraphValueError(
            "The outputs share no layer that learns, so that their gradients cannot be balanced there.",
            fix='loss_weights="uncertainty"',
        )
    return graph.layer_name(shared[-1])


def _behind(node: Node) -> set[Node]:
    """The calls that lead to a call, itself included."""
    found, waiting = {node}, [node]
    while waiting:
        new = {tensor.node for tensor in waiting.pop().parents} - found
        found |= new
        waiting += new
    return found


def _is_learned(node: Node) -> bool:
    return bool(node.variables.get("params")) and getattr(node.layer, "trainable", True)


def _adam(carried: Carried, slopes: Mapping[str, Array]) -> tuple[dict[str, Array], Carried]:
    """Adam's changes, of size about 1, and its moments after them."""
    count, means, squares = carried["count"] + 1.0, dict(carried["mean"]), dict(carried["square"])
    changes = {}
    for name, slope in slopes.items():
        means[name] = 0.9 * means[name] + 0.1 * slope
        squares[name] = 0.999 * squares[name] + 0.001 * slope**2
        spread = jnp.sqrt(squares[name] / (1 - 0.999**count))
        changes[name] = means[name] / (1 - 0.9**count) / (spread + 1e-8)
    return changes, {"mean": means, "square": squares, "count": count}


def _log_sum(logs: Mapping[str, Array]) -> Array:
    return jax.nn.logsumexp(jnp.stack(list(logs.values())))


def _mean(values: Mapping[str, Array]) -> Array:
    return jnp.maximum(jnp.mean(jnp.stack(list(values.values()))), 1e-12)
