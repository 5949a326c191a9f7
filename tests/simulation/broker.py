"""A Kafka broker in memory: logs with offsets and holes, a producer's batches, a group's commits and generations."""

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaTimeoutError, MessageSizeTooLargeError, OutOfOrderSequenceNumber
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata
from faust.types import TP

from inm.streaming.emitter import MAX_BATCH
from tests.simulation.loop import Process, VirtualLoop, wake

IN_FLIGHT = 0.2
"""Seconds after a process's death in which the broker may still take what it sent: before its successor can have started."""

Item = tuple[bytes | None, bytes | None, int]
"""Key, value and the producer's time (ms)."""


class Log:
    """One partition."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.offsets: list[int] = []
        self.end = 0

    def since(self, offset: int) -> list[Any]:
        return self.records[bisect_left(self.offsets, offset) :]


class Broker:
    """Topics and committed offsets; tells ``arrived`` when anything came."""

    def __init__(self, loop: VirtualLoop, random: Random, trace: Callable[[str], None]) -> None:
        self.loop = loop
        self.random = random
        self.trace = trace
        self.logs: dict[tuple[str, int], Log] = defaultdict(Log)
        self.committed: dict[TP, OffsetAndMetadata] = {}
        self.limits: dict[str, int] = {}
        """Bytes of a batch that a topic takes, if fewer than usual."""
        self.changed_at = loop.now
        self.slow = 0.0
        self.failing = 0.0
        self._sequences: dict[tuple[object, str, int], int] = defaultdict(int)
        self._waiters: list[asyncio.Future[None]] = []

    def append(self, topic: str, partition: int, items: Iterable[Item], *, kind: int = 0) -> int:
        """Take records; returns the offset of the first. ``kind`` 1: with the broker's own time."""
        log = self.logs[topic, partition]
        first = log.end
        for key, value, at in items:
            log.records.append(ConsumerRecord(topic, partition, log.end, at, kind, key, value, None, 0, 0, ()))
            log.offsets.append(log.end)
            log.end += 1
        self.changed()
        self.trace(f"+ {topic}[{partition}] {first}..{log.end - 1} {[(value or b'')[:90] for _, value, _ in items]}")
        return first

    def hole(self, topic: str, partition: int) -> None:
        """An offset without a record, as an upstream transaction's end leaves it."""
        self.logs[topic, partition].end += 1

    def changed(self) -> None:
        self.changed_at = self.loop.now
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            wake(waiter)

    async def change(self) -> None:
        """Wait until anything has come, or somebody's position has moved."""
        waiter = self.loop.create_future()
        self._waiters.append(waiter)
        await waiter

    def delay(self) -> float:
        """Seconds on the way: mostly a few ms, sometimes much more."""
        chance = self.random.random()
        return 0.0005 + chance * 0.004 if chance > self.slow else 0.02 + self.random.random() * 0.8

    def receive(self, process: Process, topic: str, partition: int, sequence: int, items: list[Item]) -> int:
        """A batch of an idempotent producer has arrived. Raises what the broker says to it."""
        size = sum(len(key or b"") + len(value or b"") for key, value, _ in items)
        if size > self.limits.get(topic, MAX_BATCH):
            self.trace(f"refused {topic}[{partition}] {len(items)} records of {size} bytes")
            raise MessageSizeTooLargeError
        expected = self._sequences[process, topic, partition]
        if sequence != expected:
            raise OutOfOrderSequenceNumber(f"{sequence} instead of {expected}")
        self._sequences[process, topic, partition] = expected + len(items)
        return self.append(topic, partition, items)


