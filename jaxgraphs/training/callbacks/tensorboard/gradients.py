"""The gradients of a batch, for histograms of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from jaxgraphs.graph.count import trainable_mask
from jaxgraphs.training.objective import Objective
from jaxgraphs.training.step import Batch, TrainState, combine, forward, partition


def make_gradients(objective: Objective) -> Callable[[TrainState, Batch], Any]:
    """(state, batch) -> the gradients of the params that are learned, as a next step on that batch would have them."""

    def gradients(state: TrainState, batch: Batch) -> Any:
        learned, fixed = partition(state.params, trainable_mask(objective.graph, state.params))
        key = jax.random.fold_in(state.key, state.step)

        def loss_of(learned: Any) -> Any:
            return forward(objective, combine(learned, fixed), state.model_state, batch, train=True, key=key)[0]

        return jax.grad(loss_of)(learned)

    return gradients
