"""Many trainings of one graph in one compiled step: an axis of members in front of every array of the state."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxgraphs.errors import GraphValueError
from jaxgraphs.training.batch import Batch
from jaxgraphs.training.compiled import Compiled
from jaxgraphs.training.feeding import Arrays, arrays_of, order_of, split
from jaxgraphs.training.objective import Objective
from jaxgraphs.training.optimizers.rate import with_learning_rate
from jaxgraphs.training.precision import check_precision
from jaxgraphs.training.step import TrainState, init_state, make_eval_step, make_train_step

Array = jax.Array
PyTree = Any
History = dict[str, np.ndarray]
"""Name in the logs -> (epochs, members) numbers."""


@dataclasses.dataclass(frozen=True)
class Member:
    """What sets one training apart from the others.

    Args:
        seed: of its key.
        learning_rate: None is the optimizer's own.
        loss_weights: one for each output; None is the trainer's.
    """

    seed: int
    learning_rate: float | None = None
    loss_weights: tuple[float, ...] | None = None


class Members:
    """Trains members side by side; each comes out as if it had been trained alone.

    Args:
        trainer: has the graph, the objective and the optimizer. Where it has a mesh, whole members lie along its rows'
            axis; precision and `remat` hold, `accumulate` and `strategy` are refused.
        members: at least one; they differ in numbers, not in shapes.
    """

    def __init__(self, trainer: Any, members: Sequence[Member]) -> None:
        if not members:
            raise GraphValueError("There is nothing to train: no members.", expected="at least one")
        if trainer.execution.strategy != "jit" or trainer.execution.accumulate > 1:
            raise GraphValueError(
                "Many members are trained each as a whole.",
                received='a Trainer with strategy="pmap" or accumulate above 1',
                fix="a Trainer without them",
            )
        if trainer.peers is not None:
            raise GraphValueError(
                "Many members are trained within one process.",
                received=f"a mesh with devices of {trainer.peers.count} processes",
                fix="jg.sharding.make_mesh(jax.local_devices()), and in each process members of its own",
            )
        self.trainer, self.members = trainer, tuple(members)
        self._weights = self._loss_weights()
        way = dataclasses.replace(trainer.execution.way(trainer.objective.graph), mesh=None, axis=None)

        def train(state: TrainState, sums: PyTree, batch: Batch, weights: Any) -> Any:
            state, sums, _ = make_train_step(self._objective(weights), trainer.optimizer, way)(state, sums, batch)
            return state, sums

        def evaluate(variables: Any, sums: PyTree, batch: Batch, weights: Any) -> PyTree:
            return make_eval_step(self._objective(weights))(variables, sums, batch)

        plan = trainer.plan()
        self._train = {
            own: Compiled(
                jax.vmap(train, (0, 0, 0 if own else None, 0)), lambda: plan.training.options, donate_argnums=0
            )
            for own in (0, 1)
        }
        self._evaluate = Compiled(jax.vmap(evaluate, (0, 0, None, 0)), lambda: plan.evaluating.options)
        self._predict = Compiled(jax.vmap(_predict_step(trainer), (0, None)), lambda: plan.predicting.options)

    def init(self) -> TrainState:
        """The members' states as one, a new first axis in each array."""
        keys = jnp.stack([jax.random.key(member.seed) for member in self.members])
        return self.init_from(keys)

    def init_from(self, keys: Array) -> TrainState:
        """The same from one key for each member."""
        objective, optimizer = self.trainer.objective, self.trainer.optimizer
        state = jax.vmap(lambda key: init_state(objective, optimizer, key, None))(keys)
        rates = [member.learning_rate for member in self.members]
        if any(rate is not None for rate in rates):
            # The optimizer's own state says which number a rate is; each member's replaces it.
            opt_state = jax.vmap(with_learning_rate)(state.opt_state, jnp.asarray(rates, jnp.float32))
            state = state.replace(opt_state=opt_state)
        return self._placed(state)

    def fit(
        self,
        state: TrainState,
        x: Any,
        y: Any,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        class_weight: Any = None,
        validation_data: Any = None,
        validation_split: float = 0.0,
    ) -> tuple[TrainState, History]:
        """Trains all members; each reads the rows in its own key's order, as `Trainer.fit` does.

        Args: as for `Trainer.fit`; data in memory.
        Returns: the members' states; and name -> (epochs, members) numbers, those of validation as ``val_...``.
        """
        data, held_out = arrays_of(self.trainer.graph, x, y, sample_weight, class_weight), None
        if validation_split:
            data, held_out = split(data, validation_split)
        if validation_data is not None:
            held_out = arrays_of(self.trainer.graph, *validation_data)
        state, records = self._placed(jax.tree.map(jnp.array, state)), []
        keys = [state.key[index] for index in range(len(self.members))]
        for epoch in range(epochs):
            orders = [order_of(key, epoch, data.size) for key in keys] if shuffle else None
            sums = self._empty()
            for batch in self._batches(data, batch_size, orders):
                state, sums = self._train[int(shuffle)](state, sums, batch, self._weights)
            logs = self._logs(sums)
            if held_out is not None:
                logs |= {f"val_{name}": value for name, value in self._evaluated(state, held_out, batch_size).items()}
            records.append(logs)
        return state, {name: np.stack([record[name] for record in records]) for name in (records[0] if records else {})}

    def evaluate(
        self, state: TrainState, x: Any, y: Any, *, batch_size: int = 32, sample_weight: Any = None
    ) -> dict[str, np.ndarray]:
        """Each member's losses and metrics: name -> (members,)."""
        return self._evaluated(state, arrays_of(self.trainer.graph, x, y, sample_weight), batch_size)

    def predict(self, state: TrainState, x: Any, *, batch_size: int = 32) -> PyTree:
        """Each member's predictions, (members, examples, ...), in the outputs' arrangement."""
        data = arrays_of(self.trainer.graph, x, None)
        parts = []
        for batch in self._batches(data, batch_size, None):
            count = len(batch.inputs[0]) if batch.targets.present is None else int(np.sum(batch.targets.present))
            outputs = self._predict(state.variables, batch.inputs)
            parts.append(jax.tree.map(lambda leaf, rows=count: np.asarray(leaf)[:, :rows], outputs))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=1), *parts)

    def one(self, state: TrainState, index: int) -> TrainState:
        """One member's state, as `Trainer` takes it."""
        return jax.tree.map(lambda leaf: leaf[index], state)

    def _evaluated(self, state: TrainState, data: Arrays, batch_size: int) -> dict[str, np.ndarray]:
        sums = self._empty()
        for batch in self._batches(data, batch_size, None):
            sums = self._evaluate(state.variables, sums, batch, self._weights)
        return self._logs(sums)

    def _batches(self, data: Arrays, batch_size: int, orders: Sequence[np.ndarray] | None) -> Iterator[Batch]:
        """Batches for all members; with an order for each member, an axis of members in front."""
        trainer, size = self.trainer, min(batch_size, data.size)
        if orders is None:
            yield from map(trainer._typed, data.batches(size, can_pad=trainer._can_pad))
            return
        each = [data.batches(size, order, can_pad=trainer._can_pad) for order in orders]
        for batches in zip(*each, strict=True):
            yield self._placed(jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(trainer._typed, batches)))

    def _empty(self) -> PyTree:
        empty, count = self.trainer.objective.empty(), len(self.members)
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (count, *leaf.shape)), empty)

    def _logs(self, sums: PyTree) -> dict[str, np.ndarray]:
        objective = self.trainer.objective
        logs = jax.device_get(jax.vmap(objective.logs)(sums))
        return {name: np.asarray(logs[name]) for name in objective.log_names}

    def _objective(self, weights: Any) -> Objective:
        objective = self.trainer.objective
        return objective if weights is None else dataclasses.replace(objective, weights=tuple(weights))

    def _loss_weights(self) -> tuple[Array, ...] | None:
        own = self.trainer.objective.weights
        rows = [own if member.loss_weights is None else member.loss_weights for member in self.members]
        if all(member.loss_weights is None for member in self.members):
            return None
        is_wide = "float64" in check_precision(self.trainer.execution.precision).values()
        dtype = jnp.float64 if is_wide else jnp.float32
        return tuple(jnp.asarray(column, dtype) for column in zip(*rows, strict=True))

    def _placed(self, tree: PyTree) -> PyTree:
        """Whole members on devices of the trainer's mesh, where their number divides evenly."""
        layout = self.trainer.execution.layout
        if layout is None:
            return tree
        is_even = len(self.members) % layout.shards == 0
        spec = PartitionSpec(layout.axis) if is_even else PartitionSpec()
        return jax.device_put(tree, NamedSharding(layout.mesh, spec))


def _predict_step(trainer: Any) -> Callable[[Mapping[str, Any], tuple[Any, ...]], PyTree]:
    return lambda variables, inputs: trainer._predict(variables, inputs)
