"""The load of a measurement: requests sent ahead of the workers or at a pace."""

import asyncio
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from inm import topics
from inm.core.records import LANES
from inm.demo.bench_load import FIELDS, LANGUAGES, SCENARIOS, TENANT, scenario, upserts
from inm.demo.bench_meter import PERIOD, Meter

EDRS = 3
"""EDRs of an SMS notification that goes well: accepted, submitted, delivered. For an e-mail submitted is the end."""
TICK = 0.01
"""Seconds between two bursts of a paced load."""
BURST = 500
"""Requests to one partition at a time."""
LEAST, DEPTH = 3000, 2.5
"""Notifications under way in a saturating load: so many, or seconds of the present rate. The SMSC alone keeps each for a second."""

_INVOICE = {"invoice": "2026-%(n)08d", "amount": 34.9, "due": "2026-12-15", "link": "https://acme.example/i/%(n)d"}


class Requests:
    """Request records by their number: scenarios, lanes and languages take turns, and of ten SMS one has two parts.

    ``users`` is how many users :meth:`upserts` tells INM of: each SMS is for one of these; without users it names a number.
    ``email`` is the share of e-mail invoices. Text is put together from patterns: the load must cost next to nothing.
    """

    def __init__(self, run: str, users: int = 0, email: float = 0.0) -> None:
        self.run = run
        self.edrs = EDRS - email
        """EDRs of a notification, on average."""
        self._users = users
        self._email = round(100 * email)
        self._cycle = SCENARIOS * len(LANGUAGES)
        self._sms = [self._pattern(number) for number in range(self._cycle)]
        self._mails = [self._mail(number) for number in range(self._cycle)]

    def __getitem__(self, number: int) -> bytes:
        """The record of a request."""
        # 37 and 100 have no common divisor: mails are spread over each hundred instead of its beginning
        patterns = self._mails if number * 37 % 100 < self._email else self._sms
        return patterns[number % self._cycle] % {b"n": number, b"u": number % max(1, self._users)}

    def upserts(self, partitions: int) -> Iterator[tuple[int, bytes, bytes]]:
        """User data for ``inm.users``: partition, key and record."""
        for upsert in upserts(self._users, self.user):
            yield topics.partition_of_key(upsert.key, partitions), upsert.key.encode(), msgspec.json.encode(upsert)

    def user(self, number: int) -> str:
        """The id of a user."""
        return f"{self.run}-user-{number}"

    def _pattern(self, number: int) -> bytes:
        language = LANGUAGES[number // SCENARIOS]
        to = {"user": f"{self.run}-user-%(u)d"} if self._users else {"phone": "+39333%(n)07d", "language": language}
        return self._record(number, {"scenario": scenario(number), "to": to, "fields": FIELDS})

    def _mail(self, number: int) -> bytes:
        to = {"email": "customer%(n)d@customers.example", "language": LANGUAGES[number % len(LANGUAGES)]}
        return self._record(number, {"scenario": "invoice-ready", "to": to, "fields": _INVOICE})

    def _record(self, number: int, request: dict[str, Any]) -> bytes:
        return msgspec.json.encode(request | {"request_id": f"{self.run}-%(n)d", "lane": LANES[number % len(LANES)]})


async def pour(producer: AIOKafkaProducer, topic: str, records: Iterable[tuple[int, bytes | None, bytes]]) -> int:
    """Send records (partition, key, value), as fast as the broker takes them; how many, when it has all."""
    count = 0
    batches: dict[int, Any] = {}
    taken = []
    for partition, key, value in records:
        count += 1
        batch = batches.get(partition)
        if batch is None or batch.append(key=key, value=value, timestamp=None) is None:
            if batch is not None:
                taken.append(await producer.send_batch(batch, topic, partition=partition))
            batch = batches[partition] = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
    taken += [await producer.send_batch(batch, topic, partition=partition) for partition, batch in batches.items()]
    await asyncio.gather(*taken)
    return count


class Feed:
    """Sends requests and knows how many have not ended. One load at a time: :meth:`ahead`, then :meth:`settle`, then :meth:`paced`."""

    def __init__(self, bootstrap: str, meter: Meter, requests: Requests) -> None:
        self.sent = 0
        self._meter = meter
        self._requests = requests
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, max_batch_size=512 * 1024)
        self._turn = 0

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self) -> None:
        await self._producer.stop()

    async def users(self, partitions: int) -> None:
        """Tell INM of the users, and wait until they are in its table."""
        before = await self._meter.count(topics.changelog("users"))
        told = await pour(self._producer, topics.USERS, self._requests.upserts(partitions))
        await self._meter.reaches(topics.changelog("users"), before + told)

    async def ahead(self) -> None:
        """Keep :data:`DEPTH` seconds of work under way for good: every stage has all it can take, and none runs ahead of the others."""
        edrs = self._requests.edrs
        base = await self._meter.count(topics.EDR) - edrs * self.sent
        ended, rate = self.sent, 0.0
        while True:
            while self.sent - ended < max(LEAST, DEPTH * rate):
                await self._send(BURST)
            before, began = ended, monotonic()
            await asyncio.sleep(PERIOD)
            ended = int((await self._meter.count(topics.EDR) - base) / edrs)
            rate += ((ended - before) / (monotonic() - began) - rate) * PERIOD

    async def paced(self, rate: float) -> None:
        """Send ``rate`` requests a second for good."""
        began, before = monotonic(), self.sent
        while True:
            behind = int((monotonic() - began) * rate) - (self.sent - before)
            if behind > 0:
                await self._send(behind)
            await asyncio.sleep(TICK)

    async def first_end(self) -> None:
        """Wait until the first notification has ended. ``RuntimeError`` if none does."""
        await self._meter.reaches(topics.EDR, await self._meter.count(topics.EDR) + EDRS)

    async def settle(self) -> None:
        """Wait until nothing comes any more."""
        before, now = -1, await self._meter.count(topics.EDR)
        while now > before:
            await asyncio.sleep(2.5)
            before, now = now, await self._meter.count(topics.EDR)

    async def _send(self, count: int) -> None:
        """One batch, to the next partition."""
        builder = self._producer.create_batch()
        for number in range(self.sent, self.sent + count):
            builder.append(key=None, value=self._requests[number], timestamp=None)
        self.sent += count
        self._turn += 1
        topic = topics.requests(TENANT)
        partitions = await self._producer.partitions_for(topic)
        await (await self._producer.send_batch(builder, topic, partition=self._turn % len(partitions)))
