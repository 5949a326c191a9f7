"""A mirror of a compacted topic on a real Kafka, which goes away and comes back."""

import asyncio
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from inm.demo.kafka import Kafka
from inm.streaming.mirror import Mirror, Rows
from tests.support.tap import until

TOPIC = "inm.reference"


class Copy:
    """What a mirror has handed on."""

    def __init__(self, bootstrap: str) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.mirror = Mirror(TOPIC, lambda: AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest"), self.take)

    async def take(self, rows: Rows, whole: bool) -> None:
        for key, value in rows.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value


async def put(bootstrap: str, rows: Rows) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:
        for key, value in rows.items():
            await producer.send_and_wait(TOPIC, value, key, partition=0)


async def test_a_mirror_follows_and_survives_its_broker(fresh_kafka: Callable[[], Kafka]) -> None:
    kafka = await asyncio.to_thread(fresh_kafka)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, 1, 1, topic_configs={"cleanup.policy": "compact"})])
    await admin.close()
    copy = Copy(kafka.bootstrap)
    await copy.mirror.load()
    assert copy.rows == {}
    await put(kafka.bootstrap, {b"a": b"1", b"b": b"1"})
    await copy.mirror.load()
    assert copy.rows == {b"a": b"1", b"b": b"1"}

    follows = asyncio.create_task(copy.mirror.follow())
    try:
        await put(kafka.bootstrap, {b"a": b"2", b"b": None, b"c": b"1"})
        await until(lambda: copy.rows == {b"a": b"2", b"c": b"1"}, what=lambda: copy.rows)
        await asyncio.to_thread(kafka.kill)
        await until(lambda: copy.mirror.age > 2)
        assert copy.rows == {b"a": b"2", b"c": b"1"}, "it stands"
        await asyncio.to_thread(kafka.start)
        await put(kafka.bootstrap, {b"c": None, b"d": b"1"})
        await until(lambda: copy.rows == {b"a": b"2", b"d": b"1"}, what=lambda: copy.rows)
        await until(lambda: copy.mirror.age < 1)
    finally:
        follows.cancel()
        await asyncio.gather(follows, return_exceptions=True)
