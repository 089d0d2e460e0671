"""Optimizers that follow the gradient, scaled: SGD, RMSprop, Adagrad, Adadelta and Lion."""

from __future__ import annotations

from typing import Unpack

import optax

from jaxgraphs.training.optimizers.base import Options, Rate, check_number, follow, row_wise, transformation


def sgd(
    learning_rate: Rate = 0.01, momentum: float = 0.0, nesterov: bool = False, **options: Unpack[Options]
) -> optax.GradientTransformation:
    """Gradient descent, as in Keras: m <- momentum m - rate g; w <- w + m, or with Nesterov w + momentum m - rate g.

    Args:
        learning_rate: a number, or a schedule: a function of the number of steps done.
        momentum: in [0, 1); 0 is plain descent.
        nesterov: whether the gradient's step is taken ahead of the momentum's.
        options: ``weight_decay``, and one of ``clipnorm``, ``clipvalue``, ``global_clipnorm``.
    Returns: a transformation whose state holds the rate.
    Raises: GraphValueError for a number out of range, or an unknown option.
    Reference: Sutskever et al. (2013), On the importance of initialization and momentum in deep learning, ICML.

    >>> import jax.numpy as jnp
    >>> optimizer = sgd(0.5)
    >>> update, _ = optimizer.update(jnp.ones(2), optimizer.init(jnp.zeros(2)), jnp.zeros(2))
    >>> update.tolist()
    [-0.5, -0.5]
    """
    check_number("momentum", momentum, below=1.0)
    made = transformation(follow(optax.identity(), momentum, nesterov), learning_rate, options)
    return made if momentum else row_wise(made, 1.0, options)


def rmsprop(
    learning_rate: Rate = 0.001,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    centered: bool = False,
    **options: Unpack[Options],
) -> optax.GradientTransformation:
    """RMSprop, as in Keras: v <- rho v + (1 - rho) g²; w <- w - rate g / sqrt(v + epsilon).

    Args:
        learning_rate, options: as for `sgd`.
        rho: how slowly the mean of g² moves, in [0, 1).
        momentum: in [0, 1), of the steps; the rate enters it.
        epsilon: added to v inside the root.
        centered: whether the square of the mean of g is taken off v.
    Returns: a transformation whose state holds the rate.
    Raises: GraphValueError for a number out of range, or an unknown option.
    Reference: Hinton (2012), Neural networks for machine learning, lecture 6e.
    """
    check_number("rho", rho, below=1.0)
    check_number("momentum", momentum, below=1.0)
    scale = optax.scale_by_stddev if centered else optax.scale_by_rms
    made = transformation(follow(scale(rho, epsilon, eps_in_sqrt=True), momentum), learning_rate, options)
    return made if momentum or centered else row_wise(made, rho, options)


def adagrad(
    learning_rate: Rate = 0.001,
    initial_accumulator_value: float = 0.1,
    epsilon: float = 1e-7,
    **options: Unpack[Options],
) -> optax.GradientTransformation:
    """Adagrad, as in Keras: v <- v + g²; w <- w - rate g / sqrt(v + epsilon).

    Args:
        learning_rate, options: as for `sgd`.
        initial_accumulator_value: the first v, not negative.
        epsilon: added to v inside the root.
    Returns: a transformation whose state holds the rate.
    Raises: GraphValueError for a number out of range, or an unknown option.
    Reference: Duchi et al. (2011), Journal of Machine Learning Research 12, 2121-2159.
    """
    check_number("initial_accumulator_value", initial_accumulator_value)
    rule = follow(optax.scale_by_rss(initial_accumulator_value, epsilon))
    return row_wise(transformation(rule, learning_rate, options), 1.0, options)


def adadelta(
    learning_rate: Rate = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **options: Unpack[Options]
) -> optax.GradientTransformation:
    """Adadelta, as in Keras: d = g sqrt(u + epsilon) / sqrt(v + epsilon); w <- w - rate d, u and v means of d² and g².

    Args:
        learning_rate, options: as for `sgd`.
        rho: how slowly the means move, in [0, 1).
        epsilon: added inside both roots.
    Returns: a transformation whose state holds the rate.
    Raises: GraphValueError for a number out of range, or an unknown option.
    Reference: Zeiler (2012), Adadelta: an adaptive learning rate method, arXiv:1212.5701.
    """
    check_number("rho", rho, below=1.0)
    return transformation(follow(optax.scale_by_adadelta(rho, epsilon)), learning_rate, options)


def lion(
    learning_rate: Rate = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **options: Unpack[Options]
) -> optax.GradientTransformation:
    """Lion, as in Keras: w <- w - rate sign(beta_1 m + (1 - beta_1) g); m <- beta_2 m + (1 - beta_2) g.

    Args:
        learning_rate, options: as for `sgd`.
        beta_1: the weight of m in the step, in [0, 1).
        beta_2: how slowly m moves, in [0, 1).
    Returns: a transformation whose state holds the rate.
    Raises: GraphValueError for a number out of range, or an unknown option.
    Reference: Chen et al. (2023), Symbolic discovery of optimization algorithms, arXiv:2302.06675.
    """
    check_number("beta_1", beta_1, below=1.0)
    check_number("beta_2", beta_2, below=1.0)
    return transformation(follow(optax.scale_by_lion(beta_1, beta_2)), learning_rate, options)
