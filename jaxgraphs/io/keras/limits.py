"""How much an untrusted file may ask for: every number here is checked before anything of that size is made."""

from __future__ import annotations

from jaxgraphs.errors import GraphError, GraphValueError

CONFIG_BYTES = 64 * 2**20
"""Of a model's JSON; NASNetLarge, the longest of keras.applications, has under 2 MiB."""
CONFIG_DEPTH = 128
"""Of nested lists and objects in the JSON."""
CONFIG_ITEMS = 4_000_000
"""Values in the JSON."""
LAYERS = 50_000
"""Layers, and calls, of all models in one file."""
NESTING = 16
"""Models within models."""
NUMBER = 2**31 - 1
"""The largest whole number in a configuration: sizes beyond it are mistakes or attacks."""
DRAWN = 2**28
"""Numbers to draw where a configuration comes without weights: 1 GiB of float32."""
ARRAY_BYTES = 8 * 2**30
"""One array of a file."""
TOTAL_BYTES = 64 * 2**30
"""All arrays of a file."""
EXPANSION = 1_100
"""How many bytes may come of one stored byte; deflate itself gives at most 1032."""
FLOOR_BYTES = 16 * 2**20
"""Below this size an array or a member of an archive may be packed as tightly as it likes."""
MEMBERS = 4_096
"""Entries of an archive."""
ATTRIBUTE_BYTES = 64 * 2**20
"""One attribute of an HDF5 file, such as its model's configuration."""
NAMES = 200_000
"""Names in one list of an HDF5 file."""
UNROLLED = 4_096
"""Time steps that a recurrent layer may write out one by one."""


def refuse(what: str, received: object = None, expected: str | None = None, where: str | None = None) -> GraphError:
    """The error for a file that asks for too much, or holds what no model needs."""
    shown = None if received is None else str(received)[:300]
    return GraphValueError(
        what,
        where=where,
        received=shown,
        expected=expected,
        fix="use a file from Keras' own saving, from a source you trust",
    )
