"""Schedule: items that wait, in the order of their time. Written by agents/schedule alone; everybody else asks for it by :func:`later`."""

import struct
from collections.abc import Iterator

import msgspec

from inm import topics
from inm.core.records import Wait
from inm.streaming.stage import Output
from inm.streaming.tables import Table

schedule = Table("schedule", topics.changelog("schedule"))

_DUE = struct.Struct(">Q")
_decode = msgspec.json.Decoder(Wait).decode
_encode = msgspec.json.Encoder().encode


def later(out: Output, name: str, due: int, topic: str, key: str, item: msgspec.Struct, through: str = topics.SCHEDULE) -> None:
    """Have an item put on a topic when its time (ms) has come. Under the same ``name`` and time it waits once, however often it is said."""
    out.emit(through, key.encode(), _encode(Wait(name, due, topic, key, msgspec.Raw(_encode(item)))))


def hold(out: Output, wait: Wait, record: bytes) -> None:
    """Keep ``record``, which is ``wait`` as it came, until its time. The same item again is the same row."""
    out.put(schedule, key_of(wait.due, wait.id), record)


def due(out: Output, limit: int) -> Iterator[tuple[bytes, Wait]]:
    """Up to ``limit`` items whose time has come, the oldest first."""
    found = schedule[out.partition].scan(end=_DUE.pack(out.now + 1))
    for (key, record), _ in zip(found, range(limit), strict=False):
        yield key, _decode(record)


def place(key: bytes) -> tuple[int, str]:
    """When the item of a row is due (ms), and its id."""
    return _DUE.unpack_from(key)[0], key[_DUE.size :].decode(errors="replace")


def key_of(due: int, identity: str) -> bytes:
    """The key of a row."""
    return _DUE.pack(due) + identity.encode()


def release(out: Output, key: bytes) -> None:
    """Forget an item: it has gone on."""
    out.put(schedule, key, None)
