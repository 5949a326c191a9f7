"""Every kind of source against the real thing: PostgreSQL, MariaDB, SQLite, and an HTTP service."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import trustme
from aiohttp import web
from msgspec import structs
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from inm.core.fields import Field, Fields, FieldSet
from inm.core.sources import Kind, Lookup, Map, Reader, Source
from inm.core.users import Member, User
from inm.demo.ports import free_ports
from inm.sources import breaker
from inm.sources.base import Client, SourceError
from inm.sources.loader import Failed, Found, Loader
from inm.sources.registry import connect
from inm.sources.sql import DRIVERS
from tests.support.database import Database
from tests.support.mysql import MariaDB
from tests.support.postgres import Postgres

FIELDS = FieldSet(
    Fields("acme", "user", {"plan": Field("string"), "balance": Field("decimal"), "since": Field("date"), "vip": Field("boolean")})
)
PLACES = {name: name for name in FIELDS.fields}
SQL = Source(
    "acme",
    "crm",
    "sql",
    "ACME_URL",
    Lookup("SELECT * FROM customers WHERE id IN :keys", map=Map(language="lang", name="name", phone="msisdn", email="mail", fields=PLACES)),
    Lookup("SELECT * FROM members WHERE offer IN :keys", map=Map("offer", role="role", user="customer", phone="msisdn")),
)
HTTP = Source(
    "acme",
    "crm",
    "http",
    "ACME_URL",
    Lookup(path="/customers/{key}", map=Map(language="lang", name="name", phone="msisdn", email="mail", fields=PLACES)),
    Lookup(path="/offers/{key}", rows="members", map=Map(role="role", user="customer", phone="msisdn")),
    token_env="ACME_TOKEN",
)
TABLES = (
    "CREATE TABLE customers (id varchar(64), lang text, name text, msisdn text, mail text, plan text,"
    " balance numeric(10, 2), since date, vip boolean)",
    "CREATE TABLE members (offer varchar(64), role text, customer text, msisdn text)",
    "CREATE TABLE numbered (id bigint, lang text)",
)
OF_MARIADB = (
    "CREATE TABLE latin (id varchar(64)) CHARACTER SET latin1",
    "INSERT INTO latin VALUES ('\u00e8')",
    "CREATE FUNCTION gone() RETURNS integer MODIFIES SQL DATA BEGIN DELETE FROM customers WHERE id = 'c-1'; RETURN 1; END",
)
CUSTOMERS: list[dict[str, Any]] = [
    {
        "id": "c-1",
        "lang": "it",
        "name": "Anna",
        "msisdn": "+393331234567",
        "mail": "anna@example.com",
        "plan": "flat",
        "balance": "12.50",
        "since": "2020-01-02",
        "vip": True,
    },
    {"id": "c-2", "lang": None, "name": None, "msisdn": None, "mail": None, "plan": None, "balance": None, "since": None, "vip": None},
    {
        "id": "c/3 ?#%\u20ac'--",
        "lang": "ru",
        "name": "O'Hara \U0001f600",
        "msisdn": None,
        "mail": None,
        "plan": None,
        "balance": None,
        "since": None,
        "vip": None,
    },
    {"id": "twice", "lang": "it", "name": None, "msisdn": None, "mail": None, "plan": None, "balance": None, "since": None, "vip": None},
    {"id": "twice", "lang": "en", "name": None, "msisdn": None, "mail": None, "plan": None, "balance": None, "since": None, "vip": None},
    {"id": "wrong", "lang": "??", "name": "Bo", "msisdn": "none", "mail": None, "plan": None, "balance": None, "since": None, "vip": None},
    {
        "id": "huge",
        "lang": "it",
        "name": "x" * 10_000_000,
        "msisdn": None,
        "mail": None,
        "plan": None,
        "balance": None,
        "since": None,
        "vip": None,
    },
]
MEMBERS: list[dict[str, Any]] = [
    {"offer": "o-1", "role": "master", "customer": "c-1", "msisdn": None},
    {"offer": "o-1", "role": "slave", "customer": None, "msisdn": "+393337654321"},
]


async def fill(url: str) -> None:
    """What the tests ask for, as SQL literals: each database takes them in its own way."""
    kind, rest = url.split(":", 1)
    engine = create_async_engine(f"{DRIVERS[kind]}:{rest}")
    async with engine.begin() as connection:
        for statement in TABLES + (OF_MARIADB if kind == "mysql" else ()):
            # a text of MySQL has 64 KiB
            await connection.execute(text(statement.replace(" text", " longtext") if kind == "mysql" else statement))
        for table, rows in (
            ("customers", CUSTOMERS),
            ("members", MEMBERS),
            ("numbered", [{"id": 7, "lang": "it"}, {"id": 8, "lang": "it"}]),
        ):
            for row in rows:
                await connection.execute(text(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(map(literal, row.values()))})"))
    await engine.dispose()


def literal(value: Any) -> str:
    if value is None or isinstance(value, bool | int):
        return str(value) if value is not None else "NULL"
    return "'" + str(value).replace("'", "''").replace(":", "\\:") + "'"


def installed(kind: type[Database]) -> Database:
    """The test is skipped on a machine that has none."""
    try:
        return kind()
    except RuntimeError as error:
        pytest.skip(str(error))


def server(kind: type[Database]) -> Iterator[Database]:
    """One that is filled."""
    with installed(kind) as running:
        with ThreadPoolExecutor(1) as thread:  # the test that asks for it first has a loop of its own
            thread.submit(asyncio.run, fill(running.url)).result()
        yield running


@pytest.fixture(scope="module")
def postgres() -> Iterator[Database]:
    yield from server(Postgres)


@pytest.fixture(scope="module")
def mariadb() -> Iterator[Database]:
    yield from server(MariaDB)


@pytest.fixture(params=["postgres", "mariadb"])
def database(request: pytest.FixtureRequest) -> Database:
    running: Database = request.getfixturevalue(request.param)
    return running


class Service:
    """A customer's HTTP service; ``answers`` stand in for those of some paths."""

    def __init__(self) -> None:
        self.answers: dict[str, web.Response | float] = {}
        self.paths: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.paths.append(request.raw_path)
        assert request.headers["Authorization"] == "Bearer toy-token"
        special = self.answers.get(request.match_info["key"])
        if isinstance(special, web.Response):
            return special
        if special is not None:
            await asyncio.sleep(special)
        if request.match_info["kind"] == "offers":
            members = [row for row in MEMBERS if row["offer"] == request.match_info["key"]]
            return web.json_response({"members": members} if members else None)
        rows = [row for row in CUSTOMERS if row["id"] == request.match_info["key"]]
        if not rows:
            raise web.HTTPNotFound
        return web.json_response(rows[0] if len(rows) == 1 else rows)


@asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[tuple[Service, str]]:
    service = Service()
    app = web.Application()
    app.router.add_get("/api/{kind}/{key}", service.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    yield service, f"http://127.0.0.1:{runner.addresses[0][1]}/api"
    await runner.cleanup()


@pytest.fixture(params=["postgres", "mariadb", "sqlite", "http"])
async def asked(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Source, str]]:
    """A source of each kind with its URL."""
    if request.param in ("postgres", "mariadb"):
        yield SQL, request.getfixturevalue(request.param).url
    elif request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'crm.db'}"
        await fill(url)
        yield SQL, url
    else:
        async with serving() as (_, url):
            yield HTTP, url


@asynccontextmanager
async def client_of(source: Source, url: str) -> AsyncIterator[Client]:
    client = connect(source, {"ACME_URL": url, "ACME_TOKEN": "toy-token"})
    try:
        yield client
    finally:
        await client.close()


async def load(source: Source, url: str, keys: Sequence[str], kind: Kind = "users") -> dict[str, tuple[User, list[str]]]:
    """Users by their own keys, as the users stage makes them."""
    prefix = "acme/offer:" if kind == "offers" else "acme/"
    reader = Reader(source, FIELDS)
    async with client_of(source, url) as client:
        found = await client.fetch(kind, keys)
    answers = {key: reader.read(prefix + key, found.get(key, ()), 1000) for key in keys}
    return {key: (answer.user, answer.faults) for key, answer in answers.items()}


