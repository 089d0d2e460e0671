"""A batch's arrangement found once: for its form alone, and never for another one's arrays."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.training.arranging import remembering


def asked(function=lambda batch: {"x": batch[1], "y": batch[0]}):
    """A remembering function, and what it has been asked."""
    questions = []
    return remembering(lambda batch: questions.append(batch) or function(batch)), questions


def test_the_same_form_is_looked_at_once():  # oracle: the function itself
    arrange, questions = asked()
    for number in range(3):
        made = arrange((jnp.full(2, number), jnp.full(3, -number)))
        np.testing.assert_array_equal(made["x"], [-number] * 3)
        np.testing.assert_array_equal(made["y"], [number] * 2)
    assert len(questions) == 1
    for other in ((jnp.ones(2, jnp.int8), jnp.ones(3)), (jnp.ones(4), jnp.ones(3)), [jnp.ones(2), jnp.ones(3)]):
        arrange(other)
    assert len(questions) == 4


def test_an_array_given_twice_is_not_remembered():  # oracle: two arrays after it stay two
    arrange, questions = asked()
    same = jnp.ones(2)
    arrange((same, same))
    made = arrange((jnp.zeros(2), jnp.ones(2)))
    np.testing.assert_array_equal(made["x"], [1, 1])
    np.testing.assert_array_equal(made["y"], [0, 0])
    assert len(questions) == 2


def test_what_is_made_anew_is_made_each_time():  # oracle: the function itself
    arrange, questions = asked(lambda batch: [batch[0] + 1])
    for number in range(3):
        assert float(arrange((jnp.float32(number),))[0]) == number + 1
    assert len(questions) == 3


def test_other_arrays_and_other_devices_are_asked_about():  # oracle: how often the function was asked
    arrange, questions = asked()
    for _ in range(2):
        arrange((np.ones(2), np.ones(2)))
    for device in jax.devices()[:2]:
        arrange(jax.device_put((np.ones(2), np.ones(2)), device))
    assert len(questions) == 2 + len(jax.devices()[:2])
