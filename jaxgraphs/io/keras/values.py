"""The parts of a layer's configuration: activations, initializers, regularisers, constraints, dtypes and plain values.

Each is looked up in a table fixed here; a module path in a file is never followed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.errors import GraphError, GraphValueError
from jaxgraphs.io.keras.era import Era
from jaxgraphs.io.keras.limits import NUMBER
from jaxgraphs.io.keras.unknown import Unknowns
from jaxgraphs.layers import activations
from jaxgraphs.layers.activations import ACTIVATIONS
from jaxgraphs.layers.base import snake_case
from jaxgraphs.layers.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from jaxgraphs.layers.initializers import make
from jaxgraphs.layers.regularizers import L1L2, OrthogonalRegularizer

Array = jax.Array
_DTYPES = (
    *("float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64", "bool", "mixed_float16", "mixed_bfloat16"),
)


def old_hard_sigmoid(x: Array) -> Array:
    """0.2 x + 0.5 between 0 and 1: what the name meant before Keras 3."""
    return jnp.clip(0.2 * x + 0.5, 0.0, 1.0)


def keras_sparsemax(x: Array, axis: int = -1) -> Array:
    """What Keras computes under the name: sparsemax where one number is kept, and less than it where several are.

    The threshold of Martins and Astudillo (2016) is (z₁ + ... + zₖ - 1) / k over the k largest; Keras 3 has the sum of
    all k partial sums in its place. Models were trained on what it computes.
    """
    ordered = jnp.flip(jnp.sort(jnp.moveaxis(x, axis, -1), axis=-1), axis=-1)
    total = jnp.cumsum(ordered, axis=-1)
    rank = jnp.arange(1, ordered.shape[-1] + 1, dtype=x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))
    inside = ordered - (total - 1) / rank > 0
    count = jnp.sum(inside, axis=-1, keepdims=True).astype(x.dtype)
    threshold = (jnp.sum(jnp.where(inside, total, 0.0), axis=-1, keepdims=True) - 1) / count
    return jax.nn.relu(x - jnp.moveaxis(threshold, -1, axis))


def relu_with(x: Array, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0) -> Array:
    """Keras' relu with its three numbers."""
    below = negative_slope * (x - threshold)
    y = jnp.where(x >= threshold, x, below)
    return y if max_value is None else jnp.minimum(y, max_value)


_ALIASES = {"Linear": "linear", "leakyrelu": "leaky_relu", "hard_swish": "hard_silu"}
_LAYERS: Mapping[str, Callable[[Mapping[str, Any]], Callable[..., Array]]] = {
    "ReLU": lambda c: functools.partial(
        relu_with,
        max_value=c.get("max_value"),
        negative_slope=float(c.get("negative_slope") or 0.0),
        threshold=float(c.get("threshold") or 0.0),
    ),
    "LeakyReLU": lambda c: functools.partial(
        activations.leaky_relu, negative_slope=float(c.get("negative_slope", c.get("alpha", 0.3)))
    ),
    "ELU": lambda c: functools.partial(jax.nn.elu, alpha=float(c.get("alpha", 1.0))),
    "Softmax": lambda c: functools.partial(jax.nn.softmax, axis=c.get("axis", -1)),
}
"""Activation layers that stand where an activation is named."""


