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
from tests.training.keras_in import keras_in

# Two residual blocks of three are one too many in the quick part.
QUICK = [twin for twin in SMALL if str(twin) != "residual_block 12 / 1"]
SLOW = [twin for twin in [*SMALL, *LARGE] if twin not in QUICK]
TWINS = [*QUICK, *(pytest.param(twin, marks=pytest.mark.slow) for twin in SLOW)]


@pytest.mark.slow  # the losses of thirty steps, and names that must agree for weights to be found, say it too
@pytest.mark.parametrize("twin", TWINS, ids=str)
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


@pytest.mark.slow  # thirty steps of gradient descent compare them too
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


@pytest.mark.parametrize("twin", TWINS, ids=str)
def test_training_follows_keras(twin):  # oracle: Keras, from the same weights and on the same batches
    with jax.enable_x64(twin.dtype == "float64"):
        graph, model, variables = twin.made(twin.dtype)
        weights = None if twin.loss_weights is None else list(twin.loss_weights)
        losses = list(twin.losses) if len(twin.losses) > 1 else twin.losses[0]
        trainer = jg.Trainer(graph, jg.optimizers.sgd(twin.rate), losses, weights, precision=twin.dtype)
        state = trainer.init(jax.random.key(0), variables=variables)
        with keras_in(twin.dtype):
            model.compile(keras.optimizers.SGD(twin.rate), losses, loss_weights=weights)
        ours, theirs = [], []
        for step in range(twin.steps):
            x, y = twin.batch(step % 5, twin.dtype)
            state, logs = trainer.train_step(state, (x, y))
            ours.append(float(logs["loss"]))
            theirs.append(keras_loss(model, x, y, twin.dtype))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)
        assert_trees_close(state.params, variables_of(model, graph)["params"], tolerance=1e-3)


def keras_loss(model, x, y, dtype):
    """The loss of one step of Keras', which reports the mean of all batches since the last reset."""
    with keras_in(dtype):
        model.reset_metrics()
        given = [part if len(part) > 1 else part[0] for part in (x, y)]
        return float(model.train_on_batch(*given, return_dict=True)["loss"])


def sum_of_waves(outputs):
    """A number that each output counts in, each place of it differently."""
    return sum(
        jnp.sum(output * jnp.sin(jnp.arange(output.size, dtype=output.dtype)).reshape(output.shape))
        for output in jax.tree.leaves(outputs)
    )
