"""Products over several axes as products of two matrices, beside the graph as it was."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs import Graph, Input, layers
from jaxgraphs.passes.base import Setting
from jaxgraphs.passes.kernels.product import flat_product, product
from jaxgraphs.passes.products import FlatProducts
from tests.passes.test_branches import floats, with_gradients


@pytest.mark.parametrize(("rows", "axes", "outputs"), [((2, 3), 1, (4,)), ((2,), 2, ()), ((2, 1, 3), 2, (2, 2))])
def test_products(rows, axes, outputs):  # oracle: NumPy's tensordot
    inner = (5, 2)[:axes]
    x, kernel = floats(*rows, *inner), floats(*inner, *outputs, seed=1)
    for each in (product, flat_product):
        np.testing.assert_allclose(each(x, kernel, axes), np.tensordot(x, kernel, axes=axes), rtol=1e-5, atol=1e-6)


def test_no_rows():  # oracle: the shape
    assert flat_product(jnp.ones((0, 3, 4)), jnp.ones((4, 5))).shape == (0, 3, 5)


def attending():
    x = Input((6, 8))
    y = layers.Dense(8, activation="relu", name="wide")(x)
    y = layers.MultiHeadAttention(2, 4, use_gate=True, name="read")(y, y)
    y = layers.GroupQueryAttention(4, 4, 2, name="grouped")(y, x)
    y = layers.EinsumDense("btd,dhe->bthe", output_shape=(None, 2, 4), bias_axes="he", name="split")(y)
    y = layers.EinsumDense("bthe,hed->btd", output_shape=(None, 8), name="joined")(y)
    y = layers.EinsumDense("btd,ts->bsd", output_shape=(6, 8), name="across")(y)
    return Graph(x, layers.Dense(3, name="last")(layers.GlobalAveragePooling1D()(y)))


def test_outputs_and_gradients_stay():  # oracle: the graph before the pass
    graph, x = attending(), floats(2, 6, 8)
    variables = graph.init(jax.random.key(0))
    done = FlatProducts().rewrite(graph, Setting())
    assert done.notes == ("'wide', 'read', 'grouped' and 2 more: products of two matrices",)
    assert done.graph.variable_specs() == graph.variable_specs()
    for a, b in zip(*(jax.tree.leaves(with_gradients(g, variables, x)) for g in (done.graph, graph)), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_what_reads_rows_stays():  # oracle: the very graph
    x = Input((8,))
    graph = Graph(x, layers.Dense(3)(x))
    assert FlatProducts().rewrite(graph, Setting()).graph is graph


def test_objections():  # oracle: the words
    assert FlatProducts().objection(Setting()) is None
    assert FlatProducts().objection(Setting(is_spread=True)) == "a mesh lays the arrays out"
