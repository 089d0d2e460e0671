"""Every graph beside Keras' own: names, numbers, outputs, gradients, and the first steps of training."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import jaxgraphs as jg
from tests.keras_weights import gradients_of, variables_of
from tests.models.twins import LARGE, SMALL
from tests.oracle import assert_close, assert_trees_close, keras_rules

SLOW = [pytest.param(twin, twin.slow_steps or twin.steps, id=twin.name, marks=pytest.mark.slow) for twin in LARGE]
QUICK = [pytest.param(twin, twin.steps, id=twin.name) for twin in SMALL]


@pytest.mark.parametrize("twin", [*SMALL, *(pytest.param(twin, marks=pytest.mark.slow) for twin in LARGE)], ids=str)
def test_layers_and_outputs(twin):  # oracle: Keras, from its own weights
    graph, model, variables = twin.made()
    x, _ = twin.batch()
    with keras_rules():
        expected = model(x if len(x) > 1 else x[0])
        counted = model.count_params()
    assert graph.count_params() == counted
    # Names of the layers with weights are equal: without that `made` had failed.
    found = jax.tree.leaves(jax.jit(graph.apply)(variables, x))
    for ours, theirs in zip(found, jax.tree.leaves(expected), strict=True):
        assert_close(ours, theirs)


@pytest.mark.parametrize("twin", SMALL, ids=str)
def test_gradients(twin):  # oracle: jax.grad of Keras' model
    graph, model, variables = twin.made()
    x, _ = twin.batch()
    given = x if len(x) > 1 else x[0]
    trainable = [variable.value for variable in model.trainable_variables]
    constant = [variable.value for variable in model.non_trainable_variables]

    def theirs(trainable):
        return sum_of_waves(model.stateless_call(trainable, constant, given)[0])

    with keras_rules():
        expected = gradients_of(model, graph, jax.grad(theirs)(trainable))
    found = jax.grad(lambda params: sum_of_waves(graph.apply({**variables, "params": params}, x)))(variables["params"])
    assert_trees_close(found, expected)


@pytest.mark.parametrize(("twin", "steps"), [*QUICK, *SLOW])
def test_training_follows_keras(twin, steps):  # oracle: Keras, from the same weights and on the same batches
    graph, model, variables = twin.made()
    weights = None if twin.loss_weights is None else list(twin.loss_weights)
    trainer = jg.Trainer(graph, jg.optimizers.sgd(twin.rate), list(twin.losses), weights)
    state = trainer.init(jax.random.key(0), variables=variables)
    with keras_rules():
        is_one = len(twin.losses) == 1
        model.compile(
            keras.optimizers.SGD(twin.rate), twin.losses[0] if is_one else list(twin.losses), loss_weights=weights
        )
    ours, theirs = [], []
    for step in range(steps):
        x, y = twin.batch(step % 5)
        state, logs = trainer.train_step(state, (x, y))
        ours.append(float(logs["loss"]))
        with keras_rules():
            # Keras reports the mean of all batches since the last reset.
            model.reset_metrics()
            given = [part if len(part) > 1 else part[0] for part in (x, y)]
            theirs.append(float(model.train_on_batch(*given, return_dict=True)["loss"]))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert_trees_close(state.params, variables_of(model, graph)["params"], tolerance=1e-3)


def sum_of_waves(outputs):
    """A number that each output counts in, each place of it differently."""
    return sum(
        jnp.sum(output * jnp.sin(jnp.arange(output.size, dtype=output.dtype)).reshape(output.shape))
        for output in jax.tree.leaves(outputs)
    )
