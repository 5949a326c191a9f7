"""Campaigns over REST: created, given their audience in pieces, started, paused, resumed, cancelled, and watched."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, get_args
from uuid import uuid4

import msgspec
from aiohttp import web
from aiohttp.web import AbstractRouteDef
from msgspec import Meta, Struct

from inm import topics
from inm.core import outreach
from inm.core.apikeys import ApiKey
from inm.core.audience import Reader, Report, Row, Seen, merged
from inm.core.campaigns import Act, Action, Campaign, Create, Pace, Piece, Share
from inm.core.faults import Fault, shown
from inm.core.headway import Progress
from inm.core.records import Name
from inm.core.rowfiles import Form, columns_of, heading_faults, rows_of
from inm.intake import body
from inm.intake.reference import KeyHandler
from inm.streaming.chunks import now_ms
from inm.web import peers
from inm.web.ordering import Orders
from inm.web.problems import Handler, Problem

if TYPE_CHECKING:
    from inm.app import Inm

MAX_PIECE = 256 * 1024
"""Bytes of one piece of an audience."""
FORMS: dict[str, Form] = {"text/csv": "csv", "application/x-ndjson": "jsonl"}

_encode = msgspec.json.Encoder().encode


class NewCampaign(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A campaign to create."""

    name: Name
    scenario: Name
    pace: Annotated[Pace | None, Meta(description="Recipients a second at most; as fast as the routes take them if absent.")] = None
    max_faulty: Annotated[Share, Meta(description="The share of faulty rows up to which it may be started.")] = 0.01


