"""Arrays without data, and with data where sizes are open."""

from textwrap import dedent

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.errors import GraphError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.core import Dense, Embedding
from jaxgraphs.layers.norm import BatchNormalization
from jaxgraphs.symbolic.node import Input

OPEN = Input((None, 4), name="open")
FLAT = Graph(OPEN, Dense(3, name="flat")(OPEN[:, :, 0] * 2.0))


def test_init_needs_no_data():  # oracle: Keras' shapes and first values
    text = Input((None,), dtype="int32")
    graph = Graph(text, BatchNormalization(name="norm")(Dense(3, name="dense")(Embedding(10, 4, name="table")(text))))
    variables = graph.init(jax.random.key(0))
    assert jax.tree.map(jnp.shape, variables) == {
        "params": {
            "table": {"embedding": (10, 4)},
            "dense": {"kernel": (4, 3), "bias": (3,)},
            "norm": {"scale": (3,), "bias": (3,)},
        },
        "batch_stats": {"norm": {"mean": (3,), "var": (3,)}},
    }
    np.testing.assert_array_equal(variables["params"]["dense"]["bias"], 0)
    np.testing.assert_array_equal(variables["batch_stats"]["norm"]["var"], 1)
    assert abs(variables["params"]["table"]["embedding"]).max() <= 0.05


def test_layers_draw_from_keys_of_their_own():  # oracle: two layers of one shape differ, one shared layer is one array
    x = Input((4,))
    shared = Dense(4)
    variables = Graph(x, Dense(4)(Dense(4)(shared(shared(x))))).init(jax.random.key(0))["params"]
    kernels = [layer["kernel"] for layer in variables.values()]
    assert len(kernels) == 3
    assert len({np.asarray(kernel).tobytes() for kernel in kernels}) == 3


def test_other_keys_other_arrays():  # oracle: inequality
    a, b = (FLAT.init(jax.random.key(seed), np.ones((1, 5, 4), np.float32)) for seed in (0, 1))
    assert not np.array_equal(a["params"]["flat"]["kernel"], b["params"]["flat"]["kernel"])


def test_sizes_that_no_one_gave():  # oracle: the message, word for word
    with pytest.raises(GraphError) as caught:
        FLAT.init(jax.random.key(0))
    assert str(caught.value) == dedent("""\
        Sizes of weights depend on input sizes that are not known.
          received: flat needs an array of (None, 3) float32
          fix:      give the sizes in Input, or an example of the data: graph.init(key, inputs)""")
    with pytest.raises(GraphError, match="Sizes of weights depend"):
        FLAT.count_params()


@pytest.mark.parametrize(
    "inputs", [(np.ones((1, 5, 4), np.float32),), ({"open": np.ones((2, 5, 4))},), ([np.ones((2, 5, 4))],)]
)
def test_data_settles_sizes(inputs):  # oracle: the shape of the data
    assert FLAT.init(jax.random.key(0), *inputs)["params"]["flat"]["kernel"].shape == (5, 3)


def test_data_makes_no_other_difference():  # oracle: init without data
    x = Input((4,))
    graph = Graph(x, Dense(3)(x))
    with_data = graph.init(jax.random.key(0), np.full((7, 4), 3.0, np.float32))
    jax.tree.map(np.testing.assert_array_equal, with_data, graph.init(jax.random.key(0)))


def test_data_is_checked():  # oracle: the message of apply
    with pytest.raises(GraphError, match=r"open: \(2, 5, 3\), expected \(batch, None, 4\)"):
        FLAT.init(jax.random.key(0), np.ones((2, 5, 3), np.float32))


def test_init_under_eval_shape_makes_no_arrays():  # oracle: the declared specs
    shapes = jax.eval_shape(lambda key: Graph(OPEN, Dense(10**7)(OPEN)).init(key), jax.random.key(0))
    assert jax.tree.map(lambda leaf: leaf.shape, shapes)["params"]["dense"]["kernel"] == (4, 10**7)
