"""Estimators as scikit-learn uses them."""

import pickle

import numpy as np
import optax
import pytest
from sklearn.base import clone
from sklearn.model_selection import RandomizedSearchCV
from sklearn.utils.estimator_checks import estimator_checks_generator

import jaxgraphs as jg
from jaxgraphs import layers
from jaxgraphs.training.sklearn import Classifier, Regressor
from tests.training.runs import rows


def linear_classifier(shape, classes, units=4):
    x = jg.Input(shape)
    return jg.Graph(x, layers.Dense(classes, activation="softmax")(layers.Dense(units)(x)))


def linear_regressor(shape, outputs):
    x = jg.Input(shape)
    return jg.Graph(x, layers.Dense(outputs)(x))


def separable(count=24):
    x, _ = rows(count)
    return x, np.where(x[:, 0] > 0, "right", "left")


def test_a_search_over_what_builds_the_graph():  # oracle: scikit-learn's own search and score
    x, y = separable()
    search = RandomizedSearchCV(
        Classifier(linear_classifier, batch_size=24, epochs=15),
        {"units": [2, 3], "learning_rate": [0.1]},
        n_iter=2,
        cv=2,
        random_state=0,
    ).fit(x, y)
    assert search.best_params_["units"] in (2, 3)
    assert search.best_estimator_.graph_.layers[0].units == search.best_params_["units"]
    assert search.score(x, y) == np.mean(search.predict(x) == y) > 0.9


@pytest.mark.parametrize("optimizer", [jg.optimizers.adam(0.5), {"class_name": "adam", "config": {"beta_1": 0.9}}])
def test_a_learning_rate_of_any_optimizer(optimizer):  # oracle: the optimizer by its name
    x, y = separable()
    options = {"learning_rate": 0.1, "epochs": 2}
    expected = Classifier(linear_classifier, **options).fit(x, y).predict_proba(x)
    actual = Classifier(linear_classifier, optimizer=optimizer, **options).fit(x, y).predict_proba(x)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_an_optimizer_that_holds_no_rate():  # oracle: the message
    with pytest.raises(jg.GraphValueError, match="holds no learning rate to change"):
        Classifier(linear_classifier, optimizer=optax.adam(0.1), learning_rate=0.2).fit(*separable())


def test_a_classifier_survives_pickling_and_cloning():  # oracle: the estimator itself
    x, y = separable()
    fitted = Classifier(linear_classifier, units=3, epochs=2).fit(x, y)
    assert list(fitted.classes_) == ["left", "right"]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(x), fitted.predict_proba(x))
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "graph_")


@pytest.mark.parametrize("shape", [(20,), (20, 2)])
def test_a_regressor_keeps_its_targets_shape(shape):  # oracle: least squares, which the graph is
    x, _ = rows(20)
    y = (x @ np.ones((6, shape[1] if len(shape) > 1 else 1), np.float32) + 1).reshape(shape)
    fitted = Regressor(linear_regressor, optimizer=jg.optimizers.adam(0.1), epochs=150, batch_size=20).fit(x, y)
    assert fitted.predict(x).shape == shape
    np.testing.assert_allclose(fitted.predict(x), y, atol=0.1)


def test_an_argument_that_nothing_takes():  # oracle: the message
    with pytest.raises(jg.GraphError, match="Neither the estimator nor what builds its graph takes 'unit'"):
        Classifier(linear_classifier).set_params(unit=3)


def hidden_classifier(shape, classes, units=8):
    x = jg.Input(shape)
    return jg.Graph(x, layers.Dense(classes, activation="softmax")(layers.Dense(units, activation="relu")(x)))


ESTIMATORS = [
    Classifier(hidden_classifier, epochs=20, learning_rate=0.05),
    Regressor(linear_regressor, epochs=20, learning_rate=0.1),
]
_WEIGHTS = "a descent by shuffled batches meets a repeated row in other batches than a row of twice the weight"
# What does not apply, and why.
EXPECTED = {"check_sample_weight_equivalence_on_dense_data": _WEIGHTS}
# Those that train nothing.
QUICK = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_estimators_unfitted",
    "check_mixin_order",
    "check_do_not_raise_errors_in_init_or_set_params",
)


def of_sklearn(quick):
    """scikit-learn's own checks, each with an estimator."""
    for estimator in ESTIMATORS:
        for each, check in estimator_checks_generator(estimator):
            name = check.func.__name__
            if (name in QUICK) is quick:
                yield pytest.param(each, check, id=f"{type(estimator).__name__}-{name}")


@pytest.mark.parametrize(("estimator", "check"), list(of_sklearn(True)))
def test_what_sklearn_expects_of_estimators(estimator, check):  # oracle: scikit-learn's own checks
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), list(of_sklearn(False)))
def test_what_sklearn_expects_of_training(estimator, check, request):  # oracle: scikit-learn's own checks
    if check.func.__name__ in EXPECTED:
        request.applymarker(pytest.mark.xfail(reason=EXPECTED[check.func.__name__], strict=True))
    check(estimator)
