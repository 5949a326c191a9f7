"""The REST door over an application without Kafka: headers, limits, answers."""

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator, Mapping
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from inm import metrics
from inm.core import apikeys, journey
from inm.core.decide import Refusal
from inm.core.records import Notification
from inm.intake import openapi
from inm.intake.body import MAX_BODY
from inm.intake.rest import Rest
from inm.streaming.emitter import Batch
from inm.tables.journeys import journeys
from inm.web import mailbox
from inm.web.problems import KINDS

ACME, VOLTA = ("inm_live_" + name + "_" + name[0] * 40 for name in ("acme1", "volta1"))
ID = "3-" + "a" * 26
REQUEST = {"scenario": "otp", "to": {"phone": "+393331234567"}, "fields": {"code": "1"}}
CLIENT = TestClient[web.Request, web.Application]


class Scenarios:
    def scenario_names(self, tenant: str) -> list[str] | None:
        return ["otp"]

    def book(self, tenant: str) -> None:
        return None


class Emitter:
    """Keeps what is emitted. ``answer`` is what the broker says: an error, nothing (None) or an offset."""

    def __init__(self) -> None:
        self.records: list[tuple[str, int, bytes, bytes]] = []
        self.answer: int | Exception | None = 0

    def emit(self, topic: str, partition: int, key: bytes, value: bytes) -> Batch:
        self.records.append((topic, partition, key, value))
        batch = Batch(None, asyncio.get_running_loop().create_future())
        if isinstance(self.answer, Exception):
            batch.acked.set_exception(self.answer)
        elif self.answer is not None:
            batch.acked.set_result(self.answer)
        return batch


class App:
    """The parts of a worker that the door uses."""

    def __init__(self) -> None:
        keys = [apikeys.hashed("acme", ACME), apikeys.hashed("volta", VOLTA)]
        self.library = SimpleNamespace(keys=apikeys.index(keys))
        self.mirror = SimpleNamespace(age=0.5)
        self.informed = True
        self.catalogue = Scenarios()
        self.partitions = 6
        self.emitter = Emitter()
        self.ready = True
        self.assignments = SimpleNamespace(partitions={3})
        self.owner: str | None = None

    def owner_of(self, topic: str, partition: int) -> str | None:
        return self.owner


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
async def client(app: App, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CLIENT]:
    rows: dict[bytes, bytes] = {}
    monkeypatch.setattr(journeys.table, "partitions", {3: rows})
    web_app = web.Application()
    Rest(app).install(web_app)  # type: ignore[arg-type]
    async with TestClient(TestServer(web_app)) as client, aiohttp.ClientSession() as session:
        app.http_client = session  # type: ignore[attr-defined]
        yield client


def keep(notification: Notification) -> None:
    """Put a journey into the table as evaluate does."""

    class Out:
        partition = int(notification.id.partition("-")[0])

        def put(self, table: Any, key: bytes, value: bytes) -> None:
            table.partitions[self.partition][key] = value

    row, _ = journey.begin(notification, Refusal("no-address", "", []), 1_000)
    journeys.put(Out(), row.id, row, 2**50)  # type: ignore[arg-type]


def bearer(key: str = ACME, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} | {name.replace("_", "-"): value for name, value in more.items()}


async def post(client: CLIENT, body: Any = REQUEST, headers: Mapping[str, str] | None = None) -> aiohttp.ClientResponse:
    return await client.post("/v1/requests", json=body, headers=headers or bearer())


async def problem(answer: aiohttp.ClientResponse, kind: str) -> dict[str, Any]:
    """The problem of an answer, which must be of that kind in every respect."""
    document: dict[str, Any] = json.loads(await answer.read())
    assert (answer.status, answer.content_type) == (KINDS[kind].status, "application/problem+json")
    assert (document["type"], document["status"], document["title"]) == (f"/problems/{kind}", answer.status, KINDS[kind].title)
    Draft202012Validator(resolved("Problem")).validate(document)
    return document


