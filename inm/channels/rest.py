"""Messages to a system that takes them by HTTP: the customer's own, or a provider that INM has no channel for."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

from yarl import URL

from inm.channels.base import Channel, Receipts
from inm.channels.http import codes, receipts
from inm.channels.http.client import Client, NoAnswerError, NotSentError
from inm.channels.http.message import Request, UnsendableError, identity, origin
from inm.channels.http.pool import Pool
from inm.channels.http.receipts import Reader, UnreadableError
from inm.channels.http.route import Address, RestRoute
from inm.core import webhooks
from inm.core.records import Delivery
from inm.core.rendering import RenderError
from inm.core.results import Answer, Result

__all__ = ["ReportingRest", "Rest", "RestRoute", "UnreadableError", "build"]

_FORMS: Mapping[Address, re.Pattern[str]] = {
    "phone": re.compile(r"\+[1-9][0-9]{6,14}"),
    "email": re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+"),
    "user": re.compile(r"[^\x00-\x1f\x7f]{1,200}"),
}
"""As :mod:`inm.core.records` has them."""


class Rest(Channel):
    """A route to an HTTP service: what it answers is final."""

    name: ClassVar[str] = "rest"
    receipts: ClassVar[bool] = False

    def __init__(self, route: RestRoute) -> None:
        """``ValueError`` if the route's templates, paths or secrets cannot be used."""
        self.route = route
        self._templates = route.templates()
        self._key = route.key()
        self._overlay = route.overlay()
        self._id_path = route.id_path()
        self._origin = URL(origin(route.url))
        self._client = Client(
            route.private, connections=route.connections, connect_timeout=route.connect_timeout, tls=route.tls_context()
        )  # fmt: skip
        self._pool = Pool(
            route.name,
            self._carry,
            lambda: self._client.probe(self._origin),
            self.throttle,
            connections=route.connections,
            submit_timeout=route.submit_timeout,
            patience=route.patience,
        )

    async def open(self, receipts: Receipts) -> None:
        """See :class:`Channel`."""
        self._pool.open()

    async def send(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """See :class:`Channel`."""
        return await self._pool.submit(deliveries)

    async def close(self) -> None:
        """See :class:`Channel`."""
        await self._pool.close()
        await self._client.close()

    @property
    def up(self) -> bool:
        """See :class:`Channel`."""
        return self._pool.up

    @property
    def most(self) -> int:
        """See :class:`Channel`: five rounds of all connections, a second's worth at 200 ms a call."""
        return 5 * self.route.connections

    def release(self) -> None:
        """See :class:`Channel`."""
        self._pool.release()

    async def _carry(self, delivery: Delivery) -> Answer:
        if not _FORMS[self.route.address].fullmatch(delivery.to):
            return codes.fault(Result.INVALID_ADDRESS, "invalid-address", f"not the form of {self.route.address}")
        try:
            request = self._templates.render(delivery)
        except UnsendableError as error:
            return codes.fault(Result.INVALID_ADDRESS, "invalid-address", str(error))
        except RenderError as error:
            return codes.fault(Result.PERMANENT, error.reason, f"route {self.route.name}: {error.detail}")
        return await self._call(request, identity(delivery))

    async def _call(self, request: Request, name: str) -> Answer:
        signed = webhooks.headers([self._key], name, int(time.time()), request.body or b"") if self._key else {webhooks.ID: name}
        try:
            reply = await self._client.call(
                request.method, request.url, request.headers | signed, request.body, self.route.submit_timeout
            )  # fmt: skip
        except NotSentError as error:
            if error.refused:
                return codes.fault(Result.ROUTE_FAULT, "route-refused", str(error))
            raise
        except NoAnswerError as error:
            return Answer(Result.UNKNOWN, self._own_ids(name), "no-answer", text=str(error))
        result = codes.meaning(reply.status, self._overlay)
        if result in (Result.THROTTLED, Result.TEMPORARY):
            self._pool.rest(codes.retry_after(reply.headers.get("Retry-After"), time.time()))
        if result is Result.SENT:
            found = receipts.provider_id(self._id_path, reply.body) if self._id_path else None
            return Answer(Result.SENT, [found or name], code=str(reply.status))
        answer = codes.refusal(result, reply.status, reply.body)
        return Answer(result, self._own_ids(name), answer.reason, answer.code, answer.text) if result is Result.UNKNOWN else answer

    def _own_ids(self, name: str) -> list[str]:
        """By which receipts find a message whose fate is unknown, if they name it by our own id."""
        return [] if self._id_path else [name]


class ReportingRest(Rest):
    """A route whose service tells later what became of messages, by posting it to INM."""

    receipts: ClassVar[bool] = True

    def __init__(self, route: RestRoute, reader: Reader) -> None:
        super().__init__(route)
        self._reader = reader
        self._take: Receipts | None = None

    async def open(self, receipts: Receipts) -> None:
        """See :class:`Channel`."""
        self._take = receipts
        await super().open(receipts)

    async def take(self, headers: Mapping[str, str], body: bytes, now: int) -> tuple[int, int]:
        """Take a post over: how many receipts are durable now, and how many items were none. As :meth:`Reader.read`."""
        found, others = self._reader.read(headers, body, now)
        assert self._take
        if found:
            await self._take(found)
        return len(found), others


def build(route: RestRoute) -> Rest:
    """The channel of a route, with or without receipts."""
    reader = route.reader()
    return ReportingRest(route, reader) if reader else Rest(route)
