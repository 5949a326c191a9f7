"""The console's frame: who enters, with which rights, from where, and what is said to everybody else."""

import re
from collections.abc import AsyncIterator
from html import unescape
from io import BytesIO
from itertools import pairwise
from types import SimpleNamespace

import msgspec
import pytest
from aiohttp import web

from inm import topics
from inm.console import audit as console_audit
from inm.console.console import Console
from inm.console.texts import LANGUAGES
from inm.core import sessions
from inm.core.audit import Difference, Entry
from inm.core.roles import rights
from inm.settings.console import Console as Settings
from inm.streaming.chunks import now_ms
from tests.support.console import KEPT, PASSWORD, ROLES, SECRET, App, Browser, Client, audit, served, words

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def parts() -> AsyncIterator[tuple[Client, App, Console]]:
    async with served() as parts:
        yield parts


async def test_signing_in_leads_to_the_page_that_was_wanted_and_is_recorded(parts: tuple[Client, App, Console]) -> None:
    client, app, _ = parts
    nobody = Browser(client, app, None)
    status, _, headers = await nobody.get("/accounts?x=1")
    assert (status, headers["Location"]) == (303, "/console/sign-in?next=/console/accounts%3Fx%3D1")
    form = {"tenant": "acme", "name": "admin", "password": PASSWORD, "next": "/console/accounts?x=1"}
    status, _, headers = await nobody.post("/sign-in", form)
    assert (status, headers["Location"]) == (303, "/console/accounts?x=1")
    assert re.search(r"inm_session=[\w.-]+; HttpOnly; Path=/console; SameSite=Lax", headers["Set-Cookie"])
    nobody.headers["Cookie"] = headers["Set-Cookie"].partition(";")[0]
    status, text, _ = await nobody.get("/accounts")
    assert status == 200
    assert all(role in text for role in ROLES)
    assert audit(app) == ["admin signed-in"]


@pytest.mark.parametrize("form", [
    {"tenant": "acme", "name": "admin", "password": "wrong"},
    {"tenant": "acme", "name": "nobody", "password": PASSWORD},
    {"tenant": "nowhere", "name": "admin", "password": PASSWORD},
    {"tenant": "", "name": "", "password": ""},
])  # fmt: skip
async def test_what_is_wrong_with_a_sign_in_is_not_told(parts: tuple[Client, App, Console], form: dict[str, str]) -> None:
    client, app, _ = parts
    status, text, headers = await Browser(client, app, None).post("/sign-in", form)
    assert status == 401
    assert "There is no such account, or the password is wrong." in text
    assert "Set-Cookie" not in headers
    assert all(entry.endswith("sign-in-refused") for entry in audit(app))


async def test_guessing_has_an_end_for_a_name_and_then_the_right_password_helps_no_more(parts: tuple[Client, App, Console]) -> None:
    client, app, _ = parts
    nobody = Browser(client, app, None)
    wrong = {"tenant": "acme", "name": "admin", "password": "wrong"}
    assert [(await nobody.post("/sign-in", wrong))[0] for _ in range(11)] == [401] * 10 + [429]
    status, text, headers = await nobody.post("/sign-in", wrong | {"password": PASSWORD})
    assert status == 429
    assert "Try again in 15 minutes" in text or "Try again in 16 minutes" in text
    assert 0 < int(headers["Retry-After"]) <= 901
    assert (await nobody.post("/sign-in", wrong | {"name": "editor", "password": PASSWORD}))[0] == 303


@pytest.mark.parametrize(
    "following", ["https://evil.example/", "//evil.example/", "/\\evil.example", "/v1/requests", "/console/\r\nX: y", ""]
)
async def test_signing_in_leads_nowhere_else(parts: tuple[Client, App, Console], following: str) -> None:
    client, app, _ = parts
    form = {"tenant": "acme", "name": "viewer", "password": PASSWORD, "next": following}
    assert (await Browser(client, app, None).post("/sign-in", form))[2]["Location"] == "/console/"


