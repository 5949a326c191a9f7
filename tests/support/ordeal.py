"""A fault in the middle of traffic, and the ledger of that: ``inm chaos`` with one fault, in seconds."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from inm.demo import ledger
from inm.demo.faults import Breaker, Fault
from inm.demo.installation import Installation
from inm.demo.run import Run
from tests.support.load import patient

BEFORE, AFTER = 60, 60
"""Requests that have come before the fault begins, and that come when it is over."""


class ShortRun(Run):
    """Whose every notification ends within seconds: those of volta are lab's ``patient``."""

    def requests(self, count: int) -> Iterator[tuple[str, bytes]]:
        for number, (tenant, value) in enumerate(super().requests(count)):
            yield (tenant, value) if tenant == "acme" else ("lab", patient(f"{self.census.run} {number}", value))


class Ordeal:
    """What a fault did to an installation."""

    def __init__(self, installation: Installation, pace: float) -> None:
        self.run = ShortRun(installation, uuid4().hex[:8], seed=1)
        self.edrs: list[bytes] = []
        self._breaker = Breaker(installation, self.run, len(installation.workers), seed=1, pace=pace)
        self._installation = installation

    async def suffer(self, fault: Fault, rate: float = 60.0, limit: float = 90.0) -> dict[str, Any]:
        """Do it under traffic, wait until all is over, and say what became of everything; ``exits`` are those of this time."""
        marks = ledger.Marks()
        self.run.listeners += [marks.add, self.edrs.append]
        self._installation.exits.clear()
        await self.run.start()
        enough = asyncio.Event()
        with ledger.Books(self._installation.smsc, self._installation.smtp) as books:
            sending = asyncio.create_task(self.run.send(100_000, rate, enough))
            try:
                await self._ended(BEFORE)
                await fault(self._breaker)
                await self._sent(len(self.run.census.requested) + AFTER)
            finally:
                enough.set()
                await sending
            await self.run.wait(limit)
        await self.run.stop()
        return ledger.report(self.run, books, marks, [])

    async def _ended(self, count: int) -> None:
        while self.run.census.ended < count:
            await self.run.next_news(1.0)

    async def _sent(self, count: int) -> None:
        while len(self.run.census.requested) < count:  # noqa: ASYNC110 - the task beside counts them
            await asyncio.sleep(0.05)
