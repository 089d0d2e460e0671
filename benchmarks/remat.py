"""What recomputation saves: the memory of one compiled training step with ``remat`` None and "all".

Run as ``python -m benchmarks.remat``. The numbers are XLA's own of the compiled step: bytes that it needs beside the
state and the batch, which is mostly values kept for the backward pass. They are counted, not measured, so that they
are the same at each run; the seconds are of one step after a first one.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxgraphs as jg
from jaxgraphs import layers
from jaxgraphs.inspect.lines import size
from jaxgraphs.models.residual_block import residual
from jaxgraphs.training.remat import step_memory

WAYS: dict[str, Any] = {"none": None, "all": "all"}


def deep(width: int, depth: int) -> jg.Graph:
    """Dense layers one after another, whose every value the backward pass reads."""
    x = tensor = jg.Input((width,), name="x")
    for _ in range(depth):
        tensor = layers.Dense(width, activation="gelu")(tensor)
    return jg.Graph(x, layers.Dense(1, name="y")(tensor))


def images(side: int, channels: int, depth: int) -> jg.Graph:
    """Residual blocks one after another."""
    x = tensor = jg.Input((side, side, channels), name="x")
    for _ in range(depth):
        tensor = residual(tensor, channels)
    return jg.Graph(x, layers.Dense(1, name="y")(layers.GlobalAveragePooling2D()(tensor)))


def text(words: int, units: int) -> jg.Graph:
    """An LSTM over long sequences."""
    x = jg.Input((words, units), name="x")
    return jg.Graph(x, layers.Dense(1, name="y")(layers.LSTM(units)(x)))


def graphs(is_tiny: bool) -> dict[str, tuple[Callable[[], jg.Graph], int]]:
    """Name -> what makes the graph, and the batch size."""
    if is_tiny:
        return {"dense, 8 layers": (lambda: deep(16, 8), 64)}
    return {
        "dense, 32 layers of 512": (lambda: deep(512, 32), 512),
        "residual, 8 blocks of 28 x 28 x 32": (lambda: images(28, 32, 8), 16),
        "LSTM of 64, 200 steps": (lambda: text(200, 64), 64),
    }


def measure(make: Callable[[], jg.Graph], batch: int) -> dict[str, dict[str, float]]:
    """Bytes beside the state, and seconds of a step, for each way."""
    graph, found = make(), {}
    x = np.random.default_rng(0).normal(size=(batch, *graph.inputs[0].shape[1:])).astype(np.float32)
    y = np.ones((batch, 1), np.float32)
    for name, remat in WAYS.items():
        trainer = jg.Trainer(graph, "sgd", "mse", remat=remat)
        state = trainer.init(jax.random.key(0))
        memory = step_memory(trainer, state, (x, y))
        state, _ = trainer.train_step(state, (x, y))
        began = time.perf_counter()
        state, logs = trainer.train_step(state, (x, y))
        float(logs["loss"])
        found[name] = {"bytes": memory.temporary, "seconds": time.perf_counter() - began}
    return found


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Measures, prints a table, and writes the numbers where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tiny", action="store_true", help="a small graph alone, to see that it runs")
    parser.add_argument("--save", metavar="FILE", help="write the numbers as JSON")
    options = parser.parse_args(argv)
    rows = {name: measure(*each) for name, each in graphs(options.tiny).items()}
    print(f"{'':36}{'none':>12}{'all':>12}{'ratio':>8}{'time':>8}")
    for name, ways in rows.items():
        before, after = ways["none"], ways["all"]
        ratios = f"{after['bytes'] / before['bytes']:>8.2f}{after['seconds'] / before['seconds']:>8.2f}"
        print(f"{name:36}{size(int(before['bytes'])):>12}{size(int(after['bytes'])):>12}{ratios}")
    device = jax.devices()[0].device_kind
    results = {"jax": jax.__version__, "device": device, "machine": platform.machine(), "rows": rows}
    if options.save:
        Path(options.save).write_text(json.dumps(results, indent=1) + "\n")
    return results


if __name__ == "__main__":
    main()