async def test_users_come_typed_and_those_that_are_not_there_are_absent(asked: tuple[Source, str]) -> None:
    found = await load(*asked, ["c-1", "nobody", CUSTOMERS[2]["id"]])
    anna, faults = found["c-1"]
    assert faults == []
    assert (anna.language, anna.name, anna.phone, anna.email) == ("it", "Anna", "+393331234567", "anna@example.com")
    typed, _ = FIELDS.convert(anna.fields)
    assert typed == {"plan": "flat", "balance": Decimal("12.5"), "since": date(2020, 1, 2), "vip": True}
    assert found["nobody"][0].absent
    assert (found[CUSTOMERS[2]["id"]][0].language, found[CUSTOMERS[2]["id"]][0].name) == ("ru", "O'Hara \U0001f600")


async def test_null_wrong_and_double_are_survived(asked: tuple[Source, str]) -> None:
    found = await load(*asked, ["c-2", "twice", "wrong"])
    assert found["c-2"] == (User("acme/c-2", 86_401_000, loaded_at=1000, stale_until=172_801_000), [])
    assert (found["twice"][0].absent, found["twice"][1]) == (True, ["two-rows"])
    user, faults = found["wrong"]
    assert (user.name, user.language, user.phone, faults) == ("Bo", None, None, ["invalid-value"] * 2)


async def test_one_huge_answer_is_not_at_the_cost_of_others(asked: tuple[Source, str]) -> None:
    found = await load(*asked, ["c-1", "huge", "nobody", "c-2"])
    assert {key: (user.absent, faults) for key, (user, faults) in found.items()} == {
        "c-1": (False, []),
        "huge": (True, ["too-large"]),
        "nobody": (True, []),
        "c-2": (False, []),
    }


async def test_an_offer_brings_its_members(asked: tuple[Source, str]) -> None:
    found = await load(*asked, ["o-1", "o-2"], "offers")
    assert found["o-1"][0].members == [Member("master", "c-1"), Member("slave", phone="+393337654321")]
    assert found["o-2"][0].absent


async def test_many_keys_are_one_question_and_none_is_none(database: Database) -> None:
    async with client_of(SQL, database.url) as client:
        found = await client.fetch("users", [*(f"x-{number}" for number in range(999)), "c-1"])
        assert list(found) == ["c-1"]
        assert await client.fetch("users", []) == {}


async def test_keys_of_a_number_column_are_numbers(database: Database) -> None:
    lookup = Lookup("SELECT * FROM numbered WHERE id IN :keys", keys="integer", map=Map(language="lang"))
    async with client_of(structs.replace(SQL, users=lookup), database.url) as client:
        assert list(await client.fetch("users", ["7", "07", "c-1", "9" * 30, "", "-", "\u00b2"])) == ["7"]


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("SELECT * FROM nowhere WHERE id IN :keys", Map()),
        ("SELECT * FROM customers WHERE id IN :keys AND", Map()),
        ("SELECT * FROM customers WHERE id IN :keys", Map(language="speech")),
        ("SELECT lang FROM customers WHERE id IN :keys", Map(language="lang")),
    ],
)
async def test_a_query_that_is_wrong_is_a_failure_and_tells_no_key(database: Database, query: str, places: Map) -> None:
    async with client_of(structs.replace(SQL, users=Lookup(query, map=places)), database.url) as client:
        with pytest.raises(SourceError) as caught:
            await client.fetch("users", ["secret-customer"])
    assert caught.value.reason == "refused"
    assert "secret" not in str(caught.value)


WRITING = {
    "postgres": "WITH gone AS (DELETE FROM customers WHERE id = 'c-1' RETURNING *) SELECT * FROM gone WHERE id IN :keys",
    "mariadb": "SELECT id, gone() FROM members, numbered AS one WHERE 'c-1' IN :keys",
}


