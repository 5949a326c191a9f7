"""Trials: over the API and on the command line, what would become of a request; and who may be reached by which key."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from inm import cli
from inm.algorithms import Installed
from inm.cli import desk
from inm.cli import rows as changelog
from inm.core import apikeys, magic, sms
from inm.core.catalogue import Catalogue, bind
from inm.core.users import User
from inm.intake import openapi
from inm.intake.rest import Rest
from inm.streaming.emitter import Batch
from inm.tables import users
from tests.support.books import email, fields, held, scenario, step
from tests.support.books import sms as template

LIVE, TEST = f"inm_live_crm_{'l' * 40}", f"inm_test_crm_{'t' * 40}"
PHONE = "+393331234567"
MAGIC = next(iter(magic.ADDRESSES["sms"]))
DOCUMENTS = held(
    template("text", it="ciao {{ text }}", it__young="ehi {{ text }}"),
    email(),
    scenario(plan=[step(), step("email")], rules=[{"name": "big", "when": "request.amount > 10.0", "lane": "urgent"}], max_parts=2),
    scenario("all", destinations="all"),
    fields(text="string", amount="decimal"),
)
_FIRST = DOCUMENTS["acme/template/text/1"]
_TEXT = _FIRST.document | {"variants": {"it": {"text": "nuovo {{ text }}"}}}
DRAFT = {"acme/template/text/2": msgspec.structs.replace(_FIRST, path="acme/template/text/2", document=_TEXT, state="draft")}


class Library:
    empty = False
    keys = apikeys.index([apikeys.hashed("acme", LIVE), apikeys.hashed("acme", TEST)])

    def __init__(self) -> None:
        book = bind(DOCUMENTS)
        assert book
        self.catalogue = Catalogue({"acme": book})

    def held(self, tenant: str) -> dict[str, Any]:
        return DOCUMENTS | DRAFT


class App:
    def __init__(self) -> None:
        self.library = Library()
        self.catalogue = self.library.catalogue
        self.settings = SimpleNamespace(prices={"smsc-1": 0.05})
        self.partitions = 6
        self.algorithms = Installed({})
        self.informed = True
        self.emitter = self
        self.records: list[tuple[str, bytes]] = []
        self.owner: str | None = None

    def emit(self, topic: str, partition: int, key: bytes, value: bytes) -> Batch:
        self.records.append((topic, value))
        batch = Batch(None, asyncio.get_running_loop().create_future())
        batch.acked.set_result(0)
        return batch

    def owner_of(self, topic: str, partition: int) -> str | None:
        return self.owner


KNOWN: dict[str, User] = {"acme/u1": User("acme/u1", 2**50, language="it", tone="young", phone=PHONE)}


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
async def client(app: App, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    def known(partition: int, key: str, *_: Any) -> User | None:
        return KNOWN.get(key)

    monkeypatch.setattr(users, "peek", known)
    web_app = web.Application()
    Rest(app).install(web_app)  # type: ignore[arg-type]
    async with TestClient(TestServer(web_app)) as client, aiohttp.ClientSession() as session:
        app.http_client = session  # type: ignore[attr-defined]
        yield client


Client = TestClient[web.Request, web.Application]


async def post(client: Client, body: Any, key: str = LIVE, path: str = "/v1/try") -> tuple[int, dict[str, Any]]:
    answer = await client.post(path, json=body, headers={"Authorization": f"Bearer {key}"})
    told: dict[str, Any] = await answer.json()
    if path == "/v1/try" and answer.status == 200:
        document = openapi.document()
        schema = {"$ref": "#/components/schemas/Trial", "components": document["components"]}
        Draft202012Validator(schema).validate(told)
    return answer.status, told


def asked(to: dict[str, Any], name: str = "hello", **values: Any) -> dict[str, Any]:
    return {"scenario": name, "to": to, "fields": {"text": "x"} | values}


async def test_it_tells_the_message_and_why_and_sends_nothing(client: Client, app: App) -> None:
    status, told = await post(client, {"request": asked({"user": "u1"}, amount="12.50")})
    assert (status, told["outcome"], app.records) == (200, "send", [])
    message = told["message"]
    assert (message["text"], message["language"], message["tone"], message["to"], message["lane"]) == (
        "ehi x",
        "it",
        "young",
        PHONE,
        "urgent",
    )
    assert (message["parts"], message["encoding"], message["price"]) == (1, "gsm7", 0.05)
    assert (told["decision"]["rule"], told["decision"]["rule_name"], told["decision"]["user"]) == (1, "big", "fresh")


async def test_it_tells_what_the_parts_cost_and_what_makes_them_many(client: Client) -> None:
    _, told = await post(client, {"request": asked({"phone": PHONE}, text="я" * 80)})
    message = told["message"]
    assert (message["parts"], message["encoding"], message["foreign"], message["price"]) == (2, "ucs2", "я", 0.1)
    _, told = await post(client, {"request": asked({"phone": PHONE}, text="я" * 300)})
    assert (told["outcome"], told["reason"], [one["reason"] for one in told["decision"]["rejected"]]) == (
        "refused",
        "too-many-parts",
        ["too-many-parts", "no-address"],
    )


async def test_user_data_can_be_given_and_drafts_be_looked_at(client: Client) -> None:
    given = {"phone": PHONE, "opt_out": ["hello"]}
    _, told = await post(client, {"request": asked({"user": "nobody"}), "user": given})
    assert (told["outcome"], told["reason"]) == ("refused", "opted-out")
    _, told = await post(client, {"request": asked({"phone": PHONE}), "draft": True})
    assert (told["message"]["text"], told["message"]["version"]) == ("nuovo x", 2)
    status, told = await post(client, {"request": asked({"phone": PHONE}), "draft": True, "to": PHONE})
    assert (status, told["errors"][0]["pointer"]) == (400, "/to")


async def test_to_sends_it_there_as_a_test(client: Client, app: App) -> None:
    status, told = await post(client, {"request": asked({"user": "u1", "email": "a@b.c"}), "to": "+393330000000"})
    assert (status, told["message"]["to"]) == (200, "+393330000000")
    ((topic, value),) = app.records
    sent = json.loads(value)
    assert (topic, sent["test"], sent["to"]) == ("inm.requests.acme", True, {"user": "u1", "phone": "+393330000000"})
    assert told["notification"]
    await post(client, {"request": asked({"user": "u1"}, text="x" * 1000), "to": "+393330000000"})
    assert len(app.records) == 1, "what is refused is not sent"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"request": asked({"phone": "0333"})}, "/request/to/phone"),
        ({"request": asked({"phone": PHONE}, amount="much")}, "/request/fields/amount"),
        ({"request": {"scenario": "nope", "to": {"phone": PHONE}}}, "/request/scenario"),
        ({"request": asked({"phone": PHONE}) | {"to": [{"phone": PHONE}, {"user": "u1"}]}}, "/request/to"),
        ({"request": asked({"phone": PHONE}), "to": "nowhere"}, "/request/to/phone"),
        ({"request": asked({"phone": PHONE}), "user": {"phone": "1"}}, "/user/phone"),
        ({"requests": []}, "/requests"),
    ],
)
async def test_what_is_wrong_is_named_with_its_place(client: Client, body: Any, pointer: str) -> None:
    status, told = await post(client, body)
    assert status == 400
    assert pointer in [error["pointer"] for error in told["errors"]]


async def test_the_worker_that_holds_the_user_is_asked(client: Client, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(*_: Any) -> None:
        raise KeyError

    monkeypatch.setattr(users, "peek", elsewhere)
    assert (await post(client, {"request": asked({"user": "u1"})}))[0] == 503
    app.owner = str(client.make_url("/"))
    assert (await post(client, {"request": asked({"user": "u1"})}))[0] == 503, "asked once, and not in a circle"
    assert (await post(client, {"request": asked({"user": "u1"}), "user": {"phone": PHONE}}))[0] == 200, "given data need nobody"


# which key reaches whom


@pytest.mark.parametrize(
    ("key", "request_", "status"),
    [
        (TEST, asked({"phone": MAGIC}), 202),
        (TEST, asked({"user": "u1", "email": "never@inm.test"}), 202),
        (TEST, asked({"phone": PHONE}), 400),
        (TEST, asked({"phone": MAGIC, "email": "ada@example.org"}), 400),
        (TEST, asked({"user": "u1"}), 400),
        (TEST, asked({"offer": "o1"}), 400),
        (TEST, asked({"phone": MAGIC}) | {"to": [{"phone": MAGIC}, {"phone": PHONE}]}, 400),
        (LIVE, asked({"phone": PHONE}), 202),
        (LIVE, asked({"phone": PHONE}) | {"test": True}, 202),
        (LIVE, asked({"phone": MAGIC}) | {"test": True}, 400),
        (LIVE, asked({"user": "u1"}) | {"test": True}, 400),
    ],
)
async def test_a_test_key_reaches_magic_recipients_only_and_a_live_key_none(
    client: Client, app: App, key: str, request_: Any, status: int
) -> None:
    found, told = await post(client, request_, key, "/v1/requests")
    assert found == status, told
    if status == 202:
        assert json.loads(app.records[0][1]).get("test", False) is (key == TEST or "test" in request_)
    else:
        assert app.records == []
        assert all(error["message"] for error in told["errors"])


async def test_under_a_test_key_nothing_is_seen_of_real_users(client: Client) -> None:
    _, told = await post(client, {"request": asked({"user": "u1", "phone": MAGIC})}, TEST)
    assert (told["decision"]["user"], told["message"]["text"]) == ("none", "ciao x")
    assert told["message"]["route"] == "magic-sms"


# on the command line


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    async def library(_: Any) -> Library:
        return Library()

    async def row(_: Any, table: str, partition: int, keys: Any) -> dict[str, None]:
        return dict.fromkeys(keys)

    monkeypatch.setattr(desk, "documents", library)
    monkeypatch.setattr(changelog, "find", row)
    monkeypatch.setenv("INM_SMSC_PASSWORD", "x")
    monkeypatch.setenv("INM_INBOX_SECRET", "x")

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(cli.group, ["try", *arguments])

    return call


def test_the_command_tells_a_support_agent_what_would_happen(run: Any) -> None:
    done = run("hello", "--phone", PHONE, "--field", "text=x", "--tone", "young", "--user-data", "language=it-CH")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "it would be sent"
    assert "  asked for: it-CH, tone young" in lines
    assert "  none of its 1 rules held" in lines
    assert "    rule 1 (big): request.amount is not there" in lines
    assert "step 1 of 2: sms to +39…67 from Acme by smsc-1, lane normal" in lines
    assert "1 part in gsm7" in lines
    assert lines[-1] == "ehi x"
    assert PHONE in run("hello", "--phone", PHONE, "--field", "text=x", "--unmask").output
    told = json.loads(run("hello", "--phone", PHONE, "--field", "text=x", "--json").output)
    assert told["message"]["template"] == "text"


def test_the_command_says_what_is_wrong(run: Any) -> None:
    for arguments, words in (
        (("nope", "--phone", PHONE), "no such scenario"),
        (("hello", "--phone", PHONE, "--field", "amount=much"), "/fields/amount: is no decimal"),
        (("hello", "--phone", PHONE, "--user-data", "phone=1"), "phone"),
        (("hello", "--phone", PHONE, "--draft", "--to", PHONE), "either --draft or --to"),
        (("hello",), "names nobody"),
    ):
        done = run(*arguments)
        assert done.exit_code != 0
        assert words in done.output
    refused = run("hello", "--phone", PHONE)
    assert refused.output.startswith("nothing would be sent: missing-field")


def test_the_characters_that_make_a_text_ucs2() -> None:
    assert sms.foreign("abc€è{") == ""
    assert sms.foreign("ё1ё“") == "ё“"
