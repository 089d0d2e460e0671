"""Metrics against Keras 3 on JAX: over several batches, weighted, padded, merged, by name."""

from __future__ import annotations

import functools
from collections import Counter

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from jaxgraphs.errors import GraphTypeError, GraphValueError, ShapeMismatchError
from jaxgraphs.symbolic.spec import TensorSpec
from jaxgraphs.training import losses, metrics
from tests.training.keras_in import keras_in

SIZES = (7, 7, 3)  # examples in each batch
# One metric of each way to weigh: a mean, a count, a curve, a matrix.
WEIGHED = ("MeanSquaredError", "R2Score", "SparseCategoricalAccuracy", "AUC", "Precision", "F1Score")


def batch(kind, size, rng):
    """Predictions and targets, such as a metric of this kind meets."""
    classes = rng.integers(0, 6, size)
    return {
        "real": lambda: (rng.normal(size=(size, 3)), rng.normal(size=(size, 3))),
        "counts": lambda: (rng.gamma(2.0, size=(size, 3)), rng.poisson(2.0, size=(size, 3))),
        "whole": lambda: (rng.integers(0, 3, (size, 2)), rng.integers(0, 3, (size, 2))),
        "one": lambda: (rng.uniform(size=(size, 1)), rng.integers(0, 2, (size,))),
        "binary": lambda: (np.round(rng.uniform(size=(size, 6)), 2), rng.integers(0, 2, (size, 6))),
        "binary_logits": lambda: (rng.normal(size=(size, 6)) * 2, rng.integers(0, 2, (size, 6))),
        "one_hot": lambda: (rng.dirichlet(np.ones(6), size), np.eye(6)[classes]),
        "sparse": lambda: (rng.dirichlet(np.ones(6), size), classes),
        "sparse_column": lambda: (rng.dirichlet(np.ones(6), size), classes[:, None]),
        "steps": lambda: (rng.dirichlet(np.ones(6), (size, 4)), rng.integers(0, 6, (size, 4))),
        "one_hot_steps": lambda: (rng.dirichlet(np.ones(6), (size, 4)), np.eye(6)[rng.integers(0, 6, (size, 4))]),
    }[kind]()


def batches(kind, seed=0):
    rng = np.random.default_rng(seed)
    return [batch(kind, size, rng) for size in SIZES]


