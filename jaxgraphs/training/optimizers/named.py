"""Keras' optimizers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import optax

from jaxgraphs.errors import GraphTypeError, GraphValueError, did_you_mean
from jaxgraphs.training.optimizers.adaptive import adam, adamax, adamw, lamb, lazy_adam, nadam
from jaxgraphs.training.optimizers.first_order import adadelta, adagrad, lion, rmsprop, sgd
from jaxgraphs.training.optimizers.regularised import adafactor, ftrl

FACTORIES: Mapping[str, Callable[..., optax.GradientTransformation]] = {
    factory.__name__: factory
    for factory in (sgd, rmsprop, adam, adamw, adamax, nadam, lazy_adam, adagrad, adadelta, ftrl, lion, adafactor, lamb)
}

# What Keras writes into a configuration and what has no counterpart here, by the value that leaves it without effect.
WITHOUT_EFFECT: Mapping[str, Any] = {
    "use_ema": False,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
    "ema_overwrite_frequency": None,
}


def get(
    identifier: str | optax.GradientTransformation | Mapping[str, Any],
) -> optax.GradientTransformation:
    """The optimizer that `identifier` names, with Keras' hyper-parameters; an Optax transformation passes as it is.

    Args:
        identifier: a Keras name in any case (``"rmsprop"``, ``"AdamW"``), an ``optax.GradientTransformation``, or
            Keras' ``{"class_name": ..., "config": {...}}``.
    Returns: an Optax transformation.
    Raises: GraphValueError for an unknown name or argument; GraphTypeError for what is none of these.

    >>> import jax
    >>> get("rmsprop").init({"w": jax.numpy.zeros(2)}).hyperparams
    {'learning_rate': Array(0.001, dtype=float32)}
    """
    if isinstance(identifier, optax.GradientTransformation):
        return identifier
    if isinstance(identifier, str):
        return _factory(identifier)()
    if isinstance(identifier, Mapping) and "class_name" in identifier:
        return _from_config(_factory(identifier["class_name"]), identifier.get("config") or {})
    called = any(identifier is factory for factory in FACTORIES.values())
    raise GraphTypeError(
        f"{identifier!r} is not an optimizer.",
        expected="a Keras name, or an optax.GradientTransformation",
        fix=f"call it: {identifier.__name__}()" if called else 'for example optimizer="rmsprop"',  # pyright: ignore
    )


def _factory(name: str) -> Callable[..., optax.GradientTransformation]:
    if name.lower() not in FACTORIES:
        fix = did_you_mean(name.lower(), list(FACTORIES)) + "; or any optax.GradientTransformation"
        raise GraphValueError(f"There is no optimizer named {name!r}.", fix=fix)
    return FACTORIES[name.lower()]


def _from_config(
    factory: Callable[..., optax.GradientTransformation], config: Mapping[str, Any]
) -> optax.GradientTransformation:
    given = {key: value for key, value in config.items() if key not in ("name", "ema_momentum")}
    unset = {key for key, value in WITHOUT_EFFECT.items() if key in given and given[key] == value}
    return factory(**{key: value for key, value in given.items() if key not in unset})
