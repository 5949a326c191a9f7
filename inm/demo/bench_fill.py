"""Fills the tables by the ways that others use: users by ``inm.users``, open notifications by requests. And asks whether it goes on."""

from collections.abc import Callable, Iterable, Iterator
from time import monotonic

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from inm import topics
from inm.core.edr import Event
from inm.core.ids import user_key
from inm.core.records import Recipient, Request
from inm.demo.bench_feed import Requests, pour
from inm.demo.bench_load import TENANT
from inm.demo.bench_meter import Meter

PARTS = 2
"""Of a roaming-welcome in English."""
EDRS = 2
"""Of a notification that the SMSC has taken and says nothing more of: accepted, submitted."""
PATIENCE = 120.0
"""Seconds after which a notification that does not get through is given up."""


class _Edr(msgspec.Struct):
    event: Event
    request_id: str | None = None


_edr = msgspec.json.Decoder(_Edr).decode


def request(user: str, request_id: str) -> bytes:
    """A request that makes :data:`PARTS` parts and waits for their receipts for two hours."""
    fields = {"country": "France", "call": 0.19, "sms": 0.06, "data": 0.002, "included": 4096}
    return msgspec.json.encode(Request("roaming-welcome", Recipient(user=user, language="en"), fields, request_id=request_id))


class Fill:
    """Users ``0 … users - 1``, and notifications that the SMSC takes and never reports on: each waits for its receipts until its deadline.

    One is a row of journeys, with its deadline two hours ahead, and one row of outbox for each part.
    """

    def __init__(self, bootstrap: str, meter: Meter, requests: Requests, users: int, partitions: int) -> None:
        self.sent = 0
        self._users = users
        self._partitions = partitions
        self._meter = meter
        self._requests = requests
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, max_batch_size=512 * 1024)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)

    async def start(self) -> None:
        """``RuntimeError`` if the tables are not empty: then nobody could say what is missing."""
        await self._producer.start()
        await self._consumer.start()
        if any([await self._meter.count(topics.changelog(table)) for table in topics.TABLES]):
            raise RuntimeError("the broker has tables of INM already: this fills and counts those of a fresh one")

    async def stop(self) -> None:
        await self._producer.stop()
        await self._consumer.stop()

    @property
    def filled(self) -> dict[str, int]:
        """Rows that each table must have."""
        return {"users": self._users, "journeys": self.sent, "outbox": PARTS * self.sent}

    async def users(self) -> float:
        """Tell INM of all users; the seconds until they are in its table."""
        began = monotonic()
        await pour(self._producer, topics.USERS, self._requests.upserts(self._partitions))
        await self._meter.reaches(topics.changelog("users"), self._users)
        return monotonic() - began

    async def journeys(self, count: int) -> float:
        """Open so many notifications, of the first users; the seconds until all of them are submitted and their rows written."""
        began = monotonic()
        await self._open(number % self._users for number in range(count))
        await self._meter.reaches(topics.EDR, EDRS * self.sent)
        await self._meter.reaches(topics.changelog("outbox"), self.filled["outbox"])
        return monotonic() - began

    async def through(self, began: float) -> list[float]:
        """One more notification in each partition; after how many seconds from ``began`` each was submitted, the first one first."""
        places = [TopicPartition(topics.EDR, number) for number in range(self._partitions)]
        self._consumer.assign(places)
        await self._consumer.seek_to_end(*places)
        waiting = {f"{self._requests.run}-{self.sent + number}" for number in range(self._partitions)}
        await self._open(next(filter(self._at(partition), range(self._users))) for partition in range(self._partitions))
        took: list[float] = []
        while waiting:
            if monotonic() - began > PATIENCE:
                raise RuntimeError(f"{len(waiting)} of {self._partitions} notifications are not submitted after {PATIENCE:.0f} s")
            for records in (await self._consumer.getmany(timeout_ms=200)).values():
                done = {edr.request_id for edr in (_edr(record.value) for record in records) if edr.event == "submitted"} & waiting
                took += [monotonic() - began] * len(done)
                waiting -= done
        return took

    async def _open(self, users: Iterable[int]) -> None:
        """A request for each of these users, in the user's partition: all of it is then up to one worker."""
        await pour(self._producer, topics.requests(TENANT), self._records(users))

    def _records(self, users: Iterable[int]) -> Iterator[tuple[int, None, bytes]]:
        for user in users:
            yield self._home(user), None, request(self._requests.user(user), f"{self._requests.run}-{self.sent}")
            self.sent += 1

    def _home(self, user: int) -> int:
        return topics.partition_of_key(user_key(TENANT, self._requests.user(user), None, None), self._partitions)

    def _at(self, partition: int) -> Callable[[int], bool]:
        return lambda user: self._home(user) == partition
