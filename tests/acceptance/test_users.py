"""Users of a customer's PostgreSQL: loaded, cached, refreshed, forgotten, and what happens while it is away.

``--users 100000`` makes the crowd of the first test as large as a customer's.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from functools import partial
from hashlib import sha256
from time import monotonic
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import msgspec
import pytest
import pytest_asyncio
from aiohttp import web
from aiokafka import AIOKafkaProducer

from inm import topics
from inm.core.edr import Edr
from inm.demo.installation import Installation
from inm.demo.ports import free_ports
from tests.support.commands import done
from tests.support.postgres import Postgres
from tests.support.tap import Tap, until_async

pytestmark = pytest.mark.timeout(300)  # a broker, a database and a worker start in the first one's
DOCUMENTS = """\
{kind: tenant, name: shop, title: Shop, language: en, timezone: UTC, routes: {sms: smsc-1}}
---
{kind: sender, tenant: shop, name: shop, channel: sms, address: Shop}
---
{kind: fields, tenant: shop, name: user, fields: {plan: {type: string, default: free}}}
---
kind: template
tenant: shop
name: note
channel: sms
variants: {en: {text: "Your plan is {{ plan }}"}, it: {text: "Il tuo piano: {{ plan }}"}}
---
kind: template
tenant: shop
name: plain
channel: sms
variants: {en: {text: "Hello"}, it: {text: "Ciao"}}
---
kind: scenario
tenant: shop
name: note
validity: 3600
lane: bulk
on_unknown: resend # the SMSC is in the tests' process, which may not have a turn for seconds
plan: [{channel: sms, template: note, sender: shop, after: 3000}]
---
kind: scenario
tenant: shop
name: brief
validity: 3
user_data: fresh
plan: [{channel: sms, template: note, sender: shop, after: 50}]
---
kind: scenario
tenant: shop
name: casual
validity: 60
user_data: optional
plan: [{channel: sms, template: plain, sender: shop, after: 50}]
---
kind: source
tenant: shop
name: crm
type: sql
url_env: SHOP_CRM_URL
ttl: 3600
negative_ttl: 2
users:
  query: SELECT id, lang, msisdn, plan FROM customers WHERE id IN :keys
  map: {language: lang, phone: msisdn, fields: {plan: plan}}
offers:
  query: SELECT * FROM members WHERE offer IN :keys
  map: {key: offer, role: role, user: customer, phone: msisdn}
