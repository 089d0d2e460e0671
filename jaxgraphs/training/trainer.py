"""fit, evaluate, predict: what a user calls."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.errors import GraphTypeError, GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.inputs import fitted_inputs
from jaxgraphs.graph.variables import check_variables
from jaxgraphs.symbolic.keys import check_key
from jaxgraphs.symbolic.node import title
from jaxgraphs.training import optimizers
from jaxgraphs.training.ahead import ahead
from jaxgraphs.training.arguments import (
    check_alone,
    check_counts,
    check_data,
    check_logs,
    check_optimizer,
    check_run,
    check_state,
    check_targets,
)
from jaxgraphs.training.callbacks.base import Callback
from jaxgraphs.training.callbacks.progress import ProgressBar
from jaxgraphs.training.checkpointing.session import open_session
from jaxgraphs.training.compiled import Compiled
from jaxgraphs.training.feeding import Arrays, arrays_of, batch_of, is_in_memory, split, unpack, unpack_batch
from jaxgraphs.training.feeds import ArrayFeed, StreamFeed
from jaxgraphs.training.filling import can_fill
from jaxgraphs.training.history import History
from jaxgraphs.training.loop import Loop, Validation
from jaxgraphs.training.objective import Objective, bind
from jaxgraphs.training.plan import make_plan
from jaxgraphs.training.processes import Peers, Share, fetched, peers_watched
from jaxgraphs.training.resident import kept
from jaxgraphs.training.rewriting import Rewriting, branch_devices, objection_to_rows, rewrite, wants_logits
from jaxgraphs.training.rows import by_rows, lookups, row_entry
from jaxgraphs.training.step import (
    Batch,
    TrainState,
    init_state,
    make_eval_step,
    make_many_steps,
    make_one_step,
    make_predict_step,
    make_train_step,
)

PyTree = Any
_AGAIN = "a generator can be read only once: make a new one"


class Trainer:
    """Trains a graph with pure, compiled steps; holds no arrays itself.

    Args:
        graph: what is trained.
        optimizer: a Keras name, with Keras' hyper-parameters, or an `optax.GradientTransformation`.
        loss: one loss, a list in output order, or a dict by output name; Keras names, `jg.losses` objects or functions
            (y_true, y_pred). Outputs that end in softmax or sigmoid are trained from their logits.
        loss_weights: numbers likewise; the total is the weighted sum. Or "uncertainty" or "gradnorm", which balance
            losses of unlike scale: learned as in Kendall et al. (2018), or by gradients as in Chen et al. (2018).
        metrics, weighted_metrics: names, `jg.metrics` objects or functions; a list of them for each output.
        mesh: devices to train on, such as `jg.sharding.make_mesh()`; a batch's rows lie along its axis "data".
        strategy: "jit": the compiler spreads the step over the mesh; "pmap": each device computes its rows by itself.
        sharding_rules: how params lie on the mesh: `jg.sharding.fully_sharded()`, `.tensor_parallel()`, or layouts by
            patterns of params' paths; whole on each device where left out.
        precision: "bfloat16", "float16", "float64", or these by patterns of layers' paths; params stay float32 but
            under "float64", and losses too.
        accumulate: in how many parts a batch's gradient is computed; less memory, the same step.
        remat: "all", or patterns of layers, whose values are computed again in the backward pass.
        steps_per_call: how many batches one compiled call of `fit` trains on.
        passes: which rewritings of the graph are applied: "all", None, or names such as ``["logits", "pointwise"]``;
            `plan` says what each did. Params keep their names, so that checkpoints do not know of passes.
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
        mesh: Any = None,
        strategy: str = "jit",
        sharding_rules: Any = None,
        precision: Any = None,
        accumulate: int = 1,
        remat: Any = None,
        steps_per_call: int = 1,
        passes: Any = "all",
    ) -> None:
        _check_graph(graph)
        self.graph = graph
        self.execution = make_plan(
            graph,
            precision=precision,
            accumulate=accumulate,
            remat=remat,
            steps_per_call=steps_per_call,
            strategy=strategy,
            mesh=mesh,
            sharding_rules=sharding_rules,
        )
        self.optimizer = self.execution.optimizer(optimizers.get(optimizer))
        self.optimizer_name = optimizer if isinstance(optimizer, str) else None
        objective = bind(graph, loss, loss_weights, metrics, weighted_metrics, from_logits=wants_logits(passes))
        is_spread = self.execution.layout is not None
        devices = () if is_spread else branch_devices(graph, passes)
        self.execution = self.execution.beside(devices)
        objection = objection_to_rows(passes, is_spread=is_spread)
        found = lookups(graph) if objection is None else []
        self.objective: Objective
        self.objective, self._rewriting = rewrite(
            self.execution.objective(objective),
            self.execution.graph(graph),
            passes,
            is_spread=is_spread,
            devices=devices,
            rows=row_entry(found, self.optimizer, objection),
        )
        step = make_train_step(self.objective, self.optimizer, self.execution.way(self.objective.graph))
        step = self.execution.laid_out(by_rows(step, found, self.optimizer))
        plan = self._rewriting
        self._train, self._train_one, self._train_many = (
            Compiled(each, lambda: plan.training.options, donate_argnums=0)
            for each in (step, make_one_step(step, self.objective.empty, self._arranged), make_many_steps(step))
        )
        self._evaluate = Compiled(make_eval_step(self.objective), lambda: plan.evaluating.options)
        predict = make_predict_step(lambda: plan.predicting.graph)
        self._predict = Compiled(predict, lambda: plan.predicting.options)
        self._logs = jax.jit(self.objective.logs)

    def __repr__(self) -> str:
        losses = zip(self.objective.names, self.objective.losses, strict=True)
        trained = ", ".join(name for name, loss in losses if loss is not None)
        return f"<Trainer of {title(self.graph)}: {self.optimizer_name or 'an optimizer'}; losses of {trained}>"

    @functools.cached_property
    def _can_pad(self) -> bool:
        return can_fill(self.graph, self.objective)

    @functools.cached_property
    def _log_shapes(self) -> dict[str, Any]:
        return jax.eval_shape(lambda: self.objective.logs(self.objective.empty()))

    @functools.cached_property
    def peers(self) -> Peers | None:
        """The processes that train together; None where this one is alone."""
        layout = self.execution.layout
        return None if layout is None or layout.share is None else Peers(layout.mesh)

    @property
    def _share(self) -> Share | None:
        return None if self.execution.layout is None else self.execution.layout.share

    def plan(self) -> Rewriting:
        """What the passes rewrote in the graph, and why: ``print(trainer.plan())``."""
        return self._rewriting

    def init(self, key: jax.Array, variables: Mapping[str, Any] | None = None) -> TrainState:
        """The state before the first step.

        Args:
            key: one PRNG key; params, shuffling and dropout derive from it.
            variables: arrays to start from, such as ported ones; copied, so that training leaves them as they are.
        """
        check_key(key, "trainer.init")
        if variables is not None:
            check_variables(self.graph, variables)
            variables = self.execution.variables(self.objective.graph, jax.tree.map(jnp.array, dict(variables)))
        return self.execution.place(init_state(self.objective, self.optimizer, key, variables))

    def _opt_state(self, state: TrainState) -> PyTree:
        """Shapes of what the optimizer keeps for such params."""
        make = partial(init_state, self.objective, self.optimizer)
        return jax.eval_shape(make, state.key, state.variables).opt_state

    def train_step(self, state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        """One step of the optimizer; compiled once. The memory of `state` is reused: go on with the state returned.

        Args:
            state: from `init` or from the step before.
            batch: (x, y) or (x, y, sample_weight); lists in order or dicts by name.
        Returns: the new state; and the batch's losses and metrics, on the device.
        """
        check_state(state, "train_step(state, (x, y))", or_variables=False)
        new, logs = self._train_one(state.replace(key=None), state.key, self._ready(batch))
        # jit returns dicts sorted; the loss comes first.
        return new.replace(key=state.key), {name: logs[name] for name in self.objective.log_names}

    def lowered(self, state: TrainState, batch: Any) -> Any:
        """The training step as JAX lowers it, for `compile`, its costs and its memory; nothing is computed.

        Args: as for `train_step`; the state stays usable.
        """
        check_state(state, "lowered(state, (x, y))", or_variables=False)
        return self._train_one.lower(state.replace(key=None), state.key, self._ready(batch))

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
        resume: Any = None,
        prefetch: int = 2,
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
            resume: a directory, or `jg.Checkpoints(directory, ...)`: the run is saved there and, where a part of it is
                there already, goes on from it to the last bit, whatever `state` is. After SIGTERM it saves and exits
                with status 75.
            prefetch: how many batches of an iterable, or of data too large for the device, a thread makes ready there
                while the device computes; 0 reads each when it is needed. Data that fits is kept on the device, and
                where a CPU computes, arrays in memory are read without a thread.
        Returns: the trained state; and the History. After Ctrl-C both are those of the last whole step.
        """
        check_run(state, callbacks)
        check_counts(
            epochs=epochs,
            batch_size=batch_size,
            initial_epoch=initial_epoch,
            prefetch=prefetch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
        )
        check_optimizer(state, self._opt_state(state))
        check_logs(self._log_shapes)
        start, size = self.execution.place(jax.tree.map(jnp.array, state)), batch_size or 32
        feed, held_out = self._feed(x, y, sample_weight, class_weight, size, shuffle, steps_per_epoch, validation_split)
        loop = Loop(
            trainer=self,
            feed=feed,
            validation=self._validation(
                held_out if validation_data is None else validation_data,
                validation_batch_size or size,
                validation_steps,
                validation_freq,
                prefetch,
            ),
            callbacks=[*(callbacks or ()), *([ProgressBar()] if _verbosity(verbose) else [])],
            epochs=epochs,
            verbose=_verbosity(verbose),
            session=None if resume is None else open_session(resume, self, feed),
            prefetch=prefetch,
            epoch=initial_epoch,
        )
        return loop.go(start)

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
        check_state(state, "evaluate(state, x, y)")
        check_counts(batch_size=batch_size, steps=steps)
        check_logs(self._log_shapes)
        with peers_watched(self.peers):
            call = "evaluate(state, x, y)"
            batches = self._batches(x, y, sample_weight, batch_size or 32, steps, call=call)
            return self._evaluate_batches(self._placed(state), batches)

    def predict(self, state: TrainState | Mapping[str, Any], x: Any, *, batch_size: int | None = None) -> PyTree:
        """The graph's outputs for data, as NumPy arrays in the outputs' arrangement.

        Args:
            state: a TrainState, or variables as `graph.apply` takes them.
            x: arrays, or an iterable of batches of inputs.
        """
        check_state(state, "predict(state, x)")
        check_counts(batch_size=batch_size)
        with peers_watched(self.peers):
            parts = list(self._predictions(state, x, batch_size or 32))
        if not parts:
            raise GraphValueError("There was no batch to predict.", fix=_AGAIN)
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)

    def _predictions(self, state: TrainState | Mapping[str, Any], x: Any, batch_size: int) -> Iterator[PyTree]:
        """Batch after batch, those of real rows."""
        variables = self._placed(state)
        for batch in self._batches(x, None, None, batch_size):
            present = batch.targets.present
            real = slice(None) if present is None else fetched(present)
            outputs = self._predict(variables, self.execution.alone(batch.inputs))
            yield jax.tree.map(lambda leaf, rows=real: fetched(leaf)[rows], outputs)

    def _train_on(self, state: TrainState, sums: PyTree, batches: Sequence[Batch]) -> Any:
        """A step for each of some batches, which are cast already, in one compiled call."""
        shapes = {tuple(jnp.shape(leaf) for leaf in jax.tree.leaves(batch)) for batch in batches}
        if len(batches) > 1 and len(shapes) == 1:
            return self._train_many(state, sums, jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches))
        logs: dict[str, jax.Array] = {}
        for batch in batches:
            state, sums, logs = self._train(state, sums, batch)
        return state, sums, logs

    def _empty(self) -> PyTree:
        """Running sums of nothing."""
        return self.execution.place_whole(self.objective.empty())

    def _placed(self, state: TrainState | Mapping[str, Any]) -> Mapping[str, Any]:
        """Variables where steps read them."""
        variables = state.variables if isinstance(state, TrainState) else state
        placed = self.execution.place_whole(variables) if not isinstance(state, TrainState) else variables
        return self.execution.alone(placed)

    def _evaluate_batches(self, variables: Mapping[str, Any], batches: Iterable[Batch]) -> dict[str, float]:
        sums, batch = self.execution.alone(self._empty()), None
        variables = self.execution.alone(variables)
        for batch in batches:
            sums = self._evaluate(variables, sums, self.execution.alone(batch))
        if batch is None:
            raise GraphValueError("There was no batch to evaluate.", fix=_AGAIN)
        return self._numbers(self._logs(sums))

    def _numbers(self, logs: Mapping[str, Any]) -> dict[str, float]:
        """The logs as Python numbers, in one transfer and in the order in which they are shown."""
        values = jax.device_get(dict(logs))
        return {name: float(values[name]) for name in self.objective.log_names}

    def _ready(self, batch: Any) -> Any:
        """What a compiled step takes: arrays on the one device as they were given, for the step arranges them."""
        leaves = () if self.execution.layout is not None else jax.tree.leaves(batch)
        if leaves and all(isinstance(leaf, jax.Array) for leaf in leaves):
            return batch
        return self._place(self._arranged(batch))

    def _arranged(self, batch: Any) -> Batch:
        """A batch given to `train_step`, in the graph's order and dtypes."""
        data = arrays_of(self.graph, *unpack(batch), is_batch=True)
        return self._typed(batch_of(check_targets(data, "train_step(state, (x, y))")))

    def _batches(
        self,
        x: Any,
        y: Any,
        weight: Any,
        batch_size: int,
        steps: int | None = None,
        *,
        prefetch: int = 0,
        call: str | None = None,
    ) -> Iterator[Batch]:
        """Batches of data in memory, or of an iterable; where `call` is given, they are looked at for it."""
        check = None if call is None else partial(self._checked, call=call)
        if is_in_memory(x):
            data = arrays_of(self.graph, x, y, weight)
            batches = (data if check is None else check(data)).batches(
                min(batch_size, data.size), can_pad=self._can_pad, share=self._share
            )
            return map(self._cast, itertools.islice(batches, steps))
        check_alone(y, weight, call or "predict(state, x)")
        batches = StreamFeed(self.graph, x, None, self._can_pad, check=check, peers=self.peers).epoch(0)
        # Processes agree on each batch, which a thread must not do beside their steps.
        depth = prefetch if self.peers is None else 0
        return ahead(map(partial(self._cast, is_ahead=depth > 0), itertools.islice(batches, steps)), depth)

    def _checked(self, data: Arrays, call: str) -> Arrays:
        return check_data(self.graph, self.objective.losses, data, call)

    def _cast(self, batch: Batch, *, is_ahead: bool = False) -> Batch:
        """The batch as steps read it; one that is made ready ahead is on the device, others go there with the call."""
        placed = self._place(self._typed(batch))
        return jax.tree.map(jnp.asarray, placed) if is_ahead else placed

    def _typed(self, batch: Batch) -> Batch:
        """The batch with its inputs checked against the graph's and in their dtypes."""
        return dataclasses.replace(batch, inputs=tuple(fitted_inputs(self.graph, batch.inputs)))

    def _place(self, batch: Batch) -> Batch:
        return self.execution.place_batch(batch, can_pad=self._can_pad)

    def _validation(
        self, data: Any, batch_size: int, steps: int | None, every: int, prefetch: int
    ) -> Validation | None:
        if data is None:
            return None
        if isinstance(data, Arrays):
            return Validation(_shown(data), self._held_out(data, batch_size, steps), every)
        is_one = isinstance(data, tuple) or is_in_memory(data)
        x, y, weight = unpack_batch(self.graph, data) if is_one else (data, None, None)
        call = "fit(state, x, y, validation_data=(x, y))"
        if is_in_memory(x):
            arrays = self._checked(arrays_of(self.graph, x, y, weight), call)
            shown = data if isinstance(data, tuple) else (x, y, weight)
            return Validation(shown, self._held_out(arrays, batch_size, steps), every)
        again = partial(self._batches, x, y, weight, batch_size, steps, prefetch=prefetch, call=call)
        return Validation(data, again, every)

    def _held_out(self, data: Arrays, batch_size: int, steps: int | None) -> Callable[[], Iterator[Batch]]:
        """Gives the batches of data in memory, again and again."""
        held, size = kept(data, self.execution.layout), min(batch_size, data.size)
        every = partial(held.batches, size, can_pad=self._can_pad, share=self._share)
        return lambda: map(self._cast, itertools.islice(every(), steps))

    def _feed(
        self,
        x: Any,
        y: Any,
        weight: Any,
        class_weight: Any,
        batch_size: int,
        shuffle: bool,
        steps: int | None,
        share: float,
    ) -> tuple[Any, Arrays | None]:
        if is_in_memory(x):
            data, held_out = self._checked(arrays_of(self.graph, x, y, weight, class_weight), "fit(state, x, y)"), None
            if share:
                data, held_out = split(data, share)
            near, size = kept(data, self.execution.layout), min(batch_size, data.size)
            return ArrayFeed(near, size, shuffle, steps, self._can_pad, self._share), held_out
        if x is None or share:
            raise GraphValueError(
                "fit needs data in memory for validation_split." if share else "fit was given no data.",
                received=type(x).__name__,
                expected="arrays" if share else "arrays, or an iterable of batches (x, y)",
                fix="validation_data=(x, y)" if share else "trainer.fit(state, x, y, epochs=10)",
            )
        check_alone(y, weight, "fit(state, x)")
        check = partial(self._checked, call="fit(state, x, y)")
        return StreamFeed(self.graph, x, steps, self._can_pad, class_weight, check, peers=self.peers), None


def _check_graph(graph: Any) -> None:
    if not isinstance(graph, Graph):
        fix = "Trainer(jg.Graph(inputs, outputs), ...)"
        raise GraphTypeError("A Trainer trains a Graph.", received=type(graph).__name__, fix=fix)
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


def _shown(data: Arrays) -> tuple[Any, Any, Any]:
    """Data held out, as callbacks see it: inputs, targets and sample weights."""
    return data.inputs, data.targets, data.weights
