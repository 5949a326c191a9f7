"""Calling a notification back: ``DELETE /v1/notifications/<id>``, answered by the worker that holds its row."""

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from inm.core.apikeys import ApiKey
from inm.core.calling import Called, called
from inm.core.ids import is_possible, partition_of_notification
from inm.core.story import tell
from inm.web import peers
from inm.web.calling import UNKNOWN, call_back, held
from inm.web.mailbox import Mailbox
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.app import Inm

STATUS: dict[Called, int] = {"cancelled": 200, "asked": 202}

_encode = msgspec.json.Encoder().encode


class Cancelling:
    """Asks the journeys stage to end a journey, and looks at what becomes of it."""

    def __init__(self, app: "Inm", mailbox: Mailbox) -> None:
        self._app = app
        self._mailbox = mailbox

    async def delete(self, request: web.Request, key: ApiKey) -> web.Response:
        """200 it is cancelled, also by an earlier request; 202 it is asked for; 409 it is too late. Each but the last with its story."""
        notification = request.match_info["id"]
        if not is_possible(notification, self._app.partitions):
            raise Problem("not-found", UNKNOWN)
        try:
            journey = await call_back(self._mailbox, held(key.tenant, notification), key.author)
        except KeyError:
            return await peers.answer_of_owner(self._app, request, partition_of_notification(notification), "notification")
        if called(journey) == "too-late":
            raise Problem("wrong-state", f"It is {journey.state}{', finally' if journey.final else ''}: it cannot be called back any more.")
        return web.Response(body=_encode(tell(journey)), status=STATUS[called(journey)], content_type="application/json")
