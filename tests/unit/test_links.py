"""Links: what is made of an e-mail, that nobody else can make one, and who is no reader."""

import re
from html import unescape
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from hypothesis import given
from hypothesis import strategies as st

from inm import topics
from inm.core import journey, links
from inm.core.links import Links
from inm.core.records import Content, Delivery, Outcome
from inm.core.results import Result
from tests.unit import test_journey as story
from tests.unit.test_web import App, app, client

__all__ = ["app", "client"]

CLIENT = TestClient[web.Request, web.Application]
OURS = Links("https://inm.example", b"k" * 32)
ID = "3-" + "a" * 26 + ".1.1"
CHROME = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"}
HTML = '<html><body><p>Hi <A class=x HREF="https://acme.example/i?a=1&amp;b=2">pay</a> <a href="mailto:a@b.c">x</a></p></body></html>'


def delivery(html: str | None = HTML, **given: Any) -> Delivery:
    made = msgspec.structs.replace(story.send().delivery, id=ID, channel="email", content=Content("text", "subject", html), track=True)
    return msgspec.structs.replace(made, **given)


def addresses(html: str) -> list[str]:
    return [unescape(found) for found in re.findall(r"https://inm\.example/[^\"']*", html)]


@pytest.fixture
def reading(app: App) -> App:
    app.settings = SimpleNamespace(links=OURS)  # type: ignore[attr-defined]
    return app


def test_an_e_mail_that_waits_for_its_reader_has_a_picture_and_links_by_us() -> None:
    html = links.tracked(delivery(), OURS).content.html
    assert html
    link, picture = addresses(html)
    assert html.endswith('style="border:0"></body></html>')
    assert 'href="mailto:a@b.c"' in html
    assert parse_qs(urlsplit(link).query) == {"to": ["https://acme.example/i?a=1&b=2"]}
    assert f"/o/{ID}/" in picture
    assert links.tracked(delivery("no body"), OURS).content.html.startswith("no body<img ")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("given", "ours"),
    [({"track": False}, OURS), ({"html": None}, OURS), ({}, None), ({"html": '<a href="https://x.y/%s">' % ("x" * 2000)}, OURS)],
)
def test_others_are_left_as_they_are(given: dict[str, Any], ours: Links | None) -> None:
    plain = delivery(**given)
    made = links.tracked(plain, ours)
    assert made == plain if "html" not in given or given["html"] is None else "/l/" not in (made.content.html or "")


@given(st.binary(min_size=1, max_size=40), st.text(max_size=50), st.text(max_size=50))
def test_only_what_we_have_signed_is_ours(key: bytes, target: str, other: str) -> None:
    signed = links.signature(key, ID, target)
    assert links.is_ours(key, ID, signed, target)
    assert links.is_ours(key, ID, signed, other) == (target == other)
    assert not links.is_ours(key + b"x", ID, signed, target)
    assert not links.is_ours(key, ID.replace(".1.1", ".1.2"), signed, target)
    assert not links.is_ours(key, "nonsense", links.signature(key, "nonsense", target), target)


@pytest.mark.parametrize(
    ("method", "headers", "reader"),
    [
        ("GET", CHROME, True),
        ("GET", {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"}, True),
        ("HEAD", CHROME, False),
        ("GET", {}, False),
        ("GET", {"User-Agent": "Mozilla/5.0"}, False),
        ("GET", {"User-Agent": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"}, False),
        ("GET", {"User-Agent": "Mozilla/5.0 (compatible; bingbot/2.0)"}, False),
        ("GET", CHROME | {"Sec-Purpose": "prefetch;prerender"}, False),
    ],
)
def test_who_is_no_reader(method: str, headers: dict[str, str], reader: bool) -> None:
    assert (links.automated(method, {name.lower(): value for name, value in headers.items()}) is None) == reader


def test_what_is_automated_is_told_and_counts_as_nothing() -> None:
    row, _ = journey.begin(msgspec.structs.replace(story.NOTIFICATION, id=ID[:-4]), story.send(steps=1, until="read"), story.NOW)
    row = msgspec.structs.replace(row, deliveries=[msgspec.structs.replace(row.deliveries[0], id=ID)])
    proxy, effects = journey.advance(row, links.outcome(ID, "opened", story.NOW, "an image proxy"), story.NOW)
    assert not effects.edrs
    assert "automated" in proxy.events[-1].detail
    _, effects = journey.advance(proxy, links.outcome(ID, "clicked", story.NOW, None), story.NOW)
    assert [(edr.event, edr.final) for edr in effects.edrs] == [("delivered", False), ("read", True)]


async def test_the_door_answers_and_tells_once(client: CLIENT, reading: App) -> None:
    html = links.tracked(delivery(), OURS).content.html or ""
    link, picture = (address.removeprefix("https://inm.example") for address in addresses(html))
    for _ in range(2):
        answer = await client.get(picture, headers=CHROME)
        assert (answer.status, answer.content_type, answer.headers["Cache-Control"]) == (200, "image/gif", "no-store, private")
        answer = await client.get(link, headers=CHROME, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (302, "https://acme.example/i?a=1&b=2")
    assert (await client.head(picture, headers=CHROME)).status == 200
    told = [msgspec.json.decode(value, type=Outcome) for _, _, _, value in reading.emitter.records]
    assert {(topic, partition) for topic, partition, _, _ in reading.emitter.records} == {(topics.OUTCOMES, 3)}
    assert [one.receipt.state for one in told if one.receipt] == ["read", "read", "pending"]
    assert all(one.delivery == ID for one in told)


@pytest.mark.parametrize("path", [f"/o/{ID}/wrong", f"/l/{ID}/wrong?to=https://evil.example", "/o/x/y"])
async def test_what_we_have_not_made_is_not_there(client: CLIENT, reading: App, path: str) -> None:
    assert (await client.get(path, allow_redirects=False, headers=CHROME)).status == 404
    signed = links.signature(OURS.key, ID)
    assert (await client.get(f"/l/{ID}/{signed}", allow_redirects=False, headers=CHROME)).status == 404, "a picture is no link"
    assert not reading.emitter.records


async def test_without_a_key_there_are_none(client: CLIENT, app: App) -> None:
    app.settings = SimpleNamespace(links=None)  # type: ignore[attr-defined]
    assert (await client.get(f"/o/{ID}/{links.signature(b'', ID)}", headers=CHROME)).status == 404


def test_a_step_until_read_is_satisfied_by_a_reader_alone() -> None:
    row = story.started(steps=1, until="read")
    row, _, _ = story.play(row, story.answer(Result.SENT, "p", receipts=False))
    assert story.told(story.play(row, story.receipt("read"))[1]) == [("delivered", False), ("read", True)]
