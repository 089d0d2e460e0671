"""Losses against Keras 3 on JAX: values, gradients, reductions, names and messages."""

from __future__ import annotations

import functools
from textwrap import dedent

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from jaxgraphs.errors import GraphTypeError, GraphValueError, ShapeMismatchError
from jaxgraphs.training import losses
from tests.oracle import assert_close
from tests.training.keras_in import keras_in


def probabilities(rng, *shape):
    return rng.dirichlet(np.ones(shape[-1]), shape[:-1])


def data(kind, seed=0, shape=(6, 5)):
    """Predictions and targets, float64, such as a loss of this kind meets."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, shape[-1], shape[:-1])
    return {
        "real": lambda: (rng.normal(size=shape) * 2, rng.normal(size=shape)),
        "counts": lambda: (rng.gamma(2.0, size=shape), rng.poisson(2.0, size=shape)),
        "signs": lambda: (rng.normal(size=shape), rng.choice([-1, 1], size=shape)),
        "binary": lambda: (rng.uniform(size=shape), rng.integers(0, 2, shape)),
        "binary_logits": lambda: (rng.normal(size=shape) * 3, rng.integers(0, 2, shape)),
        "one_hot": lambda: (probabilities(rng, *shape), np.eye(shape[-1])[classes]),
        "one_hot_logits": lambda: (rng.normal(size=shape) * 3, np.eye(shape[-1])[classes]),
        "soft": lambda: (probabilities(rng, *shape), probabilities(rng, *shape)),
        "sparse": lambda: (probabilities(rng, *shape), classes),
        "sparse_logits": lambda: (rng.normal(size=shape) * 3, classes),
        "ctc": lambda: (rng.normal(size=(6, 9, 5)), np.array([[1, 2, 2, 0], [3, 0, 0, 0]] * 3)),
    }[kind]()


CASES = [
    ("MeanSquaredError", {}, "real"),
    ("MeanAbsoluteError", {}, "real"),
    ("MeanAbsolutePercentageError", {}, "real"),
    ("MeanSquaredLogarithmicError", {}, "counts"),
    ("Huber", {}, "real"),
    ("Huber", {"delta": 0.3}, "real"),
    ("LogCosh", {}, "real"),
    ("Poisson", {}, "counts"),
    ("KLDivergence", {}, "soft"),
    ("CosineSimilarity", {}, "real"),
    ("CosineSimilarity", {"axis": 0}, "real"),
    ("Hinge", {}, "signs"),
    ("Hinge", {}, "binary"),
    ("SquaredHinge", {}, "signs"),
    ("CategoricalHinge", {}, "one_hot"),
    ("CTC", {}, "ctc"),
    ("BinaryCrossentropy", {}, "binary"),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, "binary"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, "binary_logits"),
    ("CategoricalCrossentropy", {}, "one_hot"),
    ("CategoricalCrossentropy", {}, "soft"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "one_hot"),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "one_hot_logits"),
    ("CategoricalCrossentropy", {"from_logits": True, "axis": 0}, "one_hot_logits"),
    ("SparseCategoricalCrossentropy", {}, "sparse"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "sparse_logits"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, "sparse"),
    ("BinaryFocalCrossentropy", {"gamma": 3.0}, "binary"),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "from_logits": True}, "binary_logits"),
    ("CategoricalFocalCrossentropy", {"label_smoothing": 0.1}, "one_hot"),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "alpha": 0.5}, "one_hot_logits"),
]
NAMED = [pytest.param(*case, id="-".join([case[0], *map(str, case[1])])) for case in CASES]


def with_gradient(function):
    return jax.jit(jax.value_and_grad(function, has_aux=True))


@pytest.mark.parametrize(("name", "options", "kind"), NAMED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_gradients(name, options, kind, dtype):  # oracle: Keras
    with jax.enable_x64(dtype == "float64"):
        predictions, targets = data(kind)
        predictions = jnp.asarray(predictions, dtype)
        ours = getattr(losses, name)(**options)
        (got, each), slope = with_gradient(lambda p: (ours.reduced(p, targets), ours.values(p, targets)))(predictions)
        with keras_in(dtype):
            theirs = getattr(keras.losses, name)(**options)
            unreduced = getattr(keras.losses, name)(**options, reduction="none")
            judged = with_gradient(lambda p: (theirs(targets, p), unreduced(targets, p)))
            (expected, expected_each), expected_slope = judged(predictions)
    tolerance = 2e-6 if dtype == "float32" else 1e-12
    assert each.dtype == got.dtype == dtype
    np.testing.assert_allclose(got, expected, rtol=tolerance)
    np.testing.assert_allclose(each, expected_each, rtol=10 * tolerance, atol=tolerance)
    np.testing.assert_allclose(slope, expected_slope, rtol=10 * tolerance, atol=tolerance)


@pytest.mark.parametrize(("name", "options", "kind"), NAMED)
def test_half_precision_is_summed_in_float32(name, options, kind):  # oracle: the same numbers in float32
    predictions, targets = data(kind)
    half = jnp.asarray(predictions, jnp.bfloat16)
    loss = getattr(losses, name)(**options)
    got = loss.reduced(half, jnp.asarray(targets))
    assert got.dtype == jnp.float32
    assert got == loss.reduced(half.astype(jnp.float32), jnp.asarray(targets))


@pytest.mark.parametrize(
    ("predictions", "targets"), [((6, 1), (6,)), ((6,), (6, 1)), ((6,), (6,)), ((6, 3), (6, 3, 1)), ((6, 3, 1), (6, 3))]
)
def test_ranks_that_differ_by_one(predictions, targets):  # oracle: Keras
    rng = np.random.default_rng(1)
    predictions, targets = rng.normal(size=predictions), rng.normal(size=targets)
    with keras_in():
        expected = keras.losses.MeanAbsoluteError()(targets, predictions)
    got = losses.MeanAbsoluteError().reduced(jnp.asarray(predictions), jnp.asarray(targets))
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(4, 1), (4, 3), (4, 3, 1)])
def test_sparse_targets_may_have_a_last_axis(shape):  # oracle: Keras
    rng = np.random.default_rng(2)
    width = (*shape[:-1], 7) if shape[-1] == 1 else (*shape, 7)
    predictions, targets = probabilities(rng, *width), rng.integers(0, 7, shape)
    with keras_in():
        expected = keras.losses.SparseCategoricalCrossentropy()(targets, predictions)
    got = losses.SparseCategoricalCrossentropy().reduced(jnp.asarray(predictions), jnp.asarray(targets, jnp.int16))
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def weights_of(kind):
    return {
        None: None,
        "example": np.array([0.0, 1.0, 2.0, 0.5]),
        "column": np.array([[0.0], [1.0], [2.0], [0.5]]),
        "position": np.random.default_rng(3).uniform(size=(4, 3)),
    }[kind]


MASK = np.array([[True, True, False], [True, False, False], [False] * 3, [True] * 3])


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum", "none", None, "mean_with_sample_weight"])
@pytest.mark.parametrize("mask", [None, MASK, np.zeros((4, 3), bool)], ids=["unmasked", "masked", "all_masked"])
@pytest.mark.parametrize("weights", [None, "column", "position"])
def test_reduction_of_positions(reduction, mask, weights):  # oracle: Keras
    values, weights_given = np.random.default_rng(4).normal(size=(4, 3)), weights_of(weights)
    with keras_in():
        expected = keras.src.losses.loss.reduce_weighted_values(
            values, weights_given, None if mask is None else jnp.asarray(mask), reduction, "float32"
        )
    if reduction == "mean_with_sample_weight" and weights == "column":
        # Keras sums the weights before it repeats them over time, so that its weighted mean is three times too large
        # without a mask; with one it has repeated them already.
        expected = expected / 3 if mask is None else expected
    got = losses.reduce(values, weights_given, mask, reduction)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "none", "mean_with_sample_weight"])
def test_reduction_of_examples(reduction):  # oracle: Keras
    values, weights = np.random.default_rng(5).normal(size=4), weights_of("example")
    with keras_in():
        expected = keras.src.losses.loss.reduce_weighted_values(values, weights, None, reduction, "float32")
    np.testing.assert_allclose(losses.reduce(values, weights, None, reduction), expected, rtol=1e-6)


def test_weights_of_examples_spread_over_time():  # oracle: Keras, given the weights with an axis of time
    values = np.random.default_rng(6).normal(size=(4, 3))
    with keras_in():
        expected = keras.src.losses.loss.reduce_weighted_values(values, weights_of("column"), jnp.asarray(MASK))
    np.testing.assert_allclose(losses.reduce(values, weights_of("example"), MASK), expected, rtol=1e-6)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("name", ["MeanSquaredError", "BinaryCrossentropy", "Hinge"])
def test_padding_rows_change_nothing(name, reduction):  # oracle: Keras on the batch without them
    predictions, targets = data("binary", shape=(6, 3, 2))
    weights, mask = np.arange(1.0, 5.0)[:, None], MASK
    with keras_in():
        theirs = keras.losses.get(name)
        expected = keras.src.losses.loss.reduce_weighted_values(
            theirs.fn(targets[:4], predictions[:4]), np.repeat(weights, 3, 1), jnp.asarray(mask), reduction
        )
    predictions[4:] = np.nan
    ours = losses.get({"class_name": name, "config": {"reduction": reduction}})
    padded = [np.pad(array, ((0, 2), (0, 0)), constant_values=1) for array in (weights, mask)]
    got = ours.reduced(predictions, targets, *padded, present=np.arange(6) < 4)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_ignored_classes_leave_the_mean():  # oracle: Keras
    predictions, targets = data("sparse", shape=(6, 3, 5))
    targets[0] = -1
    weights = np.linspace(0.0, 1.0, 18).reshape(6, 3)
    with keras_in():
        theirs = keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)
        expected = theirs(targets, jnp.asarray(predictions), weights)
    got = losses.SparseCategoricalCrossentropy(ignore_class=-1).reduced(predictions, targets, weights)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_a_function_in_keras_order():  # oracle: Keras
    def lopsided(y_true, y_pred):
        return jnp.mean(jnp.maximum(y_true - y_pred, 0.1 * (y_pred - y_true)), axis=-1)

    predictions, targets = np.random.default_rng(7).normal(size=(4, 1)), np.array([0, 1, 2, 1])
    with keras_in():
        expected = keras.src.losses.LossFunctionWrapper(lopsided)(targets, predictions, weights_of("example"))
    loss = losses.get(lopsided)
    assert loss.name == "lopsided"
    np.testing.assert_allclose(loss.reduced(predictions, targets, weights_of("example")), expected, rtol=1e-6)


def test_a_function_that_reduces_itself():  # oracle: Keras
    def whole(y_true, y_pred):
        return jnp.max(jnp.abs(y_true - y_pred))

    predictions, targets = data("real")
    for weights in (None, np.arange(6.0)):
        with keras_in():
            expected = keras.src.losses.LossFunctionWrapper(whole)(targets, predictions, weights)
        np.testing.assert_allclose(losses.get(whole).reduced(predictions, targets, weights), expected, rtol=1e-6)


def names_of_keras():
    own = set(losses.named.NAMES) | {"Loss", "LossFunctionWrapper"}
    unported = {"Dice", "dice", "Tversky", "tversky", "Circle", "circle", "CategoricalGeneralizedCrossEntropy"}
    return own, unported


def test_every_name_of_keras_is_known():  # oracle: Keras
    own, unported = names_of_keras()
    assert set(keras.src.losses.ALL_OBJECTS_DICT) - own - unported == set()


@pytest.mark.parametrize("name", sorted(set(losses.named.NAMES) & set(keras.src.losses.ALL_OBJECTS_DICT)))
def test_names_mean_what_they_mean_in_keras(name):  # oracle: Keras
    theirs = keras.losses.get(name)
    assert type(losses.get(name)).function.__name__ == getattr(theirs, "fn", theirs).__name__


@pytest.mark.parametrize(("width", "targets"), [(1, (6,)), (1, (6, 1)), (5, (6,)), (5, (6, 1)), (5, (6, 5))])
@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_crossentropy_by_shapes(targets, width, kind):  # oracle: Keras
    rng = np.random.default_rng(8)
    logits, given = rng.normal(size=(6, width)), rng.integers(0, min(width + 1, 5), targets)
    probs = getattr(jax.nn, kind)(jnp.asarray(logits))
    with keras_in():
        theirs = keras.src.trainers.compile_utils.get_loss("crossentropy", given, probs)
        expected = theirs(given, probs)
    ours = losses.get("crossentropy")
    np.testing.assert_allclose(ours.reduced(probs, given), expected, rtol=1e-6)
    if (kind, width) != ("softmax", 1):  # there the probability is 1, and its logarithm held off 0
        np.testing.assert_allclose(ours.on_logits(kind).reduced(logits, given), expected, rtol=1e-5)


ON_LOGITS = [
    ("binary_crossentropy", "sigmoid", "binary_logits"),
    ("categorical_crossentropy", "softmax", "one_hot_logits"),
    ("sparse_categorical_crossentropy", "softmax", "sparse_logits"),
    ("binary_focal_crossentropy", "sigmoid", "binary_logits"),
    ("categorical_focal_crossentropy", "softmax", "one_hot_logits"),
]


@pytest.mark.parametrize(("name", "kind", "sample"), ON_LOGITS)
def test_on_logits_agrees_with_probabilities(name, kind, sample):  # oracle: the loss of the activated logits
    logits, targets = (jnp.asarray(array) for array in data(sample))
    loss = losses.get(name)
    expected = loss.reduced(getattr(jax.nn, kind)(logits), targets)
    np.testing.assert_allclose(loss.on_logits(kind).reduced(logits, targets), expected, rtol=1e-5)


def test_on_logits_keeps_the_options_and_knows_its_limits():  # oracle: the definition
    smoothed = losses.CategoricalCrossentropy(label_smoothing=0.1, reduction="sum")
    assert smoothed.on_logits("softmax") == losses.CategoricalCrossentropy(True, 0.1, reduction="sum")
    assert smoothed.on_logits("sigmoid") is None
    assert losses.MeanSquaredError().on_logits("softmax") is None
    assert losses.CategoricalCrossentropy(from_logits=True).on_logits("softmax") is None


@pytest.mark.parametrize("size", [30.0, 200.0, 1e4])
def test_saturated_logits_keep_their_gradient(size):  # oracle: softmax minus target, sigmoid minus target
    logits, wrong = jnp.array([[size, -size]]), jnp.array([[0.0, 1.0]])
    softmax = jax.grad(losses.CategoricalCrossentropy(from_logits=True).reduced)(logits, wrong)
    sparse = jax.grad(losses.SparseCategoricalCrossentropy(from_logits=True).reduced)(logits, jnp.array([1]))
    sigmoid = jax.grad(losses.BinaryCrossentropy(from_logits=True).reduced)(logits, wrong)
    np.testing.assert_allclose(softmax, [[1.0, -1.0]], rtol=1e-6)
    np.testing.assert_allclose(sparse, [[1.0, -1.0]], rtol=1e-6)
    np.testing.assert_allclose(sigmoid, [[0.5, -0.5]], rtol=1e-6)


def test_zero_vectors_have_a_finite_gradient():  # oracle: the closed form 0; Keras gives not-a-number
    slope = jax.grad(losses.CosineSimilarity().reduced)(jnp.zeros((1, 3)), jnp.ones((1, 3)))
    assert np.isfinite(slope).all()


def test_our_functions_are_recognised_by_get():  # oracle: the definition
    assert losses.get(losses.huber) == losses.Huber()
    assert losses.get(functools.partial(losses.huber, delta=2.0)) == losses.Huber(2.0)
    assert losses.get(losses.Huber) == losses.Huber()
    assert losses.get({"class_name": "Huber", "config": {"delta": 2.0, "name": "h", "dtype": None}}).delta == 2.0


def test_classes_where_one_hot_is_needed():  # oracle: the message, word for word
    with pytest.raises(ShapeMismatchError) as caught:
        losses.get("categorical_crossentropy").reduced(jnp.zeros((4, 10)), jnp.zeros(4, jnp.int32))
    assert str(caught.value) == dedent("""\
        categorical_crossentropy needs one-hot targets, not classes.
          received: predictions (4, 10) float32, targets (4,) int32
          expected: targets of (4, 10)
          fix:      loss="sparse_categorical_crossentropy", or jax.nn.one_hot(targets, 10)""")


def test_one_hot_where_classes_are_needed():  # oracle: the message, word for word
    with pytest.raises(ShapeMismatchError) as caught:
        losses.get("sparse_categorical_crossentropy").reduced(jnp.zeros((4, 10)), jnp.zeros((4, 10)))
    assert str(caught.value) == dedent("""\
        sparse_categorical_crossentropy needs one class for each prediction.
          received: predictions (4, 10) float32, targets (4, 10) float32
          expected: targets of (4,): whole numbers from 0 to 9
          fix:      loss="categorical_crossentropy" takes one-hot targets""")


def test_shapes_that_would_broadcast_are_refused():  # oracle: the message, word for word
    with pytest.raises(ShapeMismatchError) as caught:
        losses.get("mse").reduced(jnp.zeros((4, 3)), jnp.zeros((4, 1)))
    assert str(caught.value) == dedent("""\
        mean_squared_error cannot compare predictions with targets.
          received: predictions (4, 3) float32, targets (4, 1) float32
          expected: targets of (4, 3)
          fix:      give the targets the shape of the output, or the output the width of the targets""")


@pytest.mark.parametrize(
    ("mistake", "kind", "words"),
    [
        (lambda: losses.get("hubber"), GraphValueError, "'huber'?"),
        (lambda: losses.get(3), GraphTypeError, "3 is not a loss."),
        (lambda: losses.get({"class_name": "Huber", "config": {"detla": 1}}), GraphValueError, "'delta'?"),
        (lambda: losses.Huber(delta=0.0), GraphValueError, "a number above 0.0"),
        (lambda: losses.CategoricalCrossentropy(label_smoothing=1.5), GraphValueError, "a number from 0 to 1.0"),
        (lambda: losses.MeanSquaredError(reduction="average"), GraphValueError, "no reduction 'average'"),
        (lambda: losses.reduce(jnp.zeros((4, 3)), jnp.zeros(3)), ShapeMismatchError, "sample_weight (3,) float32"),
        (lambda: losses.reduce(jnp.zeros(4), mask=jnp.ones((4, 3), bool)), ShapeMismatchError, "mask (4, 3) bool"),
        (lambda: losses.ctc(jnp.zeros((2, 3)), jnp.zeros((2, 3))), ShapeMismatchError, "(batch, time, classes)"),
    ],
)
def test_mistakes(mistake, kind, words):  # oracle: the words a user needs
    with pytest.raises(kind) as caught:
        mistake()
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["mse", "mae"])
def test_a_mean_of_means_is_read_in_one_pass(name):  # oracle: the values' mean; how many sums the program has
    loss = losses.get(name)
    random = np.random.default_rng(0)
    predictions, targets = random.normal(size=(2, 6, 5, 4)).astype("float32")
    assert_close(loss.reduced(predictions, targets), np.mean(loss.values(predictions, targets)), 1e-6)
    weighted = loss.reduced(predictions, targets, weights=np.ones(6, "float32"))
    assert_close(weighted, loss.reduced(predictions, targets), 1e-6)
    program = jax.jit(loss.reduced).lower(predictions, targets).as_text()
    assert program.count("stablehlo.reduce(") == 1
    assert float(loss.reduced(predictions[:0], targets[:0])) == 0.0
