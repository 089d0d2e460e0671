"""Shapes without data: a table of functions, checked by running each on numbers of several sizes."""

import jax
import jax.numpy as jnp
import pytest

from jaxgraphs.errors import GraphError
from jaxgraphs.layers.core import Dense
from jaxgraphs.layers.wrap import layer
from jaxgraphs.symbolic.infer import infer
from jaxgraphs.symbolic.node import Input
from jaxgraphs.symbolic.spec import BATCH, TensorSpec

FUNCTIONS = {
    "elementwise": (lambda x: jnp.tanh(x), [(None, None, 3)]),
    "two branches of one size": (lambda x: x[:, 1:-1] + x[:, 2:], [(None, None, 3)]),
    "sum": (lambda x: x.sum((1, 2)), [(None, None, None, 3)]),
    "pooled": (lambda x: x[:, : x.shape[1] // 2 * 2].reshape(x.shape[0], -1, 2, 3).mean(2), [(None, None, 3)]),
    "strided": (lambda x: x[:, ::2, ::3], [(None, None, None, 3)]),
    "batch in front of a flat rest": (lambda x: x.reshape(x.shape[0], -1), [(None, None, 4)]),
    "doubled": (lambda x: jnp.concatenate([x, x], 1), [(None, None, 3)]),
    "joined": (lambda x, y: jnp.concatenate([x, y], 1), [(None, None, 3), (None, None, 3)]),
    "outer": (lambda x, y: x[:, :, None] * y[:, None, :], [(None, None), (None, None)]),
    "sizes that must be equal": (lambda x, y: x + y, [(None, None, 3), (None, None, 3)]),
    "attention": (
        lambda q, k: jax.nn.softmax(jnp.einsum("bid,bjd->bij", q, k), -1),
        [(None, None, 8), (None, None, 8)],
    ),
    "python arithmetic on a size": (lambda x: jnp.zeros((x.shape[0], int(x.shape[1]) * 2 + 1)), [(None, None)]),
    "a loop over a size": (lambda x: sum(x[:, i] for i in range(x.shape[1] // 100)), [(None, None, 3)]),
    "structured": (lambda x: {"first": x[:, 0], "all": [x, x.shape[1] * jnp.ones((3,))]}, [(None, None, 2)]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_inferred_holds_for_any_size(name):  # oracle: the function on arrays of several sizes
    function, shapes = FUNCTIONS[name]
    specs, structure = infer(function, [TensorSpec.of_shape(shape, "float32") for shape in shapes])
    for sizes in ((2, 240, 240, 240), (5, 121, 121, 121)):
        arrays = [jnp.zeros([sizes[i] if size is None else size for i, size in enumerate(shape)]) for shape in shapes]
        leaves, arrangement = jax.tree.flatten(function(*arrays))
        assert arrangement == structure
        for spec, leaf in zip(specs, leaves, strict=True):
            assert spec.rank == leaf.ndim
            assert spec.dtype == leaf.dtype
            assert all(size in (None, real) for size, real in zip(spec.shape, leaf.shape, strict=True))


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("outer", "structured")])
def test_the_batch_is_recognised(name):  # oracle: each of these keeps the batch axis in front
    function, shapes = FUNCTIONS[name]
    specs, _ = infer(function, [TensorSpec.of_shape(shape, "float32") for shape in shapes])
    assert all(spec.dims[0] == BATCH for spec in specs)


def test_known_sizes_come_out_as_numbers():  # oracle: the arithmetic of the shapes
    (spec,), _ = infer(lambda x: x[:, 1:, :, 0], [TensorSpec.of_shape((None, 5, None, 3), "float32")])
    assert spec.shape == (None, 4, None)


def test_equal_symbols_meet_again():  # oracle: a sum of two halves of one tensor has the half's size
    x = Input((None, 4))
    shorter = layer(lambda a: a[:, 1:])(x)
    (other,) = [layer(lambda a: a[:, :-1])(x)]
    assert (shorter + other).spec.dims == shorter.spec.dims


def test_unknown_sizes_of_two_inputs_are_taken_to_be_equal():  # oracle: the only way their sum exists
    x, y = Input((None, 4)), Input((None, 4))
    assert (x + y).shape == (None, None, 4)


def test_a_size_a_weight_needs_stays_a_symbol():  # oracle: no number is invented for it
    kernel = Dense(3)(Input((None,))).node.variables["params"]["kernel"]
    assert kernel.shape == (None, 3)


def test_what_the_function_says_on_known_sizes_is_what_is_reported():  # oracle: JAX's own words
    specs = [TensorSpec.of_shape((2, 3), "float32"), TensorSpec.of_shape((2, 4), "float32")]
    with pytest.raises(TypeError, match="incompatible shapes for broadcasting"):
        infer(jnp.add, specs)


def test_a_graph_error_is_not_tried_again():  # oracle: the number of calls
    calls = []

    def refuses(x):
        calls.append(x)
        raise GraphError("no")

    with pytest.raises(GraphError, match="no"):
        infer(refuses, [TensorSpec.of_shape((None, None), "float32")])
    assert len(calls) == 1
