"""Event files read back record by record, with their checksums, and without TensorBoard."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c


def events(folder: Path) -> Iterator[Event]:
    """All events of a run's directory, file after file in the order of their names."""
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data, place = path.read_bytes(), 0
        while place < len(data):
            length, check = struct.unpack("<QI", data[place : place + 12])
            record = data[place + 12 : place + 12 + length]
            assert check == masked_crc32c(data[place : place + 8])
            assert struct.unpack("<I", data[place + 12 + length : place + 16 + length]) == (masked_crc32c(record),)
            yield Event.FromString(record)
            place += 16 + length


def scalars(folder: Path) -> list[tuple[str, int, float]]:
    """(tag, step, value) in the order in which they were written."""
    return [
        (value.tag, event.step, value.simple_value)
        for event in events(folder)
        for value in event.summary.value
        if value.HasField("simple_value")
    ]


def tags(folder: Path, kind: str) -> list[tuple[str, int]]:
    """(tag, step) of the values of one kind, such as ``histo`` or ``image``."""
    return [
        (value.tag, event.step) for event in events(folder) for value in event.summary.value if value.HasField(kind)
    ]
