"""Numbers normalised by their batch's mean and variance, with a derivative of its own.

Where z = (x - mean) / deviation and factor = scale / deviation, the change of ``z scale + bias`` is

    factor dx + z (d scale - factor average(z dx)) + (d bias - factor average(dx)),

so that the gradient needs two sums over the batch, of the output's gradient g and of z g, which are those for bias and
scale as well. Differentiated step by step, mean and variance take more sums, and more passes over the activations.

Reference: Ioffe and Szegedy (2015), ICML, section 3.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

# What Keras adds to the count of unmasked numbers, so that an empty batch divides by more than 0.
TINY = 1e-7


class Counts(NamedTuple):
    """Which numbers of a batch count.

    Args:
        which: booleans of the array's shape.
        number: how many there are along the batch's axes, on all devices.
    """

    which: Array
    number: Array


@dataclasses.dataclass(frozen=True)
class BatchAxes:
    """Over what a batch's statistics go.

    Args:
        axes: of the array, which stay with size 1.
        over: the devices' axis that has the batch's other rows, or None.
    """

    axes: tuple[int, ...]
    over: str | None = None

    def counts(self, which: Array, dtype: Any, more: float = 0.0) -> Counts:
        """Those numbers, counted once for all averages; `more` is added to the count."""
        return Counts(which, jnp.maximum(self._total(which.astype(dtype)) + more, TINY))

    def average(self, values: Array, counts: Counts | None) -> Array:
        """The mean of those numbers that count."""
        if counts is not None:
            return self._total(counted(values, counts.which)) / counts.number
        mean = jnp.mean(values, self.axes, keepdims=True)
        return mean if self.over is None else lax.pmean(mean, self.over)

    def _total(self, values: Array) -> Array:
        summed = jnp.sum(values, self.axes, keepdims=True)
        return summed if self.over is None else lax.psum(summed, self.over)


def counted(values: Array, which: Array | None) -> Array:
    """The numbers, 0 in the place of those that do not count; None: all do."""
    return values if which is None else jnp.where(which, values, jnp.zeros_like(values))


def moments(x: Array, counts: Counts | None, batch: BatchAxes) -> tuple[Array, Array]:
    """Mean and biased variance, in one pass over x where there is nothing to leave out.

    The sums are those of the distance from a number of the channel itself, so that a mean far from 0 costs no digits.
    """
    if counts is None and batch.over is None and x.size:
        near = x[tuple(slice(1) if axis in batch.axes else slice(None) for axis in range(x.ndim))]
        # Where a kernel's start costs as much as its work, two sums are one of pairs; a CPU adds those slowly.
        plain, paired = partial(_sums, batch.axes), partial(_paired_sums, batch.axes)
        total, squares = lax.platform_dependent(x - near, cuda=paired, rocm=paired, default=plain)
        size = x.size // near.size
        offset = total / size
        return near + offset, jnp.maximum(squares / size - jnp.square(offset), 0)
    mean = batch.average(x, counts)
    return mean, batch.average(jnp.square(_known(x - mean, counts)), counts)


def _known(values: Array, counts: Counts | None) -> Array:
    return counted(values, None if counts is None else counts.which)


def _sums(axes: tuple[int, ...], x: Array) -> tuple[Array, Array]:
    """The sum and the sum of squares."""
    return jnp.sum(x, axes, keepdims=True), jnp.sum(jnp.square(x), axes, keepdims=True)


def _paired_sums(axes: tuple[int, ...], x: Array) -> tuple[Array, Array]:
    """`_sums` as one sum of pairs."""
    zero = jnp.zeros((), x.dtype)
    total, squares = lax.reduce((x, jnp.square(x)), (zero, zero), lambda a, b: (a[0] + b[0], a[1] + b[1]), axes)
    return jnp.expand_dims(total, axes), jnp.expand_dims(squares, axes)


@partial(jax.custom_jvp, nondiff_argnums=(4, 5))
def normalise(
    x: Array, scale: Array | None, bias: Array | None, counts: Counts | None, batch: BatchAxes, epsilon: float
) -> tuple[Array, Array, Array]:
    """(x - mean) / sqrt(variance + epsilon) · scale + bias; the mean; the variance.

    Args:
        x: floats.
        scale, bias: of x's shape, 1 along the batch's axes; None leaves them out.
        counts: which numbers of x count; None where all do.
        batch: over what mean and variance are.
        epsilon: added to the variance, in its unit.

    >>> y, mean, variance = normalise(jnp.array([[1.0], [3.0]]), None, None, None, BatchAxes((0,)), 0.0)
    >>> y.ravel().tolist(), float(mean[0, 0]), float(variance[0, 0])
    ([-1.0, 1.0], 2.0, 1.0)
    """
    mean, variance = moments(x, counts, batch)
    y = (x - mean) * lax.rsqrt(variance + epsilon)
    y = y if scale is None else y * scale
    return y if bias is None else y + bias, mean, variance


@normalise.defjvp
def _(batch: BatchAxes, epsilon: float, primals: Any, tangents: Any) -> tuple[Any, Any]:
    x, scale, bias, counts = primals
    dx, dscale, dbias, _ = tangents
    y, mean, variance = normalise(x, scale, bias, counts, batch, epsilon)
    root = lax.rsqrt(variance + epsilon)
    factor = root if scale is None else root * scale
    z = (x - mean) * root
    level, slope = batch.average(dx, counts), batch.average(_known(z, counts) * dx, counts)
    stretch = -factor * slope if dscale is None else dscale - factor * slope
    shift = -factor * level if dbias is None else dbias - factor * level
    return (y, mean, variance), (factor * dx + z * stretch + shift, level, 2 * slope / root)
