"""A worker: the product's own consumer, assignments, emitter, stages and handlers on a broker in memory.

Mirrored here, because the product leaves it to Faust or binds it to aiokafka's thread: the order of calls at a revoke, an
assignment and a stop (``faust.App._on_partitions_revoked``, ``_stop_consumer``), the streams' queues, the 0.1 s commit timer.
"""

import asyncio
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import msgspec
from faust.tables.manager import TableManager
from faust.types import TP

from inm import topics
from inm.core.campaigns import Campaign
from inm.streaming.app import COMMIT_INTERVAL, TICK, StreamingApp
from inm.streaming.assignment import Assignments
from inm.streaming.chunks import Chunk, now_ms
from inm.streaming.consumer import DRAIN_LIMIT
from inm.streaming.database import parts_of
from inm.streaming.emitter import Emitter
from inm.tables.rows import BODY
from inm.tables.schedule import place
from tests.simulation.broker import Broker, Reader
from tests.simulation.code import Code
from tests.simulation.consumer import MemoryConsumer
from tests.simulation.group import Group
from tests.simulation.loop import Process
from tests.simulation.producer import Producer

IDLE = 0.3
"""Seconds between commits while there is nothing to commit: wake-ups cost more than all else."""


def _runs(row: bytes) -> bool:
    return msgspec.msgpack.decode(row[BODY:], type=Campaign).state == "running"


