"""Dead letters of the tenant: why, with their records, and what operators do about them, by the same code as ``inm dead``."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from aiohttp import web
from babel.dates import format_timedelta

from inm import topics
from inm.console.route import Route, get, post
from inm.console.visit import Visit
from inm.core import lettertext
from inm.core.deadletters import DeadLetterError, Letter, Selection
from inm.core.deadpages import Page
from inm.core.results import REASONS
from inm.streaming.restore import tail
from inm.web.endings import OWNERS, Drop, Ending, Retry
from inm.web.letterbox import Letterbox
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.app import Inm

HOURS = (1, 24, 7 * 24, 30 * 24)
"""How far back the list looks."""
MOST = 50
"""Letters on a page."""
PATIENCE = 8.0
"""Seconds that it may take to read them."""
AT_ONCE = 2
LONGEST = 600_000
"""Characters of a record that was mended."""

STAGES = ("intake", "users", "evaluate", "dispatch", "receipts", "journeys", "schedule", "campaigns", "callbacks", "ledger", "emitter")


class DeadLetters:
    """The handlers. ``Letterbox`` is asked for one letter, the topic itself for lists."""

    def __init__(self, app: "Inm") -> None:
        self._app = app
        self._turns = asyncio.Semaphore(AT_ONCE)

    def routes(self) -> list[Route]:
        return [
            get("/dead", "see", self.index),
            get("/dead/{id}", "see", self.show),
            post("/dead/{id}/retry", "operate", self.retry),
            post("/dead/{id}/drop", "operate", self.drop),
        ]

    async def index(self, visit: Visit) -> web.StreamResponse:
        """Those that a filter lets pass, the newest first."""
        asked = {name: visit.query(name) for name in ("reason", "stage", "topic", "hours", "closed")}
        asked["hours"] = asked["hours"] or str(HOURS[1])
        before = visit.query("before")
        if asked["hours"] not in map(str, HOURS) or (before and not _is_number(before)):
            raise Problem("not-found")
        since = visit.now - int(asked["hours"]) * 3_600_000
        selection = Selection(reason=asked["reason"] or None, stage=asked["stage"] or None, topic=asked["topic"] or None, since=since)
        page = Page(visit.tenant, OWNERS, selection, before=int(before) if before else None, closed=bool(asked["closed"]))
        async with self._patiently(visit), aclosing(tail([topics.DEAD], {0}, since, self._app.new_consumer)) as records:
            async for record in records:
                page.add(record.offset, record.key, record.value)
        letters, following = page.newest(MOST)
        data = {"asked": asked, "letters": [lettertext.told(letter, unmask=False) for letter in letters], "next": following}
        spans = [(str(each), format_timedelta(timedelta(hours=each), locale=visit.language, threshold=1.5)) for each in HOURS]
        return visit.page(
            "dead.html", data, spans=spans, reasons=[(name, name) for name in REASONS], stages=[(name, name) for name in STAGES]
        )

    async def show(self, visit: Visit) -> web.StreamResponse:
        """One letter with its record; unmasked for those who may, and that is recorded."""
        unmask = bool(visit.query("unmask"))
        if unmask and not visit.may("unmask"):
            raise Problem("forbidden", visit.gettext("Your roles do not allow this."))
        async with self._box(visit) as box:
            letter = await self._letter(visit, box)
        if unmask:
            await visit.console.record(visit, "unmasked", _path(visit, letter))
        return self._page(visit, letter, unmask=unmask)

    # -- ending -------------------------------------------------------------------------------------

    async def retry(self, visit: Visit) -> web.StreamResponse:
        """Send the record back to where it came from, as it was or as it was mended."""
        why, mended = visit.field("why"), visit.field("value", LONGEST).replace("\r\n", "\n")
        async with self._box(visit) as box:
            letter = await self._letter(visit, box)
            fault = self._fault(visit, why) or _unmendable(visit, letter, mended)
            if fault:
                return self._page(visit, letter, faults={"retry": fault}, mended=mended, status=422)
            value = mended.encode() if mended and mended != (letter.dead.value or "").replace("\r\n", "\n") else None
            ending = Retry(self._app.partitions, self._app.catalogue, visit.account.name, why, value)
            return await self._end(visit, box, letter, ending, "retried", why)

    async def drop(self, visit: Visit) -> web.StreamResponse:
        """Close it without sending anything."""
        why = visit.field("why")
        async with self._box(visit) as box:
            letter = await self._letter(visit, box)
            if fault := self._fault(visit, why):
                return self._page(visit, letter, faults={"drop": fault}, status=422)
            return await self._end(visit, box, letter, Drop(visit.account.name, why), "dropped", why)

    async def _end(self, visit: Visit, box: Letterbox, letter: Letter, ending: Ending, deed: str, why: str) -> web.Response:
        if letter.closed:
            raise Problem("wrong-state", visit.gettext("Somebody has ended it already: see what became of it."))
        [would] = await ending.end(box, [letter], dry_run=True)
        if not would.done:
            return self._page(visit, letter, faults={deed: would.words}, mended=visit.field("value", LONGEST), status=422)
        [ended] = await ending.end(box, [letter], dry_run=False)
        if not ended.done:
            raise Problem("wrong-state", ended.words)
        words = visit.gettext("Its record was sent back.") if deed == "retried" else visit.gettext("It was dropped.")
        return visit.redirect(f"/dead/{letter.id}", words)

    def _fault(self, visit: Visit, why: str) -> str:
        return "" if why else visit.gettext("Say why: it is kept with the letter.")

    # -- reading ------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _box(self, visit: Visit) -> AsyncGenerator[Letterbox, None]:
        number = visit.request.match_info["id"]
        if not _is_number(number):
            raise Problem("not-found", _unknown(visit))
        async with self._patiently(visit), Letterbox(self._app.settings) as box:
            yield box

    @asynccontextmanager
    async def _patiently(self, visit: Visit) -> AsyncGenerator[None, None]:
        """A :class:`Problem` if Kafka does not answer in time, or has no dead letters at all."""
        try:
            async with asyncio.timeout(PATIENCE), self._turns:
                yield
        except DeadLetterError as error:
            raise Problem("unavailable", str(error)) from error
        except self._app.kafka_down as error:
            words = visit.gettext("The dead letters cannot be read now, or not in time: choose a shorter time.")
            raise Problem("unavailable", words, headers={"Retry-After": "5"}) from error

    async def _letter(self, visit: Visit, box: Letterbox) -> Letter:
        letter = await box.fate(int(visit.request.match_info["id"]))
        if letter is None or OWNERS.tenant(letter) != visit.tenant:
            raise Problem("not-found", _unknown(visit))
        return letter

    # -- the page -----------------------------------------------------------------------------------

    def _page(
        self,
        visit: Visit,
        letter: Letter,
        *,
        unmask: bool = False,
        faults: dict[str, str] | None = None,
        mended: str = "",
        status: int = 200,
    ) -> web.Response:
        told = lettertext.told(letter, unmask, whole=True)
        if visit.wants_json:
            return visit.page("letter.html", told | ({"faults": faults} if faults else {}), status)
        mendable = (unmask or bool(mended)) and _is_mendable(letter)
        return visit.page("letter.html", {}, status, it=told, unmask=unmask, mendable=mendable, mended=mended, faults=faults or {})


def _unmendable(visit: Visit, letter: Letter, mended: str) -> str:
    """Only requests are mended: intake reads them as their tenant's, whatever they say."""
    return visit.gettext("Only the record of a request can be mended.") if mended and not _is_mendable(letter) else ""


def _is_mendable(letter: Letter) -> bool:
    return letter.dead.topic.startswith(topics.requests("")) and not letter.dead.binary


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16


def _path(visit: Visit, letter: Letter) -> str:
    return f"{visit.tenant}/dead/{letter.id}"


def _unknown(visit: Visit) -> str:
    return visit.gettext("No such dead letter, or it is not kept any more.")
