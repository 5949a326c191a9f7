"""One law over all routes, roles and tenants: what is another tenant's is answered exactly as what never was, and nothing is done to it."""

import re
from collections.abc import AsyncIterator, Callable
from hashlib import sha256

import pytest
from aiohttp import web

from inm import topics
from inm.console import dead as console_dead
from inm.console.console import Console
from inm.console.letters import Letters
from inm.console.views import VIEWS
from inm.streaming.chunks import now_ms
from inm.tables.campaigns import campaigns
from tests.support.books import scenario, sms, step
from tests.support.console import PASSWORD, ROLES, App, Browser, Client, Partition, account, served
from tests.support.letters import Topic, dead
from tests.unit.test_console_campaigns import campaign
from tests.unit.test_console_campaigns import keep as keep_campaign
from tests.unit.test_console_notifications import keep, made
from tests.unit.test_console_tables import everything, had, user

Parts = tuple[Client, App, Console]
THEIRS = "olga-of-volta"
ROW, NEVER = made("their-user", tenant="volta"), made("nobody")

PLACES: dict[str, tuple[str, str]] = {
    "/accounts/{name}": (THEIRS, "nobody-at-all"),
    "/templates/{name}": (THEIRS, "nobody-at-all"),
    "/scenarios/{name}": (THEIRS, "nobody-at-all"),
    "/letters/{id}": (sha256(b"<p>Theirs</p>").hexdigest(), "0" * 64),
    "/notifications/{id}": (ROW.id, NEVER.id),
    "/campaigns/{name}": ("their-campaign", "no-campaign"),
    "/dead/{id}": ("00000000000", "77777777777"),
    "/tables/users/{key}": ("their-user", "nobody"),
    "/tables/counters/{key}": ("their-user", "nobody"),
    "/tables/journeys/{key}": (ROW.id, NEVER.id),
    "/tables/schedule/{key}": ("77%2Fheld%2Fvolta", "78%2Fheld%2Fvolta"),
    "/tables/outbox/{key}": ("smsc-1%2Fvolta-1", "smsc-1%2Fvolta-2"),
}
"""By the beginning of a route's path, what stands for its place: an id of the other tenant, and one that never was."""


def with_theirs(init: Callable[[Letters], None]) -> Callable[[Letters], None]:
    def made(letters: Letters) -> None:
        init(letters)
        assert letters.keep("volta", "<p>Theirs</p>").endswith(PLACES["/letters/{id}"][0])

    return made


@pytest.fixture
async def parts(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Parts]:
    for table in (*(view.table for view in VIEWS), campaigns.table):
        monkeypatch.setattr(table, "partitions", {number: Partition() for number in range(6)})
    keep(ROW)
    everything("volta")
    user("their-user", "volta")
    had("volta/their-user")
    keep_campaign(campaign("their-campaign", "volta"))
    monkeypatch.setattr(Letters, "__init__", with_theirs(Letters.__init__))
    letters = Topic()
    letters.keep(dead("inm.requests.volta", at=now_ms()))
    monkeypatch.setattr(console_dead, "Letterbox", letters)
    monkeypatch.setattr(console_dead, "tail", letters.tail)
    theirs = [sms(THEIRS, it="x") | {"tenant": "volta"}, scenario(THEIRS, plan=[step(template=THEIRS)]) | {"tenant": "volta"}]
    async with served(account("volta", THEIRS, "admin", title="Their Olga"), *theirs) as parts:
        await parts[2].overview.close(web.Application())  # streams end at once
        yield parts


@pytest.mark.parametrize("role", ROLES)
async def test_what_is_anothers_is_as_what_never_was(parts: Parts, role: str) -> None:
    client, app, console = parts
    browser = Browser(client, app, role)
    for route in console.routes:
        if route.right is None or "{" not in route.path:
            continue
        place = next((known for known in PLACES if route.path.startswith(known)), None)
        assert place, f"PLACES needs an id of another tenant for {route.path}"
        answers = []
        for found in PLACES[place]:
            path = re.sub(r"{\w+}", found, route.path)
            form = {"why": "x", "mark": "m", "revision": "1", "roles": "viewer"}
            status, text, _ = await (browser.get(path) if route.method == "GET" else browser.post(path, form))
            answers.append((status, text.replace(found, "…")))
        assert answers[0] == answers[1], route
        assert answers[0][0] in (403, 404), route
    assert not app.emitter.records


async def test_what_is_compared_is_there_for_its_owner(parts: Parts) -> None:
    """Else the law above would hold of anything."""
    client, app, console = parts
    owner = Browser(client, app, "admin", "volta")
    seen = set()
    for route in console.routes:
        place = next((known for known in PLACES if route.path.startswith(known)), None)
        if place and route.method == "GET":
            status, _, _ = await owner.get(re.sub(r"{\w+}", "1", re.sub(r"{(name|id|key)}", PLACES[place][0], route.path)))
            seen |= {place} if status == 200 else set()
    assert seen == PLACES.keys()


async def test_a_tenant_in_the_body_of_a_form_is_nothing(parts: Parts) -> None:
    client, app, console = parts
    admin = Browser(client, app, "admin")
    more = {
        "name": "new",
        "path": "volta/account/new",
        "roles": "admin",
        "password": PASSWORD,
        "channel": "sms",
        "key-0": "it",
        "text-0": "x",
    }
    for route in console.routes:
        if route.method == "POST" and "{" not in route.path and route.path not in ("/sign-in", "/sign-out"):
            await admin.post(route.path, {"tenant": "volta", "do": "save", "revision": "0", "language": "it", **more})
    assert any(topic == topics.CHANGES for topic, *_ in app.emitter.records)
    assert not any(b"volta" in (key or b"") + (value or b"") for _, _, key, value in app.emitter.records)


@pytest.mark.parametrize("role", ROLES)
async def test_no_page_shows_anything_of_others(parts: Parts, role: str) -> None:
    client, app, console = parts
    browser = Browser(client, app, role)
    for route in console.routes:
        if route.method == "GET" and "{" not in route.path:
            for accept in ("text/html", "application/json"):
                _, text, _ = await browser.get(f"{route.path}?scenario=otp&q=their-user&who={THEIRS}", Accept=accept)
                shown = re.sub(r'value="[^"]*"|"asked":{[^}]*}|"filter":{[^}]*}|next=[^"]*|who=[^"&]*', "", text)
                assert THEIRS not in shown, route
                assert "Their Olga" not in shown, route
                assert ROW.id not in shown, route
                assert "their-campaign" not in shown, route
                assert "inm.requests.volta" not in shown, route
