"""What people may not do at the console of a real worker, and what becomes of what they write, by plain HTTP."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote
from uuid import uuid4

import aiohttp
import msgspec
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from inm import topics
from inm.console.route import Route
from inm.core.users import Upsert
from inm.demo.installation import Installation
from tests.support.asks import Asker
from tests.support.commands import done
from tests.support.console import ROLES, served, words
from tests.support.lab import Lab
from tests.support.tap import Tap, until_async
from tests.support.visitors import PASSWORD, Form, Visitor, entered, forms, made
from tests.unit.test_console_isolation import PLACES

MARKUP = "<script>alert(1)</script>\"'><b>{{ 7 * 7 }}"
LONG = "x" * 30_000
RUN = uuid4().hex[:8]
TEMPLATE = f"doors-{RUN}"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), connector=aiohttp.TCPConnector(force_close=True)) as session:
        yield session


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def people(everything: Installation, session: aiohttp.ClientSession) -> dict[str, Visitor]:
    """Somebody of each role at ``lab``, and ``theirs``: an admin of ``duo``."""
    if "worker-1" not in everything.workers:
        await everything.start_worker("worker-1")
    await made(everything, f"theirs-{RUN}", "admin", tenant="duo")
    await made(everything, f"admin-{RUN}", "admin")
    people = {
        "theirs": await entered(everything, session, f"theirs-{RUN}", "duo"),
        "admin": await entered(everything, session, f"admin-{RUN}"),
    }
    for role in ROLES:
        if role != "admin":
            account = {"name": f"{role}-{RUN}", "roles": role, "password": PASSWORD}
            assert (await people["admin"].send("/accounts", account))[0] == 303
            people[role] = await entered(everything, session, f"{role}-{RUN}")
    return people


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def places(everything: Lab, people: dict[str, Visitor]) -> dict[str, tuple[str, str]]:
    """As ``PLACES``: by the beginning of a route's path, what is there of ``duo``, and an id that never was."""
    theirs, phone = people["theirs"], "+393409999999"
    async with (
        AIOKafkaProducer(bootstrap_servers=everything.bootstrap, enable_idempotence=True) as producer,
        Tap(everything.bootstrap) as tap,
    ):
        asker = Asker(tap, producer)
        at = (datetime.now(UTC) + timedelta(days=2)).isoformat()
        await asker.ask(phone, "offer", tenant="duo")
        await producer.send_and_wait(topics.USERS, msgspec.json.encode(Upsert(key=f"duo/{RUN}", name="Rosa")), f"duo/{RUN}".encode())
        waiting = await asker.send(phone, "offer", tenant="duo", at=at)
        await tap.when(lambda: bool(tap.of(waiting)))
        await producer.send_and_wait(topics.requests("duo"), b"no json", RUN.encode())
        await tap.letter(RUN)
    audience = everything.folder / "doors.csv"
    audience.write_text(f"phone,text\n{phone},Hello\n")
    await done(everything, "campaign", "create", RUN, "--tenant", "duo", "--scenario", "offer", "--audience", audience)
    mail = {"name": f"letter-{RUN}", "channel": "email", "key-0": "en", "subject-0": "Hi", "html-0": "<p>Hi</p>", "do": "save"}
    assert (await theirs.send("/new-template", mail))[0] == 303
    listed = await done(everything, "dead", "list", "--topic", topics.requests("duo"), "--json", "--limit", "1")
    _, letter = await theirs.get(f"/templates/letter-{RUN}")
    found = {
        "/accounts/{name}": (f"theirs-{RUN}", "nobody"),
        "/templates/{name}": (f"letter-{RUN}", "no-letter"),
        "/scenarios/{name}": ("news", "no-scenario"),
        "/letters/{id}": (re.findall(r"/console/letters/([0-9a-f]{64})", letter)[0], "0" * 64),
        "/notifications/{id}": (tap.of(waiting)[0].notification, f"0-{'a' * 26}"),
        "/campaigns/{name}": (RUN, "no-campaign"),
        "/dead/{id}": (str(json.loads(listed.lines[0])["id"]), "77777777777"),
    }
    for place in PLACES:
        if place not in found:
            table = place.split("/")[2]
            found[place] = (await first(theirs, table), NEVER.get(table, "nobody"))
    return found


NEVER = {"schedule": "78%2Fnever", "outbox": "smsc-1%2Fnever", "journeys": f"0-{'a' * 26}"}


async def first(visitor: Visitor, table: str) -> str:
    """The key of some row of a table, as it is in an address."""
    found: list[dict[str, str]] = []

    async def there() -> bool:
        status, text = await visitor.get(f"/tables/{table}?unmask=1", Accept="application/json")
        found[:] = json.loads(text)["rows"] if status == 200 else []
        return bool(found)

    await until_async(there, 20)
    return found[0]["key"].replace("/", "%2F").replace("+", "%2B")


