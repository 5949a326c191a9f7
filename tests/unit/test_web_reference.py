"""Reference data over REST: who may see and change what, and what is answered when it cannot be."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from inm.core import apikeys
from inm.core.apikeys import ApiKey
from inm.core.changes import change
from inm.core.reference import Answer, Change, Held
from inm.intake.rest import Rest
from inm.tables.library import Library
from inm.web import changing
from tests.unit.test_changes import NOW, ROUTES, SCENARIO, SENDER, TENANT, applied, done, template

CLIENT = TestClient[web.Request, web.Application]
SECRETS = {name: f"inm_live_{name}_{name[0] * 40}" for name in ("anna", "boris", "volta", "trial")}
SCENARIO_URL, TEMPLATE_URL = "/v1/reference/scenario/otp", "/v1/reference/template/otp-sms"


class Emitter:
    """Decides a change as the stage does, and lets the library see it."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.answers = True

    async def send(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        wanted = msgspec.json.decode(value, type=Change)
        changed = change(self._library.held("acme"), wanted, ROUTES, NOW * 2)
        rows: dict[bytes, bytes | None] = {path.encode(): encoded(row) for path, row in changed.rows.items()}
        rows[b"!answer/1/" + key] = msgspec.json.encode(changed.answer)
        if self.answers:
            await self._library.take(rows, False)


def encoded(row: Held | Answer | None) -> bytes | None:
    return None if row is None else msgspec.json.encode(row)


@pytest.fixture
async def client() -> AsyncIterator[CLIENT]:
    keys = [apikeys.hashed("volta" if name == "volta" else "acme", secret) for name, secret in SECRETS.items()]
    known = [msgspec.structs.replace(key, test=key.id == "trial") for key in keys]
    library = Library(apikeys.index(known))
    held = done({}, *(applied(each) for each in (TENANT, SENDER, template("{{ code }}"), SCENARIO)), approved_by="boris")
    await library.take({path.encode(): encoded(row) for path, row in held.items()}, True)
    app = SimpleNamespace(library=library, emitter=Emitter(library), informed=True, kafka_down=(OSError, TimeoutError), settings=None)
    web_app = web.Application()
    Rest(app).install(web_app)  # type: ignore[arg-type]
    async with TestClient(TestServer(web_app)) as client:
        client.inm = app  # type: ignore[attr-defined]
        yield client


def by(name: str = "anna", **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRETS[name]}"} | {header.replace("_", "-"): value for header, value in more.items()}


async def told(client: CLIENT, method: str, url: str, status: int, body: Any = None, **headers: str) -> Any:
    who = headers.pop("who", "anna")
    async with client.request(method, url, json=body, headers=by(who, **headers)) as answer:
        content = await answer.text()
        assert answer.status == status, content
        return msgspec.json.decode(content) if content else None


async def test_a_document_is_read_changed_and_protected_from_a_second_editor(client: CLIENT) -> None:
    async with client.get(SCENARIO_URL, headers=by()) as answer:
        tag, found = answer.headers["ETag"], await answer.json()
    assert (tag, found["author"], found["document"]) == ('"1"', "anna", SCENARIO)
    mended = SCENARIO | {"title": "One-time password"}
    async with client.put(SCENARIO_URL, json=mended, headers=by(If_Match=tag)) as answer:
        assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
    problem = await told(client, "put", SCENARIO_URL, 412, mended, who="boris", If_Match=tag)
    assert problem["errors"][0]["message"] == "key anna has changed it meanwhile"
    assert (await told(client, "get", SCENARIO_URL, 200))["author"] == "key anna"
    assert (await told(client, "put", SCENARIO_URL, 200, mended))["result"] == "unchanged"


async def test_the_path_says_what_the_document_need_not(client: CLIENT) -> None:
    made = await told(client, "put", "/v1/reference/sender/help", 201, {"channel": "sms", "address": "Help"}, If_None_Match="*")
    assert made == {"path": "acme/sender/help", "result": "created", "revision": 1}
    await told(client, "put", "/v1/reference/sender/help", 412, {"channel": "sms", "address": "Help"}, If_None_Match="*")
    problem = await told(client, "put", "/v1/reference/sender/help", 400, {"channel": "sms", "name": "other"})
    assert {fault["pointer"] for fault in problem["errors"]} == {"/address"}


async def test_a_key_of_another_tenant_finds_nothing(client: CLIENT) -> None:
    assert await told(client, "get", "/v1/reference", 200, who="volta") == {"documents": []}
    for method in ("get", "delete"):
        await told(client, method, SCENARIO_URL, 404, who="volta")
    for who, tenant in (("volta", "acme"), ("anna", "volta")):
        await told(client, "get", f"/v1/reference/tenant/{tenant}", 404, who=who)
    await told(client, "post", "/v1/templates/otp-sms/1/reject", 404, who="volta")
    problem = await told(client, "put", SCENARIO_URL, 400, {"tenant": "acme"} | SCENARIO, who="volta")
    assert "acme/scenario/otp" in problem["errors"][0]["found"]


@pytest.mark.parametrize("path", ["tenant/acme", "key/crm", "account/olga", "source/crm"])
async def test_a_key_does_not_say_who_may_do_what(client: CLIENT, path: str) -> None:
    kind = path.partition("/")[0]
    problem = await told(client, "put", f"/v1/reference/{path}", 400, {})
    assert problem["errors"][0]["message"] == "is changed by operators only"
    assert (await told(client, "get", "/v1/reference?kind=" + kind, 200))["documents"] is not None


async def test_a_text_needs_a_second_key(client: CLIENT) -> None:
    made = await told(client, "put", TEMPLATE_URL, 200, template("new {{ code }}"))
    assert made == {"path": "acme/template/otp-sms/2", "result": "configured", "revision": 2}
    await told(client, "post", "/v1/templates/otp-sms/2/submit", 200, {"comment": "please"})
    assert [each["version"] for each in (await told(client, "get", "/v1/reference?state=submitted", 200))["documents"]] == [2]
    await told(client, "post", "/v1/templates/otp-sms/2/approve", 400)
    assert (await told(client, "post", "/v1/templates/otp-sms/2/approve", 200, who="boris"))["result"] == "approved"
    assert (await told(client, "get", f"{TEMPLATE_URL}?version=1", 200))["state"] == "approved"
    for wrong in ("/v1/templates/otp-sms/2/destroy", "/v1/templates/otp-sms/9/submit", "/v1/templates/otp-sms/2/apply"):
        await told(client, "post", wrong, 404)


async def test_several_are_changed_as_one_or_tried(client: CLIENT) -> None:
    items = [
        {"action": "delete", "kind": "scenario", "name": "otp", "expected": 1},
        {"action": "delete", "kind": "template", "name": "otp-sms"},
    ]
    tried = await told(client, "post", "/v1/reference", 200, {"items": items, "dry_run": True})
    assert [each["result"] for each in tried["done"]] == ["deleted", "deleted"]
    await told(client, "get", SCENARIO_URL, 200)
    await told(client, "post", "/v1/reference", 200, {"items": items})
    await told(client, "get", SCENARIO_URL, 404)
    await told(client, "delete", SCENARIO_URL, 404)
    await told(client, "delete", "/v1/reference/sender/acme-sms", 204)


@pytest.mark.parametrize(
    ("method", "url", "body", "status"),
    [
        ("put", SCENARIO_URL, [], 400),
        ("put", "/v1/reference/nonsense/x", {}, 404),
        ("put", "/v1/reference/sender/a%2Fb", {"channel": "sms", "address": "x"}, 400),
        ("post", "/v1/reference", {}, 400),
        ("post", "/v1/reference", {"items": [{"action": "approve", "kind": "template", "name": "otp-sms/1"}]}, 400),
        ("delete", "/v1/reference/template/otp-sms", None, 400),
        ("get", "/v1/reference/sender/none", None, 404),
        ("get", f"{TEMPLATE_URL}?version=7", None, 404),
    ],
)
async def test_what_cannot_be_is_refused(client: CLIENT, method: str, url: str, body: Any, status: int) -> None:
    await told(client, method, url, status, body)


async def test_a_test_key_changes_nothing_and_an_expired_one_is_none(client: CLIENT) -> None:
    await told(client, "put", SCENARIO_URL, 403, SCENARIO, who="trial")
    keys = client.inm.library  # type: ignore[attr-defined]
    keys.keys = apikeys.index(ApiKey(key.tenant, key.id, key.sha256, expires=1) for key in keys.keys.values())
    await told(client, "get", SCENARIO_URL, 401)


async def test_a_change_that_nobody_decides_is_unavailable(client: CLIENT, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changing, "PATIENCE", 0.01)
    client.inm.emitter.answers = False  # type: ignore[attr-defined]
    await told(client, "put", SCENARIO_URL, 503, SCENARIO)
    await asyncio.sleep(0)
    assert not client.inm.library._awaited  # type: ignore[attr-defined]


async def test_before_there_are_documents_nothing_is_served(client: CLIENT) -> None:
    client.inm.informed = False  # type: ignore[attr-defined]
    await told(client, "get", "/v1/reference", 503)
