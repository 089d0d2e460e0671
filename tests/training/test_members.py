"""Many trainings at once against the same trainings one by one."""

import jax
import numpy as np
import optax
import pytest

import jaxgraphs as jg
from jaxgraphs.training.ensemble import ensemble
from jaxgraphs.training.sharding import make_mesh
from jaxgraphs.training.sweep import sweep
from tests.training.runs import classifier, rows, trainer_of, two_outputs

X, Y = rows(20)
OPTIONS = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}


def assert_same_state(actual, expected):
    for one, other in zip(jax.tree.leaves(actual.variables), jax.tree.leaves(expected.variables), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_an_ensemble_is_its_members_alone():  # oracle: Trainer.fit, each with its own key and order
    graph, keys = classifier(normalised=True, dropout=0.2), jax.random.split(jax.random.key(3), 2)
    both = ensemble(graph, 2, optimizer="adam", **OPTIONS)
    state, history = both.fit(
        both.init(jax.random.key(3)), X, Y, epochs=2, batch_size=8, validation_data=(X[:6], Y[:6])
    )
    predictions = []
    for index, key in enumerate(keys):
        trainer = trainer_of(graph, "adam")
        alone, record = trainer.fit(
            trainer.init(key), X, Y, epochs=2, batch_size=8, verbose=0, validation_data=(X[:6], Y[:6])
        )
        assert_same_state(both.members.one(state, index), alone)
        assert history.keys() == record.history.keys()
        for name, values in record.history.items():
            np.testing.assert_allclose(history[name][:, index], values, rtol=1e-5)
        predictions.append(trainer.predict(alone, X))
    np.testing.assert_allclose(both.predict(state, X), np.mean(predictions, 0), rtol=1e-5)
    np.testing.assert_allclose(
        both.predict(state, X, weights=[3, 1]), 0.75 * predictions[0] + 0.25 * predictions[1], rtol=1e-5
    )
    apart = both.diversity(state, X)["label"]
    share = np.mean(predictions[0].argmax(-1) != predictions[1].argmax(-1))
    np.testing.assert_allclose(apart.disagreement, [[0, share], [share, 0]])
    assert apart.mean_disagreement == pytest.approx(share)


def test_weights_fitted_on_validation_data():  # oracle: the cross-entropy written out, over a grid
    both = ensemble(classifier(), 2, optimizer=optax.sgd(0.3), **OPTIONS)
    state, _ = both.fit(both.init(jax.random.key(0)), X, Y, epochs=3, batch_size=20)
    weights = both.fit_weights(state, X, Y)
    each = both.members.predict(state, X)

    def loss(share):
        mixed = share * each[0] + (1 - share) * each[1]
        return -np.mean(np.log(mixed[np.arange(20), Y]))

    best = min((loss(share), share) for share in np.linspace(0, 1, 1001))
    assert weights.sum() == pytest.approx(1)
    assert loss(weights[0]) <= best[0] + 1e-4


def test_a_sweep_is_its_runs_one_by_one():  # oracle: Trainer.fit with each combination
    a, b = np.random.default_rng(0).normal(size=(2, 12, 4)).astype(np.float32)
    data = ([a, b[:, :2]], {"age": a[:, :1], "gender": (b[:, :1] > 0).astype(np.float32)})
    loss = {"age": "mse", "gender": "binary_crossentropy"}
    weights = [{"age": 0.25, "gender": 10.0}, [1.0, 0.5]]
    rates, seeds = [0.01, 0.1], [0, 7]
    trainer = jg.Trainer(two_outputs(), "rmsprop", loss)
    table = sweep(trainer, *data, learning_rate=rates, loss_weights=weights, seed=seeds, epochs=2, batch_size=8)
    assert len(table) == 8
    for index in (0, 3, 6):
        row = table.rows[index]
        alone = jg.Trainer(two_outputs(), jg.optimizers.rmsprop(row["learning_rate"]), loss, row["loss_weights"])
        state, history = alone.fit(alone.init(jax.random.key(row["seed"])), *data, epochs=2, batch_size=8, verbose=0)
        assert_same_state(table.state(index), state)
        for name, values in history.history.items():
            assert row[name] == pytest.approx(values[-1], rel=1e-5)
    best = table.sort("loss")
    assert [row["loss"] for row in best.rows] == sorted(row["loss"] for row in table.rows)
    assert_same_state(best.state(0), table.state(best.order[0]))
    assert "learning_rate" in str(best).splitlines()[0]


def test_members_lie_on_a_mesh():  # oracle: the same sweep on one device, and where its arrays lie
    plain = sweep(trainer_of(classifier(), "adam"), X, Y, seed=range(8), epochs=1, batch_size=10)
    spread = sweep(trainer_of(classifier(), "adam", mesh=make_mesh()), X, Y, seed=range(8), epochs=1, batch_size=10)
    assert_same_state(spread.states, plain.states)
    kernel = spread.states.params["hidden"]["kernel"]
    assert kernel.sharding.shard_shape(kernel.shape) == (1, 6, 8)


def test_classes_weigh_as_they_do_alone():  # oracle: Trainer.fit
    options = {"epochs": 1, "batch_size": 8, "class_weight": {0: 2.0, 1: 0.5, 2: 1.0}}
    table, trainer = sweep(trainer_of(classifier()), X, Y, **options), trainer_of(classifier())
    state, history = trainer.fit(trainer.init(jax.random.key(0)), X, Y, verbose=0, **options)
    assert table.rows[0]["loss"] == pytest.approx(history.history["loss"][0], rel=1e-5)
    assert_same_state(table.state(0), state)


def balanced():
    """A trainer whose losses are weighed as it goes."""
    return jg.Trainer(two_outputs(), "sgd", ["mse", "mse"], "uncertainty")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ensemble(classifier(), 0, **OPTIONS), "a whole number of members from 1"),
        (lambda: sweep(trainer_of(classifier()), X, Y, learning_rate=0.1), "`learning_rate` of a sweep is a list"),
        (lambda: sweep(trainer_of(classifier()), X, Y, seed=[]), "`seed` of a sweep is empty"),
        (lambda: sweep(trainer_of(classifier(), optax.sgd(0.1)), X, Y, learning_rate=[1.0]), "holds no learning rate"),
        (lambda: sweep(trainer_of(classifier(), accumulate=2), X, Y), "trained each as a whole"),
        (lambda: sweep(trainer_of(classifier()), X, Y, learning_rate=["a"]), "A learning rate of a sweep is a number"),
        (lambda: sweep(balanced(), X, Y, loss_weights=[[1.0, 1.0]]), "balances its losses by itself"),
    ],
)
def test_what_cannot_be_trained_side_by_side(make, text):  # oracle: the message
    with pytest.raises(jg.GraphError, match=text):
        make()
