"""Typed rows with an end: what all tables have in common.

A row is its end, the time at which something of it is due (each ms since 1970, 8 bytes; 0: nothing is) and a msgpack body: the sweep
and the table itself read these times alone.
"""

import struct
from itertools import islice
from typing import Generic, TypeVar

import msgspec

from inm import topics
from inm.streaming.stage import Output
from inm.streaming.tables import Table

T = TypeVar("T")

SWEEP, SWEEP_ON = 200, 2000
"""Rows that one tick looks at, at most; and at most while a fifth of them or more have ended: a table that fills fast empties fast."""

_TIMES = struct.Struct(">QQ")
BODY = _TIMES.size
"""Where the body of a row begins."""


def due_of(stored: bytes) -> int:
    """When (ms) something of a row as it is stored is due; 0: nothing is."""
    return int(_TIMES.unpack_from(stored)[1])


class Rows(Generic[T]):
    """A table whose rows are of type ``T``."""

    def __init__(self, name: str, row: type[T], table: Table | None = None) -> None:
        """``table``: one that holds rows of other types too, under other keys."""
        self.table = table or Table(name, topics.changelog(name), due_of=due_of)
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(row).decode
        self._cursors: dict[int, bytes] = {}

    def get(self, out: Output, key: str) -> T | None:
        """The row of ``key`` in the partition at hand, decided or stored; one past its end is none."""
        return self.read(out.get(self.table, key.encode()), out.now)

    def peek(self, partition: int, key: str, now: int) -> T | None:
        """The row as a view outside of a stage sees it. ``KeyError`` if this worker does not hold the partition."""
        return self.read(self.table[partition].get(key.encode()), now)

    def slice(self, partition: int, start: str, at_most: int, end: str | None = None) -> list[tuple[str, bytes]]:
        """Some rows as they are stored, in the order of their keys from ``start`` on, before ``end``. ``KeyError`` as :meth:`peek`."""
        found = self.table[partition].scan(start.encode(), None if end is None else end.encode())
        return [(key.decode(errors="replace"), stored) for key, stored in islice(found, at_most)]

    def read(self, stored: bytes | None, now: int) -> T | None:
        """A row as it is stored; one past its end is none."""
        if stored is None or _TIMES.unpack_from(stored)[0] < now:
            return None
        return self._decode(stored[BODY:])

    def end(self, stored: bytes) -> int:
        """When (ms) a row as it is stored ends."""
        return int(_TIMES.unpack_from(stored)[0])

    def put(self, out: Output, key: str, row: T, end: int, due: int = 0) -> bytes:
        """Write the row, and return it as it is stored; it is swept after ``end``, and among those of :meth:`due` from ``due`` on (ms)."""
        stored = self.written(row, end, due)
        out.put(self.table, key.encode(), stored)
        return stored

    def written(self, row: T, end: int, due: int = 0) -> bytes:
        """A row as :meth:`read` reads it."""
        return _TIMES.pack(end, due) + self._encode(row)

    def due(self, out: Output, at_most: int) -> list[T]:
        """Rows of which something is due, the oldest first."""
        return [self._decode(stored[BODY:]) for stored in self.table[out.partition].due(out.now, at_most)]

    def delete(self, out: Output, key: str) -> None:
        out.put(self.table, key.encode(), None)

    def sweep(self, out: Output) -> None:
        """Delete rows past their end; each call goes on where the last one stopped."""
        cursor, ended = b"", 0
        for seen, (key, stored) in enumerate(self.table[out.partition].scan(self._cursors.get(out.partition, b""))):
            if seen >= (SWEEP_ON if ended * 5 >= seen else SWEEP):
                cursor = key
                break
            if _TIMES.unpack_from(stored)[0] < out.now:
                out.put(self.table, key, None)
                ended += 1
        self._cursors[out.partition] = cursor
