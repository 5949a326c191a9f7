"""The built-in routes for magic recipients: they answer as providers do, with the outcome that the address stands for."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import ClassVar

from inm.channels.base import Channel, Receipts
from inm.core import magic
from inm.core.records import Delivery, Receipt
from inm.core.results import Answer, Result

log = logging.getLogger("inm.magic")

DELAY = 0.5
"""Seconds until a receipt comes."""
LATE = 3.0
"""Seconds until a late one comes, after the end of the delivery's time: the end itself may be late by a second or two."""
MOST_PENDING = 10_000
"""Receipts that may wait: they are in memory only, and a test that is lost with its worker is made again."""


class _Magic(Channel):
    """Answers at once; receipts follow."""

    receipts: ClassVar[bool] = True

    def __init__(self) -> None:
        self._take: Receipts | None = None
        self._pending: set[asyncio.Task[None]] = set()

    async def open(self, receipts: Receipts) -> None:
        """See :class:`Channel`."""
        self._take = receipts

    async def send(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """See :class:`Channel`. To any other address nothing is ever sent from here."""
        return [self._answer(delivery) for delivery in deliveries]

    async def close(self) -> None:
        """See :class:`Channel`."""
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)

    @property
    def up(self) -> bool:
        """Always."""
        return True

    def _answer(self, delivery: Delivery) -> Answer:
        fate = magic.fate(self.name, delivery.to)
        if fate is None:
            return Answer(Result.INVALID_ADDRESS, reason="invalid-address", text="no magic recipient")
        if fate == "permanent":
            return Answer(Result.PERMANENT, reason="provider-rejected", code="magic", text="a magic recipient that is refused")
        if fate == "temporary" and delivery.attempt == 1:
            return Answer(Result.TEMPORARY, reason="provider-temporary", code="magic", text="a magic recipient that is refused once")
        ids = [f"{delivery.id}/{part}" for part in range(1, delivery.parts + 1)]
        if fate != "never":
            wait = max(0.0, delivery.expires / 1000 - time.time()) + LATE if fate == "late" else DELAY
            self._later(wait, delivery, ids)
        return Answer(Result.SENT, ids)

    def _later(self, wait: float, delivery: Delivery, ids: list[str]) -> None:
        if len(self._pending) < MOST_PENDING:
            task = asyncio.get_running_loop().create_task(self._report(wait, delivery.route, ids))
            self._pending.add(task)
            task.add_done_callback(self._reported)

    def _reported(self, task: asyncio.Task[None]) -> None:
        self._pending.discard(task)
        if not task.cancelled() and task.exception():
            log.warning("a receipt of a magic recipient is lost: %r", task.exception())

    async def _report(self, wait: float, route: str, ids: list[str]) -> None:
        await asyncio.sleep(wait)
        assert self._take
        await self._take([Receipt(route, provider_id, "delivered", int(time.time() * 1000)) for provider_id in ids])


class MagicSms(_Magic):
    """For numbers."""

    name: ClassVar[str] = "sms"


class MagicEmail(_Magic):
    """For mailboxes."""

    name: ClassVar[str] = "email"


class MagicRest(_Magic):
    """For both."""

    name: ClassVar[str] = "rest"
