"""Rows of tables, read from their changelogs: no worker need be running."""

from collections.abc import AsyncIterator, Collection, Iterable

from aiokafka import TopicPartition

from inm import topics
from inm.settings import Settings, kafka_client
from inm.streaming.restore import new_consumer, to_the_ends


async def find(settings: Settings, table: str, partition: int, keys: Collection[str]) -> dict[str, bytes | None]:
    """The last row of each key; None if there is none, or no such table yet."""
    wanted = {key.encode(): key for key in keys}
    found: dict[str, bytes | None] = dict.fromkeys(keys)
    if partition < settings.partitions:
        async for key, row in _changes(settings, table, [partition]):
            if key in wanted:
                found[wanted[key]] = row
    return found


async def search(settings: Settings, table: str, text: str) -> list[bytes]:
    """The rows that have the text somewhere."""
    needle = text.encode()
    found: dict[bytes, bytes | None] = {}
    async for key, row in _changes(settings, table, range(settings.partitions)):
        if key in found or (row is not None and needle in row):
            found[key] = row
    return [row for row in found.values() if row is not None and needle in row]


async def _changes(settings: Settings, table: str, partitions: Iterable[int]) -> AsyncIterator[tuple[bytes, bytes | None]]:
    """Keys with their rows as they were written, up to the present; nothing if there is no such table yet."""
    consumer = new_consumer(settings.broker.servers, kafka_client(settings))
    await consumer.start()
    try:
        tps = [TopicPartition(topics.changelog(table), partition) for partition in partitions]
        if topics.changelog(table) not in await consumer.topics():
            return
        consumer.assign(tps)
        async for _, records in to_the_ends(consumer, dict.fromkeys(tps, 0), await consumer.end_offsets(tps), 20_000):
            for record in records:
                yield record.key, record.value
    finally:
        await consumer.stop()