class Ordered(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What goes with an action."""

    at: Annotated[Annotated[datetime, Meta(tz=True)] | None, Meta(description="With start: not before this time.")] = None
    pace: Annotated[Pace | None, Meta(description="With pace: recipients a second at most; as fast as the routes take them if absent.")] = (
        None
    )


class CampaignList(Struct, frozen=True):
    """All campaigns of the tenant."""

    campaigns: list[Progress]


class Campaigns:
    """The handlers, over the application they belong to. The worker that holds the tenant's partition answers."""

    def __init__(self, app: "Inm") -> None:
        self._app = app
        self._orders = Orders(app)

    def routes(self, of_key: Callable[[KeyHandler], Handler]) -> list[AbstractRouteDef]:
        """``of_key`` makes a handler of one that is told the API key."""
        return [
            web.get("/v1/campaigns", of_key(self.index)),
            web.post("/v1/campaigns", of_key(self.create)),
            web.get("/v1/campaigns/{name}", of_key(self.get)),
            web.put("/v1/campaigns/{name}/audience/{number}", of_key(self.put_piece)),
            web.post("/v1/campaigns/{name}/{action}", of_key(self.act)),
        ]

    async def index(self, request: web.Request, key: ApiKey) -> web.Response:
        """All of them, the newest first."""
        try:
            return _json(CampaignList(self._orders.all(key.tenant)))
        except KeyError:
            return await self._elsewhere(request, key)

    async def get(self, request: web.Request, key: ApiKey) -> web.Response:
        """How far one has come."""
        try:
            return _json(self._orders.progress(self._held(key, request.match_info["name"])))
        except KeyError:
            return await self._elsewhere(request, key)

    async def create(self, request: web.Request, key: ApiKey) -> web.Response:
        """A campaign without its audience. The same again is no second one."""
        content = await body.read(request)
        wanted = body.decoded(content, NewCampaign)
        self._scenario(key, wanted.scenario)
        order = Create(
            uuid4().hex, key.tenant, wanted.name, wanted.scenario, key.author, now_ms(), pace=wanted.pace, max_faulty=wanted.max_faulty
        )
        try:
            known = self._row(key, wanted.name)
        except KeyError:
            return await self._elsewhere(request, key, content)
        if known is None:
            known = await self._orders.carried_out(order)
        same = (known.scenario, known.pace, known.max_faulty) == (order.scenario, order.pace, order.max_faulty)
        if not same:
            raise Problem("wrong-state", "There is another campaign of this name.")
        return _json(self._orders.progress(known), 201 if known.answers and known.answers[0].order == order.id else 200)

    async def put_piece(self, request: web.Request, key: ApiKey) -> web.Response:
        """The next piece of an audience: CSV with its heading, or JSON lines. One that is there already changes nothing."""
        name, number = request.match_info["name"], _number(request.match_info["number"])
        content = await body.read(request, tuple(FORMS), MAX_PIECE)
        try:
            known = self._held(key, name)
        except KeyError:
            return await self._elsewhere(request, key, content)
        if number < known.pieces:
            return _json(self._orders.progress(known))
        if number > known.pieces or known.state != "loading":
            raise Problem("wrong-state", f"It is {known.state}, and has {known.pieces} pieces: the next one has this number.")
        rows, report = self._read(key, known.scenario, content, FORMS[request.content_type])
        last = request.query.get("last") == "true"
        await self._orders.send(topics.AUDIENCES, Piece(key.tenant, name, number, rows, report, last))
        return _json(self._orders.progress(await self._orders.until(key.tenant, name, lambda campaign: campaign.pieces > number)))

    async def act(self, request: web.Request, key: ApiKey) -> web.Response:
        """Start, pause, resume, cancel, or another pace."""
        name, action = request.match_info["name"], _action(request.match_info["action"])
        content = await body.read(request) if request.can_read_body else None
        ordered = body.decoded(content, Ordered) if content else Ordered()
        starts = int(ordered.at.timestamp() * 1000) if ordered.at else None
        order = Act(uuid4().hex, key.tenant, name, action, key.author, now_ms(), starts, ordered.pace)
        try:
            known = self._held(key, name)
        except KeyError:
            return await self._elsewhere(request, key, content)
        self._live(key)
        return _json(self._orders.progress(await self._orders.act(known, order)))

    # -- rows -------------------------------------------------------------------------------------

    def _row(self, key: ApiKey, name: str) -> Campaign | None:
        """``KeyError`` if another worker holds the tenant's partition."""
        self._live(key)
        return self._orders.row(key.tenant, name)

    def _held(self, key: ApiKey, name: str) -> Campaign:
        self._live(key)
        return self._orders.held(key.tenant, name)

    def _live(self, key: ApiKey) -> None:
        if key.test:
            raise Problem("forbidden", "A test key runs no campaigns.")

    async def _elsewhere(self, request: web.Request, key: ApiKey, content: bytes | None = None) -> web.Response:
        return await peers.answer_of_owner(self._app, request, self._orders.partition(key.tenant), "campaign", content)

    # -- what they are made of ---------------------------------------------------------------------

    def _scenario(self, key: ApiKey, name: str) -> None:
        known = self._app.catalogue.scenario_names(key.tenant) or []
        if name not in known:
            raise Problem("unknown-scenario", errors=[Fault("/scenario", "no such scenario", shown(name), ", ".join(known))])

    def _read(self, key: ApiKey, scenario: str, content: bytes, form: Form) -> tuple[list[Row], Report]:
        """The rows of a piece; a :class:`Problem` if its columns are wrong."""
        app, book = self._app, self._app.catalogue.book(key.tenant)
        try:
            lines = content.decode("utf-8-sig").splitlines(keepends=True)
        except UnicodeDecodeError as error:
            raise Problem("bad-request", "a piece of an audience is UTF-8") from error
        if form == "csv":
            declared = book.request.fields if book and book.request.declared else None
            faults = heading_faults(columns_of(lines), declared)
            if faults:
                raise Problem("invalid-request", errors=[Fault(f"/{fault.column}", str(fault)) for fault in faults])
        tried = outreach.trier(key.tenant, scenario, book, app.algorithms, app.partitions, app.settings.prices, now_ms())
        reader = Reader(key.tenant, scenario, app.catalogue, Seen().before, tried)
        rows: list[Row] = []
        report = Report()
        for some, told in reader.pieces(rows_of(lines, form)):
            rows += some
            report = merged(report, told)
        return rows, report


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 8):
        raise Problem("not-found", "Pieces are counted from 0.")
    return int(text)


_ACTIONS: tuple[Action, ...] = get_args(Action)


def _action(name: str) -> Action:
    for action in _ACTIONS:
        if action == name:
            return action
    raise Problem("not-found", f"A campaign has these actions: {', '.join(_ACTIONS)}.")


def _json(value: Struct, status: Literal[200, 201] = 200) -> web.Response:
    return web.Response(body=_encode(value), status=status, content_type="application/json")