async def test_cookies_go_by_https_only_where_browsers_do() -> None:
    async with served(settings=Settings(SECRET, "https://console.example")) as (client, app, _):
        form = {"tenant": "acme", "name": "viewer", "password": PASSWORD}
        assert "Secure" in (await Browser(client, app, None).post("/sign-in", form))[2]["Set-Cookie"]


# -- sessions ---------------------------------------------------------------------------------------


async def test_a_session_ends_with_the_day_with_the_password_and_with_the_account(parts: tuple[Client, App, Console]) -> None:
    client, app, _ = parts
    assert (await Browser(client, app, "editor").get("/"))[0] == 200
    assert (await Browser(client, app, "editor", at=now_ms() - sessions.LASTS - 1).get("/"))[0] == 303
    assert (await Browser(client, app, "editor", at=now_ms() + 60_000).get("/"))[0] == 303
    editor, second = Browser(client, app, "editor"), Browser(client, app, "editor")
    new = {"old_password": PASSWORD, "new_password": "another long password"}
    status, _, headers = await editor.post("/me/password", new)
    assert status == 303
    assert (await second.get("/"))[0] == 303
    editor.headers["Cookie"] = next(value for value in headers.getall("Set-Cookie") if "inm_session" in value).partition(";")[0]  # type: ignore[attr-defined]
    assert (await editor.get("/"))[0] == 200


async def test_a_session_that_was_ended_is_over_here_and_elsewhere(parts: tuple[Client, App, Console]) -> None:
    client, app, console = parts
    editor = Browser(client, app, "editor")
    assert (await editor.post("/sign-out"))[0] == 303
    assert (await editor.get("/"))[0] == 303
    ended = [key for topic, _, key, _ in app.emitter.records if topic == topics.SESSIONS]
    assert ended == [b"id-of-acme-editor"]
    assert audit(app) == ["editor signed-out"]
    await console.ended._take({b"id-of-acme-viewer": b""}, False)
    assert (await Browser(client, app, "viewer").get("/"))[0] == 303


async def test_a_forged_session_is_none(parts: tuple[Client, App, Console]) -> None:
    client, app, _ = parts
    browser = Browser(client, app, "viewer")
    for name, value in (("flipped", browser.headers["Cookie"][:-2] + "zz"), ("none", "inm_session=."), ("noise", "inm_session=%00.é")):
        browser.headers["Cookie"] = value
        assert (await browser.get("/"))[0] == 303, name


async def test_what_was_written_survives_the_end_of_the_session(parts: tuple[Client, App, Console]) -> None:
    client, app, _ = parts
    late = Browser(client, app, "editor", at=now_ms() - sessions.LASTS - 1)
    written = {"language": 'a "long" <b>text</b>\nthat took an hour', "new_password": "secret enough"}
    status, text, _ = await late.post("/me/language", written)
    assert status == 401
    assert "secret enough" not in text
    kept = re.search(r'name="kept" value="([^"]*)"', text)
    assert kept
    form = {"tenant": "acme", "name": "editor", "password": PASSWORD, "next": "/console/me/language", "kept": unescape(kept[1])}
    status, text, headers = await late.post("/sign-in", form)
    assert status == 200
    assert 'action="/console/me/language"' in text
    assert "a &#34;long&#34; &lt;b&gt;text&lt;/b&gt;\nthat took an hour" in text
    assert "inm_session" in headers["Set-Cookie"]


# -- forms ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {"Origin": "null"}])
async def test_a_form_of_another_site_does_nothing(parts: tuple[Client, App, Console], headers: dict[str, str]) -> None:
    client, app, _ = parts
    status, text, _ = await Browser(client, app, "editor").post("/me/language", {"language": "it"}, **headers)
    assert status == 403
    assert "another site" in text
    assert not app.emitter.records


@pytest.mark.parametrize("token", ["", "x", None])
async def test_a_form_without_the_sessions_token_does_nothing(parts: tuple[Client, App, Console], token: str | None) -> None:
    client, app, _ = parts
    other = sessions.token(SECRET, sessions.Session("another", "acme", "editor", 0, ""))
    status, _, _ = await Browser(client, app, "editor").post("/me/language", {"language": "it", "csrf": other if token is None else token})
    assert status == 403
    assert not app.emitter.records


