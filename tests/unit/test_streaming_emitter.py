"""Batches: one a partition, in order, sent when due or full, and answered to everyone who waits."""

import asyncio
from collections import defaultdict
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder

from inm.streaming.emitter import MAX_BATCH, MAX_RECORD, Emitter, Linger, Superseded, TooLarge, size_of

SHORT = Linger(0.001, 0.001, 0)


class Producer:
    """Takes batches; answers when the test says so."""

    def __init__(self, batch_size: int = 200) -> None:
        self.sent: list[tuple[str, int, int]] = []
        self.answers: list[asyncio.Future[Any]] = []
        self.arrived = asyncio.Event()
        self._batch_size = batch_size

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(self._batch_size, 0, is_transactional=False)

    async def send_batch(self, builder: BatchBuilder, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        self.sent.append((topic, partition, builder.record_count()))
        self.answers.append(asyncio.get_running_loop().create_future())
        self.arrived.set()
        return self.answers[-1]

    async def next(self) -> "asyncio.Future[Any]":
        await self.arrived.wait()
        self.arrived.clear()
        return self.answers[-1]


class Place:
    def __init__(self, offset: int) -> None:
        self.offset = offset


def emitter(producer: Producer) -> Emitter:
    made = Emitter(linger=SHORT)
    made.start(producer)
    return made


async def test_records_of_a_partition_share_a_batch_and_its_answer() -> None:
    producer = Producer()
    out = emitter(producer)
    first, second = out.emit("t", 0, b"k", b"1"), out.emit("t", 0, b"k", b"2")
    other = out.emit("t", 1, b"k", b"3")
    assert first is second
    assert other is not first
    (await producer.next()).set_result(Place(7))
    for answer in producer.answers:
        if not answer.done():
            answer.set_result(Place(7))
    assert await first.acked == 7
    assert sorted(producer.sent) == [("t", 0, 2), ("t", 1, 1)]


async def test_while_a_batch_is_under_way_the_next_one_fills_and_keeps_the_order() -> None:
    producer = Producer()
    out = emitter(producer)
    first = out.emit("t", 0, None, b"1")
    under_way = await producer.next()
    second, third = out.emit("t", 0, None, b"2"), out.emit("t", 0, None, b"3")
    await asyncio.sleep(0.01)
    assert len(producer.sent) == 1
    under_way.set_result(Place(0))
    (await producer.next()).set_result(Place(1))
    assert second is third is not first
    assert await second.acked == 1
    assert [count for _, _, count in producer.sent] == [1, 2]


async def test_a_full_batch_goes_at_once() -> None:
    producer = Producer()
    out = Emitter(linger=Linger(3600, 3600, 0))
    out.start(producer)
    batches = {out.emit("t", 0, None, b"x" * 90) for _ in range(3)}
    await producer.next()
    assert len(batches) > 1


async def test_a_refusal_reaches_who_waits() -> None:
    producer = Producer()
    out = emitter(producer)
    batch = out.emit("t", 0, None, b"1")
    (await producer.next()).set_exception(RuntimeError("refused"))
    with pytest.raises(RuntimeError, match="refused"):
        await batch.acked


async def test_what_the_broker_would_refuse_is_refused_here() -> None:
    with pytest.raises(TooLarge):
        emitter(Producer()).emit("t", 0, None, b"x" * (MAX_RECORD + 1))


async def test_what_is_half_due_leaves_with_what_is_due_and_the_rest_stays() -> None:
    producer = Producer()
    lingers = {topic: Linger(seconds, seconds, 0) for topic, seconds in (("soon", 0.05), ("half", 0.08), ("late", 60.0))}
    told: list[tuple[str, int]] = []
    out = Emitter(lingers=lingers, sent=lambda topic, partition: told.append((topic, partition)))
    out.start(producer)
    batches = [out.emit(topic, 0, None, b"1") for topic in ("late", "half", "soon")]
    await producer.next()
    await asyncio.sleep(0)
    assert sorted(topic for topic, *_ in producer.sent) == ["half", "soon"]
    for answer in producer.answers:
        answer.set_result(Place(0))
    await asyncio.gather(*(batch.acked for batch in batches[1:]))
    assert sorted(told) == [("half", 0), ("soon", 0)]


async def test_flush_waits_for_every_answer() -> None:
    producer = Producer()
    out = emitter(producer)
    out.emit("t", 0, None, b"1")
    flushing = asyncio.ensure_future(out.flush())
    answer = await producer.next()
    assert not flushing.done()
    answer.set_result(Place(0))
    await flushing


async def test_what_was_filled_before_a_standstill_does_not_go_out_when_others_have_taken_over() -> None:
    producer = Producer()
    allowed, generation = False, 1
    out = Emitter(lambda: allowed, lambda: generation, linger=SHORT)
    out.start(producer)
    stale = out.emit("t", 0, None, b"1")
    await asyncio.sleep(0.02)
    assert producer.sent == []
    allowed, generation = True, 2
    with pytest.raises(Superseded):
        await stale.acked
    fresh = out.emit("t", 0, None, b"2")
    (await producer.next()).set_result(Place(0))
    assert await fresh.acked == 0


async def test_what_was_held_and_is_still_ours_goes_out() -> None:
    producer = Producer()
    allowed = False
    out = Emitter(lambda: allowed, linger=SHORT)
    out.start(producer)
    batch = out.emit("t", 0, None, b"1")
    await asyncio.sleep(0.01)
    allowed = True
    (await producer.next()).set_result(Place(3))
    assert await batch.acked == 3


async def test_what_is_held_back_of_an_old_assignment_takes_nothing_of_the_new_one_with_it() -> None:
    producer = Producer()
    allowed, generation = False, 1
    out = Emitter(lambda: allowed, lambda: generation, linger=SHORT)
    out.start(producer)
    first, waiting = out.emit("t", 0, None, b"1"), None
    while waiting is None or waiting is first:  # one is held back, another one fills behind it
        await asyncio.sleep(0.002)
        waiting = out.emit("t", 0, None, b"2")
    generation = 2
    fresh = out.emit("t", 0, None, b"3")
    allowed = True
    for stale in (first, waiting):
        with pytest.raises(Superseded):
            await stale.acked
    (await producer.next()).set_result(Place(0))
    assert await fresh.acked == 0
    assert producer.sent == [("t", 0, 1)]


async def test_the_rest_of_a_refused_batch_does_not_go_out_when_others_have_taken_over() -> None:
    producer = Producer()
    producer._txn_manager = SimpleNamespace(_sequence_numbers=defaultdict(int))  # type: ignore[attr-defined]
    generation, lost, buried = 1, False, []

    async def bury(topic: str, key: bytes | None, value: bytes | None, words: str) -> None:
        buried.append(value)

    out = Emitter(lambda: not lost, lambda: generation, linger=SHORT)
    out.start(cast(Any, producer), bury)
    for value in (b"1", b"2"):
        batch = out.emit("t", 0, None, value)
    (await producer.next()).set_exception(MessageSizeTooLargeError())
    answer = await producer.next()
    lost = True  # this process stands still for longer than its session
    answer.set_exception(MessageSizeTooLargeError())
    await asyncio.sleep(0.01)
    lost, generation = False, 2
    with pytest.raises(Superseded):
        await batch.acked
    assert (buried, len(producer.sent)) == ([b"1"], 2)


async def test_what_is_to_come_into_one_batch_does() -> None:
    """The open batch is sent as it is if it has no room for all of it."""
    producer = Producer(batch_size=MAX_BATCH)
    out = emitter(producer)
    first = out.emit("t", 0, b"k", bytes(MAX_BATCH // 2), essential=True)
    records = [(b"a", bytes(MAX_BATCH // 4)), (b"b", bytes(MAX_BATCH // 4)), (b"c", b"1")]
    out.make_room("t", 0, sum(map(size_of, records)))
    batches = {out.emit("t", 0, *record, essential=True) for record in records}
    assert len(batches) == 1
    assert first not in batches
    assert all(batch.size >= batch.builder.size() - BATCH_HEADER for batch in (first, *batches))


BATCH_HEADER = 61
"""Bytes before the first record (Kafka protocol, record batch); no builder counts them against its size before it closes."""
