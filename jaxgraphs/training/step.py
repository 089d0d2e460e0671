"""TrainState, and the steps that turn one state and one batch into the next: pure, each compiled once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxgraphs.graph.count import trainable_mask
from jaxgraphs.graph.graph import Graph
from jaxgraphs.graph.run import run_graph
from jaxgraphs.symbolic.context import Context
from jaxgraphs.training.balancing import COLLECTION
from jaxgraphs.training.batch import Batch, combine, partition
from jaxgraphs.training.gradient import Way, forward, make_gradient
from jaxgraphs.training.norms import gradient_norms
from jaxgraphs.training.objective import Objective
from jaxgraphs.training.precision import kept_where_skipped, loss_scale, widened
from jaxgraphs.training.regularization import constrain

Array = jax.Array
PyTree = Any
# Beside the layers' names in what the optimizer moves; no layer's name has a slash.
_WEIGHTS = "objective/weights"
_MANY = 100


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class TrainState:
    """All that a training run carries from step to step; a pytree.

    Args:
        step: how many steps were made, an int32 scalar.
        params: what is learned, by layer and name.
        model_state: what layers carry, such as batch statistics, by collection; and what balances losses, where asked.
        opt_state: the optimizer's, learning rate included.
        key: from which each step's random keys are derived.
    """

    step: Array
    params: PyTree
    model_state: PyTree
    opt_state: PyTree
    key: Array

    @property
    def variables(self) -> dict[str, Any]:
        """What `graph.apply` takes."""
        return {"params": self.params, **self.model_state}

    def __repr__(self) -> str:
        arrays = [leaf for leaf in jax.tree.leaves(self.params) if hasattr(leaf, "dtype")]
        dtypes = ", ".join(sorted({str(leaf.dtype) for leaf in arrays})) or "none"
        return f"<TrainState: step {self.step}, {sum(leaf.size for leaf in arrays):,} params in {dtypes}>"

    def replace(self, **changes: Any) -> TrainState:
        """The same with some fields changed."""
        # Twice in each step of `train_step`: `dataclasses.replace` takes three times as long.
        return TrainState(**(vars(self) | changes))


def init_state(
    objective: Objective, optimizer: optax.GradientTransformation, key: Array, variables: Mapping[str, Any] | None
) -> TrainState:
    """The state before the first step: fresh arrays, or those given."""
    graph = objective.graph
    init_key, run_key = jax.random.split(key)
    variables = graph.init(init_key) if variables is None else variables
    params = variables.get("params", {})
    model_state = {name: tree for name, tree in variables.items() if name != "params"}
    if objective.balance is not None:
        model_state = {COLLECTION: objective.balance.init(), **model_state}
    learned, _ = partition(params, trainable_mask(graph, params))
    opt_state = _begun(optimizer, _with_weights(objective, learned, model_state))
    return TrainState(jnp.zeros((), jnp.int32), params, model_state, opt_state, run_key)


def _begun(optimizer: optax.GradientTransformation, learned: PyTree) -> PyTree:
    """The optimizer's first state; of many arrays in one compiled call, for a program of each shape takes longer."""
    is_large = len(jax.tree.leaves(learned)) > _MANY
    return (jax.jit(optimizer.init) if is_large else optimizer.init)(learned)


def make_train_step(
    objective: Objective, optimizer: optax.GradientTransformation, way: Way | None = None
) -> Callable[..., Any]:
    """(state, sums, batch) -> (state, sums, logs): one step of the optimizer, and the epoch's running sums.

    Args:
        way: how the gradient is found; all at once where left out.
    """
    gradient = make_gradient(objective, way or Way())

    def train_step(state: TrainState, sums: PyTree, batch: Batch) -> tuple[TrainState, PyTree, dict[str, Array]]:
        learned, fixed = partition(state.params, trainable_mask(objective.graph, state.params))
        key = jax.random.fold_in(state.key, state.step)

        scale = loss_scale(state.opt_state)
        found = gradient(learned, fixed, state.model_state, batch, key, scale)
        gradients, (total, parts, model_state, outputs, masks) = found
        total, parts = objective.balanced(total, parts, state.model_state.get(COLLECTION))
        gradients = _with_slopes(objective, gradients, state.model_state, parts, scale)
        moved = _with_weights(objective, learned, state.model_state)
        changes, opt_state = optimizer.update(gradients, state.opt_state, moved)
        new: Any = optax.apply_updates(moved, changes)
        if objective.balance is not None:
            norms = gradient_norms(objective, learned, fixed, state.model_state, batch, key)
            carried = state.model_state[COLLECTION]
            carried = objective.balance.moved(carried, new.pop(_WEIGHTS), objective.unweighted(parts), norms)
            model_state = {**model_state, COLLECTION: carried}
        params = constrain(objective.declared, combine(new, fixed))
        model_state = kept_where_skipped(opt_state, model_state, state.model_state)
        sums = objective.accumulate(sums, total, parts, outputs, masks, batch.targets)
        state = TrainState(state.step + 1, params, model_state, opt_state, state.key)
        return state, sums, objective.logs(sums)

    return train_step


