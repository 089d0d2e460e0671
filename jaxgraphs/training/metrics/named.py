"""Keras' metrics by class and by name, and bound to an output."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from jaxgraphs.errors import GraphTypeError, GraphValueError, did_you_mean
from jaxgraphs.symbolic.spec import TensorSpec
from jaxgraphs.training import losses
from jaxgraphs.training.losses import Loss
from jaxgraphs.training.metrics import accuracies, auc, by_column, confusion, means
from jaxgraphs.training.metrics.metric import Metric, NamedMean, mean_of, snake_case

CLASSES: tuple[type[Metric], ...] = (
    means.MeanSquaredError, means.RootMeanSquaredError, means.MeanAbsoluteError, means.MeanAbsolutePercentageError,
    means.MeanSquaredLogarithmicError, means.CosineSimilarity, means.LogCoshError, means.Hinge, means.SquaredHinge,
    means.CategoricalHinge, means.KLDivergence, means.Poisson, means.BinaryCrossentropy,
    means.CategoricalCrossentropy, means.SparseCategoricalCrossentropy, means.Perplexity, accuracies.Accuracy,
    accuracies.BinaryAccuracy, accuracies.CategoricalAccuracy, accuracies.SparseCategoricalAccuracy,
    accuracies.TopKCategoricalAccuracy, accuracies.SparseTopKCategoricalAccuracy, auc.AUC, confusion.Precision,
    confusion.Recall, confusion.TruePositives, confusion.FalsePositives, confusion.TrueNegatives,
    confusion.FalseNegatives, confusion.SensitivityAtSpecificity, confusion.SpecificityAtSensitivity,
    confusion.PrecisionAtRecall, confusion.RecallAtPrecision, by_column.FBetaScore, by_column.F1Score,
    by_column.R2Score,
)  # fmt: skip

ALIASES: Mapping[str, type[Metric]] = {
    "mse": means.MeanSquaredError,
    "rmse": means.RootMeanSquaredError,
    "mae": means.MeanAbsoluteError,
    "mape": means.MeanAbsolutePercentageError,
    "msle": means.MeanSquaredLogarithmicError,
    "bce": means.BinaryCrossentropy,
    "kld": means.KLDivergence,
}

NAMES: Mapping[str, type[Metric]] = {
    **{cls.__name__: cls for cls in CLASSES},
    **{snake_case(cls.__name__): cls for cls in CLASSES},
    **ALIASES,
    **{alias.upper(): cls for alias, cls in ALIASES.items()},
}

# Keras looks at the shapes for these, in any case.
BY_SHAPE = ("accuracy", "acc")


def get(identifier: str | Metric | type[Metric] | Loss | Mapping[str, Any] | Callable[..., Any]) -> Metric:
    """The metric that `identifier` names, in Keras' ways of naming one; a name given is the name in the logs.

    Args:
        identifier: a Keras name (``"accuracy"``, ``"AUC"``), a `Metric`, a loss or a function of `jg.losses`, whose
            mean is taken, any function ``(y_true, y_pred) -> values`` in Keras' order, or Keras'
            ``{"class_name": ..., "config": {...}}``.
    Returns: a `Metric`.
    Raises: GraphValueError for an unknown name or option; GraphTypeError for what is none of these.

    >>> get("mse")
    MeanSquaredError(name='mse')
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, str):
        is_by_shape = identifier.lower() in BY_SHAPE
        return (accuracies.ShapeAccuracy if is_by_shape else _class_of(identifier))(name=identifier)
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        return identifier()
    if isinstance(identifier, Mapping) and "class_name" in identifier:
        return _from_config(_class_of(identifier["class_name"]), identifier.get("config") or {})
    if isinstance(identifier, Loss) or callable(identifier):
        return _from_function(identifier)
    raise GraphTypeError(
        f"{identifier!r} is not a metric.",
        expected="a Keras name, a jg.metrics object, or a function (y_true, y_pred) -> values",
        fix='for example metrics=["accuracy"]',
    )


def bind(identifier: Any, spec: TensorSpec, *, loss: Loss | None = None) -> tuple[str, Metric]:
    """The metric of one output, and its name.

    Args:
        identifier: as for `get`.
        spec: of the output.
        loss: that trains the output; tells `Perplexity` whether the output is logits.
    Returns: (name, metric).
    Raises: as `get` does.

    >>> bind("f1_score", TensorSpec.of_shape((None, 10), "float32"))[1].columns
    10
    """
    metric = get(identifier)
    width = spec.shape[-1] if len(spec.shape) > 1 else 1
    return metric.name, metric.for_output(width, loss)


def _class_of(name: str) -> type[Metric]:
    if name not in NAMES:
        fix = did_you_mean(name, sorted({"accuracy", *ALIASES, *(snake_case(cls.__name__) for cls in CLASSES)}))
        raise GraphValueError(f"There is no metric named {name!r}.", fix=fix)
    return NAMES[name]


def _from_config(cls: type[Metric], config: Mapping[str, Any]) -> Metric:
    known = {field.name for field in dataclasses.fields(cls)}
    unknown = sorted(set(config) - known - {"dtype", "fn"})  # these two say nothing that the class does not
    if unknown:
        raise GraphValueError(
            f"{cls.__name__} has no option {unknown[0]!r}.", fix=did_you_mean(unknown[0], sorted(known))
        )
    return cls(**{key: value for key, value in config.items() if key in known})


def _from_function(thing: Loss | Callable[..., Any]) -> Metric:
    """The mean of a loss or a function; those of this package are recognised, for their order differs from Keras'."""
    for cls in CLASSES:
        if issubclass(cls, NamedMean) and cls.function is thing:
            return cls()
    loss = losses.get(thing)
    return mean_of(thing if isinstance(loss, losses.FunctionLoss) and not isinstance(thing, Loss) else loss)
