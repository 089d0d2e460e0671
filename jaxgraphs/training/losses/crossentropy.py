"""Cross-entropies, from probabilities as Keras computes them, and from logits without loss of digits."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import ArrayLike

from jaxgraphs.errors import ShapeMismatchError
from jaxgraphs.training.losses.shapes import EPSILON, paired, promoted, words


def binary_crossentropy(
    predictions: ArrayLike,
    targets: ArrayLike,
    *,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """Per-example binary cross-entropy: mean over `axis` of -(y log p + (1 - y) log(1 - p)).

    Args:
        predictions: (batch, ..., features) probabilities, held in [1e-7, 1 - 1e-7]; or logits.
        targets: 0 to 1, of the same shape.
        from_logits: whether the predictions precede the sigmoid.
        label_smoothing: in [0, 1]; moves the targets towards 1/2 by this share.
        axis: the axis to average over.
    Returns: (batch, ...) in nats.
    Raises: ShapeMismatchError when the shapes differ.

    >>> round(float(binary_crossentropy(jnp.array([[0.5]]), jnp.array([[1]]))[0]), 4)
    0.6931
    """
    predictions, targets = paired("binary_crossentropy", predictions, targets)
    targets = _towards_half(targets, label_smoothing)
    if from_logits:
        return jnp.mean(optax.sigmoid_binary_cross_entropy(predictions, targets), axis=axis)
    return jnp.mean(_binary_nats(predictions, targets), axis=axis)


def categorical_crossentropy(
    predictions: ArrayLike,
    targets: ArrayLike,
    *,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """Per-example cross-entropy: -sum over `axis` of y log p.

    Args:
        predictions: (batch, ..., classes) probabilities, divided by their sum, held in [1e-7, 1 - 1e-7]; or logits.
        targets: one-hot or probabilities, of the same shape.
        from_logits: whether the predictions precede the softmax.
        label_smoothing: in [0, 1]; moves the targets towards 1/classes by this share.
        axis: the axis of the classes.
    Returns: (batch, ...) in nats.
    Raises: ShapeMismatchError when the shapes differ, as they do for integer classes.

    >>> round(float(categorical_crossentropy(jnp.array([[0.5, 0.5]]), jnp.array([[1, 0]]))[0]), 4)
    0.6931
    """
    predictions, targets = _one_hot_paired("categorical_crossentropy", predictions, targets)
    targets = _towards_uniform(targets, label_smoothing)
    if from_logits:
        return optax.softmax_cross_entropy(predictions, targets, axis=axis)
    return -jnp.sum(targets * _log_probs(predictions, axis), axis=axis)


def sparse_categorical_crossentropy(
    predictions: ArrayLike,
    targets: ArrayLike,
    *,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Array:
    """Per-example cross-entropy of integer classes: -log p[y].

    Args:
        predictions: (batch, ..., classes) probabilities, divided by their sum, held in [1e-7, 1 - 1e-7]; or logits.
        targets: (batch, ...) or (batch, ..., 1) classes, whole numbers; a class out of range costs 0, as in Keras.
        from_logits: whether the predictions precede the softmax.
        ignore_class: a class that costs 0, such as that of padding.
        axis: the axis of the classes.
    Returns: (batch, ...) in nats.
    Raises: ShapeMismatchError when the targets do not have the predictions' shape less the classes.

    >>> round(float(sparse_categorical_crossentropy(jnp.array([[0.25, 0.75]]), jnp.array([0]))[0]), 4)
    1.3863
    """
    predictions = jnp.moveaxis(promoted(predictions), axis, -1)
    classes = whole_classes("sparse_categorical_crossentropy", predictions, targets, axis)
    counted = (classes >= 0) & (classes < predictions.shape[-1])
    if ignore_class is not None:
        counted &= classes != ignore_class
    logits = predictions if from_logits else _log_probs(predictions, -1)
    chosen = jnp.where(counted, classes, 0)
    if from_logits:
        nats = optax.softmax_cross_entropy_with_integer_labels(logits, chosen)
    else:
        nats = -jnp.take_along_axis(logits, chosen[..., None], axis=-1)[..., 0]
    return jnp.where(counted, nats, 0.0)


def binary_focal_crossentropy(
    predictions: ArrayLike,
    targets: ArrayLike,
    *,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """Per-example binary focal loss: mean over `axis` of (1 - p_t)^gamma times the cross-entropy.

    Args:
        predictions, targets, from_logits, label_smoothing, axis: as for `binary_crossentropy`.
        apply_class_balancing: whether to weigh the classes 1 and 0 by alpha and 1 - alpha.
        alpha: the weight of class 1, in [0, 1].
        gamma: how strongly easy examples are played down; 0 gives the cross-entropy.
    Returns: (batch, ...) in nats.
    Raises: ShapeMismatchError when the shapes differ.
    Reference: Lin et al. (2017), Focal loss for dense object detection, arXiv:1708.02002.

    >>> round(float(binary_focal_crossentropy(jnp.array([[0.5]]), jnp.array([[1]]))[0]), 4)
    0.1733
    """
    predictions, targets = paired("binary_focal_crossentropy", predictions, targets)
    targets = _towards_half(targets, label_smoothing)
    if from_logits:
        nats, probs = optax.sigmoid_binary_cross_entropy(predictions, targets), jax.nn.sigmoid(predictions)
    else:
        nats, probs = _binary_nats(predictions, targets), predictions
    focal = nats * (1.0 - (targets * probs + (1.0 - targets) * (1.0 - probs))) ** gamma
    if apply_class_balancing:
        focal = focal * (targets * alpha + (1.0 - targets) * (1.0 - alpha))
    return jnp.mean(focal, axis=axis)


def categorical_focal_crossentropy(
    predictions: ArrayLike,
    targets: ArrayLike,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """Per-example focal loss: -alpha times the sum over `axis` of (1 - p)^gamma y log p.

    Args:
        predictions, targets, from_logits, label_smoothing, axis: as for `categorical_crossentropy`.
        alpha: the weight of every class.
        gamma: how strongly easy examples are played down; 0 gives alpha times the cross-entropy.
    Returns: (batch, ...) in nats.
    Raises: ShapeMismatchError when the shapes differ, as they do for integer classes.
    Reference: Lin et al. (2017), Focal loss for dense object detection, arXiv:1708.02002.

    >>> round(float(categorical_focal_crossentropy(jnp.array([[0.5, 0.5]]), jnp.array([[1, 0]]))[0]), 4)
    0.0433
    """
    predictions, targets = _one_hot_paired("categorical_focal_crossentropy", predictions, targets)
    targets = _towards_uniform(targets, label_smoothing)
    logs = jax.nn.log_softmax(predictions, axis=axis) if from_logits else _log_probs(predictions, axis)
    return -jnp.sum(alpha * (1.0 - jnp.exp(logs)) ** gamma * targets * logs, axis=axis)


def ctc(predictions: ArrayLike, targets: ArrayLike) -> Array:
    """Per-example connectionist temporal classification loss: -log of the sum over all alignments of their chances.

    Args:
        predictions: (batch, time, classes) logits; class 0 is the blank.
        targets: (batch, length) classes, whole numbers, padded at the end by 0.
    Returns: (batch,) in nats.
    Raises: ShapeMismatchError when the ranks are not three and two, or the batches differ.
    Reference: Graves et al. (2006), Connectionist temporal classification, ICML.

    >>> round(float(ctc(jnp.zeros((1, 2, 2)), jnp.array([[1]]))[0]), 4)
    0.2877
    """
    logits, labels = promoted(predictions), jnp.asarray(targets).astype(jnp.int32)
    if (logits.ndim, labels.ndim) != (3, 2) or len(logits) != len(labels):
        raise ShapeMismatchError(
            "ctc cannot align predictions with targets.",
            received=f"predictions {words(logits)}, targets {words(jnp.asarray(targets))}",
            expected="predictions of (batch, time, classes), targets of (batch, length)",
        )
    # Keras takes the label's length from its number of non-blank classes, wherever they stand.
    lengths = jnp.sum(labels != 0, axis=-1, keepdims=True)
    padding = (jnp.arange(labels.shape[1])[None, :] >= lengths).astype(logits.dtype)
    # Optax mixes float32 into the recurrence, which strict promotion refuses for float64.
    with jax.numpy_dtype_promotion("standard"):
        return optax.ctc_loss(logits, jnp.zeros(logits.shape[:2], logits.dtype), labels, padding)


def whole_classes(name: str, predictions: Array, targets: ArrayLike, axis: int = -1) -> Array:
    """Integer classes of the shape of `predictions` (classes last) less its last axis.

    Raises: ShapeMismatchError, in the name of the loss or metric `name`, where the shapes do not go together.
    """
    given = jnp.asarray(targets)
    classes = given.astype(jnp.int32)  # a byte may be too small for the number of classes
    if classes.ndim == predictions.ndim and classes.shape[axis] == 1:
        classes = jnp.squeeze(classes, axis)
    if classes.shape == predictions.shape[:-1]:
        return classes
    one_hot = classes.shape == predictions.shape
    fix = f'loss="{name.replace("sparse_", "")}" takes one-hot targets' if one_hot and "sparse_" in name else None
    raise ShapeMismatchError(
        f"{name} needs one class for each prediction.",
        received=f"predictions {words(predictions)}, targets {words(given)}",
        expected=f"targets of {predictions.shape[:-1]}: whole numbers from 0 to {predictions.shape[-1] - 1}",
        fix=fix or "give whole classes, without an axis of classes",
    )


def _one_hot_paired(name: str, predictions: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
    """`paired`, with the remedy for integer classes: by far the commonest slip."""
    scores, given = promoted(predictions), jnp.asarray(targets)
    classes_given = given.shape in (scores.shape[:-1], (*scores.shape[:-1], 1)) and scores.shape[-1] > 1
    if not classes_given:
        return paired(name, predictions, targets)
    sparse = 'loss="sparse_categorical_crossentropy", or ' if name == "categorical_crossentropy" else ""
    raise ShapeMismatchError(
        f"{name} needs one-hot targets, not classes.",
        received=f"predictions {words(scores)}, targets {words(given)}",
        expected=f"targets of {scores.shape}",
        fix=f"{sparse}jax.nn.one_hot(targets, {scores.shape[-1]})",
    )


def _log_probs(probs: Array, axis: int) -> Array:
    """Logarithms of `probs` divided by their sum, as Keras holds them off 0 and 1."""
    return jnp.log(jnp.clip(probs / jnp.sum(probs, axis=axis, keepdims=True), EPSILON, 1.0 - EPSILON))


def _binary_nats(probs: Array, targets: Array) -> Array:
    probs = jnp.clip(probs, EPSILON, 1.0 - EPSILON)
    return -(targets * jnp.log(probs) + (1.0 - targets) * jnp.log(1.0 - probs))


def _towards_half(targets: Array, share: float) -> Array:
    return targets * (1.0 - share) + 0.5 * share if share else targets


def _towards_uniform(targets: Array, share: float) -> Array:
    # Keras takes the number of classes from the last axis, whatever `axis` says.
    return targets * (1.0 - share) + share / targets.shape[-1] if share else targets
