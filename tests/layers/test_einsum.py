"""What the catalogue does not show of EinsumDense: initial values, unknown sizes, messages."""

import jax
import jax.numpy as jnp
import pytest

from jaxgraphs.errors import GraphError
from jaxgraphs.layers.einsum import EinsumDense
from jaxgraphs.symbolic.node import Input
from tests.oracle import assert_close


def test_units_of_several_axes_start_as_one_would():  # oracle: Glorot's limit for 60 inputs and 4 x 25 outputs
    layer = EinsumDense("abc,cde->abde", output_shape=(None, 4, 25))
    kernel = layer.init(jax.random.key(0), Input((3, 60)).spec)["params"]["kernel"]
    assert_close(jnp.max(jnp.abs(kernel)), (6 / 160) ** 0.5, 1e-2)


def test_unknown_sizes():  # oracle: the equation
    assert EinsumDense("abc,cd->abd", (None, 5), bias_axes="d")(Input((None, 4))).shape == (None, None, 5)
    assert EinsumDense("...c,cd->...d", 5)(Input((None, None, 4))).shape == (None, None, None, 5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: EinsumDense("ab->ba", 3),
        lambda: EinsumDense("ab,bc->ad", 3),
        lambda: EinsumDense("ab,bc->ac", (3, 4)),
        lambda: EinsumDense("ab,bc->ac", 3, bias_axes="b"),
        lambda: EinsumDense("ab,bc->ac", 3)(Input((4, 5))),
        lambda: EinsumDense("abc,cd->abd", (7, 5))(Input((6, 4))),
        lambda: EinsumDense("ab,bc->ac", 3)(Input((4,), dtype="int32")),
    ],
)
def test_what_does_not_fit(make):  # oracle: the kind of error
    with pytest.raises(GraphError):
        make()
