"""Where dead letters lie and where they go: ``inm.dead`` and the topics they came from, read and written for those who handle letters."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from inm import topics
from inm.core import deadletters
from inm.core.audit import of_closing
from inm.core.deadletters import Closing, DeadLetterError, Letter, Letters, Original, Resend
from inm.settings import Settings, kafka_client
from inm.streaming import admin
from inm.streaming.dead import LONGEST_KEY

NEAR = 500
"""Records that are read over rather than sought past: a seek throws away what is fetched already."""
LARGEST = 8 << 20
"""Bytes of a record that we try to send: what is too large the topic's own limit says."""

_LETTERS = TopicPartition(topics.DEAD, 0)


class Letterbox:
    """``async with Letterbox(settings) as box``.

    ``KafkaError`` if the broker does not answer, ``DeadLetterError`` if it has no ``inm.dead``.
    """

    def __init__(self, settings: Settings) -> None:
        self._client = {"bootstrap_servers": settings.broker.servers, **kafka_client(settings)}
        self._partitions: dict[str, int] = {}
        self._bounds: dict[TopicPartition, tuple[int, int]] = {}
        self._next: dict[TopicPartition, int] = {}
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        client = AIOKafkaAdminClient(**self._client)
        try:
            await client.start()
            self._partitions = await admin.partition_counts(client)
        finally:
            await client.close()
        if topics.DEAD not in self._partitions:
            raise DeadLetterError(f"the cluster has no topic {topics.DEAD}: inm topics --create")
        self._consumer = AIOKafkaConsumer(**self._client, enable_auto_commit=False, auto_offset_reset="earliest")
        await self._consumer.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._consumer.stop()
        if self._producer is not None:
            await self._producer.stop()

    # -- reading ----------------------------------------------------------------------------------

    async def letters(self) -> Letters:
        """All letters and their ends, as the topic is now."""
        found = Letters()
        async for record in self.follow(0):
            found.add(record.offset, record.key, record.value)
        return found

    async def letter(self, number: int) -> Letter | None:
        """One letter with what it holds; its end is not looked for."""
        record = await self._at(_LETTERS, number)
        item = deadletters.read(record.offset, record.key, record.value) if record else None
        return item if isinstance(item, Letter) else None

    async def fate(self, number: int) -> Letter | None:
        """One letter with its end, which is behind it."""
        letter = await self.letter(number)
        if letter is not None:
            async with aclosing(self.follow(number + 1)) as records:
                async for record in records:
                    item = deadletters.read(record.offset, record.key, record.value)
                    if isinstance(item, Closing) and item.closes == number:
                        letter.closed = item
                        break
        return letter

    async def original(self, letter: Letter, mended: bytes | None = None) -> Original:
        """The record of a letter, whole, or with a ``mended`` value. ``DeadLetterError`` if there is only a part of it."""
        dead = letter.dead
        record = await self._at(TopicPartition(dead.topic, dead.partition), dead.offset)
        found = Original(record.key, record.value, record.headers) if record else None
        return deadletters.original(letter, found, LONGEST_KEY, mended)

    async def _bounds_of(self, place: TopicPartition) -> tuple[int, int]:
        """The first offset of a partition and the end. One more partition is assigned, so that all positions are new."""
        if place not in self._bounds:
            if not 0 <= place.partition < self._partitions.get(place.topic, 0):
                return 0, 0  # asked for it, aiokafka would wait for it to come
            begin = (await self._consumer.beginning_offsets([place]))[place]
            self._bounds[place] = begin, (await self._consumer.end_offsets([place]))[place]
            self._consumer.assign(list(self._bounds))
            self._next.clear()
        return self._bounds[place]

    async def bounds(self) -> tuple[int, int]:
        """The first offset of ``inm.dead`` and the end, as they were when they were first asked for."""
        return await self._bounds_of(_LETTERS)

    async def follow(self, first: int) -> AsyncGenerator[Any, None]:
        """The records of ``inm.dead`` from an offset on."""
        begin, end = await self.bounds()
        self._next.pop(_LETTERS, None)
        self._consumer.seek(_LETTERS, max(first, begin))
        while (await self._consumer.position(_LETTERS)) < end:
            for record in (await self._consumer.getmany(_LETTERS, timeout_ms=500)).get(_LETTERS, []):
                yield record

    async def _at(self, place: TopicPartition, offset: int) -> Any:
        """The record at an offset, None if there is none any more. Quick if offsets come in order."""
        begin, end = await self._bounds_of(place)
        if not begin <= offset < end:
            return None
        if place not in self._next or not 0 <= offset - self._next[place] < NEAR:
            self._consumer.seek(place, offset)
        found = None
        while (await self._consumer.position(place)) <= offset:
            records = (await self._consumer.getmany(place, timeout_ms=500, max_records=1)).get(place)
            found = records[0] if records else found
        self._next[place] = await self._consumer.position(place)
        return found if found is not None and found.offset == offset else None

    # -- writing ----------------------------------------------------------------------------------

    async def send(self, resend: Resend) -> "asyncio.Future[Any]":
        """Hand a record to the producer; the future is the broker's word. ``DeadLetterError`` if its topic does not exist."""
        count = self._partitions.get(resend.topic, 0)
        if not count:
            raise DeadLetterError(f"the cluster has no topic {resend.topic}")
        partition = resend.partition if resend.partition is not None and resend.partition < count else None
        return await self._put(resend.topic, resend.value, resend.key, partition, list(resend.headers))

    async def close(self, closing: Closing, tenant: str) -> "asyncio.Future[Any]":
        """Write the end of a letter of a ``tenant`` there, and into the audit trail; the future is the broker's word."""
        entry = msgspec.json.encode(of_closing(closing, tenant))
        return asyncio.gather(
            await self._put(topics.AUDIT, entry, tenant.encode(), 0, []),
            await self._put(topics.DEAD, msgspec.json.encode(closing), b"%d" % closing.closes, 0, []),
        )

    async def _put(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int | None, headers: list[tuple[str, bytes]]
    ) -> "asyncio.Future[Any]":
        if self._producer is None:
            self._producer = AIOKafkaProducer(**self._client, acks="all", enable_idempotence=True, max_request_size=LARGEST)
            await self._producer.start()
        sent: asyncio.Future[Any] = await self._producer.send(topic, value, key, partition, headers=headers)
        return sent
