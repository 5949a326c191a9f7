"""Calling a notification back: ``DELETE /v1/notifications/<id>``, answered by the worker that holds its row."""

import asyncio
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from inm import topics
from inm.core.calling import Called, called, cancel
from inm.core.ids import partition_of_notification
from inm.core.ledger import Journey
from inm.core.story import tell
from inm.intake import peers
from inm.intake.ledger import UNKNOWN, is_possible
from inm.intake.problems import Problem
from inm.streaming.chunks import now_ms
from inm.tables.journeys import journeys

if TYPE_CHECKING:
    from inm.app import Inm

PATIENCE = 2.0
"""Seconds in which it is usually known whether it was in time; another worker that has been asked waits no longer than a second more."""
LOOK = 0.02
"""Seconds between two looks at the row."""

STATUS: dict[Called, int] = {"cancelled": 200, "asked": 202}

_encode = msgspec.json.Encoder().encode


class Cancelling:
    """Asks the journeys stage to end a journey, and looks at what becomes of it."""

    def __init__(self, app: "Inm") -> None:
        self._app = app

    async def delete(self, request: web.Request, tenant: str) -> web.Response:
        """200 it is cancelled, also by an earlier request; 202 it is asked for; 409 it is too late. Each but the last with its story."""
        notification = request.match_info["id"]
        if not is_possible(notification, self._app.partitions):
            raise Problem("not-found", UNKNOWN)
        partition = partition_of_notification(notification)
        try:
            journey = self._journey(partition, notification, tenant)
            if called(journey) == "asked":
                await self._ask(partition, journey)
                journey = await self._watch(partition, journey)
        except KeyError:
            return await peers.answer_of_owner(self._app, request, partition, "notification")
        if called(journey) == "too-late":
            raise Problem("wrong-state", f"It is {journey.state}{', finally' if journey.final else ''}: it cannot be called back any more.")
        return web.Response(body=_encode(tell(journey)), status=STATUS[called(journey)], content_type="application/json")

    def _journey(self, partition: int, notification: str, tenant: str) -> Journey:
        """``KeyError`` if this worker does not hold the partition."""
        journey = journeys.peek(partition, notification, now_ms())
        if journey is None or journey.tenant != tenant:
            raise Problem("not-found", UNKNOWN)
        return journey

    async def _ask(self, partition: int, journey: Journey) -> None:
        asked = cancel(journey.id, journey.key, now_ms())
        batch = self._app.emitter.emit(topics.OUTCOMES, partition, journey.key.encode(), _encode(asked))
        down = Problem("unavailable", "It could not be stored in time that it is to be called back.", headers={"Retry-After": "5"})
        done, _ = await asyncio.wait((batch.acked,), timeout=PATIENCE)
        if not done or batch.acked.exception():
            raise down

    async def _watch(self, partition: int, journey: Journey) -> Journey:
        """The row when its fate is known, or when the time is up."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while called(journey) == "asked" and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(LOOK)
            journey = self._journey(partition, journey.id, journey.tenant)
        return journey
