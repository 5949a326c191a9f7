"""What the journeys table says, from whichever worker holds the row."""

import asyncio
import logging
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import aiohttp
import msgspec
from aiohttp import hdrs, web

from inm import topics
from inm.core.ids import is_possible, partition_of_notification
from inm.core.ledger import Journey
from inm.core.story import tell
from inm.streaming.chunks import now_ms
from inm.tables.journeys import journeys
from inm.web import peers
from inm.web.calling import UNKNOWN
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.app import Inm

log = logging.getLogger("inm.rest")

_encode = msgspec.json.Encoder().encode
_decode_ids = msgspec.json.Decoder(list[str]).decode
_decode_fingerprints = msgspec.json.Decoder(dict[str, str | None]).decode

Fingerprints = dict[str, str | None]


class Ledger:
    """Reads the rows this worker holds, and asks the other workers for theirs."""

    def __init__(self, app: "Inm") -> None:
        self._app = app

    async def story(self, request: web.Request, tenant: str) -> web.Response:
        """The answer to ``GET /v1/notifications/<id>``: the same for an id of another tenant and for one that never was."""
        notification = request.match_info["id"]
        if not self._possible(notification):
            raise Problem("not-found", UNKNOWN)
        partition = partition_of_notification(notification)
        try:
            journey = journeys.peek(partition, notification, now_ms())
        except KeyError:
            return await peers.answer_of_owner(self._app, request, partition, "notification")
        if journey is None or journey.tenant != tenant:
            raise Problem("not-found", UNKNOWN)
        return web.Response(body=_encode(tell(journey)), content_type="application/json")

    async def known(self, request: web.Request, tenant: str, ids: Collection[str]) -> Fingerprints:
        """The fingerprints of those notifications of ``tenant`` that are in the ledger, as far as it can be reached."""
        found, elsewhere = self._held(tenant, ids)
        if request.method == hdrs.METH_POST and peers.FORWARDED not in request.headers:
            for answer in await asyncio.gather(*(self._ask(request, url, asked) for url, asked in elsewhere.items())):
                found |= answer
        return found

    async def fingerprints(self, request: web.Request, tenant: str) -> web.Response:
        """What another worker asks for :meth:`known`: a list of ids."""
        try:
            ids = _decode_ids(await request.read())
        except msgspec.DecodeError as error:
            raise Problem("invalid-json") from error
        return web.Response(body=_encode(self._held(tenant, ids)[0]), content_type="application/json")

    def _possible(self, notification: str) -> bool:
        return is_possible(notification, self._app.partitions)

    def _held(self, tenant: str, ids: Iterable[str]) -> tuple[Fingerprints, dict[str, list[str]]]:
        """The fingerprints of the rows that this worker holds, and the other ids by their worker's base URL."""
        now = now_ms()
        found: Fingerprints = {}
        elsewhere: dict[str, list[str]] = {}
        for notification in filter(self._possible, ids):
            partition = partition_of_notification(notification)
            try:
                journey: Journey | None = journeys.peek(partition, notification, now)
            except KeyError:
                owner = self._app.owner_of(topics.OUTCOMES, partition)
                if owner:
                    elsewhere.setdefault(owner, []).append(notification)
                continue
            if journey is not None and journey.tenant == tenant:
                found[notification] = journey.fingerprint
        return found, elsewhere

    async def _ask(self, request: web.Request, owner: str, ids: list[str]) -> Fingerprints:
        """Nothing if the owner cannot be asked: that a replay is not recognised as one does no harm."""
        try:
            async with self._app.http_client.post(
                f"{owner.rstrip('/')}/internal/fingerprints",
                data=_encode(ids),
                headers=peers.asked_by(request),
                timeout=peers.TIMEOUT,
                allow_redirects=False,
            ) as answer:
                return _decode_fingerprints(await answer.read()) if answer.status == 200 else {}
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            log.warning("%s cannot be asked: %r", owner, error)
            return {}
