"""What the catalogue does not show of merges: messages, masks and unknown sizes."""

from textwrap import dedent

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from jaxgraphs.errors import GraphTypeError, ShapeMismatchError
from jaxgraphs.layers import joining, merge
from jaxgraphs.layers.merge import Add
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import Input
from tests.oracle import assert_close, keras_rules


def test_add_names_both_branches_when_widths_differ():  # oracle: the message, word for word
    text, image = Input((32,), name="text"), Input((64,), name="image")
    with pytest.raises(ShapeMismatchError) as caught:
        Add(name="join")([text, image])
    assert str(caught.value) == dedent("""\
        Add 'join' cannot combine its inputs.
          where:    text, image -> join
          received: (batch, 32) float32, (batch, 64) float32
          expected: shapes that broadcast together
          fix:      give both branches one width, for example Dense(64)(text)""")


def test_the_narrow_branch_is_the_one_to_widen():  # oracle: the message's last line
    with pytest.raises(ShapeMismatchError, match=r"for example Dense\(64\)\(b\)$"):
        merge.multiply([Input((64,), name="a"), Input((32,), name="b")])


@pytest.mark.parametrize(
    ("make", "shapes", "words"),
    [
        (merge.Maximum, [(4, 8), (5, 8)], "pooling, cropping or layers.Reshape"),
        (joining.Concatenate, [(4, 8), (5, 8)], "equal sizes but along axis -1"),
        (joining.Concatenate, [(4, 8), (8,)], "one rank"),
        (lambda: joining.Concatenate(axis=3), [(4, 8), (4, 8)], "along axis 3"),
        (lambda: joining.Dot(axes=1), [(4,), (5,)], "one size along axes 1"),
        (lambda: joining.Dot(axes=(2, 1)), [(4,), (4,)], r"one size along axes \(2, 1\)"),
    ],
)
def test_shapes_that_do_not_go_together(make, shapes, words):  # oracle: the message
    with pytest.raises(ShapeMismatchError, match=words) as caught:
        make()([Input(shape) for shape in shapes])
    assert caught.value.where
    assert caught.value.received
    assert caught.value.fix


def test_batches_of_unlike_size_do_not_merge():  # oracle: Keras refuses them too
    with pytest.raises(ShapeMismatchError):
        Add()([Input((4,), batch_size=3), Input((4,), batch_size=1)])


@pytest.mark.parametrize(
    ("make", "given", "expected"),
    [
        (Add, lambda x: x, "a list of symbolic tensors"),
        (merge.Subtract, lambda x: [x, x, x], "a list of 2 symbolic tensors"),
        (joining.Concatenate, lambda x: x, "a list of symbolic tensors"),
        (lambda: joining.Dot(axes=1), lambda x: [x], "a list of 2 symbolic tensors"),
    ],
)
def test_a_list_is_needed(make, given, expected):  # oracle: the message
    with pytest.raises(GraphTypeError) as caught:
        make()(given(Input((4,))))
    assert caught.value.expected == expected


@pytest.mark.parametrize("axes", [0, (1, 0), (1, 2, 3), "time", (1.0, 2)])
def test_dot_sums_along_two_axes_but_the_batch(axes):  # oracle: the message
    with pytest.raises(GraphTypeError, match="never the batch axis"):
        joining.Dot(axes=axes)


