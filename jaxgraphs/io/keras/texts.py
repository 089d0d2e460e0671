"""A model's JSON, parsed within bounds."""

from __future__ import annotations

import json
from typing import Any

from jaxgraphs.errors import GraphError, GraphValueError
from jaxgraphs.io.keras.limits import CONFIG_BYTES, CONFIG_DEPTH, CONFIG_ITEMS, NUMBER, refuse


def parse(text: str | bytes, owner: str) -> Any:
    """The value of a piece of JSON.

    Args:
        text: UTF-8.
        owner: what the text is, for messages.
    Raises: GraphError when it is no JSON, or too long, too deep, of too many values, or has numbers too large.
    """
    if len(text) > CONFIG_BYTES:
        raise refuse(f"{owner} is too long.", f"{len(text)} bytes", f"at most {CONFIG_BYTES}")
    try:
        value = json.loads(text)
    # A nesting deeper than Python's own limit, and numbers of thousands of digits, come here too.
    except (ValueError, RecursionError) as error:
        raise GraphValueError(
            f"{owner} is not JSON.", received=str(error)[:200], expected="the JSON of a Keras model"
        ) from None
    check(value, owner)
    return value


def check(value: Any, owner: str) -> None:
    """Refuses a value that is too deep, has too many parts or too large a whole number."""
    level, count = [value], 0
    for _ in range(CONFIG_DEPTH):
        count += len(level)
        if count > CONFIG_ITEMS:
            raise refuse(f"{owner} has too many values.", f"more than {CONFIG_ITEMS}")
        level = [part for item in level for part in _parts(item, owner)]
        if not level:
            return
    raise refuse(f"{owner} is nested too deeply.", f"more than {CONFIG_DEPTH} levels")


def _parts(item: Any, owner: str) -> list[Any]:
    if isinstance(item, dict):
        return list(item.values())
    if isinstance(item, (list, tuple)):
        return list(item)
    if isinstance(item, int) and abs(item) > NUMBER and not isinstance(item, bool) and item > 2**64:
        raise _too_large(item, owner)
    return []


def _too_large(number: int, owner: str) -> GraphError:
    return refuse(f"{owner} has a number that is too large.", f"{number.bit_length()} bits", f"at most {NUMBER}")
