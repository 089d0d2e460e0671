"""Patterns of paths such as "block1*" or "xception/*": one way to say which layers or arrays are meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import jax

from jaxgraphs.errors import GraphKeyError, did_you_mean

Path = tuple[str, ...]


def fits(path: Sequence[str], pattern: str) -> bool:
    """Whether a pattern fits a path, or the path of something around it.

    >>> [fits(("inner", "dense", "kernel"), pattern) for pattern in ("inner", "inner/d*", "*/kernel", "dense")]
    [True, True, True, False]
    """
    return any(fnmatchcase("/".join(path[:length]), pattern) for length in range(1, len(path) + 1))


def first_fitting(path: Sequence[str], patterns: Iterable[str]) -> str | None:
    """The first of some patterns that fits a path; None where none does."""
    return next((pattern for pattern in patterns if fits(path, pattern)), None)


def check_patterns(patterns: Iterable[str], paths: Iterable[Sequence[str]], owner: str) -> None:
    """Raises: GraphKeyError when a pattern fits no path."""
    known = [tuple(path) for path in paths]
    for pattern in patterns:
        if not any(fits(path, pattern) for path in known):
            raise GraphKeyError(
                f"The pattern {pattern!r} of {owner} fits nothing.",
                received=repr(pattern),
                expected=did_you_mean(pattern, ["/".join(path) for path in known]),
                fix='"block1*" is every path that starts so; "*" is every path',
            )


def path_of(keys: Sequence[Any]) -> Path:
    """JAX's path to a leaf as names.

    >>> [path_of(keys) for keys, _ in jax.tree_util.tree_leaves_with_path({"dense": {"kernel": 1}})]
    [('dense', 'kernel')]
    """
    return tuple(str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))) for key in keys)


def paths_of(tree: Any) -> list[Path]:
    """The paths of all leaves of a tree."""
    return [path_of(keys) for keys, _ in jax.tree_util.tree_leaves_with_path(tree)]
