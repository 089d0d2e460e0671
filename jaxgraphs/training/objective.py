"""What training minimises and reports: losses, weights and metrics bound to outputs by name."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.errors import GraphTypeError, GraphValueError
from jaxgraphs.graph.declared import Path, learned
from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.base import Weight
from jaxgraphs.passes.logits import Kind, with_logits
from jaxgraphs.symbolic.arrays import promote
from jaxgraphs.training import losses as loss_functions
from jaxgraphs.training import metrics as metric_functions
from jaxgraphs.training.balancing import Balance, balance
from jaxgraphs.training.by_output import by_output
from jaxgraphs.training.metrics.metric import zeros
from jaxgraphs.training.regularization import penalty

Array = jax.Array
_ACTIVATIONS = {"softmax": lambda x: jax.nn.softmax(x, axis=-1), "sigmoid": jax.nn.sigmoid}


@dataclasses.dataclass(frozen=True)
class Objective:
    """Losses, weights and metrics of a graph's outputs, checked once.

    Args:
        graph: computes the flat outputs, then the logits of those outputs whose loss reads logits.
        names: of the outputs.
        losses: one for each output; None where an output is not trained.
        weights: of the losses.
        metrics: for each output (name, description) pairs; `weighted_metrics` count sample weights too.
        kinds: for each output the activation that its loss undoes, or None.
        declared: the learned weights by path, with their regularisers and constraints.
        balance: weighs the losses in the place of `weights`, where the user asks for it.
        rewritten: whether to train -> what computes the graph in its stead; None is the graph itself.
    """

    graph: Graph
    names: tuple[str, ...]
    losses: tuple[Any, ...]
    weights: tuple[float, ...]
    metrics: tuple[tuple[tuple[str, Any], ...], ...]
    weighted_metrics: tuple[tuple[tuple[str, Any], ...], ...]
    kinds: tuple[Kind | None, ...]
    declared: Mapping[Path, Weight]
    balance: Balance | None = None
    rewritten: Callable[[bool], Graph] | None = None

    def computing(self, *, train: bool) -> Graph:
        """The graph that is run for `graph`; the same variables feed it."""
        return self.graph if self.rewritten is None else self.rewritten(train)

    def predictions(self, outputs: Sequence[Array]) -> list[Array]:
        """The graph's own outputs among what `graph` computes."""
        return list(outputs[: len(self.names)])

    def loss(
        self, outputs: Sequence[Array], masks: Sequence[Any], targets: Targets, params: Any, carried: Any = None
    ) -> tuple[Array, dict[str, Array]]:
        """The weighted sum and its terms by name, for one batch.

        Args:
            outputs, masks: of `graph`, flat.
            targets: what the outputs should be.
            params: of all layers, for the regularisers.
            carried: of the balance; that before the first step where left out.
        Returns: a scalar; and each output's loss before weighting, with the penalty on weights where there is one.
        """
        parts: dict[str, Array] = {}
        total = jnp.zeros((), jnp.float32)
        readings, weights = self._loss_readings(outputs), self._weights(carried)
        for index, (name, loss) in enumerate(zip(self.names, self.losses, strict=True)):
            if loss is None or targets.values[index] is None:
                continue
            value = loss.reduced(
                readings[index], targets.values[index], targets.weights[index], masks[index], present=targets.present
            )
            parts[f"{name}_loss"] = value
            total, term = promote(total, _times(weights[index], value))
            total = total + term
        penalties = penalty(self.declared, params)
        if penalties is not None:
            parts["regularization_loss"] = penalties
            total = total + penalties.astype(total.dtype)
        return total, parts

    def balanced(self, total: Array, parts: Mapping[str, Array], carried: Any) -> tuple[Array, dict[str, Array]]:
        """What `loss` gives for a whole batch, with what the balance adds: to the total, and weights to be logged."""
        if self.balance is None:
            return total, dict(parts)
        carried = self.balance.init() if carried is None else carried
        offset = self.balance.offset(carried, list(self.unweighted(parts)))
        weights = {f"{name}_weight": weight for name, weight in self.balance.weights(carried).items()}
        return total + offset.astype(total.dtype), {**parts, **weights}

    def unweighted(self, parts: Mapping[str, Array]) -> dict[str, Array]:
        """The losses before weighting by output name, of the outputs that have a target in the batch."""
        return {name: parts[f"{name}_loss"].astype(zeros().dtype) for name in self.names if f"{name}_loss" in parts}

    def _weights(self, carried: Any) -> list[Any]:
        if self.balance is None:
            return list(self.weights)
        weights = self.balance.weights(self.balance.init() if carried is None else carried)
        # The balance moves its weights by rules of its own; the losses' gradients pass them by.
        return [jax.lax.stop_gradient(weights[name]) if name in weights else 1.0 for name in self.names]

    def _loss_readings(self, outputs: Sequence[Array]) -> list[Array]:
        """What each loss reads: logits where it can, else the output itself."""
        logits = iter(outputs[len(self.names) :])
        own = outputs[: len(self.names)]
        return [output if kind is None else next(logits) for output, kind in zip(own, self.kinds, strict=True)]

    def empty(self) -> dict[str, Any]:
        """The running sums of an epoch before its first batch."""
        means = dict.fromkeys(self.loss_names, (zeros(), zeros()))
        kept = {name: metric.empty() for _, name, metric, _ in self.each_metric()}
        return {"losses": means, "metrics": kept}

    def accumulate(
        self,
        sums: Mapping[str, Any],
        total: Array,
        parts: Mapping[str, Array],
        outputs: Sequence[Array],
        masks: Sequence[Any],
        targets: Targets,
    ) -> dict[str, Any]:
        """The running sums with one more batch; rows that only pad it do not count."""
        count = targets.count()
        values = {"loss": total, **parts}
        means = {
            name: (old[0] + values[name].astype(count.dtype) * count, old[1] + count) if name in values else old
            for name, old in sums["losses"].items()
        }
        predictions, kept = self.predictions(outputs), dict(sums["metrics"])
        for index, name, metric, is_weighted in self.each_metric():
            if targets.values[index] is not None:
                weights = targets.metric_weights(index, masks[index], is_weighted)
                kept[name] = metric.update(kept[name], predictions[index], targets.values[index], weights)
        return {"losses": means, "metrics": kept}

    @functools.cached_property
    def log_names(self) -> tuple[str, ...]:
        """The names in the logs in the order in which they are shown; jit returns dicts sorted."""
        own = f"{self.names[0]}_loss" if len(self.names) == 1 else None
        losses = [name for name in self.loss_names if name != own]
        return (*losses, *(name for _, name, _, _ in self.each_metric()))

    def logs(self, sums: Mapping[str, Any]) -> dict[str, Array]:
        """What the running sums say: the mean losses, and the metrics."""
        means = {name: total / jnp.maximum(count, 1) for name, (total, count) in sums["losses"].items()}
        values = {name: metric.compute(sums["metrics"][name]) for _, name, metric, _ in self.each_metric()}
        everything = {**means, **values}
        return {name: everything[name] for name in self.log_names}

    @property
    def loss_names(self) -> tuple[str, ...]:
        """The losses that are logged: the sum, each output's, the penalty on weights; and weights that move."""
        each = [f"{name}_loss" for name, loss in zip(self.names, self.losses, strict=True) if loss is not None]
        is_penalised = any(weight.regularizer is not None for weight in self.declared.values())
        balanced = [] if self.balance is None else [f"{name}_weight" for name in self.balance.names]
        return ("loss", *each, *(["regularization_loss"] if is_penalised else []), *balanced)

    def each_metric(self) -> list[tuple[int, str, Any, bool]]:
        """(output, name in the logs, metric, whether sample weights count) of every metric."""
        found, taken = [], set(self.loss_names)
        for bound, is_weighted in ((self.metrics, False), (self.weighted_metrics, True)):
            for index, metrics in enumerate(bound):
                prefix = f"{self.names[index]}_" if len(self.names) > 1 else ""
                for name, metric in metrics:
                    own = _unlike(taken, prefix + name, f"{prefix}weighted_{name}" if is_weighted else prefix + name)
                    taken.add(own)
                    found.append((index, own, metric, is_weighted))
        return found


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Targets:
    """What a batch's outputs should be.

    Args:
        values: for each output an array, or None where the batch says nothing of it.
        weights: for each output sample weights (batch, ...), or None.
        present: (batch,) booleans, False for rows that only pad the batch; None where all are real.
    """

    values: tuple[Any, ...]
    weights: tuple[Any, ...]
    present: Array | None = None

    def count(self) -> Array:
        """How many examples the batch has."""
        if self.present is not None:
            return jnp.sum(self.present.astype(zeros().dtype))
        sizes = [value.shape[0] for value in self.values if value is not None]
        return jnp.asarray(float(sizes[0]) if sizes else 0.0, zeros().dtype)

    def metric_weights(self, index: int, mask: Any, is_weighted: bool) -> Array | None:
        """What multiplies each value in a metric: the mask, the rows present, the sample weights where they count."""
        factors = [
            factor
            for factor in (mask, self.present, self.weights[index] if is_weighted else None)
            if factor is not None
        ]
        if not factors:
            return None
        rank = max(factor.ndim for factor in factors)
        wide = [factor.reshape(factor.shape + (1,) * (rank - factor.ndim)).astype(zeros().dtype) for factor in factors]
        product = wide[0]
        for factor in wide[1:]:
            product = product * factor
        return product


