"""Campaigns in the console: how far they have come, and what operators have done with them."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from inm import topics
from inm.console.console import Console
from inm.core import campaigns as core
from inm.core.audience import Report
from inm.core.audit import of_order
from inm.core.campaigns import NEXT, Act, Campaign, Counts
from inm.core.rowfiles import RowFault
from inm.streaming.chunks import now_ms
from inm.tables import campaigns
from inm.web import ordering
from tests.support.console import App, Browser, Client, Partition, served, words

Parts = tuple[Client, App, Console]
FAR = 2**50
REPORT = Report(
    1000, 3, 1, [RowFault(7, "phone", "no phone number", "'0039 333 1234567'", "like +393331234567")], 20, {"opted-out": 2}, 40, 2.0
)
HOME = campaigns.partition_of("acme", 6)


def campaign(name: str = "spring", tenant: str = "acme", **more: Any) -> Campaign:
    given = {"scenario": "otp", "author": "olga", "created": 5, "changed": now_ms(), "state": "running", "report": REPORT, "released": 500}
    return Campaign(**{"tenant": tenant, "name": name, **given, **more})


def keep(row: Campaign) -> None:
    stored = campaigns.campaigns.written(row, FAR)
    campaigns.campaigns.table.partitions[campaigns.partition_of(row.tenant, 6)][core.key(row.tenant, row.name).encode()] = stored  # type: ignore[index]


@pytest.fixture
async def parts(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Parts]:
    monkeypatch.setattr(campaigns.campaigns.table, "partitions", {number: Partition() for number in range(6)})
    monkeypatch.setattr(ordering, "PATIENCE", 0.3)
    async with served() as parts:
        app = parts[1]

        async def send(topic: str, partition: int, key: bytes, value: bytes) -> None:
            """The stage carries the order out."""
            if app.emitter.broken:
                raise app.emitter.broken
            app.emitter.records.append((topic, partition, key, value))
            order = msgspec.json.decode(value, type=Act)
            held = campaigns.campaigns.peek(partition, key.decode(), now_ms())
            assert held
            keep(core.act(held, order, now_ms()))

        monkeypatch.setattr(app.emitter, "send", send)
        yield parts


def state(name: str = "spring") -> str:
    held = campaigns.campaigns.peek(HOME, f"acme/{name}", now_ms())
    assert held
    return held.state


async def test_the_list_has_the_tenants_campaigns_the_newest_first(parts: Parts) -> None:
    client, app, _ = parts
    viewer = Browser(client, app)
    assert "There are no campaigns" in (await viewer.get("/campaigns"))[1]
    keep(campaign())
    keep(campaign("summer", created=9, state="ready"))
    keep(campaign("theirs", "volta"))
    status, text, _ = await viewer.get("/campaigns", Accept="application/json")
    assert (status, [each["name"] for each in msgspec.json.decode(text)["campaigns"]]) == (200, ["summer", "spring"])
    _, text, _ = await viewer.get("/campaigns")
    assert text.index("summer") < text.index("spring")
    assert "theirs" not in text


async def test_a_campaigns_page_tells_how_far_it_has_come(parts: Parts) -> None:
    client, app, _ = parts
    now = now_ms()
    counts = {
        0: Counts(taken=300, submitted=290, begun=300, parts=600, finals={"delivered": 200, "failed": 5}),
        1: Counts(taken=200, lane=50),
    }
    keep(campaign(counts=counts, heard=now, marks=[(now - 4000, 250), (now - 1000, 450)], pace=100))
    status, text, _ = await Browser(client, app).get("/campaigns/spring")
    assert status == 200
    assert 'value="450" max="1000"' in text
    shown = words(text)
    for part in (
        "450 of 1,000 recipients",
        "lately 66.7",
        "At most 100",
        "delivered 200",
        "failed 5",
        "open 95",
        "opted-out 2",
        "no phone number",
    ):
        assert part in shown, part
    assert "The last one not known" not in shown
    assert 'hx-trigger="every 2s"' in text
    assert "333 1234567" not in text, "what faulty rows have is masked"
    assert "9999 999 9999999" in text
    assert "Cancel the campaign" not in text
    keep(campaign(state="done", released=1000, counts={0: Counts(taken=1000, begun=1, finals={"delivered": 1})}, heard=now))
    assert "every 2s" not in (await Browser(client, app).get("/campaigns/spring"))[1]


async def test_an_operator_starts_pauses_resumes_paces_and_cancels(parts: Parts) -> None:
    client, app, _ = parts
    keep(campaign(state="ready", released=0))
    operator = Browser(client, app, "operator")
    for action, form, after in (
        ("start", {}, "running"),
        ("pause", {"why": "too many calls"}, "paused"),
        ("pace", {"pace": "50"}, "paused"),
        ("resume", {}, "running"),
        ("cancel", {"why": "a wrong price"}, "cancelled"),
    ):
        status, _, headers = await operator.post(f"/campaigns/spring/{action}", form)
        assert (status, headers["Location"]) == (303, "/console/campaigns/spring"), action
        assert state() == after
    orders = [msgspec.json.decode(value, type=Act) for topic, _, _, value in app.emitter.records if topic == topics.CAMPAIGNS and value]
    assert [order.action for order in orders] == ["start", "pause", "pace", "resume", "cancel"]
    assert {order.author for order in orders} == {"operator"}
    assert orders[2].pace == 50
    deeds = ("started", "paused", "paced", "resumed", "cancelled")
    assert [of_order(order).what for order in orders] == [f"campaign-{deed}" for deed in deeds]
    assert [order.why for order in orders] == [None, "too many calls", None, None, "a wrong price"]


async def test_a_start_may_be_of_a_later_time_in_the_tenants_zone(parts: Parts) -> None:
    client, app, _ = parts
    keep(campaign(state="ready"))
    assert (await Browser(client, app, "operator").post("/campaigns/spring/start", {"at": "2030-07-01T09:30"}))[0] == 303
    [order] = app.emitter.of(topics.CAMPAIGNS)
    assert order["starts"] == 1_909_121_400_000


@pytest.mark.parametrize(
    ("action", "form"),
    [
        ("cancel", {"why": " "}),
        ("start", {"at": "tomorrow"}),
        ("start", {"at": "9999-12-31T23:59+99:00"}),
        ("pace", {"pace": "fast"}),
        ("pace", {"pace": "0"}),
        ("pace", {"pace": "100001"}),
        ("pace", {"pace": "-1"}),
        ("pace", {"pace": "٣"}),
    ],
)  # fmt: skip
async def test_what_is_filled_in_wrongly_is_said_and_nothing_is_done(parts: Parts, action: str, form: dict[str, str]) -> None:
    client, app, _ = parts
    keep(campaign(state="ready"))
    status, text, _ = await Browser(client, app, "operator").post(f"/campaigns/spring/{action}", form)
    assert (status, 'aria-invalid="true"' in text) == (422, True)
    assert not app.emitter.records


@pytest.mark.parametrize("action", [action for action in NEXT if action != "cancel"])
async def test_what_is_not_for_its_state_is_refused_in_the_visits_language(parts: Parts, action: str) -> None:
    client, app, _ = parts
    keep(campaign(state="cancelled"))
    operator = Browser(client, app, "operator")
    status, text, _ = await operator.post(f"/campaigns/spring/{action}", {"why": "x"}, Accept_Language="it")
    assert (status, "annullat" in text) == (409, True)
    assert not app.emitter.records
    assert f"/spring/{action}" not in (await operator.get("/campaigns/spring"))[1]


@pytest.mark.parametrize(
    ("report", "fault"), [(Report(), "no row that can be sent to"), (Report(rows=50, faulty=50), "50% of its rows are faulty")]
)
async def test_a_bad_audience_is_not_started(parts: Parts, report: Report, fault: str) -> None:
    client, app, _ = parts
    keep(campaign(state="ready", report=report))
    status, text, _ = await Browser(client, app, "operator").post("/campaigns/spring/start")
    assert (status, fault in words(text)) == (409, True)
    assert not app.emitter.records


async def test_who_may_not_does_not_and_nobody_touches_anothers(parts: Parts) -> None:
    client, app, _ = parts
    keep(campaign())
    keep(campaign("theirs", "volta"))
    assert (await Browser(client, app, "moderator").post("/campaigns/spring/cancel", {"why": "x"}))[0] == 403
    operator = Browser(client, app, "operator")
    for name in ("theirs", "nothing", "volta%2Ftheirs", "..%2Fvolta", "x" * 500, "%3Cb%3E"):
        assert (await operator.get(f"/campaigns/{name}"))[0] == 404
        assert (await operator.post(f"/campaigns/{name}/cancel", {"why": "x"}))[0] == 404
    assert not app.emitter.records


@pytest.mark.parametrize("error", [OSError("no broker"), TimeoutError()])
async def test_nothing_is_ordered_that_could_not_be_recorded(parts: Parts, error: Exception) -> None:
    client, app, _ = parts
    keep(campaign())
    app.emitter.broken = error
    assert (await Browser(client, app, "operator").post("/campaigns/spring/pause"))[0] == 503
    assert state() == "running"


async def test_the_worker_that_holds_them_answers(parts: Parts) -> None:
    client, app, _ = parts
    keep(campaign())
    told = (await Browser(client, app).get("/campaigns/spring", Accept="application/json"))[1]
    del campaigns.campaigns.table.partitions[HOME]
    operator = Browser(client, app, "operator")
    status, text, headers = await operator.get("/campaigns/spring")
    assert (status, headers["Retry-After"]) == (503, "1")
    asked: list[tuple[str, str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.method, request.path, dict(await request.post())))
        if request.path.endswith("campaigns"):
            return web.json_response({"campaigns": [msgspec.json.decode(told)]})
        return web.json_response(msgspec.json.decode(told))

    other = web.Application()
    other.router.add_route("*", "/console/{path:.*}", answer)
    async with TestServer(other) as server:
        app.owner = str(server.make_url("/"))
        assert "spring" in (await operator.get("/campaigns"))[1]
        _, text, _ = await operator.get("/campaigns/spring")
        assert "500 of 1,000 recipients" in words(text)
        assert (await operator.post("/campaigns/spring/pause", {"why": "late"}))[0] == 303
    method, path, form = asked[-1]
    assert (method, path, form["why"]) == ("POST", "/console/campaigns/spring/pause", "late")
    assert not app.emitter.records, "the worker that does it records it"
