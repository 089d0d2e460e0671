"""Optimizers against Keras 3 on JAX: thirty steps on given gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

from jaxgraphs.errors import GraphTypeError, GraphValueError
from jaxgraphs.training import optimizers
from tests.training.keras_in import keras_in

STEPS = 30
CASES = [
    ("SGD", {}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.5, "rho": 0.8}),
    ("RMSprop", {"centered": True, "momentum": 0.9, "epsilon": 1e-3}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "epsilon": 1e-2, "weight_decay": 0.1}),
    ("Adam", {"clipnorm": 0.5}),
    ("Adam", {"clipvalue": 0.2}),
    ("Adam", {"global_clipnorm": 0.7}),
    ("AdamW", {}),
    ("AdamW", {"learning_rate": 0.1, "weight_decay": 0.2, "amsgrad": True}),
    ("Adamax", {"learning_rate": 0.1}),
    ("Nadam", {"learning_rate": 0.1}),
    ("Adagrad", {"learning_rate": 0.1}),
    ("Adadelta", {"learning_rate": 1.0}),
    ("Ftrl", {"learning_rate": 0.1}),
    (
        "Ftrl",
        {
            "learning_rate": 0.1,
            "learning_rate_power": -0.7,
            "l1_regularization_strength": 0.05,
            "l2_regularization_strength": 0.1,
            "l2_shrinkage_regularization_strength": 0.2,
            "beta": 0.3,
            "weight_decay": 0.1,
        },
    ),
    ("Lion", {"weight_decay": 0.1}),
    ("Adafactor", {"learning_rate": 0.1}),
    ("Adafactor", {"relative_step": False, "clip_threshold": 0.5, "weight_decay": 0.1}),
    ("Lamb", {"learning_rate": 0.1, "weight_decay": 0.1}),
]
IDS = [f"{name}-{'-'.join(options)}" for name, options in CASES]
KINDS = {name: getattr(keras.optimizers, name, None) or keras.src.optimizers.lamb.Lamb for name, _ in CASES}


def problem(dtype):
    """Parameters of ranks 0 to 3, and thirty gradients for them, one of them zero and one large."""
    rng = np.random.default_rng(0)
    shapes = {"bias": (3,), "kernel": (4, 3), "scale": (), "stack": (2, 3, 2)}
    params = {name: np.asarray(rng.normal(size=shape), dtype) for name, shape in shapes.items()}
    gradients = [{k: np.asarray(rng.normal(size=p.shape), dtype) for k, p in params.items()} for _ in range(STEPS)]
    gradients[7] = {name: np.zeros_like(gradient) for name, gradient in gradients[7].items()}
    gradients[11] = {name: 100 * gradient for name, gradient in gradients[11].items()}
    return params, gradients


def by_keras(optimizer, dtype, change=None):
    params, gradients = problem(dtype)
    variables = [keras.Variable(value, dtype=dtype) for value in params.values()]
    optimizer.build(variables)

    @jax.jit
    def step(state, values, gradient):
        return optimizer.stateless_apply(state, gradient, values)

    state, values = [v.value for v in optimizer.variables], [v.value for v in variables]
    for index, gradient in enumerate(gradients):
        if change and index in change:
            state[1] = jnp.asarray(change[index], state[1].dtype)
        values, state = step(state, values, list(gradient.values()))
    return dict(zip(params, values, strict=True))


def by_us(optimizer, dtype, change=None):
    params, gradients = problem(dtype)
    params = jax.tree.map(jnp.asarray, params)
    state = optimizer.init(params)

    @jax.jit
    def step(state, params, gradient):
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    for index, gradient in enumerate(gradients):
        if change and index in change:
            state = optimizers.with_learning_rate(state, change[index])
        params, state = step(state, params, gradient)
    assert step._cache_size() == 1
    return params, state


def assert_follows(ours, theirs, tolerance):
    for name, expected in theirs.items():
        assert ours[name].dtype == expected.dtype
        np.testing.assert_allclose(ours[name], expected, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [pytest.param("float32", 1e-5, marks=pytest.mark.slow), ("float64", 1e-12)]
)
def test_thirty_steps(name, options, dtype, tolerance):  # oracle: Keras
    with jax.enable_x64(dtype == "float64"):
        with keras_in(dtype):
            theirs = by_keras(KINDS[name](**options), dtype)
        ours, _ = by_us(getattr(optimizers, name.lower())(**options), dtype)
    assert_follows(ours, theirs, tolerance)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_names_carry_the_hyper_parameters_of_keras(name):  # oracle: Keras
    with keras_in():
        theirs = by_keras(KINDS[name](), "float32")
        config = KINDS[name]().get_config()
    assert_follows(by_us(optimizers.get(name), "float32")[0], theirs, 1e-5)
    params, gradients = problem("float32")
    for identifier in (name.lower(), {"class_name": name, "config": config}):
        pairs = [(get, get.init(params)) for get in (optimizers.get(name), optimizers.get(identifier))]
        first, second = (get.update(gradients[0], state, params)[0] for get, state in pairs)
        assert all(jax.tree.leaves(jax.tree.map(np.array_equal, first, second)))


def test_every_name_of_keras_is_known():  # oracle: Keras
    unported = {
        "optimizer",
        "muon",
        "multioptimizer",
        "optimizermap",
        "lossscaleoptimizer",
        "schedulefreeadamw",
    }
    assert set(keras.src.optimizers.ALL_OBJECTS_DICT) - set(optimizers.named.FACTORIES) == unported


@pytest.mark.parametrize(
    ("name", "options"), [("SGD", {"momentum": 0.9}), ("RMSprop", {"momentum": 0.9}), ("Adam", {})]
)
def test_the_rate_changes_between_steps(name, options):  # oracle: Keras, its rate assigned; and one compilation
    change = {5: 0.05, 20: 0.0005}
    with keras_in():
        theirs = by_keras(KINDS[name](**options), "float32", change)
    ours, state = by_us(getattr(optimizers, name.lower())(**options), "float32", change)
    assert_follows(ours, theirs, 1e-5)
    assert optimizers.learning_rate(state) == np.float32(0.0005)


def test_a_schedule_gives_the_rate():  # oracle: Keras
    with keras_in():
        theirs = by_keras(keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)), "float32")
    ours, state = by_us(optimizers.adam(optax.exponential_decay(0.1, 10, 0.5)), "float32")
    assert_follows(ours, theirs, 1e-5)
    np.testing.assert_allclose(optimizers.learning_rate(state), 0.1 * 0.5**2.9, rtol=1e-6)


def test_lazy_adam():  # oracle: Adam, on each row for the steps that have a gradient of it
    params = {"embedding": jnp.arange(6.0).reshape(3, 2), "kernel": jnp.ones((1, 2))}
    lazy, plain = optimizers.lazy_adam(0.1), optimizers.adam(0.1)
    states, found, expected = [lazy.init(params), plain.init(params)], params, params
    for step in range(3):
        ways = jnp.array([[1.0, 2.0], [0.5 * (step > 0)] * 2, [0.0, 0.0]])
        gradients = {"embedding": ways, "kernel": jnp.full((1, 2), float(step == 0))}
        change, states[0] = lazy.update(gradients, states[0], found)
        found = optax.apply_updates(found, change)
        change, states[1] = plain.update(gradients, states[1], expected)
        expected = optax.apply_updates(expected, change)
        if step == 0:
            np.testing.assert_array_equal(found["embedding"][1:], params["embedding"][1:])
    # The second row's means are those of two steps of Adam; the third was never seen; what is no table moves always.
    np.testing.assert_allclose(found["embedding"][:2], expected["embedding"][:2], rtol=1e-6)
    np.testing.assert_array_equal(found["embedding"][2], params["embedding"][2])
    np.testing.assert_allclose(found["kernel"], expected["kernel"], rtol=1e-6)
    change, _ = lazy.update(jax.tree.map(jnp.zeros_like, params), states[0], found)
    assert not np.any(change["embedding"])
    assert np.all(change["kernel"] != 0)


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Nadam", "Adafactor"])
def test_bfloat16_parameters_keep_their_dtype_and_move(name):  # oracle: the same steps in float32, to two digits
    rough, state = by_us(optimizers.get(name), jnp.bfloat16)
    fine, _ = by_us(optimizers.get(name), "float32")
    assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(rough))
    assert optimizers.learning_rate(state).dtype == jnp.float32
    for key, value in fine.items():
        np.testing.assert_allclose(rough[key].astype(jnp.float32), value, rtol=0.05, atol=0.05)


def test_parameters_of_two_dtypes_are_clipped_together():  # oracle: the closed form
    params = {"half": jnp.zeros(1, jnp.bfloat16), "single": jnp.zeros(1)}
    optimizer = optimizers.sgd(1.0, global_clipnorm=1.0)
    gradients = {"half": jnp.full(1, 3.0, jnp.bfloat16), "single": jnp.full(1, 4.0)}
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    np.testing.assert_allclose(updates["single"], [-0.8], rtol=1e-6)
    assert updates["half"].dtype == jnp.bfloat16


def test_optax_passes_as_it_is():  # oracle: identity
    given = optax.adam(0.1)
    assert optimizers.get(given) is given


def test_the_rate_is_found_in_what_optax_wraps():  # oracle: the definition
    params = {"a": jnp.zeros(2), "b": jnp.zeros(3)}
    injected = optax.inject_hyperparams(optax.sgd)(learning_rate=0.25)
    wrapped = optax.chain(optax.clip(1.0), optax.masked(optimizers.adam(0.25), {"a": True, "b": False}))
    for optimizer in (injected, wrapped):
        state = optimizer.init(params)
        assert float(optimizers.learning_rate(state)) == 0.25
        changed = optimizers.with_learning_rate(state, 0.5)
        assert float(optimizers.learning_rate(changed)) == 0.5
        assert float(optimizers.learning_rate(state)) == 0.25
        assert jax.tree.structure(changed) == jax.tree.structure(state)
        optimizer.update(params, changed, params)
    assert optimizers.learning_rate(optax.adam(0.25).init(params)) is None


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_graph_without_parameters(name):  # oracle: the definition
    optimizer = optimizers.get(name)
    assert optimizer.update({}, optimizer.init({}), {})[0] == {}


@pytest.mark.parametrize(
    ("mistake", "kind", "words"),
    [
        (lambda: optimizers.get("adm"), GraphValueError, "'adam'?"),
        (lambda: optimizers.get(optimizers.adam), GraphTypeError, "call it: adam()"),
        (lambda: optimizers.get(0.1), GraphTypeError, "0.1 is not an optimizer"),
        (lambda: optimizers.adam(learning_rat=0.1), GraphValueError, "'learning_rate'?"),
        (lambda: optimizers.adam(clipnorm=1.0, clipvalue=1.0), GraphValueError, "clipnorm, clipvalue"),
        (lambda: optimizers.adam(weight_decay=-1.0), GraphValueError, "weight_decay=-1.0"),
        (
            lambda: optimizers.lazy_adam(weight_decay=0.1),
            GraphValueError,
            "it would move rows that a batch does not have",
        ),
        (lambda: optimizers.adam(-0.1), GraphValueError, "learning_rate=-0.1"),
        (lambda: optimizers.adam("fast"), GraphValueError, "learning_rate='fast'"),
        (lambda: optimizers.adam(beta_1=1.0), GraphValueError, "less than 1.0"),
        (lambda: optimizers.adamw(weight_decay=None), GraphValueError, "weight_decay=None"),
        (lambda: optimizers.ftrl(learning_rate_power=0.5), GraphValueError, "a number up to 0"),
        (
            lambda: optimizers.get({"class_name": "Adam", "config": {"use_ema": True}}),
            GraphValueError,
            "no argument 'use_ema'",
        ),
        (
            lambda: optimizers.adam().update(jnp.ones(1), optimizers.adam().init(jnp.ones(1))),
            GraphTypeError,
            "update(gradients, opt_state, params)",
        ),
        (
            lambda: optimizers.with_learning_rate(optax.adam(0.1).init(jnp.ones(1)), 0.2),
            GraphValueError,
            "optax.inject_hyperparams(optax.adam)",
        ),
        (
            lambda: optimizers.with_learning_rate(optimizers.adam(lambda step: 0.1).init(jnp.ones(1)), 0.2),
            GraphValueError,
            "A schedule gives the learning rate",
        ),
    ],
)
def test_mistakes(mistake, kind, words):  # oracle: the words a user needs
    with pytest.raises(kind) as caught:
        mistake()
    assert words in str(caught.value)
