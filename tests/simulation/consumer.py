"""The product's consumer; only fetching itself, which is aiokafka's, is replaced."""

import asyncio
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from inm.streaming.consumer import Consumer
from tests.simulation.broker import Broker
from tests.simulation.client import MemoryClient
from tests.simulation.loop import wake

if TYPE_CHECKING:
    from tests.simulation.worker import Worker


class MemoryConsumer(Consumer):
    """A consumer of one worker."""

    def __init__(self, worker: "Worker") -> None:
        with patch.object(driver.Consumer, "__init__", lambda _self: None):  # that would be Faust's service
            super().__init__()
        self.__dict__["app"] = worker
        self._thread = cast(Any, MemoryClient(worker))
        self._worker = worker
        self.held: set[TP] = set()
        self.active: set[TP] = set()
        self.positions: dict[TP, int] = {}
        self.unread: dict[TP, None] = {}
        """The partitions that have more than was read of them."""
        self._waiting: asyncio.Future[None] | None = None
        self.flow_active = False
        self.can_resume_flow = asyncio.Event()

    @property
    def should_stop(self) -> bool:
        return self._worker.should_stop

    def _get_active_partitions(self) -> Any:
        return self.active

    def assignment(self) -> Any:
        return self.held

    def stop_flow(self) -> None:
        self.flow_active = False
        self.can_resume_flow.clear()

    def resume_flow(self) -> None:
        self.flow_active = True
        self.can_resume_flow.set()

    def resume_partitions(self, tps: Any) -> None:
        self.active = set(tps)
        self.wake()

    async def wait(self, *events: Any, **options: Any) -> Any:
        await events[0].wait()

    async def sleep(self, n: Any) -> None:
        await self._worker.broker.loop.pulse(n)

    async def _seek(self, partition: TP, offset: int) -> None:
        self.move(partition, offset)

    def move(self, tp: TP, offset: int) -> None:
        """Read a partition from ``offset`` on."""
        self.positions[tp] = offset
        if offset < self._worker.broker.logs[tp].end:
            self.unread[tp] = None
            self.wake()

    def grown(self, tp: TP) -> None:
        """The broker has more of a partition, whoever reads it."""
        if tp in self.positions:
            self.unread[tp] = None
            self.wake()

    def wake(self) -> None:
        if self._waiting:
            wake(self._waiting)

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109 - as in aiokafka
        """Records from the positions, not more than a few; waits until there are any, or the assignment changes."""
        broker, generation = self._worker.broker, self._worker.consumer_generation_id
        while self.flow_active and self._worker.consumer_generation_id == generation:
            wanted = [tp for tp in self.unread if tp in self.active and tp in active_partitions]
            if wanted:
                await asyncio.sleep(broker.delay())
                return self._take(broker, sorted(wanted))
            self._waiting = broker.loop.create_future()
            await self._waiting
        return {}

    def _take(self, broker: Broker, wanted: list[TP]) -> dict[TP, list[Any]]:
        fetched = {}
        for tp in wanted:
            log = broker.logs[tp]
            if tp in self.active and tp in self.unread:
                records = log.since(self.positions[tp])[: broker.random.randint(1, broker.most)]
                self.positions[tp] = end = records[-1].offset + 1 if records else log.end
                if end == log.end:
                    del self.unread[tp]
                if records:
                    fetched[tp] = records
        return fetched

    @property
    def behind(self) -> bool:
        """Whether anything that is assigned is not read to its end, finished and committed."""
        return bool(self.unread or self.pending)