def resolved(name: str) -> dict[str, Any]:
    """A schema of the OpenAPI document with all that it refers to."""
    schemas = json.loads(json.dumps(openapi.document()["components"]["schemas"]).replace("#/components/schemas/", "#/$defs/"))
    return {"$ref": f"#/$defs/{name}", "$defs": schemas}


async def test_a_request_is_taken_when_kafka_has_it(client: CLIENT, app: App) -> None:
    answer = await post(client)
    document = await answer.json()
    assert answer.status == 202
    Draft202012Validator(resolved("Taken")).validate(document)
    ((topic, partition, key, value),) = app.emitter.records
    assert (topic, json.loads(value)["idempotency_key"]) == ("inm.requests.acme", key.decode())
    assert 0 <= partition < 6
    assert answer.headers["Location"] == f"/v1/notifications/{document['requests'][0]['notifications'][0]['id']}"


async def test_a_list_is_taken_as_a_whole_or_not_at_all(client: CLIENT, app: App) -> None:
    answer = await post(client, [REQUEST, REQUEST])
    assert (answer.status, len((await answer.json())["requests"]), "Location" in answer.headers) == (202, 2, False)
    app.emitter.records.clear()
    document = await problem(await post(client, [REQUEST, REQUEST | {"lane": "x"}]), "invalid-request")
    (error,) = document["errors"]
    assert (error["pointer"], error["found"], error["allowed"]) == ("/1/lane", "'x'", "bulk, normal, urgent or null")
    assert not app.emitter.records


async def test_the_errors_of_an_answer_are_bounded(client: CLIENT) -> None:
    document = await problem(await post(client, [REQUEST | {"lane": "x"}] * 1000), "invalid-request")
    assert len(document["errors"]) == 100


async def test_a_big_list_is_taken(client: CLIENT, app: App) -> None:
    body = json.dumps([REQUEST | {"fields": {"x": "y" * 1000}}] * 1000).encode()
    answer = await client.post("/v1/requests", data=BytesIO(body), headers=bearer(Content_Type="application/json"))
    assert (answer.status, len(app.emitter.records)) == (202, 1000)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer nonsense", f"Basic {ACME}", f"Bearer {ACME}x", "Bearer é", "Bearer " + "x" * 999]
)
async def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(client: CLIENT, authorization: str) -> None:
    for answer in (
        await client.post("/v1/requests", json=REQUEST, headers={"Authorization": authorization}),
        await client.get(f"/v1/notifications/{ID}", headers={"Authorization": authorization}),
    ):
        document = await problem(answer, "unauthorized")
        assert document.keys() == {"type", "title", "status", "instance"}
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_another_tenants_name_is_forbidden(client: CLIENT) -> None:
    await problem(await post(client, REQUEST | {"tenant": "volta"}), "invalid-topic")


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/json; charset=latin-1", "application/octet-stream"])
async def test_only_json_is_read(client: CLIENT, content_type: str) -> None:
    answer = await client.post("/v1/requests", data=b"{}", headers=bearer(Content_Type=content_type))
    await problem(answer, "unsupported-media-type")
    assert answer.headers["Accept"] == "application/json"


async def test_a_body_has_a_limit_also_when_it_is_compressed(client: CLIENT) -> None:
    headers = bearer(Content_Type="application/json")
    big = b" " * (MAX_BODY + 1)
    await problem(await client.post("/v1/requests", data=BytesIO(big), headers=headers), "too-large")
    packed = headers | {"Content-Encoding": "gzip"}
    await problem(await client.post("/v1/requests", data=gzip.compress(big), headers=packed), "too-large")
    small = gzip.compress(json.dumps(REQUEST).encode())
    assert (await client.post("/v1/requests", data=small, headers=packed)).status == 202
    await problem(await client.post("/v1/requests", data=b"no gzip", headers=packed), "bad-request")


@pytest.mark.parametrize("answer", [ConnectionError("down"), None])
async def test_a_broker_that_is_down_is_told_with_a_time_to_come_back(
    client: CLIENT, app: App, answer: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "ACK_TIMEOUT", 0.05)
    app.emitter.answer = answer
    refusal = await post(client)
    await problem(refusal, "unavailable")
    assert int(refusal.headers["Retry-After"]) > 0


