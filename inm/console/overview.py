"""The overview: what the system does now, on all workers; as a page, and as a stream of its parts."""

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import hdrs, web
from msgspec.structs import asdict

from inm.console import peers
from inm.console.route import Route, get
from inm.console.sampling import Sampler
from inm.console.visit import Visit
from inm.console.words import ALARMS
from inm.core import flow
from inm.core.flow import Flow
from inm.streaming.chunks import now_ms

if TYPE_CHECKING:
    from inm.app import Inm

EVERY = 2.0
"""Seconds between two parts of the stream."""
LONGEST = 3600.0
"""Seconds that a stream lasts; the page begins another one."""

log = logging.getLogger("inm.console")


class Overview:
    """The handlers."""

    def __init__(self, app: "Inm") -> None:
        self._app = app
        self.sampler = Sampler(app)
        self._closing = asyncio.Event()

    def routes(self) -> list[Route]:
        return [get("/", "see", self.index), get("/live", "see", self.live)]

    async def close(self, _: web.Application) -> None:
        """The doors are about to shut: streams end, for the worker waits for everybody who is still inside."""
        self._closing.set()

    async def index(self, visit: Visit) -> web.StreamResponse:
        """The page."""
        if visit.is_forwarded:
            return visit.page("overview.html", self._own(visit))
        return visit.page("overview.html", await self._board(visit))

    async def live(self, visit: Visit) -> web.StreamResponse:
        """What moves of the page, again and again, as server-sent events: until the session, the worker or the reader has gone."""
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "text/event-stream", hdrs.CACHE_CONTROL: "no-store"})
        await response.prepare(visit.request)
        loop = asyncio.get_running_loop()
        end = loop.time() + LONGEST
        try:
            while loop.time() < end and not self._closing.is_set() and visit.console.visit(visit.request).is_signed_in:
                part = visit.part("overview-flow.html", await self._board(visit))
                await response.write("".join(f"data: {line}\n" for line in part.splitlines()).encode() + b"\n")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), EVERY)
        except ConnectionError:
            log.debug("the reader of a stream has gone")
        except Exception:  # its answer has begun: there is no other one
            log.exception("a stream failed")
        return response

    def _own(self, visit: Visit) -> dict[str, Any]:
        own: dict[str, Any] = msgspec.to_builtins(self.sampler.flow(visit.tenant))
        return own

    async def _board(self, visit: Visit) -> dict[str, Any]:
        """All workers together, each by itself, and what is wrong."""
        own = self._own(visit)
        gathered = await peers.gather(visit, own, own["partitions"], page="/")
        flows = [msgspec.convert(answer, Flow) for answer in gathered.answers]
        whole = flow.together(flows)
        routes = {name: asdict(each) | {"level": "out" if each.out else flow.level(each.health)} for name, each in whole.routes.items()}
        return {
            "at": now_ms(),
            "stages": msgspec.to_builtins(whole.stages),
            "lanes": {lane: msgspec.to_builtins(whole.lanes[lane]) for lane in flow.SLOW if lane in whole.lanes},
            "routes": routes,
            "scenarios": {name: asdict(ends) | {"open": ends.open} for name, ends in whole.scenarios.items()},
            "workers": [
                {"name": each.worker, "state": "ready" if each.ready else "not ready", "partitions": each.partitions} for each in flows
            ],
            "alarms": [
                {"severity": each.severity, "words": visit.gettext(ALARMS[each.code], what=each.what, detail=each.detail)}
                for each in flow.alarms(flows, gathered.missing)
            ],
        }
