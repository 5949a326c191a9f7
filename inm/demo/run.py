"""One run of traffic through an installation: sends, counts, and says when everything has its end."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from time import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from inm import topics
from inm.core import deadletters
from inm.demo.census import Census
from inm.demo.installation import Installation
from inm.demo.poison import Poison
from inm.demo.traffic import Traffic

USERS = 200
PATIENCE = 180_000
"""Milliseconds in which a broker that was killed must take requests again: on a busy machine that is a minute or more."""
SETTLE = 1.0
"""Seconds without any news after the last end, in which a second one would show up."""


class Run:
    """``start`` it when topics exist, ``send`` requests, ``wait`` for their ends, ``stop``."""

    def __init__(self, installation: Installation, run: str, seed: int) -> None:
        self.installation = installation
        self.census = Census(run)
        self.dead: Counter[str] = Counter()
        """Dead letters, by stage, reason and detail."""
        self.poison = Poison(run)
        self.news = asyncio.Event()
        self.listeners: list[Callable[[bytes], None]] = [self.census.add]
        """Get every EDR."""
        self._traffic = Traffic(run, seed)
        self._began = time()

    async def start(self) -> None:
        """Begin to follow the EDRs, and tell INM of some users."""
        servers = self.installation.bootstrap
        self._producer = AIOKafkaProducer(
            bootstrap_servers=servers,
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_request_size=1 << 20,
            request_timeout_ms=PATIENCE,
        )
        self._consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, auto_offset_reset="earliest")
        await self._producer.start()
        await self._consumer.start()
        await self._follow_from_now()
        self._task = asyncio.create_task(self._follow())
        await self.send_users(USERS)

    async def _follow_from_now(self) -> None:
        counts = {name: await self._partitions(name) for name in (topics.EDR, topics.DEAD)}
        self._consumer.assign([TopicPartition(name, number) for name, count in counts.items() for number in range(count)])
        await self._consumer.seek_to_end()
        for tp in self._consumer.assignment():
            await self._consumer.position(tp)

    async def _partitions(self, topic: str) -> int:
        return len(await self._producer.partitions_for(topic))

    async def _follow(self) -> None:
        async for record in self._consumer:
            if record.topic == topics.EDR:
                for listen in self.listeners:
                    listen(record.value)
            else:
                letter = deadletters.read(record.offset, record.key, record.value)
                if isinstance(letter, deadletters.Letter) and not self.poison.buried(letter):
                    self.dead[f"{letter.dead.stage}: {letter.dead.reason}: {letter.dead.detail[:200]}"] += 1
            self.news.set()

    async def send_users(self, count: int) -> None:
        """Tell INM of so many users."""
        for key, value in self._traffic.users(count):
            await self._producer.send(topics.USERS, value, key.encode())
        await self._producer.flush()

    async def send_much(self, partition: int, mebibytes: int) -> None:
        """Data of users that nobody asks for, all in one partition."""
        for key, value in self._traffic.hoard(mebibytes):
            await self._producer.send(topics.USERS, value, key.encode(), partition=partition)
        await self._producer.flush()

    async def send_crowd(self, recipients: int) -> None:
        """One request for so many recipients."""
        tenant, name, value = self._traffic.crowd(recipients)
        self.census.crowds[name] = recipients
        self.census.requested[name] = int(time() * 1000)
        await self._producer.send_and_wait(topics.requests(tenant), value)

    async def send_poison(self, count: int) -> None:
        """So many records that are no requests, of every kind in turn."""
        for topic, key, value in self.poison.records(count):
            await self._producer.send(topic, value, key)
        await self._producer.flush()

    def requests(self, count: int) -> Iterator[tuple[str, bytes]]:
        return self._traffic.requests(count, USERS)

    async def send(self, count: int, rate: float | None = None, enough: asyncio.Event | None = None) -> None:
        """Send ``count`` requests, or fewer if it is ``enough`` before, at ``rate`` a second or as fast as the broker takes them."""
        began = time()
        for number, (tenant, value) in enumerate(self.requests(count)):
            if enough and enough.is_set():
                break
            if rate and (early := began + number / rate - time()) > 0:
                await asyncio.sleep(early)
            self.census.requested[f"{self.census.run}-{number}"] = int(time() * 1000)
            await self._producer.send(topics.requests(tenant), value)
        await self._producer.flush()

    async def wait(self, limit: float) -> bool:
        """Until all that was sent has its end and nothing more comes; False if that takes over ``limit`` seconds."""
        end = time() + limit
        while not self._complete() and time() < end:
            await self.next_news(1.0)
        complete = self._complete()
        while complete and await self.next_news(SETTLE):
            pass
        return complete

    def _complete(self) -> bool:
        return self.census.ended >= self.census.expected and not self.poison.unburied

    async def next_news(self, seconds: float) -> bool:
        """Wait for an EDR or a dead letter; False if none comes in that time."""
        self.news.clear()
        try:
            await asyncio.wait_for(self.news.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def report(self) -> dict[str, object]:
        """The census beside what the providers have."""
        smsc, smtp = self.installation.smsc.ledger, self.installation.smtp.ledger
        doubles = smsc.duplicates + smsc.duplicate_parts + sum(times - 1 for times in smtp.duplicates.values())
        return self.census.report(
            parts_at_smsc=smsc.parts, mails_at_server=smtp.count, doubles_at_providers=doubles, seconds=time() - self._began
        )  # fmt: skip

    async def stop(self) -> None:
        """Stop following."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._consumer.stop()
        await self._producer.stop()
