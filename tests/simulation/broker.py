"""A Kafka broker in memory: logs with offsets and holes, and what has been committed."""

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from random import Random
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import MessageSizeTooLargeError, OutOfOrderSequenceNumber
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata
from faust.types import TP

from inm.streaming.emitter import MAX_BATCH
from tests.simulation.loop import Process, VirtualLoop

Item = tuple[bytes | None, bytes | None, int]
"""Key, value and the producer's time (ms)."""


class Log:
    """One partition."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.offsets: list[int] = []
        self.times: list[float] = []
        """When each record came."""
        self.end = 0

    def since(self, offset: int) -> list[Any]:
        return self.records[bisect_left(self.offsets, offset) :]


class Broker:
    """Topics and committed offsets; tells whoever reads a partition when anything has come."""

    def __init__(self, loop: VirtualLoop, random: Random, trace: Callable[[str], None]) -> None:
        self.loop = loop
        self.random = random
        self.trace = trace
        self.logs: dict[tuple[str, int], Log] = defaultdict(Log)
        self.committed: dict[TP, OffsetAndMetadata] = {}
        self.limits: dict[str, int] = {}
        """Bytes of a batch that a topic takes, if fewer than usual."""
        self.changed_at = loop.now
        self.most = 8
        """Records of a partition that a fetch brings at most."""
        self.slow = 0.0
        self.failing = 0.0
        self.readers: dict[object, Callable[[TP], None]] = {}
        """Told of every partition that has grown, by who they are."""
        self._sequences: dict[tuple[object, str, int], int] = defaultdict(int)

    def append(self, topic: str, partition: int, items: Iterable[Item], *, kind: int = 0) -> int:
        """Take records; returns the offset of the first. ``kind`` 1: with the broker's own time."""
        log = self.logs[topic, partition]
        first = log.end
        for key, value, at in items:
            log.records.append(ConsumerRecord(topic, partition, log.end, at, kind, key, value, None, 0, 0, ()))
            log.offsets.append(log.end)
            log.times.append(self.loop.now)
            log.end += 1
        self._grown(topic, partition)
        self.trace(f"+ {topic}[{partition}] {first}..{log.end - 1} {[(value or b'')[:90] for _, value, _ in items]}")
        return first

    def hole(self, topic: str, partition: int) -> None:
        """An offset without a record, as an upstream transaction's end leaves it."""
        self.logs[topic, partition].end += 1
        self._grown(topic, partition)

    def _grown(self, topic: str, partition: int) -> None:
        self.changed_at = self.loop.now
        for tell in self.readers.values():
            tell(TP(topic, partition))

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
