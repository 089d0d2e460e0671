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
from jaxgraphs.graph.module import updated
from jaxgraphs.graph.run import run_graph
from jaxgraphs.symbolic.context import Context
from jaxgraphs.training.objective import Objective, Targets
from jaxgraphs.training.regularization import constrain

Array = jax.Array
PyTree = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that a training run carries from step to step; a pytree.

    Args:
        step: how many steps were made, an int32 scalar.
        params: what is learned, by layer and name.
        model_state: what layers carry, such as batch statistics, by collection.
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

    def replace(self, **changes: Any) -> TrainState:
        """The same with some fields changed."""
        return dataclasses.replace(self, **changes)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Batch:
    """Inputs in the graph's order, and targets."""

    inputs: tuple[Any, ...]
    targets: Targets


def init_state(
    graph: Graph, optimizer: optax.GradientTransformation, key: Array, variables: Mapping[str, Any] | None
) -> TrainState:
    """The state before the first step: fresh arrays, or those given."""
    init_key, run_key = jax.random.split(key)
    variables = graph.init(init_key) if variables is None else variables
    params = variables.get("params", {})
    model_state = {name: tree for name, tree in variables.items() if name != "params"}
    learned, _ = partition(params, trainable_mask(graph, params))
    return TrainState(jnp.zeros((), jnp.int32), params, model_state, optimizer.init(learned), run_key)


def make_train_step(objective: Objective, optimizer: optax.GradientTransformation) -> Callable[..., Any]:
    """(state, sums, batch) -> (state, sums, logs): one step of the optimizer, and the epoch's running sums."""

    def train_step(state: TrainState, sums: PyTree, batch: Batch) -> tuple[TrainState, PyTree, dict[str, Array]]:
        learned, fixed = partition(state.params, trainable_mask(objective.graph, state.params))
        key = jax.random.fold_in(state.key, state.step)

        def loss_of(learned: PyTree) -> tuple[Array, Any]:
            params = combine(learned, fixed)
            return forward(objective, params, state.model_state, batch, train=True, key=key)

        gradients, (total, parts, model_state, outputs, masks) = jax.grad(loss_of, has_aux=True)(learned)
        changes, opt_state = optimizer.update(gradients, state.opt_state, learned)
        params = constrain(objective.declared, combine(optax.apply_updates(learned, changes), fixed))
        sums = objective.accumulate(sums, total, parts, outputs, masks, batch.targets)
        state = TrainState(state.step + 1, params, model_state, opt_state, state.key)
        return state, sums, objective.logs(sums)

    return train_step


def make_eval_step(objective: Objective) -> Callable[..., Any]:
    """(variables, sums, batch) -> sums: the running sums with one more batch, computed as at inference."""

    def eval_step(variables: Mapping[str, Any], sums: PyTree, batch: Batch) -> PyTree:
        state = {name: tree for name, tree in variables.items() if name != "params"}
        _, (total, parts, _, outputs, masks) = forward(objective, variables["params"], state, batch, train=False)
        return objective.accumulate(sums, total, parts, outputs, masks, batch.targets)

    return eval_step


def make_predict_step(graph: Graph) -> Callable[..., Any]:
    """(variables, inputs) -> outputs, as at inference."""

    def predict_step(variables: Mapping[str, Any], inputs: tuple[Array, ...]) -> PyTree:
        return run_graph(graph, variables, inputs, Context(name=graph.name or "graph")).outputs

    return predict_step


def forward(
    objective: Objective, params: PyTree, model_state: PyTree, batch: Batch, *, train: bool, key: Array | None = None
) -> tuple[Array, Any]:
    """The total loss of a batch; and (total, its parts, new model state, outputs, masks)."""
    rngs = {} if key is None else {"dropout": key}
    context = Context(train=train, rngs=rngs, name=objective.graph.name or "graph", present=batch.targets.present)
    variables = {"params": params, **model_state}
    ran = run_graph(objective.graph, variables, batch.inputs, context)
    outputs = jax.tree.leaves(ran.outputs)
    masks = jax.tree.leaves(ran.masks, is_leaf=lambda leaf: leaf is None)
    total, parts = objective.loss(outputs, masks, batch.targets, params)
    for extra in ran.losses:
        total = total + extra.astype(total.dtype)
    changed = updated(variables, ran)
    state = {name: changed.get(name, tree) for name, tree in model_state.items()}
    return total, (total, parts, state, outputs, masks)


def partition(params: PyTree, mask: PyTree) -> tuple[PyTree, PyTree]:
    """The learned and the fixed arrays, each with None in the other's places: the optimizer sees no frozen one."""
    learned = jax.tree.map(lambda leaf, is_learned: leaf if is_learned else None, params, mask)
    fixed = jax.tree.map(lambda leaf, is_learned: None if is_learned else leaf, params, mask)
    return learned, fixed


def combine(learned: PyTree, fixed: PyTree) -> PyTree:
    """The inverse of `partition`."""
    return jax.tree.map(lambda a, b: b if a is None else a, learned, fixed, is_leaf=lambda leaf: leaf is None)
