"""Keras' losses by class and by name."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxgraphs.errors import GraphTypeError, GraphValueError, did_you_mean
from jaxgraphs.training.losses import crossentropy, elementwise
from jaxgraphs.training.losses.loss import Activation, FunctionLoss, Loss, NamedLoss
from jaxgraphs.training.losses.shapes import promoted


@dataclasses.dataclass(frozen=True)
class MeanSquaredError(NamedLoss):
    """`mean_squared_error`, reduced."""

    name: str = dataclasses.field(default="mean_squared_error", kw_only=True)
    function: ClassVar = staticmethod(elementwise.mean_squared_error)
    elements: ClassVar = staticmethod(elementwise.squared_errors)


@dataclasses.dataclass(frozen=True)
class MeanAbsoluteError(NamedLoss):
    """`mean_absolute_error`, reduced."""

    name: str = dataclasses.field(default="mean_absolute_error", kw_only=True)
    function: ClassVar = staticmethod(elementwise.mean_absolute_error)
    elements: ClassVar = staticmethod(elementwise.absolute_errors)


@dataclasses.dataclass(frozen=True)
class MeanAbsolutePercentageError(NamedLoss):
    """`mean_absolute_percentage_error`, reduced."""

    name: str = dataclasses.field(default="mean_absolute_percentage_error", kw_only=True)
    function: ClassVar = staticmethod(elementwise.mean_absolute_percentage_error)


@dataclasses.dataclass(frozen=True)
class MeanSquaredLogarithmicError(NamedLoss):
    """`mean_squared_logarithmic_error`, reduced."""

    name: str = dataclasses.field(default="mean_squared_logarithmic_error", kw_only=True)
    function: ClassVar = staticmethod(elementwise.mean_squared_logarithmic_error)


@dataclasses.dataclass(frozen=True)
class Huber(NamedLoss):
    """`huber`, reduced.

    >>> float(Huber(delta=2.0).reduced(jnp.array([[3.0]]), jnp.array([[0.0]])))
    4.0
    """

    delta: float = 1.0
    name: str = dataclasses.field(default="huber_loss", kw_only=True)
    function: ClassVar = staticmethod(elementwise.huber)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_range("Huber", "delta", self.delta, above=0.0)


@dataclasses.dataclass(frozen=True)
class LogCosh(NamedLoss):
    """`log_cosh`, reduced."""

    name: str = dataclasses.field(default="log_cosh", kw_only=True)
    function: ClassVar = staticmethod(elementwise.log_cosh)


@dataclasses.dataclass(frozen=True)
class Poisson(NamedLoss):
    """`poisson`, reduced."""

    name: str = dataclasses.field(default="poisson", kw_only=True)
    function: ClassVar = staticmethod(elementwise.poisson)


@dataclasses.dataclass(frozen=True)
class KLDivergence(NamedLoss):
    """`kl_divergence`, reduced."""

    name: str = dataclasses.field(default="kl_divergence", kw_only=True)
    function: ClassVar = staticmethod(elementwise.kl_divergence)


@dataclasses.dataclass(frozen=True)
class CosineSimilarity(NamedLoss):
    """`cosine_similarity`, reduced: -1 is the best."""

    axis: int = -1
    name: str = dataclasses.field(default="cosine_similarity", kw_only=True)
    function: ClassVar = staticmethod(elementwise.cosine_similarity)


@dataclasses.dataclass(frozen=True)
class Hinge(NamedLoss):
    """`hinge`, reduced."""

    name: str = dataclasses.field(default="hinge", kw_only=True)
    function: ClassVar = staticmethod(elementwise.hinge)


@dataclasses.dataclass(frozen=True)
class SquaredHinge(NamedLoss):
    """`squared_hinge`, reduced."""

    name: str = dataclasses.field(default="squared_hinge", kw_only=True)
    function: ClassVar = staticmethod(elementwise.squared_hinge)


@dataclasses.dataclass(frozen=True)
class CategoricalHinge(NamedLoss):
    """`categorical_hinge`, reduced."""

    name: str = dataclasses.field(default="categorical_hinge", kw_only=True)
    function: ClassVar = staticmethod(elementwise.categorical_hinge)


@dataclasses.dataclass(frozen=True)
class CTC(NamedLoss):
    """`ctc`, reduced; the predictions are logits."""

    name: str = dataclasses.field(default="ctc", kw_only=True)
    function: ClassVar = staticmethod(crossentropy.ctc)


@dataclasses.dataclass(frozen=True)
class BinaryCrossentropy(NamedLoss):
    """`binary_crossentropy`, reduced."""

    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1
    name: str = dataclasses.field(default="binary_crossentropy", kw_only=True)
    function: ClassVar = staticmethod(crossentropy.binary_crossentropy)
    activation: ClassVar = "sigmoid"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_range(self.name, "label_smoothing", self.label_smoothing, most=1.0)


@dataclasses.dataclass(frozen=True)
class CategoricalCrossentropy(NamedLoss):
    """`categorical_crossentropy`, reduced.

    >>> CategoricalCrossentropy(label_smoothing=0.1).on_logits("softmax").from_logits
    True
    """

    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1
    name: str = dataclasses.field(default="categorical_crossentropy", kw_only=True)
    function: ClassVar = staticmethod(crossentropy.categorical_crossentropy)
    activation: ClassVar = "softmax"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_range(self.name, "label_smoothing", self.label_smoothing, most=1.0)


@dataclasses.dataclass(frozen=True)
class SparseCategoricalCrossentropy(NamedLoss):
    """`sparse_categorical_crossentropy`, reduced; examples of `ignore_class` do not enter the mean."""

    from_logits: bool = False
    ignore_class: int | None = None
    axis: int = -1
    name: str = dataclasses.field(default="sparse_categorical_crossentropy", kw_only=True)
    function: ClassVar = staticmethod(crossentropy.sparse_categorical_crossentropy)
    activation: ClassVar = "softmax"

    def counted(self, targets: ArrayLike) -> Array | None:
        return None if self.ignore_class is None else jnp.asarray(targets) != self.ignore_class


@dataclasses.dataclass(frozen=True)
class BinaryFocalCrossentropy(NamedLoss):
    """`binary_focal_crossentropy`, reduced."""

    apply_class_balancing: bool = False
    alpha: float = 0.25
    gamma: float = 2.0
    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1
    name: str = dataclasses.field(default="binary_focal_crossentropy", kw_only=True)
    function: ClassVar = staticmethod(crossentropy.binary_focal_crossentropy)
    activation: ClassVar = "sigmoid"


@dataclasses.dataclass(frozen=True)
class CategoricalFocalCrossentropy(NamedLoss):
    """`categorical_focal_crossentropy`, reduced."""

    alpha: float = 0.25
    gamma: float = 2.0
    from_logits: bool = False
    label_smoothing: float = 0.0
    axis: int = -1
    name: str = dataclasses.field(default="categorical_focal_crossentropy", kw_only=True)
    function: ClassVar = staticmethod(crossentropy.categorical_focal_crossentropy)
    activation: ClassVar = "softmax"


@dataclasses.dataclass(frozen=True)
class Crossentropy(Loss):
    """Keras' ``"crossentropy"``: binary, sparse or categorical, as the shapes of predictions and targets ask for.

    Args:
        logits: the activation that the predictions precede; None where they are probabilities.

    >>> float(Crossentropy().values(jnp.array([[0.5]]), jnp.array([1]))[0]) == float(jnp.log(2.0))
    True
    """

    logits: Activation | None = None
    name: str = dataclasses.field(default="crossentropy", kw_only=True)

    def values(self, predictions: ArrayLike, targets: ArrayLike) -> Array:
        predictions = promoted(predictions)
        form = _FORMS[classification_kind(predictions.shape, jnp.shape(targets))]
        if self.logits is None:
            return form().values(predictions, targets)
        if self.logits == form.activation:
            return form(from_logits=True).values(predictions, targets)
        return form().values(getattr(jax.nn, self.logits)(predictions), targets)

    def on_logits(self, kind: Activation) -> Crossentropy | None:
        return dataclasses.replace(self, logits=kind) if self.logits is None else None


def classification_kind(predictions: tuple[int, ...], targets: tuple[int, ...]) -> str:
    """``binary``, ``sparse`` or ``categorical``: what Keras reads off the two shapes.

    >>> [classification_kind((32, 9), targets) for targets in ((32, 1), (32, 9))]
    ['sparse', 'categorical']
    """
    if len(predictions) == 1 or predictions[-1] == 1:
        return "binary"
    return "sparse" if len(targets) < len(predictions) or targets[-1] == 1 else "categorical"


_FORMS: Mapping[str, Any] = {
    "binary": BinaryCrossentropy,
    "sparse": SparseCategoricalCrossentropy,
    "categorical": CategoricalCrossentropy,
}

CLASSES: tuple[type[NamedLoss], ...] = (
    MeanSquaredError, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredLogarithmicError, Huber, LogCosh,
    Poisson, KLDivergence, CosineSimilarity, Hinge, SquaredHinge, CategoricalHinge, CTC, BinaryCrossentropy,
    CategoricalCrossentropy, SparseCategoricalCrossentropy, BinaryFocalCrossentropy, CategoricalFocalCrossentropy,
)  # fmt: skip

ALIASES: Mapping[str, type[Loss]] = {
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
    "kullback_leibler_divergence": KLDivergence,
    "logcosh": LogCosh,
    "huber_loss": Huber,
    "crossentropy": Crossentropy,
    "ce": Crossentropy,
}

NAMES: Mapping[str, type[Loss]] = {
    **{cls.__name__: cls for cls in CLASSES},
    **{cls.function.__name__: cls for cls in CLASSES},
    **ALIASES,
    **{alias.upper(): cls for alias, cls in ALIASES.items() if re.fullmatch("[a-z]{2,4}", alias)},
}


def get(identifier: str | Loss | type[Loss] | Mapping[str, Any] | Callable[..., Any]) -> Loss:
    """The loss that `identifier` names, in Keras' ways of naming one.

    Args:
        identifier: a Keras name (``"mse"``, ``"MeanSquaredError"``), a `Loss`, a function of this module, any function
            ``(y_true, y_pred) -> values`` in Keras' order, or Keras' ``{"class_name": ..., "config": {...}}``.
    Returns: a `Loss`.
    Raises: GraphValueError for an unknown name or option; GraphTypeError for what is none of these.

    >>> get("mse")
    MeanSquaredError(reduction='sum_over_batch_size', name='mean_squared_error')
    """
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if isinstance(identifier, str):
        return _class_of(identifier)()
    if isinstance(identifier, Mapping) and "class_name" in identifier:
        return _from_config(_class_of(identifier["class_name"]), identifier.get("config") or {})
    if callable(identifier):
        return _from_function(identifier)
    raise GraphTypeError(
        f"{identifier!r} is not a loss.",
        expected="a Keras name, a jg.losses object, or a function (y_true, y_pred) -> values",
        fix='for example loss="mse"',
    )


def _class_of(name: str) -> type[Loss]:
    if name not in NAMES:
        raise GraphValueError(f"There is no loss named {name!r}.", fix=did_you_mean(name, list(NAMES)))
    return NAMES[name]


def _from_config(cls: type[Loss], config: Mapping[str, Any]) -> Loss:
    known = {field.name for field in dataclasses.fields(cls)}
    unknown = sorted(set(config) - known - {"dtype", "fn"})  # these two say nothing that the class does not
    if unknown:
        raise GraphValueError(
            f"{cls.__name__} has no option {unknown[0]!r}.", fix=did_you_mean(unknown[0], sorted(known))
        )
    return cls(**{key: value for key, value in config.items() if key in known})


def _from_function(function: Callable[..., Any]) -> Loss:
    """A `Loss` of a function; one of this package, bare or with options bound, is recognised: its order differs."""
    is_bound = isinstance(function, functools.partial) and not function.args
    bare, bound = (function.func, function.keywords) if is_bound else (function, {})
    for cls in CLASSES:
        if cls.function is bare:
            return _from_config(cls, bound)
    return FunctionLoss(function, name=str(getattr(function, "name", getattr(function, "__name__", "loss"))))


def _check_range(owner: str, option: str, value: float, *, above: float | None = None, most: float | None = None):
    """Raises: GraphValueError where `value` is not above `above`, or not in [0, `most`]."""
    if above is not None and not value > above:
        raise GraphValueError(f"{owner} cannot use {option}={value}.", expected=f"a number above {above}")
    if most is not None and not 0.0 <= value <= most:
        raise GraphValueError(f"{owner} cannot use {option}={value}.", expected=f"a number from 0 to {most}")
