"""Many models at once: an ensemble and a sweep in one compiled step, as a ratio to the same runs in turn.

Run as ``python -m benchmarks.members``. The ensemble is timed after a first run of each, so that no compiling counts.
The sweep is timed as it is typed, compiling with it: one program against one for each learning rate. The ratio is that
of the medians of rounds that take turns; below 1 is faster.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxgraphs as jg
from jaxgraphs import layers

Run = Callable[[], Any]
OPTIONS: dict[str, Any] = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy"}
FIT: dict[str, Any] = {"epochs": 1, "batch_size": 64}


def dense(width: int) -> jg.Graph:
    """Two dense layers."""
    x = jg.Input((32,), name="x")
    return jg.Graph(x, layers.Dense(10, activation="softmax")(layers.Dense(width, activation="relu")(x)))


def recurrent(units: int) -> jg.Graph:
    """An LSTM over 20 steps."""
    x = jg.Input((20, 16), name="x")
    return jg.Graph(x, layers.Dense(10, activation="softmax")(layers.LSTM(units)(x)))


def workloads(is_tiny: bool) -> dict[str, tuple[jg.Graph, int, int]]:
    """Name -> graph, members, rows."""
    if is_tiny:
        return {"dense of 8, 2 members": (dense(8), 2, 64)}
    return {
        "dense of 64, 8 members": (dense(64), 8, 2048),
        "dense of 1024, 8 members": (dense(1024), 8, 2048),
        "LSTM of 16, 8 members": (recurrent(16), 8, 1024),
    }


def data_of(graph: jg.Graph, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and labels."""
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, *graph.inputs[0].shape[1:])).astype(np.float32)
    return x, random.integers(0, 10, rows)


def ensembles(graph: jg.Graph, members: int, rows: int) -> tuple[Run, Run]:
    """One epoch of an ensemble, and of its members in turn."""
    x, y = data_of(graph, rows)
    team, alone = jg.ensemble(graph, members, **OPTIONS), jg.Trainer(graph, **OPTIONS)
    start = team.init(jax.random.key(0))

    def in_turn() -> None:
        for key in jax.random.split(jax.random.key(0), members):
            jax.block_until_ready(alone.fit(alone.init(key), x, y, verbose=0, **FIT)[0])

    return lambda: jax.block_until_ready(team.fit(start, x, y, **FIT)[0]), in_turn


def sweeps(graph: jg.Graph, members: int, rows: int) -> tuple[Run, Run]:
    """One epoch of a sweep over learning rates, and of a trainer for each."""
    x, y = data_of(graph, rows)
    rates = np.geomspace(1e-4, 1e-2, members).tolist()

    def in_turn() -> None:
        for rate in rates:
            trainer = jg.Trainer(graph, jg.optimizers.adam(rate), OPTIONS["loss"])
            jax.block_until_ready(trainer.fit(trainer.init(jax.random.key(0)), x, y, verbose=0, **FIT)[0])

    trainer = jg.Trainer(graph, **OPTIONS)
    return lambda: jax.block_until_ready(jg.sweep(trainer, x, y, learning_rate=rates, **FIT).states), in_turn


def timed(run: Callable[[], Any]) -> float:
    """Seconds."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def compared(both: tuple[Run, Run], rounds: int) -> dict[str, float]:
    """Median seconds of each, and their ratio."""
    for run in both:
        run()
    times = [[timed(run) for run in both] for _ in range(rounds)]
    at_once, in_turn = (statistics.median(each) for each in zip(*times, strict=True))
    return {"at_once": at_once, "in_turn": in_turn, "ratio": at_once / in_turn}


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Measures, prints a table, and writes the numbers where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tiny", action="store_true", help="a small graph alone, to see that it runs")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (3)")
    parser.add_argument("--save", metavar="FILE", help="write the numbers as JSON")
    options = parser.parse_args(argv)
    about = {"jax": jax.__version__, "device": jax.devices()[0].device_kind, "machine": platform.machine()}
    rows: list[dict[str, Any]] = []
    results = about | {"rounds": options.rounds, "rows": rows}
    for name, workload in workloads(options.tiny).items():
        for kind, make in (("ensemble", ensembles), ("sweep", sweeps)):
            row = compared(make(*workload), options.rounds)
            rows.append({"name": name, "kind": kind, **row})
            times = f"{row['at_once']:8.3f} s at once{row['in_turn']:8.3f} s in turn{row['ratio']:8.2f}"
            print(f"{kind:10}{name:28}{times}", flush=True)
            if options.save:
                # After each row: what is cut off is not lost.
                Path(options.save).write_text(json.dumps(results, indent=1) + "\n")
    return results


if __name__ == "__main__":
    main()
