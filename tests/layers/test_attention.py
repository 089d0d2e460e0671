"""What the catalogue does not show of attention: masks that come with tensors, dropout, unknown sizes, messages."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from jaxgraphs.errors import GraphError, GraphTypeError, ShapeMismatchError
from jaxgraphs.layers.attention import AdditiveAttention, Attention
from jaxgraphs.layers.multi_head import GroupQueryAttention, MultiHeadAttention
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import Input
from jaxgraphs.symbolic.spec import TensorSpec
from tests.oracle import assert_close, keras_rules

RANDOM = np.random.default_rng(0)
QUERY, VALUE = (RANDOM.normal(size=shape).astype("float32") for shape in ((2, 3, 4), (2, 5, 4)))
QUERY_MASK = np.array([[True, True, False], [True, False, False]])
VALUE_MASK = np.array([[True] * 4 + [False], [True] * 2 + [False] * 3])
NAMES = [(name, array) for name in ("query", "key", "value", "output") for array in ("kernel", "bias")]


def with_masks(masks):
    """Arrays that carry masks as Keras' tensors do."""
    arrays = [jnp.array(QUERY), jnp.array(VALUE)]
    for array, mask in zip(arrays, masks, strict=True):
        if mask is not None:
            keras.src.backend.set_keras_mask(array, jnp.asarray(mask))
    return arrays


@pytest.mark.parametrize("masks", [(QUERY_MASK, VALUE_MASK), (QUERY_MASK, None), (None, VALUE_MASK)], ids=str)
@pytest.mark.parametrize("causal", [False, True])
def test_masks_of_attention(masks, causal):  # oracle: Keras
    with keras_rules():
        expected = keras.layers.Attention()(with_masks(masks), use_causal_mask=causal)
    context = Context(masks=(list(masks),))
    ran = Attention().run({}, ([QUERY, VALUE],), {"use_causal_mask": causal}, context)
    assert_close(ran.outputs, expected)
    assert ran.masks is masks[0]


@pytest.mark.parametrize("masks", [(QUERY_MASK, VALUE_MASK), (QUERY_MASK, None), (None, VALUE_MASK)], ids=str)
@pytest.mark.parametrize("options", [{}, {"use_causal_mask": True}, {"return_attention_scores": True}], ids=str)
def test_masks_of_multi_head_attention(masks, options):  # oracle: Keras
    layer = MultiHeadAttention(2, 3)
    with keras_rules():
        twin = keras.layers.MultiHeadAttention(2, 3)
        expected = twin(*with_masks(masks), **options)
    params = {}
    for (name, array), weight in zip(NAMES, twin.weights, strict=True):
        params.setdefault(name, {})[array] = weight.value
    ran = layer.run({"params": params}, (QUERY, VALUE), options, Context(masks=masks))
    for one, other in zip(jax.tree.leaves(ran.outputs), jax.tree.leaves(expected), strict=True):
        assert_close(one, other)
    assert (ran.masks[0] if options.get("return_attention_scores") else ran.masks) is masks[0]


def test_kernels_start_as_wide_as_keras():  # oracle: Glorot's limit, with all heads of a projection as its outputs
    params = MultiHeadAttention(4, 25).init(jax.random.key(0), *[TensorSpec.of_shape((None, 3, 60), "float32")] * 2)
    limit = (6 / (60 + 100)) ** 0.5
    for name in ("query", "output"):
        assert_close(jnp.max(jnp.abs(params["params"][name]["kernel"])), limit, 1e-2)


def test_dropout_drops_proportions():  # oracle: the proportions' own sum, and what the key decides
    layer = Attention(dropout=0.5)
    value = np.ones((1, 400, 1), "float32")
    runs = [
        layer.run({}, ([value, value],), {}, Context(train=True, rngs={"dropout": jax.random.key(seed)})).outputs
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.any(runs[0] != runs[2])
    assert abs(float(runs[0].mean()) - 1) < 0.02
    assert_close(layer.run({}, ([value, value],), {}, Context()).outputs, value)


def test_unknown_sizes():  # oracle: the query's shape
    x, memory = Input((None, 16)), Input((None, 16))
    for layer in (MultiHeadAttention(2, 8), GroupQueryAttention(8, 4, 2)):
        assert layer(x, memory, use_causal_mask=True).shape == (None, None, 16)
    for layer in (Attention(), AdditiveAttention()):
        assert layer([x, memory], use_causal_mask=True).shape == (None, None, 16)


def test_a_key_by_name_is_a_key():  # oracle: the call by position
    query, value, key = Input((3, 4)), Input((5, 6)), Input((5, 4))
    by_name = MultiHeadAttention(2, 3)(query=query, value=value, key=key)
    assert by_name.node.parents == MultiHeadAttention(2, 3)(query, value, key).node.parents == (query, value, key)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda x: Attention()(x), GraphTypeError, "a list of two or three"),
        (lambda x: Attention()([x, Input((3, 5))]), ShapeMismatchError, "cannot compare"),
        (lambda x: AdditiveAttention()([x, Input((4,))]), ShapeMismatchError, "cannot compare"),
        (lambda x: MultiHeadAttention(2, 3)(x, x, Input((9, 4))), ShapeMismatchError, "as many steps"),
        (lambda x: MultiHeadAttention(2, 3, attention_axes=2)(x, x), ShapeMismatchError, "attention_axes"),
        (lambda x: GroupQueryAttention(3, 4, 2)(Input((3, 2, 4)), Input((3, 2, 4))), ShapeMismatchError, "sequences"),
        (lambda x: MultiHeadAttention(0, 3), GraphError, "num_heads"),
        (lambda x: GroupQueryAttention(3, 4, 3), GraphError, "evenly"),
        (lambda x: Attention(score_mode="cosine"), GraphError, "'dot' or 'concat'"),
        (lambda x: Attention(dropout=2.0), GraphError, "dropout from 0 to 1"),
    ],
)
def test_what_does_not_fit(call, kind, words):  # oracle: the message
    with pytest.raises(kind, match=words):
        call(Input((3, 4)))