class Builder:
    """A batch being filled."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.items: list[Item] = []
        self._now = now
        self._size = 0

    def append(self, *, key: bytes | None, value: bytes | None, timestamp: int | None) -> object | None:
        self._size += len(key or b"") + len(value or b"") + 20
        if self._size > MAX_BATCH and self.items:
            return None
        self.items.append((key, value, self._now()))
        return self


class Producer:
    """What the emitter uses of an ``AIOKafkaProducer``. What a killed process had under way arrives, or does not."""

    def __init__(self, broker: Broker, process: Process, now: Callable[[], int]) -> None:
        self._broker = broker
        self._process = process
        self._now = now
        self._txn_manager = SimpleNamespace(_sequence_numbers=defaultdict(int))

    def create_batch(self) -> Builder:
        return Builder(self._now)

    async def send_batch(self, builder: Builder, topic: str, partition: int) -> Any:
        broker = self._broker
        sequences = self._txn_manager._sequence_numbers
        sequence = sequences[TopicPartition(topic, partition)]
        sequences[TopicPartition(topic, partition)] += len(builder.items)
        answer = broker.loop.create_future()
        arrive = partial(self._arrive, answer, topic, partition, sequence, builder.items)
        broker.loop.call_later(broker.delay(), arrive, context=broker.loop.outside())
        return answer

    def _arrive(self, answer: Any, topic: str, partition: int, sequence: int, items: list[Item]) -> None:
        broker = self._broker
        if self._process.dead and (broker.random.random() < 0.5 or broker.loop.now - self._process.died_at > IN_FLIGHT):
            return
        settle: Callable[[], None]
        try:
            offset = broker.receive(self._process, topic, partition, sequence, items)
        except Exception as error:  # noqa: BLE001 - the producer's to hear
            refused = error
            settle = lambda: answer.done() or answer.set_exception(refused)  # noqa: E731
        else:
            settle = lambda: answer.done() or answer.set_result(SimpleNamespace(offset=offset))  # noqa: E731
            if broker.random.random() < broker.failing:
                settle = lambda: answer.done() or answer.set_exception(KafkaTimeoutError("the answer was lost"))  # noqa: E731
        broker.loop.call_later(broker.delay(), settle)


class Reader:
    """An ``AIOKafkaConsumer`` without a group, as restores and recalls use it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()

    async def start(self) -> None:
        await asyncio.sleep(self._broker.delay())

    async def stop(self) -> None:
        return

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        self._positions = dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        await asyncio.sleep(self._broker.delay())
        return {tp: self._broker.logs[tp.topic, tp.partition].end for tp in partitions}

    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def offsets_for_times(self, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, Any]:
        found: dict[TopicPartition, Any] = {}
        for tp, at in times.items():
            later = [record.offset for record in self._broker.logs[tp.topic, tp.partition].records if record.timestamp >= at]
            found[tp] = SimpleNamespace(offset=later[0]) if later else None
        return found

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._positions[tp] = offset

    def pause(self, *partitions: TopicPartition) -> None:
        self._paused.update(partitions)

    async def position(self, tp: TopicPartition) -> int:
        return self._positions[tp]

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(self._broker.delay())
        fetched = {}
        for tp in self._positions:
            log = self._broker.logs[tp.topic, tp.partition]
            if tp not in self._paused and self._positions[tp] < log.end:
                records = log.since(self._positions[tp])[:max_records]
                self._positions[tp] = log.end
                if records:
                    fetched[tp] = records
        return fetched


class Group:
    """The consumer group: who is in it, which generation, and whose commits count."""

    def __init__(self, broker: Broker, session: float) -> None:
        self.generation = 0
        self.members: dict[str, Any] = {}
        """Workers by static member id."""
        self._broker = broker
        self._session = session
        self._asked = 0
        self._working = False

    def join(self, worker: Any) -> None:
        """A worker comes, perhaps in the place of a former life of its own."""
        self.members[worker.name] = worker
        self._ask()

    def leave(self, worker: Any) -> None:
        if self._has(worker):
            del self.members[worker.name]
            self._ask()

    def lost(self, worker: Any) -> None:
        """Its heartbeats have ended: out of the group, when the session has, unless they begin again."""
        since = worker.silent_since = self._broker.loop.now

        def expire() -> None:
            if worker.silent_since == since:
                self.leave(worker)

        self._broker.loop.call_later(self._session, expire, context=self._broker.loop.outside())

    def counts(self, worker: Any) -> bool:
        """Whether it is of the present generation."""
        return self._has(worker) and bool(worker.member_of == self.generation)

    def _has(self, worker: object) -> bool:
        return any(member is worker for member in self.members.values())

    def commit(self, worker: Any, offsets: Mapping[TP, tuple[int, str]]) -> None:
        """Raises ``CommitFailedError`` for who is not of the present generation."""
        if not self.counts(worker):
            raise CommitFailedError(f"{worker.name} is of generation {worker.member_of}, not {self.generation}")
        for tp, (offset, metadata) in offsets.items():
            old = self._broker.committed.get(tp)
            if old is None or old.offset != offset:
                self._broker.changed_at = self._broker.loop.now
            self._broker.committed[tp] = OffsetAndMetadata(offset, metadata)

    def _ask(self) -> None:
        self._asked += 1
        if not self._working:
            self._working = True
            self._broker.loop.create_task(self._rebalance(), context=self._broker.loop.outside())

    async def _rebalance(self) -> None:
        loop, random = self._broker.loop, self._broker.random
        done = 0
        while done != self._asked:
            done = self._asked
            await asyncio.sleep(random.random() * 0.3)  # until the next heartbeat tells the members
            waiting = [(worker, worker.begin_revoke()) for _, worker in sorted(self.members.items())]
            while any(self.members.get(worker.name) is worker and not revoked.done() for worker, revoked in waiting):  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(0.01)
            if done != self._asked:
                continue
            self.generation += 1
            names = sorted(self.members)
            self._broker.trace(f"generation {self.generation}: {names}")
            for index, name in enumerate(names):
                loop.call_later(self._broker.delay(), self.members[name].assign, self.generation, index, len(names))
        self._working = False
