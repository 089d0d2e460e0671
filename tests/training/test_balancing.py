"""Loss weights that move: closed forms of their steps and of where they end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgraphs as jg
from jaxgraphs import layers
from jaxgraphs.errors import GraphValueError
from jaxgraphs.training.balancing import COLLECTION, GradNorm, Uncertainty
from tests.oracle import assert_close, assert_trees_close

X = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
Y = {
    "age": np.random.default_rng(1).normal(size=(16, 1)).astype(np.float32) * 30,
    "gender": np.random.default_rng(2).integers(0, 2, (16, 1)).astype(np.float32),
}
LOSSES = {"age": "mse", "gender": "binary_crossentropy"}


def two_outputs():
    x = jg.Input((3,), name="x")
    hidden = layers.Dense(4, activation="tanh", name="shared")(x)
    outputs = [layers.Dense(1, name="age")(hidden), layers.Dense(1, activation="sigmoid", name="gender")(hidden)]
    return jg.Graph(x, outputs)


def start(way, optimizer=None, **options):
    """A trainer and its state."""
    trainer = jg.Trainer(two_outputs(), optimizer or jg.optimizers.sgd(0.01), LOSSES, way, **options)
    return trainer, trainer.init(jax.random.key(0))


def loss_of(trainer, name, params):
    """One loss before weighting, written out."""
    age, gender = trainer.graph.apply({"params": params}, X)
    if name == "age":
        return jnp.mean((age - Y["age"]) ** 2)
    return -jnp.mean(Y["gender"] * jnp.log(gender) + (1 - Y["gender"]) * jnp.log(1 - gender))


def kendall(trainer, params, variances):
    """The paper's loss, with s the logarithm of the variance."""
    age, gender = (loss_of(trainer, name, params) for name in ("age", "gender"))
    s, t = variances["age"], variances["gender"]
    return jnp.exp(-s) * age / 2 + s / 2 + jnp.exp(-t) * gender + t / 2


def test_a_step_of_uncertainty_is_a_step_of_the_papers_loss():  # oracle: jax.grad of the formula
    trainer, state = start("uncertainty")
    variances = {"age": jnp.float32(0.7), "gender": jnp.float32(-0.4)}
    state = state.replace(model_state={COLLECTION: {"log_variance": variances}})
    value, (to_params, to_variances) = jax.value_and_grad(kendall, (1, 2))(trainer, state.params, variances)
    expected = jax.tree.map(lambda old, slope: old - 0.01 * slope, (state.params, variances), (to_params, to_variances))
    new, logs = trainer.train_step(state, (X, Y))
    assert_trees_close(new.params, expected[0])
    assert_trees_close(new.model_state[COLLECTION]["log_variance"], expected[1])
    assert_close(logs["loss"], value)
    assert_close(logs["age_weight"], np.exp(-0.7) / 2)
    assert_close(logs["gender_weight"], np.exp(0.4))


def test_uncertain_weights_end_where_each_output_adds_one_half():  # oracle: the weight that is best is 1 / (2 L)
    balance = Uncertainty({"age": 0.5, "gender": 1.0})
    losses = {"age": jnp.float32(130.0), "gender": jnp.float32(0.3)}
    carried = balance.init()
    for _ in range(1500):
        carried = jax.tree.map(lambda old, slope: old - 0.05 * slope, carried, balance.gradients(carried, losses))
    weights = balance.weights(carried)
    assert_close(weights["age"], 1 / 260, 1e-4)
    assert_close(weights["gender"], 1 / 0.6, 1e-4)


def test_gradnorm_ends_in_equal_pulls():  # oracle: weights in inverse proportion to the norms, their sum the count
    balance = GradNorm(("a", "b", "c"), "shared", alpha=0.0)
    norms = {"a": jnp.float32(1.0), "b": jnp.float32(100.0), "c": jnp.float32(4.0)}
    losses = dict.fromkeys(norms, jnp.float32(2.0))
    carried, moved = balance.init(), jax.jit(lambda carried: balance.moved(carried, {}, losses, norms))
    for _ in range(400):
        carried = moved(carried)
    weights = {name: float(weight) for name, weight in balance.weights(carried).items()}
    assert sum(weights.values()) == pytest.approx(3, rel=1e-5)
    pulls = [weights[name] * float(norms[name]) for name in norms]
    assert max(pulls) / min(pulls) < 1.1


def test_gradnorm_pulls_harder_at_what_lags_behind():  # oracle: r is (1, 1/9) over its mean 5/9
    balance = GradNorm(("a", "b"), "shared", alpha=1.5)
    norms = dict.fromkeys("ab", jnp.float32(1.0))
    carried = balance.moved(balance.init(), {}, {"a": jnp.float32(4.0), "b": jnp.float32(9.0)}, norms)
    losses = {"a": jnp.float32(4.0), "b": jnp.float32(1.0)}
    for _ in range(300):
        carried = balance.moved(carried, {}, losses, norms)
    weights = balance.weights(carried)
    # At norms of 1 the mean pull is 1: a's target of 1.8^1.5 is over the sum, and b's is 0.2^1.5, so b goes down.
    assert float(weights["a"]) > 10 * float(weights["b"])


