"""The endpoints for callbacks over REST: how it stands with one, and taking it up again."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from inm import topics
from inm.core.apikeys import ApiKey
from inm.core.callbacks import BoundCallback, Resend
from inm.core.faults import Fault
from inm.intake import body
from inm.streaming.chunks import now_ms
from inm.tables import callbacks
from inm.web import peers
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.app import Inm

ACK_TIMEOUT = 5.0
"""Seconds until a sender is told that Kafka does not take it."""
MOST_COUNTED = 10_000
"""Callbacks that wait, up to which they are counted."""
_encode = msgspec.json.Encoder().encode


class Standing(Struct, frozen=True, omit_defaults=True):
    """How it stands with an endpoint. Times in ms since 1970; ``waiting`` is counted up to 10000."""

    name: str
    url: str
    state: str
    waiting: int
    failures: int = 0
    failing_since: int = 0
    error: str = ""
    reason: str | None = None
    """With ``suspended``: ``gone`` if it answered 410, ``failing`` if nothing was taken for three days."""


class Since(Struct, frozen=True, forbid_unknown_fields=True):
    """From when on events are posted again that were given up."""

    since: Annotated[datetime, Meta(tz=True)]


class Callbacks:
    """The handlers, over the application they belong to."""

    def __init__(self, app: "Inm") -> None:
        self._app = app

    async def get(self, request: web.Request, key: ApiKey) -> web.Response:
        """How it stands with an endpoint, from whichever worker has it."""
        bound, partition, now = *self._bound(request, key), now_ms()
        try:
            row = callbacks.peek(partition, bound.endpoint, now)
            waiting = callbacks.waiting(partition, bound.endpoint, now, MOST_COUNTED)
        except KeyError:
            return await peers.answer_of_owner(self._app, request, partition, "callback", topic=topics.CALLBACKS)
        document = bound.document
        standing = Standing(
            document.name, document.url, row.state, waiting, row.failures, row.failing_since, row.error, row.suspended
        )  # fmt: skip
        return web.Response(body=_encode(standing), content_type="application/json")

    async def resend(self, request: web.Request, key: ApiKey) -> web.Response:
        """Call an endpoint again, with what was given up since a time."""
        if key.test:
            raise Problem("forbidden", "A test key changes nothing.")
        bound, partition = self._bound(request, key)
        since = int((await body.read_as(request, Since)).since.timestamp() * 1000)
        if since > now_ms():
            raise Problem("invalid-document", errors=[Fault("/since", "is in the future")])
        order = _encode(Resend(bound.endpoint, since))
        try:
            batch = self._app.emitter.emit(topics.CALLBACKS, partition, bound.endpoint.encode(), order)
            await asyncio.wait_for(asyncio.shield(batch.acked), ACK_TIMEOUT)
        except self._app.kafka_down as error:
            raise Problem("unavailable", "The order could not be stored in time.", headers={"Retry-After": "5"}) from error
        return web.Response(status=202)

    def _bound(self, request: web.Request, key: ApiKey) -> tuple[BoundCallback, int]:
        book = self._app.catalogue.book(key.tenant)
        bound = book.callbacks.get(request.match_info["name"]) if book else None
        if bound is None:
            raise Problem("not-found", f"{key.tenant} has no such callback.")
        return bound, topics.partition_of_key(bound.endpoint, self._app.partitions)