class Values:
    """Reads the parts of configurations.

    Args:
        era: of the model.
        unknowns: where names go that are not known.
    """

    def __init__(self, era: Era, unknowns: Unknowns) -> None:
        self.era, self.unknowns = era, unknowns

    def activation(self, value: Any, place: str) -> Any:
        """A function of one array, or None."""
        name, config = named(value)
        if name is None:
            return None
        if name in _LAYERS:
            return _LAYERS[name](config)
        if name == "Activation":
            return self.activation(config.get("activation"), place)
        if name in ("function", "builtins") and isinstance(config.get("config"), str):
            name = config["config"]
        if name == "hard_sigmoid" and self.era.is_legacy and name not in self.unknowns.custom:
            return old_hard_sigmoid
        if name == "sparsemax" and name not in self.unknowns.custom:
            return keras_sparsemax
        if name not in self.unknowns.custom and place not in self.unknowns.custom:
            known = ACTIVATIONS.get(_ALIASES.get(name, name)) or ACTIVATIONS.get(snake_case(name))
            if known is not None:
                return functools.partial(known, **_numbers(config)) if _numbers(config) else known
        return self.unknowns.find(place, name, place, what=f"the activation {name!r}", hint="lambda x: ...")

    def initializer(self, value: Any, place: str) -> Any:
        """A way to draw first values; they matter only to those who train from the start."""
        name, config = named(value)
        if name is None:
            return None
        given, name = name, _INITIALIZERS.get(name, snake_case(name))
        config = {
            key: item
            for key, item in config.items()
            if key not in ("seed", "dtype", "input_axes", "output_axes", "partitioned")
        }
        custom = next((self.unknowns.custom[key] for key in (given, name) if key in self.unknowns.custom), None)
        if custom is not None:
            return custom
        try:
            return make(name, **{key: plain(item) for key, item in config.items()})
        except GraphError:
            return self.unknowns.find(
                place, given, what=f"the initializer {given!r}", hint="lambda key, shape, dtype: ..."
            )

    def regularizer(self, value: Any, place: str) -> Any:
        """A penalty: array -> scalar, or None."""
        name, config = named(value)
        if name is None:
            return None
        if name in (
            "L1L2",
            "L1",
            "L2",
            "l1",
            "l2",
            "l1_l2",
            "WeightRegularizer",
            "ActivityRegularizer",
            "L1L2Regularizer",
        ):
            defaults = {"l1": 0.01} if name in ("l1", "L1") else {"l2": 0.01} if name in ("l2", "L2") else {}
            given = {
                key: float(plain(item) or 0.0) for key, item in (config or defaults).items() if key in ("l1", "l2")
            }
            return L1L2(**given) if any(given.values()) else None
        if name in ("OrthogonalRegularizer", "orthogonal_regularizer"):
            return OrthogonalRegularizer(float(config.get("factor", 0.01)), str(config.get("mode", "rows")))
        return self.unknowns.find(place, name, what=f"the regularizer {name!r}", hint="lambda weights: ...")

    def constraint(self, value: Any, place: str) -> Any:
        """What brings weights back: array -> array, or None."""
        name, config = named(value)
        if name is None:
            return None
        given = {_CONSTRAINT_ARGUMENTS.get(key, key): plain(item) for key, item in config.items()}
        given = {key: tuple(item) if isinstance(item, list) else item for key, item in given.items()}
        kind = _CONSTRAINTS.get(name)
        if kind is not None and name not in self.unknowns.custom:
            return kind(
                **{key: item for key, item in given.items() if key in ("max_value", "min_value", "rate", "axis")}
            )
        return self.unknowns.find(place, name, what=f"the constraint {name!r}", hint="lambda weights: ...")

    def dtype(self, value: Any, place: str) -> str | None:
        """The name of a dtype or policy; None for Keras' own float32, unless other dtypes are about."""
        name = policy_name(value)
        if name is None or name in ("_infer", "infer"):
            return None
        if name not in _DTYPES:
            self.unknowns.refuse(place, f"the dtype {name!r}")
            return None
        return name if self.era.keeps_dtypes or name != "float32" else None


