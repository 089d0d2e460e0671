"""The learning rate in an optimizer's state: read and replaced between steps, without another compilation."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxgraphs.errors import GraphValueError

PyTree = Any


def learning_rate(opt_state: PyTree) -> Array | None:
    """The learning rate held in `opt_state`: that of the last step where a schedule gives it.

    Args:
        opt_state: the state of any Optax transformation.
    Returns: the rate, a scalar; None where the state holds none, as with a bare ``optax.adam(0.001)``.

    >>> import optax
    >>> from jaxgraphs.training.optimizers import adam
    >>> float(learning_rate(adam(0.5).init(jnp.zeros(2))))
    0.5
    >>> learning_rate(optax.adam(0.5).init(jnp.zeros(2))) is None
    True
    """
    found = [node for node in jax.tree.leaves(opt_state, is_leaf=_holds_rate) if _holds_rate(node)]
    return jnp.asarray(found[0].hyperparams["learning_rate"]) if found else None


def with_learning_rate(opt_state: PyTree, rate: ArrayLike) -> PyTree:
    """`opt_state` with `rate` as its learning rate, of the dtype and the place of the old one.

    Args:
        opt_state: the state of one of these optimizers, or of ``optax.inject_hyperparams``.
        rate: the new rate, a scalar.
    Returns: a new state; the old one is intact.
    Raises: GraphValueError where the state holds no rate, or where a schedule gives it.

    >>> from jaxgraphs.training.optimizers import adam
    >>> float(learning_rate(with_learning_rate(adam(0.5).init(jnp.zeros(2)), 0.25)))
    0.25
    """
    nodes = [node for node in jax.tree.leaves(opt_state, is_leaf=_holds_rate) if _holds_rate(node)]
    if not nodes:
        raise GraphValueError(
            "This optimizer's state holds no learning rate to change.",
            fix='a Keras name such as optimizer="adam", or optax.inject_hyperparams(optax.adam)(learning_rate=0.001)',
        )
    if any("learning_rate" in getattr(node, "hyperparams_states", {}) for node in nodes):
        raise GraphValueError(
            "A schedule gives the learning rate of this optimizer; it would overwrite the change.",
            fix="give the optimizer a number to start from, for example adam(learning_rate=0.001)",
        )
    return jax.tree.map(lambda node: _replaced(node, rate), opt_state, is_leaf=_holds_rate)


def _holds_rate(node: Any) -> bool:
    return "learning_rate" in (getattr(node, "hyperparams", None) or {})


def _replaced(node: Any, rate: ArrayLike) -> Any:
    if not _holds_rate(node):
        return node
    old = jnp.asarray(node.hyperparams["learning_rate"])
    return node._replace(hyperparams={**node.hyperparams, "learning_rate": jnp.full_like(old, rate)})
