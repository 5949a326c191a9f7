"""Campaigns over REST: created, given their audience in pieces, started, paused, resumed, cancelled, and watched."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, get_args
from uuid import uuid4

import msgspec
from aiohttp import web
from aiohttp.web import AbstractRouteDef
from msgspec import Meta, Struct

from inm import topics
from inm.core import campaigns as core
from inm.core import headway, outreach
from inm.core.apikeys import ApiKey
from inm.core.audience import Reader, Report, Row, Seen, merged
from inm.core.campaigns import Act, Action, Campaign, Create, Pace, Piece, Share
from inm.core.faults import Fault, shown
from inm.core.headway import Progress
from inm.core.records import Name
from inm.core.rowfiles import Form, columns_of, heading_faults, rows_of
from inm.intake import body, peers
from inm.intake.problems import Handler, Problem
from inm.intake.reference import KeyHandler
from inm.streaming.chunks import now_ms
from inm.streaming.emitter import TooLarge
from inm.tables import campaigns

if TYPE_CHECKING:
    from inm.app import Inm

PATIENCE = 10.0
"""Seconds in which an order is carried out, or refused."""
GLANCE = 0.02
"""Seconds between two looks at whether it has been."""
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
            found = list(campaigns.peek(self._partition(key), key.tenant, now_ms()))
        except KeyError:
            return await self._elsewhere(request, key)
        found.sort(key=lambda campaign: -campaign.created)
        return _json(CampaignList([self._progress(campaign) for campaign in found]))

    async def get(self, request: web.Request, key: ApiKey) -> web.Response:
        """How far one has come."""
        try:
            return _json(self._progress(self._held(key, request.match_info["name"])))
        except KeyError:
            return await self._elsewhere(request, key)

    async def create(self, request: web.Request, key: ApiKey) -> web.Response:
        """A campaign without its audience. The same again is no second one."""
        content = await body.read(request)
        wanted = body.decoded(content, NewCampaign)
        self._scenario(key, wanted.scenario)
        order = Create(
            uuid4().hex, key.tenant, wanted.name, wanted.scenario, _author(key), now_ms(), pace=wanted.pace, max_faulty=wanted.max_faulty
        )
        try:
            known = self._row(key, wanted.name)
        except KeyError:
            return await self._elsewhere(request, key, content)
        if known is None:
            known = await self._ordered(key, order)
        same = (known.scenario, known.pace, known.max_faulty) == (order.scenario, order.pace, order.max_faulty)
        if not same:
            raise Problem("wrong-state", "There is another campaign of this name.")
        return _json(self._progress(known), 201 if known.answers and known.answers[0].order == order.id else 200)

    async def put_piece(self, request: web.Request, key: ApiKey) -> web.Response:
        """The next piece of an audience: CSV with its heading, or JSON lines. One that is there already changes nothing."""
        name, number = request.match_info["name"], _number(request.match_info["number"])
        content = await body.read(request, tuple(FORMS), MAX_PIECE)
        try:
            known = self._held(key, name)
        except KeyError:
            return await self._elsewhere(request, key, content)
        if number < known.pieces:
            return _json(self._progress(known))
        if number > known.pieces or known.state != "loading":
            raise Problem("wrong-state", f"It is {known.state}, and has {known.pieces} pieces: the next one has this number.")
        rows, report = self._read(key, known.scenario, content, FORMS[request.content_type])
        last = request.query.get("last") == "true"
        await self._send(topics.AUDIENCES, Piece(key.tenant, name, number, rows, report, last))
        return _json(self._progress(await self._until(key, name, lambda campaign: campaign.pieces > number)))

    async def act(self, request: web.Request, key: ApiKey) -> web.Response:
        """Start, pause, resume, cancel, or another pace."""
        name, action = request.match_info["name"], _action(request.match_info["action"])
        content = await body.read(request) if request.can_read_body else None
        ordered = body.decoded(content, Ordered) if content else Ordered()
        starts = int(ordered.at.timestamp() * 1000) if ordered.at else None
        order = Act(uuid4().hex, key.tenant, name, action, _author(key), now_ms(), starts, ordered.pace)
        try:
            known = self._held(key, name)
        except KeyError:
            return await self._elsewhere(request, key, content)
        self._live(key)
        fault = core.refusal(known, order)
        if fault:
            raise Problem("wrong-state", fault)
        return _json(self._progress(await self._ordered(key, order)))

    # -- rows and orders ---------------------------------------------------------------------------

    def _partition(self, key: ApiKey) -> int:
        return campaigns.partition_of(key.tenant, self._app.partitions)

    def _row(self, key: ApiKey, name: str) -> Campaign | None:
        """``KeyError`` if another worker holds the tenant's partition."""
        self._live(key)
        return campaigns.campaigns.peek(self._partition(key), core.key(key.tenant, name), now_ms())

    def _held(self, key: ApiKey, name: str) -> Campaign:
        campaign = self._row(key, name)
        if campaign is None:
            raise Problem("not-found", "There is no such campaign.")
        return campaign

    def _live(self, key: ApiKey) -> None:
        if key.test:
            raise Problem("forbidden", "A test key runs no campaigns.")

    async def _elsewhere(self, request: web.Request, key: ApiKey, content: bytes | None = None) -> web.Response:
        return await peers.answer_of_owner(self._app, request, self._partition(key), "campaign", content)

    async def _ordered(self, key: ApiKey, order: Create | Act) -> Campaign:
        """Have it carried out; a :class:`Problem` if it was refused, for somebody was faster."""
        await self._send(topics.CAMPAIGNS, order)
        campaign = await self._until(key, order.name, lambda campaign: core.answer_to(campaign, order.id) is not None)
        answered = core.answer_to(campaign, order.id)
        if answered and answered.fault:
            raise Problem("wrong-state", answered.fault)
        return campaign

    async def _send(self, topic: str, item: Create | Act | Piece) -> None:
        where = campaigns.partition_of(item.tenant, self._app.partitions)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._app.emitter.send(topic, where, core.key(item.tenant, item.name).encode(), _encode(item))
        except TooLarge as error:
            raise Problem("too-large", str(error)) from error
        except self._app.kafka_down as error:
            raise Problem("unavailable", "It could not be stored in time.", headers={"Retry-After": "5"}) from error

    async def _until(self, key: ApiKey, name: str, done: Callable[[Campaign], bool]) -> Campaign:
        """The campaign when it is so."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    campaign = self._row(key, name)
                    if campaign is not None and done(campaign):
                        return campaign
                    await asyncio.sleep(GLANCE)
        except (KeyError, TimeoutError) as error:
            words = "It has not been carried out in time. It may still be: see what the campaign is then."
            raise Problem("unavailable", words, headers={"Retry-After": "5"}) from error

    # -- what they are made of ---------------------------------------------------------------------

    def _scenario(self, key: ApiKey, name: str) -> None:
        known = self._app.catalogue.scenario_names(key.tenant) or []
        if name not in known:
            raise Problem("unknown-scenario", errors=[Fault("/scenario", "no such scenario", shown(name), ", ".join(known))])

    def _progress(self, campaign: Campaign) -> Progress:
        book = self._app.catalogue.book(campaign.tenant)
        return headway.progress(campaign, now_ms(), self._app.settings.rates(outreach.channels(book, campaign.scenario)))

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


def _author(key: ApiKey) -> str:
    return f"key {key.id}"


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
