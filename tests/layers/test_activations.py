"""ReLU's own derivative; the functions' values are in the catalogue."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.layers.activations import relu

X = jnp.array([-2.0, -0.0, 0.0, 1e-30, 3.0, jnp.inf, -jnp.inf])


def test_relu_is_that_of_jax():  # oracle: jax.nn.relu, forwards, backwards and twice
    def each(function):
        slope = jax.vmap(jax.grad(function))
        return [function(X), slope(X), jax.jvp(function, (X,), (X,))[1], jax.vmap(jax.grad(jax.grad(function)))(X)]

    for own, theirs in zip(each(relu), each(jax.nn.relu), strict=True):
        np.testing.assert_array_equal(own, theirs)
    assert relu(jnp.array([-1, 2])).tolist() == [0, 2]
    assert relu(jnp.ones(2, jnp.bfloat16)).dtype == jnp.bfloat16


def test_the_output_alone_is_kept():  # oracle: the program's text, in which the output is compared
    lines = jax.jit(jax.grad(lambda x: relu(x).sum())).lower(X).as_text().splitlines()
    (compared,) = [line.split("compare")[1].split(":")[0].split() for line in lines if "compare" in line]
    made = next(line.split("=")[0].strip() for line in lines if "call @relu" in line or "maximum" in line)
    assert compared[:2] == ["NE,", f"{made},"]