async def routes() -> list[Route]:
    async with served() as (_, _, console):
        return console.routes


def path_of(route: Route, place: str) -> str:
    return re.sub(r"{\w+}", "1", route.path.replace("{name}", place, 1).replace("{id}", place, 1).replace("{key}", place, 1))


async def test_nobody_reaches_anything_of_another_tenant(people: dict[str, Visitor], places: dict[str, tuple[str, str]]) -> None:
    """Every URL that has a place in it, by every role; that the ids are real is seen by their owner."""
    assert places.keys() == PLACES.keys()
    seen = set()
    for route in await routes():
        if route.right is None or "{" not in route.path:
            continue
        [place] = [known for known in places if route.path.startswith(known)]
        real, never = (path_of(route, each) for each in places[place])
        if route.method == "GET" and (await people["theirs"].get(real))[0] == 200:
            seen.add(place)
        for role in ROLES:
            answer = await ask(people[role], route, real)
            assert answer[0] in (403, 404), (route, role, answer)
            if role == "admin":
                assert without(answer, places[place]) == without(await ask(people[role], route, never), places[place]), route
    assert seen == places.keys()


def without(answer: tuple[int, str], ids: tuple[str, str]) -> tuple[int, str]:
    """An answer without the id that was asked for."""
    status, text = answer
    for each in ids:
        for spelling in (each, unquote(each), quote(unquote(each))):
            text = text.replace(spelling, "…")
    return status, text


async def ask(visitor: Visitor, route: Route, path: str) -> tuple[int, str]:
    if route.method == "GET":
        return await visitor.get(path)
    return await visitor.send(path, {"why": "x", "mark": "m", "revision": "1", "roles": "viewer", "tenant": "duo", "comment": "x"})


async def test_a_tenant_in_the_body_changes_nothing(people: dict[str, Visitor]) -> None:
    name = f"eve-{RUN}"
    form = {"tenant": "duo", "path": f"duo/account/{name}", "name": name, "roles": "admin", "password": PASSWORD}
    assert await people["admin"].send("/accounts", form) == (303, f"/console/accounts/{name}")
    assert (await people["theirs"].get(f"/accounts/{name}"))[0] == 404
    form = {"tenant": "duo", "name": TEMPLATE, "channel": "sms", "key-0": "en", "text-0": "Hello", "do": "save", "revision": "0"}
    assert (await people["editor"].send("/new-template", form))[0] == 303
    assert (await people["theirs"].get(f"/templates/{TEMPLATE}"))[0] == 404


async def test_every_form_asks_for_the_token_of_its_session(
    everything: Installation, people: dict[str, Visitor], session: aiohttp.ClientSession
) -> None:
    admin = people["admin"]
    again = await entered(everything, session, f"admin-{RUN}")
    tokens = [{}, {"csrf": "x"}, {"csrf": ""}, {"csrf": await again.token()}, {"csrf": await people["theirs"].token()}]
    for route in await routes():
        if route.method == "POST" and route.right is not None:
            for token in tokens:
                status, text = await admin.post(path_of(route, "1"), {"why": "x", **token})
                assert (status, "another session" in words(text)) == (403, True), route
    assert (await admin.get("/"))[0] == 200


def edited(page: str, **changes: str) -> Form:
    """The editor's form, with other fields."""
    form = next(form for form in forms(page) if "text-0" in form.fields or "key-0" in form.fields)
    return Form(form.path, form.fields | changes)


async def editing(visitor: Visitor, name: str, **changes: str) -> Form:
    status, page = await visitor.get(f"/templates/{name}/edit")
    assert status == 200, page
    return edited(page, **{"do": "save"} | {key.replace("_", "-"): value for key, value in changes.items()})


async def made_template(visitor: Visitor, name: str) -> None:
    _, page = await visitor.get("/new-template")
    form = edited(page, **{"name": name, "channel": "sms", "key-0": "en", "text-0": "One", "do": "save"})
    assert await visitor.post("/new-template", form.fields) == (303, f"/console/templates/{name}/1")


async def test_of_two_editors_the_slower_one_is_told_and_nothing_is_lost(people: dict[str, Visitor]) -> None:
    name = f"both-{RUN}"
    await made_template(people["editor"], name)
    quick, slow = await editing(people["editor"], name, text_0="Quick"), await editing(people["moderator"], name, text_0="Slow")
    assert await people["editor"].post(quick.path, quick.fields) == (303, f"/console/templates/{name}/2")
    status, page = await people["moderator"].post(slow.path, slow.fields)
    assert (status, f"editor-{RUN} has written version 2 meanwhile" in words(page)) == (412, True)
    assert "<del>Quick</del><ins>Slow</ins>" in page
    again = edited(page, do="save")
    assert again.fields["text-0"] == "Slow"
    assert await people["moderator"].post(again.path, again.fields) == (303, f"/console/templates/{name}/3")
    assert [await text_of(people["viewer"], name, version) for version in (1, 2, 3)] == ["One", "Quick", "Slow"]