def bind(
    graph: Graph,
    loss: Any,
    loss_weights: Any = None,
    metrics: Any = None,
    weighted_metrics: Any = None,
    *,
    from_logits: bool = True,
) -> Objective:
    """Binds what the user gave to the graph's outputs.

    Args:
        loss: a Keras name, a `jg.losses` object or a function (y_true, y_pred); one, a list, or a dict by output name.
        loss_weights: numbers likewise; 1 where left out; or "uncertainty" or "gradnorm", which balance the losses.
        metrics, weighted_metrics: names or `jg.metrics` objects; a list of them for each output.
        from_logits: whether losses that can read logits do.
    Raises: GraphError that lists names that are not outputs, unknown losses and metrics.
    """
    names = graph.output_names
    bound = [None if item is None else loss_functions.get(item) for item in by_output(loss, names, "loss")]
    if all(item is None for item in bound):
        raise GraphValueError(
            "No output has a loss.",
            expected=f"a loss for at least one of {list(names)}",
            fix='Trainer(graph, loss="mse")',
        )
    way = loss_weights if isinstance(loss_weights, str) else None
    given = None if way else loss_weights
    weights = [_weight(item) for item in by_output(given, names, "loss_weights", missing=1.0)]
    with_more, on_logits, kinds = _on_logits(graph, bound, from_logits)
    return Objective(
        with_more,
        names,
        on_logits,
        tuple(weights),
        _metrics(graph, bound, metrics, "metrics"),
        _metrics(graph, bound, weighted_metrics, "weighted_metrics"),
        kinds,
        learned(with_more),
        balance(way, with_more, names, on_logits) if way else None,
    )


