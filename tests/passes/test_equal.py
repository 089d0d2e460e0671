"""Every pass on random graphs: outputs, gradients and new state are those of the graph before it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.passes.optimize import optimize
from tests.oracle import compiled
from tests.passes.images import random_images
from tests.random_graphs import random_graph

QUICK, SLOW = 1, 60
SEEDS = [pytest.param(seed, marks=() if seed < QUICK else pytest.mark.slow) for seed in range(SLOW)]


def assert_near(ours, wanted, tolerance=2e-4):
    """Two trees of arrays are the same, relative to the largest number of each array."""
    assert jax.tree.structure(ours) == jax.tree.structure(wanted)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(wanted), strict=True):
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        assert np.abs(one - other).max(initial=0) <= tolerance * max(1.0, np.abs(other).max(initial=0))


def quickly(function, *args):
    """The function's value, compiled without much optimisation: compiling takes most of the time here."""
    return compiled(function)(*args)


def trained(graph, variables, values):
    """Outputs and new state of a training step, and gradients of a sum in which each number has its weight."""
    state = {name: tree for name, tree in variables.items() if name != "params"}

    def total(params):
        rngs = {"dropout": jax.random.key(5)}
        ran = graph.apply({"params": params, **state}, values, train=True, rngs=rngs, mutable=list(state))
        weights = [np.random.default_rng(leaf.size).normal(size=leaf.shape) for leaf in jax.tree.leaves(ran[0])]
        pairs = zip(jax.tree.leaves(ran[0]), weights, strict=True)
        return sum(jnp.sum(leaf * jnp.asarray(weight, leaf.dtype)) for leaf, weight in pairs), ran

    return jax.value_and_grad(total, has_aux=True)(variables["params"])


def assert_equal(graph, variables, values):
    """In training, at inference, and at inference with arrays of its own."""
    trains, infers = optimize(graph).graph, graph.optimize(inference=True)

    def pair(variables, values):
        folded, arrays = graph.optimize(variables, inference=True)
        before = trained(graph, variables, values), [graph.apply(variables, values)] * 2
        after = trained(trains, variables, values), [infers.apply(variables, values), folded.apply(arrays, values)]
        return before, after

    assert_near(*quickly(pair, variables, values))


@pytest.mark.parametrize("seed", SEEDS)
def test_images(seed):  # oracle: the graph before the passes
    graph, values = random_images(seed)
    variables = graph.init(jax.random.key(seed))
    random = np.random.default_rng(seed)
    variables = jax.tree.map(lambda leaf: leaf + 0.3 * random.random(leaf.shape).astype("float32"), variables)
    assert_equal(graph, variables, values)


@pytest.mark.parametrize("seed", SEEDS)
def test_sequences(seed):  # oracle: the graph before the passes
    made = random_graph(seed)
    assert_equal(made.ours, {"params": {}, **made.variables}, made.values)
