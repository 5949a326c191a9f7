"""Finding notifications and reading their stories: whose they are, what is masked, and what other workers have."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from inm import topics
from inm.console import notifications
from inm.console import story as stories
from inm.console.console import Console
from inm.core import search, sessions
from inm.core.ids import notification_id, partition_of_notification
from inm.core.journey import begin
from inm.core.ledger import Journey
from inm.core.records import Recipient, Request
from inm.core.search import Wanted, beginnings, id_in, spellings
from inm.tables.journeys import journeys
from inm.web import calling
from inm.web.peers import FORWARDED
from tests.support.console import SECRET, App, Browser, Client, Partition, audit, served, words
from tests.unit import test_story

Parts = tuple[Client, App, Console]
PHONE = test_story.PHONE


def made(key: str, identity: str = "1", tenant: str = "acme", **more: Any) -> Journey:
    """A journey whose first step was handed to its route."""
    number = notification_id(f"{tenant}/{key}", identity, 6)
    notification = msgspec.structs.replace(
        test_story.NOTIFICATION, id=number, key=f"{tenant}/{key}", tenant=tenant, request_id=f"r-{identity}"
    )
    send = test_story.send()
    delivery = msgspec.structs.replace(send.delivery, id=f"{number}.1.1", notification=number, tenant=tenant)
    row, _ = begin(notification, msgspec.structs.replace(send, delivery=delivery), notification.received + 20)
    return msgspec.structs.replace(row, **more)


def keep(*rows: Journey) -> None:
    for row in rows:
        partition = partition_of_notification(row.id)
        journeys.table.partitions[partition][row.id.encode()] = journeys.written(row, 2**50)  # type: ignore[index]


@pytest.fixture
async def parts(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Parts]:
    monkeypatch.setattr(journeys.table, "partitions", {number: Partition({b"#acme/otp/1": b"x" * 16}) for number in range(6)})
    async with served() as parts:
        yield parts


async def found(browser: Browser, query: str) -> list[str]:
    status, text, _ = await browser.get(f"/notifications?{query}", Accept="application/json")
    assert status == 200, text
    return [each["id"] for each in msgspec.json.decode(text)["found"]]


# -- searching --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["u1", " u1 ", "r-7", "+39 333 123-4567", "00393331234567", "393331234567"])
async def test_a_notification_is_found_by_anything_at_hand(parts: Parts, text: str) -> None:
    client, app, _ = parts
    mine = made("u1", "7")
    keep(mine, made("u2", "8", user="u2", deliveries=[]), made("u1", "7", "volta", parent="acme"))
    assert await found(Browser(client, app), f"q={text.replace('+', '%2B')}") == [mine.id]


async def test_an_id_leads_to_its_story_also_out_of_a_longer_one(parts: Parts) -> None:
    client, app, _ = parts
    row = made("u1")
    for text in (row.id, f" {row.id.upper()} ", f"{row.id}.1.2/answer/77"):
        status, _, headers = await Browser(client, app).get(f"/notifications?q={text.replace(' ', '%20')}")
        assert (status, headers["Location"]) == (303, f"/console/notifications/{row.id}")


async def test_filters_narrow_and_the_page_masks(parts: Parts) -> None:
    client, app, _ = parts
    keep(made("u1"), made("u2", state="failed", final=True), made("u3", received=5, scenario="bill"))
    viewer = Browser(client, app)
    assert len(await found(viewer, "scenario=otp")) == 2
    assert len(await found(viewer, "state=failed")) == 1
    assert len(await found(viewer, "state=open&scenario=otp")) == 1
    assert len(await found(viewer, "since=2026-01-01T00:00")) == 2
    assert len(await found(viewer, "until=2026-01-01T00:00&scenario=bill")) == 1
    assert await found(viewer, "") == []
    status, text, _ = await viewer.get("/notifications?scenario=otp")
    assert (status, PHONE in text) == (200, False)
    assert "+39…67" in text
    assert (await viewer.get("/notifications?since=yesterday"))[0] == 400
    assert "Write an id" in (await viewer.get("/notifications"))[1]
    assert "no such notification" in words((await viewer.get("/notifications?q=nobody"))[1])


@pytest.mark.parametrize(("most", "budget"), [(10, 9.0), (1000, -1.0)], ids=["full pages", "no time"])
async def test_a_long_list_goes_on_page_by_page_and_loses_nothing(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, most: int, budget: float
) -> None:
    client, app, _ = parts
    monkeypatch.setattr(notifications, "MOST", most)
    monkeypatch.setattr(notifications, "BUDGET", budget)
    monkeypatch.setattr(notifications, "PIECE", 7)
    rows = [made(f"u{number}") for number in range(95)]
    keep(*rows)
    seen: set[str] = set()
    place = ""
    for _ in range(30):
        status, text, _ = await Browser(client, app).get(f"/notifications?scenario=otp&from={place}", Accept="application/json")
        page = msgspec.json.decode(text)
        assert status == 200
        fresh = {each["id"] for each in page["found"]}
        assert len(page["found"]) <= most
        assert not fresh & seen
        seen |= fresh
        place = page["next"]
        if place is None:
            break
    assert seen == {row.id for row in rows}


# -- several workers --------------------------------------------------------------------------------


async def test_what_another_worker_holds_is_found_and_what_nobody_holds_is_said(parts: Parts) -> None:
    client, app, _ = parts
    keep(made("u1"))
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        each = {"id": "5-" + "b" * 26, "scenario": "otp", "state": "read", "final": True, "received": 1, "user": None, "request": None}
        return web.json_response({"partitions": [4], "found": [each | {"test": False, "to": []}], "stop": None})

    other = web.Application()
    other.router.add_get("/console/notifications", answer)
    async with TestServer(other) as server:
        app.owner = str(server.make_url("/"))
        del journeys.table.partitions[4], journeys.table.partitions[5]
        viewer = Browser(client, app)
        _, text, _ = await viewer.get("/notifications?scenario=otp")
    assert "5-" + "b" * 26 in text
    assert "partitions 5 are on no worker" in words(text)
    [request] = asked
    assert request.headers["Cookie"] == viewer.headers["Cookie"]
    assert sessions.unseal(SECRET, "peer", request.headers[FORWARDED]) == "id-of-acme-viewer"
    assert request.query["scenario"] == "otp"


async def test_only_a_worker_may_say_that_a_worker_asks(parts: Parts) -> None:
    client, app, _ = parts
    keep(row := made("u1"))
    operator = Browser(client, app, "operator")
    forged = {FORWARDED.replace("-", "_"): "1", "Accept": "application/json"}
    assert PHONE not in (await operator.get(f"/notifications/{row.id}", **forged))[1]
    sealed = sessions.seal(SECRET, "peer", "id-of-acme-operator")
    _, text, _ = await operator.get(f"/notifications/{row.id}", **forged | {FORWARDED.replace("-", "_"): sealed})
    assert PHONE in text


# -- the story --------------------------------------------------------------------------------------


async def test_a_story_is_masked_unless_somebody_who_may_asks_and_that_is_recorded(parts: Parts) -> None:
    client, app, _ = parts
    keep(row := made("u1"))
    status, text, _ = await Browser(client, app).get(f"/notifications/{row.id}")
    assert (status, PHONE in text) == (200, False)
    assert "Call it back" not in text
    assert (await Browser(client, app).get(f"/notifications/{row.id}?unmask=1"))[0] == 403
    operator = Browser(client, app, "operator")
    assert PHONE not in (await operator.get(f"/notifications/{row.id}"))[1]
    assert audit(app) == []
    assert PHONE in (await operator.get(f"/notifications/{row.id}?unmask=1"))[1]
    assert audit(app) == [f"operator unmasked acme/notification/{row.id}"]


async def test_nothing_is_shown_that_could_not_be_recorded(parts: Parts) -> None:
    client, app, _ = parts
    keep(row := made("u1"))
    app.emitter.broken = OSError("no broker")
    status, text, _ = await Browser(client, app, "operator").get(f"/notifications/{row.id}?unmask=1")
    assert (status, PHONE in text) == (503, False)


@pytest.mark.parametrize("path", ["", "?unmask=1", "/text"])
async def test_another_tenants_notification_is_as_one_that_never_was(parts: Parts, path: str) -> None:
    client, app, _ = parts
    keep(row := made("u1", tenant="volta"))
    operator = Browser(client, app, "operator")
    never = made("u9").id
    theirs, none = await operator.get(f"/notifications/{row.id}{path}"), await operator.get(f"/notifications/{never}{path}")
    assert theirs[0] == none[0] == 404
    assert theirs[1].replace(row.id, "") == none[1].replace(never, "")
    for action in ("cancel", "resend"):
        assert (await operator.post(f"/notifications/{row.id}/{action}", {"why": "x"}))[0] == 404
    assert not app.emitter.records
    for wrong in ("9-" + "a" * 26, "x", "1-" + "A" * 26):
        assert (await operator.get(f"/notifications/{wrong}"))[0] == 404


# -- what operators do ------------------------------------------------------------------------------


async def test_calling_back_asks_why_and_goes_to_the_stage(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    client, app, _ = parts
    monkeypatch.setattr(calling, "PATIENCE", 0.05)
    keep(row := made("u1"))
    operator = Browser(client, app, "operator")
    status, text, _ = await operator.post(f"/notifications/{row.id}/cancel", {"why": " "})
    assert (status, "Say why" in text) == (422, True)
    assert not app.emitter.records
    status, _, headers = await operator.post(f"/notifications/{row.id}/cancel", {"why": "a mistake"})
    assert (status, headers["Location"]) == (303, f"/console/notifications/{row.id}")
    [wish] = app.emitter.of(topics.OUTCOMES)
    assert (wish["id"], wish["by"], wish["why"]) == (f"{row.id}.cancel", "operator", "a mistake")


async def test_what_has_ended_is_not_called_back(parts: Parts) -> None:
    client, app, _ = parts
    keep(row := made("u1", state="delivered", final=True))
    status, _, headers = await Browser(client, app, "operator").post(f"/notifications/{row.id}/cancel", {"why": "late"})
    assert status == 303
    assert "too late" in (sessions.unseal(SECRET, "told", headers["Set-Cookie"].partition("=")[2].partition(";")[0]) or "")
    assert not app.emitter.records


def topic(monkeypatch: pytest.MonkeyPatch, *records: Any) -> None:
    async def tail(*_: object) -> AsyncIterator[SimpleNamespace]:
        for record in records:
            yield SimpleNamespace(value=msgspec.json.encode(record))

    monkeypatch.setattr(stories, "tail", tail)


async def test_sending_again_is_a_request_of_its_own_once_a_form(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    client, app, _ = parts
    keep(row := made("u1"))
    record = msgspec.structs.replace(test_story.NOTIFICATION, id=row.id, fields={"code": "12"}, phone=PHONE)
    topic(monkeypatch, test_story.NOTIFICATION, record)
    operator = Browser(client, app, "operator")
    form = {"why": "it was lost", "mark": "abc"}
    assert (await operator.post(f"/notifications/{row.id}/resend", form | {"why": ""}))[0] == 422
    assert (await operator.post(f"/notifications/{row.id}/resend", form))[0] == 303
    [asked] = app.emitter.of(topics.requests("acme"))
    request = msgspec.convert(asked, Request)
    assert request.to == Recipient(user=record.user, phone=PHONE)
    assert (request.fields, request.idempotency_key) == ({"code": "12"}, f"resend-abc-{row.id}")
    assert audit(app) == [f"operator resent acme/notification/{row.id}"]
    topic(monkeypatch)
    assert (await operator.post(f"/notifications/{row.id}/resend", form))[0] == 409


async def test_what_waits_has_no_text_yet(parts: Parts) -> None:
    client, app, _ = parts
    keep(row := made("u1", deliveries=[]))
    app.new_consumer = None  # of no topic there is nothing to read
    status, text, _ = await Browser(client, app, "operator").get(f"/notifications/{row.id}/text")
    assert (status, "nothing was handed to a route" in words(text)) == (200, True)


async def test_the_text_as_sent_is_shown_to_those_who_may(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    client, app, _ = parts
    keep(row := made("u1"))
    delivery = test_story.send().delivery
    topic(monkeypatch, msgspec.structs.replace(delivery, id=f"{row.id}.1.1", notification=row.id))
    operator = Browser(client, app, "operator")
    status, text, _ = await operator.get(f"/notifications/{row.id}/text")
    assert (status, "hello" in text) == (200, True)
    assert audit(app) == [f"operator unmasked acme/notification/{row.id}"]
    topic(monkeypatch)
    assert "not kept any more" in (await operator.get(f"/notifications/{row.id}/text"))[1]
    assert (await Browser(client, app, "moderator").get(f"/notifications/{row.id}/text"))[0] == 403


# -- spellings --------------------------------------------------------------------------------------


@given(st.text(max_size=60))
def test_any_text_has_spellings_and_no_id_that_is_not_in_it(text: str) -> None:
    assert all(spelling.strip() for spelling in spellings(text))
    found = id_in(text)
    assert found is None or found in text.lower()
    assert len(beginnings(Wanted("acme", text), 6)) <= 3


def test_a_recipients_notifications_begin_alike() -> None:
    notification = notification_id("acme/+393331234567", "any", 6)
    assert any(notification.startswith(beginning) for beginning in beginnings(Wanted("acme", "0039 333 1234567"), 6))
    assert search.PREFIX == 13
