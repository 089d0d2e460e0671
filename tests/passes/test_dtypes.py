"""Rewritten graphs compute in the dtype that they are given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs import Graph, Input, layers


def convolutions():
    """A graph in which most that is rewritten on a CPU stands once."""
    x = Input((9, 9, 3), name="x")
    y = layers.Conv2D(4, 3, padding="same")(x)
    y = layers.MaxPooling2D(3, 2, padding="same")(layers.BatchNormalization()(y))
    y = layers.add([layers.Conv2D(4, 1)(y), layers.AveragePooling2D(3, 1, padding="same")(y)])
    y = layers.DepthwiseConv2D(3, padding="same")(layers.SeparableConv2D(5, 3, padding="same")(y))
    return Graph(x, layers.GlobalAveragePooling2D()(y))


@pytest.mark.parametrize(
    ("dtype", "within"), [("float64", 1e-12), pytest.param("bfloat16", 0.05, marks=pytest.mark.slow)]
)
def test_a_dtype_stays(dtype, within):  # oracle: the graph before it is rewritten
    with jax.enable_x64(dtype == "float64"):
        graph = convolutions()
        values = jnp.asarray(np.random.default_rng(0).normal(size=(2, 9, 9, 3)), dtype)
        variables = jax.tree.map(lambda leaf: leaf.astype(dtype), graph.init(jax.random.key(0)))

        @jax.jit
        def both(variables, values):
            def total(graph, variables):
                y = graph.apply(variables, values)
                return jnp.sum(jnp.square(y)), y

            slope = jax.value_and_grad(total, argnums=1, has_aux=True)
            return [slope(each, variables) for each in (graph.optimize(), graph)]

        ours, plain = both(variables, values)
        for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
            assert one.dtype == other.dtype == jnp.dtype(dtype)
            apart, most = (np.abs(np.asarray(a, np.float64)).max() for a in (one - other, other))
            assert apart <= within * max(most, 1e-3)