def _with_weights(objective: Objective, learned: PyTree, model_state: Mapping[str, Any]) -> PyTree:
    """What the optimizer moves: params, and the loss weights that are learned with them."""
    if objective.balance is None:
        return learned
    return {**learned, _WEIGHTS: objective.balance.learned(model_state[COLLECTION])}


def _with_slopes(
    objective: Objective, gradients: PyTree, model_state: Mapping[str, Any], parts: Mapping[str, Array], scale: Any
) -> PyTree:
    """The gradients to what `_with_weights` gives."""
    if objective.balance is None:
        return gradients
    slopes = objective.balance.gradients(model_state[COLLECTION], objective.unweighted(parts))
    return {
        **gradients,
        _WEIGHTS: slopes if scale is None else jax.tree.map(lambda slope: slope * scale.astype(slope.dtype), slopes),
    }


def make_one_step(
    step: Callable[..., Any], empty: Callable[[], PyTree], arranged: Callable[[PyTree], Batch]
) -> Callable[..., Any]:
    """(state without its key, key, batch) -> (such a state, logs): its batch's alone; no sums go in or come out.

    On an accelerator a small step takes a fraction of a millisecond, as long as a batch takes to be looked at: names,
    order, shapes and dtypes. Here that is done when the step is compiled. The key stays where it is, for to hand one
    out of compiled code takes as long as several arrays.

    Args:
        step: of `make_train_step`, as it is laid out.
        empty: gives the running sums of nothing.
        arranged: a Batch of one as it was given.
    """

    def one_step(state: TrainState, key: Array, batch: Any) -> tuple[TrainState, dict[str, Array]]:
        batch = batch if isinstance(batch, Batch) else arranged(batch)
        state, _, logs = step(state.replace(key=key), empty(), batch)
        return state.replace(key=None), logs

    return one_step


def make_many_steps(step: Callable[..., Any]) -> Callable[..., Any]:
    """(state, sums, batches) -> (state, sums, logs): a step for each of several batches, stacked, in one call."""

    def many_steps(state: TrainState, sums: PyTree, batches: Batch) -> tuple[TrainState, PyTree, dict[str, Array]]:
        def one(carry: tuple[TrainState, PyTree], batch: Batch) -> tuple[Any, dict[str, Array]]:
            state, sums, logs = step(*carry, batch)
            return (state, sums), logs

        (state, sums), logs = jax.lax.scan(one, (state, sums), batches)
        return state, sums, jax.tree.map(lambda leaf: leaf[-1], logs)

    return many_steps


def make_eval_step(objective: Objective) -> Callable[..., Any]:
    """(variables, sums, batch) -> sums: the running sums with one more batch, computed as at inference."""

    def eval_step(variables: Mapping[str, Any], sums: PyTree, batch: Batch) -> PyTree:
        state = {name: tree for name, tree in variables.items() if name != "params"}
        _, (total, parts, _, outputs, masks) = forward(objective, variables["params"], state, batch, train=False)
        total, parts = objective.balanced(total, parts, state.get(COLLECTION))
        return objective.accumulate(sums, total, parts, outputs, masks, batch.targets)

    return eval_step


def make_predict_step(graph_of: Callable[[], Graph]) -> Callable[..., Any]:
    """(variables, inputs) -> outputs, as at inference; those of half precision as float32.

    Args:
        graph_of: gives the graph when the step is compiled.
    """

    def predict_step(variables: Mapping[str, Any], inputs: tuple[Array, ...]) -> PyTree:
        graph = graph_of()
        return widened(run_graph(graph, variables, inputs, Context(name=graph.name or "graph")).outputs)

    return predict_step
