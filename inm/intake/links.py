"""Readers of e-mails: the picture ``/o/…`` and the links ``/l/…``. Open to everybody; only what we have signed is answered."""

from typing import TYPE_CHECKING

import msgspec
from aiohttp import hdrs, web

from inm import topics
from inm.core import links
from inm.core.ids import partition_of_notification
from inm.core.latest import Latest
from inm.core.links import Way
from inm.streaming.chunks import now_ms
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.app import Inm

PICTURE = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002014400 3b")
"""One transparent pixel."""
HEADERS = {hdrs.CACHE_CONTROL: "no-store, private", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
REMEMBERED = 10_000
"""What was told already, the latest: who opens a letter twice, or a thousand times, is told of once."""

_encode = msgspec.json.Encoder().encode


class Readers:
    """Answers readers at once, and tells the journeys stage what they did, if Kafka takes it."""

    def __init__(self, app: "Inm") -> None:
        self._app = app
        self._told: Latest[str, None] = Latest(REMEMBERED)

    def routes(self) -> list[web.RouteDef]:
        """``web.get`` answers HEAD too."""
        return [web.get("/o/{delivery}/{signature}", self.picture), web.get("/l/{delivery}/{signature}", self.link)]

    async def picture(self, request: web.Request) -> web.Response:
        """The pixel."""
        self._take(request, "opened", "")
        return web.Response(body=PICTURE, content_type="image/gif", headers=HEADERS)

    async def link(self, request: web.Request) -> web.Response:
        """On to where the link was to lead."""
        target = request.query.get("to", "")
        self._take(request, "clicked", target)
        return web.Response(status=302, headers=HEADERS | {hdrs.LOCATION: target})

    def _take(self, request: web.Request, way: Way, target: str) -> None:
        """A :class:`Problem` for an address that is none of ours."""
        known, delivery = self._app.settings.links, request.match_info["delivery"]
        signed = request.match_info["signature"]
        if known is None or bool(target) != (way == "clicked") or not links.is_ours(known.key, delivery, signed, target):
            raise Problem("not-found")
        headers = {name.lower(): value for name, value in request.headers.items()}
        outcome = links.outcome(delivery, way, now_ms(), links.automated(request.method, headers))
        partition = partition_of_notification(outcome.notification)
        if outcome.id in self._told or partition >= self._app.partitions:
            return
        self._told.put(outcome.id, None)
        self._app.emitter.emit(topics.OUTCOMES, partition, outcome.key.encode(), _encode(outcome))
