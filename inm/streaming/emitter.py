"""One idempotent producer for all outputs: an open batch a partition, one future a batch.

``producer.send`` costs a future, a lock and a log call a record; a batch of our own costs them once. While a batch
of a partition is on its way the next one fills, so that under load batches grow by themselves.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)


@dataclass(frozen=True, slots=True)
class Linger:
    """Seconds a batch waits for company: ``each`` for every batch that left together last, at least and at most.

    A batch costs worker and broker far more than a record, so there are ``1 / each`` a second at most: little that is under way leaves
    soon, and much gathers.
    """

    least: float
    most: float
    each: float


PROMPT = Linger(0.005, 0.030, 0.001)
"""Of what somebody waits for."""
SOON = Linger(0.005, 0.060, 0.008)
"""Of what has become of something. Not longer: what a provider has taken and no record tells of is in doubt if the worker dies."""
LATER = Linger(0.005, 0.150, 0.008)
"""Of what nobody waits for, and what comes out the same if it is decided again."""
MAX_BATCH = 512 * 1024
MAX_RECORD = 900 * 1024
"""Bytes of a key and value together; the broker's default ``message.max.bytes`` is 1 MiB."""


REFUSALS = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    InvalidTopicError,
    TopicAuthorizationFailedError,
    PolicyViolationError,
)
"""What the broker will say again, however often it is asked. Everything else is retried, or ends the process."""

Refused = Callable[[str, bytes | None, bytes | None, str], Awaitable[None]]
"""Takes over a record that the broker refused: topic, key, value and its words. Raises if it cannot."""


def size_of(record: tuple[bytes | None, bytes | None]) -> int:
    """Bytes that a key and value take in a batch, at most: beside them are lengths, time and place, 32 bytes at most."""
    key, value = record
    return len(key or b"") + len(value or b"") + 32


class Superseded(KafkaError):  # type: ignore[misc]
    """The batch was held back, and its assignment has ended meanwhile: what caused it is another worker's now."""


class TooLarge(ValueError):
    """A record that the broker would refuse: the item that caused it is dead-lettered instead."""


@dataclass(eq=False, slots=True)
class Batch:
    """An open, sent or acknowledged batch. ``acked`` gives the offset of its first record."""

    builder: Any
    acked: "asyncio.Future[int]"
    epoch: int = 0
    records: list[tuple[bytes | None, bytes | None]] = field(default_factory=list)
    size: int = 0
    """Bytes that it has at most, see :func:`size_of`; counted for essential topics."""
    due: bool = False

    @property
    def count(self) -> int:
        return len(self.records)


@dataclass(slots=True)
class _Departure:
    """The next one of batches that linger alike."""

    linger: Linger
    seconds: float
    lanes: "list[_Partition]" = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None

    def is_half_due(self, now: float) -> bool:
        """Whether it has waited for at least half of its time."""
        return self.timer is not None and self.timer.when() - now <= self.seconds / 2


@dataclass(slots=True)
class _Partition:
    topic: str
    number: int
    essential: bool
    departure: _Departure
    open: Batch | None = None
    full: deque[Batch] = field(default_factory=deque)
    sending: bool = False