async def test_what_waits_for_the_broker_is_bounded(client: CLIENT, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "ACK_TIMEOUT", 0.01)
    monkeypatch.setattr(mailbox, "MAX_UNACKED", 1000)
    app.emitter.answer = None
    for _ in range(20):
        await problem(await post(client), "unavailable")
    assert 1 <= len(app.emitter.records) < 20


async def test_requests_go_on_when_the_broker_is_back(client: CLIENT, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "MAX_UNACKED", 1000)
    app.emitter.answer = ConnectionError("down")
    for _ in range(20):
        await problem(await post(client), "unavailable")
    app.emitter.answer = 0
    assert (await post(client)).status == 202


@pytest.mark.parametrize("key", ["", '""', "x" * 191, "è"])
async def test_an_idempotency_key_must_be_usable(client: CLIENT, key: str) -> None:
    await problem(await post(client, headers=bearer(Idempotency_Key=key)), "invalid-idempotency-key")


async def test_a_quoted_key_is_the_same_as_a_bare_one(client: CLIENT, app: App) -> None:
    for key in ('"a \\"b\\""', 'a "b"'):
        await post(client, headers=bearer(Idempotency_Key=key))
    assert [record[2] for record in app.emitter.records] == [b'a "b"'] * 2


async def taken_into_the_ledger(client: CLIENT, app: App, key: str) -> None:
    """Post a request and do what the stages do with it, on partition 3."""
    from inm.core.requests import expand, parse

    await post(client, USER, bearer(Idempotency_Key=key))
    request = parse(app.emitter.records.pop()[3], "acme", Scenarios())
    (notification,) = expand(request, "acme", "", 1, 6)
    assert notification.id.startswith("3-")
    keep(notification)


USER = {"scenario": "otp", "to": {"user": "u3"}, "fields": {"code": "1"}}


async def test_a_replay_is_told_and_another_body_refused(client: CLIENT, app: App) -> None:
    await taken_into_the_ledger(client, app, "k")
    replay = await post(client, USER, bearer(Idempotency_Key="k"))
    assert (replay.status, replay.headers.get("Idempotency-Replayed"), app.emitter.records) == (202, "true", [])
    assert replay.headers["Location"] == f"/v1/notifications/{(await replay.json())['requests'][0]['notifications'][0]['id']}"
    await problem(await post(client, USER | {"fields": {"code": "2"}}, bearer(Idempotency_Key="k")), "idempotency-mismatch")
    fresh = await post(client, USER, bearer(Idempotency_Key="l"))
    assert (fresh.status, fresh.headers.get("Idempotency-Replayed")) == (202, None)
    other = await post(client, USER, bearer(VOLTA, Idempotency_Key="k"))
    assert (other.status, other.headers.get("Idempotency-Replayed")) == (202, None)


async def test_what_is_known_only_in_part_is_done_again(client: CLIENT, app: App) -> None:
    await taken_into_the_ledger(client, app, "k")
    two = await post(client, USER | {"to": [{"user": "u3"}, {"user": "u4"}]}, bearer(Idempotency_Key="k"))
    assert (two.status, two.headers.get("Idempotency-Replayed"), len(app.emitter.records)) == (202, None, 1)


async def test_other_workers_are_told_of_their_tenants_notifications_alone(client: CLIENT) -> None:
    keep(Notification(ID, "acme/u", "acme", "otp", 900, fingerprint="f"))
    for key, told in ((ACME, {ID: "f"}), (VOLTA, {})):
        answer = await client.post("/internal/fingerprints", json=[ID, ELSEWHERE, "x"], headers=bearer(key))
        assert (answer.status, await answer.json()) == (200, told)
    await problem(await client.post("/internal/fingerprints", json=[ID]), "unauthorized")
    await problem(await client.post("/internal/fingerprints", json={}, headers=bearer()), "invalid-json")