"""
KIOSK = f"""\
{DOCUMENTS.rpartition("---")[0].replace("shop", "kiosk")}---
kind: source
tenant: kiosk
name: service
type: http
url_env: KIOSK_URL
timeout: 1
users: {{path: "/users/{{key}}", map: {{language: lang, phone: msisdn}}}}
"""
TABLES = """
CREATE TABLE customers (id text PRIMARY KEY, lang text, msisdn text, plan text);
CREATE TABLE members (offer text, role text, customer text, msisdn text)"""
CROWD = """
INSERT INTO customers SELECT 'c-' || n, CASE n % 2 WHEN 0 THEN 'it' ELSE 'en' END, '+39350' || lpad(n::text, 7, '0'), 'flat'
FROM generate_series($1::int, $2::int) AS n ON CONFLICT DO NOTHING"""


class Crm:
    """The customer's database, and what the customer's programs send and see."""

    def __init__(
        self, postgres: Postgres, variables: dict[str, str], installation: Installation, tap: Tap, producer: AIOKafkaProducer, key: str
    ) -> None:
        self.postgres = postgres
        self.variables = variables
        self.tap = tap
        self._installation = installation
        self._producer = producer
        self._headers = {"Authorization": f"Bearer {key}"}

    async def do(self, statement: str, *values: Any) -> None:
        connection = await asyncpg.connect(self.postgres.url)
        await connection.execute(statement, *values)
        await connection.close()

    async def ask(self, users: Collection[str], scenario: str = "note", tenant: str = "shop", **to: Any) -> list[str]:
        """Request ids, one a user."""
        run = uuid4().hex[:8]
        for number, user in enumerate(users):
            if number % 100 == 0:
                await asyncio.sleep(0)  # what is only put into a buffer does not wait, and the SMSC in this process is to answer meanwhile
            request = {"scenario": scenario, "to": to if "offer" in to else {"user": user, **to}, "request_id": f"{run}/{user}"}
            await self._producer.send(topics.requests(tenant), msgspec.json.encode(request))
        await self._producer.flush()
        return [f"{run}/{user}" for user in users]

    async def ends(self, asked: Collection[str], seconds: float = 60.0) -> dict[str, Edr]:
        """The final EDRs by user, when all are there."""
        wanted, found, seen = set(asked), dict[str, Edr](), 0
        try:
            async with asyncio.timeout(seconds):
                while len(found) < len(wanted):
                    await self.tap.when(partial(self._has_more_than, seen), seconds)
                    news = self.tap.edrs[seen : seen + 2_000]
                    seen += len(news)
                    found.update({edr.request_id.partition("/")[2]: edr for edr in news if edr.final and edr.request_id in wanted})
                    await asyncio.sleep(0)  # the SMSC is in this process
        except TimeoutError:
            raise AssertionError((len(found), len(wanted), self.tap.dead[:3])) from None
        return found

    def _has_more_than(self, seen: int) -> bool:
        return len(self.tap.edrs) > seen

    async def one(self, user: str, scenario: str = "note", **to: Any) -> Edr:
        """The final EDR of one request."""
        return (await self.ends(await self.ask([user], scenario, **to)))[user]

    async def change(self, settings: str) -> None:
        """Change the source's document, while the worker runs."""
        source = DOCUMENTS.rpartition("---")[2].replace("ttl: 3600", settings.replace(", ", "\n"))
        await done(self._installation, "apply", "-", given=source)

        async def known() -> bool:
            document = (await self.rest("GET", "/v1/reference/source/crm"))[1]["document"]
            return f"ttl: {document['ttl']}" == settings.partition(",")[0]

        await until_async(known)

    async def rest(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        async with aiohttp.ClientSession(headers=self._headers) as session:
            answer = await session.request(method, self._installation.url() + path, json=body)
            return answer.status, await answer.json(content_type=None) if answer.content_length else None


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def started(everything: Installation) -> AsyncIterator[tuple[Postgres, str, dict[str, str]]]:
    """A worker that knows where the database is, which does not run yet; an API key of the shop; the worker's variables."""
    with Postgres() as postgres:
        connection = await asyncpg.connect(postgres.url)
        await connection.execute(TABLES)
        await connection.close()
        postgres.stop()
        if "worker-1" in everything.workers:
            await everything.stop_worker("worker-1")
        variables = {"SHOP_CRM_URL": postgres.url, "KIOSK_URL": f"http://127.0.0.1:{free_ports(1)[0]}"}
        await everything.start_worker("worker-1", variables)
        secret = f"inm_live_shop_{uuid4().hex}"
        key = {"kind": "key", "tenant": "shop", "name": "shop", "sha256": sha256(secret.encode()).hexdigest()}
        given = f"{DOCUMENTS}---\n{KIOSK}---\n{msgspec.json.encode(key).decode()}\n"
        await done(everything, "apply", "-", "--approved-by", "somebody-else", given=given)
        yield postgres, secret, variables
        await everything.stop_worker("worker-1")


@pytest_asyncio.fixture(loop_scope="session")
async def cold(started: tuple[Postgres, str, dict[str, str]], installation: Installation, tap: Tap, producer: AIOKafkaProducer) -> Crm:
    crm = Crm(started[0], started[2], installation, tap, producer, started[1])

    async def known() -> bool:
        return (await crm.rest("GET", f"/v1/users/{uuid4().hex}"))[0] == 404

    await until_async(known)
    return crm


@pytest.fixture
def crm(cold: Crm) -> Crm:
    """With the database running, whatever the test before has left."""
    if not cold.postgres.running:
        cold.postgres.start()
    return cold


@pytest.fixture
def crowd(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--users"))


async def test_a_database_that_is_down_at_the_start_is_waited_for_as_the_scenario_says(cold: Crm) -> None:
    crm = cold
    waiting = await crm.ask(["c-1", "c-2", "nobody"], "note")
    assert (await crm.one("c-3", "casual", phone="+393500000003")).event == "delivered"
    lost = await crm.one("c-4", "brief")
    assert (lost.event, lost.reason) == ("expired", "user-data-unavailable")
    crm.postgres.start()
    await crm.do(CROWD, 1, 10)
    ends = await crm.ends(waiting)
    assert (ends["c-1"].event, ends["c-1"].to, ends["c-1"].language) == ("delivered", "+393500000001", "en")
    assert (ends["c-2"].event, ends["c-2"].to, ends["c-2"].language) == ("delivered", "+393500000002", "it")
    assert (ends["nobody"].event, ends["nobody"].reason) == ("failed", "no-address")


@pytest.mark.timeout(1800)  # of the larger run
async def test_who_is_cached_is_notified_at_the_same_speed_without_the_database(crm: Crm, crowd: int) -> None:
    await crm.do(CROWD, 11, crowd + 20)
    users = [f"c-{number}" for number in range(11, crowd + 11)]
    patience = 60 + crowd / 100
    rates = {}
    for phase in ("cold", "warm", "down"):
        if phase == "down":
            crm.postgres.stop()
            waiting = await crm.ask([f"c-{number}" for number in range(crowd + 11, crowd + 21)])
        began = monotonic()
        ends = await crm.ends(await crm.ask(users), patience)
        rates[phase] = round(crowd / (monotonic() - began))
        assert {(edr.event, edr.to is not None) for edr in ends.values()} == {("delivered", True)}, phase
        assert ends["c-12"].language == "it"
    print(f"{crowd} users, notifications/s: {rates}")  # noqa: T201 - what the larger run is for
    assert not any(edr.final for request in waiting for edr in crm.tap.of(request))
    crm.postgres.start()
    assert {edr.event for edr in (await crm.ends(waiting, 90)).values()} == {"delivered"}
    assert rates["down"] > rates["warm"] / 3, "a machine that others use too is not more exact than that"


async def test_what_changes_at_the_source_is_seen_at_once_after_an_invalidation(crm: Crm) -> None:
    for number in (1, 2, 3):
        assert (await crm.one(f"c-{number}")).event == "delivered"
    await crm.do("UPDATE customers SET msisdn = '+39351' || lpad(substr(id, 3), 7, '0'), plan = 'gold' WHERE id IN ('c-1', 'c-2', 'c-3')")
    assert (await crm.one("c-1")).to == "+393500000001", "it is cached"

    assert (await crm.rest("DELETE", "/v1/users/c-1"))[0] == 202
    assert (await seen(crm, "c-1")).to == "+393510000001"
    assert (await crm.one("c-2")).to == "+393500000002"

    assert (await crm.rest("POST", "/v1/users/invalidate", {"where": 'user.language == "it"'}))[0] == 202
    assert (await seen(crm, "c-2")).to == "+393510000002"
    assert (await crm.one("c-3")).to == "+393500000003", "he speaks English"

    assert (await crm.rest("POST", "/v1/users/invalidate", {}))[0] == 202
    assert (await seen(crm, "c-3")).to == "+393510000003"
    status, user = await crm.rest("GET", "/v1/users/c-3")
    assert (status, user["phone"], user["fields"]) == (200, "+393510000003", {"plan": "gold"})


async def seen(crm: Crm, user: str) -> Edr:
    """His notification after what was asked for over REST has reached the table."""

    async def forgotten() -> bool:
        return (await crm.rest("GET", f"/v1/users/{user}"))[0] == 404

    await until_async(forgotten)
    return await crm.one(user)


async def test_a_ttl_and_a_deletion_at_the_source_are_followed(crm: Crm) -> None:
    await crm.change("ttl: 2, refresh_rate: 0")
    await crm.rest("POST", "/v1/users/invalidate", {})
    assert (await seen(crm, "c-4")).to == "+393500000004"
    await crm.do("UPDATE customers SET msisdn = '+393510000004' WHERE id = 'c-4'")
    await crm.do("DELETE FROM customers WHERE id = 'c-5'")

    async def follows() -> bool:
        return (await crm.one("c-4")).to == "+393510000004"

    await until_async(follows)

    async def is_gone() -> bool:
        return (await crm.one("c-5")).reason == "no-address"

    await until_async(is_gone)
    await crm.change("ttl: 3600")


async def test_a_silent_source_of_one_tenant_delays_no_other(crm: Crm) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"lang": "it", "msisdn": f"+39353{request.match_info['key'][2:]:0>7}"})

    port = int(crm.variables["KIOSK_URL"].rpartition(":")[2])
    server = await asyncio.start_server(silent, "127.0.0.1", port)
    waiting = await crm.ask([f"k-{number}" for number in range(500)], tenant="kiosk")
    await crm.do(CROWD, 6_000_001, 6_000_200)
    for part in range(2):
        asked = await crm.ask([f"c-{number}" for number in range(6_000_001 + 100 * part, 6_000_101 + 100 * part)])
        assert {edr.event for edr in (await crm.ends(asked)).values()} == {"delivered"}
    assert not any(crm.tap.of(request) for request in waiting)
    server.close()
    service = web.Application()
    service.router.add_get("/users/{key}", answer)
    runner = web.AppRunner(service, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    ends = await crm.ends(waiting, 90)
    assert {(edr.event, edr.language) for edr in ends.values()} == {("delivered", "it")}
    assert ends["k-7"].to == "+393530000007"
    await runner.cleanup()


async def test_an_offer_reaches_its_members_with_their_own_data(crm: Crm) -> None:
    await crm.do("INSERT INTO members VALUES ('o-1', 'master', 'c-6', NULL), ('o-1', 'slave', NULL, '+393540000001')")
    [asked] = await crm.ask(["the offer"], "casual", offer="o-1")
    await crm.tap.when(lambda: sum(edr.final for edr in crm.tap.of(asked)) == 3)
    finals = [edr for edr in crm.tap.of(asked) if edr.final]
    assert {edr.event for edr in finals} == {"expanded", "delivered"}
    assert {edr.to for edr in finals} == {None, "+393500000006", "+393540000001"}


async def test_a_push_is_checked_kept_and_wins_until_its_end(crm: Crm) -> None:
    assert (await crm.rest("PUT", "/v1/users/p-1", {"phone": "+393520000001", "language": "it", "fields": {"plan": "pushed"}}))[0] == 202

    async def there() -> bool:
        return (await crm.rest("GET", "/v1/users/p-1"))[0] == 200

    await until_async(there)
    edr = await crm.one("p-1")
    assert (edr.to, edr.language) == ("+393520000001", "it")
    status, problem = await crm.rest("PUT", "/v1/users/p-1", {"phone": "none", "fields": {"shoe": 42}})
    assert (status, [error["pointer"] for error in problem["errors"]]) == (400, ["/phone"])
    status, problem = await crm.rest("PUT", "/v1/users/p-1", {"fields": {"shoe": 42}})
    assert (status, [error["pointer"] for error in problem["errors"]]) == (400, ["/fields/shoe"])
    status, problem = await crm.rest("POST", "/v1/users/invalidate", {"where": "user.shoe == 42"})
    assert (status, [error["pointer"] for error in problem["errors"]]) == (400, ["/where"])


async def test_what_is_wrong_on_the_topic_is_a_dead_letter(crm: Crm, producer: AIOKafkaProducer) -> None:
    wrong = {
        "shop/w-1": {"action": "upsert", "key": "shop/w-1", "fields": {"shoe": 42}},
        "shop/w-2": {"action": "invalidate", "key": "shop/w-2", "tenant": "shop"},
        "shop/w-3": {"action": "invalidate", "tenant": "shop", "where": "user.shoe =="},
        "nowhere/w-4": {"action": "upsert", "key": "nowhere/w-4"},
    }
    for key, record in wrong.items():
        await producer.send_and_wait(topics.USERS, msgspec.json.encode(record), key.encode())
    reasons = [(await crm.tap.letter(key)).reason for key in wrong]
    assert reasons == ["invalid-request"] * 3 + ["unknown-tenant"]


async def test_a_worker_that_dies_while_it_loads_loses_and_repeats_nobody(crm: Crm, installation: Installation) -> None:
    await crm.do(CROWD, 5_000_001, 5_002_000)
    asked = await crm.ask([f"c-{number}" for number in range(5_000_001, 5_002_001)])
    await crm.tap.when(lambda: any(edr.request_id in asked for edr in crm.tap.edrs))
    installation.kill_worker("worker-1")
    await installation.start_worker("worker-1", crm.variables)
    ends = await crm.ends(asked, 90)
    assert {(edr.event, edr.reason) for edr in ends.values()} <= {("delivered", None), ("unknown", "no-answer"), ("unknown", "no-receipt")}
    await crm.tap.quiet()
    crm.tap.finals()
