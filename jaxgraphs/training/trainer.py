"""fit, evaluate, predict: the one loop."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.errors import GraphError, GraphTypeError, GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.inputs import check_inputs
from jaxgraphs.layers.wrap import LinenLayer
from jaxgraphs.symbolic.node import title
from jaxgraphs.training import optimizers
from jaxgraphs.training.callbacks.base import Callback, Run, Stop, dispatch
from jaxgraphs.training.callbacks.progress import ProgressBar
from jaxgraphs.training.feeding import Arrays, arrays_of, batch_of, is_in_memory, order_of, split, stream, unpack
from jaxgraphs.training.history import History
from jaxgraphs.training.interrupt import interrupts_held
from jaxgraphs.training.objective import Objective, bind
from jaxgraphs.training.step import Batch, TrainState, init_state, make_eval_step, make_predict_step, make_train_step

PyTree = Any


class Trainer:
    """Trains a graph with pure, compiled steps; holds no arrays itself.

    Args:
        graph: what is trained.
        optimizer: a Keras name, with Keras' hyper-parameters, or an `optax.GradientTransformation`.
        loss: one loss, a list in output order, or a dict by output name; Keras names, `jg.losses` objects or functions
            (y_true, y_pred). Outputs that end in softmax or sigmoid are trained from their logits.
        loss_weights: numbers likewise; the total is the weighted sum.
        metrics, weighted_metrics: names, `jg.metrics` objects or functions; a list of them for each output.
    Raises: GraphError when a name is not an output, or a loss, metric or optimizer is not known.

    >>> from jaxgraphs.layers.core import Dense
    >>> from jaxgraphs.symbolic.node import Input
    >>> x = Input((2,), name="x")
    >>> trainer = Trainer(Graph(x, Dense(1)(x)), optimizer="sgd", loss="mse")
    >>> state = trainer.init(jax.random.key(0))
    >>> state, logs = trainer.train_step(state, (np.ones((4, 2)), np.ones((4, 1))))
    >>> sorted(logs)
    ['loss']
    """

    def __init__(
        self,
        graph: Graph,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        *,
        weighted_metrics: Any = None,
    ) -> None:
        _check_graph(graph)
        self.graph = graph
        self.optimizer = optimizers.get(optimizer)
        self.objective: Objective = bind(graph, loss, loss_weights, metrics, weighted_metrics)
        self._train = jax.jit(make_train_step(self.objective, self.optimizer), donate_argnums=0)
        self._evaluate = jax.jit(make_eval_step(self.objective))
        self._predict = jax.jit(make_predict_step(graph))
        self._logs = jax.jit(self.objective.logs)
        self._can_pad = not any(isinstance(layer, LinenLayer) for layer in graph.layers)

    def init(self, key: jax.Array, variables: Mapping[str, Any] | None = None) -> TrainState:
        """The state before the first step.

        Args:
            key: one PRNG key; params, shuffling and dropout derive from it.
            variables: arrays to start from, such as ported ones; copied, so that training leaves them as they are.
        """
        if variables is not None:
            variables = jax.tree.map(jnp.array, dict(variables))
        return init_state(self.objective.graph, self.optimizer, key, variables)

    def train_step(self, state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        """One step of the optimizer; compiled once. The memory of `state` is reused: go on with the state returned.

        Args:
            state: from `init` or from the step before.
            batch: (x, y) or (x, y, sample_weight); lists in order or dicts by name.
        Returns: the new state; and the batch's losses and metrics, on the device.
        """
        x, y, weight = unpack(batch)
        state, _, logs = self._train(state, self.objective.empty(), self._batch(x, y, weight))
        return state, logs

    def fit(
        self,
        state: TrainState,
        x: Any = None,
        y: Any = None,
        *,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> tuple[TrainState, History]:
        """Trains for some epochs.

        Args:
            state: where to start; it stays usable, also when training fails.
            x: arrays (one, a list in order, a dict by input name), or an iterable of batches (x, y[, sample_weight]).
            y: targets (one, a list in output order, a dict by output name; None there is an output without a target).
            batch_size: examples in a step, 32 where left out; the last, shorter batch is padded and weighted.
            epochs: the number of the last epoch, counted from `initial_epoch`.
            verbose: 0 silent, 1 a progress bar (plain lines where there is no terminal), 2 one line an epoch.
            callbacks: see `jg.callbacks`.
            validation_split: the share at the data's end that is held out, before shuffling.
            validation_data: (x, y) or (x, y, sample_weight), or an iterable of batches.
            shuffle: whether each epoch has an order of its own, from the state's key.
            class_weight: class -> weight; a dict of these by output name where there are several outputs.
            sample_weight: an array, a list in output order, or a dict by output name.
            steps_per_epoch: ends an epoch after so many batches; an iterable then goes on in the next epoch.
            validation_steps, validation_batch_size, validation_freq: as in Keras.
        Returns: the trained state; and the History. After Ctrl-C both are those of the last whole step.
        """
        feed, held_out = self._feed(
            x, y, sample_weight, class_weight, batch_size or 32, shuffle, steps_per_epoch, validation_split
        )
        if validation_data is None and held_out is not None:
            validation_data = held_out
        loop = _Loop(
            trainer=self,
            feed=feed,
            validation=validation_data,
            validation_options={"batch_size": validation_batch_size or batch_size or 32, "steps": validation_steps},
            validation_freq=validation_freq,
            callbacks=[*(callbacks or ()), *([ProgressBar()] if _verbosity(verbose) else [])],
            epochs=epochs,
            verbose=_verbosity(verbose),
        )
        return loop.run(jax.tree.map(jnp.array, state), initial_epoch)

    def evaluate(
        self,
        state: TrainState | Mapping[str, Any],
        x: Any,
        y: Any = None,
        *,
        batch_size: int | None = None,
        sample_weight: Any = None,
        steps: int | None = None,
    ) -> dict[str, float]:
        """Losses and metrics on data, exactly: padding does not count.

        Args:
            state: a TrainState, or variables as `graph.apply` takes them.
            x, y, sample_weight: as for `fit`.
        Returns: {"loss": ..., "age_loss": ..., "income_accuracy": ...}.
        """
        batches = itertools.islice(self._batches(x, y, sample_weight, batch_size or 32), steps)
        sums, variables, count = self.objective.empty(), _variables(state), 0
        for count, batch in enumerate(batches, start=1):
            sums = self._evaluate(variables, sums, batch)
        if not count:
            raise GraphValueError("There was no batch to evaluate.", fix="a generator can be read only once: make a new one")
        return self._numbers(self._logs(sums))

    def predict(self, state: TrainState | Mapping[str, Any], x: Any, *, batch_size: int | None = None) -> PyTree:
        """The graph's outputs for data, as NumPy arrays in the outputs' arrangement.

        Args:
            state: a TrainState, or variables as `graph.apply` takes them.
            x: arrays, or an iterable of batches of inputs.
        """
        variables, parts = _variables(state), []
        for batch in self._batches(x, None, None, batch_size or 32):
            present = batch.targets.present
            count = len(batch.inputs[0]) if present is None else int(np.sum(present))
            outputs = self._predict(variables, self._device_inputs(batch))
            parts.append(jax.tree.map(lambda leaf, rows=count: np.asarray(leaf)[:rows], outputs))
        if not parts:
            raise GraphValueError("There was no batch to predict.", fix="a generator can be read only once: make a new one")
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)

    def _numbers(self, logs: Mapping[str, Any]) -> dict[str, float]:
        """The logs as Python numbers, in one transfer and in the order in which they are shown."""
        values = jax.device_get(dict(logs))
        return {name: float(values[name]) for name in self.objective.log_names}

    def _batch(self, x: Any, y: Any, weight: Any) -> Batch:
        return self._cast(batch_of(arrays_of(self.graph, x, y, weight)))

    def _batches(self, x: Any, y: Any, weight: Any, batch_size: int) -> Iterator[Batch]:
        if is_in_memory(x):
            data = arrays_of(self.graph, x, y, weight)
            batches = data.batches(min(batch_size, data.size), can_pad=self._can_pad)
        else:
            batches = stream(self.graph, x, can_pad=self._can_pad)
        return map(self._cast, batches)

    def _cast(self, batch: Batch) -> Batch:
        """The batch with its inputs checked against the graph's and in their dtypes."""
        return dataclasses.replace(batch, inputs=tuple(self._device_inputs(batch)))

    def _device_inputs(self, batch: Batch) -> tuple[Any, ...]:
        return tuple(check_inputs(self.graph, batch.inputs))

    def _feed(
        self, x: Any, y: Any, weight: Any, class_weight: Any, batch_size: int, shuffle: bool, steps: int | None, share: float
    ) -> tuple[Any, Arrays | None]:
        if is_in_memory(x):
            data, held_out = arrays_of(self.graph, x, y, weight, class_weight), None
            if share:
                data, held_out = split(data, share)
            return _ArrayFeed(data, min(batch_size, data.size), shuffle, steps, self._can_pad), held_out
        if x is None or share:
            raise GraphValueError(
                "fit needs data in memory for validation_split." if share else "fit was given no data.",
                received=type(x).__name__,
                expected="arrays" if share else "arrays, or an iterable of batches (x, y)",
                fix="validation_data=(x, y)" if share else "trainer.fit(state, x, y, epochs=10)",
            )
        return _StreamFeed(self.graph, x, steps, self._can_pad, class_weight), None


