"""Endpoints for callbacks over REST: how it stands with one, and taking it up again."""

from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from inm import topics
from inm.core import apikeys
from inm.core.callbacks import NEVER, BoundCallback, Callback, Endpoint, Letter
from inm.intake.rest import Rest
from inm.tables import callbacks
from tests.unit.test_web import ACME, CLIENT, VOLTA, App, bearer, problem

TEST = "inm_test_acme2_" + "a" * 40
CRM = BoundCallback(Callback("acme", "crm", "https://crm.example/hook", "ACME_HOOK"), 1)
PARTITION = topics.partition_of_key("acme/crm", 6)


class Rows(dict[bytes, bytes]):
    """A partition of the table."""

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter([(key, self[key]) for key in sorted(self) if start <= key < end])


class Out:
    """Writes as a stage does."""

    partition = PARTITION

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.now = 2**41

    def put(self, table: Any, key: bytes, value: bytes) -> None:
        self.rows[key] = value


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    rows = Rows()
    monkeypatch.setattr(callbacks.table, "partitions", {PARTITION: rows})
    return rows


@pytest.fixture
def app() -> App:
    app = App()
    keys = [apikeys.hashed("acme", ACME), apikeys.hashed("volta", VOLTA), apikeys.hashed("acme", TEST)]
    app.library = SimpleNamespace(keys=apikeys.index(keys))
    books = {"acme": SimpleNamespace(callbacks={"crm": CRM}), "volta": SimpleNamespace(callbacks={})}
    app.catalogue = SimpleNamespace(book=books.get, scenario_names=lambda _: [])  # type: ignore[assignment]
    setattr(app, "kafka_down", (OSError,))  # noqa: B010 - a part that only this door uses
    return app


@pytest.fixture
async def client(app: App, rows: Rows) -> AsyncIterator[CLIENT]:
    web_app = web.Application()
    Rest(app).install(web_app)  # type: ignore[arg-type]
    async with TestClient(TestServer(web_app)) as client:
        yield client


async def test_an_endpoint_that_nothing_is_known_of_works(client: CLIENT) -> None:
    answer = await client.get("/v1/callbacks/crm", headers=bearer())
    assert await answer.json() == {"name": "crm", "url": "https://crm.example/hook", "state": "working", "waiting": 0}


async def test_how_it_stands(client: CLIENT, rows: Rows) -> None:
    out: Any = Out(rows)
    row = Endpoint(1, failures=9, failing_since=5, suspended="gone", error="HTTP status 410")
    callbacks.keep_endpoint(out, "acme/crm", row)
    for number, due in enumerate((1, 2**40, NEVER + 7)):
        callbacks.keep(out, "acme/crm", Letter(f"e{number}", "delivered", 2**41, b"{}"), due)
    callbacks.keep(out, "acme/crm2", Letter("e", "delivered", 2**41, b"{}"), 1)
    found = await (await client.get("/v1/callbacks/crm", headers=bearer())).json()
    assert (found["state"], found["reason"], found["waiting"], found["failures"]) == ("suspended", "gone", 2, 9)


async def test_nobody_sees_another_tenants(client: CLIENT) -> None:
    await problem(await client.get("/v1/callbacks/crm", headers=bearer(VOLTA)), "not-found")
    await problem(await client.get("/v1/callbacks/none", headers=bearer()), "not-found")
    await problem(await client.get("/v1/callbacks/crm"), "unauthorized")
    await problem(await client.post("/v1/callbacks/crm/resend", json={"since": "2026-11-22T00:00:00Z"}, headers=bearer(VOLTA)), "not-found")


async def test_while_its_partition_moves_nobody_knows(client: CLIENT, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks.table, "partitions", {})
    await problem(await client.get("/v1/callbacks/crm", headers=bearer()), "unavailable")


async def test_taking_it_up_again_is_an_order(client: CLIENT, app: App) -> None:
    answer = await client.post("/v1/callbacks/crm/resend", json={"since": "2026-11-22T00:00:00Z"}, headers=bearer())
    assert answer.status == 202
    [(topic, partition, key, value)] = app.emitter.records
    assert (topic, partition, key) == ("inm.callbacks", PARTITION, b"acme/crm")
    assert msgspec.json.decode(value) == {"type": "resend", "endpoint": "acme/crm", "since": 1_795_305_600_000}


async def test_orders_that_are_none(client: CLIENT, app: App) -> None:
    for body in ({}, {"since": "yesterday"}, {"since": "2026-11-22T00:00:00"}, {"since": "2999-01-01T00:00:00Z"}):
        await problem(await client.post("/v1/callbacks/crm/resend", json=body, headers=bearer()), "invalid-document")
    await problem(await client.post("/v1/callbacks/crm/resend", json={"since": "2026-01-01T00:00:00Z"}, headers=bearer(TEST)), "forbidden")
    assert not app.emitter.records
    app.emitter.answer = OSError("down")
    await problem(await client.post("/v1/callbacks/crm/resend", json={"since": "2026-01-01T00:00:00Z"}, headers=bearer()), "unavailable")
