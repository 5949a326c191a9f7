"""Restore: bring a database up to the end of its changelog, fetch → WriteBatch.

Faust's own recovery reads record by record through the stream machinery (14 000 rows/s) and takes a dropped chunk
for a complete one; this reads with a consumer of its own and is done when the position has passed the end.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from inm.streaming.database import Database

log = logging.getLogger("inm.restore")


TOMBSTONES = 24 * 3600 * 1000
"""Milliseconds for which a changelog keeps the record of a deletion: ``delete.retention.ms`` of each changelog topic."""
MANY = 100_000
"""Records that a database is behind from which on it is filled: to open it for that, and again, takes as long as some 20 000 of them."""
LONGEST_AWAY = TOMBSTONES // 2
"""Milliseconds after which a folder is not continued. Half of the above, so that neither a slow restore nor a wrong clock matters."""


def outdated(database: Database, begin: int, end: int, now: int) -> str | None:
    """Why a database cannot be continued by its changelog, which now (ms) has the offsets [begin, end); None if it can.

    Compaction forgets deletions in the end. Whoever reads on after that from where he stood keeps rows that are long gone.
    """
    if database.offset >= end:
        return "is ahead of its changelog, which is another one"
    if database.offset in (-1, end - 1):  # nothing in it, or nothing missing
        return None
    if database.offset + 1 < begin:
        return "has not what its changelog began with"
    if abs(now - database.known_at) > LONGEST_AWAY:
        return f"is {abs(now - database.known_at) / 3_600_000:.1f} h old: deletions since then may be forgotten"
    return None


def new_consumer(brokers: Sequence[str], client: Mapping[str, Any]) -> AIOKafkaConsumer:
    """A consumer without a group. ``brokers`` are host:port; ``client`` are aiokafka's security options."""
    return AIOKafkaConsumer(
        bootstrap_servers=list(brokers),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=1 << 20,
        **client,
    )


async def restore(databases: Mapping[TopicPartition, Database], new_consumer: Callable[[], AIOKafkaConsumer], now: int) -> int:
    """Read each changelog partition from the database's offset to its present end. Returns the rows read.

    ``now`` is the time (ms). A database that is :func:`outdated` is wiped and read from the beginning.
    Raises ``KafkaError`` when the broker does not answer; call again, it goes on where it stood.
    """
    if not databases:
        return 0
    consumer = new_consumer()
    await consumer.start()
    try:
        return await _read(databases, consumer, now)
    finally:
        await consumer.stop()


async def _read(databases: Mapping[TopicPartition, Database], consumer: Any, now: int) -> int:
    partitions = list(databases)
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    begins = await consumer.beginning_offsets(partitions)
    starts: dict[TopicPartition, int] = {}
    for tp, database in databases.items():
        reason = outdated(database, begins[tp], ends[tp], now)
        if reason:
            log.warning("%s[%d]: the table on disk %s: building it anew", tp.topic, tp.partition, reason)
            await asyncio.to_thread(database.wipe)
        starts[tp] = max(database.offset + 1, begins[tp])
        if ends[tp] - starts[tp] >= MANY and not database.filling:
            await asyncio.to_thread(database.fill)
    # a row that is read has not been compacted away: its deletion, if there is one, is kept for TOMBSTONES from now on (KIP-534)
    known = {tp: database.known_at if database.offset >= 0 else now for tp, database in databases.items()}
    rows = 0
    async for tp, records in to_the_ends(consumer, starts, ends, 20_000):
        databases[tp].write({record.key: record.value for record in records}, records[-1].offset, known[tp])
        rows += len(records)
    await asyncio.gather(*(asyncio.to_thread(database.serve) for database in databases.values() if database.filling))
    for tp, database in databases.items():
        database.write({}, max(database.offset, ends[tp] - 1), now)
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


async def tail(
    topics: Iterable[str], partitions: set[int], since: int, new_consumer: Callable[[], AIOKafkaConsumer]
) -> AsyncGenerator[Any, None]:
    """The records of these partitions of the topics from a time (ms) to their present ends."""
    wanted = [TopicPartition(topic, partition) for topic in topics for partition in partitions]
    if not wanted:
        return
    consumer: Any = new_consumer()
    await consumer.start()
    try:
        consumer.assign(wanted)
        ends = await consumer.end_offsets(wanted)
        found = await consumer.offsets_for_times(dict.fromkeys(wanted, since))
        starts = {tp: at.offset for tp, at in found.items() if at is not None}
        async for _, records in to_the_ends(consumer, starts, ends, 5_000):
            for record in records:
                yield record
    finally:
        await consumer.stop()
