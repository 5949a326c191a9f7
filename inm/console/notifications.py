"""Notifications: finding them, in the tables of all workers."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from inm.console import peers
from inm.console.route import Route, get
from inm.console.visit import Visit
from inm.console.words import BADGES
from inm.core import search
from inm.core.ledger import Journey
from inm.core.search import Wanted
from inm.core.states import STATES
from inm.core.story import masked
from inm.tables.journeys import journeys
from inm.web.problems import Problem

MOST = 50
"""Notifications on a page."""
BUDGET = 1.5
"""Seconds that a worker looks through its rows before it says how far it has come."""
PIECE = 500
"""Rows that it looks through at a time: the stages have their turn in between."""
FIRST = "0"
"""Before the first id, behind its partition."""


class Notifications:
    """The handlers."""

    def routes(self) -> list[Route]:
        return [get("/notifications", "see", self.index)]

    async def index(self, visit: Visit) -> web.StreamResponse:
        """Those that somebody looks for; by an id straight to its story."""
        asked = {name: visit.query(name) for name in ("q", "scenario", "state", "since", "until", "from")}
        notification = search.id_in(asked["q"])
        if notification and not visit.wants_json:
            return visit.redirect(f"/notifications/{notification}")
        data: dict[str, Any] = {"asked": asked, "found": [], "missing": [], "next": None, "empty": True}
        wanted = _wanted(visit, asked)
        if not wanted.is_empty:
            own = await _local(visit, wanted, asked["from"] or FIRST)
            if visit.is_forwarded:
                return visit.page("notifications.html", own)
            gathered = await peers.gather(visit, own, own["partitions"])
            data |= _merged(gathered.answers) | {"missing": gathered.missing, "empty": False}
        states = [(state, visit.gettext(BADGES[state].word)) for state in ("open", *STATES)]
        return visit.page("notifications.html", data, states=states, scenarios=[(name, name) for name in sorted(visit.book.scenarios)])


def _wanted(visit: Visit, asked: dict[str, str]) -> Wanted:
    times = {name: _time(asked[name], visit.zone) for name in ("since", "until") if asked[name]}
    return Wanted(visit.tenant, asked["q"], asked["scenario"], asked["state"], **times)


def _time(text: str, zone: str) -> int:
    """Of what an ``<input type="datetime-local">`` sends, in the tenant's time zone."""
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise Problem("bad-request", f"{text}: a time is like 2026-11-22T14:30") from error


async def _local(visit: Visit, wanted: Wanted, start: str) -> dict[str, Any]:
    """What this worker has: matches of its partitions, and behind which id (without partition) each that is not done has stopped."""
    held = sorted(journeys.table.partitions)
    places = dict.fromkeys(held, start)
    found: dict[str, Journey] = {journey.id: journey for journey in _direct(visit, wanted, set(held))} if start == FIRST else {}
    counts = dict.fromkeys(held, 0)
    end = asyncio.get_running_loop().time() + BUDGET
    while going := [partition for partition in places if counts[partition] < MOST]:
        for partition in going:
            place, matches = _piece(partition, places[partition], wanted, visit.now)
            found |= {journey.id: journey for journey in matches}
            counts[partition] += len(matches)
            if place is None:
                del places[partition]
            else:
                places[partition] = place
        if asyncio.get_running_loop().time() > end:
            break
        await asyncio.sleep(0)
    return {"partitions": held, "found": [_told(journey) for journey in found.values()], "stop": min(places.values(), default=None)}


def _piece(partition: int, place: str, wanted: Wanted, now: int) -> tuple[str | None, list[Journey]]:
    """Matches among some rows behind a place, and the place where they end; None: there are no more."""
    try:
        rows = journeys.slice(partition, f"{partition}-{place}\0", PIECE)
    except KeyError:  # it has moved to another worker meanwhile
        return None, []
    mark = wanted.tenant.encode()
    matches = [
        journey
        for key, stored in rows
        if mark in stored and (journey := journeys.read(stored, now)) is not None and search.matches(journey, wanted)
    ]
    return (rows[-1][0].partition("-")[2] if len(rows) == PIECE else None), matches


def _direct(visit: Visit, wanted: Wanted, held: set[int]) -> Iterator[Journey]:
    """Those of a recipient that is called so: their ids begin alike, so nothing has to be looked through."""
    if not wanted.text:
        return
    for beginning, partition in search.beginnings(wanted, visit.app.partitions).items():
        for _, stored in journeys.slice(partition, beginning, MOST, beginning + "~") if partition in held else ():
            journey = journeys.read(stored, visit.now)
            if journey is not None and search.matches(journey, wanted):
                yield journey


def _told(journey: Journey) -> dict[str, Any]:
    return {
        "id": journey.id,
        "scenario": journey.scenario,
        "state": journey.state,
        "final": journey.final,
        "received": journey.received,
        "user": journey.user,
        "request": journey.request_id,
        "test": journey.test,
        "to": sorted({f"{sent.channel} {masked(sent.to)}" for sent in journey.deliveries}),
    }


def _merged(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """One page of what all workers have found: no further than each of them has come."""
    found = {each["id"]: each for answer in answers for each in answer["found"]}
    stop = min((answer["stop"] for answer in answers if answer["stop"] is not None), default=None)
    ordered = sorted((each for each in found.values() if stop is None or _place(each["id"]) <= stop), key=lambda each: _place(each["id"]))
    if len(ordered) > MOST:
        stop = _place(ordered[MOST - 1]["id"])
        ordered = ordered[:MOST]
    return {"found": sorted(ordered, key=lambda each: each["received"], reverse=True), "next": stop}


def _place(notification: str) -> str:
    return str(notification.partition("-")[2])
