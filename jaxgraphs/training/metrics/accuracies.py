"""How often the prediction is right, in Keras' six ways of asking."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxgraphs.training.losses import classification_kind
from jaxgraphs.training.losses.crossentropy import whole_classes
from jaxgraphs.training.losses.shapes import paired, promoted
from jaxgraphs.training.metrics.metric import MeanMetric, NamedMean


def accuracy(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """1.0 where prediction and target are equal.

    Raises: ShapeMismatchError when the shapes differ.

    >>> accuracy(jnp.array([[1.0, 2.0]]), jnp.array([[1, 3]])).tolist()
    [[1.0, 0.0]]
    """
    predictions, targets = paired("accuracy", predictions, targets)
    return (predictions == targets).astype(predictions.dtype)


def binary_accuracy(predictions: ArrayLike, targets: ArrayLike, *, threshold: float = 0.5) -> Array:
    """1.0 where the prediction is over `threshold` and the target 1, or is not and the target 0.

    Raises: ShapeMismatchError when the shapes differ.

    >>> binary_accuracy(jnp.array([[0.9], [0.5]]), jnp.array([[1], [1]])).tolist()
    [[1.0], [0.0]]
    """
    predictions, targets = paired("binary_accuracy", predictions, targets)
    return ((predictions > threshold).astype(targets.dtype) == targets).astype(targets.dtype)


def categorical_accuracy(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """1.0 where the likeliest class is that of the one-hot target: (batch, ...).

    Raises: ShapeMismatchError when the shapes differ.

    >>> categorical_accuracy(jnp.array([[0.1, 0.9]]), jnp.array([[0, 1]])).tolist()
    [1.0]
    """
    predictions, targets = paired("categorical_accuracy", predictions, targets)
    return (jnp.argmax(predictions, axis=-1) == jnp.argmax(targets, axis=-1)).astype(predictions.dtype)


def sparse_categorical_accuracy(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """1.0 where the likeliest class is the target: (batch, ...).

    Raises: ShapeMismatchError when the targets do not have the predictions' shape less the classes.

    >>> sparse_categorical_accuracy(jnp.array([[0.1, 0.9]]), jnp.array([1])).tolist()
    [1.0]
    """
    predictions = promoted(predictions)
    classes = whole_classes("sparse_categorical_accuracy", predictions, targets)
    return (jnp.argmax(predictions, axis=-1).astype(classes.dtype) == classes).astype(predictions.dtype)


def sparse_top_k_categorical_accuracy(predictions: ArrayLike, targets: ArrayLike, *, k: int = 5) -> Array:
    """1.0 where fewer than `k` classes are likelier than the target: (batch, ...).

    Raises: ShapeMismatchError when the targets do not have the predictions' shape less the classes.

    >>> sparse_top_k_categorical_accuracy(jnp.array([[0.1, 0.6, 0.3]]), jnp.array([2]), k=2).tolist()
    [1.0]
    """
    predictions = promoted(predictions)
    classes = whole_classes("sparse_top_k_categorical_accuracy", predictions, targets)
    of_target = jnp.take_along_axis(predictions, classes[..., None], axis=-1)
    # What is not a number is not likely.
    of_target = jnp.where(jnp.isnan(of_target), -jnp.inf, of_target)
    return (jnp.sum(predictions > of_target, axis=-1) < k).astype(predictions.dtype)


def top_k_categorical_accuracy(predictions: ArrayLike, targets: ArrayLike, *, k: int = 5) -> Array:
    """`sparse_top_k_categorical_accuracy` of one-hot targets.

    Raises: ShapeMismatchError when the shapes differ.

    >>> top_k_categorical_accuracy(jnp.array([[0.1, 0.6, 0.3]]), jnp.array([[0, 0, 1]]), k=1).tolist()
    [0.0]
    """
    predictions, targets = paired("top_k_categorical_accuracy", predictions, targets)
    return sparse_top_k_categorical_accuracy(predictions, jnp.argmax(targets, axis=-1), k=k)


@dataclasses.dataclass(frozen=True)
class Accuracy(NamedMean):
    """How often prediction and target are equal. The name ``"accuracy"`` means `ShapeAccuracy`, as in Keras."""

    name: str = dataclasses.field(default="accuracy", kw_only=True)
    function: ClassVar = staticmethod(accuracy)


@dataclasses.dataclass(frozen=True)
class BinaryAccuracy(NamedMean):
    """How often the prediction is on the target's side of `threshold`."""

    threshold: float = 0.5
    name: str = dataclasses.field(default="binary_accuracy", kw_only=True)
    function: ClassVar = staticmethod(binary_accuracy)


@dataclasses.dataclass(frozen=True)
class CategoricalAccuracy(NamedMean):
    """How often the likeliest class is that of the one-hot target."""

    name: str = dataclasses.field(default="categorical_accuracy", kw_only=True)
    function: ClassVar = staticmethod(categorical_accuracy)


@dataclasses.dataclass(frozen=True)
class SparseCategoricalAccuracy(NamedMean):
    """How often the likeliest class is the target."""

    name: str = dataclasses.field(default="sparse_categorical_accuracy", kw_only=True)
    function: ClassVar = staticmethod(sparse_categorical_accuracy)


@dataclasses.dataclass(frozen=True)
class TopKCategoricalAccuracy(NamedMean):
    """How often the class of the one-hot target is among the `k` likeliest."""

    k: int = 5
    name: str = dataclasses.field(default="top_k_categorical_accuracy", kw_only=True)
    function: ClassVar = staticmethod(top_k_categorical_accuracy)


@dataclasses.dataclass(frozen=True)
class SparseTopKCategoricalAccuracy(NamedMean):
    """How often the target is among the `k` likeliest classes."""

    k: int = 5
    name: str = dataclasses.field(default="sparse_top_k_categorical_accuracy", kw_only=True)
    function: ClassVar = staticmethod(sparse_top_k_categorical_accuracy)


@dataclasses.dataclass(frozen=True)
class ShapeAccuracy(MeanMetric):
    """Keras' ``"accuracy"``: binary, sparse or categorical, as the shapes of predictions and targets ask for.

    >>> ShapeAccuracy().values(jnp.array([[0.1, 0.9]]), jnp.array([1])).tolist()
    [1.0]
    """

    name: str = dataclasses.field(default="accuracy", kw_only=True)

    def values(self, predictions: ArrayLike, targets: ArrayLike) -> Array:
        kind = classification_kind(jnp.shape(predictions), jnp.shape(targets))
        return _BY_KIND[kind](predictions, targets)


_BY_KIND = {
    "binary": binary_accuracy,
    "sparse": sparse_categorical_accuracy,
    "categorical": categorical_accuracy,
}
