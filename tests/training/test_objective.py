"""Losses, weights and metrics bound to outputs by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs import layers
from jaxgraphs.training.objective import Targets, bind
from tests.oracle import assert_close
from tests.training.runs import classifier, two_outputs


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"loss": ["mse", "mae"]}, ("loss", "age_loss", "gender_loss")),
        ({"loss": {"gender": "mae"}}, ("loss", "gender_loss")),
        (
            {"loss": ["mse", "mae"], "metrics": {"gender": ["accuracy"], "age": "mae"}},
            ("loss", "age_loss", "gender_loss", "age_mae", "gender_accuracy"),
        ),
    ],
)
def test_log_names(given, names):  # oracle: the naming rule of the interface
    assert bind(two_outputs(), **given).log_names == names


def test_one_output_has_short_names():  # oracle: Keras' names
    assert bind(classifier(), "mse", None, ["accuracy"]).log_names == ("loss", "accuracy")


def test_metrics_of_one_name():  # oracle: Keras' names, but for those of losses, which Keras lets metrics overwrite
    def loss(y_true, y_pred):
        return y_pred

    twice = bind(classifier(), "mse", None, ["accuracy", "mae", "mae", loss], ["accuracy", "accuracy"]).log_names
    assert twice == ("loss", "accuracy", "mae", "mae_1", "loss_1", "weighted_accuracy", "weighted_accuracy_1")


@pytest.mark.parametrize(
    ("loss", "kind"),
    [("sparse_categorical_crossentropy", "softmax"), ("categorical_crossentropy", "softmax"), ("mse", None)],
)
def test_kinds(loss, kind):  # oracle: which losses have a form on logits
    assert bind(classifier(), loss).kinds == (kind,)


def test_logits_leave_the_variables_alone():  # oracle: the graph's own variables
    graph = classifier()
    bound = bind(graph, "sparse_categorical_crossentropy").graph
    variables = graph.init(jax.random.key(0))
    assert jax.tree.structure(bound.init(jax.random.key(0))) == jax.tree.structure(variables)
    outputs = bound.apply(variables, np.ones((2, 6), np.float32))
    assert_close(outputs[0], graph.apply(variables, np.ones((2, 6), np.float32)), 1e-6)
    assert_close(jax.nn.softmax(outputs[1]), outputs[0], 1e-6)


def test_a_loss_behind_another_activation_reads_the_output():  # oracle: closed form
    x = jg.Input((2,), name="x")
    graph = jg.Graph(x, layers.Dense(2, activation="softmax", name="y")(x))
    bound = bind(graph, "binary_crossentropy")
    assert bound.kinds == (None,)


@pytest.mark.parametrize("missing", [0, 1])
def test_absent_targets_count_nothing(missing):  # oracle: the other output alone
    bound = bind(two_outputs(), ["mse", "mae"], metrics=[["mae"], ["mae"]])
    values = [jnp.ones((3, 1)), jnp.zeros((3, 1))]
    values[missing] = None
    targets = Targets(tuple(values), (None, None))
    outputs = [jnp.full((3, 1), 3.0), jnp.full((3, 1), 0.5)]
    total, parts = bound.loss(outputs, [None, None], targets, {})
    assert set(parts) == {["age_loss", "gender_loss"][1 - missing]}
    assert_close(total, [0.5, 4.0][missing])
    logs = bound.logs(bound.accumulate(bound.empty(), total, parts, outputs, [None, None], targets))
    assert float(logs[["age_mae", "gender_mae"][missing]]) == 0


def test_sums_of_batches_are_the_mean_over_examples():  # oracle: closed form, batches of 3 and 1
    bound = bind(two_outputs(), {"age": "mse"}, metrics={"age": "mae"})
    sums = bound.empty()
    for value, count in ((1.0, 3), (3.0, 1)):
        outputs = [jnp.full((count, 1), value), jnp.zeros((count, 1))]
        targets = Targets((jnp.zeros((count, 1)), None), (None, None))
        total, parts = bound.loss(outputs, [None, None], targets, {})
        sums = bound.accumulate(sums, total, parts, outputs, [None, None], targets)
    logs = bound.logs(sums)
    assert_close([logs["loss"], logs["age_mae"]], [(3 * 1 + 9) / 4, (3 * 1 + 3) / 4])


def test_rows_that_pad_do_not_count():  # oracle: the batch without them
    bound = bind(two_outputs(), {"age": "mse"}, metrics={"age": "mae"})
    outputs = [jnp.asarray([[1.0], [2.0], [9.0]]), jnp.zeros((3, 1))]
    targets = Targets((jnp.zeros((3, 1)), None), (None, None), jnp.asarray([True, True, False]))
    total, parts = bound.loss(outputs, [None, None], targets, {})
    logs = bound.logs(bound.accumulate(bound.empty(), total, parts, outputs, [None, None], targets))
    assert_close([total, logs["loss"], logs["age_mae"]], [2.5, 2.5, 1.5])


def test_masks_and_sample_weights_multiply():  # oracle: closed form
    targets = Targets((jnp.zeros((2, 3)),), (jnp.asarray([2.0, 4.0]),), jnp.asarray([True, False]))
    mask = jnp.asarray([[True, True, False], [True, True, True]])
    assert targets.metric_weights(0, mask, is_weighted=True).tolist() == [[2, 2, 0], [0, 0, 0]]
    assert targets.metric_weights(0, mask, is_weighted=False).tolist() == [[1, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("weights", [{"age": "much"}, {"age": True}])
def test_loss_weights_are_numbers(weights):  # oracle: the message's first line
    with pytest.raises(jg.GraphTypeError, match=r"^A loss weight is a number\."):
        bind(two_outputs(), ["mse", "mse"], weights)
