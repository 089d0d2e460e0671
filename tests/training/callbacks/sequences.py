"""Recorded numbers of epochs, and both libraries' callbacks driven along them without any training."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.training.callbacks import NewState, Run, Stop
from jaxgraphs.training.optimizers import learning_rate, sgd
from jaxgraphs.training.step import TrainState
from tests.oracle import keras_rules


def sequence(seed: int, length: int = 14) -> list[float]:
    """float32 numbers with plateaus, ties, spikes, infinities and, in some sequences, numbers that are none."""
    draw = np.random.default_rng(seed)
    levels = draw.choice([0.1, 0.2, 0.3, 0.4, 0.5], length) if seed % 2 else np.linspace(1.0, 0.2, length)
    values = np.where(draw.random(length) < 0.4, np.round(levels, 1), levels + draw.normal(0, 0.1, length))
    if seed % 3 == 0:
        values[draw.integers(0, length)] = np.nan
    if seed % 5 == 0:
        values[draw.integers(0, length)] = np.inf
    return [float(value) for value in values.astype(np.float32)]


def state_of(epoch: int, state: TrainState | None = None) -> TrainState:
    """A state whose params say which epoch made them."""
    opt_state = sgd(0.5).init({"w": jnp.zeros(())}) if state is None else state.opt_state
    params, carried = {"w": jnp.full((2,), float(epoch))}, {"batch_stats": {"m": jnp.asarray(float(-epoch))}}
    return TrainState(jnp.asarray(epoch, jnp.int32), params, carried, opt_state, jax.random.key(0))


@dataclasses.dataclass
class Seen:
    """What a callback did: the rate in each epoch, the epoch that stopped, the params at the end."""

    rates: list[float] = dataclasses.field(default_factory=list)
    stopped: int | None = None
    final: float | None = None


def drive(make, values, name="loss", restart_after: int | None = None) -> Seen:
    """Ours along a sequence; a restart hands the memory to a fresh callback, and the state on."""
    callback, seen, state = make(), Seen(), None
    run = Run(None, None, state_of(-1), validation=((), ()))
    callback.on_train_begin(run)
    for epoch, value in enumerate(values):
        run = act(run, callback.on_epoch_begin(dataclasses.replace(run, epoch=epoch)))
        seen.rates.append(float(learning_rate(run.state.opt_state)))
        state = state_of(epoch, run.state)
        run = dataclasses.replace(run, state=state, epoch=epoch, logs={name: value})
        action = callback.on_epoch_end(run)
        run = act(run, action)
        if isinstance(action, Stop):
            seen.stopped = epoch
            break
        if epoch == restart_after:
            memory = as_arrays(callback.memory())
            callback = make()
            callback.remember(memory)
            callback.on_train_begin(dataclasses.replace(run, resumed=True))
    run = act(run, callback.on_train_end(run))
    seen.final = float(run.state.params["w"][0])
    assert float(run.state.model_state["batch_stats"]["m"]) == -seen.final
    return seen


def as_arrays(memory):
    """A memory as a checkpoint may give it back: numbers as arrays."""
    return jax.tree.map(lambda leaf: leaf if isinstance(leaf, str) else np.asarray(leaf), memory)


def act(run: Run, action) -> Run:
    return dataclasses.replace(run, state=action.state) if isinstance(action, NewState) else run


class Model:
    """What Keras' callbacks need of a model."""

    def __init__(self) -> None:
        self.optimizer, self.metrics, self.stop_training, self.weights = Optimizer(), [], False, None
        self.saved: list[str] = []

    def get_weights(self):
        return self.weights

    def set_weights(self, weights) -> None:
        self.weights = weights

    def save(self, path, overwrite=True) -> None:
        self.saved.append(str(path))


class Optimizer:
    def __init__(self) -> None:
        self._rate = np.float32(0.5)

    learning_rate = property(lambda self: self._rate, lambda self, rate: setattr(self, "_rate", np.float32(rate)))


def drive_keras(callback, values, name="loss") -> Seen:
    """Keras' own along the same sequence."""
    model, seen = Model(), Seen()
    with keras_rules():
        callback.set_model(model)
        callback.on_train_begin({})
        for epoch, value in enumerate(values):
            callback.on_epoch_begin(epoch, {})
            seen.rates.append(float(model.optimizer.learning_rate))
            model.weights = float(epoch)
            callback.on_epoch_end(epoch, {name: value})
            if model.stop_training:
                seen.stopped = epoch
                break
        callback.on_train_end({})
    seen.final = model.weights
    return seen
