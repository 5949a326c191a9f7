"""Trials: ``POST /v1/try`` tells what would become of a request, and sends it to one address if that is asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
from aiohttp import web

from inm.core.apikeys import ApiKey
from inm.core.books import Book
from inm.core.faults import Fault
from inm.core.ids import partition_of_notification
from inm.core.records import Notification
from inm.core.requests import InvalidRequestError, expand, parse
from inm.core.trial import Asked, attempt, drafted
from inm.core.users import User
from inm.intake import body, submission
from inm.intake.submission import Item
from inm.streaming.chunks import now_ms
from inm.tables import users
from inm.web import peers
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.app import Inm

Produce = Callable[[str, list[Item]], Awaitable[None]]
_encode = msgspec.json.Encoder().encode


class Trials:
    """The handler, over the application it belongs to."""

    def __init__(self, app: "Inm", produce: Produce) -> None:
        self._app = app
        self._produce = produce

    async def post(self, request: web.Request, key: ApiKey) -> web.Response:
        """The decision and the rendered message. Only with ``to`` is anything sent."""
        content = await body.read(request)
        asked = body.decoded(content, Asked)
        if asked.draft and asked.to:
            raise Problem("invalid-request", errors=[Fault("/to", "what is not approved is sent to nobody", None, "either draft or to")])
        item = _item(asked, key, self._app)
        notification = item.notifications[0]
        book = await self._book(key.tenant, draft=asked.draft)
        try:
            user = self._user(asked, key, notification, book)
        except KeyError:
            return await peers.answer_of_owner(self._app, request, partition_of_notification(notification.id), "user", content)
        app = self._app
        trial = attempt(notification, book, user, now_ms(), app.algorithms, app.partitions, app.settings.prices)
        if asked.to and trial.outcome == "send":
            await self._produce(key.tenant, [item])
            trial = msgspec.structs.replace(trial, notification=notification.id)
        return web.Response(body=_encode(trial), content_type="application/json")

    async def _book(self, tenant: str, *, draft: bool) -> Book:
        book = self._app.catalogue.book(tenant)
        if draft:
            book = await asyncio.to_thread(drafted, dict(self._app.library.held(tenant)), book)
        if book is None:
            raise Problem("not-found", "The tenant has no documents.")
        return book

    def _user(self, asked: Asked, key: ApiKey, notification: Notification, book: Book) -> User | None:
        """What to try with. Under a test key nothing is seen of real users. ``KeyError`` if another worker holds the row."""
        now = now_ms()
        if asked.user is not None:
            return asked.user.row(notification.key, now)
        if key.test:
            return None
        return users.peek(partition_of_notification(notification.id), notification.key, book, now)


def _item(asked: Asked, key: ApiKey, app: "Inm") -> Item:
    """The request as it would be taken, for one recipient; with ``to``, for that address alone and as a test."""
    document = _directed(asked.request, asked.to) if asked.to else asked.request
    try:
        request = submission.of_key(parse(_encode(document), key.tenant, app.catalogue, now=now_ms()), test=key.test)
    except InvalidRequestError as error:
        faults = [msgspec.structs.replace(fault, pointer=f"/request{fault.pointer}") for fault in error.faults]
        raise Problem(error.reason if error.reason != "unknown-tenant" else "not-found", errors=faults) from error
    identity = f"try-{uuid4()}"
    request.request_id, request.idempotency_key, request.at = request.request_id or identity, identity, None
    notifications = expand(request, key.tenant, identity, now_ms(), app.partitions)
    if len(notifications) != 1:
        fault = Fault("/request/to", "a trial is for one recipient", str(len(notifications)), "1")
        raise Problem("invalid-request", errors=[fault])
    return Item(identity, _encode(request), request.request_id, notifications)


def _directed(document: dict[str, Any], to: str) -> dict[str, Any]:
    """The request as a test that goes to this address, with what else is said of its recipient."""
    whom = document.get("to")
    kept = {name: value for name, value in whom.items() if name not in ("phone", "email", "offer")} if isinstance(whom, dict) else {}
    return document | {"test": True, "to": kept | {"email" if "@" in to else "phone": to}}