CASES = [
    ("MeanSquaredError", {}, "real"),
    ("RootMeanSquaredError", {}, "real"),
    ("MeanAbsoluteError", {}, "real"),
    ("MeanAbsolutePercentageError", {}, "real"),
    ("MeanSquaredLogarithmicError", {}, "counts"),
    ("CosineSimilarity", {}, "real"),
    ("LogCoshError", {}, "real"),
    ("R2Score", {}, "real"),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, "real"),
    ("R2Score", {"class_aggregation": None}, "real"),
    ("Hinge", {}, "binary"),
    ("SquaredHinge", {}, "binary"),
    ("CategoricalHinge", {}, "one_hot"),
    ("KLDivergence", {}, "one_hot"),
    ("Poisson", {}, "counts"),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, "binary"),
    ("BinaryCrossentropy", {"from_logits": True}, "binary_logits"),
    ("CategoricalCrossentropy", {}, "one_hot"),
    ("CategoricalCrossentropy", {}, "one_hot_steps"),
    ("SparseCategoricalCrossentropy", {}, "sparse"),
    ("SparseCategoricalCrossentropy", {}, "steps"),
    ("Accuracy", {}, "whole"),
    ("BinaryAccuracy", {}, "one"),
    ("BinaryAccuracy", {"threshold": 0.3}, "binary"),
    ("CategoricalAccuracy", {}, "one_hot"),
    ("CategoricalAccuracy", {}, "one_hot_steps"),
    ("SparseCategoricalAccuracy", {}, "sparse"),
    ("SparseCategoricalAccuracy", {}, "sparse_column"),
    ("SparseCategoricalAccuracy", {}, "steps"),
    ("TopKCategoricalAccuracy", {}, "one_hot"),
    ("TopKCategoricalAccuracy", {"k": 2}, "one_hot_steps"),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, "sparse"),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, "steps"),
    ("AUC", {}, "one"),
    ("AUC", {}, "binary"),
    ("AUC", {"curve": "PR"}, "binary"),
    ("AUC", {"curve": "PRGAIN", "num_thresholds": 20}, "binary"),
    ("AUC", {"curve": "PR", "summation_method": "majoring", "num_thresholds": 11}, "binary"),
    ("AUC", {"summation_method": "minoring", "thresholds": [0.2, 0.5, 0.9]}, "binary"),
    ("AUC", {"from_logits": True, "label_weights": [1.0, 2.0, 0.0, 1.0, 1.0, 3.0]}, "binary_logits"),
    ("AUC", {"multi_label": True, "num_labels": 6}, "binary"),
    (
        "AUC",
        {"multi_label": True, "num_labels": 6, "curve": "PR", "label_weights": [1.0, 2.0, 0.0, 1.0, 1.0, 3.0]},
        "binary",
    ),
    ("Precision", {}, "one"),
    ("Precision", {"thresholds": [0.2, 0.5, 0.6]}, "binary"),
    ("Precision", {"thresholds": [0.0, 0.5, 1.0]}, "binary"),
    ("Precision", {"top_k": 2}, "binary"),
    ("Precision", {"class_id": 3, "thresholds": 0.4}, "binary"),
    ("Recall", {}, "one"),
    ("Recall", {"thresholds": [0.2, 0.5, 0.6]}, "binary"),
    ("Recall", {"top_k": 2, "class_id": 1}, "binary"),
    ("TruePositives", {}, "binary"),
    ("FalsePositives", {"thresholds": [0.3, 0.7]}, "binary"),
    ("TrueNegatives", {}, "binary"),
    ("FalseNegatives", {}, "binary"),
    ("SensitivityAtSpecificity", {"specificity": 0.6}, "binary"),
    ("SpecificityAtSensitivity", {"sensitivity": 0.6, "num_thresholds": 30}, "binary"),
    ("PrecisionAtRecall", {"recall": 0.7, "class_id": 2}, "binary"),
    ("RecallAtPrecision", {"precision": 0.5, "num_thresholds": 1}, "binary"),
    ("F1Score", {}, "one_hot"),
    ("F1Score", {"average": "micro", "threshold": 0.4}, "binary"),
    ("FBetaScore", {"average": "macro", "beta": 2.0}, "one_hot"),
    ("FBetaScore", {"average": "weighted", "beta": 0.5, "threshold": 0.5}, "binary"),
]


def named(slow):
    """The cases; those of which `slow(name, how many of this name came before)` run with the slow tests."""
    seen = Counter()
    for name, options, kind in CASES:
        marks = [pytest.mark.slow] if slow(name, seen[name]) else []
        yield pytest.param(name, options, kind, id="-".join([name, *map(str, options), kind]), marks=marks)
        seen[name] += 1


NAMED = [*named(lambda name, before: False)]
FEW = [*named(lambda name, before: before > 0)]
FEWEST = [*named(lambda name, before: before > 0 or name not in WEIGHED)]


def twins(name, options, kind):
    """Our metric, bound to its output, and Keras'."""
    width = np.shape(batches(kind)[0][0])[-1]
    return getattr(metrics, name)(**options).for_output(width), getattr(keras.metrics, name)(**options)


def weights_of(predictions, form):
    rng = np.random.default_rng(9)
    shapes = {"example": predictions.shape[:1], "position": predictions.shape[:2]}
    return None if form is None else rng.integers(0, 3, shapes[form]) / 2.0


def by_keras(metric, given, form=None):
    for predictions, targets in given:
        metric.update_state(targets, predictions, weights_of(predictions, form))
    return metric.result()


@pytest.mark.parametrize(("name", "options", "kind"), NAMED)
def test_over_batches(name, options, kind):  # oracle: Keras
    assert_like_keras(name, options, kind)


