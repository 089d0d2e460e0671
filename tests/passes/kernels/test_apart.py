"""Functions on devices of their own, beside the same functions one after another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from jaxgraphs.passes.kernels.apart import apart

MESH = Mesh(np.array(jax.devices()[:2]), ("branch",))


def steps(x):
    """A loop that keeps an array of all its steps."""
    last, each = jax.lax.scan(lambda h, now: (jnp.tanh(h + now), h), x["start"], x["rows"])
    return [last, each]


def looked_up(x):
    return [jnp.sin(x["table"][x["ids"]])]


def arguments(seed):
    random = np.random.default_rng(seed)
    rows, table = random.normal(size=(7, 3)), random.normal(size=(5, 2))
    run = {"start": random.normal(size=3), "rows": rows}
    return [
        jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), run),
        {"table": jnp.asarray(table, jnp.float32), "ids": jnp.asarray([4, 1, 1])},
    ]


def total(function):
    def run(args):
        return sum(jnp.sum(jnp.cos(leaf)) for leaf in jax.tree.leaves(function(args)))

    return run


@pytest.mark.parametrize("places", [[0, 1], [1, 0], [1, 1]])
def test_outputs_and_gradients(places):  # oracle: the functions by themselves, and their gradients
    args = arguments(0)
    both = apart([steps, looked_up], places, MESH, "branch")

    def plain(args):
        return [steps(args[0]), looked_up(args[1])]

    ours, wanted = (jax.jit(f)(args) for f in (both, plain))
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(wanted), strict=True)
    assert all(np.allclose(one, other, rtol=1e-6) for one, other in pairs)
    ours, wanted = (jax.jit(jax.grad(total(f), allow_int=True))(args) for f in (both, plain))
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(wanted), strict=True):
        assert one.dtype == other.dtype
        if one.dtype == jnp.float32:
            np.testing.assert_allclose(one, other, rtol=1e-6)


def test_gradients_of_gradients():  # oracle: the function by itself
    x = jnp.asarray([0.3, 0.7])
    both = apart([lambda x: [x**3], lambda x: [jnp.sin(x)]], [0, 1], MESH, "branch")

    def slope(x):
        return jnp.sum(jax.grad(lambda x: sum(jnp.sum(part) for (part,) in both([x, x])))(x))

    np.testing.assert_allclose(jax.jit(jax.grad(slope))(x), 6 * x - jnp.sin(x), rtol=1e-5)


def test_alike_functions_fill_nothing():  # oracle: what one of them gives and keeps, counted by hand
    both = apart([steps, steps], [0, 1], MESH, "branch")
    args = [arguments(seed)[0] for seed in (0, 1)]
    program = jax.make_jaxpr(jax.grad(total(both)))(args)
    maps = [equation for equation in program.eqns if "shard_map" in str(equation.primitive)]
    forward, backward = ([str(variable.aval.shape) for variable in equation.outvars] for equation in maps)
    # The last state, the states of all steps, and what tanh keeps of all of them; the slopes by start and rows.
    assert len(forward) <= 4
    assert len(backward) == 2