def _on_logits(
    graph: Graph, losses: Sequence[Any], wanted: bool
) -> tuple[Graph, tuple[Any, ...], tuple[Kind | None, ...]]:
    """The graph with the logits that losses can read, those losses, and the activations that they undo."""
    _, ends = with_logits(graph, [wanted and loss is not None for loss in losses])
    # A loss of one activation behind another, such as a binary one on a softmax, reads the output itself.
    read = [None if kind is None else loss.on_logits(kind) for loss, kind in zip(losses, ends, strict=True)]
    with_more, kinds = with_logits(graph, [loss is not None for loss in read])
    return with_more, tuple(new or own for new, own in zip(read, losses, strict=True)), kinds


def _metrics(graph: Graph, losses: Sequence[Any], given: Any, what: str) -> tuple[tuple[tuple[str, Any], ...], ...]:
    """The metrics of each output with their names."""
    each = by_output(_nested(given, graph.output_names), graph.output_names, what)
    return tuple(
        tuple(metric_functions.bind(metric, tensor.spec, loss=loss) for metric in _listed(metrics))
        for metrics, tensor, loss in zip(each, graph.flat_outputs, losses, strict=True)
    )


def _unlike(taken: Collection[str], name: str, other: str) -> str:
    """A name in the logs that is not taken: `name`, then `other`, then `other` numbered; as Keras has it."""
    numbered = (f"{other}_{number}" for number in itertools.count(1))
    return next(one for one in itertools.chain((name, other), numbered) if one not in taken)


def _times(weight: Any, value: Array) -> Array:
    """The product in the loss' own dtype."""
    return (weight.astype(value.dtype) if hasattr(weight, "astype") else weight) * value


def _nested(metrics: Any, names: Sequence[str]) -> Any:
    """A list of metrics for the one output of a graph is that output's entry; so is a list that holds that list."""
    is_flat = isinstance(metrics, (list, tuple)) and not any(isinstance(item, (list, tuple)) for item in metrics)
    return [metrics] if len(names) == 1 and is_flat else metrics


def _listed(metrics: Any) -> list[Any]:
    if metrics is None:
        return []
    return list(metrics) if isinstance(metrics, (list, tuple)) else [metrics]


def _weight(value: Any) -> float:
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise GraphTypeError("A loss weight is a number.", received=repr(value), fix="loss_weights=[0.25, 1.0, 10.0]")
    return float(value)
