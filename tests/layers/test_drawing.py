"""Many weights drawn at once, beside each drawn by itself."""

import jax
import numpy as np
import pytest

from jaxgraphs.layers import drawing, initializers
from jaxgraphs.layers.drawing import Draw, drawn


def draws(key):
    names = ("glorot_uniform", "he_uniform", "lecun_uniform", "uniform", "glorot_normal", "ones")
    shapes = ((3, 3, 64, 48), (1000, 33), (7,), (256, 130))
    wanted = [(initializers.get(name), shape) for name in names for shape in shapes]
    wanted += [(initializers.make("random_uniform", minval=-1.5, maxval=0.25), (70_001,))]
    return [
        Draw(jax.random.fold_in(key, index), initializer, shape, np.dtype("float32"))
        for index, (initializer, shape) in enumerate(wanted)
    ]


@pytest.mark.parametrize("make_key", [jax.random.key, jax.random.PRNGKey])
def test_drawn_together_are_drawn_alone(make_key, monkeypatch):  # oracle: jax.random, to the last bit
    monkeypatch.setattr(drawing, "_LEAST", 1)
    waiting = draws(make_key(3))
    assert sum(draw.bounds is not None for draw in waiting) == 14
    for draw, array in zip(waiting, drawn(waiting), strict=True):
        np.testing.assert_array_equal(array, draw())


@pytest.mark.parametrize("implementation", ["rbg", "threefry2x32"])
def test_other_generators_draw_alone(implementation):  # oracle: whether there are bounds
    draw = Draw(jax.random.key(0, impl=implementation), initializers.get("uniform"), (4,), np.dtype("float32"))
    assert (draw.bounds is None) is (implementation == "rbg")
    np.testing.assert_array_equal(drawn([draw])[0], draw())


def test_within_a_trace_each_is_drawn_alone():  # oracle: outside of it
    alone = draws(jax.random.key(0))[:2]
    within = jax.jit(lambda key: drawn(draws(key)[:2]))(jax.random.key(0))
    for a, b in zip(within, alone, strict=True):
        np.testing.assert_allclose(a, b(), rtol=1e-6)
