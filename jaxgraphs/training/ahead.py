"""Items made ready by a thread while those before them are in use."""

from __future__ import annotations

import contextlib
import contextvars
import queue
import threading
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import jax

Item = TypeVar("Item")
# Seconds: how long the end of a run waits for a source that is in the midst of giving an item.
_PATIENCE = 5.0
# JAX's settings that a `with` may have changed for one thread.
_SETTINGS = {
    "jax_enable_x64": jax.enable_x64,
    "jax_default_device": jax.default_device,
    "jax_default_matmul_precision": jax.default_matmul_precision,
    "jax_default_prng_impl": jax.default_prng_impl,
    "jax_numpy_dtype_promotion": jax.numpy_dtype_promotion,
    "jax_numpy_rank_promotion": jax.numpy_rank_promotion,
}


def ahead(items: Iterator[Item], depth: int) -> Generator[Item, None, None]:
    """The same items in the same order, of which up to `depth` are made ready by a thread before they are asked for.

    An error of the source is raised where its item would be. Closing what this gives ends the thread; the source has
    then been read up to `depth` items further than what was used.

    Args:
        items: read by the thread alone, under JAX's settings as they are here.
        depth: 0 reads each item when it is asked for, without a thread.

    >>> list(ahead(iter("abc"), 2))
    ['a', 'b', 'c']
    """
    if depth < 1:
        yield from items
        return
    reader = _Reader(items, depth)
    try:
        yield from reader.results()
    finally:
        reader.close()


class _Reader:
    """A thread that reads, and how far it may go."""

    def __init__(self, items: Iterator[Any], depth: int) -> None:
        self._items, self._free = items, threading.Semaphore(depth)
        self._ready: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._is_closed = False
        self._settings = {name: getattr(jax.config, name) for name in _SETTINGS}
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._read,), name="batches", daemon=True)
        self._thread.start()

    def results(self) -> Iterator[Any]:
        """What the thread has read, in order."""
        while True:
            kind, value = self._ready.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            # Freed before it is used: while one item is in use, `depth` others are made ready.
            self._free.release()
            yield value

    def close(self) -> None:
        """Ends the thread after the item that it is at."""
        self._is_closed = True
        self._free.release()
        self._thread.join(_PATIENCE)

    def _read(self) -> None:
        try:
            with contextlib.ExitStack() as entered:
                for name, value in self._settings.items():
                    entered.enter_context(_SETTINGS[name](value))
                while self._may_go_on():
                    self._ready.put(("item", next(self._items)))
        except StopIteration:
            self._ready.put(("end", None))
        except BaseException as error:
            error.add_note("It was raised in a thread that reads data ahead; fit(..., prefetch=0) reads it without.")
            self._ready.put(("error", error))
        finally:
            with contextlib.suppress(Exception):
                del self._items

    def _may_go_on(self) -> bool:
        self._free.acquire()
        return not self._is_closed
