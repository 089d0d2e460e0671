"""First values of many weights at once.

Each array drawn by itself is a program for each shape, and compiling these is most of the time that a large graph takes
to start. Every number of JAX's generator depends on the key and on its own place alone, so one small program, compiled
once, draws blocks of whichever arrays they belong to: the very numbers that the arrays would have had one by one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from jaxgraphs.layers.initializers import Initializer, constant_of, range_of

Array = jax.Array
PyTree = Any

# Elements of a block, which is of one array, and blocks of one call. Under the least number of elements a graph is
# small, and its few programs are compiled sooner than this one.
_BLOCK, _BLOCKS, _LEAST = 2**15, 2**7, 2**20


@dataclasses.dataclass(frozen=True, eq=False)
class Draw:
    """An array that is not drawn yet.

    Args:
        key: one PRNG key.
        initializer: (key, shape, dtype) -> array.
        shape, dtype: of the array.
    """

    key: Array
    initializer: Any
    shape: tuple[int, ...]
    dtype: Any

    def __call__(self) -> Array:
        """The array."""
        return self.initializer(self.key, self.shape, self.dtype)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def bounds(self) -> tuple[float, float, float] | None:
        """(low, high, scale) where blocks of the array can be drawn: float32, spread evenly, of the usual generator."""
        is_plain = isinstance(self.initializer, Initializer) and self.dtype == np.float32 and self.size < 2**32
        return range_of(self.initializer, self.shape) if is_plain and _is_usual(self.key) else None

    @property
    def constant(self) -> float | None:
        """The number that the array is filled with, where it is one."""
        is_plain = isinstance(self.initializer, Initializer) and not isinstance(self.key, Tracer)
        return constant_of(self.initializer) if is_plain else None


def drawn(tree: PyTree) -> PyTree:
    """`tree` with arrays in the place of its Draws: the same ones that each gives by itself."""
    leaves, structure = jax.tree.flatten(tree)
    waiting = {index: leaf for index, leaf in enumerate(leaves) if isinstance(leaf, Draw)}
    bounds = {index: found for index, draw in waiting.items() if (found := draw.bounds) is not None}
    if sum(waiting[index].size for index in bounds) < _LEAST:
        return jax.tree.unflatten(structure, [leaf() if isinstance(leaf, Draw) else leaf for leaf in leaves])
    arrays = _together([waiting[index] for index in bounds], list(bounds.values()))
    leaves = [
        _alone(leaf) if isinstance(leaf, Draw) and index not in bounds else leaf for index, leaf in enumerate(leaves)
    ]
    for index, array in zip(bounds, arrays, strict=True):
        leaves[index] = array
    return jax.tree.unflatten(structure, leaves)


def _alone(draw: Draw) -> Array:
    # An array that NumPy fills needs no program.
    return draw() if draw.constant is None else jnp.array(np.full(draw.shape, draw.constant, draw.dtype))


def _together(draws: Sequence[Draw], bounds: Sequence[tuple[float, float, float]]) -> list[Array]:
    counts = np.array([-(-draw.size // _BLOCK) for draw in draws])
    owner = np.repeat(np.arange(len(draws)), counts)
    starts = np.concatenate([np.arange(count) * _BLOCK for count in counts]).astype(np.uint32)
    words = np.asarray(jnp.stack([_words(draw.key) for draw in draws]))[owner]
    ranges = np.array(bounds, np.float32)[owner]
    flat = np.concatenate(
        [
            _blocks(*(part[at : at + _BLOCKS] for part in (words, starts, ranges)))
            for at in range(0, len(owner), _BLOCKS)
        ]
    )
    first = np.concatenate([[0], np.cumsum(counts)[:-1]]) * _BLOCK
    return [
        jnp.array(flat[start : start + draw.size].reshape(draw.shape)) for start, draw in zip(first, draws, strict=True)
    ]


def _blocks(words: np.ndarray, starts: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Whole blocks, flat; always computed for as many, so that there is one program."""
    count = len(starts)
    given = [np.pad(part, [(0, _BLOCKS - count)] + [(0, 0)] * (part.ndim - 1)) for part in (words, starts, ranges)]
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        return np.asarray(_draw_blocks(*given))[:count].ravel()


@jax.jit
def _draw_blocks(words: Array, starts: Array, ranges: Array) -> Array:
    """(blocks, 2) keys, (blocks,) first places and (blocks, 3) bounds -> (blocks, _BLOCK) numbers."""
    shape = (words.shape[0], _BLOCK)
    places = jnp.expand_dims(starts, 1) + lax.broadcasted_iota(jnp.uint32, shape, 1)
    bits = _threefry(words[:, :1], words[:, 1:], places)
    # 23 random bits behind the exponent of 1.0 are a number in [1, 2).
    ones = lax.bitcast_convert_type((bits >> np.uint32(9)) | np.uint32(0x3F800000), jnp.float32)
    low, high, scale = ranges[:, :1], ranges[:, 1:2], ranges[:, 2:]
    return jnp.maximum(low, (ones - 1.0) * (high - low) + low) * scale


def _threefry(first: Array, second: Array, places: Array) -> Array:
    """The 32 bits that JAX draws at each place: both words of Threefry-2x32 of (0, place), joined.

    Reference: Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3, SC'11.
    """
    keys = (first, second, first ^ second ^ np.uint32(0x1BD11BDA))
    a, b = jnp.broadcast_to(first, places.shape), places + second
    for group in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            a = a + b
            b = a ^ ((b << np.uint32(turn)) | (b >> np.uint32(32 - turn)))
        a = a + keys[(group + 1) % 3]
        b = b + keys[(group + 2) % 3] + np.uint32(group + 1)
    return a ^ b


def _is_usual(key: Array) -> bool:
    """Whether the key is known, and of JAX's usual generator, which draws each place by itself."""
    if isinstance(key, Tracer) or not jax.config.jax_threefry_partitionable:  # pyright: ignore
        return False
    return _words(key).shape == (2,)


def _words(key: Array) -> Array:
    return jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