async def test_a_story_is_told_to_its_tenant_alone(client: CLIENT) -> None:
    keep(Notification(ID, "acme/u", "acme", "otp", 900))
    answer = await client.get(f"/v1/notifications/{ID}", headers=bearer())
    story = await answer.json()
    assert (answer.status, story["id"], story["state"]) == (200, ID, "failed")
    Draft202012Validator(resolved("Story")).validate(story)
    foreign = await problem(await client.get(f"/v1/notifications/{ID}", headers=bearer(VOLTA)), "not-found")
    unknown_id = "3-" + "b" * 26
    unknown = await problem(await client.get(f"/v1/notifications/{unknown_id}", headers=bearer(VOLTA)), "not-found")
    assert foreign | {"instance": ""} == unknown | {"instance": ""}


@pytest.mark.parametrize("name", ["x", "3-", "3-abc", "6-" + "a" * 26, "9999-" + "a" * 26, "%FF-%00", "3-" + "A" * 26, "٣-" + "a" * 26])
async def test_what_can_be_no_id_is_unknown(client: CLIENT, name: str) -> None:
    await problem(await client.get(f"/v1/notifications/{name}", headers=bearer()), "not-found")


ELSEWHERE = "4-" + "a" * 26


async def test_a_story_that_nobody_holds_is_unavailable(client: CLIENT, app: App) -> None:
    for owner in (None, "http://127.0.0.1:1", str(client.make_url("/"))):
        app.owner = owner
        answer = await client.get(f"/v1/notifications/{ELSEWHERE}", headers=bearer())
        await problem(answer, "unavailable")
        assert answer.headers["Retry-After"] == "1"


async def test_a_story_is_fetched_from_the_worker_that_holds_it(client: CLIENT, app: App) -> None:
    seen: list[dict[str, str]] = []

    async def other(request: web.Request) -> web.Response:
        seen.append(dict(request.headers))
        return web.json_response({"id": request.match_info["id"]})

    peer = web.Application()
    peer.router.add_get("/v1/notifications/{id}", other)
    async with TestServer(peer) as server:
        app.owner = str(server.make_url("/"))
        answer = await client.get(f"/v1/notifications/{ELSEWHERE}", headers=bearer())
        forwarded = await client.get(f"/v1/notifications/{ELSEWHERE}", headers=bearer(Inm_Forwarded="1"))
        await problem(forwarded, "unavailable")
    assert (answer.status, await answer.json()) == (200, {"id": ELSEWHERE})
    assert [(headers["Authorization"], headers["Inm-Forwarded"]) for headers in seen] == [(f"Bearer {ACME}", "1")]


async def test_a_replay_is_recognised_by_the_worker_that_holds_it(client: CLIENT, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    await taken_into_the_ledger(client, app, "k")
    held, reads = journeys.table.partitions, []

    class Gone(dict[int, Any]):
        """Partition 3 is there for what another worker asks only: every second look."""

        def __getitem__(self, partition: int) -> Any:
            reads.append(partition)
            if len(reads) % 2:
                raise KeyError(partition)
            return held[partition]

    monkeypatch.setattr(journeys.table, "partitions", Gone())
    app.owner = str(client.make_url("/"))
    replay = await post(client, USER, bearer(Idempotency_Key="k"))
    assert (replay.headers.get("Idempotency-Replayed"), reads) == ("true", [3, 3])
    app.owner = "http://127.0.0.1:1"
    unasked = await post(client, USER, bearer(Idempotency_Key="k"))
    assert (unasked.status, unasked.headers.get("Idempotency-Replayed"), len(app.emitter.records)) == (202, None, 1)


async def test_errors_of_the_router_are_problems_too(client: CLIENT) -> None:
    for path in ("/", "/stats/", "/router/", "/table/", "/nowhere", "/v1/requests/"):
        await problem(await client.get(path), "not-found")
    answer = await client.put("/v1/requests", headers=bearer())
    await problem(answer, "method-not-allowed")
    assert answer.headers["Allow"] == "POST"


async def test_a_defect_is_a_problem_that_tells_nothing(client: CLIENT, app: App, caplog: pytest.LogCaptureFixture) -> None:
    app.catalogue = None  # type: ignore[assignment]
    document = await problem(await post(client), "internal")
    assert "detail" not in document
    assert "POST /v1/requests failed" in caplog.text
    assert ACME not in caplog.text


async def test_every_kind_of_problem_has_its_page(client: CLIENT) -> None:
    for name, kind in KINDS.items():
        answer = await client.get(f"/problems/{name}")
        assert answer.status == 200
        assert kind.title in await answer.text()
    await problem(await client.get("/problems/none"), "not-found")


async def test_no_answer_tells_what_serves_it(client: CLIENT) -> None:
    assert (await client.get("/healthz")).headers["Server"] == "INM"
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"GET / HTTP/1.1\r\nAuthorization: Bearer \x00\r\n\r\n")
    malformed = await reader.read()
    writer.close()
    assert malformed.startswith(b"HTTP/1.0 400")
    assert b"aiohttp" not in malformed


