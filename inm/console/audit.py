"""The audit trail as a page: read from ``inm.audit`` when somebody asks for it."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web
from babel.dates import format_timedelta
from msgspec.structs import asdict

from inm import topics
from inm.console.route import Route, get
from inm.console.visit import Visit
from inm.console.words import DEEDS
from inm.core.audit import ACTIONS, EVERYBODY, Entry
from inm.streaming.restore import tail
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.app import Inm

DAYS = (1, 7, 31, 365, 730)
"""How far back the page looks."""
MOST = 200
"""Entries on a page, the latest."""
PATIENCE = 5.0
"""Seconds that it may take to read them."""
AT_ONCE = 2

_decode = msgspec.json.Decoder(Entry).decode


class Audit:
    """The handlers."""

    def __init__(self, app: "Inm") -> None:
        self._app = app
        self._turns = asyncio.Semaphore(AT_ONCE)

    def routes(self) -> list[Route]:
        return [get("/audit", "audit", self.index)]

    async def index(self, visit: Visit) -> web.StreamResponse:
        """The latest entries of the tenant that a filter lets pass."""
        days = visit.query("days")
        wanted = {"who": visit.query("who"), "what": visit.query("what"), "path": visit.query("path"), "days": days or str(DAYS[1])}
        if wanted["days"] not in map(str, DAYS):
            raise Problem("not-found")
        entries = await self._latest(visit, _filter(visit.tenant, wanted), int(wanted["days"]))
        data = {"entries": [_told(entry) for entry in entries], "filter": wanted, "most": MOST}
        spans = [(str(each), format_timedelta(timedelta(days=each), locale=visit.language)) for each in DAYS]
        return visit.page("audit.html", data, actions=[(name, visit.gettext(DEEDS[name])) for name in ACTIONS], deeds=DEEDS, spans=spans)

    async def _latest(self, visit: Visit, passes: Callable[[Entry], bool], days: int) -> list[Entry]:
        """The last first, each once. A :class:`Problem` if Kafka cannot be asked in time."""
        found: deque[Entry] = deque(maxlen=MOST)
        known: set[str] = set()
        try:
            async with asyncio.timeout(PATIENCE), self._turns, aclosing(self._entries(visit.now - days * topics.DAY)) as entries:
                async for entry in entries:
                    if passes(entry) and entry.id not in known:
                        known.add(entry.id)
                        found.append(entry)
        except self._app.kafka_down as error:
            raise Problem("unavailable", visit.gettext("The audit trail cannot be read now."), headers={"Retry-After": "5"}) from error
        return sorted(found, key=lambda entry: entry.at, reverse=True)

    async def _entries(self, since: int) -> AsyncGenerator[Entry, None]:
        async with aclosing(tail([topics.AUDIT], {0}, since, self._app.new_consumer)) as records:
            async for record in records:
                try:
                    yield _decode(record.value or b"")
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue


def _told(entry: Entry) -> dict[str, Any]:
    return asdict(entry) | {"changes": [asdict(change) for change in entry.changes]}


def _filter(tenant: str, wanted: dict[str, str]) -> Callable[[Entry], bool]:
    def passes(entry: Entry) -> bool:
        return (
            entry.tenant in (tenant, EVERYBODY)
            and wanted["who"].casefold() in entry.who.casefold()
            and wanted["what"] in ("", entry.what)
            and wanted["path"] in entry.path
        )

    return passes
