"""A mirror: a compacted topic of one partition, followed into memory by whoever needs all of it at hand."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from inm.streaming.restore import to_the_ends

log = logging.getLogger("inm.mirror")

Rows = Mapping[bytes, bytes | None]
"""By key, in the order of the topic; None deletes."""
Take = Callable[[Rows, bool], Awaitable[None]]
"""Takes what has changed. True says that it is all there is now: nothing of a larger write is still to come."""

FORGETS = 3600.0
"""Seconds without the broker after which everything is read again: a deletion that was not seen may have been compacted away, which
Kafka does after a day (``delete.retention.ms``)."""
PAUSE = 1.0
"""Seconds between attempts to reach a broker that does not answer."""


class Anew(Exception):
    """What was followed is not what is there now: everything is read again."""


class Mirror:
    """Hands on the rows of a topic: all of them by :meth:`load`, then what changes, within milliseconds, by :meth:`follow`.

    Without a broker nothing comes, and what was handed on stands; :attr:`age` says for how long that has been so.
    """

    def __init__(self, topic: str, new_consumer: Callable[[], AIOKafkaConsumer], take: Take) -> None:
        self._place = TopicPartition(topic, 0)
        self._new_consumer = new_consumer
        self._take = take
        self._keys: set[bytes] = set()
        self._next = 0
        self._heard: float | None = None
        self._answered: int | None = None
        """When the consumer had its last answer, as it says it."""

    @property
    def age(self) -> float:
        """Seconds since the broker last said that there is no more; infinite before the first time."""
        return float("inf") if self._heard is None else monotonic() - self._heard

    async def load(self) -> None:
        """Read everything up to the present end. ``KafkaError`` if the broker does not answer."""
        consumer: Any = self._new_consumer()
        await consumer.start()
        try:
            consumer.assign([self._place])
            await self._load(consumer)
        finally:
            await consumer.stop()

    async def follow(self) -> None:
        """Go on from there, for ever."""
        while True:
            try:
                await self._follow()
            except Anew as error:
                log.warning("%s: %s, reading all of it again", self._place.topic, error)
                self._heard = None
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("%s cannot be followed: %r", self._place.topic, error)
                await asyncio.sleep(PAUSE)

    async def _load(self, consumer: Any) -> None:
        began = monotonic()
        ends = await consumer.end_offsets([self._place])
        starts = await consumer.beginning_offsets([self._place])
        rows: dict[bytes, bytes | None] = {}
        async for _, records in to_the_ends(consumer, starts, ends, 5_000):
            for record in records:
                rows.pop(record.key, None)  # the order is that of the last record of each key
                rows[record.key] = record.value
        gone: dict[bytes, bytes | None] = dict.fromkeys(key for key in self._keys if key not in rows)
        self._keys.clear()
        await self._hand_on(gone | rows, True)
        self._next, self._heard = ends[self._place], began

    async def _follow(self) -> None:
        consumer: Any = self._new_consumer()
        await consumer.start()
        try:
            consumer.assign([self._place])
            if self.age > FORGETS:
                await self._load(consumer)
                consumer.resume(self._place)
            end = (await consumer.end_offsets([self._place]))[self._place]
            if end < self._next:
                raise Anew("it is shorter than it was")
            consumer.seek(self._place, self._next)
            while True:
                await self._read(consumer)
        finally:
            await consumer.stop()

    async def _read(self, consumer: Any) -> None:
        fetched = await consumer.getmany(self._place, timeout_ms=200)
        if self.age > FORGETS:
            raise Anew("the broker was away for too long")
        for records in fetched.values():
            if records[0].offset < self._next:
                raise Anew("it begins again")
            rows = {record.key: record.value for record in records}
            await self._hand_on(rows, False)
            self._next = records[-1].offset + 1
        answered, highwater = consumer.last_poll_timestamp(self._place), consumer.highwater(self._place)
        if answered != self._answered and highwater is not None and await consumer.position(self._place) >= highwater:
            self._answered, self._heard = answered, monotonic()

    async def _hand_on(self, rows: Rows, whole: bool) -> None:
        for key, value in rows.items():
            if value is None:
                self._keys.discard(key)
            else:
                self._keys.add(key)
        await self._take(rows, whole)
