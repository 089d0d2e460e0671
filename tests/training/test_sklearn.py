"""Estimators as scikit-learn uses them."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import RandomizedSearchCV

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
