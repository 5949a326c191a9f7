"""Views of tables: by key, and as lists in the order of their keys, put together from the rows of all workers."""

import asyncio
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from aiohttp import web

from inm import topics
from inm.console import peers, places
from inm.console.members import MEMBERS
from inm.console.route import Route, get, post
from inm.console.views import VIEWS, View, Viewer, is_address
from inm.console.visit import Visit
from inm.console.words import BADGES
from inm.core.users import Invalidate
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.app import Inm

MOST = 50
"""Rows on a page."""
BUDGET = 1.0
"""Seconds that a worker looks through its rows before it says how far it has come."""
PIECE = 200
"""Rows that it looks through at a time: the stages have their turn in between."""
LONGEST = 400
"""Characters of a key."""
LAST = "\U0010ffff"

_encode = msgspec.json.Encoder().encode


class Tables:
    """The handlers."""

    def __init__(self, app: "Inm") -> None:
        self._app = app

    def routes(self) -> list[Route]:
        lists = [get(f"/tables/{view.name}", "see", partial(self.list, view)) for view in VIEWS]
        rows = [get(f"/tables/{view.name}/{{key}}", "see", partial(self.row, view)) for view in VIEWS]
        forget = post("/tables/users/{key}/invalidate", "operate", partial(self.invalidate, VIEWS[0]))
        return [get("/tables", "see", self.index), *lists, *rows, forget]

    async def index(self, visit: Visit) -> web.StreamResponse:
        """The tables there are."""
        data = {"tables": [{"name": view.name, "title": visit.gettext(view.title), "about": visit.gettext(view.about)} for view in VIEWS]}
        return visit.page("tables.html", data)

    # -- lists --------------------------------------------------------------------------------------

    async def list(self, view: View, visit: Visit) -> web.StreamResponse:
        """Rows that a filter lets pass, in the order of their keys; by a key straight to its row."""
        key = visit.query("key", LONGEST)
        if key:
            return visit.redirect(f"/tables/{view.name}/{_hidden(view, visit, self._find(view, visit, key)[0])}")
        asked = {name: visit.query(name) for name in view.filters}
        viewer = _viewer(visit)
        own = await _local(view, viewer, asked, self._start(view, visit))
        if visit.is_forwarded:
            return visit.page("table.html", own)
        gathered = await peers.gather(visit, own, own["partitions"])
        found, stop = _merged(gathered.answers)
        if viewer.unmask:
            await visit.console.record(visit, "unmasked", f"{visit.tenant}/table/{view.name}")
        rows = [each["row"] | {"href": self._href(view, visit, each["place"])} for each in found]
        following = None if stop is None else _hidden(view, visit, stop)
        data = {"table": view.name, "asked": asked, "rows": rows, "missing": gathered.missing, "next": following}
        return visit.page("table.html", data, view=view, members=MEMBERS, unmask=viewer.unmask, choices=_choices(view, visit))

    def _start(self, view: View, visit: Visit) -> str:
        """Behind which place the page begins."""
        given = visit.query("from", places.LONGEST)
        place = places.seek(visit.console.secret, _purpose(view, visit), given) if given else ""
        if place is None:
            raise Problem("not-found", visit.gettext("The list does not go on from there: begin it anew."))
        return place

    def _href(self, view: View, visit: Visit, place: str) -> str:
        return f"/console/tables/{view.name}/{_hidden(view, visit, place)}"

    # -- one row ------------------------------------------------------------------------------------

    async def row(self, view: View, visit: Visit) -> web.StreamResponse:
        """One row with everything in it."""
        viewer = _viewer(visit)
        place, homes = self._find(view, visit, visit.request.match_info["key"])
        own = _held(view, viewer, place, homes)
        if visit.is_forwarded:
            return visit.page("row.html", own)
        row = own["row"] or await self._elsewhere(view, visit, viewer, place, own)
        if viewer.unmask:
            await visit.console.record(visit, "unmasked", f"{visit.tenant}/table/{view.name}", row["key"])
        return self._page(view, visit, row, place, unmask=viewer.unmask)

    async def invalidate(self, view: View, visit: Visit) -> web.StreamResponse:
        """Have forgotten what is known of a user: the source is asked anew for the next notification."""
        viewer = _viewer(visit)
        place, homes = self._find(view, visit, visit.request.match_info["key"])
        own = _held(view, viewer, place, homes)
        row = own["row"] or await self._elsewhere(view, visit, viewer, place, own)
        why = visit.field("why")
        if not why:
            return self._page(view, visit, row, place, fault=visit.gettext("Say why: it goes into the audit trail."), status=422)
        await visit.console.record(visit, "invalidated", f"{visit.tenant}/user/{row['key']}", why)
        key = f"{visit.tenant}/{place}"
        partition = topics.partition_of_key(key, self._app.partitions)
        await visit.console.mailbox.put([(topics.USERS, partition, key.encode(), _encode(Invalidate(key)))])
        return visit.redirect(f"/tables/{view.name}", visit.gettext("What was known of %(user)s is forgotten.", user=row["key"]))

    def _find(self, view: View, visit: Visit, key: str) -> tuple[str, Any]:
        """Place and partitions of a key as it was written, or as a page of ours has named it."""
        place = places.seek(visit.console.secret, _purpose(view, visit), key)
        try:
            return view.find(key if place is None else place, _viewer(visit), self._app.partitions)
        except ValueError as error:
            raise Problem("not-found", _unknown(visit)) from error

    async def _elsewhere(self, view: View, visit: Visit, viewer: Viewer, place: str, own: dict[str, Any]) -> dict[str, Any]:
        """The row, from whichever worker has it. A :class:`Problem` if none has, or it may be on one that does not answer."""
        missing = own["missing"]
        if not missing:
            raise Problem("not-found", _unknown(visit))
        page = f"/tables/{view.name}/{_hidden(view, visit, place)}" + ("?unmask=1" if viewer.unmask else "")
        others = set(range(self._app.partitions)) - set(missing)
        gathered = await peers.gather(visit, own, others, page=page)
        row: dict[str, Any] | None = next((answer["row"] for answer in gathered.answers if answer["row"]), None)
        if row is not None:
            return row
        away = sorted(set(gathered.missing) & set(missing))
        if away:
            words = visit.gettext("Partitions %(what)s are on no worker that answers.", what=", ".join(map(str, away)))
            raise Problem("unavailable", words, headers={"Retry-After": "1"})
        raise Problem("not-found", _unknown(visit))

    def _page(
        self, view: View, visit: Visit, row: dict[str, Any], place: str, *, unmask: bool = False, fault: str = "", status: int = 200
    ) -> web.Response:
        data = {"table": view.name, "row": row}
        return visit.page(
            "row.html", data, status, view=view, members=MEMBERS, href=self._href(view, visit, place), unmask=unmask, fault=fault
        )


