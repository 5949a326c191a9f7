"""INM on ``faust.App`` as it comes: the same agents, rows, rules and channels, without :mod:`inm.streaming`'s app.

``python -m inm.demo.stock worker`` is ``inm worker`` with :class:`StockApp` in the place of ``StreamingApp``. It is there to be
compared: ``inm chaos --stock`` shows what a run loses on it. So it is written as Faust's documents say, and where they leave a
choice it takes the one that loses less:

- an event at a time by ``stream.events()``, acked by Faust when the handler has returned; dispatch, which waits for providers,
  by ``stream.take_events()``;
- ``faust.Table`` on RocksDB; written after the sends, under a lock of the partition, because two stages write journeys;
- ``await topic.send()`` for outputs; where somebody is promised that Kafka has a record (receipts, the API), its future is awaited;
- an exception does not leave a handler: the event is dead-lettered;
- a timer has no partition, so it may not write tables: the leader's timer sends a record to each partition of ``inm.ticks``;
- session time-out, heartbeat, static member id and commit interval are ours.

What has no counterpart is left out: recall of what a dead worker emitted, leases, watchdogs. The API answers for its own worker.
"""

import asyncio
import logging
import runpy
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord
from faust.types import EventT

from inm import topics
from inm.core.faults import MisconfiguredError
from inm.demo.stock_table import StockPartition
from inm.streaming import admin
from inm.streaming import app as layer
from inm.streaming.chunks import Chunk, Record, now_ms
from inm.streaming.emitter import Emitter
from inm.streaming.restore import new_consumer
from inm.streaming.stage import BatchHandler, Handler, Output, Turn, decide
from inm.streaming.tables import Table

log = logging.getLogger("inm.stock")

TICKS = "inm.ticks"
BATCH = 50
"""Deliveries in hand at a time."""
WITHIN = 0.05
"""Seconds in which a batch of deliveries is collected."""
SMALL = {"driver": "rocksdict", "block_cache_size": 16 << 20, "write_buffer_size": 8 << 20, "max_open_files": 256}
"""RocksDB options: Faust's defaults are 2 GiB of cache a partition."""


@dataclass(eq=False, slots=True)
class Sending:
    """A record on its way; ``acked`` is done when the broker has it."""

    acked: "asyncio.Future[None]"


