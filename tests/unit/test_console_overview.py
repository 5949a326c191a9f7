"""The overview: what workers do adds up, what is wrong is said, and the stream ends with whoever looks at it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from inm import metrics, topics
from inm.console import overview
from inm.console.console import Console
from inm.console.words import ALARMS
from inm.core.completeness import HOUR, Tally, key
from inm.core.flow import Code, Ends, Flow, Queue, RouteFlow, alarms, together
from inm.streaming.chunks import now_ms
from inm.tables.journeys import journeys
from inm.tables.rows import Rows
from tests.support.console import App, Browser, Client, Partition, served, words

Parts = tuple[Client, App, Console]
SCENARIO = {
    "kind": "scenario", "tenant": "acme", "name": "otp", "validity": 60,
    "plan": [{"channel": "sms", "template": "otp-sms", "sender": "by-sms", "after": 60}],
}  # fmt: skip
TEMPLATE = {"kind": "template", "tenant": "acme", "name": "otp-sms", "channel": "sms", "variants": {"en": {"text": "x"}}}


@pytest.fixture
async def parts(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Parts]:
    monkeypatch.setattr(journeys.table, "partitions", {number: Partition() for number in range(6)})
    async with served(SCENARIO, TEMPLATE) as parts:
        yield parts


def tally(partition: int, tenant: str, at: int, counted: Tally) -> None:
    rows = Rows("journeys", Tally, journeys.table)
    journeys.table.partitions[partition][b"#" + key(tenant, "otp", at).encode()] = rows.written(counted, 2**50)  # type: ignore[index]


async def test_the_page_shows_the_tenants_notifications_and_everybodys_stages(parts: Parts) -> None:
    client, app, console = parts
    now = now_ms()
    tally(1, "acme", now, Tally(5, {"delivered": 3}))
    tally(2, "acme", now - HOUR, Tally(2, {"failed": 1}))
    tally(2, "acme", now - 30 * HOUR, Tally(100, {}))
    tally(3, "volta", now, Tally(1000, {}))
    app.queues = {("inm.requests.acme", 0): (7, None), (topics.deliveries("sms", "urgent"), 1): (3, now - 20_000)}
    console.overview.sampler.take(1.0)
    metrics.STAGE_RECORDS.labels("evaluate").inc(50)
    console.overview.sampler.take(2.0)
    _, text, _ = await Browser(client, app).get("/", Accept="application/json")
    found = msgspec.json.decode(text)
    assert found["scenarios"]["otp"] == {"accepted": 7, "finals": {"delivered": 3, "failed": 1}, "corrections": 0, "open": 3}
    assert found["stages"]["evaluate"]["rate"] == 50
    assert (found["stages"]["intake"]["waiting"], found["stages"]["dispatch"]["waiting"]) == (7, 3)
    assert 20 <= found["lanes"]["urgent"]["age"] < 30
    assert [alarm["words"].partition(" has")[0] for alarm in found["alarms"]] == ["In the lane urgent something"]
    status, text, _ = await Browser(client, app).get("/")
    assert status == 200
    assert "something has waited for" in words(text)
    assert "1,000" not in text


async def test_a_worker_that_does_not_answer_is_said(parts: Parts) -> None:
    client, app, _ = parts
    app.assignments.partitions = {0, 1, 2}
    app.owner = "http://127.0.0.1:9"
    _, text, _ = await Browser(client, app).get("/")
    assert "Partitions 3, 4, 5 are on no worker that answers." in words(text)


async def test_the_stream_sends_the_part_again_and_ends_with_the_session(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    client, app, console = parts
    monkeypatch.setattr(overview, "EVERY", 0.01)
    viewer = Browser(client, app)
    async with client.get("/console/live", headers=viewer.headers) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        for _ in range(2):
            event = (await answer.content.readuntil(b"\n\n")).decode()
            assert all(line.startswith("data: ") for line in event.splitlines() if line)
            assert "Nothing is wrong." in event
        console.ended._known["id-of-acme-viewer"] = now_ms()
        async with asyncio.timeout(5):
            await answer.content.read()
    async with client.get("/console/live", headers=Browser(client, app, "editor").headers) as answer:
        await answer.content.readuntil(b"\n\n")
        await console.overview.close(web.Application())
        async with asyncio.timeout(5):
            await answer.content.read()


async def test_a_stream_asks_other_workers_for_the_page_and_never_for_a_stream(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    client, app, console = parts
    monkeypatch.setattr(overview, "EVERY", 0.01)
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        told = msgspec.to_builtins(console.overview.sampler.flow("acme")) | {"partitions": [3, 4, 5], "worker": "worker-2"}
        return web.json_response(told)

    other = web.Application()
    other.router.add_get("/console/{tail:.*}", answer)
    async with TestServer(other) as server:
        app.assignments.partitions = {0, 1, 2}
        app.owner = str(server.make_url("/"))
        async with client.get("/console/live", headers=Browser(client, app).headers) as stream:
            event = (await stream.content.readuntil(b"\n\n")).decode()
            await console.overview.close(other)
            await stream.content.read()
    assert "worker-2" in event
    assert set(asked) == {"/console/"}


# -- laws -------------------------------------------------------------------------------------------

queues = st.dictionaries(st.sampled_from(["intake", "evaluate"]), st.builds(Queue, st.integers(0, 9), st.floats(0, 99), st.integers(0, 9)))
ends = st.builds(Ends, st.integers(50, 99), st.dictionaries(st.sampled_from(["read", "failed"]), st.integers(1, 9)))
routes = st.builds(RouteFlow, st.just("sms"), st.integers(0, 9), st.none() | st.integers(1, 9), st.floats(0, 1), st.booleans())


def flows(**more: Any) -> st.SearchStrategy[Flow]:
    kinds: dict[str, Any] = {
        "worker": st.text("ab", min_size=1),
        "partitions": st.lists(st.integers(0, 5), unique=True),
        "ready": st.booleans(),
        "documents_age": st.floats(0, 100),
        "stages": queues,
        "lanes": st.dictionaries(st.sampled_from(["urgent", "bulk"]), st.builds(Queue, age=st.floats(0, 1e6))),
        "routes": st.dictionaries(st.sampled_from(["smsc-1", "smtp-1"]), routes),
        "scenarios": st.dictionaries(st.sampled_from(["otp", "bill"]), ends),
        "dead": st.integers(0, 2),
        "suspended": st.lists(st.just("crm"), max_size=1),
        "source": st.booleans(),
    }
    return st.builds(Flow, **kinds | more)


@given(st.lists(flows(), min_size=1, max_size=4))
def test_together_they_are_what_they_are_one_by_one(found: list[Flow]) -> None:
    whole = together(found)
    assert sum(ends.accepted for ends in whole.scenarios.values()) == sum(e.accepted for f in found for e in f.scenarios.values())
    assert sum(ends.open for ends in whole.scenarios.values()) == sum(e.open for f in found for e in f.scenarios.values())
    assert sum(queue.waiting for queue in whole.stages.values()) == sum(q.waiting for f in found for q in f.stages.values())
    assert all(whole.routes[name].health <= route.health for flow in found for name, route in flow.routes.items())
    assert together([whole]) == whole


@given(st.lists(flows(), min_size=1, max_size=3), st.lists(st.integers(0, 5)))
def test_what_is_wrong_has_a_sentence_and_what_is_well_has_none(found: list[Flow], missing: list[int]) -> None:
    said = list(alarms(found, missing))
    assert all(ALARMS[alarm.code] % {"what": alarm.what, "detail": alarm.detail} for alarm in said)
    assert bool(missing) == ("no-answer" in {alarm.code for alarm in said})
    assert sum(alarm.code == "not-ready" for alarm in said) == sum(not flow.ready for flow in found)


def test_every_kind_of_alarm_is_translated_and_can_be_raised() -> None:
    route = {health: RouteFlow("sms", 0, None, health) for health in (0.1, 0.5)}
    worst = Flow("w", [], False, 99.0, {}, {"urgent": Queue(age=99)}, {}, {}, 1, 1, ["crm"], False)
    worst.routes = {"a": route[0.1], "b": route[0.5], "c": RouteFlow("sms", 0, None, 1.0, True, "why")}
    assert {alarm.code for alarm in alarms([worst], [1])} == set(ALARMS) == set(Code.__args__)  # type: ignore[attr-defined]
    assert list(alarms([Flow("w", [0], True, 0.1, {}, {}, {}, {})], [])) == []