class Emitter:
    """Emits records and says when the broker has them. Lives on one event loop."""

    def __init__(
        self,
        may_send: Callable[[], bool] = lambda: True,
        epoch: Callable[[], int] = lambda: 0,
        lingers: Mapping[str, Linger] = MappingProxyType({}),
        linger: Linger = SOON,
        sent: Callable[[str, int], None] = lambda _topic, _partition: None,
    ) -> None:
        """``may_send`` says whether anything may be sent now; ``epoch`` is the assignment's generation; ``linger`` is that of topics that
        are not among ``lingers``; ``sent`` is told the topic and partition of each batch that the broker has."""
        self._lingers = lingers
        self._linger = linger
        self._departures = {each: _Departure(each, each.least) for each in {linger, *lingers.values()}}
        self._may_send = may_send
        self._epoch = epoch
        self._sent = sent
        self._partitions: dict[tuple[str, int], _Partition] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._producer: AIOKafkaProducer | None = None
        self._refused: Refused | None = None
        self._valid_from = 0
        """The epoch before which nothing may go out any more: the right to send has lapsed since."""

    def start(self, producer: AIOKafkaProducer, refused: Refused | None = None) -> None:
        """Use ``producer``, which must be idempotent and started. ``refused`` gets what the broker will not take, except of tables."""
        self._producer = producer
        self._refused = refused
        self._loop = asyncio.get_running_loop()

    def emit(self, topic: str, partition: int, key: bytes | None, value: bytes | None, *, essential: bool = False) -> Batch:
        """Put a record into the open batch of its partition and return that batch. ``value`` None is a tombstone.

        ``essential`` topics are those whose records may not be refused one by one: changelogs. Await ``batch.acked`` for
        the broker's word. Raises :class:`TooLarge`.
        """
        if len(key or b"") + len(value or b"") > MAX_RECORD:
            raise TooLarge(f"{topic}: a record of {len(value or b'')} bytes; the limit is {MAX_RECORD}")
        where = (topic, partition)
        lane = self._partitions.get(where)
        if lane is None:
            lane = self._partitions[where] = _Partition(
                topic, partition, essential, self._departures[self._lingers.get(topic, self._linger)]
            )
        batch, epoch = lane.open, self._epoch()
        # a batch is of one assignment: what is held back of an old one takes nothing of the new one with it
        if batch is None or batch.epoch != epoch or batch.builder.append(key=key, value=value, timestamp=None) is None:
            if batch is not None:
                lane.full.append(batch)
                self._pump(lane)
            batch = lane.open = self._new_batch(epoch)
            batch.builder.append(key=key, value=value, timestamp=None)
            departure = lane.departure
            if departure.timer is None:
                departure.timer = self._loop.call_later(departure.seconds, self._leave, departure)
            departure.lanes.append(lane)
        batch.records.append((key, value))
        if essential:
            batch.size += size_of((key, value))
        return batch

    def make_room(self, topic: str, partition: int, size: int) -> None:
        """See to it that records of an essential topic, of so many bytes (:func:`size_of`), come into one batch, if any can hold them."""
        lane = self._partitions.get((topic, partition))
        if lane is not None and lane.open is not None and lane.open.size + size > MAX_BATCH:
            lane.full.append(lane.open)
            lane.open = None
            self._pump(lane)

    def _new_batch(self, epoch: int) -> Batch:
        if self._producer is None:
            raise RuntimeError("the emitter is not started")
        return Batch(self._producer.create_batch(), self._loop.create_future(), epoch)

    def _leave(self, departure: _Departure) -> None:
        """Its time is up; others that would follow soon go with it: to worker and broker a request costs as much as a hundred batches."""
        now = self._loop.time()
        for each in self._departures.values():
            if each is departure or each.is_half_due(now):
                self._depart(each)

    def _depart(self, departure: _Departure) -> None:
        if departure.timer is not None:
            departure.timer.cancel()
        lanes, departure.lanes, departure.timer = departure.lanes, [], None
        linger = departure.linger
        departure.seconds = min(max(linger.least, linger.each * len(lanes)), linger.most)
        for lane in lanes:
            if lane.open:
                lane.open.due = True
            self._pump(lane)

    def _pump(self, lane: _Partition) -> None:
        if not lane.sending:
            lane.sending = True
            task = self._loop.create_task(self._send(lane))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, lane: _Partition) -> None:
        """Send what is due, one batch after another: the order in a partition is the order of ``emit``."""
        assert self._producer is not None
        try:
            while lane.full or (lane.open and lane.open.due):
                if lane.open and not lane.full:
                    lane.full.append(lane.open)
                    lane.open = None
                batch = lane.full.popleft()
                try:
                    batch.acked.set_result(await self._deliver(lane, batch))
                    self._sent(lane.topic, lane.number)
                except Exception as error:
                    batch.acked.set_exception(error)
                    batch.acked.exception()  # whoever waits gets it; nobody waiting is no warning
        finally:
            lane.sending = False

    async def _deliver(self, lane: _Partition, batch: Batch) -> int:
        """Send a batch and return the offset of its first record. If the broker refuses it, find the record that it means."""
        try:
            return await self._send_batch(lane, batch)
        except REFUSALS as error:
            if self._refused is None or lane.essential:
                raise
            if batch.count == 1:
                key, value = batch.records[0]
                await self._refused(lane.topic, key, value, repr(error))
                return -1
        for key, value in batch.records:
            single = self._new_batch(batch.epoch)
            single.builder.append(key=key, value=value, timestamp=None)
            single.records.append((key, value))
            await self._deliver(lane, single)
        return -1

    async def _send_batch(self, lane: _Partition, batch: Batch) -> int:
        producer: Any = self._producer
        # asked for each batch that goes out, also for one record of a refused batch: the process may have stood still in between
        await self.until_allowed(batch.epoch)
        try:
            sent = await producer.send_batch(batch.builder, lane.topic, partition=lane.number)
            return int((await sent).offset)
        except REFUSALS:
            # aiokafka counts a refused batch in the idempotent sequence, and every later one would be out of order
            sequence = producer._txn_manager._sequence_numbers
            sequence[TopicPartition(lane.topic, lane.number)] -= batch.count
            raise

    async def until_allowed(self, epoch: int) -> None:
        """Return when what belongs to an assignment may go out. What was begun before this process stood still may not, once
        another worker has taken over: :class:`Superseded`.
        """
        if not self._may_send():
            while not self._may_send():  # noqa: ASYNC110 - time itself is waited for
                await asyncio.sleep(0.05)
            self._valid_from = self._epoch()
        if epoch < self._valid_from:
            raise Superseded

    async def send(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        """Emit one record at once and wait for the broker. Raises what the producer raises (``KafkaError``), or :class:`TooLarge`."""
        batch = self.emit(topic, partition, key, value)
        batch.due = True
        self._pump(self._partitions[topic, partition])
        await asyncio.shield(batch.acked)

    async def flush(self) -> None:
        """Wait until everything emitted so far has been answered."""
        while any(departure.lanes for departure in self._departures.values()) or self._tasks:
            for departure in self._departures.values():
                self._depart(departure)
            if self._tasks:
                await asyncio.wait(self._tasks)
