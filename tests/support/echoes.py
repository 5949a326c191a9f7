"""Runs ``tests/flow/echo.py`` as processes, feeds it and counts what comes out."""

import asyncio
import contextlib
import os
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import OffsetAndMetadata

from inm.core.records import Dead
from inm.demo.child import Child
from tests.support.tap import until

PARTITIONS = 6
IN, OUT, DEAD, CHANGELOG = "echo.in", "echo.out", "inm.dead", "echo.seen.changelog"
INPUTS = [TopicPartition(IN, number) for number in range(PARTITIONS)]


class Echoes:
    """``async with Echoes(bootstrap, folder)``: topics are there, what comes out from now on is counted by key."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.folder = folder
        self.out: Counter[bytes] = Counter()
        self.dead: list[Dead] = []
        self.workers: dict[str, Child] = {}
        self._heard: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        self.admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await self.admin.start()
        there = await self.admin.list_topics()
        compact = {"cleanup.policy": "compact"}
        wanted = [NewTopic(IN, 6, 1), NewTopic(OUT, 6, 1), NewTopic(DEAD, 1, 1), NewTopic(CHANGELOG, 6, 1, topic_configs=compact)]
        await self.admin.create_topics([topic for topic in wanted if topic.name not in there])
        self.producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, enable_idempotence=True, linger_ms=5)
        await self.producer.start()
        self.consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        await self.consumer.start()
        self.consumer.assign([TopicPartition(DEAD, 0), *(TopicPartition(OUT, number) for number in range(PARTITIONS))])
        await self.consumer.seek_to_end()
        for partition in self.consumer.assignment():
            await self.consumer.position(partition)
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for name in list(self.workers):
            await self.stop(name)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.consumer.stop()
        await self.producer.stop()
        await self.admin.close()

    async def _follow(self) -> None:
        async for record in self.consumer:
            if record.topic == OUT:
                self.out[record.key] += 1
            else:
                self.dead.append(msgspec.json.decode(record.value, type=Dead))

    # -- workers ----------------------------------------------------------------------------------

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def begin(self, name: str = "w1") -> None:
        """Start a worker, with a folder of its own."""
        own = {"INM_BROKER": self.bootstrap, "WORKER": name, "FOLDER": str(self.folder / name)}
        self._heard[name] = self.log(name).stat().st_size if self.log(name).exists() else 0
        self.workers[name] = Child([sys.executable, "-m", "tests.flow.echo"], self.log(name), environment=os.environ | own)

    async def start(self, name: str = "w1") -> None:
        """Start a worker and wait until it reads."""
        self.begin(name)
        await until(lambda: self.shares(name) != [], 60, lambda: self.log(name).read_text()[-3000:])

    def shares(self, name: str) -> list[int]:
        """How many partitions a worker has got, at each assignment since it was started last."""
        said = self.log(name).read_bytes()[self._heard[name] :].decode()
        return [int(count) for count in re.findall(r"ready: \d+ partitions, (\d+) of the tables", said)]

    async def stop(self, name: str = "w1") -> int:
        """SIGTERM; the exit code."""
        return await asyncio.to_thread(self.workers.pop(name).stop)

    def kill(self, name: str = "w1") -> None:
        self.workers.pop(name).kill()

    # -- records ----------------------------------------------------------------------------------

    async def feed(self, keys: Iterable[bytes], value: bytes = b"x" * 200, partition: int | None = None) -> None:
        for key in keys:
            await self.producer.send(IN, value, key, partition=partition)
        await self.producer.flush()

    @contextlib.asynccontextmanager
    async def flowing(self, prefix: bytes, rate: int) -> AsyncIterator[list[bytes]]:
        """New keys at ``rate`` a second as long as the block lasts; those sent so far."""
        sent: list[bytes] = []

        async def flow() -> None:
            while not enough:
                fresh = [b"%s/%d" % (prefix, number) for number in range(len(sent), len(sent) + rate // 20)]
                sent.extend(fresh)
                await self.feed(fresh)
                await asyncio.sleep(0.05)

        enough = False
        flowing = asyncio.create_task(flow())
        try:
            yield sent
        finally:
            enough = True
            await flowing

    async def all_out(self, keys: Iterable[bytes], seconds: float = 60.0) -> None:
        """Until each key has come out at least once."""
        wanted = set(keys)
        await until(lambda: wanted <= self.out.keys(), seconds, lambda: f"{len(wanted - self.out.keys())} of {len(wanted)} did not come")

    async def caught_up(self) -> None:
        """Until all that is on the outputs now has been counted."""
        ends = await self.consumer.end_offsets(self.consumer.assignment())
        for partition, end in ends.items():
            while await self.consumer.position(partition) < end:  # noqa: ASYNC110 - aiokafka has no event for it
                await asyncio.sleep(0.02)

    async def committed(self) -> dict[TopicPartition, OffsetAndMetadata]:
        found = await self.admin.list_consumer_group_offsets("echo")
        return {partition: at for partition, at in found.items() if partition.topic == IN and at.offset >= 0}

    async def ends(self) -> dict[TopicPartition, int]:
        found: dict[TopicPartition, int] = await self.consumer.end_offsets(INPUTS)
        return found
