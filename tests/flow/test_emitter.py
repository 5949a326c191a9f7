"""The emitter against a broker that refuses."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError

from inm.streaming.emitter import Emitter


@pytest.fixture
async def topic(kafka: str) -> AsyncIterator[str]:
    """A topic that takes 2 000 bytes a batch."""
    name = f"small-{uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": "2000"})])
    yield name
    await admin.close()


@pytest.fixture
async def producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    made = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True, max_batch_size=512 * 1024)
    await made.start()
    yield made
    await made.stop()


async def values(kafka: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_only_the_record_that_is_too_large_is_handed_over(kafka: str, topic: str, producer: AIOKafkaProducer) -> None:
    handed: list[bytes | None] = []

    async def refused(where: str, key: bytes | None, value: bytes | None, words: str) -> None:
        assert (where, key) == (topic, b"k")
        assert "MessageSizeTooLarge" in words
        handed.append(value)

    emitter = Emitter()
    emitter.start(producer, refused)
    large = b"x" * 3000
    for value in (b"first", large, b"second"):
        batch = emitter.emit(topic, 0, b"k", value)
    await batch.acked
    assert handed == [large]
    await emitter.send(topic, 0, b"k", b"afterwards")
    await emitter.send(topic, 0, b"k", b"and again")
    assert await values(kafka, topic, 4) == [b"first", b"second", b"afterwards", b"and again"]


async def test_a_changelog_may_not_lose_a_row(topic: str, producer: AIOKafkaProducer) -> None:
    async def refused(*_: object) -> None:
        raise AssertionError("a row was handed over")

    emitter = Emitter()
    emitter.start(producer, refused)
    batch = emitter.emit(topic, 0, b"k", b"x" * 3000, essential=True)
    with pytest.raises(MessageSizeTooLargeError):
        await batch.acked


async def test_who_cannot_take_a_refused_record_over_stops_what_waits_for_it(topic: str, producer: AIOKafkaProducer) -> None:
    async def refused(*_: object) -> None:
        raise RuntimeError("no room for dead letters either")

    emitter = Emitter()
    emitter.start(producer, refused)
    with pytest.raises(RuntimeError, match="no room"):
        await emitter.send(topic, 0, b"k", b"x" * 3000)
