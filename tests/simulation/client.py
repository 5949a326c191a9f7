"""What ``Client`` adds to aiokafka, by calls on the broker in memory."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from inm.streaming.client import LEASE_MARGIN, Client
from inm.streaming.fetching import Fetches

if TYPE_CHECKING:
    from tests.simulation.worker import Worker

SESSION = 4.0
"""Seconds until a silent worker is out of the group."""


class MemoryClient(Client):
    """What ``Client`` asks of the broker: commits with metadata, offsets, heartbeats."""

    def __init__(self, worker: "Worker") -> None:  # without super(): that would be aiokafka's
        self._worker = worker
        self._broker = worker.broker
        self.fetches = Fetches()

    async def commit_with(self, offsets: Mapping[TP, tuple[int, str]]) -> None:
        await asyncio.sleep(self._broker.delay())
        self._worker.group.commit(self._worker, offsets)
        await asyncio.sleep(self._broker.delay())

    async def committed(self, tps: Iterable[TP]) -> dict[TP, OffsetAndMetadata]:
        await asyncio.sleep(self._broker.delay())
        return {tp: self._broker.committed[tp] for tp in sorted(tps) if tp in self._broker.committed}

    async def ends(self, tps: Iterable[TP]) -> dict[TP, int]:
        await asyncio.sleep(self._broker.delay())
        return {tp: self._broker.logs[tp.topic, tp.partition].end for tp in tps}

    async def begins(self, tps: Iterable[TP]) -> dict[TP, int]:
        return dict.fromkeys(tps, 0)

    def lags(self, tp: TP) -> bool:
        return tp in self._worker.consumer.unread

    def reads_next(self, tp: TP) -> int:
        return self._worker.consumer.positions.get(tp, 0)

    def seek(self, tp: TP, offset: int) -> None:
        self._worker.consumer.move(tp, offset)

    def renew_lease(self, since: float) -> None:
        """Heartbeats are not simulated: a member's last one is now."""

    @property
    def lease_until(self) -> float:  # type: ignore[override]
        leased = self.leased == self._worker.member_of and self._worker.group.counts(self._worker)
        return float("inf") if leased else self._worker.heard_at + SESSION - LEASE_MARGIN