_INITIALIZERS = {
    **{"zero": "zeros", "one": "ones", "normal": "random_normal", "uniform": "random_uniform", "Zeros": "zeros"},
    **{"Ones": "ones"},
    **{"OrthogonalInitializer": "orthogonal", "IdentityInitializer": "identity", "Identity": "identity"},
    **{"RandomNormal": "random_normal", "RandomUniform": "random_uniform", "Constant": "constant"},
}
_CONSTRAINTS = {
    **{"MaxNorm": MaxNorm, "max_norm": MaxNorm, "maxnorm": MaxNorm, "NonNeg": NonNeg, "non_neg": NonNeg},
    **{"nonneg": NonNeg},
    **{"UnitNorm": UnitNorm, "unit_norm": UnitNorm, "unitnorm": UnitNorm, "MinMaxNorm": MinMaxNorm},
    **{"min_max_norm": MinMaxNorm},
}
_CONSTRAINT_ARGUMENTS = {"m": "max_value"}


def named(value: Any) -> tuple[str | None, Mapping[str, Any]]:
    """The class or function that a piece of configuration names, and its arguments.

    >>> named("relu"), named({"class_name": "L2", "config": {"l2": 0.1}})
    (('relu', {}), ('L2', {'l2': 0.1}))
    """
    if value is None:
        return None, {}
    if isinstance(value, str):
        return value, {}
    if isinstance(value, Mapping):
        name, config = value.get("class_name", value.get("name")), value.get("config")
        # A function is written as its class, "function", and its name.
        if name == "function" and isinstance(config, str):
            return config, {}
        if isinstance(name, str):
            name = name.split(">")[-1]
            if isinstance(config, Mapping):
                return name, config
            return name, {
                key: item
                for key, item in value.items()
                if key not in ("name", "class_name", "config", "module", "registered_name")
            }
        # tf.keras writes a lambda's code and nothing else.
        if isinstance(value.get("value"), list):
            return "<lambda>", {}
    return repr(value)[:80], {}


def policy_name(value: Any) -> str | None:
    """The name of a dtype, given as a text or as a policy object."""
    if isinstance(value, Mapping):
        config = value.get("config")
        inner = config.get("name", config.get("source_name")) if isinstance(config, Mapping) else config
        return inner if isinstance(inner, str) else repr(inner)[:40]
    return value if value is None or isinstance(value, str) else repr(value)[:40]


def plain(value: Any) -> Any:
    """A value without Keras' wrapping: tuples, arrays, slices and ellipses are themselves again.

    Raises: GraphValueError for an object that is not data.
    """
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    name, config = value.get("class_name"), value.get("config", value.get("value"))
    if name is None and set(value) == {"start", "stop", "step"}:
        return slice(*(_whole(value[part]) for part in ("start", "stop", "step")))
    if name is None:
        return {key: plain(item) for key, item in value.items()}
    if name == "__tuple__" or name == "TensorShape":
        return tuple(plain(list(value.get("items", config))))
    if name in ("__slice__", "slice"):
        return slice(*(_whole(config.get(part)) for part in ("start", "stop", "step")))
    if name in ("__ellipsis__", "Ellipsis"):
        return Ellipsis
    if name in ("__numpy__", "__tensor__"):
        return _array(config)
    if name in ("__complex__",) or name == "__bytes__":
        raise _not_data(value)
    if name in ("DTypePolicy", "Policy", "FloatDTypePolicy"):
        return policy_name(value)
    if name == "__dtype__" or name == "DType":
        return config if isinstance(config, str) else policy_name(value)
    raise _not_data(value)


def _array(config: Any) -> np.ndarray:
    dtype = config.get("dtype", "float32") if isinstance(config, Mapping) else "float32"
    numbers = config.get("value", []) if isinstance(config, Mapping) else config
    if dtype not in _DTYPES or dtype.startswith("mixed"):
        raise _not_data(config)
    return np.asarray(numbers, jnp.dtype(dtype))


def _whole(value: Any) -> Any:
    return value if value is None or (isinstance(value, int) and abs(value) <= NUMBER) else None


def _numbers(config: Mapping[str, Any]) -> dict[str, float]:
    return {
        key: value for key, value in config.items() if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _not_data(value: Any) -> GraphError:
    return GraphValueError(
        "The Keras model has a value that is not data.",
        received=repr(value)[:200],
        expected="numbers, texts, lists and arrays",
    )
