"""Graphs of 100, 1,000 and 10,000 calls: time to describe, count, summarise, write, read, initialise and trace them.

Run as ``python -m benchmarks.graph_size``. Times are of the one process, in seconds; the last columns are the time per
call over that of the 1,000-call graph, which stays near 1 where time is linear in the size.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import report
from benchmarks.peers.ours import versions
from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers.core import Dense
from jaxgraphs.symbolic.node import Input

SIZES = (100, 1_000, 10_000)
BASE = 1_000
WIDTH = 8


def chain(calls: int) -> Graph:
    """Dense layers, every other one shared, with a sum and a number between them."""
    x = tensor = Input((WIDTH,))
    shared = Dense(WIDTH)
    kinds: list[Callable[[Any], Any]] = [shared, lambda t: t + 1.0, Dense, lambda t: t * 0.5]
    for number in range(calls):
        kind = kinds[number % len(kinds)]
        tensor = Dense(WIDTH)(tensor) if kind is Dense else kind(tensor)
    return Graph(x, tensor)


def measure(calls: int) -> dict[str, float]:
    """Seconds for each thing that is done with a graph of that many calls."""
    seconds: dict[str, float] = {}

    def timed(name: str, function: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = function()
        seconds[name] = time.perf_counter() - start
        return result

    graph = timed("build", lambda: chain(calls))
    timed("count", graph.count_params)
    timed("summary", lambda: str(graph.summary()))
    text = timed("to_json", graph.to_json)
    timed("from_json", lambda: Graph.from_json(text))
    variables = timed("init", lambda: jax.eval_shape(graph.init, jax.random.key(0)))
    timed("trace", lambda: jax.make_jaxpr(graph.apply)(variables, jnp.ones((1, WIDTH))))
    return seconds


def table(rows: dict[int, dict[str, float]]) -> str:
    """The measurements, one line for each thing done."""
    sizes = sorted(rows)
    base = BASE if BASE in rows else sizes[0]
    lines = [
        "".join(["".ljust(12), *(f"{size:>10,}" for size in sizes), *(f"{f'{size:,}/call':>14}" for size in sizes)])
    ]
    for name in rows[base]:
        per_call = rows[base][name] / base
        seconds = "".join(f"{rows[size][name]:>9.3f}s" for size in sizes)
        ratios = "".join(f"{rows[size][name] / size / per_call:>14.2f}" for size in sizes)
        lines.append(name.ljust(12) + seconds + ratios)
    return "\n".join(lines)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of calls")
    parser.add_argument("--save", type=Path, help="write the numbers as JSON")
    options = parser.parse_args()
    measure(10)  # what JAX sets up once is not counted
    rows = {size: measure(size) for size in options.sizes}
    print(table(rows))
    if options.save:
        report.write(options.save, {str(size): row for size, row in rows.items()}, {"versions": versions()})


if __name__ == "__main__":
    main()