class Sender:
    """What stages and doors know as ``app.emitter``."""

    def __init__(self, app: "StockApp") -> None:
        self._app = app
        self._topics: dict[str, Any] = {}

    async def pass_on(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> Awaitable[Any]:
        """Hand a record to Faust's producer; what is returned is done when the broker has it."""
        if topic not in self._topics:
            self._topics[topic] = self._app.topic(topic, key_type=bytes, value_type=bytes)
        return cast(Awaitable[Any], await self._topics[topic].send(key=key, value=value, partition=partition))

    async def send(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        """Send a record and wait until the broker has it."""
        await (await self.pass_on(topic, partition, key, value))

    async def until_allowed(self, _generation: int) -> None:
        """At once: there are no leases."""

    def emit(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> Sending:
        return Sending(asyncio.ensure_future(self.send(topic, partition, key, value)))


class StockOutput(Output):
    """What one event causes: sent, then written, when its handler has returned."""

    def __init__(self, app: "StockApp", partition: int) -> None:
        super().__init__(cast(Emitter, app.emitter), partition, now_ms())
        self._app = app
        self._accepted: list[tuple[str, int, bytes | None, bytes | None]] = []
        self._decided: dict[Table, dict[bytes, bytes | None]] = defaultdict(dict)

    def accept(self) -> None:
        self._accepted += self._records
        for table, rows in self._rows.items():
            self._decided[table] |= rows
        self.discard()

    async def settle(self) -> None:
        for record in self._accepted:
            await self._app.emitter.pass_on(*record)
        for table, rows in self._decided.items():
            stock = self._app.stock_tables[table.name]
            for key, value in rows.items():
                if value is None:
                    stock.pop(key, None)
                else:
                    stock[key] = value


class StockStage:
    """Runs a handler over the events of its topics. One instance an agent."""

    def __init__(self, name: str, app: "StockApp") -> None:
        self.name = name
        self._app = app

    async def run(self, stream: Any, handler: Handler) -> None:
        """An event at a time."""
        async for event in stream.events():
            record = as_record(event)
            async with self._app.locks[record.partition]:
                out = StockOutput(self._app, record.partition)
                decide(self.name, record, out, handler)
                await out.settle()

    async def run_batches(self, stream: Any, handler: BatchHandler, _turn: Turn | None = None) -> None:
        """Deliveries a batch at a time, those of each partition side by side; for others a batch is an event.

        A ``faust.Table`` knows its partition by the event at hand, so a stage that writes tables may have only one.
        """
        if self.name != "dispatch":
            async for event in stream.events():
                await self._handle(Chunk(event.message.tp, [as_record(event)], 0), handler)
            return
        async for events in stream.take_events(BATCH, within=WITHIN):
            by_partition: dict[Any, list[Record]] = defaultdict(list)
            for event in events:
                by_partition[event.message.tp].append(as_record(event))
            await asyncio.gather(*(self._handle(Chunk(tp, records, 0), handler) for tp, records in by_partition.items()))

    async def tick(self, partition: int, act: layer.Tick) -> None:
        """Let a stage act on time."""
        async with self._app.locks[partition]:
            out = StockOutput(self._app, partition)
            act(out)
            out.accept()
            await out.settle()

    async def _handle(self, chunk: Chunk, handler: BatchHandler) -> None:
        out = StockOutput(self._app, chunk.tp.partition)
        try:
            await handler(chunk, out)
            out.accept()
        except Exception as error:
            log.exception("%s: %s from offset %d", self.name, chunk.tp, chunk.first)
            for record in chunk.records:
                out.bury(record, self.name, "stage-failed", repr(error))
        await out.settle()


def as_record(event: EventT[Any]) -> Record:
    """The consumer's record that became this event. Faust turns milliseconds into seconds."""
    message = event.message
    names = ("key", "value", "checksum", "serialized_key_size", "serialized_value_size")
    place = message.topic, message.partition, message.offset, round(message.timestamp * 1000), message.timestamp_type
    return ConsumerRecord(*place, *(getattr(message, name) for name in names), message.headers or ())


class StockApp(faust.App):
    """Takes what ``StreamingApp`` takes, and offers the agents what it offers."""

    partitions: int
    watchdog = None

    def __init__(
        self,
        name: str,
        *,
        brokers: Sequence[str],
        client: Mapping[str, Any],
        worker: str,
        folder: Path,
        tables: Sequence[Table],
        copartitioned: frozenset[str],
        **options: Any,
    ) -> None:
        self.brokers = brokers
        self.client = client
        self.emitter = Sender(self)
        self.ticks: list[tuple[StockStage, layer.Tick]] = []
        self.openers: list[layer.Stopper] = []
        self.closers: list[layer.Stopper] = []
        self.locks: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        super().__init__(
            name,
            **layer.kafka_options(brokers, client, worker),
            datadir=str(folder),
            store="rocksdb://",
            value_serializer="raw",
            topic_partitions=self.partitions,
            **options,
        )
        self.stock_tables = {table.name: self._table(table) for table in tables}
        self.agent(self.chunks(TICKS), name="ticks")(self._on_tick)
        self.timer(layer.TICK, on_leader=True)(self._send_ticks)
        self.on_before_shutdown.connect(self._close)
        folder.mkdir(parents=True, exist_ok=True)

    def _table(self, table: Table) -> Any:
        """A table of Faust's, which is read through ours."""
        partitions = 1 if table.topic else self.partitions
        own: dict[str, Any] = {"changelog_topic": self.topic(table.changelog, key_type=bytes, value_type=bytes)} if table.topic else {}
        stock = self.Table(table.name, key_type=bytes, value_type=bytes, partitions=partitions, options=dict(SMALL), **own)
        cast(Any, table).partitions = {number: StockPartition(stock, number, table.due_of) for number in range(partitions)}
        return stock

    async def on_first_start(self) -> None:
        """Make Faust's topics: left to itself, it declares them while agents run, and their first events meet tables without changelogs."""
        names = [table.changelog_topic_name for table in self.stock_tables.values() if table.partitions == self.partitions]
        changelogs = [topics.Topic(name, self.partitions, "row", config={"cleanup.policy": "compact"}) for name in names]
        await admin.ensure([topics.Topic(TICKS, self.partitions, "none"), *changelogs], self.brokers, self.client)
        await super().on_first_start()

    async def on_start(self) -> None:
        await super().on_start()
        for opener in self.openers:
            await opener()

    async def _close(self, *_args: Any, **_options: Any) -> None:
        for closer in self.closers:
            await closer()

    async def _send_ticks(self) -> None:
        for partition in range(self.partitions):
            await self.emitter.pass_on(TICKS, partition, None, b"tick")

    async def _on_tick(self, stream: Any) -> None:
        async for event in stream.events():
            for stage, act in self.ticks:
                await stage.tick(event.message.partition, act)

    # -- what stages ask for ------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether this worker has its partitions with their tables recovered."""
        return bool(cast(Any, self.tables).recovery.completed.is_set()) and not self.rebalancing

    @property
    def assignments(self) -> Any:
        """The tables' partitions on this worker."""
        held = {tp.partition for tp in self.assignor.assigned_actives() if tp.topic == topics.OUTCOMES}
        return SimpleNamespace(partitions=held, ready=cast(Any, self.tables).recovery.completed)

    def stage(self, name: str) -> StockStage:
        return StockStage(name, self)

    def chunks(self, *names: str, at_most: int | None = None) -> Any:
        """The topic description of an agent."""
        return self.topic(*names, key_type=bytes, value_type=bytes)

    async def listen(self, _channel: Any, *names: str) -> None:
        """Faust takes its subscription from the agents, before they run."""
        raise MisconfiguredError([f"these tenants' requests are taken from the next start on: {', '.join(names)}"])

    def new_consumer(self) -> AIOKafkaConsumer:
        return new_consumer(self.brokers, self.client)

    def every_tick(self, stage: StockStage, decide: layer.Tick, table: Table | None = None) -> None:
        """A table with a topic of its own gets none: what has ended stays in it, and is read as ended."""
        if table is None:
            self.ticks.append((stage, decide))


if __name__ == "__main__":
    layer.StreamingApp = StockApp  # type: ignore[assignment,misc]
    runpy.run_module("inm", run_name="__main__", alter_sys=True)
