"""Random graphs beside their Keras twins: outputs, counts, gradients from the same weights, and JSON there and back."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from jaxgraphs.graph.graph import Graph
from tests.oracle import assert_close, keras_rules
from tests.random_graphs import arrays_of, placed, random_graph

QUICK, SLOW = range(1, 6), 300


def pytest_generate_tests(metafunc):
    """The seeds: five in the quick part, 300 in all, and as many more as ``--random-graphs`` says."""
    if "seed" in metafunc.fixturenames:
        most = max(SLOW, metafunc.config.getoption("--random-graphs"))
        seeds = [pytest.param(seed, marks=() if seed in QUICK else pytest.mark.slow) for seed in range(most)]
        metafunc.parametrize("seed", seeds)


def run(seed):
    """Both graphs' outputs, and gradients for every fourth seed."""
    made = random_graph(seed)
    trainable = [variable.value for variable in made.theirs.trainable_variables]
    constant = [variable.value for variable in made.theirs.non_trainable_variables]

    def theirs(trainable):
        outputs, _ = made.theirs.stateless_call(trainable, constant, made.values, training=False)
        return weighted(outputs), outputs

    def ours(params):
        outputs = made.ours.apply({**made.variables, "params": params}, made.values)
        return weighted(outputs), outputs

    params = made.variables.get("params", {})
    if seed % 4:
        with keras_rules():
            expected = jax.jit(theirs)(trainable)[1]
        return made, jax.jit(ours)(params)[1], expected, None, None
    with keras_rules():
        (_, expected), expected_grads = jax.jit(jax.value_and_grad(theirs, has_aux=True))(trainable)
    (_, outputs), grads = jax.jit(jax.value_and_grad(ours, has_aux=True))(params)
    return made, outputs, expected, grads, expected_grads


def weighted(outputs):
    """A scalar in which each number has a weight of its own, so that errors do not cancel."""
    total = 0.0
    for leaf in jax.tree.leaves(outputs):
        total += jnp.sum(leaf * jnp.asarray(np.random.default_rng(leaf.size).normal(size=leaf.shape), leaf.dtype))
    return total


def gradient_places(graph, twins, path=()):
    """Where our gradient of each trainable Keras variable is, by the variable's identity."""
    for twin in twins:
        place = (*path, graph.names[twin.ours])
        if twin.within:
            yield from gradient_places(twin.ours, twin.within, place)
        for where, variable in zip(twin.weights, arrays_of(twin.theirs), strict=True):
            if variable.trainable:
                yield id(variable), placed(where, place)[1:]


def at(tree, path):
    for name in path:
        tree = tree[name]
    return tree


def test_random_graph(seed):  # oracle: the Keras twin, and the graph itself through JSON
    made, outputs, expected, grads, expected_grads = run(seed)
    if isinstance(outputs, list) and len(outputs) == 1:
        (outputs,) = outputs  # Keras unpacks a list of one; ours comes back as it was given
    assert jax.tree.structure(outputs) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(outputs), jax.tree.leaves(expected), strict=True):
        assert_close(one, other, 1e-5, f"seed {seed}")
    assert made.ours.count_params() == made.theirs.count_params() - seed_states(made.theirs)
    if grads is not None:
        places = dict(gradient_places(made.ours, made.twins))
        # A gradient that is zero but for rounding is as small as the others are large.
        least = max(1e-3, *(1e-2 * float(np.max(np.abs(each), initial=0.0)) for each in expected_grads))
        for variable, gradient in zip(made.theirs.trainable_variables, expected_grads, strict=True):
            assert_close(at(grads, places[id(variable)]), gradient, 1e-4, f"seed {seed}: {variable.path}", least)
    text = made.ours.to_json()
    assert Graph.from_json(text).to_json() == text


def seed_states(model):
    """Numbers that Keras counts as weights and we do not have: states of random seeds."""
    return sum(int(np.prod(weight.shape)) for weight in model.weights if "seed" in weight.path.split("/")[-1])


@pytest.mark.slow
def test_the_generator_covers_what_it_should():  # oracle: the kinds of things that the first seeds hold
    kinds, nested, shared, masked, several = set(), 0, 0, 0, 0
    for seed in range(12):
        made = random_graph(seed)
        kinds |= {layer.kind for layer in made.ours.layers}
        nested += any(isinstance(layer, Graph) for layer in made.ours.layers)
        shared += any(len(made.ours.calls(layer)) > 1 for layer in made.ours.layers)
        masked += any(getattr(layer, "mask_zero", False) for layer in made.ours.layers)
        several += len(made.ours.inputs) > 1 and len(made.ours.flat_outputs) > 1
    assert {"Dense", "Embedding", "LSTM", "Conv1D", "Concatenate"} <= kinds
    assert min(nested, shared, masked, several) > 2
    keras.backend.clear_session()