# -- what this worker has -----------------------------------------------------------------------------


async def _local(view: View, viewer: Viewer, asked: dict[str, str], start: str) -> dict[str, Any]:
    """Rows of its partitions that pass, and behind which place it has stopped; None: there are no more."""
    held = sorted(view.table.partitions)
    open_ = dict.fromkeys(held, start)
    found: list[dict[str, Any]] = []
    counts = dict.fromkeys(held, 0)
    loop = asyncio.get_running_loop()
    end = loop.time() + BUDGET
    while turn := [partition for partition in open_ if counts[partition] < MOST]:
        for partition in turn:
            place, rows = _piece(view, partition, open_[partition], viewer, asked, MOST - counts[partition])
            found += rows
            counts[partition] += len(rows)
            if place is None:
                del open_[partition]
            else:
                open_[partition] = place
            await asyncio.sleep(0)
        if loop.time() >= end:
            break
    stop = min(open_.values(), default=None)
    return {"partitions": held, "found": found, "stop": stop}


def _piece(
    view: View, partition: int, start: str, viewer: Viewer, asked: dict[str, str], most: int
) -> tuple[str | None, list[dict[str, Any]]]:
    """Up to ``most`` rows that pass of some behind a place, and the place of the last one looked at; None: there are no more."""
    begins = asked.get("begins", "")
    first = view.key(start, partition, viewer) + b"\0" if start >= begins and start else view.key(begins, partition, viewer)
    last = view.key(begins + LAST, partition, viewer) if begins else view.end(viewer)
    mark = viewer.tenant.encode() if view.shared else b""
    found: list[dict[str, Any]] = []
    place, looked = start, 0
    try:
        for key, stored in islice(view.table[partition].scan(first, last), PIECE):
            place, looked = view.place(key), looked + 1
            row = view.tell(partition, place, stored, viewer) if mark in stored else None
            if row is not None and _passes(row, place, asked, viewer):
                found.append({"place": place, "row": row})
                if len(found) == most:
                    return place, found
    except KeyError:  # it has moved to another worker meanwhile
        return None, []
    return (place if looked == PIECE else None), found


