"""The load of a measurement: requests of the demo's two tenants, sent ahead of the workers or at a pace."""

import asyncio
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from inm import topics
from inm.core.records import LANES
from inm.core.users import Upsert
from inm.demo.bench_meter import PERIOD, Meter

LANGUAGES = ("it", "en", "ru")
EDRS = 3
"""EDRs of an SMS notification that goes well: accepted, submitted, delivered."""
TICK = 0.01
"""Seconds between two bursts of a paced load."""
BURST = 500
"""Requests to one partition at a time."""
LEAST, DEPTH = 3000, 2.5
"""Notifications under way in a saturating load: so many, or seconds of the present rate. The SMSC alone keeps each for a second."""

_ROAMING = {"country": "France", "call": 0.19, "sms": 0.06, "data": 0.002, "included": 4096}
_CHARGING = {"station": "Lugano Nord #7", "energy": 41.5, "cost": 18.26, "grace": 15}
_INVOICE = {"invoice": "2026-%(n)08d", "amount": 34.9, "due": "2026-12-15", "link": "https://acme.example/i/%(n)d"}


class Requests:
    """Request records by their number: of ten one has two parts, lanes and languages take turns.

    ``email`` is the share of e-mail invoices, ``users`` how many users :meth:`upserts` tells INM of; a fifth of the SMS then
    names one of these instead of a number. Text is put together from patterns: the load must cost next to nothing.
    """

    def __init__(self, run: str, users: int = 0, email: float = 0.0) -> None:
        self.run = run
        self._users = users
        self._email = round(100 * email)
        self._cycle = 10 * len(LANES) * len(LANGUAGES)
        self._sms = [self._pattern(number) for number in range(self._cycle)]
        self._mails = [self._mail(number) for number in range(self._cycle)]

    def __getitem__(self, number: int) -> tuple[str, bytes]:
        """The tenant and the record of a request."""
        # 37 and 100 have no common divisor: mails are spread over each hundred instead of its beginning
        patterns = self._mails if number * 37 % 100 < self._email else self._sms
        tenant, pattern = patterns[number % self._cycle]
        return tenant, pattern % {b"n": number, b"u": number % max(1, self._users)}

    def user(self, number: int) -> str:
        """The id of a user."""
        return f"{self.run}-user-{number}"

    def upserts(self, partitions: int) -> Iterator[tuple[int, bytes, bytes]]:
        """User data for ``inm.users``: partition, key and record."""
        for number in range(self._users):
            upsert = Upsert(
                key=f"acme/{self.user(number)}",
                language=LANGUAGES[number % len(LANGUAGES)],
                phone=f"+39334{number:07}",
                name=f"Customer {number}",
            )
            yield topics.partition_of_key(upsert.key, partitions), upsert.key.encode(), msgspec.json.encode(upsert)

    def _pattern(self, number: int) -> tuple[str, bytes]:
        kind = number % 10
        language = LANGUAGES[number // 10 % len(LANGUAGES)]
        to = {"phone": "+39333%(n)07d", "language": language}
        if kind == 0:  # two parts in these languages, four in Russian
            to["language"] = "en" if language == "ru" else language
            return "acme", self._record(number, "roaming-welcome", to, _ROAMING)
        if kind < 3:
            to["language"] = "en" if language == "ru" else language
            return "volta", self._record(number, "charging-finished", to, _CHARGING)
        if kind < 5 and self._users:
            to = {"user": f"{self.run}-user-%(u)d"}
        return "acme", self._record(number, "otp", to, {"code": "%(n)06d"})

    def _mail(self, number: int) -> tuple[str, bytes]:
        to = {"email": "customer%(n)d@customers.example", "language": LANGUAGES[number % len(LANGUAGES)]}
        return "acme", self._record(number, "invoice-ready", to, _INVOICE)

    def _record(self, number: int, scenario: str, to: dict[str, str], fields: dict[str, Any]) -> bytes:
        lane = LANES[number % len(LANES)]
        return msgspec.json.encode({"scenario": scenario, "to": to, "fields": fields, "request_id": f"{self.run}-%(n)d", "lane": lane})


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
        self._turns: dict[str, int] = {}

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
        base = await self._meter.count(topics.EDR) - EDRS * self.sent
        ended, rate = self.sent, 0.0
        while True:
            while self.sent - ended < max(LEAST, DEPTH * rate):
                await self._send(BURST)
            before, began = ended, monotonic()
            await asyncio.sleep(PERIOD)
            ended = (await self._meter.count(topics.EDR) - base) // EDRS
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
        """One batch a tenant, each to the next partition of its topic."""
        builders: dict[str, Any] = {}
        for number in range(self.sent, self.sent + count):
            tenant, value = self._requests[number]
            builder = builders.get(tenant) or builders.setdefault(tenant, self._producer.create_batch())
            builder.append(key=None, value=value, timestamp=None)
        self.sent += count
        for tenant, builder in builders.items():
            topic = topics.requests(tenant)
            turn = self._turns[topic] = self._turns.get(topic, 0) + 1
            partitions = await self._producer.partitions_for(topic)
            await (await self._producer.send_batch(builder, topic, partition=turn % len(partitions)))
