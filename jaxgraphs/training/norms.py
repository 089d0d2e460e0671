"""How hard each loss pulls at the weights of one layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import optax

from jaxgraphs.training.batch import Batch, combine
from jaxgraphs.training.gradient import forward
from jaxgraphs.training.metrics.metric import zeros
from jaxgraphs.training.objective import Objective

Array = jax.Array


def gradient_norms(
    objective: Objective, learned: Any, fixed: Any, model_state: Mapping[str, Any], batch: Batch, key: Array
) -> dict[str, Array]:
    """The norm of each loss' gradient, before weighting, to the weights of the objective's last shared layer.

    Args:
        learned, fixed: params, apart.
        key: of the step, so that dropout falls as it does there.
    Returns: scalars by the names of the outputs that have a target in the batch; none where no layer is asked about.
    """
    layer = None if objective.balance is None else objective.balance.shared_layer
    if layer is None:
        return {}

    def losses_of(weights: Any) -> dict[str, Array]:
        params = combine({**learned, layer: weights}, fixed)
        _, (_, parts, *_) = forward(objective, params, model_state, batch, train=True, key=key)
        return objective.unweighted(parts)

    gradients = jax.jacrev(losses_of)(learned[layer])
    return {name: optax.tree.norm(tree).astype(zeros().dtype) for name, tree in gradients.items()}
