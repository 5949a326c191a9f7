"""A stage: the handler of an agent, and what surrounds it so that nothing is lost.

A handler decides: it reads tables, writes rows and emits records through its :class:`Output`. Then, chunk by chunk and
without holding up the next one: outputs to the broker, rows to changelog and database, ack.
"""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from time import monotonic
from typing import Any

from aiokafka.errors import KafkaError

from inm import metrics
from inm.streaming import dead
from inm.streaming.chunks import Chunk, Record, now_ms
from inm.streaming.emitter import MAX_RECORD, Batch, Emitter, Superseded
from inm.streaming.fatal import EXIT_PRODUCE, leave
from inm.streaming.tables import Table, TablePartition, WriteSet

log = logging.getLogger("inm.stage")


TURN = 0.004
"""Seconds after which a stage lets others go on: a chunk of hundreds would hold up what is urgent for as long as it takes."""


class Reject(Exception):
    """A record that cannot be processed: it goes to ``inm.dead`` with ``reason`` (one of ``REASONS``) and detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Output:
    """What one chunk causes. Rows are visible to every stage at once; records leave when the handler of a record returns."""

    def __init__(self, emitter: Emitter, partition: int, now: int) -> None:
        self.partition = partition
        self.now = now
        self._emitter = emitter
        self._records: list[tuple[str, int, bytes | None, bytes | None]] = []
        self._rows: dict[Table, dict[bytes, bytes | None]] = {}
        self._batches: dict[Batch, None] = {}
        self._writes: list[tuple[TablePartition, WriteSet]] = []
        self._last: dict[TablePartition, WriteSet] = {}

    def emit(self, topic: str, key: bytes | None, value: bytes | None, partition: int | None = None) -> None:
        """Send a record on; to the same partition number unless told otherwise (user-keyed topics are co-partitioned)."""
        if len(value or b"") + len(key or b"") > MAX_RECORD:
            raise Reject("too-large", f"{topic}: a record of {len(value or b'')} bytes; the limit is {MAX_RECORD}")
        self._records.append((topic, self.partition if partition is None else partition, key, value))

    def get(self, table: Table, key: bytes) -> bytes | None:
        """A row of this partition, with what this record has put already."""
        rows = self._rows.get(table)
        if rows is not None and key in rows:
            return rows[key]
        return table[self.partition].get(key)

    def put(self, table: Table, key: bytes, value: bytes | None) -> None:
        """Write a row of this partition; None deletes."""
        self._rows.setdefault(table, {})[key] = value

    def accept(self) -> None:
        """The record is decided: its rows become visible, its records go to the broker."""
        emit = self._emitter.emit
        for record in self._records:
            self._batches[emit(*record)] = None
        self._records.clear()
        for table, rows in self._rows.items():
            held = table[self.partition]
            before = self._last.get(held)
            writes = held.stage(rows, before)
            if writes is not before:
                self._last[held] = writes
                self._writes.append((held, writes))
        self._rows.clear()

    @property
    def caused(self) -> bool:
        """Whether anything was emitted or written."""
        return bool(self._batches or self._writes)

    def discard(self) -> None:
        """Forget what the record at hand has written and emitted."""
        self._records.clear()
        self._rows.clear()

    def bury(self, record: Record, stage: str, reason: str, detail: str) -> None:
        """Send a record to ``inm.dead`` instead of what it would have caused."""
        self.discard()
        metrics.DEAD_LETTERS.labels(stage, reason).inc()
        self.emit(dead.TOPIC, *dead.letter(record, stage, reason, detail, self.now), partition=0)
        self.accept()

    async def settle(self) -> None:
        """Outputs first, then state. Raises what the broker refused."""
        for batch in self._batches:
            await batch.acked
        for held, writes in self._writes:
            held.release(writes)
        for _, writes in self._writes:
            await writes.written


Handler = Callable[[Record, Output], None]
BatchHandler = Callable[[Chunk, Output], Awaitable[None]]
Turn = Callable[[Chunk], AbstractAsyncContextManager[object]]


def decide(stage: str, record: Record, out: Output, handler: Handler) -> None:
    """Let a handler decide a record; what it cannot take goes to ``inm.dead``."""
    try:
        handler(record, out)
        out.accept()
    except Reject as error:
        out.bury(record, stage, error.reason, error.detail)
    except Exception as error:
        log.exception("%s: %s[%d] offset %d", stage, record.topic, record.partition, record.offset)
        out.bury(record, stage, "stage-failed", "".join(traceback.format_exception_only(error)).strip())


class Stage:
    """Runs a handler over the chunks of its topics. One instance an agent."""

    def __init__(
        self,
        name: str,
        emitter: Emitter,
        is_current: Callable[[Chunk], bool],
        is_over: Callable[[Chunk], bool],
        lease: Callable[[], Awaitable[None]],
    ) -> None:
        """Whether a chunk may begin, whether its assignment has been followed by another one, and what waits until it certainly is ours."""
        self.name = name
        self._records = metrics.STAGE_RECORDS.labels(name)
        self._seconds = metrics.STAGE_SECONDS.labels(name)
        self._emitter = emitter
        self._is_current = is_current
        self._is_over = is_over
        self._lease = lease
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, stream: AsyncIterable[Chunk], handler: Handler) -> None:
        """Decide each record in order, a :data:`TURN` at a time; finish chunks behind that."""
        async for chunk in stream:
            await self._lease()
            if self._begin(chunk):
                out = Output(self._emitter, chunk.tp.partition, now_ms())
                began = monotonic()
                for record in chunk.records:
                    if (now := monotonic()) > began + TURN:
                        self._seconds.inc(now - began)
                        await asyncio.sleep(0)
                        await self._lease()
                        began = monotonic()
                        if self._is_over(chunk):
                            break  # the tables are another assignment's: the next owner replays
                    decide(self.name, record, out, handler)
                else:
                    self._spawn(self._finish(chunk, out))
                self._seconds.inc(monotonic() - began)

    async def run_batches(self, stream: AsyncIterable[Chunk], handler: BatchHandler, turn: Turn | None = None) -> None:
        """For stages that wait for the outside: chunks are under way side by side, acks stay in order.

        A chunk begins when it gets its ``turn``; one whose assignment has ended by then is left to the next owner. Without
        turns chunks begin in order: what a handler does before it first waits is done in the order of the records.
        """
        async for chunk in stream:
            if turn is not None:
                self._spawn(self._take_turn(chunk, handler, turn))
                continue
            await self._lease()
            if self._begin(chunk):
                self._spawn(self._handle(chunk, handler))

    async def _take_turn(self, chunk: Chunk, handler: BatchHandler, turn: Turn) -> None:
        async with turn(chunk):
            await self._lease()
            if self._begin(chunk):
                await self._handle(chunk, handler)

    def tick(self, partition: int, act: Callable[[Output], None], under_way: dict[tuple[str, int], int]) -> None:
        """Let a stage act on time: ``act`` sees the partition's rows as a record's handler does.

        Until what it causes is settled it stands in ``under_way``, by stage and partition with its time (ms); one at a time.
        """
        if (self.name, partition) in under_way:
            return
        out = Output(self._emitter, partition, now_ms())
        try:
            act(out)
        except Exception:
            out.discard()
            log.exception("%s: tick of partition %d failed", self.name, partition)
            return
        out.accept()
        if out.caused:
            under_way[self.name, partition] = out.now
            self._spawn(self._settle_tick(out, partition, under_way))

    async def _settle_tick(self, out: Output, partition: int, under_way: dict[tuple[str, int], int]) -> None:
        try:
            await self._settle(out)
        finally:
            del under_way[self.name, partition]

    def _begin(self, chunk: Chunk) -> bool:
        if self._is_current(chunk):
            self._records.inc(len(chunk.records))
            chunk.begun_at, chunk.worked_since = now_ms(), monotonic()
        return chunk.begun_at is not None

    async def _handle(self, chunk: Chunk, handler: BatchHandler) -> None:
        out = Output(self._emitter, chunk.tp.partition, now_ms())
        try:
            await handler(chunk, out)
            out.accept()
        except Superseded:
            return  # the assignment is over: the next owner replays
        except KafkaError as error:
            leave(EXIT_PRODUCE, f"{self.name}: {error!r}")
        except Exception as error:
            if not self._is_current(chunk):
                return  # the assignment ended while it waited for the outside: the records are another owner's
            log.exception("%s: %s from offset %d", self.name, chunk.tp, chunk.first)
            for record in chunk.records:
                out.bury(record, self.name, "stage-failed", repr(error))
        self._spawn(self._finish(chunk, out))

    async def _finish(self, chunk: Chunk, out: Output) -> None:
        await self._settle(out)
        chunk.done = True

    async def _settle(self, out: Output) -> None:
        try:
            await out.settle()
        except (asyncio.CancelledError, Superseded):
            raise asyncio.CancelledError from None  # the assignment is over: the next owner replays
        except Exception as error:
            leave(EXIT_PRODUCE, f"{self.name}: an output was refused: {error!r}")

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
