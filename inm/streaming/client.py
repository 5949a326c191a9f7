"""aiokafka's consumer on the worker's own event loop, and what Faust does not pass on of it."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any, cast

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.utils.futures import maybe_async

from inm.streaming.fetching import Fetches

LEASE_MARGIN = 2.0
"""Seconds before the end of the session from which a member acts as if it had lost its partitions."""


class Client(driver.AIOKafkaConsumerThread):
    """aiokafka's consumer, with what Faust does not pass on: commit metadata, ends, and the lease.

    Faust gives it a thread and an event loop of its own. Python runs one thread at a time: each of the thread's turns waited for a busy
    stage to give way, three of them a fetch, and a hop took some milliseconds longer. Here it is one more task of the loop. Its
    heartbeats then stop when the loop does, and so they should.
    """

    lease_until = 0.0
    """Until when (monotonic clock) the broker certainly counts this member in: later it may have been replaced without knowing it."""
    leased = -1
    """The generation of the assignment that the lease is for: heartbeats of a later one say nothing about it."""

    def __init__(self, consumer: Any, *, loop: asyncio.AbstractEventLoop, beacon: Any) -> None:
        super().__init__(consumer, loop=loop, thread_loop=loop, beacon=beacon)
        self.fetches = Fetches()

    async def start(self) -> None:
        """As any service, without a thread."""
        self._thread_started.set()
        await self._default_start()

    async def stop(self) -> None:
        """What Faust's thread does at its end."""
        if self._started.is_set() and not self._stopped.is_set():
            self._stopped.set()
            await self.on_thread_stop()
            await self._default_stop_children()
            await self._default_stop_futures()
            await self._default_stop_exit_stacks()
            self._shutdown.set()

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Here, where else."""
        return await maybe_async(fun(*args, **kwargs))

    async def on_start(self) -> None:
        """As Faust, but pace the fetches, and note every heartbeat that the broker answers well."""
        await super().on_start()
        consumer: Any = self._ensure_consumer()
        self.fetches.pace(consumer._fetcher)
        coordinator = consumer._coordinator
        beat = coordinator._do_heartbeat

        async def heartbeat() -> bool:
            began, generation = monotonic(), coordinator.generation
            alive = bool(await beat())
            if alive and generation == self.leased:
                self.renew_lease(began)
            return alive

        coordinator._do_heartbeat = heartbeat

    def renew_lease(self, since: float) -> None:
        """The broker has answered to what was asked at ``since``."""
        self.lease_until = since + float(self.app.conf.broker_session_timeout) - LEASE_MARGIN

    async def on_thread_stop(self) -> None:
        """Leave the group. aiokafka keeps a static member in it, and its partitions would wait for the session time-out."""
        if self._consumer is not None:
            self._consumer._coordinator._group_instance_id = None
        await super().on_thread_stop()

    async def commit_with(self, offsets: Mapping[TP, tuple[int, str]]) -> None:
        """Commit offset and metadata; raises ``KafkaError`` (also in a rebalance: then the new owner repeats)."""
        await self.call_thread(self._commit_with, offsets)

    async def _commit_with(self, offsets: Mapping[TP, tuple[int, str]]) -> None:
        await self._ensure_consumer().commit({TopicPartition(*tp): OffsetAndMetadata(*at) for tp, at in offsets.items()})

    async def committed(self, tps: Iterable[TP]) -> dict[TP, OffsetAndMetadata]:
        """Committed offset and metadata of each partition that has one."""
        return cast(dict[TP, OffsetAndMetadata], await self.call_thread(self._committed, [TopicPartition(*tp) for tp in tps]))

    async def _committed(self, tps: list[TopicPartition]) -> dict[TP, OffsetAndMetadata]:
        found = await self._ensure_consumer()._coordinator.fetch_committed_offsets(tps)
        return {TP(*tp): at for tp, at in found.items() if at.offset >= 0}

    async def ends(self, tps: Iterable[TP]) -> dict[TP, int]:
        """The offset after the last record of each partition."""
        ends = await self.call_thread(self._ensure_consumer().end_offsets, [TopicPartition(*tp) for tp in tps])
        return {TP(*tp): end for tp, end in ends.items()}

    def lags(self, tp: TP) -> bool:
        """Whether the broker has records beyond what was read, up to the first open transaction. False while that is not known."""
        state = self._state(tp)
        return bool(state and state.has_valid_position and state.lso is not None and state.position < state.lso)

    def reads_next(self, tp: TP) -> int:
        """The offset that is read next; 0 while that is not known."""
        state = self._state(tp)
        return int(state.position) if state and state.has_valid_position else 0

    def end(self, tp: TP) -> int:
        """The offset behind the last record that may be read; 0 while that is not known."""
        state = self._state(tp)
        return int(state.lso) if state and state.lso is not None else 0

    def _state(self, tp: TP) -> Any:
        assignment = self._ensure_consumer()._subscription.subscription.assignment
        return assignment.state_value(TopicPartition(*tp)) if assignment else None

    async def listen(self, topics: Iterable[str]) -> None:
        """Take part in further topics, which exist: the group rebalances, as it does for any other reason.

        aiokafka's ``subscribe`` would drop the assignment at once, and what has begun could not be finished and committed.
        """
        await self.call_thread(self._listen, frozenset(topics))

    async def _listen(self, topics: frozenset[str]) -> None:
        consumer: Any = self._ensure_consumer()
        subscription = consumer._subscription.subscription
        subscription._topics |= topics
        await consumer._client.set_topics(subscription._topics)
        consumer._coordinator.request_rejoin()

    async def begins(self, tps: Iterable[TP]) -> dict[TP, int]:
        """The offset of the first record that is still there, of each partition."""
        begins = await self.call_thread(self._ensure_consumer().beginning_offsets, [TopicPartition(*tp) for tp in tps])
        return {TP(*tp): begin for tp, begin in begins.items()}
