"""The Faust consumer as INM needs it: chunks instead of records, own acks, nothing committed past what is unfinished."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping
from time import monotonic
from typing import Any, cast

from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from inm.streaming.chunks import AckQueue, Chunk, now_ms
from inm.streaming.client import Client

log = logging.getLogger("inm.consumer")

OUTSTANDING = 2 * 1024 * 1024
"""Bytes of a topic fetched and not finished above which it is left out of the next fetch."""
FETCH_TIMEOUT = 0.2
"""Seconds a fetch waits for data: also how long a topic that has room again may wait to be asked for."""
DRAIN_LIMIT = 5.0
"""Seconds a rebalance or stop waits for chunks that stages have begun."""
CLEAN = "clean"
"""Commit metadata of an owner that has left with nothing begun and unfinished. While a partition is owned, the metadata is the
time (ms) before which nothing was emitted that a replay from this commit would emit again."""
REFRESH = 10.0
"""Seconds after which that time is renewed also where nothing was committed."""
REMEMBER = 60.0
"""Seconds after a replay in which what it repeated may still be under way: a successor asks for what the dead owner had emitted, too."""


class Consumer(driver.Consumer):
    """Drains chunks to the agents' streams and commits the finished prefix of each partition.

    Closes of ``faust-streaming`` 0.15.3: #606 (commit past a record in flight) and #502 (acks forgotten by a rebalance)
    by :class:`AckQueue` and :meth:`wait_empty`; the task pair a record of ``_drain_messages`` (half of all its cost);
    fetched records dropped while the flow is inactive, by :meth:`_rewind`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.acks: dict[TP, AckQueue] = {}
        self.replaying = False
        self.ticks: dict[tuple[str, int], int] = {}
        """When ticks under way began (ms), by stage and partition: they emit before they delete, as chunks do."""
        self.progressed_at = self.read_at = self._refreshed_at = self._replayed_at = monotonic()
        self._committing = asyncio.Lock()

    def _new_consumer_thread(self) -> Client:
        return Client(self, loop=self.loop, beacon=self.beacon)

    @property
    def client(self) -> Client:
        return cast(Client, self._thread)

    def begin(self, acks: dict[TP, AckQueue]) -> None:
        """A new assignment: where each partition stands."""
        self.acks = acks
        self.client.leased = self.app.consumer_generation_id
        self.client.renew_lease(monotonic())
        self.replaying = any(queue.suspect_since for queue in acks.values())
        self.progressed_at = self.read_at = self._refreshed_at = self._replayed_at = monotonic()

    # -- fetching ---------------------------------------------------------------------------------

    async def _drain_messages(self, fetcher: Any) -> None:
        while not (fetcher.should_stop or self.should_stop):
            if not self.flow_active:
                await self.wait(cast(Any, self.can_resume_flow))
                continue
            wanted = self._wanted()
            if not wanted:
                await self.sleep(0.05)
                continue
            generation = self.app.consumer_generation_id
            fetched = await self._getmany(wanted, FETCH_TIMEOUT)
            if fetched:
                self.read_at = monotonic()
                self.client.fetches.brought(fetched)
            for tp, records in fetched.items():
                if self._may_begin(tp, generation):
                    self._hand_over(TP(*tp), records, generation)
                else:
                    await self._rewind(tp, records[0].offset)
            if self.replaying or not fetched:
                self._skip(wanted.difference(fetched), generation)

    def _skip(self, silent: set[TP], generation: int) -> None:
        """Step over what is at the end of a partition and no record: marks of transactions, and what they took back."""
        for tp in silent:
            if self._may_begin(tp, generation):
                self.acks[tp].skip(self.client.reads_next(tp))

    def _may_begin(self, tp: TP, generation: int) -> bool:
        return self.flow_active and self.app.consumer_generation_id == generation and tp in self.acks

    def _wanted(self) -> set[TP]:
        """The partitions to fetch: the active ones of topics that have room."""
        outstanding: dict[str, int] = defaultdict(int)
        for tp, queue in self.acks.items():
            if queue.pending:
                outstanding[tp.topic] += queue.outstanding
        return {tp for tp in self._get_active_partitions() if tp in self.acks and outstanding[tp.topic] < OUTSTANDING}

    def _hand_over(self, tp: TP, records: list[Any], generation: int) -> None:
        limit = cast(Any, self.app).chunk_limits.get(tp.topic, len(records))
        for start in range(0, len(records), limit):
            self._deliver(tp, records[start : start + limit], generation)

    def _deliver(self, tp: TP, records: list[Any], generation: int) -> None:
        size = sum(len(record.value or b"") + len(record.key or b"") for record in records)
        chunk = Chunk(tp, records, generation, self.acks[tp].suspect_until, size)
        self.acks[tp].add(chunk)
        message = cast(Any, ConsumerMessage)(
            tp.topic, tp.partition, chunk.first, None, None, [], None, chunk, None, 0, size, tp, generation_id=generation
        )  # fmt: skip
        for channel in cast(Any, self.app.topics)._tp_index[tp]:
            channel.queue.put_nowait(channel._create_event(None, chunk, headers=None, message=message))

    async def _rewind(self, tp: TP, offset: int) -> None:
        """Fetched, but a rebalance came between. Faust drops such records and relies on a committed offset that a fresh group has not."""
        if tp in self.assignment():
            try:
                await self._seek(tp, offset)
            except Exception as error:  # the assignment ended meanwhile: the next one starts from the commit
                log.info("could not seek back %s to %d: %r", tp, offset, error)

    # -- acks and commits -------------------------------------------------------------------------

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what has finished. Called every ``broker_commit_interval`` by Faust's own timer."""
        async with self._committing:
            everything = monotonic() - self._refreshed_at > REFRESH
            at = self._finished(everything)
            now = now_ms()
            done = await self._commit_now({tp: (offset, str(self._begun_since(tp, now))) for tp, offset in at.items()})
            if done and everything:
                self._refreshed_at = monotonic()
            self._note_replayed()
            return done

    def _note_replayed(self) -> None:
        """Tell once when everything that a dead owner may have begun has been processed again, and that is :data:`REMEMBER` ago."""
        if self.replaying and any(queue.replaying for queue in self.acks.values()):
            self._replayed_at = monotonic()
        elif self.replaying and monotonic() - self._replayed_at > REMEMBER:
            self.replaying = False
            for queue in self.acks.values():
                queue.suspect_since = 0
            cast(Any, self.app).on_replayed()

    async def _commit_clean(self) -> None:
        """The last commit of an assignment: what has nothing begun and unfinished is left clean."""
        async with self._committing:
            ticking = {partition for _, partition in self.ticks}
            clean = {tp for tp, queue in self.acks.items() if queue.clean and tp.partition not in ticking}
            at = self._finished(everything=True)
            await self._commit_now({tp: (at[tp], CLEAN if tp in clean else str(self._begun_since(tp, now_ms()))) for tp in at})

    def _begun_since(self, tp: TP, now: int) -> int:
        """The time (ms) before which nothing was emitted in this partition that a replay would emit again."""
        ticks = (begun_at for (_, partition), begun_at in self.ticks.items() if partition == tp.partition)
        return min(self.acks[tp].begun_since(now), min(ticks, default=now))

    def _finished(self, everything: bool) -> dict[TP, int]:
        """The offsets to commit; with ``everything`` also of partitions where none has changed."""
        found = {}
        for tp, queue in self.acks.items():
            at = queue.committable()
            if at is None and everything:
                at = queue.committed
            if at is not None:
                found[tp] = at
        return found

    async def _commit_now(self, offsets: Mapping[TP, tuple[int, str]]) -> bool:
        if not offsets:
            return False
        try:
            await self.client.commit_with(offsets)
        except Exception as error:
            # a rebalance, or no broker: what is not committed is tried again or replayed, never lost
            log.warning("commit of %d partitions failed: %r", len(offsets), error)
            return False
        for tp, (at, _) in offsets.items():
            if tp in self.acks and self.acks[tp].committed != at:
                self.acks[tp].committed = at
                self.progressed_at = monotonic()
        return True

    @property
    def pending(self) -> int:
        """Chunks fetched and not yet committed."""
        return sum(queue.pending for queue in self.acks.values())

    @property
    def worked_since(self) -> float | None:
        """Since when (monotonic) the chunk has been under way that holds up its partition longest."""
        return min((since for queue in self.acks.values() if (since := queue.worked_since) is not None), default=None)

    @property
    def lease(self) -> bool:
        """Whether the partitions are certainly ours."""
        return monotonic() < self.client.lease_until

    async def wait_for_lease(self) -> None:
        """Return when the partitions are certainly ours, or the assignment is over."""
        while not self.lease and self.flow_active:  # noqa: ASYNC110 - time itself is waited for
            await asyncio.sleep(0.05)

    @property
    def lagging(self) -> int:
        """Partitions that have records which may be read and are not."""
        return sum(map(self.client.lags, self._wanted()))

    def backlog(self) -> dict[TP, tuple[int, int | None]]:
        """By partition: how many records are there and not finished, and the time (ms) of the oldest of them, if it was fetched."""
        found = {}
        for tp, queue in self.acks.items():
            oldest = queue.oldest
            reached = oldest.first if oldest else self.client.reads_next(tp)
            found[tp] = (max(0, self.client.end(tp) - reached), int(oldest.records[0].timestamp) if oldest else None)
        return found

    async def wait_empty(self) -> None:
        """Let begun chunks finish (bounded), commit, and say whether the partition is left clean.

        Chunks not begun were dropped with the streams' queues; they stay before the commit and come again.
        """
        end = monotonic() + DRAIN_LIMIT
        while (self.ticks or any(queue.started for queue in self.acks.values())) and monotonic() < end:  # noqa: ASYNC110 - an event would cost the hot path
            await asyncio.sleep(0.005)
        await self._commit_clean()
        self.acks.clear()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """As Faust, without forgetting the acks first (#502)."""
        self._active_partitions.difference_update(revoked)
        self._paused_partitions.difference_update(revoked)
        await self._on_partitions_revoked(revoked)

    async def verify_all_partitions_active(self) -> None:
        """Faust only logs here, four times a second and partition; :mod:`inm.streaming.watchdog` acts."""

    async def perform_seek(self) -> None:
        """Positions are set once, by the assignment."""
