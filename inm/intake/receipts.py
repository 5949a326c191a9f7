"""Receipts by webhook: ``POST /v1/receipts/{route}`` takes what a provider reports, signed as its route says."""

import asyncio
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web
from msgspec import Struct

from inm.channels.rest import ReportingRest, UnreadableError
from inm.core.webhooks import SignatureError
from inm.intake import body
from inm.streaming.chunks import now_ms
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.app import Inm

ACK_TIMEOUT = 5.0
"""Seconds until a provider is told that Kafka does not take his receipts. What he sends again is known by its message and state."""


class TakenReceipts(Struct, frozen=True):
    """The answer to a provider: how many receipts were taken, and how many items were none."""

    taken: int
    ignored: int


class Receipts:
    """The handler, over the application it belongs to."""

    def __init__(self, app: "Inm") -> None:
        self._app = app
        self._under_way: set[asyncio.Task[tuple[int, int]]] = set()

    async def post(self, request: web.Request) -> web.Response:
        """Answered when Kafka has them: a provider that is told so forgets them."""
        route = self._app.routes.get(request.match_info["route"])
        if not isinstance(route, ReportingRest):
            raise Problem("not-found", "There is no such route, or its receipts do not come this way.")
        down = Problem("unavailable", "The receipts could not be stored in time.", headers={"Retry-After": "5"})
        if not self._app.ready:
            raise down
        content = await body.read(request)
        # Not cancelled when time is up: others may wait for the same batch.
        taking = asyncio.create_task(route.take(request.headers, content, now_ms()))
        self._under_way.add(taking)
        taking.add_done_callback(self._under_way.discard)
        try:
            taken, ignored = await asyncio.wait_for(asyncio.shield(taking), ACK_TIMEOUT)
        except SignatureError as error:
            raise Problem("invalid-signature", str(error)) from error
        except UnreadableError as error:
            raise Problem("invalid-json", str(error)) from error
        except self._app.kafka_down as error:
            raise down from error
        return web.Response(body=msgspec.json.encode(TakenReceipts(taken, ignored)), content_type="application/json")