class Queue:
    """An agent's stream. Faust passes over events of an old generation."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Chunk] = asyncio.Queue()

    def _create_event(self, key: None, value: Chunk, **more: Any) -> Chunk:
        return value

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        while True:
            yield await self.queue.get()

    def clear(self) -> None:
        while not self.queue.empty():
            self.queue.get_nowait()


class Worker:
    """One life of a worker. Stands for the Faust app where the product's classes ask for it."""

    def __init__(self, code: Code, process: Process, broker: Broker, group: Group, routes: dict[str, Any], partitions: int) -> None:
        self.name = process.name
        self.process = process
        self.broker = broker
        self.group = group
        self.code = code
        self.should_stop = False
        self.consumer_generation_id = self.member_of = -1
        self.silent_since: float | None = None
        """When its heartbeats ended, if they have."""
        self.heard_at = broker.loop.now
        """When the broker had counted it in for the last time, before its heartbeats ended."""
        self.routes = routes
        self.partitions = partitions

    def start(self) -> None:
        self.process.on_death = self._died
        self._build()
        self.broker.readers[self.process] = self.consumer.grown
        self.broker.loop.start(self.process, self._run())

    def _died(self) -> None:
        self.broker.readers.pop(self.process)
        self.group.lost(self)

    async def _run(self) -> None:
        for route in self.routes.values():
            route.is_owner = lambda: self.consumer.lease
            route.late = self.code.app.reports.take_late
            await route.open(self.code.app.reports.take_receipts)
        loop = self.broker.loop
        for agent, queue in self._queues:
            loop.create_task(agent.fun(queue.__aiter__()))
        loop.create_task(self.consumer._drain_messages(SimpleNamespace(should_stop=False)))
        loop.create_task(self._commit())
        loop.create_task(StreamingApp._tick(cast(Any, self)))
        self.group.join(self)

    def _build(self) -> None:
        app = self.code.app
        emitter = Emitter(lambda: StreamingApp._may_send(cast(Any, self)), lambda: self.consumer_generation_id, topics.LINGERS)
        self.emitter = emitter
        self.code.reset(self)
        app.emitter, app.partitions, app.routes = emitter, self.partitions, self.routes
        app.new_consumer = lambda: Reader(self.broker)
        emitter.start(cast(Any, Producer(self.broker, self.process, now_ms)), app._bury_refused)
        self.ticks = app.ticks
        self.chunk_limits = app.chunk_limits
        self.consumer = MemoryConsumer(self)
        self.flow_control = SimpleNamespace(resume=lambda: None)
        self._fetcher = SimpleNamespace(maybe_start=_nothing, stop=_nothing)
        self.on_rebalance_end = lambda: None
        self.on_replayed = app.on_replayed
        self._queues = [(agent, Queue()) for agent in self.code.streams]
        listens = {topic: queue for agent, queue in self._queues for topic in agent.channel.topics}
        self.topics = SimpleNamespace(
            _tp_index={TP(topic, number): [queue] for topic, queue in listens.items() for number in range(self.partitions)}
        )
        self.assignments = self._assignments(emitter)

    def _assignments(self, emitter: Emitter) -> Assignments:
        with patch.object(TableManager, "__init__", lambda *_: None):  # that would be Faust's recovery
            assignments = Assignments(self)
        assignments.__dict__["app"] = self
        assignments.tables = self.code.tables
        assignments.copartitioned = self.code.app._copartitioned
        assignments.emitter = emitter
        assignments.folder = Path(self.name)
        assignments.new_consumer = self.code.app.new_consumer
        assignments.recall = self.code.app.recall
        assignments.on_leaving = self.code.app.on_leaving
        return assignments

    def next_due(self) -> float | None:
        """When (s) the first item that waits here is due; None if none is."""
        schedule = next(table for table in self.code.tables if table.name == "schedule")
        dues = [place(key)[0] for held in schedule.partitions.values() for key, _ in islice(held.scan(), 1)]
        tables = [held for table in self.code.tables for held in table.partitions.values()]
        dues += [parts_of(mark)[0] for held in tables for mark in islice(held.database.marks(0), 1)]
        campaigns = next(table for table in self.code.tables if table.name == "campaigns")
        if any(_runs(row) for held in campaigns.partitions.values() for _, row in held.scan()):
            return self.broker.loop.now + TICK
        return min(dues) / 1000 - self.process.skew if dues else None

    # -- what the product asks its app ----------------------------------------------------------------

    @property
    def ready(self) -> bool:
        return self.assignments.ready.is_set()

    async def sleep(self, seconds: float) -> None:
        await self.broker.loop.pulse(seconds)

    def _is_current(self, chunk: Chunk) -> bool:
        return StreamingApp._is_current(cast(Any, self), chunk)

    async def _commit(self) -> None:
        interval = COMMIT_INTERVAL * self.broker.random.choice((1, 4))  # some are busy
        while not self.should_stop:
            await self.broker.loop.pulse(interval if self.consumer.pending else max(interval, IDLE))
            await self.consumer.commit()

    def belong(self) -> None:
        """Join the group again if it has gone on without us, as the next heartbeat tells."""
        if not (self.group.members.get(self.name) is self or self.should_stop or self.process.dead or self.process.frozen):
            self.member_of = -1
            self.group.join(self)

    # -- what the group tells ---------------------------------------------------------------------------

    def begin_revoke(self) -> asyncio.Future[Any]:
        return self.broker.loop.start(self.process, self._revoke())

    async def _revoke(self) -> None:
        self.assignments.on_partitions_revoked(self.consumer.held)
        if self.consumer.held:
            self.consumer.stop_flow()
            self.consumer.active = set()
            for _, queue in self._queues:
                queue.clear()
            self.consumer.wake()
            begun = self.broker.loop.now
            await self.consumer.wait_empty()
            self.group.overdue |= self.broker.loop.now - begun > DRAIN_LIMIT

    def assign(self, generation: int, index: int, members: int) -> None:
        """Partition n of every topic comes together; request topics need not, and do not here."""
        if not self.process.dead and not self.should_stop and generation == self.group.generation:
            tps = {tp for tp in self.topics._tp_index if (tp.partition + tp.topic.startswith("inm.requests")) % members == index}
            self.broker.loop.start(self.process, self._assigned(tps, generation))

    async def _assigned(self, tps: set[TP], generation: int) -> None:
        self.consumer.held = tps
        self.consumer.positions = {}
        self.consumer.unread = {}
        self.consumer_generation_id = self.member_of = self.code.app.consumer_generation_id = generation
        self.consumer.wake()
        await self.assignments.on_rebalance(tps, set(), tps, generation)

    async def stop(self) -> None:
        """As ``StreamingApp.on_stop``."""
        if self.consumer.held:
            await self._revoke()
        self.should_stop = True
        self.assignments._cancel()
        for table in self.code.tables:
            table.close()
        for route in self.routes.values():
            await route.close()
        await self.emitter.flush()
        self.group.leave(self)
        self.process.on_death = lambda: None
        self.broker.readers.pop(self.process)
        self.process.kill()


async def _nothing() -> None:
    return
