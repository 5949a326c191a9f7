"""A ``faust.Table`` as the rows of :mod:`inm.tables` read it, for :mod:`inm.demo.stock`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from inm.streaming.database import Due


@dataclass(slots=True)
class StockPartition:
    """A partition of a ``faust.Table`` as ``inm/tables`` reads it."""

    table: Any
    number: int
    due_of: Due | None

    def get(self, key: bytes) -> bytes | None:
        """Faust looks into the partition of the event at hand."""
        return cast(bytes | None, self.table.get(key))

    def scan(self, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Rows in key order in [start, end). Faust iterates over all partitions in no order, so this asks its RocksDB itself."""
        store = self.table.data
        for key, value in store._db_for_partition(self.number).items(from_key=start):  # noqa: SLF001 - there is no public way
            if end is not None and key >= end:
                return
            if key != store.offset_key:
                yield key, value

    def due(self, now: int, at_most: int) -> list[bytes]:
        """Rows of which something is due by ``now`` (ms), the oldest first. Faust keeps them in one order: all are looked at."""
        if self.due_of is None:
            return []
        times = ((self.due_of(row), row) for _, row in self.scan())
        return [row for _, row in sorted(each for each in times if 0 < each[0] <= now)][:at_most]
