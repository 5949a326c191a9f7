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

from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from inm.streaming.app import COMMIT_INTERVAL, StreamingApp
from inm.streaming.assignment import Assignments
from inm.streaming.chunks import Chunk, now_ms
from inm.streaming.consumer import Consumer
from inm.streaming.emitter import Emitter
from tests.simulation.broker import Broker, Group, Producer, Reader
from tests.simulation.code import Code
from tests.simulation.loop import Process
from tests.simulation.thread import Thread


class MemoryConsumer(Consumer):
    """The product's consumer; only fetching itself, which is aiokafka's, is replaced."""

    def __init__(self, worker: "Worker") -> None:
        with patch.object(driver.Consumer, "__init__", lambda _self: None):  # that would be Faust's service
            super().__init__()
        self.__dict__["app"] = worker
        self._thread = cast(Any, Thread(worker))
        self._worker = worker
        self.held: set[TP] = set()
        self.active: set[TP] = set()
        self.positions: dict[TP, int] = {}
        self.flow_active = False
        self.can_resume_flow = asyncio.Event()

    @property
    def should_stop(self) -> bool:
        return self._worker.should_stop

    def _get_active_partitions(self) -> Any:
        return self.active

    def assignment(self) -> Any:
        return self.held

    def stop_flow(self) -> None:
        self.flow_active = False
        self.can_resume_flow.clear()

    def resume_flow(self) -> None:
        self.flow_active = True
        self.can_resume_flow.set()

    def resume_partitions(self, tps: Any) -> None:
        self.active = set(tps)
        self._worker.broker.changed()

    async def wait(self, *events: Any, **options: Any) -> Any:
        await events[0].wait()

    async def sleep(self, n: Any) -> None:
        await self._worker.broker.loop.pulse(n)

    async def _seek(self, partition: TP, offset: int) -> None:
        self.positions[partition] = offset

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109 - as in aiokafka
        """Records from the positions, not more than a few; waits until there are any, or the assignment changes."""
        broker, generation = self._worker.broker, self._worker.consumer_generation_id
        while self.flow_active and self._worker.consumer_generation_id == generation:
            wanted = [tp for tp in active_partitions if tp in self.active and self._left(tp)]
            if wanted:
                await asyncio.sleep(broker.delay())
                return self._take(broker, sorted(wanted))
            await broker.change()
        return {}

    def _left(self, tp: TP) -> bool:
        return tp in self.positions and self.positions[tp] < self._worker.broker.logs[tp].end

    def _take(self, broker: Broker, wanted: list[TP]) -> dict[TP, list[Any]]:
        fetched = {}
        for tp in wanted:
            log = broker.logs[tp]
            if tp in self.active and self._left(tp):
                records = log.since(self.positions[tp])[: broker.random.randint(1, 8)]
                self.positions[tp] = records[-1].offset + 1 if records else log.end
                if records:
                    fetched[tp] = records
        return fetched

    @property
    def behind(self) -> bool:
        """Whether anything that is assigned is not read to its end, finished and committed."""
        return bool(self.pending) or any(map(self._left, self.held))


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
        self.silent_since = broker.loop.now
        self.routes = routes
        self.partitions = partitions

    def start(self) -> None:
        self.process.on_death = lambda: self.group.lost(self)
        self._build()
        self.broker.loop.start(self.process, self._run())

    async def _run(self) -> None:
        for route in self.routes.values():
            await route.open(self.code.app._take_receipts)
        loop = self.broker.loop
        for agent, queue in self._queues.items():
            loop.create_task(self.code.agents[agent].agent.fun(queue.__aiter__()))
        loop.create_task(self.consumer._drain_messages(SimpleNamespace(should_stop=False)))
        loop.create_task(self._commit())
        loop.create_task(StreamingApp._tick(cast(Any, self)))
        loop.create_task(self._belong())
        self.group.join(self)

    def _build(self) -> None:
        app = self.code.app
        emitter = Emitter(may_send=lambda: StreamingApp._may_send(cast(Any, self)), epoch=lambda: self.consumer_generation_id)
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
        self._queues = {name: Queue() for name in self.code.agents}
        listens = {topic: self._queues[name] for name, module in self.code.agents.items() for topic in module.agent.channel.topics}
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
        return assignments

    def next_due(self) -> float | None:
        """When (s) the first item that waits here is due; None if none is."""
        schedule = next(table for table in self.code.tables if table.name == "schedule")
        keys = [key for held in schedule.partitions.values() for key, _ in islice(held.scan(), 1)]
        return int.from_bytes(min(keys)[:8], "big") / 1000 - self.process.skew if keys else None

    # -- what the product asks its app ----------------------------------------------------------------

    @property
    def ready(self) -> bool:
        return self.assignments.ready.is_set()

    async def sleep(self, seconds: float) -> None:
        await self.broker.loop.pulse(seconds)

    def _is_current(self, chunk: Chunk) -> bool:
        return StreamingApp._is_current(cast(Any, self), chunk)

    async def _commit(self) -> None:
        while not self.should_stop:
            await self.broker.loop.pulse(COMMIT_INTERVAL)
            await self.consumer.commit()

    async def _belong(self) -> None:
        """Join the group again when it has gone on without us, as the next heartbeat would tell."""
        while not self.should_stop:
            await self.broker.loop.pulse(0.5)
            if self.group.members.get(self.name) is not self and not self.should_stop:
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
            for queue in self._queues.values():
                queue.clear()
            self.broker.changed()
            await self.consumer.wait_empty()

    def assign(self, generation: int, index: int, members: int) -> None:
        """Partition n of every topic comes together; request topics need not, and do not here."""
        if not self.process.dead and not self.should_stop and generation == self.group.generation:
            tps = {tp for tp in self.topics._tp_index if (tp.partition + tp.topic.startswith("inm.requests")) % members == index}
            self.broker.loop.start(self.process, self._assigned(tps, generation))

    async def _assigned(self, tps: set[TP], generation: int) -> None:
        self.consumer.held = tps
        self.consumer.positions = {}
        self.consumer_generation_id = self.member_of = self.code.app.consumer_generation_id = generation
        self.broker.changed()
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
        self.process.kill()


async def _nothing() -> None:
    return
