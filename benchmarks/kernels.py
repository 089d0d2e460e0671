"""The arithmetic that passes put in the place of XLA's, timed alone on a CPU beside what it replaces.

Run as ``python -m benchmarks.kernels``. Each is the gradient of one layer's computation by all that it reads, forward
part included: XLA's as it is by default, XLA's with convolutions by Eigen, as the pass `eigen` has them, and ours. They
take turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgraphs.layers.convolve import convolve, depthwise_convolve
from jaxgraphs.layers.pooling import max_pool
from jaxgraphs.passes.eigen import OPTIONS
from jaxgraphs.passes.kernels.convolution import convolve_by_products
from jaxgraphs.passes.kernels.depthwise import shifted_depthwise
from jaxgraphs.passes.kernels.pointwise import pointwise_convolve
from jaxgraphs.passes.kernels.pooling import shifted_max_pool

Array = jax.Array


class Case(NamedTuple):
    """One computation, XLA's way and ours, on some arrays."""

    title: str
    theirs: Callable[..., Array]
    ours: Callable[..., Array]
    arrays: tuple[Array, ...]


def cases() -> Iterator[Case]:
    """The computations, at sizes of the chapter's graphs, Inception V3 and Xception."""
    for image, window in CONVOLUTIONS:
        yield _convolution(image, window)
    for image, filters, stride in ((256, 128, 1), (256, 128, 2)):
        yield _pointwise((32, 28, 28, image), filters, stride)
    yield _depthwise((4, 19, 19, 728))
    for image, size, stride in (((32, 28, 28, 128), 3, 2), ((32, 28, 28, 128), 2, 2), ((4, 35, 35, 192), 3, 1)):
        yield _pooling(image, size, stride)


CONVOLUTIONS = (
    ((32, 28, 28, 128), (3, 3, 128, 128)),
    ((32, 14, 14, 256), (3, 3, 256, 128)),
    ((4, 73, 73, 80), (3, 3, 80, 192)),
    ((4, 35, 35, 96), (3, 3, 96, 96)),
    ((4, 17, 17, 160), (7, 1, 160, 192)),
    ((64, 100, 128), (5, 128, 256)),
    # With few channels, or large windows, the pass leaves them alone.
    ((4, 147, 147, 32), (3, 3, 32, 32)),
    ((4, 35, 35, 48), (5, 5, 48, 64)),
)


def _numbers(*shape: int) -> Array:
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


def _convolution(image: tuple[int, ...], window: tuple[int, ...]) -> Case:
    ones = (1,) * (len(image) - 2)
    options: dict[str, Any] = {"strides": ones, "padding": "same", "dilation": ones}
    return Case(
        f"convolution {_by(window[:-2])} of {_by(image)} to {window[-1]}",
        lambda x, kernel: convolve(x, kernel, **options),
        lambda x, kernel: convolve_by_products(x, kernel, **options),
        (_numbers(*image), _numbers(*window)),
    )


def _pointwise(image: tuple[int, ...], filters: int, stride: int) -> Case:
    strides = (stride, stride)
    return Case(
        f"convolution 1x1 of {_by(image)} to {filters}, stride {stride}",
        lambda x, kernel: convolve(x, kernel, strides=strides, padding="same", dilation=(1, 1)),
        lambda x, kernel: pointwise_convolve(x, kernel, strides=strides),
        (_numbers(*image), _numbers(1, 1, image[-1], filters)),
    )


def _depthwise(image: tuple[int, ...]) -> Case:
    options: dict[str, Any] = {"strides": (1, 1), "padding": "same", "dilation": (1, 1)}
    return Case(
        f"depthwise convolution 3x3 of {_by(image)}",
        lambda x, kernel: depthwise_convolve(x, kernel, **options),
        lambda x, kernel: shifted_depthwise(x, kernel, **options),
        (_numbers(*image), _numbers(3, 3, image[-1], 1)),
    )


def _pooling(image: tuple[int, ...], size: int, stride: int) -> Case:
    place = (1, size, size, 1), (1, stride, stride, 1), "same"
    return Case(
        f"max pooling {size}x{size} of {_by(image)}, stride {stride}",
        lambda x: max_pool(x, *place),
        lambda x: shifted_max_pool(x, *place),
        (_numbers(*image),),
    )


def _by(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))


def measure(case: Case, turns: int = 5) -> tuple[float, ...]:
    """Seconds of the gradient: XLA's as it is, XLA's with Eigen's convolutions, and ours; medians."""
    ways = ((case.theirs, {}), (case.theirs, OPTIONS), (case.ours, OPTIONS))
    steps = [_step(function, case.arrays, options) for function, options in ways]
    times: list[list[float]] = [[] for _ in steps]
    for _ in range(turns):
        for step, found in zip(steps, times, strict=True):
            start = time.perf_counter()
            step()
            found.append(time.perf_counter() - start)
    return tuple(map(statistics.median, times))


def _step(function: Callable[..., Array], arrays: tuple[Array, ...], options: Mapping[str, str]) -> Callable[[], Any]:
    def total(*arrays: Array) -> Array:
        return jnp.sum(jnp.square(function(*arrays)))

    places = tuple(range(len(arrays)))
    gradient = jax.jit(jax.value_and_grad(total, places), compiler_options=dict(options) or None)
    jax.block_until_ready(gradient(*arrays))
    return lambda: jax.block_until_ready(gradient(*arrays))


def main() -> None:
    """Measures and prints."""
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}; ms: XLA, XLA with Eigen, ours; ratios to XLA\n")
    for case in cases():
        theirs, eigen, ours = (seconds * 1e3 for seconds in measure(case))
        times = f"{theirs:8.1f} {eigen:8.1f} {ours:8.1f}"
        print(f"{case.title:<58} {times}   {eigen / theirs:.2f} {ours / theirs:.2f}", flush=True)


if __name__ == "__main__":
    main()
