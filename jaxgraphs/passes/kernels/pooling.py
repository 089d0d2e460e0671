"""The largest numbers of windows as those of shifted images on a CPU, where XLA's own gradient is slow.

The gradient of the largest number goes to the first place of the window that has it, as XLA's own does; which place
that was is kept in a byte, rather than found again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array
Axes = tuple[int, ...]


class Windows(NamedTuple):
    """Where windows lie along the axes of an array, all of them listed; batch and channels have windows of one.

    Args:
        sizes: of the array; `reach`: of a window.
        strides: between windows.
        before, after: how much is added at the ends.
    """

    sizes: Axes
    reach: Axes
    strides: Axes
    before: Axes
    after: Axes

    @property
    def places(self) -> Axes:
        """How many windows there are along each axis."""
        return tuple(
            (size + before + after - reach) // stride + 1
            for size, reach, stride, before, after in zip(*self[:3], *self[3:], strict=True)
        )

    @property
    def elements(self) -> list[Axes]:
        """The places within a window, in the order in which XLA looks at them."""
        return list(product(*map(range, self.reach)))


def windows(sizes: Axes, reach: Sequence[int], strides: Sequence[int], padding: str) -> Windows:
    """The windows that a padding of "same" or "valid" gives."""
    pads = lax.padtype_to_pads(sizes, tuple(reach), tuple(strides), padding.upper())
    before, after = zip(*pads, strict=True)
    return Windows(tuple(sizes), tuple(reach), tuple(strides), before, after)


def shifted_max_pool(x: Array, reach: Sequence[int], strides: Sequence[int], padding: str) -> Array:
    """What `max_pool` computes: on a CPU as the largest of shifted images, elsewhere XLA's own.

    Args: as for `max_pool`; sizes must be numbers.

    >>> shifted_max_pool(jnp.array([[3.0, 1.0, 2.0]]), (1, 2), (1, 1), "valid").tolist()
    [[3.0, 2.0]]
    """
    return _largest(windows(x.shape, reach, strides, padding), x)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _largest(at: Windows, x: Array) -> Array:
    return lax.platform_dependent(
        x, cpu=lambda x: _first_largest(at, x)[0], default=partial(_windowed, lax.max, -np.inf, at)
    )


def _largest_forward(at: Windows, x: Array) -> tuple[Array, Any]:
    # Elsewhere nothing is chosen here, and XLA's own gradient reads x.
    y, chosen = lax.platform_dependent(
        x,
        cpu=partial(_first_largest, at),
        default=lambda x: (_windowed(lax.max, -np.inf, at, x), jnp.zeros(at.places, jnp.uint8)),
    )
    return y, (x, chosen)


def _largest_backward(at: Windows, kept: tuple[Array, Array], g: Array) -> tuple[Array]:
    def elsewhere(x: Array, chosen: Array, g: Array) -> Array:
        return jax.vjp(partial(_windowed, lax.max, -np.inf, at), x)[1](g)[0]

    def here(x: Array, chosen: Array, g: Array) -> Array:
        return _returned(at, [jnp.where(chosen == number, g, 0) for number in range(len(at.elements))])

    return (lax.platform_dependent(*kept, g, cpu=here, default=elsewhere),)


_largest.defvjp(_largest_forward, _largest_backward)


def _first_largest(at: Windows, x: Array) -> tuple[Array, Array]:
    """The largest number of each window, and the number of the first element that is it."""
    y: Any = None
    chosen = jnp.zeros(at.places, jnp.uint8)
    for number, part in enumerate(_parts(at, x, -np.inf)):
        chosen = chosen if y is None else jnp.where(part > y, jnp.uint8(number), chosen)
        y = part if y is None else jnp.maximum(y, part)
    return y, chosen


def _parts(at: Windows, x: Array, filling: float) -> list[Array]:
    """For each element of the window, what it reads at every place."""
    pads = [(before, after, 0) for before, after in zip(at.before, at.after, strict=True)]
    x = lax.pad(x, jnp.asarray(filling, x.dtype), pads)
    ends = [(place - 1) * stride + 1 for place, stride in zip(at.places, at.strides, strict=True)]
    return [
        lax.slice(x, element, tuple(map(sum, zip(element, ends, strict=True))), at.strides) for element in at.elements
    ]


def _returned(at: Windows, parts: Sequence[Array]) -> Array:
    """The sum over elements of what goes back from every place to what the element read there."""
    total: Any = None
    for element, part in zip(at.elements, parts, strict=True):
        pads = [
            (start - before, size - (start - before) - (place - 1) * stride - 1, stride - 1)
            for start, before, size, place, stride in zip(
                element, at.before, at.sizes, at.places, at.strides, strict=True
            )
        ]
        back = lax.pad(part, jnp.zeros((), part.dtype), pads)
        total = back if total is None else total + back
    return total


def _windowed(combine: Any, start: float, at: Windows, x: Array) -> Array:
    pads = tuple(zip(at.before, at.after, strict=True))
    return lax.reduce_window(x, np.array(start, x.dtype), combine, at.reach, at.strides, pads)