async def test_a_form_that_is_too_large_or_none_is_refused(parts: tuple[Client, App, Console]) -> None:
    client, app, _ = parts
    editor = Browser(client, app, "editor")
    large = BytesIO(b"language=" + b"x" * 3_000_000)
    async with client.post("/console/me/language", data=large, headers=editor.headers | {"Content-Type": FORM}) as answer:
        assert answer.status == 413
    assert (await editor.post("/me/language", {"language": "x" * 2_000}))[0] == 400
    strange = {"Content-Type": f"{FORM}; charset=nonsense"}
    async with client.post("/console/me/language", data=b"\xff", headers=editor.headers | strange) as answer:
        assert answer.status == 400


# -- rights -----------------------------------------------------------------------------------------


def test_each_role_may_what_those_before_it_may() -> None:
    found = [rights([role]) for role in ROLES]
    assert all(less < more for less, more in pairwise(found))
    assert rights([]) == frozenset()
    assert rights(["viewer", "moderator"]) == rights(["moderator"])


@pytest.mark.parametrize("role", ROLES)
async def test_every_route_asks_for_its_right(parts: tuple[Client, App, Console], role: str) -> None:
    client, app, console = parts
    browser = Browser(client, app, role)
    await console.overview.close(web.Application())  # streams end at once
    for route in console.routes:
        if route.right is None:
            continue
        path = re.sub(r"{\w+}", "nothing", route.path)
        status = (await (browser.get(path) if route.method == "GET" else browser.post(path)))[0]
        allowed = route.right in rights([role])  # type: ignore[list-item]
        assert (status == 403) != allowed, (route, status)
        assert (await Browser(client, app, None).get(path))[0] in (303, 405), route
        if route.path == "/sign-out":
            console.ended._known.clear()


async def test_a_disabled_account_is_none(parts: tuple[Client, App, Console]) -> None:
    client, app, _ = parts
    row = app.library.held("acme")["acme/account/editor"]
    from msgspec.structs import replace

    from tests.support.console import encoded

    browser = Browser(client, app, "editor")
    await app.library.take({row.path.encode(): encoded(replace(row, document=row.document | {"disabled": True}))}, True)
    assert (await browser.get("/"))[0] == 303
    assert (await browser.post("/sign-in", {"tenant": "acme", "name": "editor", "password": PASSWORD}))[0] == 401


# -- every answer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/nowhere", "/sign-in", "/accounts", "/static/0/console.css", "/static/0/../web.py"])
async def test_every_answer_is_safe_to_show(parts: tuple[Client, App, Console], path: str) -> None:
    client, app, _ = parts
    status, text, headers = await Browser(client, app, "viewer").get(path)
    assert headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert status in (200, 403, 404)
    assert not re.search(r"<script>|<style|\son\w+=|\sstyle=|javascript:", text)
    assert len(text) < 100_000


async def test_static_files_are_kept_for_good_and_found_from_the_pages(parts: tuple[Client, App, Console]) -> None:
    client, app, _ = parts
    nobody = Browser(client, app, None)
    _, text, _ = await nobody.get("/sign-in")
    found = re.findall(r'(?:href|src)="/console(/static/[^"]+)"', text)
    assert len(set(found)) == 4
    for path in found:
        status, content, headers = await nobody.get(path)
        assert status == 200
        assert content
        assert "immutable" in headers["Cache-Control"]


async def test_programs_get_json_where_browsers_get_pages(parts: tuple[Client, App, Console]) -> None:
    client, app, _ = parts
    admin, nobody = Browser(client, app, "admin"), Browser(client, app, None)
    status, text, headers = await admin.get("/accounts", Accept="application/json")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert KEPT not in text
    assert (await nobody.get("/accounts", Accept="application/json"))[0] == 401
    status, text, headers = await admin.get("/nowhere", Accept="application/json")
    assert (status, headers["Content-Type"]) == (404, "application/problem+json")


