"""Masks, penalties and functions of the layers that hand on what they read."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.errors import GraphError
from jaxgraphs.layers.activation_layers import PReLU, ReLU, Softmax
from jaxgraphs.layers.passing import ActivityRegularization, Identity, Lambda, Masking
from jaxgraphs.symbolic.context import Context
from jaxgraphs.symbolic.node import Input

X = jnp.array([[[1.0, 2.0], [0.0, 0.0]], [[0.0, 3.0], [7.0, 7.0]]])
MASK = jnp.array([[True, False], [True, True]])


def test_masking_leaves_out_steps_of_one_value():  # oracle: the steps themselves
    np.testing.assert_array_equal(Masking().run({}, (X,), {}, Context()).masks, MASK)
    ran = Masking(7.0).run({}, (X,), {}, Context())
    np.testing.assert_array_equal(ran.masks, [[True, True], [True, False]])
    np.testing.assert_array_equal(ran.outputs[1, 1], [0.0, 0.0])


def test_activity_regularization_is_a_penalty():  # oracle: l1 sum |x| + l2 sum x² over the batch size
    ran = ActivityRegularization(0.5, 0.25).run({}, (X,), {}, Context())
    np.testing.assert_allclose(ran.losses, [(0.5 * 20 + 0.25 * 112) / 2])
    copy = ActivityRegularization(0.5).replace(l2=1.0)
    assert (copy.activity_regularizer.l1, copy.activity_regularizer.l2) == (0.5, 1.0)


def test_lambda_is_told_what_it_asks_for():  # oracle: what is told
    layer = Lambda(lambda x, mask, training, factor: (mask, training, factor), arguments={"factor": 3})
    mask, training, factor = layer.run({}, (X,), {}, Context(train=True, masks=(MASK,))).outputs
    np.testing.assert_array_equal(mask, MASK)
    assert (training, factor) == (True, 3)


def test_lambda_makes_the_mask_it_is_given():  # oracle: Keras' rule, no mask unless one is given
    context = Context(masks=(MASK,))
    assert Lambda(jnp.abs).run({}, (X,), {}, context).masks is None
    inverted = Lambda(jnp.abs, mask=lambda inputs, mask: ~mask).run({}, (X,), {}, context).masks
    np.testing.assert_array_equal(inverted, ~MASK)


def test_identity_keeps_the_arrangement():  # oracle: the input
    a, b = Input((3,)), Input((4,))
    out = Identity()({"a": a, "b": [b]})
    assert (out["a"].shape, out["b"][0].shape) == ((None, 3), (None, 4))


def test_softmax_leaves_masks_of_steps_to_others():  # oracle: the softmax without a mask
    ran = Softmax().run({}, (X,), {}, Context(masks=(MASK,)))
    np.testing.assert_array_equal(ran.outputs, Softmax().run({}, (X,), {}, Context()).outputs)
    assert ran.masks is MASK


def test_softmax_of_nothing_is_nothing():  # oracle: 0 where a whole row is masked
    ran = Softmax().run({}, (X[0],), {"mask": jnp.array([[False, False], [True, False]])}, Context())
    np.testing.assert_array_equal(ran.outputs, [[0.0, 0.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    "make",
    [
        lambda: ReLU(max_value=-1.0),
        lambda: ReLU(threshold=-1.0),
        lambda: PReLU(shared_axes=[3])(Input((4,))),
        lambda: Softmax(axis=2)(Input((4,))),
        lambda: Masking()(Input(())),
        lambda: Lambda("square"),
        lambda: ActivityRegularization(l1=-1.0),
    ],
)
def test_what_does_not_fit(make):  # oracle: the kind of error
    with pytest.raises(GraphError):
        make()
