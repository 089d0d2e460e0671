import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgraphs.errors import GraphValueError
from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.core import Dense
from jaxgraphs.layers.wrap import layer
from jaxgraphs.symbolic.node import Input
from jaxgraphs.training.callbacks import Run, Stop, TerminateOnNaN
from jaxgraphs.training.objective import Targets
from jaxgraphs.training.step import Batch, TrainState
from jaxgraphs.training.trainer import Trainer


def chain(function=jnp.tanh):
    """Inner graph, a function, a dense layer: x -> inner/a -> inner/b -> middle -> c."""
    x = Input((2,), name="x")
    inner = Graph(x, Dense(2, name="b")(Dense(2, name="a")(x)), name="inner")
    y = Input((2,), name="y")
    return Graph(y, Dense(1, name="c")(layer(function, name="middle")(inner(y))))


def state_of(graph, *broken):
    variables = graph.init(jax.random.key(0))
    params = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf * jnp.nan if "/".join(key.key for key in path) in broken else leaf, variables["params"]
    )
    return TrainState(jnp.zeros((), jnp.int32), params, {}, (), jax.random.key(1))


def run_of(graph, state, loss, value=1.0, batch=3):
    data = Batch((jnp.full((2, 2), value),), Targets((jnp.ones((2, 1)),), (None,)))
    return Run(graph, None, state, epoch=1, batch=batch, data=data, logs={"loss": loss})


@pytest.mark.parametrize(
    ("broken", "value", "function", "expected"),
    [
        ((), 1.0, lambda x: x / 0.0, "weights that are not finite: none; the first activation: middle"),
        (("inner/b/kernel", "c/bias"), 1.0, jnp.tanh, "not finite: inner/b/kernel; the first activation: inner/b"),
        (("c/bias",), 1.0, lambda x: x / 0.0, "not finite: c/bias; the first activation: middle"),
        ((), np.inf, jnp.tanh, "none; the inputs are not finite: y; the first activation: inner/a"),
        ((), 1.0, jnp.tanh, "weights that are not finite: none; the first activation: none"),
    ],
)
@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf])
def test_names_where_it_began(broken, value, function, expected, loss, capsys):  # oracle: where it was put
    graph = chain(function)
    stop = TerminateOnNaN().on_batch_end(run_of(graph, state_of(graph, *broken), jnp.asarray(loss), value))
    assert isinstance(stop, Stop)
    assert stop.reason.startswith(f"the loss is {loss} after batch 4 of epoch 2: the first weights")
    assert stop.reason.endswith(expected)
    assert capsys.readouterr().out == f"Training ends: {stop.reason}\n"


class Late:
    """A loss that arrives when it is told to."""

    def __init__(self, value):
        self.value, self.is_here = value, False

    def is_ready(self):
        return self.is_here

    def __float__(self):
        assert self.is_here, "waited for the device"
        return self.value


def test_does_not_wait_within_an_epoch(monkeypatch):  # oracle: losses that are late
    monkeypatch.setattr("jaxgraphs.training.callbacks.terminate_on_nan._is_ready", Late.is_ready)
    graph = chain()
    state, losses, callback = state_of(graph), [Late(0.5), Late(np.nan), Late(np.nan)], TerminateOnNaN()
    for batch, loss in enumerate(losses):
        assert callback.on_batch_end(run_of(graph, state, loss, batch=batch)) is None
    losses[0].is_here = losses[1].is_here = True
    stop = callback.on_batch_end(run_of(graph, state, Late(0.0), batch=3))
    assert "after batch 2 of epoch 2" in stop.reason


def test_looks_at_all_at_the_epochs_end(monkeypatch):  # oracle: the first batch that was late
    monkeypatch.setattr("jaxgraphs.training.callbacks.terminate_on_nan._is_ready", lambda loss: False)
    graph, callback = chain(), TerminateOnNaN()
    for batch, loss in enumerate([0.5, np.nan, np.nan]):
        assert callback.on_batch_end(run_of(graph, state_of(graph), jnp.asarray(loss), batch=batch)) is None
    stop = callback.on_epoch_end(Run(graph, None, state_of(graph), epoch=1, logs={"loss": np.nan}))
    assert "after batch 2 of epoch 2" in stop.reason


def test_finite_losses():  # oracle: Keras' rule
    graph, callback = chain(), TerminateOnNaN()
    assert callback.on_batch_end(run_of(graph, state_of(graph), jnp.asarray(0.5))) is None
    assert callback.on_epoch_end(Run(graph, None, state_of(graph), logs={"loss": 0.5, "val_loss": np.nan})) is None


def test_fit(capsys):  # oracle: a rate at which the weights grow without end
    graph = chain()
    trainer = Trainer(graph, optimizer="sgd", loss="mse")
    x, y = np.full((32, 2), 1e20, np.float32), np.full((32, 1), 1e30, np.float32)
    start = trainer.init(jax.random.key(0))
    state, history = trainer.fit(start, x, y, batch_size=4, epochs=5, verbose=0, callbacks=[TerminateOnNaN()])
    assert re.search("the loss is (inf|nan) after batch 1 of epoch 1: the first weights", history.stopped)
    assert int(state.step) <= 8
    assert "Training ends" in capsys.readouterr().out
    with pytest.raises(GraphValueError, match="after batch 1 of epoch 1"):
        trainer.fit(start, x, y, batch_size=4, epochs=5, verbose=0, callbacks=[TerminateOnNaN(raise_error=True)])
