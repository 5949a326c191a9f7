"""Follows what INM says to the world: EDRs and dead letters, from now on."""

import asyncio
from collections.abc import Awaitable, Callable
from time import time_ns
from types import TracebackType
from typing import Self

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from inm import topics
from inm.core.edr import Edr
from inm.core.records import Dead, Receipt

_edr = msgspec.json.Decoder(Edr).decode
_dead = msgspec.json.Decoder(Dead).decode
_receipt = msgspec.json.Decoder(Receipt).decode


async def until(true: Callable[[], bool], seconds: float = 60.0, what: Callable[[], object] = lambda: "it did not come true") -> None:
    """Until a condition that something else brings about; ``what`` tells the state if it does not come in time."""
    try:
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110 - another process brings it about
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(what()) from None


async def until_async(
    true: Callable[[], Awaitable[bool]], seconds: float = 60.0, what: Callable[[], object] = lambda: "it did not come true"
) -> None:
    """As :func:`until`, for a condition that has to be asked for."""
    try:
        async with asyncio.timeout(seconds):
            while not await true():  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(what()) from None


class Tap:
    """``async with Tap(bootstrap) as tap``: everything on ``inm.edr`` and ``inm.dead`` that comes after that."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self.edrs: list[Edr] = []
        self.dead: list[Dead] = []
        self._ids: set[str] = set()
        self.repeated = 0
        """Records that came again with the id of an earlier one, as a replay writes them."""
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._since = time_ns() // 1_000_000
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False)
        await self._consumer.start()
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            found = await admin.describe_topics([topics.EDR, topics.DEAD])
        finally:
            await admin.close()
        partitions = [TopicPartition(topic["topic"], number) for topic in found for number in range(len(topic["partitions"]))]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_end()
        for partition in partitions:
            await self._consumer.position(partition)
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._consumer.stop()

    async def _follow(self) -> None:
        async for record in self._consumer:
            if record.topic == topics.DEAD:
                dead = _dead(record.value)
                if not self._is_of_before(dead):
                    self.dead.append(dead)
            else:
                edr = _edr(record.value)
                self.repeated += edr.id in self._ids
                if edr.id not in self._ids:
                    self._ids.add(edr.id)
                    self.edrs.append(edr)
            self._news.set()

    def _is_of_before(self, dead: Dead) -> bool:
        """A receipt for what a worker had submitted when an earlier test killed it: it waits two minutes for its submission."""
        return dead.reason == "unknown-receipt" and dead.value is not None and _receipt(dead.value).at < self._since

    def of(self, request_id: str) -> list[Edr]:
        """The EDRs of a request, in the order in which they came."""
        return [edr for edr in self.edrs if edr.request_id == request_id]

    def finals(self) -> dict[str, Edr]:
        """The final EDR by notification; ``AssertionError`` if one has two."""
        found: dict[str, Edr] = {}
        for edr in self.edrs:
            if edr.final:
                assert edr.notification not in found, (found[edr.notification], edr)
                found[edr.notification] = edr
        return found

    async def final(self, request_id: str, seconds: float = 60.0) -> Edr:
        """The final EDR of a request for one recipient, when it is there."""
        await self.when(
            lambda: any(edr.final for edr in self.of(request_id)), seconds, lambda: (request_id, self.of(request_id), self.dead)
        )
        return next(edr for edr in self.of(request_id) if edr.final)

    async def letter(self, key: str, seconds: float = 60.0) -> Dead:
        """The dead letter of the record with this key, when it is there."""
        await self.when(lambda: any(dead.key == key for dead in self.dead), seconds, lambda: (key, self.dead))
        return next(dead for dead in self.dead if dead.key == key)

    async def when(self, true: Callable[[], bool], seconds: float = 60.0, what: Callable[[], object] = lambda: "") -> None:
        """Until a condition on what has come is true."""
        try:
            async with asyncio.timeout(seconds):
                while not true():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(what()) from None

    async def quiet(self, seconds: float = 1.5) -> None:
        """Until nothing has come for so long: what is double would have shown up."""
        while True:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), seconds)
            except TimeoutError:
                return
