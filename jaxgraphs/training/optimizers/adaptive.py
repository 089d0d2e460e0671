"""Adam and its kin, with epsilon and the corrections where Keras has them; Optax adds epsilon elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

import jax.numpy as jnp
import optax
from jax import Array

from jaxgraphs.errors import GraphValueError
from jaxgraphs.training.optimizers.base import (
    Limits,
    Options,
    Rate,
    Rule,
    check_number,
    lazily,
    leafwise,
    row_wise,
    transformation,
)


def adam(
    learning_rate: Rate = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
    **options: Unpack[Options],
) -> optax.GradientTransformation:
    """Adam, as in Keras: w <- w - rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon).

    Args:
        learning_rate: a number, or a schedule: a function of the number of steps done.
        beta_1, beta_2: how slowly m and v, the means of g and g², move; in [0, 1).
        epsilon: added to the root of v, which is not corrected for its start ("epsilon hat" in the paper).
        amsgrad: whether the largest v so far stands for v.
        options: ``weight_decay``, and one of ``clipnorm``, ``clipvalue``, ``global_clipnorm``.
    Returns: a transformation whose state holds the rate.
    Raises: GraphValueError for a number out of range, or an unknown option.
    Reference: Kingma and Ba (2015), Adam: a method for stochastic optimization, arXiv:1412.6980.

    >>> params = jnp.zeros(2)
    >>> update, state = adam(0.5).update(jnp.ones(2), adam(0.5).init(params), params)
    >>> [round(float(value), 3) for value in update]
    [-0.5, -0.5]
    """
    return transformation(_adam_rule(beta_1, beta_2, epsilon, amsgrad), learning_rate, options)


def adamw(
    learning_rate: Rate = 0.001,
    weight_decay: float = 0.004,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
    **options: Unpack[Limits],
) -> optax.GradientTransformation:
    """`adam` with weight decay: w <- w - rate weight_decay w before each step.

    Raises: GraphValueError for a number out of range, an unknown option, or no weight decay.
    Reference: Loshchilov and Hutter (2019), Decoupled weight decay regularization, arXiv:1711.05101.
    """
    check_number("weight_decay", weight_decay)
    decay: Options = {**options, "weight_decay": weight_decay or None}
    return adam(learning_rate, beta_1, beta_2, epsilon, amsgrad, **decay)


def lazy_adam(
    learning_rate: Rate = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
    **options: Unpack[Limits],
) -> optax.GradientTransformation:
    """`adam` that leaves the rows of embedding tables without a gradient, and their means, as they are.

    Adam moves a word that a batch does not have by the mean of its old gradients. Here it stays until it is seen again,
    so that a step may read and write the rows of a batch alone. These are other numbers than Adam's, which is why
    this optimizer has a name of its own. Arrays that are not named ``embedding`` move as under `adam`.

    Args: as for `adam`; `options` has no ``weight_decay``, which would move every row.
    Returns: a transformation whose state holds the rate.
    Raises: GraphValueError for a number out of range, or an unknown option.
    Reference: LazyAdam of TensorFlow Addons; Kingma and Ba (2015), arXiv:1412.6980.

    >>> params, gradients = {"embedding": jnp.zeros((2, 1))}, {"embedding": jnp.array([[0.0], [2.0]])}
    >>> update, state = lazy_adam(0.5).update(gradients, lazy_adam(0.5).init(params), params)
    >>> update["embedding"].round(3).tolist()
    [[0.0], [-0.5]]
    """
    if dict(options).get("weight_decay"):
        raise GraphValueError(
            "lazy_adam takes no weight_decay: it would move rows that a batch does not have.",
            fix="jg.optimizers.adamw(...), or embeddings_regularizer on the layer",
        )
    made = transformation(lazily(_adam_rule(beta_1, beta_2, epsilon, amsgrad)), learning_rate, Options(**options))
    return row_wise(made, 1.0, Options(**options))


def adamax(
    learning_rate: Rate = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    **options: Unpack[Options],
) -> optax.GradientTransformation:
    """Adamax, as in Keras: u <- max(beta_2 u, |g|); w <- w - rate m / ((1 - beta_1^t) (u + epsilon)).

    Args: as for `adam`.
    Returns: a transformation whose state holds the rate.
    Raises: GraphValueError for a number out of range, or an unknown option.
    Reference: Kingma and Ba (2015), section 7, arXiv:1412.6980.
    """
    beta_1, beta_2 = _betas(beta_1, beta_2)

    def move(g: Array, p: Array, rate: Array, step: Array, m: Array, u: Array) -> tuple[Array, tuple[Array, ...]]:
        m, u = _towards(m, g, beta_1), jnp.maximum(beta_2 * u, jnp.abs(g))
        return -(rate * m) / (_correction(beta_1, step, p) * (u + epsilon)), (m, u)

    rule = leafwise({"momentum": jnp.zeros_like, "norm": jnp.zeros_like}, move)
    return transformation(rule, learning_rate, options)


def nadam(
    learning_rate: Rate = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    **options: Unpack[Options],
) -> optax.GradientTransformation:
    """Nadam, as in Keras: Adam with Nesterov's momentum, whose share is u_t = beta_1 (1 - 0.96^t / 2).

    m' = u_{t+1} m / (1 - u_1 ... u_{t+1}) + (1 - u_t) g / (1 - u_1 ... u_t);
    w <- w - rate m' / (sqrt(v / (1 - beta_2^t)) + epsilon).

    Args: as for `adam`.
    Returns: a transformation whose state holds the rate.
    Raises: GraphValueError for a number out of range, or an unknown option.
    Reference: Dozat (2016), Incorporating Nesterov momentum into Adam, ICLR workshop.
    """
    beta_1, beta_2 = _betas(beta_1, beta_2)

    def move(
        g: Array, p: Array, rate: Array, step: Array, m: Array, v: Array, product: Array
    ) -> tuple[Array, tuple[Array, ...]]:
        share, next_share = (beta_1 * (1.0 - 0.5 * 0.96 ** (step + ahead)) for ahead in (0.0, 1.0))
        product = product * share
        m, v = _towards(m, g, beta_1), _towards(v, jnp.square(g), beta_2)
        old = (next_share / (1.0 - product * next_share)).astype(p.dtype) * m
        new = ((1.0 - share) / (1.0 - product)).astype(p.dtype) * g
        root = jnp.sqrt(v / _correction(beta_2, step, p)) + epsilon
        return -((old + new) * rate) / root, (m, v, product)

    slots = {"momentum": jnp.zeros_like, "velocity": jnp.zeros_like, "product": _wide_one}
    return transformation(leafwise(slots, move), learning_rate, options)


def lamb(
    learning_rate: Rate = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    **options: Unpack[Options],
) -> optax.GradientTransformation:
    """LAMB, as in Keras: Adam's step d, corrected for its start, times |w| / |d| for each parameter array.

    Args: as for `adam`.
    Returns: a transformation whose state holds the rate.
    Raises: GraphValueError for a number out of range, or an unknown option.
    Reference: You et al. (2020), Large batch optimization for deep learning, arXiv:1904.00962.
    """
    beta_1, beta_2 = _betas(beta_1, beta_2)

    def move(g: Array, p: Array, rate: Array, step: Array, m: Array, v: Array) -> tuple[Array, tuple[Array, ...]]:
        m, v = _towards(m, g, beta_1), _towards(v, jnp.square(g), beta_2)
        way = (m / _correction(beta_1, step, p)) / (jnp.sqrt(v / _correction(beta_2, step, p)) + epsilon)
        length, stride = jnp.sqrt(jnp.sum(jnp.square(p))), jnp.sqrt(jnp.sum(jnp.square(way)))
        usable = (length > 0) & (stride > 0)
        ratio = jnp.where(usable, length / jnp.where(usable, stride, 1), 1)
        return -ratio * rate * way, (m, v)

    rule = leafwise({"momentum": jnp.zeros_like, "velocity": jnp.zeros_like}, move)
    return transformation(rule, learning_rate, options)


def _adam_rule(beta_1: float, beta_2: float, epsilon: float, amsgrad: bool) -> Rule:
    slots = {"momentum": jnp.zeros_like, "velocity": jnp.zeros_like, **({"largest": jnp.zeros_like} if amsgrad else {})}
    return leafwise(slots, _adam_move(*_betas(beta_1, beta_2), epsilon))


def _adam_move(beta_1: float, beta_2: float, epsilon: float) -> Callable[..., tuple[Array, tuple[Any, ...]]]:
    def move(g: Array, p: Array, rate: Array, step: Array, m: Array, v: Array, *largest: Array):
        m, v = _towards(m, g, beta_1), _towards(v, jnp.square(g), beta_2)
        largest = tuple(jnp.maximum(each, v) for each in largest)
        scale = rate * jnp.sqrt(_correction(beta_2, step, p)) / _correction(beta_1, step, p)
        return -(m * scale) / (jnp.sqrt(largest[0] if largest else v) + epsilon), (m, v, *largest)

    return move


def _towards(mean: Array, value: Array, beta: float) -> Array:
    return mean + (value - mean) * (1.0 - beta)


def _correction(beta: float, step: Array, like: Array) -> Array:
    """1 - beta^t, in the dtype of `like`: the share of a mean that its steps, and not its start at 0, have given."""
    return (1.0 - beta**step).astype(like.dtype)


def _wide_one(param: Array) -> Array:
    return jnp.ones((), jnp.float64 if param.dtype == jnp.float64 else jnp.float32)


def _betas(beta_1: float, beta_2: float) -> tuple[float, float]:
    check_number("beta_1", beta_1, below=1.0)
    check_number("beta_2", beta_2, below=1.0)
    return beta_1, beta_2
