"""Rows of tables, read from their changelogs: no worker need be running."""

from collections.abc import Collection

from aiokafka import TopicPartition

from inm import topics
from inm.settings import Settings, kafka_client
from inm.streaming.restore import new_consumer, to_the_ends


async def find(settings: Settings, table: str, partition: int, keys: Collection[str]) -> dict[str, bytes | None]:
    """The last row of each key; None if there is none, or no such table yet."""
    wanted = {key.encode(): key for key in keys}
    found: dict[str, bytes | None] = dict.fromkeys(keys)
    if partition >= settings.partitions:
        return found
    consumer = new_consumer(settings.broker.servers, kafka_client(settings))
    await consumer.start()
    try:
        tp = TopicPartition(topics.changelog(table), partition)
        if tp.topic not in await consumer.topics():
            return found
        consumer.assign([tp])
        async for _, records in to_the_ends(consumer, {tp: 0}, await consumer.end_offsets([tp]), 20_000):
            found |= {wanted[record.key]: record.value for record in records if record.key in wanted}
    finally:
        await consumer.stop()
    return found
