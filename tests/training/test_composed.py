"""Optimizers made of optimizers, within a training."""

import jax
import numpy as np
import optax
import pytest

import jaxgraphs as jg
from jaxgraphs.training.optimizers import average_of, averaged, by_pattern, clipped_by
from tests.training.runs import classifier, rows, trainer_of

X, Y = rows(8)


def two_steps(optimizer):
    """Params before, after one and after two steps; and the last optimizer state."""
    trainer = trainer_of(classifier(), optimizer)
    state = trainer.init(jax.random.key(0))
    seen = [jax.device_get(state.params)]
    for _ in range(2):
        state, _ = trainer.train_step(state, (X, Y))
        seen.append(jax.device_get(state.params))
    return seen, state.opt_state


def test_rates_by_pattern():  # oracle: one step of each rate alone
    seen, _ = two_steps(by_pattern({"hidden": optax.sgd(0.1), "*/bias": optax.sgd(0.0)}, default=optax.sgd(1.0)))
    slow, fast = two_steps(optax.sgd(0.1))[0][1], two_steps(optax.sgd(1.0))[0][1]
    expected = {
        "hidden": slow["hidden"],
        "label": {"kernel": fast["label"]["kernel"], "bias": seen[0]["label"]["bias"]},
    }
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), seen[1], expected)


def test_what_no_pattern_fits_is_left_alone():  # oracle: the params before
    seen, _ = two_steps(by_pattern({"hidden": "adam"}))
    jax.tree.map(np.testing.assert_array_equal, seen[2]["label"], seen[0]["label"])
    assert np.any(seen[2]["hidden"]["kernel"] != seen[0]["hidden"]["kernel"])


def test_moving_average():  # oracle: the formula
    seen, opt_state = two_steps(averaged(optax.sgd(0.5), decay=0.75))
    expected = jax.tree.map(lambda first, second, third: 0.75 * (0.75 * first + 0.25 * second) + 0.25 * third, *seen)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), average_of(opt_state), expected)


@pytest.mark.parametrize("limit", ["global_norm", "norm"])
def test_clipping(limit):  # oracle: the norm of the change, where the rate is 1
    seen, _ = two_steps(clipped_by(optax.sgd(1.0), **{limit: 0.01}))
    change = jax.tree.map(np.subtract, seen[1], seen[0])
    norms = [np.linalg.norm(leaf) for leaf in jax.tree.leaves(change)]
    largest = np.linalg.norm(norms) if limit == "global_norm" else max(norms)
    assert largest == pytest.approx(0.01, rel=1e-4)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: by_pattern({}), "by_pattern needs an optimizer for each pattern"),
        (lambda: two_steps(by_pattern({"hiden": "sgd"})), "The pattern 'hiden' of by_pattern fits nothing"),
        (lambda: averaged("sgd", decay=1), "a decay from 0 to below 1"),
        (lambda: average_of(optax.EmptyState()), "keeps no average"),
        (lambda: clipped_by("sgd", norm=1.0, value=1.0), "clipped by one limit"),
    ],
)
def test_messages(make, text):  # oracle: the message
    with pytest.raises(jg.GraphError, match=text):
        make()