async def text_of(visitor: Visitor, name: str, version: int) -> str:
    _, found = await visitor.get(f"/templates/{name}/{version}", Accept="application/json")
    return str(json.loads(found)["document"]["variants"]["en"]["text"])


async def test_what_was_written_survives_the_end_of_the_session(
    everything: Installation, people: dict[str, Visitor], session: aiohttp.ClientSession
) -> None:
    name = f"kept-{RUN}"
    await made_template(people["editor"], name)
    late = await entered(everything, session, f"editor-{RUN}")
    form = await editing(late, name, text_0="Worth keeping: <b>&amp;</b>\r\n  è")
    assert (await late.at(everything.url()).send("/sign-out", {}))[0] == 303
    status, page = await late.post(form.path, form.fields)
    assert (status, "what you wrote is still here" in words(page)) == (401, True)
    [entry] = [each for each in forms(page) if each.path == "/sign-in"]
    assert entry.fields["name"] == f"editor-{RUN}"
    status, page = await late.post("/sign-in", entry.fields | {"password": "a wrong password"})
    assert status == 401
    [entry] = [each for each in forms(page) if each.path == "/sign-in"]
    status, page = await late.post("/sign-in", entry.fields | {"password": PASSWORD})
    assert status == 200
    [again] = [each for each in forms(page) if each.path == form.path]
    assert await late.post(again.path, again.fields) == (303, f"/console/templates/{name}/2")
    assert await text_of(late, name, 2) == "Worth keeping: <b>&amp;</b>\n  è"


async def test_a_part_that_is_refused_leaves_the_page_as_it_is(people: dict[str, Visitor]) -> None:
    """An answer is put where the part was: a whole page there would take the list away, and what it asks for again."""
    status, page = await people["viewer"].get("/campaigns/nowhere-to-be-found", **{"HX-Request": "true"})
    assert status == 404
    assert page.startswith('<div class="instead" role="alert">')
    assert "<main" not in page


async def test_no_form_breaks_by_what_is_written_into_it(people: dict[str, Visitor], places: dict[str, tuple[str, str]]) -> None:
    """Each form of each page of somebody who may do everything: empty, over-long, and with markup in all of its fields."""
    visitor, name = people["theirs"], f"wild-{RUN}"
    await made_template(visitor, name)
    assert (await visitor.send("/accounts", {"name": name, "roles": "viewer", "password": PASSWORD}))[0] == 303
    ids = {place: real for place, (real, _) in places.items()} | {"/templates/{name}": name, "/accounts/{name}": name}
    pages = {path for path in {await path_in(visitor, route, ids) for route in await routes() if route.method == "GET"} if path}
    tried = set()
    for path in sorted(pages):
        _, page = await visitor.get(path)
        for form in forms(page):
            if form.path in ("/sign-out", "/me/language") or form.path in tried:
                continue
            tried.add(form.path)
            for text in ("", LONG, MARKUP):
                await bears(visitor, form, text)
    assert len(tried) > 12, tried
    assert (await visitor.get("/"))[0] == 200


async def path_in(visitor: Visitor, route: Route, ids: dict[str, str]) -> str:
    """The address of a page; empty if it is none with forms."""
    if route.right is None or route.path in ("/live", "/letters/{id}"):
        return ""
    place = next((place for place in ids if route.path.startswith(place)), "")
    return path_of(route, ids[place]) if place else route.path if "{" not in route.path else ""


async def bears(visitor: Visitor, form: Form, text: str) -> None:
    kept = ("csrf", "revision", "mark", "do", "channel")
    status, answer = await visitor.post(form.path, {name: value if name in kept else text for name, value in form.fields.items()})
    assert status < 500, (form.path, text[:20], words(answer))
    shown = (await visitor.get(answer.removeprefix("/console")))[1] if status == 303 else answer
    assert "<script>alert(1)" not in shown, form.path
    assert "<b>{{ 7" not in shown, form.path
    assert LONG not in shown or "<textarea" in shown, form.path


async def test_the_trail_of_each_tenant_has_its_own_people_alone(people: dict[str, Visitor]) -> None:
    """Behind all the others: whatever they have tried."""
    _, text = await people["theirs"].get("/audit?days=1", Accept="application/json")
    who = {entry["who"] for entry in json.loads(text)["entries"]}
    assert f"theirs-{RUN}" in who
    assert not who & {f"{role}-{RUN}" for role in ROLES}
