"""The story of one notification, and what an operator may do about it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web
from msgspec.structs import asdict

from inm import topics
from inm.console import peers
from inm.console.route import Route, get, post
from inm.console.visit import Visit
from inm.core import story
from inm.core.calling import Called, called
from inm.core.ids import is_possible, partition_of_notification
from inm.core.ledger import Journey
from inm.core.records import Delivery, Notification, Recipient, Request
from inm.core.story import Story
from inm.streaming.restore import tail
from inm.web.calling import call_back, held
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.app import Inm

READING = 10.0
"""Seconds in which the record of a notification is found again on its topic."""
BEFORE = 60_000
"""Milliseconds before its time at which to begin looking for it: clocks differ."""

_encode = msgspec.json.Encoder().encode
_notification = msgspec.json.Decoder(Notification).decode
_delivery = msgspec.json.Decoder(Delivery).decode


class Stories:
    """The handlers."""

    def __init__(self, app: "Inm") -> None:
        self._app = app

    def routes(self) -> list[Route]:
        return [
            get("/notifications/{id}", "see", self.show),
            get("/notifications/{id}/text", "unmask", self.text),
            post("/notifications/{id}/cancel", "operate", self.cancel),
            post("/notifications/{id}/resend", "operate", self.resend),
        ]

    async def show(self, visit: Visit) -> web.StreamResponse:
        """The story as a time-line, with addresses masked; in full for those who may, and that is recorded."""
        notification = self._id(visit)
        unmask = bool(visit.query("unmask"))
        if unmask and not visit.may("unmask"):
            raise Problem("forbidden", visit.gettext("Your roles do not allow this."))
        told = await self._told(visit, notification)
        if visit.is_forwarded:
            return visit.page("story.html", told)
        if unmask:
            await visit.console.record(visit, "unmasked", f"{visit.tenant}/notification/{notification}")
        else:
            told = hidden(told)
        return self._page(visit, told, unmask=unmask)

    async def text(self, visit: Visit) -> web.StreamResponse:
        """What was handed to the routes, as it was rendered; that somebody saw it is recorded."""
        notification = self._id(visit)
        told = msgspec.convert(await self._told(visit, notification), Story)
        await visit.console.record(visit, "unmasked", f"{visit.tenant}/notification/{notification}", "text")
        found: dict[int, Delivery] = {}
        begun = min((each.decided for step in told.steps for each in step.attempts), default=told.received)
        names = sorted({topics.deliveries(step.channel, told.lane) for step in told.steps})
        async with self._records(visit, names, notification, begun) as records:
            async for value in records:
                delivery = _delivery(value)
                if delivery.notification == notification:
                    found.setdefault(delivery.step, delivery)
                if len(found) == len(told.steps):
                    break
        texts = [{"step": each.step, "channel": each.channel, "to": each.to} | asdict(each.content) for each in found.values()]
        return visit.page("text.html", {"id": notification, "texts": texts})

    async def cancel(self, visit: Visit) -> web.StreamResponse:
        """Call it back, as far as it has not been sent."""
        notification, why = self._id(visit), visit.field("why")
        if not why and not visit.is_forwarded:
            return await self._again(visit, notification, "cancel")
        try:
            journey = await call_back(visit.console.mailbox, self._journey(visit, notification), visit.account.name, why)
        except KeyError:
            return await self._answered(visit, notification, await peers.of_owner(visit, partition_of_notification(notification)))
        answer = {"called": called(journey)}
        return visit.page("story.html", answer) if visit.wants_json else await self._answered(visit, notification, answer)

    async def resend(self, visit: Visit) -> web.StreamResponse:
        """Ask for the same once more, as a request of its own. The same form sent twice is one request."""
        notification, why, mark = self._id(visit), visit.field("why"), visit.field("mark", 40)
        if not why:
            return await self._again(visit, notification, "resend")
        told = msgspec.convert(await self._told(visit, notification), Story)
        record = await self._record(visit, told)
        key = f"resend-{mark}-{notification}"
        request = _encode(_request(record, key))
        await visit.console.record(visit, "resent", f"{visit.tenant}/notification/{notification}", why)
        partition = topics.partition_of_key(key, visit.app.partitions)
        await visit.console.mailbox.put([(topics.requests(visit.tenant), partition, key.encode(), request)])
        words = visit.gettext("It is asked for again, as a new notification to the same recipient.")
        return visit.redirect(f"/notifications?q={record.request_id}" if record.request_id else f"/notifications/{notification}", words)

    # -- reading ------------------------------------------------------------------------------------

    def _id(self, visit: Visit) -> str:
        notification = visit.request.match_info["id"]
        if not is_possible(notification, visit.app.partitions):
            raise Problem("not-found", _unknown(visit))
        return notification

    def _journey(self, visit: Visit, notification: str) -> Journey:
        """``KeyError`` if this worker does not hold it."""
        return held(visit.tenant, notification, _unknown(visit))

    async def _told(self, visit: Visit, notification: str) -> dict[str, Any]:
        """The whole story, from whichever worker has it. Another worker shows it in full only to one of us."""
        try:
            return story.tell(self._journey(visit, notification))
        except KeyError:
            page = f"/notifications/{notification}"
            told: dict[str, Any] = await peers.of_owner(visit, partition_of_notification(notification), page=page)
            return told

    async def _record(self, visit: Visit, told: Story) -> Notification:
        """The notification as it was taken, of which the journey keeps nothing after its end."""
        async with self._records(visit, [*topics.NOTIFICATIONS], told.id, told.received) as records:
            async for value in records:
                if (found := _notification(value)).id == told.id:
                    return found
        raise Problem("wrong-state", visit.gettext("Its record is not kept any more: ask for it anew where it came from."))

    @asynccontextmanager
    async def _records(
        self, visit: Visit, names: list[str], notification: str, since: datetime
    ) -> AsyncGenerator[AsyncGenerator[bytes, None], None]:
        """The records of these topics that have the id somewhere; a :class:`Problem` if they cannot be read in time."""
        try:
            async with asyncio.timeout(READING), aclosing(self._values(names, notification, since)) as values:
                yield values
        except self._app.kafka_down as error:
            raise Problem("unavailable", visit.gettext("Its record cannot be read now."), headers={"Retry-After": "5"}) from error

    async def _values(self, names: list[str], notification: str, since: datetime) -> AsyncGenerator[bytes, None]:
        begin = int(since.timestamp() * 1000) - BEFORE
        needle = notification.encode()
        async with aclosing(tail(names, {partition_of_notification(notification)}, begin, self._app.new_consumer)) as records:
            async for record in records:
                if needle in (record.value or b""):
                    yield record.value

    async def _answered(self, visit: Visit, notification: str, answer: dict[str, Called]) -> web.Response:
        words = {
            "cancelled": visit.gettext("It was called back."),
            "asked": visit.gettext("It is being called back: what becomes of it is told here."),
            "too-late": visit.gettext("It is too late: it may have been sent, or has ended."),
        }
        return visit.redirect(f"/notifications/{notification}", words[answer["called"]])

    # -- the page -----------------------------------------------------------------------------------

    async def _again(self, visit: Visit, notification: str, action: str) -> web.Response:
        fault = {action: visit.gettext("Say why: it goes into the audit trail.")}
        return self._page(visit, hidden(await self._told(visit, notification)), faults=fault, status=422)

    def _page(
        self, visit: Visit, told: dict[str, Any], *, unmask: bool = False, faults: dict[str, str] | None = None, status: int = 200
    ) -> web.Response:
        if visit.wants_json:
            return visit.page("story.html", told, status)
        shown = asdict(msgspec.convert(told, Story))
        return visit.page("story.html", {}, status, story=shown, unmask=unmask, faults=faults or {}, mark=token_hex(8))


def hidden(told: dict[str, Any]) -> dict[str, Any]:
    """The story with every address masked, wherever it stands."""
    return {name: _hidden(value, told) for name, value in told.items()}


def _hidden(value: Any, told: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {name: _hidden(inner, told) for name, inner in value.items()}
    if isinstance(value, list):
        return [_hidden(inner, told) for inner in value]
    return story.mask(told, value) if isinstance(value, str) else value


def _request(record: Notification, key: str) -> Request:
    """What the producer would ask for the same recipient and fields."""
    offer = None if record.user or record.phone or record.email else record.offer
    to = Recipient(record.user, record.phone, record.email, record.language, record.tone, offer, record.role)
    return Request(
        scenario=record.scenario,
        to=to,
        fields=record.fields,
        request_id=record.request_id,
        idempotency_key=key,
        lane=record.lane,
        test=record.test,
    )


def _unknown(visit: Visit) -> str:
    return visit.gettext("No such notification. One that was accepted in this moment is known a little later.")
