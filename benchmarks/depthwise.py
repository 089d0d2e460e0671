"""Depthwise convolution: XLA's grouped one, a sum of shifted products, and the sum with a derivative of its own.

Run as ``python -m benchmarks.depthwise``. Windows are 3 x 3 with "same" padding, at Xception's sizes. Times are medians
of one process, in milliseconds; temporary memory is what XLA plans for output and both gradients.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxgraphs.layers.convolve import depthwise_convolve
from jaxgraphs.passes.kernels.depthwise import shifted_depthwise

SIZES = ((4, 147, 147, 64), (4, 74, 74, 128), (4, 37, 37, 728), (4, 19, 19, 728), (4, 10, 10, 1536))
_OPTIONS: dict[str, Any] = {"strides": (1, 1), "padding": "same", "dilation": (1, 1)}


def plain_sum(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """The sum alone, which autodiff makes a derivative of."""
    height, width = x.shape[1:3]
    wide = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    parts = [wide[:, i : i + height, j : j + width] * kernel[i, j, :, 0] for i in range(3) for j in range(3)]
    return sum(parts[1:], parts[0])


KINDS: dict[str, Callable[[Any, Any], Any]] = {
    "grouped": partial(depthwise_convolve, **_OPTIONS),
    "plain sum": plain_sum,
    "shifted": partial(shifted_depthwise, **_OPTIONS),
}


def measure(shape: tuple[int, ...]) -> dict[str, dict[str, float]]:
    """For each kind, milliseconds forward and with both gradients, and MB of temporary memory."""
    x = jax.random.normal(jax.random.key(0), shape)
    kernel = jax.random.normal(jax.random.key(1), (3, 3, shape[-1], 1))
    found = {}
    for name, kind in KINDS.items():
        forward = jax.jit(kind)
        both = jax.jit(jax.grad(lambda x, kernel, kind=kind: jnp.sum(kind(x, kernel) ** 2), (0, 1)))
        memory: Any = both.lower(x, kernel).compile().memory_analysis()
        found[name] = {
            "forward": _median(forward, x, kernel),
            "both": _median(both, x, kernel),
            "memory": memory.temp_size_in_bytes / 1e6,
        }
    return found


def _median(function: Callable[..., Any], *args: Any) -> float:
    jax.block_until_ready(function(*args))
    times = []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(function(*args))
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def main() -> None:
    """Measures and prints a table for a page."""
    print("| input | " + " | ".join(f"{name}: forward, with gradients, memory" for name in KINDS) + " |")
    print("|---" * (len(KINDS) + 1) + "|")
    for shape in SIZES:
        cells = [f"{row['forward']:.1f}, {row['both']:.0f}, {row['memory']:.0f}" for row in measure(shape).values()]
        print(f"| {' x '.join(map(str, shape))} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
