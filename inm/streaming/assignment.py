"""What happens when partitions come: mark them as owned, restore their tables, let the streams run.

Takes the place of Faust's table recovery; Faust calls :meth:`Assignments.on_rebalance` for every new assignment.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.tables.manager import TableManager
from faust.types import TP

from inm import metrics
from inm.streaming.chunks import AckQueue, now_ms
from inm.streaming.consumer import Consumer
from inm.streaming.database import Database
from inm.streaming.emitter import Emitter
from inm.streaming.fatal import EXIT_ASSIGNMENT, leave
from inm.streaming.restore import restore
from inm.streaming.tables import Table

log = logging.getLogger("inm.assignment")


class Assignments(TableManager):
    """The worker's tables and the steps between an assignment and the first record."""

    tables: list[Table]
    """All tables of the application."""
    copartitioned: frozenset[str]
    """Topics whose partition n must live where partition n of the tables lives."""
    emitter: Emitter
    folder: Path
    new_consumer: Callable[[], AIOKafkaConsumer]
    recall: Callable[[set[int], int], Awaitable[None]]
    """Learns what was emitted to these partitions since a time (ms), so that a replay does not emit it again; of others it forgets that."""

    on_held: Callable[[int], None] = staticmethod(lambda _held: None)
    """Told how many partitions of the tables are held, before the first record of an assignment."""
    on_leaving: Callable[[], None] = staticmethod(lambda: None)
    """Told that the assignment ends: what was begun has :data:`~inm.streaming.consumer.DRAIN_LIMIT` to finish."""

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.ready = asyncio.Event()
        self.partitions: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def consumer(self) -> Consumer:
        return cast(Consumer, self.app.consumer)

    async def on_start(self) -> None:
        """Faust's own tables are not used: nothing to wait for before the subscription."""
        self._tables_finalized.set()
        self._tables_registered.set()

    async def on_stop(self) -> None:
        self._cancel()
        await cast(Any, self.app)._fetcher.stop()
        for table in self.tables:
            table.close()

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self._cancel()
        self.on_leaving()

    def _cancel(self) -> None:
        self.ready.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0) -> None:
        """Begin in a task of its own: the group must not wait for a restore."""
        self._cancel()
        self._task = asyncio.create_task(self._take_over(set(assigned), generation_id))

    async def _take_over(self, assigned: set[TP], generation: int) -> None:
        try:
            await self._until_prepared(assigned)
            if self.app.consumer_generation_id == generation:
                self.on_held(len(self.partitions))
                await self._resume(assigned)
        except Exception as error:
            log.exception("cannot take over %d partitions", len(assigned))
            leave(EXIT_ASSIGNMENT, repr(error))

    async def _until_prepared(self, assigned: set[TP]) -> None:
        while True:
            try:
                return await self._prepare(assigned)
            except (KafkaError, TimeoutError) as error:
                log.warning("assignment not ready yet: %r", error)
                await asyncio.sleep(0.5)

    async def _prepare(self, assigned: set[TP]) -> None:
        self.partitions = self._copartitions(assigned)
        held = {table: self._partitions_of(table, assigned) for table in self.tables}
        for table, partitions in held.items():
            table.close(keep=partitions)
        await self._own(assigned)
        databases = {
            (table, partition): await asyncio.to_thread(table.database, self.folder, partition)
            for table, partitions in held.items()
            for partition in partitions
        }
        await self._restore(databases)
        for (table, partition), database in databases.items():
            table.serve(partition, database, self.emitter, leave, lambda: self.consumer.lease)

    def _partitions_of(self, table: Table, assigned: Iterable[TP]) -> set[int]:
        return self.partitions if table.topic is None else {tp.partition for tp in assigned if tp.topic == table.topic}

    def _copartitions(self, assigned: Iterable[TP]) -> set[int]:
        by_topic = {topic: {tp.partition for tp in assigned if tp.topic == topic} for topic in self.copartitioned}
        partitions = set.union(*by_topic.values()) if by_topic else set()
        torn = {topic for topic, held in by_topic.items() if held != partitions}
        if torn:
            raise RuntimeError(f"topics {sorted(torn)} are not assigned together with their tables: do all have the same partition count?")
        return partitions

    async def _own(self, assigned: set[TP]) -> None:
        """Learn how the former owner left, then mark every partition as begun before anything of it is.

        Without the mark of a clean leave, records up to the present end may have been begun, and what they caused may be out.
        """
        client = self.consumer.client
        found = await client.committed(assigned)
        begins = await client.begins(assigned)
        # what is no time was not committed by a worker but reset by an operator, who wants it processed again
        unclean = {tp for tp, at in found.items() if at.metadata.isdigit()}
        suspect = await client.ends(unclean) if unclean else {}
        since = min((int(found[tp].metadata) for tp in unclean), default=0)
        if unclean:
            log.warning("%d partitions were not left clean: reading what their owner emitted since %d", len(unclean), since)
        await self.recall({tp.partition for tp in unclean}, since)
        acks = {tp: AckQueue(max(found[tp].offset if tp in found else 0, begins[tp])) for tp in assigned}
        for tp in unclean:
            acks[tp].suspect_until, acks[tp].suspect_since = suspect[tp], int(found[tp].metadata)
        if acks:
            now = now_ms()
            await client.commit_with({tp: (queue.committed or 0, str(queue.begun_since(now))) for tp, queue in acks.items()})
        for tp, queue in acks.items():
            client.seek(tp, queue.committed or 0)
        self.consumer.begin(acks)

    async def _restore(self, databases: dict[tuple[Table, int], Database]) -> None:
        by_changelog = {TopicPartition(table.changelog, partition): database for (table, partition), database in databases.items()}
        began = asyncio.get_running_loop().time()
        rows = await restore(by_changelog, self.new_consumer, now_ms())
        took = asyncio.get_running_loop().time() - began
        metrics.RESTORED.inc(rows)
        metrics.RESTORE_SECONDS.inc(took)
        log.info("restored %d rows of %d table partitions in %.1f s", rows, len(by_changelog), took)

    async def _resume(self, assigned: set[TP]) -> None:
        app = cast(Any, self.app)
        self.consumer.resume_partitions(assigned)
        app.flow_control.resume()
        self.consumer.resume_flow()
        await app._fetcher.maybe_start()
        app.on_rebalance_end()
        self.ready.set()
        log.info("ready: %d partitions, %d of the tables", len(assigned), len(self.partitions))

    async def wait_until_recovery_completed(self) -> bool:
        return bool(await self.wait_for_stopped(cast(Any, self.ready)))