async def test_nothing_is_written_at_the_customers(database: Database) -> None:
    async with client_of(structs.replace(SQL, users=Lookup(WRITING[database.name])), database.url) as client:
        with pytest.raises(SourceError) as caught:
            await client.fetch("users", ["c-1"])
    assert caught.value.detail.endswith(("25006", "1792"))  # both: in a read-only transaction
    assert not (await load(SQL, database.url, ["c-1"]))["c-1"][0].absent


async def test_letters_that_a_column_cannot_have_are_not_at_the_cost_of_others(mariadb: Database) -> None:
    source = structs.replace(SQL, users=Lookup("SELECT * FROM latin WHERE id IN :keys"))
    async with client_of(source, mariadb.url) as client:
        found = await client.fetch("users", ["\u00e8", "\u0436", "\U0001f600", "nobody"])
    assert found == {"\u00e8": [{"id": "\u00e8"}], "\u0436": "unreadable", "\U0001f600": "unreadable"}


async def test_a_sum_that_is_out_of_range_is_not_at_the_cost_of_others(database: Database) -> None:
    lookup = Lookup("SELECT id, 9223372036854775800 + id FROM numbered WHERE id IN :keys", keys="integer")
    async with client_of(structs.replace(SQL, users=lookup), database.url) as client:
        found = await client.fetch("users", ["7", "8", "9"])
    assert found["7"] != "unreadable"
    assert found["8"] == "unreadable"


async def test_an_answer_without_end_is_not_read_to_its_end(database: Database) -> None:
    """1 TB, with which a server would be busy for longer than any test may take."""
    many = " CROSS JOIN ".join(f"(SELECT 1 FROM members UNION ALL SELECT 2 FROM members) AS t{number}" for number in range(16))
    source = structs.replace(SQL, users=Lookup(f"SELECT 'c-1' AS id, repeat('x', 1000) AS filler FROM {many} WHERE 'c-1' IN :keys"))
    async with client_of(source, database.url) as client:
        assert await client.fetch("users", ["c-1"]) == {"c-1": "too-large"}
        assert await client.fetch("users", ["c-2"]) == {}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (web.Response(status=500), "refused"),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "refused"),
        (web.Response(text="<html>"), "bad-answer"),
        (web.Response(text="[1]"), "bad-answer"),
        (web.Response(body=b"\xff"), "bad-answer"),
        (web.Response(text="[" * 100_000), "bad-answer"),
    ],
    ids=["500", "redirect", "no-json", "no-object", "no-utf8", "deep"],
)
async def test_an_answer_that_is_none_is_a_failure(answer: web.Response, reason: str) -> None:
    async with serving() as (service, url), client_of(HTTP, url) as client:
        service.answers["c-1"] = answer
        with pytest.raises(SourceError) as caught:
            await client.fetch("users", ["c-1"])
    assert caught.value.reason == reason


@pytest.mark.parametrize("answer", [web.Response(status=204), web.Response(status=404), web.Response(text="null"), web.Response(text=" ")])
async def test_no_content_is_no_user(answer: web.Response) -> None:
    async with serving() as (service, url):
        service.answers["c-1"] = answer
        assert (await load(HTTP, url, ["c-1"]))["c-1"][0].absent


async def test_a_key_is_one_part_of_the_path() -> None:
    async with serving() as (service, url), client_of(HTTP, url) as client:
        await client.fetch("users", ["a/../b", "..", ".", "a?b=c"])
        assert sorted(service.paths) == ["/api/customers/a%2F..%2Fb", "/api/customers/a%3Fb%3Dc"]


@pytest.mark.parametrize(
    ("source", "url"), [(SQL, "nonsense"), (SQL, "db2://u:secret@host/x"), (SQL, "mysql+none://u:secret@h/x"), (HTTP, "ftp://u:secret@h/")]
)
async def test_a_url_that_is_none_is_not_repeated(source: Source, url: str) -> None:
    with pytest.raises(SourceError) as caught:
        connect(source, {"ACME_URL": url, "ACME_TOKEN": "toy-token"})
    assert caught.value.reason == "misconfigured"
    assert "secret" not in str(caught.value)


