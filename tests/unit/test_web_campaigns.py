"""Campaigns over REST: who may do what in which state, audiences in pieces, and what is answered when it cannot be."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from inm import algorithms, topics
from inm.core import apikeys, campaigns
from inm.core.apikeys import ApiKey
from inm.core.campaigns import Act, Campaign, Create, Order, Piece
from inm.core.catalogue import Catalogue
from inm.intake.rest import Rest
from tests.support import books

CLIENT = TestClient[web.Request, web.Application]
JSON = "application/json"
SECRETS = {"live": "inm_live_crm_" + "a" * 40, "test": "inm_test_crm_" + "b" * 40, "volta": "inm_live_vol_" + "c" * 40}
WANTED = {"name": "spring", "scenario": "hello", "pace": 100}
ROWS = "phone,text\n+393331234567,one\n+393331234568,two\n0039,three\n+393331234567,four\n"


class Worker:
    """Stands for emitter and table: carries orders out as the stage does."""

    def __init__(self) -> None:
        self.rows: dict[str, Campaign] = {}
        self.pieces: list[Piece] = []
        self.answers = True

    async def send(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        if not self.answers:
            raise TimeoutError
        if topic == topics.AUDIENCES:
            piece = msgspec.json.decode(value, type=Piece)
            self.pieces.append(piece)
            self.rows[key.decode()] = campaigns.take(self.rows[key.decode()], piece, 1)
            return
        order: Order = msgspec.json.decode(value, type=Order)
        if isinstance(order, Create):
            self.rows[key.decode()] = campaigns.create(order, 1)
        elif isinstance(order, Act):
            self.rows[key.decode()] = campaigns.act(self.rows[key.decode()], order, 1)

    def peek(self, partition: int, key: str, now: int) -> Campaign | None:
        return self.rows.get(key)

    def of_tenant(self, partition: int, tenant: str, now: int) -> list[Campaign]:
        return [row for row in self.rows.values() if row.tenant == tenant]


@pytest.fixture
async def client() -> AsyncIterator[CLIENT]:
    tenants = {"live": "acme", "test": "acme", "volta": "volta"}
    keys = apikeys.index(apikeys.hashed(tenants[name], secret) for name, secret in SECRETS.items())
    catalogue = Catalogue(
        {
            tenant: books.book(books.sms(), books.scenario(requires=["text"]), books.fields(text="string"), tenant=tenant)
            for tenant in ("acme", "volta")
        }
    )
    worker = Worker()
    app = SimpleNamespace(
        library=SimpleNamespace(keys=keys), catalogue=catalogue, emitter=worker, informed=True, partitions=6,
        kafka_down=(OSError, TimeoutError), settings=SimpleNamespace(prices={"smsc-1": 0.05}, rates=lambda _: {"smsc-1": 2.0}),
        algorithms=algorithms.installed(),
    )  # fmt: skip
    web_app = web.Application()
    Rest(app).install(web_app)  # type: ignore[arg-type]
    with (
        patch("inm.tables.campaigns.campaigns.peek", worker.peek),
        patch("inm.tables.campaigns.peek", worker.of_tenant),
        patch("inm.web.ordering.PATIENCE", 0.2),
    ):
        async with TestClient(TestServer(web_app)) as client:
            client.worker = worker  # type: ignore[attr-defined]
            yield client


async def ask(
    client: CLIENT, method: str, path: str, body: Any = None, kind: str = "application/json", key: str = "live"
) -> tuple[int, Any]:
    content = body if isinstance(body, str | bytes) or body is None else msgspec.json.encode(body)
    headers = {"Authorization": f"Bearer {SECRETS[key]}"} | ({"Content-Type": kind} if content is not None else {})
    async with client.request(method, path, data=content, headers=headers) as answer:
        return answer.status, msgspec.json.decode(await answer.read())


async def loaded(client: CLIENT) -> None:
    assert (await ask(client, "POST", "/v1/campaigns", WANTED | {"max_faulty": 0.5}))[0] == 201
    assert (await ask(client, "PUT", "/v1/campaigns/spring/audience/0?last=true", ROWS, "text/csv"))[0] == 200


async def test_a_campaign_from_its_creation_to_its_end(client: CLIENT) -> None:
    await loaded(client)
    status, told = await ask(client, "GET", "/v1/campaigns/spring")
    assert (status, told["state"], told["recipients"], told["pace"]) == (200, "ready", 2, 100)
    assert told["report"]["faults"] == [
        {"line": 4, "column": "phone", "message": told["report"]["faults"][0]["message"], "found": "'0039'"}
        | {"allowed": told["report"]["faults"][0]["allowed"]}
    ]
    assert told["report"]["duplicates"] == 1
    assert told["forecast"] == {"parts": 2, "cost": 0.1, "seconds": 1}
    for action, state in (("start", "running"), ("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        status, told = await ask(client, "POST", f"/v1/campaigns/spring/{action}")
        assert (status, told["state"]) == (200, state)
    assert [row["name"] for row in (await ask(client, "GET", "/v1/campaigns"))[1]["campaigns"]] == ["spring"]


async def test_the_rows_of_a_piece_are_as_the_scenario_wants_them(client: CLIENT) -> None:
    await loaded(client)
    [piece] = client.worker.pieces  # type: ignore[attr-defined]
    assert [(row.line, row.to.phone, row.fields) for row in piece.rows] == [
        (2, "+393331234567", {"text": "one"}),
        (3, "+393331234568", {"text": "two"}),
    ]


async def test_an_action_in_a_wrong_state_is_a_conflict_that_says_why(client: CLIENT) -> None:
    assert (await ask(client, "POST", "/v1/campaigns", WANTED))[0] == 201
    status, told = await ask(client, "POST", "/v1/campaigns/spring/start")
    assert (status, told["type"]) == (409, "/problems/wrong-state")
    assert "loading" in told["detail"]
    await ask(client, "PUT", "/v1/campaigns/spring/audience/0?last=true", ROWS, "text/csv")
    status, told = await ask(client, "POST", "/v1/campaigns/spring/start")
    assert (status, "25.00%" in told["detail"]) == (409, True)


async def test_the_same_campaign_again_is_no_second_one_and_another_is_refused(client: CLIENT) -> None:
    assert [(await ask(client, "POST", "/v1/campaigns", WANTED))[0] for _ in range(2)] == [201, 200]
    assert (await ask(client, "POST", "/v1/campaigns", WANTED | {"pace": 5}))[0] == 409


async def test_pieces_come_in_order_and_again(client: CLIENT) -> None:
    await ask(client, "POST", "/v1/campaigns", WANTED)
    path, row = "/v1/campaigns/spring/audience/", '{"to":{"phone":"+393331234567"},"fields":{"text":"one"}}\n'
    assert (await ask(client, "PUT", path + "1", row, "application/x-ndjson"))[0] == 409
    told = [await ask(client, "PUT", path + "0", row, "application/x-ndjson") for _ in range(2)]
    assert [(status, answer["pieces"], answer["recipients"]) for status, answer in told] == [(200, 1, 1)] * 2
    assert (await ask(client, "PUT", path + "1?last=true", "", "application/x-ndjson"))[1]["state"] == "ready"
    assert (await ask(client, "PUT", path + "2", row, "application/x-ndjson"))[0] == 409


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        ("phone,colour\n+393331234567,red\n", "text/csv", 400, "colour"),
        ("x" * 300_000, "text/csv", 413, "262144"),
        ("phone,text\n+393331234567,citt\xe0\n".encode("latin-1"), "text/csv", 400, "UTF-8"),
        ("{}", "application/json", 415, "text/csv"),
    ],
)
async def test_a_piece_that_cannot_be_read_says_why(client: CLIENT, body: str, kind: str, status: int, words: str) -> None:
    await ask(client, "POST", "/v1/campaigns", WANTED)
    found, told = await ask(client, "PUT", "/v1/campaigns/spring/audience/0", body, kind)
    assert found == status
    assert words in str(told)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/campaigns/autumn", None, 404),
        ("POST", "/v1/campaigns/spring/explode", None, 404),
        ("POST", "/v1/campaigns", {"name": "a/b", "scenario": "hello"}, 400),
        ("POST", "/v1/campaigns", {"name": "summer", "scenario": "nothing"}, 400),
        ("POST", "/v1/campaigns", {"name": "summer", "scenario": "hello", "pace": 0}, 400),
        ("POST", "/v1/campaigns/spring/start", {"at": "tomorrow"}, 400),
        ("PUT", "/v1/campaigns/spring/audience/x", None, 404),
    ],
)
async def test_what_is_wrong_is_told(client: CLIENT, method: str, path: str, body: Any, status: int) -> None:
    await loaded(client)
    assert (await ask(client, method, path, body))[0] == status


async def test_another_tenant_sees_nothing_and_a_test_key_runs_nothing(client: CLIENT) -> None:
    await loaded(client)
    assert (await ask(client, "GET", "/v1/campaigns/spring", key="volta"))[0] == 404
    assert (await ask(client, "GET", "/v1/campaigns", key="volta"))[1] == {"campaigns": []}
    assert (await ask(client, "POST", "/v1/campaigns/spring/start", key="test"))[0] == 403
    assert (await ask(client, "POST", "/v1/campaigns", WANTED | {"name": "other"}, key="test"))[0] == 403


async def test_without_kafka_it_is_unavailable(client: CLIENT) -> None:
    await loaded(client)
    client.worker.answers = False  # type: ignore[attr-defined]
    assert (await ask(client, "POST", "/v1/campaigns/spring/start"))[0] == 503


def test_keys_of_tests_are_known() -> None:
    assert isinstance(apikeys.hashed("acme", SECRETS["test"]), ApiKey)
