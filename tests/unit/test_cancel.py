"""Cancel over REST: what is told in each state, by the worker that holds the row."""

import asyncio
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from inm import topics
from inm.core import journey
from inm.core.ledger import Journey
from inm.core.records import Outcome
from inm.core.results import Result
from inm.streaming.emitter import Batch
from inm.tables.journeys import journeys
from inm.web import calling
from tests.unit import test_journey as story
from tests.unit.test_web import VOLTA, App, app, bearer, client, problem

__all__ = ["app", "client"]

ID = "3-" + "a" * 26
CLIENT = TestClient[web.Request, web.Application]
LATER = msgspec.structs.replace(story.NOTIFICATION, id=ID, at=4_000_000_000_000)


class Out:
    partition = 3

    def put(self, table: Any, key: bytes, value: bytes) -> None:
        table.partitions[3][key] = value


def keep(row: Journey) -> None:
    journeys.put(Out(), ID, msgspec.structs.replace(row, id=ID), 2**50)  # type: ignore[arg-type]


def stage(app: App, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let what is emitted be taken as the journeys stage takes it; the event tells of it."""
    emit, taken = app.emitter.emit, asyncio.Event()

    def taking(topic: str, partition: int, key: bytes, value: bytes) -> Batch:
        assert (topic, partition) == (topics.OUTCOMES, 3)
        row = journeys.peek(3, ID, 0)
        assert row
        keep(journey.advance(row, msgspec.json.decode(value, type=Outcome), 2_000_000)[0])
        taken.set()
        return emit(topic, partition, key, value)

    monkeypatch.setattr(app.emitter, "emit", taking)
    return taken


async def delete(client: CLIENT, **headers: Any) -> Any:
    return await client.delete(f"/v1/notifications/{ID}", headers=bearer(**headers))


async def test_what_waits_is_cancelled_and_the_same_again_too(client: CLIENT, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    stage(app, monkeypatch)
    keep(journey.postpone(LATER, 1000)[0])
    for _ in range(2):
        answer = await delete(client)
        assert answer.status == 200
        told = await answer.json()
        assert (told["state"], told["final"]) == ("cancelled", True)
    [record] = app.emitter.records
    assert msgspec.json.decode(record[3])["by"] == "key acme1"


async def test_what_is_on_its_way_is_asked_for(client: CLIENT, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    stage(app, monkeypatch)
    monkeypatch.setattr(calling, "PATIENCE", 0.05)
    keep(story.started())
    answer = await delete(client)
    assert (answer.status, "final" in await answer.json()) == (202, False)


async def test_what_becomes_of_it_meanwhile_is_told(client: CLIENT, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = stage(app, monkeypatch)
    row = story.started()
    keep(row)
    asked = asyncio.create_task(delete(client))
    await taken.wait()
    keep(story.play(row, story.answer(Result.SENT, "p"))[0])
    assert "submitted" in (await problem(await asked, "wrong-state"))["detail"]


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ([story.answer(Result.SENT, "p")], "submitted"),
        ([story.answer(Result.SENT, "p"), story.receipt("delivered")], "delivered, finally"),
        ([story.answer(Result.UNKNOWN, reason="no-answer")], "unknown"),
    ],
)
async def test_what_may_have_been_sent_is_too_late(client: CLIENT, app: App, outcomes: list[Outcome], state: str) -> None:
    keep(story.play(story.started(), *outcomes)[0])
    assert f"is {state}:" in (await problem(await delete(client), "wrong-state"))["detail"]
    assert not app.emitter.records


async def test_of_another_tenant_and_unknown_are_the_same(client: CLIENT) -> None:
    missing = await problem(await delete(client), "not-found")
    keep(journey.postpone(LATER, 1000)[0])
    assert await problem(await delete(client, key=VOLTA), "not-found") == missing
    await problem(await client.delete("/v1/notifications/nonsense", headers=bearer()), "not-found")


async def test_without_kafka_it_is_not_promised(client: CLIENT, app: App) -> None:
    app.emitter.answer = OSError("down")
    keep(journey.postpone(LATER, 1000)[0])
    await problem(await delete(client), "unavailable")


async def test_who_does_not_hold_the_row_asks_the_worker_that_does(client: CLIENT, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journeys.table, "partitions", {})
    await problem(await delete(client), "unavailable")
