"""Campaigns: how far each has come, and what operators have done with them. The worker that holds the tenant's partition answers."""

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web
from babel.numbers import format_percent

from inm.console import peers
from inm.console.route import Route, get, post
from inm.console.texts import mark as _
from inm.console.visit import Visit
from inm.console.words import badge
from inm.core.campaigns import ENDED, NEXT, Act, Action, Campaign, refusal
from inm.core.masking import shape
from inm.web.ordering import Orders
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.app import Inm

DONE: dict[Action, str] = {
    "start": _("The campaign is started."),
    "pause": _("The campaign is paused: what waits for its route goes on."),
    "resume": _("The campaign goes on."),
    "cancel": _("The campaign is cancelled: what waits for its route goes on."),
    "pace": _("The campaign has another pace."),
}
"""What is said then."""
FASTEST = 100_000
"""Recipients a second, at most, as a pace."""


class Campaigns:
    """The handlers."""

    def __init__(self, app: "Inm") -> None:
        self._orders = Orders(app)

    def routes(self) -> list[Route]:
        acts = [post(f"/campaigns/{{name}}/{action}", "operate", partial(self.act, action)) for action in DONE]
        return [get("/campaigns", "see", self.index), get("/campaigns/{name}", "see", self.show), *acts]

    async def index(self, visit: Visit) -> web.StreamResponse:
        """All of them, the newest first."""
        try:
            data: dict[str, Any] = {"campaigns": [_masked(msgspec.to_builtins(each)) for each in self._orders.all(visit.tenant)]}
        except KeyError:
            data = await peers.of_owner(visit, self._orders.partition(visit.tenant))
        return visit.page("campaigns.html", data)

    async def show(self, visit: Visit) -> web.StreamResponse:
        """One: how far it has come, and what was found in its audience."""
        return self._page(visit, await self._told(visit))

    async def act(self, action: Action, visit: Visit) -> web.StreamResponse:
        """Have it started, paused, resumed, cancelled, or given another pace. What ends it asks why."""
        why = visit.field("why")
        try:
            known = self._held(visit)
            starts, pace = _starts(visit), _pace(visit)
            faults = _faults(visit, action, why, starts, pace)
        except KeyError:
            answer = await peers.of_owner(visit, self._orders.partition(visit.tenant))
            return await self._answered(visit, action, answer)
        if faults:
            return self._page(visit, self._progress(known), faults, 422)
        order = Act(uuid4().hex, visit.tenant, known.name, action, visit.account.name, visit.now, starts or None, pace or None, why or None)
        if refusal(known, order):
            raise Problem("wrong-state", _refused(visit, known, order))
        told = self._progress(await self._orders.act(known, order))
        return visit.page("campaign.html", told) if visit.wants_json else await self._answered(visit, action, told)

    async def _answered(self, visit: Visit, action: Action, told: dict[str, Any]) -> web.Response:
        if visit.wants_json:
            return visit.page("campaign.html", told)
        return visit.redirect(f"/campaigns/{told['name']}", visit.gettext(DONE[action]))

    # -- rows ---------------------------------------------------------------------------------------

    def _held(self, visit: Visit) -> Campaign:
        """``KeyError`` if another worker holds it."""
        known = self._orders.row(visit.tenant, visit.request.match_info["name"])
        if known is None:
            raise Problem("not-found", visit.gettext("There is no such campaign."))
        return known

    def _progress(self, campaign: Campaign) -> dict[str, Any]:
        return _masked(msgspec.to_builtins(self._orders.progress(campaign)))

    async def _told(self, visit: Visit) -> dict[str, Any]:
        try:
            return self._progress(self._held(visit))
        except KeyError:
            told: dict[str, Any] = await peers.of_owner(visit, self._orders.partition(visit.tenant))
            return told

    # -- the page -----------------------------------------------------------------------------------

    def _page(self, visit: Visit, told: dict[str, Any], faults: dict[str, str] | None = None, status: int = 200) -> web.Response:
        if visit.wants_json:
            return visit.page("campaign.html", told | ({"faults": faults} if faults else {}), status)
        actions = [action for action, allowed in NEXT.items() if allowed.get(told["state"], told["state"]) != told["state"]]
        moves = told["state"] not in ENDED or told["waiting"] or told["open"]
        paced = told["state"] in NEXT["pace"]
        return visit.page("campaign.html", {}, status, it=told, actions=actions, moves=moves, paced=paced, faults=faults or {})


def _masked(told: dict[str, Any]) -> dict[str, Any]:
    """Without what faulty rows have: it may be a number of somebody."""
    faults = [fault | ({"found": shape(fault["found"])} if "found" in fault else {}) for fault in told["report"].get("faults", ())]
    return told | {"report": told["report"] | ({"faults": faults} if faults else {})}


def _refused(visit: Visit, known: Campaign, order: Act) -> str:
    """Why an order cannot be carried out, in the visit's language."""
    if known.state not in NEXT[order.action]:
        return visit.gettext("The campaign is “%(state)s”: that cannot be done with it now.", state=visit.gettext(badge(known.state).word))
    if not known.report.rows:
        return visit.gettext("Its audience has no row that can be sent to.")
    share, most = (format_percent(each, "0.##%", locale=visit.language) for each in (known.report.faulty_share, known.max_faulty))
    return visit.gettext("%(share)s of its rows are faulty; allowed are %(most)s.", share=share, most=most)


# -- what is filled in --------------------------------------------------------------------------------


def _faults(visit: Visit, action: Action, why: str, starts: int | None, pace: int | None) -> dict[str, str]:
    """What is wrong with a form, by its fields."""
    found = {}
    if action == "cancel" and not why:
        found["why"] = visit.gettext("Say why: it goes into the audit trail.")
    if action == "start" and starts is None:
        found["at"] = visit.gettext("This is no time.")
    if action == "pace" and pace is None:
        found["pace"] = visit.gettext("A pace is a number from 1 to %(most)s, or empty.", most=FASTEST)
    return found


def _starts(visit: Visit) -> int | None:
    """When it is to start (ms), 0 for at once; None if that is no time."""
    text = visit.field("at", 40)
    try:
        moment = datetime.fromisoformat(text) if text else None
        return 0 if moment is None else int((moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(visit.zone))).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _pace(visit: Visit) -> int | None:
    """Recipients a second, 0 for as fast as the routes; None if that is none."""
    text = visit.field("pace", 10)
    return int(text or 0) if not text or (text.isascii() and text.isdecimal() and 1 <= int(text) <= FASTEST) else None