def test_gradnorm_measures_each_loss_at_the_last_shared_layer():  # oracle: jax.grad of each loss alone
    trainer, state = start("gradnorm")
    assert trainer.objective.balance.shared_layer == "shared"
    params = state.params
    norms = {}
    for name in LOSSES:
        slopes = jax.grad(lambda params, name=name: loss_of(trainer, name, params))(params)["shared"]
        norms[name] = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(slopes)))
    losses = {name: loss_of(trainer, name, params) for name in LOSSES}
    carried = state.model_state[COLLECTION]
    expected = trainer.objective.balance.moved(carried, {}, losses, norms)
    new, _ = trainer.train_step(state, (X, Y))
    assert_trees_close(new.model_state[COLLECTION]["log_weight"], expected["log_weight"])
    assert_trees_close(new.model_state[COLLECTION]["first_loss"], losses)


def test_gradnorm_balances_two_scaled_copies_of_one_task():  # oracle: weights in inverse proportion to the scales
    x = jg.Input((3,), name="x")
    hidden = layers.Dense(4, name="shared")(x)
    heads = [layers.Dense(1, name=name, kernel_initializer="ones")(hidden) for name in ("small", "large")]
    losses = [lambda y_true, y_pred, scale=scale: scale * (y_true - y_pred) ** 2 for scale in (1.0, 50.0)]
    trainer = jg.Trainer(jg.Graph(x, heads), jg.optimizers.sgd(1e-6), losses, "gradnorm")
    state = trainer.init(jax.random.key(0))
    for _ in range(300):
        state, logs = trainer.train_step(state, (X, [Y["age"], Y["age"]]))
    assert float(logs["small_weight"] + logs["large_weight"]) == pytest.approx(2, rel=1e-4)
    assert float(logs["small_weight"] / logs["large_weight"]) == pytest.approx(50, rel=0.1)


@pytest.mark.parametrize("way", ["uncertainty", "gradnorm"])
def test_weights_are_logged_and_carried_into_evaluation(way):  # oracle: the state, and plain variables at their start
    trainer, state = start(way, jg.optimizers.adam(0.05), metrics={"gender": ["accuracy"]})
    state, history = trainer.fit(state, X, Y, epochs=3, batch_size=8, verbose=0, validation_data=(X, Y))
    assert list(history.history)[:5] == ["loss", "age_loss", "gender_loss", "age_weight", "gender_weight"]
    logs, weights = trainer.evaluate(state, X, Y), trainer.objective.balance.weights(state.model_state[COLLECTION])
    assert logs["age_weight"] == pytest.approx(float(weights["age"]), rel=1e-5)
    assert logs["age_weight"] < history.history["age_weight"][0]
    total = sum(logs[f"{name}_weight"] * logs[f"{name}_loss"] for name in LOSSES)
    total += float(trainer.objective.balance.offset(state.model_state[COLLECTION], list(LOSSES)))
    assert logs["loss"] == pytest.approx(total, rel=1e-5)
    fresh = trainer.evaluate({"params": state.params}, X, Y)
    assert fresh["gender_weight"] == 1.0
    assert fresh["age_loss"] == pytest.approx(logs["age_loss"], rel=1e-6)


@pytest.mark.parametrize("way", ["uncertainty", "gradnorm"])
def test_a_batch_in_parts_makes_the_same_step(way):  # oracle: the batch at once
    steps = []
    for parts in (1, 4):
        trainer, state = start(way, accumulate=parts)
        steps.append(trainer.train_step(state, (X, Y)))
    assert_trees_close(steps[1][0].params, steps[0][0].params)
    assert_trees_close(steps[1][0].model_state, steps[0][0].model_state)
    assert_trees_close(steps[1][1], steps[0][1])


def test_an_output_without_a_target_keeps_its_weight():  # oracle: the weight before
    for way in ("uncertainty", "gradnorm"):
        trainer, state = start(way)
        before = float(trainer.objective.balance.weights(state.model_state[COLLECTION])["age"])
        state, _ = trainer.train_step(state, (X, {"age": None, "gender": Y["gender"]}))
        after = float(trainer.objective.balance.weights(state.model_state[COLLECTION])["age"])
        assert after == pytest.approx(before, rel=1e-6), way


@pytest.mark.parametrize(
    ("way", "losses", "text"),
    [
        (
            "gradnrom",
            LOSSES,
            "There is no such way to balance losses.\n  received: 'gradnrom'\n"
            "  expected: 'gradnorm'? Known: gradnorm, uncertainty",
        ),
        (
            "uncertainty",
            {"age": "mse"},
            "Losses are balanced against each other.\n  received: a loss for 'age' alone\n"
            "  expected: two outputs at least that have a loss\n  fix:      leave loss_weights out",
        ),
    ],
)
def test_what_cannot_be_balanced(way, losses, text):  # oracle: the messages, word for word
    with pytest.raises(GraphValueError) as caught:
        jg.Trainer(two_outputs(), "sgd", losses, way)
    assert str(caught.value) == text


def test_gradnorm_needs_a_shared_layer():  # oracle: the message, word for word
    x = jg.Input((3,), name="x")
    graph = jg.Graph(x, [layers.Dense(1, name="a")(x), layers.Dense(1, name="b")(x)])
    with pytest.raises(GraphValueError) as caught:
        jg.Trainer(graph, "sgd", ["mse", "mse"], "gradnorm")
    assert str(caught.value) == (
        "The outputs share no layer that learns, so that their gradients cannot be balanced there.\n"
        '  fix:      loss_weights="uncertainty"'
    )