@pytest.mark.parametrize(
    ("make", "shapes", "expected"),
    [
        (Add, [(None, 8), (None, 8)], (None, None, 8)),
        (Add, [(None, 8), (5, 8)], (None, 5, 8)),
        (Add, [(None, 8), (1, 8)], (None, None, 8)),
        (Add, [(None, 8), (None, 8), (5, 8)], (None, 5, 8)),
        (Add, [(None, None, 3), (None, None, 3)], (None, None, None, 3)),
        (Add, [(8,), (None, 8)], (None, None, 8)),
        (joining.Concatenate, [(None, 8), (None, 4)], (None, None, 12)),
        (joining.Concatenate, [(None, 8), (5, 4)], (None, 5, 12)),
        (lambda: joining.Concatenate(axis=1), [(None, 8), (5, 8)], (None, None, 8)),
        (lambda: joining.Dot(axes=(2, 1)), [(3, None), (5, 4)], (None, 3, 4)),
        (lambda: joining.Dot(axes=1), [(None,), (None,)], (None, 1)),
    ],
)
def test_unknown_sizes_may_turn_out_to_fit(make, shapes, expected):  # oracle: Keras' rule for None
    assert make()([Input(shape) for shape in shapes]).shape == expected


def test_a_known_batch_meets_an_unknown_one():  # oracle: Keras' rule for None
    assert Add()([Input((4,), batch_size=3), Input((4,))]).shape == (3, 4)


LENGTHS = [[1, 3, 2], [2, 3, 1], [3, 1, 1]]


def masked(count):
    """Arrays and masks; the last input has none where `count` is 2."""
    random = np.random.default_rng(0)
    values = [random.normal(size=(3, 3, 4)).astype("float32") for _ in range(3)]
    masks = [np.arange(3)[None, :] < np.array(lengths)[:, None] for lengths in LENGTHS]
    return values, [mask if index < count else None for index, mask in enumerate(masks)]


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("kind", ["Add", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"])
def test_masks(kind, count):  # oracle: Keras, its output and its output's mask
    values, masks = masked(count)
    layer = (getattr(merge, kind, None) or getattr(joining, kind))()
    ran = layer.run({}, (values,), {}, Context(masks=(masks,)))
    with keras_rules():
        arrays = [jnp.array(value) for value in values]
        for array, mask in zip(arrays, masks, strict=True):
            if mask is not None:
                keras.src.backend.set_keras_mask(array, jnp.asarray(mask))
        expected = getattr(keras.layers, kind)()(arrays)
        expected_mask = keras.src.backend.get_keras_mask(expected)
    assert_close(ran.outputs, expected)
    assert (ran.masks is None) == (expected_mask is None)
    if expected_mask is not None:
        np.testing.assert_array_equal(ran.masks, expected_mask)


def test_concatenating_steps_concatenates_masks():  # oracle: the masks themselves
    values, masks = masked(2)
    ran = joining.Concatenate(axis=1).run({}, (values,), {}, Context(masks=(masks,)))
    np.testing.assert_array_equal(ran.masks, np.concatenate([masks[0], masks[1], np.ones((3, 3), bool)], axis=1))


def test_masks_of_images_keep_their_rank():  # oracle: the mask itself; Keras fails here
    values = [jnp.ones((2, 3, 4, 1)), jnp.ones((2, 3, 4, 2))]
    mask = jnp.array([[True, False, True], [False, True, True]])
    ran = joining.Concatenate().run({}, (values,), {}, Context(masks=([mask, mask],)))
    np.testing.assert_array_equal(ran.masks, mask)


def test_the_cosine_of_nothing_has_a_gradient():  # oracle: 0, the limit of a cosine with an empty vector
    layer = joining.Dot(axes=1, normalize=True)
    grad = jax.grad(lambda x: layer.run({}, ([x, jnp.ones((1, 3))],), {}, Context()).outputs.sum())(jnp.zeros((1, 3)))
    assert np.all(np.isfinite(grad))


def test_function_forms_make_the_classes():  # oracle: the class of the same name
    a, b = Input((4,)), Input((4,))
    for name in ("add", "subtract", "multiply", "average", "maximum", "minimum"):
        assert getattr(merge, name)([a, b], name="join").node.layer.kind == name.capitalize()
    assert joining.concatenate([a, b], axis=1, name="join").node.layer.axis == 1
    assert joining.dot([a, b], axes=1, normalize=True).node.layer.normalize