async def test_a_secret_that_is_not_there_is_named() -> None:
    with pytest.raises(SourceError, match="ACME_TOKEN is not set"):
        connect(HTTP, {"ACME_URL": "http://127.0.0.1"})


# what goes down and comes back


async def patient(loader: Loader, key: str) -> Found:
    """What the source says, as soon as it does."""
    async with asyncio.timeout(20):
        while True:
            result = (await loader.load("users", [key]))[key]
            if isinstance(result, Found):
                return result
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("kind", [Postgres, MariaDB])
async def test_a_database_that_is_down_at_the_start_stops_and_returns(
    kind: type[Database], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(breaker, "FIRST", 0.1)
    monkeypatch.setattr(breaker, "LONGEST", 0.2)
    with installed(kind) as database:
        await fill(database.url)
        database.stop()
        loader = Loader(SQL, lambda: connect(SQL, {"ACME_URL": database.url}), lambda: 0)
        for _ in range(3):
            assert isinstance((await loader.load("users", ["c-1"]))["c-1"], Failed)
        for _ in range(2):
            database.start()
            assert (await patient(loader, "c-1")).rows
            database.stop()
            assert isinstance((await loader.load("users", ["c-1"]))["c-1"], Failed)
        await loader.close()
    assert caplog.records
    assert all(record.levelno == logging.WARNING and record.name == "inm.sources" for record in caplog.records)
    assert "c-1" not in caplog.text
    assert "toy-secret" not in caplog.text


async def test_a_database_is_asked_over_tls_or_not_at_all(tmp_path: Path) -> None:
    """That of MariaDB, whose driver would go on without."""
    authority, stranger = trustme.CA(), trustme.CA()
    for name, ca in (("authority.pem", authority), ("stranger.pem", stranger)):
        ca.cert_pem.write_to_path(tmp_path / name)
    with installed(MariaDB) as database:
        await fill(database.url)
        asked = partial(load, SQL, keys=["c-1"])
        with pytest.raises(SourceError, match="unreachable: ConnectionError"):
            await asked(f"{database.url}?ssl_ca={tmp_path / 'authority.pem'}")
        database.stop()
        database.write("server.pem", authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes().decode())
        database.start()
        assert not (await asked(f"{database.url}?ssl_ca={tmp_path / 'authority.pem'}"))["c-1"][0].absent
        with pytest.raises(SourceError, match="unreachable: SSLCertVerificationError"):
            await asked(f"{database.url}?ssl_ca={tmp_path / 'stranger.pem'}")


async def test_a_server_that_is_silent_costs_the_time_limit_and_then_nothing() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        await reader.read()

    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(silent, "127.0.0.1", *free_ports(1))
    host, port = server.sockets[0].getsockname()
    for source, url in ((SQL, f"postgresql://u:p@{host}:{port}/x"), (SQL, f"mysql://u:p@{host}:{port}/x"), (HTTP, f"http://{host}:{port}")):
        client = connect(source, {"ACME_URL": url, "ACME_TOKEN": "toy-token"})
        loader = Loader(structs.replace(source, timeout=0.3), partial(lambda client: client, client), lambda: 0)
        began = monotonic()
        for _ in range(breaker.FAILURES):
            assert await loader.load("users", ["c-1"]) == {"c-1": Failed("timeout")}
        assert monotonic() - began < 0.3 * breaker.FAILURES + 2
        async with asyncio.timeout(5):
            while (await loader.load("users", ["c-1"]))["c-1"] != Failed("open"):
                pass
        await loader.close()
    for writer in held:
        writer.close()
    server.close()


async def test_a_slow_answer_is_not_waited_for_beyond_the_limit() -> None:
    async with serving() as (service, url):
        service.answers["c-1"] = 30.0
        source = structs.replace(HTTP, timeout=0.2)
        loader = Loader(source, lambda: connect(source, {"ACME_URL": url, "ACME_TOKEN": "toy-token"}), lambda: 0)
        both = await loader.load("users", ["c-1", "c-2"])
        assert both["c-1"] == Failed("timeout")
        assert isinstance(both["c-2"], Found)
        await loader.close()
