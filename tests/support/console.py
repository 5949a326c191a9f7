"""The console without Kafka: two tenants with an account of each role, and browsers that are signed in."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, get_args

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from argon2 import PasswordHasher

from inm import topics
from inm.channels.directory import Directory
from inm.console import passwords
from inm.console.console import COOKIE, Console
from inm.core import sessions
from inm.core.changes import change
from inm.core.reference import Answer, Change, Held, tenant_of
from inm.core.roles import Role
from inm.core.routing import Ported
from inm.core.sessions import Session
from inm.settings.console import Console as Settings
from inm.streaming.chunks import now_ms
from inm.streaming.emitter import Batch
from inm.tables.library import Library
from inm.web import problems
from tests.support.books import held

SECRET = b"s" * 32
ROLES: tuple[Role, ...] = get_args(Role)
ROUTES = {"smsc-1": "sms", "smtp-1": "email"}
PASSWORD = "correct horse battery"
passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
KEPT = passwords.hashed(PASSWORD)
Client = TestClient[web.Request, web.Application]


def account(tenant: str, name: str, *roles: str, **more: Any) -> dict[str, Any]:
    return {"kind": "account", "tenant": tenant, "name": name, "roles": list(roles), "password": KEPT} | more


class Emitter:
    """Decides changes as the stage does, and keeps everything that is emitted. ``broken``: what the broker answers in place of that."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.records: list[tuple[str, int, bytes | None, bytes | None]] = []
        self.broken: Exception | None = None

    def emit(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> Batch:
        batch = Batch(None, asyncio.get_running_loop().create_future())
        if self.broken:
            batch.acked.set_exception(self.broken)
        else:
            self.records.append((topic, partition, key, value))
            batch.acked.set_result(0)
        return batch

    async def send(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        if self.broken:
            raise self.broken
        self.records.append((topic, partition, key, value))
        wanted = msgspec.json.decode(value, type=Change)
        mine = dict(self._library.held(tenant_of(wanted.items[0].path)))
        changed = change(mine, wanted, ROUTES, now_ms())
        rows: dict[bytes, bytes | None] = {path.encode(): encoded(row) for path, row in changed.rows.items()}
        rows[b"!answer/1/" + key] = msgspec.json.encode(changed.answer)
        await self._library.take(rows, False)

    def of(self, topic: str) -> list[Any]:
        """What was emitted to a topic, decoded."""
        return [msgspec.json.decode(value) for found, _, _, value in self.records if found == topic and value]


def encoded(row: Held | Answer | None) -> bytes | None:
    return None if row is None else msgspec.json.encode(row)


class App:
    """The parts of a worker that the console uses. Handlers of other parts may need more: give it to ``vars``."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.emitter = Emitter(library)
        self.informed = True
        self.ready = True
        self.partitions = 6
        self.openers: list[Any] = []
        self.kafka_down = (OSError, TimeoutError)
        self.owner: str | None = None
        self.new_consumer: Any = None
        self.http_client: Any = None
        self.settings = SimpleNamespace(http=SimpleNamespace(url=None), worker_id="worker-1", routes={}, prices={}, rates=lambda _: {})
        self.assignments = SimpleNamespace(partitions=set(range(6)))
        self.mirror = SimpleNamespace(age=0.1)
        self.directory = Directory([], Ported(), "worker-1")
        self.routes: dict[str, Any] = {}
        self.queues: dict[tuple[str, int], tuple[int, int | None]] = {}
        self.should_stop = False

    @property
    def catalogue(self) -> Any:
        return self.library.catalogue

    def backlog(self) -> dict[tuple[str, int], tuple[int, int | None]]:
        return self.queues

    def owner_of(self, topic: str, partition: int) -> str | None:
        return self.owner


async def library(*documents: dict[str, Any]) -> Library:
    """The documents of ``acme`` and ``volta``, with an account of each role, whose name is that of the role; and more for acme."""
    found = Library()
    rows: dict[str, Held] = {}
    for tenant in ("acme", "volta"):
        accounts = [account(tenant, role, role) for role in ROLES]
        more = [document for document in documents if document.get("tenant", "acme") == tenant]
        rows |= held(*accounts, *more, tenant=tenant)
    await found.take({path.encode(): encoded(row) for path, row in rows.items()}, True)
    return found


def cookie(app: Any, name: str, tenant: str = "acme", at: int | None = None) -> str:
    """The session of an account."""
    found = app.catalogue.book(tenant).accounts[name]
    session = Session(f"id-of-{tenant}-{name}", tenant, name, at or now_ms(), sessions.stamp(found.password, found.identity))
    return sessions.cookie(SECRET, session)


class Browser:
    """Somebody signed in, or nobody (``name`` None). Follows no redirects."""

    def __init__(self, client: Client, app: App, name: str | None = "viewer", tenant: str = "acme", **session: Any) -> None:
        self._client = client
        self._token = ""
        self.headers: dict[str, str] = {}
        if name is not None:
            value = cookie(app, name, tenant, **session)
            self.headers["Cookie"] = f"{COOKIE}={value}"
            found = sessions.read(SECRET, value)
            assert found
            self._token = sessions.token(SECRET, found)

    async def get(self, path: str, **headers: str) -> tuple[int, str, Mapping[str, str]]:
        """Status, text and headers of a page below the prefix."""
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, form: Mapping[str, Any] | None = None, **headers: str) -> tuple[int, str, Mapping[str, str]]:
        """Send a form, with the token."""
        return await self._ask("POST", path, {"csrf": self._token, **(form or {})}, headers)

    async def _ask(self, method: str, path: str, form: Any, headers: Mapping[str, str]) -> tuple[int, str, Mapping[str, str]]:
        asked = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._client.request(method, f"/console{path}", data=form, headers=asked, allow_redirects=False) as answer:
            return answer.status, await answer.text(), answer.headers


@asynccontextmanager
async def served(*documents: dict[str, Any], settings: Settings | None = None) -> AsyncIterator[tuple[Client, App, Console]]:
    """The console over HTTP, and the application under it."""
    app = App(await library(*documents))
    console = Console(app, settings or Settings(SECRET))  # type: ignore[arg-type]
    web_app = web.Application(middlewares=[problems.middleware])
    console.install(web_app)
    async with (
        TestClient(TestServer(web_app), cookie_jar=aiohttp.DummyCookieJar()) as client,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as app.http_client,
    ):
        yield client, app, console


class Partition(dict[bytes, bytes]):
    """The rows of a partition of a table, as views see it."""

    def scan(self, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        return ((key, self[key]) for key in sorted(self) if key >= start and (end is None or key < end))


def words(page: str) -> str:
    """The text of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def audit(app: App) -> list[str]:
    """What was recorded: who, what, to what."""
    return [" ".join(filter(None, (entry["who"], entry["what"], entry.get("path")))) for entry in app.emitter.of(topics.AUDIT)]
