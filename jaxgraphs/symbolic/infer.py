"""Shapes and dtypes of what a function returns, found without data, unknown sizes included.

Unknown sizes are symbols, so that `d - 2` on two branches is seen to be one size. Two ways remain where symbols do not
decide: sizes of different inputs that a function needs to be equal are taken to be equal, and a function that cannot
compute with symbols is tried on numbers, where what changes with the numbers is unknown.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax

from jaxgraphs.errors import GraphError, GraphValueError
from jaxgraphs.symbolic.spec import BATCH, Dim, TensorSpec, named_dim, symbols

PyTree = Any

# Sizes large enough for any stack of strided convolutions; the highly divisible ones let a Reshape divide them.
_PROBES = ((331, 379, 419, 457, 499, 541), (2520, 3360, 5040, 6720, 7560, 8400), (720, 1440, 1680, 960, 1200, 1920))
_BATCHES = (3, 5)


def infer(function: Callable[..., PyTree], specs: Sequence[TensorSpec]) -> tuple[tuple[TensorSpec, ...], Any]:
    """The specs of ``function(*arrays)`` and how they are arranged.

    Args:
        function: a pure JAX function of as many arrays as there are `specs`.
        specs: what is known of the arrays.
    Returns: a spec for each output, flat; and their tree structure.
    Raises: whatever `function` raises on such arrays.

    >>> image = TensorSpec.of_shape((None, None, 3), "float32")
    >>> (out,), _ = infer(lambda x: x[:, 1:-1].sum(-1), [image])
    >>> out.shape
    (None, None)
    """
    try:
        return _evaluate(function, specs)
    except GraphError:
        raise
    # Whatever the function raises on symbols may be due to the symbols; numbers decide.
    except Exception as error:
        for attempt in _attempts(function, specs):
            try:
                return attempt()
            except Exception:  # the first error is the one to report
                continue
        raise error


def _evaluate(function: Callable[..., PyTree], specs: Sequence[TensorSpec]) -> tuple[tuple[TensorSpec, ...], Any]:
    outputs = jax.eval_shape(function, *(spec.struct() for spec in specs))
    leaves, structure = jax.tree.flatten(outputs)
    return tuple(TensorSpec.of(leaf) for leaf in leaves), structure


def _attempts(function: Callable[..., PyTree], specs: Sequence[TensorSpec]) -> Iterator[Callable[[], Any]]:
    """Ways to an answer, the one that assumes least first."""
    names = symbols(size for spec in specs for size in spec.dims)
    free = [name for name in names if name != str(BATCH)]
    if not names:
        return
    same = {name: named_dim(free[0]) for name in free[1:]}
    unified = [spec.substitute(same) for spec in specs]
    if same:
        yield lambda: _evaluate(function, unified)
    yield lambda: _probe(function, specs, names)
    if same:
        yield lambda: _probe(function, unified, [name for name in names if name not in same])


def _probe(
    function: Callable[..., PyTree], specs: Sequence[TensorSpec], names: Sequence[str]
) -> tuple[tuple[TensorSpec, ...], Any]:
    """Specs from two trials with numbers in place of the symbols."""
    trials = list(itertools.islice(_trials(function, specs, names), 2))
    if len(trials) < 2:
        raise GraphValueError("No sizes were found on which the function runs.")
    (first_sizes, first, structure), (second_sizes, second, _) = trials
    outputs = (
        TensorSpec(
            tuple(_symbol_of(pair, first_sizes, second_sizes) for pair in zip(a.dims, b.dims, strict=True)), a.dtype
        )
        for a, b in zip(first, second, strict=True)
    )
    return tuple(outputs), structure


def _trials(function: Callable[..., PyTree], specs: Sequence[TensorSpec], names: Sequence[str]) -> Iterator[Any]:
    for sizes in _assignments(names):
        try:
            yield sizes, *_evaluate(function, [spec.substitute(sizes) for spec in specs])
        except Exception:  # these sizes do not suit the function; others may
            continue


def _assignments(names: Sequence[str]) -> Iterator[Mapping[str, int]]:
    """Numbers for the symbols: several sets, all different within one."""
    for turn, sizes in enumerate(_PROBES):
        numbers = iter(
            size + 2 * sizes[0] * (round_ // len(sizes)) for round_, size in enumerate(sizes * (len(names) + 1))
        )
        yield {name: _BATCHES[turn % 2] if name == str(BATCH) else next(numbers) for name in names}


def _symbol_of(pair: tuple[int, int], first: Mapping[str, int], second: Mapping[str, int]) -> Dim:
    """A number where both trials agree; else the symbol that has these numbers, or a new one that stands for them."""
    if pair[0] == pair[1]:
        return pair[0]
    for name in first:
        if (first[name], second[name]) == pair:
            return named_dim(name)
    # Named by what it depends on, so that two branches of one size get one symbol.
    return named_dim(f"u{zlib.crc32(repr((pair, sorted(first.items()))).encode()):08x}")
