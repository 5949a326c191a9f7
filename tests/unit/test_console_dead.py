"""Dead letters in the console: whose they are, what is masked, and what becomes of them."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm import topics
from inm.console import dead as page
from inm.console.console import Console
from inm.core import deadpages
from inm.core.deadletters import Closing, Letter, Selection
from inm.core.deadpages import Page
from inm.streaming.chunks import now_ms
from inm.web.endings import OWNERS
from tests.support.books import scenario, sms
from tests.support.console import App, Browser, Client, audit, served, words
from tests.support.letters import Topic, dead

Parts = tuple[Client, App, Console]
PHONE = "+393331234567"
REQUEST = f'{{"scenario":"otq","to":{{"phone":"{PHONE}"}}}}'
MENDED = f'{{"scenario":"otp",\r\n"to":{{"phone":"{PHONE}"}}}}'


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    found = Topic()
    monkeypatch.setattr(page, "Letterbox", found)
    monkeypatch.setattr(page, "tail", found.tail)
    return found


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    async with served(*(document | {"tenant": "acme"} for document in (sms(), scenario("otp")))) as parts:
        yield parts


async def listed(browser: Browser, query: str = "") -> list[int]:
    status, text, _ = await browser.get(f"/dead?hours=720&{query}", Accept="application/json")
    assert status == 200, text
    return [each["id"] for each in msgspec.json.decode(text)["letters"]]


def lately(**more: Any) -> Any:
    return dead(**{"at": now_ms() - 1000, **more})


# -- looking ----------------------------------------------------------------------------------------


async def test_the_list_has_the_tenants_letters_the_newest_first(parts: Parts, topic: Topic) -> None:
    client, app, _ = parts
    mine = topic.keep(lately())
    theirs = topic.keep(lately(topic="inm.requests.volta"))
    inside = topic.keep(lately(topic="inm.outcomes", stage="journeys", reason="stage-failed", value='{"key":"acme/u1"}'), "acme/u1")
    topic.keep(lately(topic="inm.outcomes", value='{"key":"volta/u1"}'), "volta/u1")
    topic.keep(lately(topic="inm.receipts", value="{}"), "acme/1")
    topic.keep(lately(at=now_ms() - 3 * 24 * 3_600_000))
    viewer = Browser(client, app)
    assert await listed(viewer, "hours=24") == [5, inside, mine]
    assert await listed(viewer, "reason=stage-failed") == [inside]
    assert await listed(viewer, "stage=intake&topic=inm.requests.acme") == [5, mine]
    assert theirs not in await listed(Browser(client, app, "operator"), "closed=1")
    status, text, _ = await viewer.get("/dead?topic=nothing")
    assert (status, "There are no such dead letters" in text) == (200, True)
    assert (await viewer.get("/dead?hours=5"))[0] == 404
    assert (await viewer.get("/dead?before=x"))[0] == 404


async def test_a_long_list_goes_on_and_ended_letters_are_there_on_demand(
    parts: Parts, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, app, _ = parts
    monkeypatch.setattr(page, "MOST", 3)
    monkeypatch.setattr(deadpages, "KEPT", 4)
    for _ in range(10):
        topic.keep(lately())
    await topic.close(Closing(7, "dropped", 1, "olga", "late"), "acme")
    viewer = Browser(client, app)
    seen: list[int] = []
    before: int | None = 99
    while before is not None:
        _, text, _ = await viewer.get(f"/dead?before={before}", Accept="application/json")
        told = msgspec.json.decode(text)
        seen += [each["id"] for each in told["letters"]]
        before = told["next"]
    assert seen == [9, 8, 6, 5, 4, 3, 2, 1, 0]
    assert 7 in await listed(viewer, "closed=1&before=8")


@pytest.mark.parametrize("error", [OSError("gone"), TimeoutError()])
async def test_without_kafka_the_pages_say_so(parts: Parts, topic: Topic, error: Exception) -> None:
    client, app, _ = parts
    topic.keep(lately())
    topic.broken = error
    operator = Browser(client, app, "operator")
    for status, text, headers in (
        await operator.get("/dead"),
        await operator.get("/dead/0"),
        await operator.post("/dead/0/drop", {"why": "x"}),
    ):
        assert (status, headers["Retry-After"]) == (503, "5")
        assert "cannot be read now" in text


async def test_a_letter_is_masked_unless_somebody_who_may_asks(parts: Parts, topic: Topic) -> None:
    client, app, _ = parts
    number = topic.keep(lately(value=REQUEST, detail=f"/to/phone: found '{PHONE}'"), PHONE)
    viewer, operator = Browser(client, app), Browser(client, app, "operator")
    for browser in (viewer, operator):
        status, text, _ = await browser.get(f"/dead/{number}")
        assert (status, PHONE in text) == (200, False)
        assert "+999999999999" in text
        assert PHONE not in (await browser.get("/dead"))[1]
    assert (await viewer.get(f"/dead/{number}?unmask=1"))[0] == 403
    assert audit(app) == []
    assert PHONE in (await operator.get(f"/dead/{number}?unmask=1"))[1]
    assert audit(app) == [f"operator unmasked acme/dead/{number}"]


@pytest.mark.parametrize("path", ["x", "-1", "7", "0", "1", "99999999999999999999"])
async def test_what_is_not_the_tenants_is_no_letter(parts: Parts, topic: Topic, path: str) -> None:
    client, app, _ = parts
    topic.keep(lately(topic="inm.requests.volta"))
    topic.keep(lately(topic="inm.users", value='{"action":"upsert","key":"volta/u1"}'), "acme/u1")
    operator = Browser(client, app, "operator")
    assert (await operator.get(f"/dead/{path}"))[0] == 404
    for action in ("retry", "drop"):
        assert (await operator.post(f"/dead/{path}/{action}", {"why": "x"}))[0] == 404
    assert not topic.sent
    assert not app.emitter.records


# -- ending -----------------------------------------------------------------------------------------


async def test_a_record_goes_back_once_and_it_is_recorded(parts: Parts, topic: Topic) -> None:
    client, app, _ = parts
    number = topic.keep(lately(value='{"request_id":"1"}'))
    operator = Browser(client, app, "operator")
    status, text, _ = await operator.post(f"/dead/{number}/retry", {"why": " "})
    assert (status, "Say why" in text) == (422, True)
    assert (await Browser(client, app, "moderator").post(f"/dead/{number}/retry", {"why": "x"}))[0] == 403
    assert not topic.sent
    assert (await operator.post(f"/dead/{number}/retry", {"why": "the scenario is there"}))[0] == 303
    [sent] = topic.sent
    assert (sent.topic, sent.partition, sent.value) == ("inm.requests.acme", 3, b'{"request_id":"1"}')
    letter = await topic.fate(number)
    assert letter
    assert letter.closed
    assert (letter.closed.action, letter.closed.by, letter.closed.why) == ("retried", "operator", "the scenario is there")
    assert topic.recorded == [f"operator retried acme/dead/{number}"]
    status, text, _ = await operator.post(f"/dead/{number}/retry", {"why": "again"})
    assert (status, "ended it already" in text) == (409, True)
    assert "inm.requests.acme/3/88" in (await operator.get(f"/dead/{number}"))[1]
    assert len(topic.sent) == 1


async def test_a_letter_is_dropped_with_a_reason(parts: Parts, topic: Topic) -> None:
    client, app, _ = parts
    number = topic.keep(lately())
    operator = Browser(client, app, "operator")
    assert (await operator.post(f"/dead/{number}/drop", {"why": ""}))[0] == 422
    assert (await operator.post(f"/dead/{number}/drop", {"why": "x" * 1001}))[0] == 400
    assert (await operator.post(f"/dead/{number}/drop", {"why": "<b>late</b>"}))[0] == 303
    assert not topic.sent
    assert await listed(operator) == []
    assert "&lt;b&gt;late&lt;/b&gt;" in (await operator.get(f"/dead/{number}"))[1]
    assert topic.recorded == [f"operator dropped acme/dead/{number}"]


async def test_what_could_not_be_written_down_stays_open(parts: Parts, topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    client, app, _ = parts
    number = topic.keep(lately(value='{"request_id":"1"}'))

    async def close(*_: object) -> None:
        raise OSError("no broker")

    monkeypatch.setattr(topic, "close", close)
    for action in ("retry", "drop"):
        assert (await Browser(client, app, "operator").post(f"/dead/{number}/{action}", {"why": "x"}))[0] == 503
    assert await listed(Browser(client, app)) == [number]


async def test_a_mended_request_is_checked_and_what_was_written_stays(parts: Parts, topic: Topic) -> None:
    client, app, _ = parts
    number = topic.keep(lately(value=REQUEST))
    operator = Browser(client, app, "operator")
    status, text, _ = await operator.post(f"/dead/{number}/retry", {"why": "a typo", "value": MENDED.replace("otp", "<otr>")})
    assert (status, "&lt;otr&gt;" in text, "the mended request is refused" in words(text)) == (422, True, True)
    assert not app.emitter.records
    theirs = MENDED.replace('"scenario"', '"tenant":"volta","scenario"')
    assert (await operator.post(f"/dead/{number}/retry", {"why": "a trick", "value": theirs}))[0] == 422
    assert not topic.sent
    assert (await operator.post(f"/dead/{number}/retry", {"why": "a typo", "value": MENDED}))[0] == 303
    assert (topic.sent[0].value or b"").startswith(b'{"scenario":"otp",\n')


async def test_only_requests_are_mended(parts: Parts, topic: Topic) -> None:
    client, app, _ = parts
    number = topic.keep(lately(topic="inm.notifications.normal", value='{"tenant":"acme"}'), "acme/u1")
    operator = Browser(client, app, "operator")
    assert 'name="value"' not in (await operator.get(f"/dead/{number}?unmask=1"))[1]
    status, _, _ = await operator.post(f"/dead/{number}/retry", {"why": "x", "value": '{"tenant":"volta"}'})
    assert (status, topic.sent) == (422, [])


# -- pages of letters -------------------------------------------------------------------------------


@given(st.lists(st.one_of(st.just(None), st.integers(0, 40)), max_size=60), st.integers(1, 5))
def test_whatever_is_ended_all_open_letters_are_on_some_page(records: list[int | None], most: int) -> None:
    """None is a letter, a number the end of one."""
    encoded = [msgspec.json.encode(dead() if each is None else Closing(each, "dropped", 1, "olga", "x")) for each in records]
    ended = {closes for at, closes in enumerate(records) if closes is not None and closes < at}
    wanted = {at for at, each in enumerate(records) if each is None and at not in ended}
    seen: list[int] = []
    before: int | None = len(records)
    for _ in range(200):
        found = Page("acme", OWNERS, Selection(), before=before)
        for at, value in enumerate(encoded):
            found.add(at, None, value)
        letters, before = found.newest(most)
        seen += [letter.id for letter in letters]
        if before is None:
            break
    assert before is None
    assert seen == sorted(wanted, reverse=True)


@pytest.mark.parametrize(
    ("name", "key", "value", "owner"),
    [
        ("inm.requests.acme", None, "no json", "acme"),
        ("inm.requests.acme.it", None, "{}", "acme.it"),
        (topics.SCHEDULE, "acme/1", '{"topic":"inm.receipts","key":"acme/1"}', ""),
        (topics.SCHEDULE, "acme/u", '{"topic":"inm.outcomes","key":"acme/u"}', "acme"),
        (topics.USERS, "acme", '{"tenant":"acme"}', "acme"),
        (topics.USERS, "acme/u", "no json", "acme"),
        (topics.CHANGES, "acme/u", "{}", ""),
        (topics.USERS, None, "[]", ""),
    ],
)
def test_whose_a_letter_is(name: str, key: str | None, value: str, owner: str) -> None:
    letter = Letter(1, key.encode() if key else None, dead(name, value))
    assert OWNERS.tenant(letter) == owner