@dataclasses.dataclass
class _ArrayFeed:
    """Epochs over arrays in memory."""

    data: Arrays
    batch_size: int
    shuffle: bool
    limit: int | None
    can_pad: bool

    @property
    def steps(self) -> int | None:
        whole = -(-self.data.size // self.batch_size)
        return whole if self.limit is None else min(whole, self.limit)

    def epoch(self, number: int, key: jax.Array) -> Iterator[Batch]:
        order = order_of(key, number, self.data.size) if self.shuffle else None
        return itertools.islice(self.data.batches(self.batch_size, order, can_pad=self.can_pad), self.limit)


@dataclasses.dataclass
class _StreamFeed:
    """Epochs over an iterable: read from its start each time, or on from where the last epoch ended."""

    graph: Graph
    source: Iterable[Any]
    steps: int | None
    can_pad: bool
    class_weight: Any
    running: Iterator[Batch] | None = None

    def epoch(self, number: int, key: jax.Array) -> Iterator[Batch]:
        if self.steps is None:
            return self._start()
        return self._go_on(self.steps)

    def _start(self) -> Iterator[Batch]:
        return stream(self.graph, self.source, can_pad=self.can_pad, class_weight=self.class_weight)

    def _go_on(self, steps: int) -> Iterator[Batch]:
        for _ in range(steps):
            self.running = self.running or self._start()
            batch = next(self.running, None)
            if batch is None:
                # What can be read again is; a generator cannot, and the epoch ends short.
                self.running = self._start()
                batch = next(self.running, None)
            if batch is None:
                return
            yield batch


@dataclasses.dataclass
class _Loop:
    """One call of fit."""

    trainer: Trainer
    feed: Any
    validation: Any
    validation_options: dict[str, Any]
    validation_freq: int
    callbacks: list[Callback]
    epochs: int
    verbose: int
    history: History = dataclasses.field(default_factory=History)

    def run(self, state: TrainState, first: int) -> tuple[TrainState, History]:
        run = Run(
            graph=self.trainer.graph,
            trainer=self.trainer,
            state=state,
            epoch=first,
            history=self.history.history,
            epochs=self.epochs,
            steps=self.feed.steps,
            validation=self.validation,
            verbose=self.verbose,
        )
        with interrupts_held() as interrupted:
            run, stop = dispatch(self.callbacks, "on_train_begin", run)
            for epoch in range(first, self.epochs):
                if stop:
                    break
                run, stop = self._epoch(dataclasses.replace(run, epoch=epoch, batch=None, logs={}), interrupted)
            self.history.stopped = stop.reason if stop else ""
            run, _ = dispatch(self.callbacks, "on_train_end", run)
        return run.state, self.history

    def _epoch(self, run: Run, interrupted: Any) -> tuple[Run, Stop | None]:
        run, stop = dispatch(self.callbacks, "on_epoch_begin", run)
        logs: Mapping[str, Any] = {}
        sums = self.trainer.objective.empty()
        try:
            for index, batch in enumerate(self.feed.epoch(run.epoch, run.state.key)):
                if stop:
                    break
                run, stop = dispatch(self.callbacks, "on_batch_begin", dataclasses.replace(run, batch=index, logs={}))
                state, sums, logs = self.trainer._train(run.state, sums, self.trainer._cast(batch))
                run = dataclasses.replace(run, state=state, logs=logs)
                run, ended = dispatch(self.callbacks, "on_batch_end", run)
                stop = stop or ended or (Stop("interrupted") if interrupted() else None)
        except KeyboardInterrupt:
            stop = Stop("interrupted")
        if not logs:
            if stop:
                return run, stop
            raise _no_batches(run.epoch)
        if stop and stop.reason == "interrupted":
            return run, stop
        numbers = self.trainer._numbers(logs) | self._validate(run)
        self.history.append(run.epoch, numbers)
        run, ended = dispatch(self.callbacks, "on_epoch_end", dataclasses.replace(run, batch=None, logs=numbers))
        return run, stop or ended

    def _validate(self, run: Run) -> dict[str, float]:
        if self.validation is None or (run.epoch + 1) % self.validation_freq:
            return {}
        data, options = self.validation, dict(self.validation_options)
        if isinstance(data, Arrays):
            logs = self._evaluate_arrays(run.state, data, options["batch_size"])
        elif isinstance(data, tuple):
            x, y, weight = unpack(data)
            logs = self.trainer.evaluate(run.state, x, y, sample_weight=weight, **options)
        else:
            logs = self.trainer.evaluate(run.state, data, **options)
        return {f"val_{name}": value for name, value in logs.items()}

    def _evaluate_arrays(self, state: TrainState, data: Arrays, batch_size: int) -> dict[str, float]:
        trainer, sums = self.trainer, self.trainer.objective.empty()
        for batch in data.batches(min(batch_size, data.size), can_pad=trainer._can_pad):
            sums = trainer._evaluate(state.variables, sums, trainer._cast(batch))
        return trainer._numbers(trainer._logs(sums))


def _check_graph(graph: Any) -> None:
    if not isinstance(graph, Graph):
        raise GraphTypeError("A Trainer trains a Graph.", received=type(graph).__name__, fix="Trainer(jg.Graph(inputs, outputs), ...)")
    if not all(node.is_inferred for node in graph.nodes):
        raise GraphValueError(
            f"{title(graph)} does not know the shape of its input yet.",
            fix="begin it with an Input: Sequential([jg.Input((28, 28, 1)), ...])",
        )


def _verbosity(verbose: int | str) -> int:
    if verbose == "auto":
        return 1
    if verbose not in (0, 1, 2):
        raise GraphValueError("`verbose` is 0, 1, 2 or 'auto'.", received=repr(verbose))
    return int(verbose)


def _variables(state: Any) -> Mapping[str, Any]:
    return state.variables if isinstance(state, TrainState) else state


def _no_batches(epoch: int) -> GraphError:
    return GraphValueError(
        f"Epoch {epoch + 1} had no batch.",
        expected="an iterable that can be read again for each epoch",
        fix="give a list or an object with __iter__, or steps_per_epoch with an endless generator",
    )