def _passes(row: dict[str, Any], place: str, asked: dict[str, str], viewer: Viewer) -> bool:
    """An address that is masked cannot be found digit by digit."""
    if asked.get("begins") and not viewer.unmask and is_address(place):
        return False
    return all(not value or name == "begins" or row.get(name) == value for name, value in asked.items())


def _held(view: View, viewer: Viewer, place: str, homes: Any) -> dict[str, Any]:
    """The row, if this worker has it; ``missing`` are the partitions it may be in that this worker does not hold."""
    missing = []
    for partition in homes:
        try:
            stored = view.table[partition].get(view.key(place, partition, viewer))
        except KeyError:
            missing.append(partition)
            continue
        row = view.tell(partition, place, stored, viewer) if stored is not None else None
        if row is not None:
            return {"partitions": sorted(view.table.partitions), "row": row, "missing": []}
    return {"partitions": sorted(view.table.partitions), "row": None, "missing": missing}


def _merged(answers: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str | None]:
    """One page of what all workers have found, no further than each of them has come, and the place behind which the next one begins."""
    found = {each["place"]: each for answer in answers for each in answer["found"]}
    stop = min((answer["stop"] for answer in answers if answer["stop"] is not None), default=None)
    ordered = sorted((each for each in found.values() if stop is None or each["place"] <= stop), key=lambda each: str(each["place"]))
    return (ordered[:MOST], ordered[MOST - 1]["place"]) if len(ordered) > MOST else (ordered, stop)


# -- what is asked ------------------------------------------------------------------------------------


def _viewer(visit: Visit) -> Viewer:
    unmask = bool(visit.query("unmask"))
    if unmask and not visit.may("unmask"):
        raise Problem("forbidden", visit.gettext("Your roles do not allow this."))
    return Viewer(visit.tenant, visit.book, visit.now, unmask)


def _choices(view: View, visit: Visit) -> dict[str, list[tuple[str, str]]]:
    """What a filter offers, in words where there are some."""
    offered = {name: values for name, values in view.filters.items() if values is not None}
    if "scenario" in view.filters:
        offered["scenario"] = tuple(sorted(visit.book.scenarios))
    return {name: [(value, _word(visit, value) if name == "state" else value) for value in values] for name, values in offered.items()}


def _word(visit: Visit, state: str) -> str:
    return visit.gettext(BADGES[state].word)


def _purpose(view: View, visit: Visit) -> str:
    return f"{visit.tenant}/{view.name}"


def _hidden(view: View, visit: Visit, place: str) -> str:
    return quote(places.hide(visit.console.secret, _purpose(view, visit), place))


def _unknown(visit: Visit) -> str:
    return visit.gettext("The table has no such row now.")