async def test_health_and_readiness(client: CLIENT, app: App) -> None:
    assert (await client.get("/readyz")).status == 200
    app.ready = False
    assert (await client.get("/healthz")).status == 200
    await problem(await client.get("/readyz"), "unavailable")


async def test_metrics(client: CLIENT, app: App) -> None:
    await client.get("/v1/notifications/secret-id", headers=bearer())
    await client.request("BREW", "/secret-path")
    answer = await client.get("/metrics")
    assert answer.headers["Content-Type"] == metrics.CONTENT_TYPE
    lines = (await answer.text()).splitlines()
    assert all(line.startswith(("inm_", "# HELP inm_", "# TYPE inm_")) for line in lines)
    assert not any("secret" in line or "BREW" in line or "_created" in line for line in lines)
    assert {"inm_ready 1.0", "inm_table_partitions 1.0"} <= set(lines)
    assert any(line.startswith("inm_build_info{") for line in lines)
    assert any(line.startswith('inm_http_requests_total{method="GET",route="/v1/notifications/{id}",status="404"}') for line in lines)


DOCUMENTED = Path(__file__).parents[2] / "docs" / "schemas" / "openapi.json"


async def test_the_openapi_document_is_valid_served_and_documented(client: CLIENT) -> None:
    served = await (await client.get("/openapi.json")).json()
    validate(served)
    assert served == openapi.document()
    assert json.loads(DOCUMENTED.read_text()) == served, "write inm.intake.openapi.document() to docs/schemas/openapi.json"


async def test_the_openapi_document_names_every_public_route(client: CLIENT) -> None:
    routes = {(route.resource.canonical, route.method.lower()) for route in client.app.router.routes() if route.resource}
    public = {
        (path, method) for path, method in routes if method != "head" and not path.startswith(("/internal/", "/problems/", "/openapi.json"))
    }
    assert {(path, method) for path, item in openapi.document()["paths"].items() for method in item} == public


def test_examples_of_the_openapi_document_are_as_its_schemas_say() -> None:
    def contents(node: Any) -> list[dict[str, Any]]:
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
        own = [node] if isinstance(node, dict) and "schema" in node and {"example", "examples"} & node.keys() else []
        return own + [found for child in inner for found in contents(child)]

    checked = 0
    for content in contents(openapi.document()["paths"]):
        schema = json.loads(json.dumps(content["schema"]).replace("#/components/schemas/", "#/$defs/"))
        for example in [content["example"]] if "example" in content else [item["value"] for item in content["examples"].values()]:
            Draft202012Validator(schema | {"$defs": resolved("Story")["$defs"]}).validate(example)
            checked += 1
    assert checked >= 6


async def test_the_schemas_are_served(client: CLIENT) -> None:
    for name in ("request", "edr"):
        answer = await client.get(f"/schemas/{name}/1")
        assert answer.content_type == "application/schema+json"
        Draft202012Validator.check_schema(json.loads(await answer.read()))


async def test_no_key_reaches_the_log(client: CLIENT, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await post(client)
    await post(client, headers=bearer(ACME + "x"))
    assert ACME not in caplog.text