async def test_htmx_is_sent_to_sign_in_as_a_page_and_not_as_a_part(parts: tuple[Client, App, Console]) -> None:
    client, app, _ = parts
    headers = {"HX_Request": "true", "HX_Current_URL": "http://x/console/accounts?a=1"}
    status, _, answered = await Browser(client, app, None).get("/", **headers)
    assert (status, answered["HX-Redirect"]) == (401, "/console/sign-in?next=/console/accounts")


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_pages_speak_the_languages_of_browser_and_account(parts: tuple[Client, App, Console], language: str) -> None:
    client, app, _ = parts
    _, text, _ = await Browser(client, app, None).get("/sign-in", Accept_Language=f"xx, {language}-CH;q=0.9, de;q=0.5")
    assert f'<html lang="{language}"' in text
    editor = Browser(client, app, "editor")
    assert (await editor.post("/me/language", {"language": language}))[0] == 303
    assert f'<html lang="{language}"' in (await editor.get("/me"))[1]


async def test_colours_are_kept_and_what_was_done_is_said_once(parts: tuple[Client, App, Console]) -> None:
    client, app, _ = parts
    viewer = Browser(client, app, "viewer")
    status, _, headers = await viewer.post("/theme", {"theme": "dark", "next": "/console/me"})
    assert (status, headers["Location"]) == (303, "/console/me")
    viewer.headers["Cookie"] += "; " + headers["Set-Cookie"].partition(";")[0]
    assert 'data-theme="dark"' in (await viewer.get("/me"))[1]
    told = sessions.seal(SECRET, "told", "<b>done</b>")
    viewer.headers["Cookie"] += f"; inm_told={told}"
    _, text, headers = await viewer.get("/me")
    assert "&lt;b&gt;done&lt;/b&gt;" in text
    assert 'inm_told=""' in headers["Set-Cookie"]
    assert "done" in words(text)


# -- the audit trail --------------------------------------------------------------------------------


def trail(monkeypatch: pytest.MonkeyPatch, *entries: Entry) -> None:
    """What is on the topic."""

    async def tail(*_: object) -> AsyncIterator[SimpleNamespace]:
        yield SimpleNamespace(value=b"no entry")
        for entry in entries:
            yield SimpleNamespace(value=msgspec.json.encode(entry))

    monkeypatch.setattr(console_audit, "tail", tail)


async def test_the_trail_shows_the_tenants_entries_once_the_latest_first(
    parts: tuple[Client, App, Console], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, app, _ = parts
    change = Difference("/title", "<i>old</i>", None)
    first = Entry("1", 1_790_000_000_000, "acme", "olga", "configured", "acme/scenario/otp", "because", "10.0.0.1", [change])
    trail(
        monkeypatch, first, Entry("2", 1_790_000_001_000, "acme", "boris", "signed-in"), first, Entry("3", 0, "volta", "mallory", "deleted")
    )
    operator = Browser(client, app, "operator")
    _, text, _ = await operator.get("/audit")
    assert "2 entries" in words(text)
    assert text.index("boris") < text.index("olga")
    assert "mallory" not in text
    assert "&lt;i&gt;old&lt;/i&gt;" in text
    _, text, _ = await operator.get("/audit?who=OLG&what=configured&path=otp&days=31")
    assert "1 entry" in words(text)
    assert "Take a longer time" in (await operator.get("/audit?what=approved"))[1]
    assert (await operator.get("/audit?days=9999"))[0] == 404
    _, text, _ = await operator.get("/audit", Accept="application/json")
    assert [entry["who"] for entry in msgspec.json.decode(text)["entries"]] == ["boris", "olga"]


async def test_without_kafka_the_trail_says_so(parts: tuple[Client, App, Console], monkeypatch: pytest.MonkeyPatch) -> None:
    client, app, _ = parts

    def tail(*_: object) -> AsyncIterator[SimpleNamespace]:
        raise OSError("gone")

    monkeypatch.setattr(console_audit, "tail", tail)
    status, _, headers = await Browser(client, app, "operator").get("/audit")
    assert (status, headers["Retry-After"]) == (503, "5")
