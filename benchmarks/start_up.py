"""From nothing to a model ready for its first step: jaxgraphs beside Keras on JAX, processes in turn.

Run as ``python -m benchmarks.start_up``. Timed are building the graph and drawing its first values, not the imports; a
model is ready when its arrays are there. What compiling the first step takes is in ``python -m benchmarks``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
MODELS = ("InceptionV3", "Xception", "ResNet50")


def ours(model: str) -> float:
    """Seconds until a trainer has its first state."""
    import jax

    import jaxgraphs as jg

    # Names are imported when they are first read, and imports are not timed.
    build, make = getattr(jg.models, model), jg.Trainer
    jax.block_until_ready(jax.numpy.zeros(1) + 1)
    start = time.perf_counter()
    trainer = make(build(), "rmsprop", "categorical_crossentropy")
    jax.block_until_ready(trainer.init(jax.random.key(0)).params)
    return time.perf_counter() - start


def keras(model: str) -> float:
    """Seconds until Keras has built and compiled its own."""
    os.environ["KERAS_BACKEND"] = "jax"
    import jax
    import keras

    jax.block_until_ready(jax.numpy.zeros(1) + 1)
    start = time.perf_counter()
    made: Any = getattr(keras.applications, model)(weights=None)
    made.compile("rmsprop", "categorical_crossentropy")
    jax.block_until_ready([variable.value for variable in made.variables])
    return time.perf_counter() - start


PEERS = {"jaxgraphs": ours, "Keras on JAX": keras}


def measure(models: list[str], turns: int) -> list[dict[str, Any]]:
    """For each model the medians, and their ratio."""
    rows = []
    for model in models:
        times: dict[str, list[float]] = {peer: [] for peer in PEERS}
        for _ in range(turns):
            for peer in PEERS:
                command = [sys.executable, "-m", "benchmarks.start_up", "--one", peer, "--models", model]
                done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
                times[peer].append(float(done.stdout.split()[-1]))
        seconds = {peer: round(statistics.median(values), 2) for peer, values in times.items()}
        rows.append({"model": model, **seconds, "ratio": round(seconds["jaxgraphs"] / seconds["Keras on JAX"], 3)})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measures, prints and, where told to, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--save", type=Path, help="a file for the numbers")
    parser.add_argument("--one", choices=list(PEERS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(PEERS[given.one](given.models[0]))
        return
    rows = measure(given.models, given.turns)
    if given.save:
        import jax

        about = {"jax": jax.__version__, "machine": platform.machine(), "turns": given.turns, "rows": rows}
        given.save.write_text(json.dumps(about, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
