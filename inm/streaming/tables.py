"""Tables: RocksDB for reading, a compacted changelog for surviving, an overlay for what is decided but not yet acknowledged.

Rows are bytes → bytes; ``inm/tables`` gives them their types. A partition of a table lives where the same partition of the
topics lives, and is written by the stages of that worker alone.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from inm.streaming.chunks import now_ms
from inm.streaming.database import MARK, NEVER, Database, Due, parts_of
from inm.streaming.emitter import MAX_BATCH, Batch, Emitter, size_of
from inm.streaming.fatal import EXIT_DISK, EXIT_PRODUCE

OnLost = Callable[[int, str], object]
"""Called with exit code and reason when broker or disk did not take a row: the state must not go on without it."""


@dataclass(eq=False, slots=True)
class WriteSet:
    """The rows one chunk writes into one partition of a table. None deletes."""

    rows: dict[bytes, bytes | None]
    written: "asyncio.Future[None]"
    ready: bool = False


LOOKS = 1000
"""Marks that are looked at in one go, at most."""


@dataclass(eq=False, slots=True)
class TablePartition:
    """One partition under one assignment. After :meth:`abandon` nothing of the old assignment can touch the rows."""

    topic: str
    number: int
    database: Database
    emitter: Emitter
    on_lost: OnLost
    may_write: Callable[[], bool] = lambda: True
    """Whether the partition is certainly ours: a replaced owner must not write over the new one's rows."""
    _overlay: dict[bytes, tuple[WriteSet, bytes | None]] = field(default_factory=dict)
    _queue: deque[WriteSet] = field(default_factory=deque)
    _abandoned: bool = False
    _next_due: int = 0
    """No mark is of a time before (ms)."""
    _first: bytes = b""
    """The database has no row before this key. RocksDB looks at deleted rows one by one until it has compacted them: a scan of a table
    that is emptied from its beginning, as schedule is, would take longer with each row."""

    def get(self, key: bytes) -> bytes | None:
        """The row as every stage must see it: decided, if not yet acknowledged."""
        pending = self._overlay.get(key)
        return pending[1] if pending is not None else self.database.get(key)

    def scan(self, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Rows in key order in [start, end), decided ones among them. Do not write while it runs."""
        fresh = sorted(key for key, row in self._overlay.items() if key >= start and row[1] is not None)
        position = 0
        for key, value in self._stored(start):
            if end is not None and key >= end:
                break
            while position < len(fresh) and fresh[position] < key:
                yield fresh[position], self._overlay[fresh[position]][1]  # type: ignore[misc]
                position += 1
            if key not in self._overlay:
                yield key, value
        for key in fresh[position:]:
            if end is None or key < end:
                yield key, self._overlay[key][1]  # type: ignore[misc]

    def _stored(self, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        rows = self.database.scan(max(start, self._first))
        if start <= self._first:
            row = next(rows, None)
            self._first = row[0] if row else MARK
            if row:
                yield row
        yield from rows

    def due(self, now: int, at_most: int) -> list[bytes]:
        """Up to ``at_most`` rows of which something is due by ``now`` (ms), the oldest first. One that is being changed waits until that is
        stored."""
        found: list[bytes] = []
        untrue: list[bytes] = []
        following = NEVER
        for looked, mark in enumerate(self.database.marks(self._next_due) if self._next_due <= now else ()):
            at, key = parts_of(mark)
            if at > now or looked == LOOKS or len(found) == at_most:
                following = min(following, at)
                break
            row = self.database.get(key)
            if row is None or self.database.due_of is None or self.database.due_of(row) != at:
                untrue.append(mark)
                continue
            following = min(following, at)
            if key not in self._overlay:
                found.append(row)
        if self._next_due <= now:
            self._next_due = following
        if untrue:
            self.database.forget(untrue)
        return found

    def stage(self, rows: dict[bytes, bytes | None], writes: WriteSet | None = None) -> WriteSet:
        """Make rows visible now; they become durable by :meth:`release`, in the order of staging.

        ``writes`` is the set that the same chunk has begun: it gets the rows, if nothing else was staged since. Else there is a new one,
        for what was staged in between may be older rows of the same keys.
        """
        if writes is None or writes is not self._queue[-1]:
            writes = WriteSet({}, asyncio.get_running_loop().create_future())
            self._queue.append(writes)
        writes.rows.update(rows)
        for key, value in rows.items():
            self._overlay[key] = (writes, value)
        return writes

    def release(self, writes: WriteSet) -> None:
        """The outputs that belong to ``writes`` are with the broker: write changelog and database; ``writes.written`` tells when.

        Sets are written in the order of staging, over all stages, because a later one may build on an earlier one
        whose outputs are still under way: written first, it would make the earlier one's replay look like a duplicate.
        """
        writes.ready = True
        self._write_ready()

    def _write_ready(self) -> None:
        # before the lease is asked for: with it, nobody else can have written by then
        now = now_ms()
        if not (self._abandoned or self.may_write()):
            asyncio.get_running_loop().call_later(0.05, self._write_ready)
            return
        ready: list[WriteSet] = []
        while self._queue and self._queue[0].ready:
            ready.append(self._queue.popleft())
        if not ready or self._abandoned:
            return
        rows: dict[bytes, bytes | None] = {}
        for some in _groups(ready):
            rows.update(some)
            batch = self._changelog(some)
        index = batch.count - 1
        batch.acked.add_done_callback(lambda acked: self._apply(acked, index, rows, ready, now))

    def _changelog(self, rows: dict[bytes, bytes | None]) -> Batch:
        """As one batch, if it fits into one: then a successor finds all of these rows, or none."""
        self.emitter.make_room(self.topic, self.number, sum(map(size_of, rows.items())))
        for key, value in rows.items():
            batch = self.emitter.emit(self.topic, self.number, key, value, essential=True)
        return batch

    def _apply(self, acked: "asyncio.Future[int]", index: int, rows: dict[bytes, bytes | None], ready: list[WriteSet], at: int) -> None:
        if self._abandoned:
            return
        if acked.exception() is not None:
            self.on_lost(EXIT_PRODUCE, f"changelog {self.topic}[{self.number}]: {acked.exception()!r}")
            return
        try:
            first_due = self.database.write(rows, acked.result() + index, at)
        except Exception as error:
            self.on_lost(EXIT_DISK, f"the table of {self.topic}[{self.number}] cannot be written: {error}")
            return
        self._first = min([self._first, *(key for key, value in rows.items() if value is not None)])
        self._next_due = min(self._next_due, first_due)
        for writes in ready:
            for key in writes.rows:
                if self._overlay[key][0] is writes:
                    del self._overlay[key]
            if not writes.written.done():
                writes.written.set_result(None)

    def abandon(self) -> None:
        """The assignment is over: whatever is still under way must not write."""
        self._abandoned = True
        for writes, _ in self._overlay.values():
            writes.written.cancel()


def _groups(ready: Iterable[WriteSet]) -> Iterator[dict[bytes, bytes | None]]:
    """The rows of write sets in their order, as many together as fit into a batch, and none of them divided."""
    rows: dict[bytes, bytes | None] = {}
    size = 0
    for writes in ready:
        more = sum(map(size_of, writes.rows.items()))
        if rows and size + more > MAX_BATCH:
            yield rows
            rows, size = {}, 0
        rows |= writes.rows
        size += more
    yield rows


class Table:
    """A named table; its partitions come and go with the assignment.

    They are those of ``topic``, of which it is written; without one, those of the co-partitioned topics.
    """

    def __init__(self, name: str, changelog: str, topic: str | None = None, due_of: Due | None = None) -> None:
        self.name = name
        self.changelog = changelog
        self.topic = topic
        self.due_of = due_of
        self.partitions: dict[int, TablePartition] = {}
        self._databases: dict[int, Database] = {}

    def __getitem__(self, partition: int) -> TablePartition:
        return self.partitions[partition]

    def database(self, root: Path, partition: int) -> Database:
        """Open, or keep open over rebalances, the folder of a partition."""
        if partition not in self._databases:
            self._databases[partition] = Database(root / f"{self.name}-{partition}", self.due_of)
        return self._databases[partition]

    def serve(self, partition: int, database: Database, emitter: Emitter, on_lost: OnLost, may_write: Callable[[], bool]) -> None:
        """Begin an assignment: the database stands where its changelog ends."""
        self.partitions[partition] = TablePartition(self.changelog, partition, database, emitter, on_lost, may_write)

    def close(self, keep: Container[int] = ()) -> None:
        """End the assignment; close what is not kept."""
        for held in self.partitions.values():
            held.abandon()
        self.partitions.clear()
        for partition in [partition for partition in self._databases if partition not in keep]:
            self._databases.pop(partition).close()