@pytest.mark.parametrize(("name", "options", "kind"), FEWEST)
def test_weighted_over_batches(name, options, kind):  # oracle: Keras
    assert_like_keras(name, options, kind, "example")


def assert_like_keras(name, options, kind, form=None):
    given = batches(kind) if form is None else batches(kind)[1:]
    with keras_in():
        ours, theirs = twins(name, options, kind)
        expected = by_keras(theirs, given, form)
    state = ours.empty()
    for predictions, targets in given:
        state = ours.update(state, predictions, targets, weights_of(predictions, form))
    np.testing.assert_allclose(ours.compute(state), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", ["SparseCategoricalCrossentropy", "SparseCategoricalAccuracy"])
def test_weights_of_positions(name):  # oracle: Keras
    with keras_in():
        ours, theirs = twins(name, {}, "steps")
        expected = by_keras(theirs, batches("steps"), "position")
    parts = [ours.state_of(*each, weights_of(each[0], "position")) for each in batches("steps")]
    np.testing.assert_allclose(ours.compute(functools.reduce(ours.merge, parts)), expected, rtol=2e-6)


@pytest.mark.parametrize(("name", "options", "kind"), FEW)
def test_padding_does_not_count(name, options, kind):  # oracle: the same examples unpadded, in one batch, unweighted
    ours, _ = twins(name, options, kind)
    given = batches(kind)
    whole = [np.concatenate(arrays) for arrays in zip(*given, strict=True)]
    expected = ours.compute(ours.state_of(*whole))
    size = max(SIZES)
    update, state = jax.jit(ours.update), ours.empty()
    for predictions, targets in given:
        rows = size - len(predictions)
        spoilt = np.full((rows, *predictions.shape[1:]), np.nan)
        predictions = np.concatenate([predictions, spoilt]).astype("float32")
        targets = np.concatenate([targets, np.zeros((rows, *targets.shape[1:]), targets.dtype)])
        state = update(state, predictions, targets, (np.arange(size) < size - rows).astype("float32"))
    assert update._cache_size() == 1
    np.testing.assert_allclose(ours.compute(state), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(("name", "options", "kind"), NAMED)
def test_of_nothing_is_finite(name, options, kind):  # oracle: the definition of an empty mean
    ours, _ = twins(name, options, kind)
    assert np.isfinite(ours.compute(ours.empty())).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
@pytest.mark.parametrize(
    ("name", "options", "kind"), [case for case in FEW if case.values[0] in ("AUC", "MeanSquaredError")]
)
def test_other_floats(name, options, kind, dtype):  # oracle: Keras, given the same numbers
    with jax.enable_x64(dtype == "float64"):
        predictions, targets = batches(kind)[0]
        predictions = jnp.asarray(predictions, dtype)
        wide = "float64" if dtype == "float64" else "float32"
        with keras_in(wide):
            ours, theirs = twins(name, options, kind)
            expected = by_keras(theirs, [(predictions.astype(wide), targets)])
        state = ours.update(ours.empty(), predictions, targets)
        assert {leaf.dtype for leaf in jax.tree.leaves(state)} == {jnp.dtype(wide)}
        np.testing.assert_allclose(ours.compute(state), expected, rtol=1e-12 if dtype == "float64" else 2e-6)


def test_labels_beyond_what_bfloat16_counts():  # oracle: the closed form; Keras rounds label 301 to 302
    predictions = jax.nn.one_hot(jnp.array([301]), 400, dtype=jnp.bfloat16)
    assert metrics.sparse_categorical_accuracy(predictions, jnp.array([301])) == 1.0
    assert metrics.sparse_categorical_accuracy(predictions, jnp.array([45], jnp.uint8)) == 0.0  # 301 - 256


@pytest.mark.parametrize("name", ["accuracy", "acc", "Accuracy"])
@pytest.mark.parametrize("kind", ["one", "one_hot", "sparse", "sparse_column", "steps", "one_hot_steps", "binary"])
def test_accuracy_by_shapes(name, kind):  # oracle: Keras
    given = batches(kind)
    with keras_in():
        theirs = keras.src.trainers.compile_utils.get_metric(name, given[0][1], given[0][0])
        expected = by_keras(theirs, given)
    ours = metrics.get(name)
    parts = [ours.state_of(*each) for each in given]
    assert ours.name == theirs.name == name
    np.testing.assert_allclose(ours.compute(functools.reduce(ours.merge, parts)), expected, rtol=2e-6)


UNPORTED = {
    *("Metric", "Mean", "Sum", "MeanMetricWrapper", "ConcordanceCorrelation", "PearsonCorrelation"),
    *("IoU", "BinaryIoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"),
}


def test_every_name_of_keras_is_known():  # oracle: Keras
    names = keras.src.metrics.ALL_OBJECTS_DICT
    missing = {names[name].__name__ for name in names if name not in metrics.named.NAMES}
    assert missing == UNPORTED


@pytest.mark.parametrize("name", sorted(set(metrics.named.NAMES) & set(keras.src.metrics.ALL_OBJECTS_DICT)))
def test_names_mean_what_they_mean_in_keras(name):  # oracle: Keras
    theirs = keras.src.metrics.ALL_OBJECTS_DICT[name]
    assert metrics.named.NAMES[name].__name__ == theirs.__name__
    needs_a_limit = issubclass(theirs, keras.src.metrics.confusion_metrics.SensitivitySpecificityBase)
    if not needs_a_limit:
        with keras_in():
            keras.utils.clear_session(free_memory=False)
            assert metrics.named.NAMES[name]().name == theirs().name
        assert metrics.get(name).name == name


def test_perplexity():  # oracle: exp of Keras' cross-entropy over all positions
    given = batches("steps")
    with keras_in():
        whole = [np.concatenate(arrays) for arrays in zip(*given, strict=True)]
        expected = np.exp(keras.losses.SparseCategoricalCrossentropy()(whole[1], whole[0]))
    spec = TensorSpec.of_shape((None, None, 6), "float32")
    name, ours = metrics.bind("perplexity", spec)
    assert name == "perplexity"
    state = functools.reduce(ours.merge, [ours.state_of(*each) for each in given])
    np.testing.assert_allclose(ours.compute(state), expected, rtol=1e-5)
    one_hot = functools.reduce(ours.merge, [ours.state_of(p, np.eye(6)[t]) for p, t in given])
    np.testing.assert_allclose(ours.compute(one_hot), expected, rtol=1e-5)
    _, on_logits = metrics.bind("perplexity", spec, loss=losses.SparseCategoricalCrossentropy(from_logits=True))
    logged = functools.reduce(on_logits.merge, [on_logits.state_of(np.log(p), t) for p, t in given])
    np.testing.assert_allclose(on_logits.compute(logged), expected, rtol=1e-5)


def test_functions_and_losses():  # oracle: Keras
    def worst(y_true, y_pred):
        return jnp.max(jnp.abs(y_true - y_pred), axis=-1)

    for given, expected_name in (
        (worst, "worst"),
        (losses.Huber(0.5), "huber_loss"),
        (losses.mean_squared_error, "mean_squared_error"),
        (metrics.accuracy, "accuracy"),
    ):
        twin = {worst: worst, losses.Huber(0.5): keras.losses.Huber(0.5).fn}.get(given)
        with keras_in():
            function = functools.partial(keras.losses.huber, delta=0.5) if isinstance(given, losses.Huber) else twin
            function = function or getattr(keras.metrics, given.__name__, keras.src.metrics.accuracy_metrics.accuracy)
            expected = by_keras(keras.metrics.MeanMetricWrapper(function), batches("real"))
        ours = metrics.get(given)
        assert ours.name == expected_name
        state = functools.reduce(ours.merge, [ours.state_of(*each) for each in batches("real")])
        np.testing.assert_allclose(ours.compute(state), expected, rtol=2e-6)


def test_a_function_that_reduces_itself():  # oracle: the closed form: each batch counts by its examples
    ours = metrics.get(lambda y_true, y_pred: jnp.max(y_pred))
    parts = [ours.state_of(jnp.full((size, 1), value), jnp.zeros((size, 1))) for size, value in ((3, 1.0), (1, 5.0))]
    assert ours.name == "lambda"
    assert float(ours.compute(ours.merge(*parts))) == 2.0


def test_ignored_classes_do_not_count():  # oracle: the other targets alone
    predictions, targets = batches("sparse")[0]
    targets[:3] = -1
    for ours in (
        metrics.SparseCategoricalCrossentropy(ignore_class=-1),
        metrics.get(losses.SparseCategoricalCrossentropy(ignore_class=-1)),
    ):
        expected = ours.compute(ours.state_of(predictions[3:], targets[3:]))
        assert ours.compute(ours.state_of(predictions, targets)) == expected
        halves = ours.state_of(predictions, targets, np.full(7, 0.5))
        np.testing.assert_allclose(ours.compute(halves), expected, rtol=1e-6)


def test_configurations_of_keras():  # oracle: Keras
    with keras_in():
        config = keras.metrics.Precision(thresholds=[0.1, 0.9], top_k=3, name="p").get_config()
    given = metrics.get({"class_name": "Precision", "config": config})
    assert given == metrics.Precision((0.1, 0.9), 3, name="p")
    assert hash(given) == hash(metrics.Precision([0.1, 0.9], 3, name="p"))


def test_states_merge_across_devices():  # oracle: all examples on one device
    predictions, targets = (np.concatenate(arrays) for arrays in zip(*batches("one"), strict=True))
    predictions, targets = predictions[:16].reshape(8, 2, 1), targets[:16].reshape(8, 2)
    for ours in (metrics.AUC(), metrics.get("accuracy")):
        summed = jax.vmap(ours.state_of)(jnp.asarray(predictions), jnp.asarray(targets))
        total = jax.tree.map(lambda leaf: leaf.sum(0), summed)
        whole = ours.state_of(predictions.reshape(16, 1), targets.reshape(16))
        np.testing.assert_allclose(ours.compute(total), ours.compute(whole), rtol=1e-6)


@pytest.mark.parametrize(
    ("mistake", "kind", "words"),
    [
        (lambda: metrics.get("acuracy"), GraphValueError, "'accuracy'?"),
        (lambda: metrics.get(1), GraphTypeError, "1 is not a metric."),
        (lambda: metrics.get({"class_name": "AUC", "config": {"curv": 1}}), GraphValueError, "'curve'?"),
        (lambda: metrics.AUC(curve="roq"), GraphValueError, "'ROC'?"),
        (lambda: metrics.AUC(num_thresholds=1), GraphValueError, "num_thresholds=1"),
        (lambda: metrics.AUC(multi_label=True).empty(), GraphValueError, "AUC(num_labels=...)"),
        (lambda: metrics.Precision(thresholds=[0.5, 0.1]), GraphValueError, "0 to 1, rising"),
        (lambda: metrics.Recall(thresholds=1.5), GraphValueError, "received: 1.5"),
        (lambda: metrics.F1Score().empty(), GraphValueError, "columns=..."),
        (lambda: metrics.F1Score(average="mean"), GraphValueError, "'micro'"),
        (lambda: metrics.FBetaScore(beta=0.0), GraphValueError, "beta=0.0"),
        (lambda: metrics.R2Score(class_aggregation="mean"), GraphValueError, "'uniform_average'"),
        (lambda: metrics.get("mse").state_of(jnp.zeros((4, 3)), jnp.zeros(4)), ShapeMismatchError, "(4, 3) float32"),
        (
            lambda: metrics.get("mse").state_of(jnp.zeros((4, 3)), jnp.zeros((4, 3)), jnp.zeros((4, 3))),
            ShapeMismatchError,
            "sample_weight (4, 3)",
        ),
        (
            lambda: metrics.AUC(multi_label=True).state_of(jnp.zeros((4, 3, 2)), jnp.zeros((4, 3, 2))),
            ShapeMismatchError,
            "auc needs 2 axes",
        ),
    ],
)
def test_mistakes(mistake, kind, words):  # oracle: the words a user needs
    with pytest.raises(kind) as caught:
        mistake()
    assert words in str(caught.value)
