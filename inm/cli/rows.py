"""Rows of tables, read from their changelogs: no worker need be running."""

from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition

from inm import topics
from inm.settings import Settings, kafka_client


async def find(settings: Settings, table: str, partition: int, keys: Collection[str]) -> dict[str, bytes | None]:
    """The last row of each key; None if there is none, or no such table yet."""
    wanted = {key.encode(): key for key in keys}
    found: dict[str, bytes | None] = dict.fromkeys(keys)
    if partition >= settings.partitions:
        return found
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.broker.servers, enable_auto_commit=False, auto_offset_reset="earliest", **kafka_client(settings)
    )  # fmt: skip
    await consumer.start()
    try:
        tp = TopicPartition(topics.changelog(table), partition)
        if tp.topic not in await consumer.topics():
            return found
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        while await consumer.position(tp) < end:
            for record in (await consumer.getmany(tp, timeout_ms=500)).get(tp, []):
                if record.key in wanted:
                    found[wanted[record.key]] = record.value
    finally:
        await consumer.stop()
    return found
