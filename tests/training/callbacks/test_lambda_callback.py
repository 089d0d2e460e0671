import jax.numpy as jnp
import keras
import pytest

from jaxgraphs.errors import GraphTypeError
from jaxgraphs.training.callbacks import LambdaCallback, Run, Stop
from jaxgraphs.training.callbacks.base import dispatch

HOOKS = ["on_train_begin", "on_epoch_begin", "on_batch_begin", "on_batch_end", "on_epoch_end", "on_train_end"]


def in_keras(name):
    return name.replace("on_batch", "on_train_batch")


def functions(seen):
    """Keras-style functions under Keras' names that write down what they are given."""

    def on(name):
        if "train" in name:
            return lambda logs: seen.append((name, dict(logs or {})))
        return lambda number, logs=None: seen.append((name, number, dict(logs or {})))

    return {in_keras(name): on(name) for name in HOOKS}


def test_keras_functions():  # oracle: what Keras' own callback gives them
    ours, theirs = [], []
    callback, reference = LambdaCallback(**functions(ours)), keras.callbacks.LambdaCallback(**functions(theirs))
    run = Run(None, None, None, epoch=2, batch=5, logs={"loss": jnp.asarray(0.5)})
    for name in HOOKS:
        dispatch([callback], name, run)
        logs = {"loss": 0.5}
        number = {"epoch": 2, "batch": 5}.get(name.split("_")[1])
        getattr(reference, in_keras(name))(*([logs] if number is None else [number, logs]))
    assert ours == theirs
    assert len(ours) == 6


@pytest.mark.parametrize("name", HOOKS)
def test_functions_of_the_run(name):  # oracle: the action comes back
    callback = LambdaCallback(**{name: lambda run: Stop(f"in epoch {run.epoch}")})
    for hook in HOOKS:
        _, stop = dispatch([callback], hook, Run(None, None, None, epoch=4))
        assert stop == (Stop("in epoch 4") if hook == name else None)


def test_what_a_keras_function_returns_does_not_matter():  # oracle: Keras ignores it; an action still counts
    run = Run(None, None, None)
    assert LambdaCallback(on_epoch_end=lambda epoch, logs: 7).on_epoch_end(run) is None
    assert LambdaCallback(on_epoch_end=lambda epoch, logs: Stop("x")).on_epoch_end(run) == Stop("x")


def test_a_function_that_cannot_be_called():  # oracle: the message
    with pytest.raises(GraphTypeError, match="cannot call on_epoch_end"):
        LambdaCallback(on_epoch_end=lambda: None)
