"""What the host does in a step: a graph so small that nothing else counts, beside hand-written Flax.

Run as ``python -m benchmarks.overhead``. Ten dense layers of 8 units and three outputs, a batch of 16 that is on the
device already; each step's loss is read. Times are medians in microseconds, the two taking turns in one process.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxgraphs as jg
from jaxgraphs import layers

Step = Callable[[], float]
DEPTH, WIDTH, OUTPUTS, ROWS = 10, 8, 3, 16


def data() -> tuple[jax.Array, list[jax.Array]]:
    """A batch."""
    random = np.random.default_rng(0)
    arrays = [random.normal(size=(ROWS, width)).astype(np.float32) for width in (WIDTH, *(1,) * OUTPUTS)]
    x, *y = jax.device_put(arrays)
    return x, y


def ours() -> Step:
    """A step of a Trainer."""
    x = hidden = jg.Input((WIDTH,), name="x")
    for _ in range(DEPTH):
        hidden = layers.Dense(WIDTH, activation="relu")(hidden)
    graph = jg.Graph(x, [layers.Dense(1)(hidden) for _ in range(OUTPUTS)])
    trainer, batch = jg.Trainer(graph, "rmsprop", ["mse"] * OUTPUTS), data()
    state = trainer.init(jax.random.key(0))

    def step() -> float:
        nonlocal state
        state, logs = trainer.train_step(state, batch)
        return float(logs["loss"])

    return step


class _Linen(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> list[Any]:
        for _ in range(DEPTH):
            x = nn.relu(nn.Dense(WIDTH)(x))
        return [nn.Dense(1)(x) for _ in range(OUTPUTS)]


def linen() -> Step:
    """The same by hand."""
    model, optimizer, (x, y) = _Linen(), optax.rmsprop(1e-3, decay=0.9, eps=1e-7), data()
    params = model.init(jax.random.key(0), x)["params"]
    state: Any = (params, optimizer.init(params))

    @functools.partial(jax.jit, donate_argnums=0)
    def train(state: Any, x: Any, y: Any) -> Any:
        def loss(params: Any) -> Any:
            pairs = zip(model.apply({"params": params}, x), y, strict=True)
            return sum(jnp.mean((output - target) ** 2) for output, target in pairs)

        params, moments = state
        value, gradients = jax.value_and_grad(loss)(params)
        changes, moments = optimizer.update(gradients, moments, params)
        return (optax.apply_updates(params, changes), moments), value

    def step() -> float:
        nonlocal state
        state, value = train(state, x, y)
        return float(value)

    return step


def measure(turns: int = 60, steps: int = 100) -> dict[str, float]:
    """Seconds of a step of each, the median of all turns."""
    made = {"jaxgraphs": ours(), "Flax Linen": linen()}
    times: dict[str, list[float]] = {name: [] for name in made}
    for step in made.values():
        for _ in range(steps):
            step()
    for _ in range(turns):
        for name, step in made.items():
            for _ in range(steps):
                began = time.perf_counter()
                step()
                times[name].append(time.perf_counter() - began)
    return {name: statistics.median(each) for name, each in times.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--turns", type=int, default=60, help="of 100 steps each")
    found = measure(parser.parse_args(argv).turns)
    for name, seconds in found.items():
        print(f"{name:12}{1e6 * seconds:8.1f} µs{seconds / found['Flax Linen']:8.2f}")


if __name__ == "__main__":
    main()
