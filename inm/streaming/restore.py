"""Restore: bring a database up to the end of its changelog, fetch → WriteBatch.

Faust's own recovery reads record by record through the stream machinery (14 000 rows/s) and takes a dropped chunk
for a complete one; this reads with a consumer of its own and is done when the position has passed the end.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from inm.streaming.tables import Database

log = logging.getLogger("inm.restore")


async def restore(databases: Mapping[TopicPartition, Database], new_consumer: Callable[[], AIOKafkaConsumer]) -> int:
    """Read each changelog partition from the database's offset to its present end. Returns the rows read.

    A database that is ahead of its changelog followed another one (a topic deleted and made anew): it is wiped.
    Raises ``KafkaError`` when the broker does not answer; call again, it goes on where it stood.
    """
    if not databases:
        return 0
    consumer = new_consumer()
    await consumer.start()
    try:
        return await _read(databases, consumer)
    finally:
        await consumer.stop()


async def _read(databases: Mapping[TopicPartition, Database], consumer: Any) -> int:
    partitions = list(databases)
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    begins = await consumer.beginning_offsets(partitions)
    starts: dict[TopicPartition, int] = {}
    for tp, database in databases.items():
        if database.offset >= ends[tp]:
            log.warning("table of %s is ahead of its changelog: rebuilding it", tp.topic)
            await asyncio.to_thread(database.wipe)
        starts[tp] = max(database.offset + 1, begins[tp])
    rows = 0
    async for tp, records in to_the_ends(consumer, starts, ends, 20_000):
        databases[tp].write({record.key: record.value for record in records}, records[-1].offset)
        rows += len(records)
    return rows


async def to_the_ends(
    consumer: Any, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int], at_most: int
) -> AsyncIterator[tuple[TopicPartition, list[Any]]]:
    """What the assigned partitions have from their starts (none: nothing of it) to their ends, up to ``at_most`` records at a time."""
    behind = {tp: ends[tp] for tp, start in starts.items() if start < ends[tp]}
    consumer.pause(*[tp for tp in ends if tp not in behind])
    for tp in behind:
        consumer.seek(tp, starts[tp])
    while behind:
        for tp, records in (await consumer.getmany(timeout_ms=200, max_records=at_most)).items():
            yield tp, records
        # the position, not the last record: compaction and aborted transactions leave holes at the end
        for tp in [tp for tp, end in behind.items() if await consumer.position(tp) >= end]:
            del behind[tp]
            consumer.pause(tp)


async def tail(topics: Iterable[str], partitions: set[int], since: int, new_consumer: Callable[[], AIOKafkaConsumer]) -> AsyncIterator[Any]:
    """The records of these partitions of the topics from a time (ms) to their present ends."""
    consumer: Any = new_consumer()
    await consumer.start()
    try:
        wanted = [TopicPartition(topic, partition) for topic in topics for partition in partitions]
        consumer.assign(wanted)
        ends = await consumer.end_offsets(wanted)
        found = await consumer.offsets_for_times(dict.fromkeys(wanted, since))
        starts = {tp: at.offset for tp, at in found.items() if at is not None}
        async for _, records in to_the_ends(consumer, starts, ends, 5_000):
            for record in records:
                yield record
    finally:
        await consumer.stop()
