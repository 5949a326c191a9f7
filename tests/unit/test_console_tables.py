"""Views of tables: whose rows they show, masked how, page by page over all partitions and workers, and what is not there is said."""

from collections.abc import AsyncIterator
from html import unescape
from itertools import product
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from inm import topics
from inm.console import places, tables
from inm.console.console import Console
from inm.console.members import MEMBERS
from inm.console.views import VIEWS
from inm.core import sessions
from inm.core.capping import Digest, Had
from inm.core.ids import partition_of_receipt
from inm.core.marks import Marks
from inm.core.records import Submission, Wait
from inm.core.users import User
from inm.tables import schedule, users
from inm.tables.counters import counters
from inm.tables.outbox import Sent, outbox
from inm.web.peers import FORWARDED
from tests.support.console import SECRET, App, Browser, Client, Partition, audit, served, words
from tests.unit.test_console_notifications import keep, made

Parts = tuple[Client, App, Console]
FAR = 2**42
PHONE = "+393331234567"
MAIL = "rosa@example.com"


def user(name: str, /, tenant: str = "acme", **more: Any) -> None:
    row = User(f"{tenant}/{name}", more.pop("expires", FAR), loaded_at=5, **more)
    put(users.users, row.key, users.users.written(row, FAR))


def put(rows: Any, key: str, stored: bytes) -> None:
    rows.table.partitions[topics.partition_of_key(key, 6)][key.encode()] = stored


def wait(due: int, name: str, key: str, topic: str = topics.OUTCOMES, value: str = "{}") -> None:
    record = msgspec.json.encode(Wait(name, due, topic, key, msgspec.Raw(value.encode())))
    schedule.schedule.partitions[topics.partition_of_key(key, 6)][schedule.key_of(due, name)] = record  # type: ignore[index]


def sent(place: str, key: str) -> None:
    route, _, provider_id = place.partition("/")
    row = Sent(Submission(route, provider_id, f"3-{'a' * 26}.1.1", key, 7))
    outbox.table.partitions[partition_of_receipt(place.encode(), 6)][place.encode()] = outbox.written(row, FAR)  # type: ignore[index]


def had(key: str) -> None:
    put(counters, key, counters.written(Had([3, 9], {"d": Digest(FAR, [], 4)}), FAR))


def everything(tenant: str = "acme") -> None:
    """A row in each table, of one tenant."""
    user(PHONE, tenant, phone=PHONE, email=MAIL, name="Rosa Bianchi", fields={"source": "Rosa", "code": 860917}, language="it")
    keep(made(PHONE, tenant=tenant))
    wait(77, f"held/{tenant}", f"{tenant}/{PHONE}", topics.notifications("normal"), f'{{"scenario":"otp","phone":"{PHONE}"}}')
    sent(f"smsc-1/{tenant}-1", f"{tenant}/{PHONE}")
    had(f"{tenant}/{PHONE}")


@pytest.fixture
async def parts(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Parts]:
    for view in VIEWS:
        monkeypatch.setattr(view.table, "partitions", {number: Partition() for number in range(6)})
    async with served() as parts:
        yield parts


async def told(browser: Browser, path: str) -> dict[str, Any]:
    status, text, _ = await browser.get(path, Accept="application/json")
    assert status == 200, text
    found: dict[str, Any] = msgspec.json.decode(text)
    return found


async def keys(browser: Browser, table: str, query: str = "") -> list[str]:
    return [row["key"] for row in (await told(browser, f"/tables/{table}?{query}"))["rows"]]


# -- whose, and what is masked ----------------------------------------------------------------------


@pytest.mark.parametrize("name", [view.name for view in VIEWS])
async def test_each_view_has_the_tenants_rows_alone_and_masked(parts: Parts, name: str) -> None:
    client, app, _ = parts
    everything()
    everything("volta")
    users.marks.table.partitions[0][b"acme"] = users.marks.written(Marks(all=1), FAR)  # type: ignore[index]
    viewer = Browser(client, app)
    [row] = (await told(viewer, f"/tables/{name}"))["rows"]
    assert "volta" not in str(row)
    href = row["href"].removeprefix("/console")
    for path in (f"/tables/{name}", href):
        for accept in ("text/html", "application/json"):
            status, text, _ = await viewer.get(path, Accept=accept)
            assert status == 200
            for secret in (PHONE, PHONE[1:], MAIL, "Rosa", "860917"):
                assert secret not in text, path
        assert (await viewer.get(f"{path}?unmask=1"))[0] == 403
    other = Browser(client, app, tenant="volta")
    assert (await other.get(href))[0] == 404
    assert (await told(other, f"/tables/{name}"))["rows"][0]["key"] != row["key"] or name in ("users", "counters")


async def test_who_may_sees_personal_data_and_that_is_recorded(parts: Parts) -> None:
    client, app, _ = parts
    everything()
    operator = Browser(client, app, "operator")
    [row] = (await told(operator, "/tables/users?unmask=1"))["rows"]
    assert (row["key"], row["phone"], row["name"], row["fields"]["code"]) == (PHONE, PHONE, "Rosa Bianchi", 860917)
    status, text, _ = await operator.get(row["href"].removeprefix("/console") + "?unmask=1")
    assert (status, "Rosa Bianchi" in text) == (200, True)
    assert audit(app) == ["operator unmasked acme/table/users"] * 2
    app.emitter.broken = OSError("no broker")
    status, text, _ = await operator.get("/tables/users?unmask=1")
    assert (status, PHONE in text) == (503, False)


async def test_no_member_is_without_a_name(parts: Parts) -> None:
    client, app, _ = parts
    everything()
    for view in VIEWS:
        [row] = (await told(Browser(client, app), f"/tables/{view.name}"))["rows"]
        assert set(row) - {"href"} <= set(MEMBERS)
        assert {*view.columns, *view.filters} <= set(MEMBERS)


async def test_an_address_cannot_be_found_digit_by_digit(parts: Parts) -> None:
    client, app, _ = parts
    everything()
    user("+sophie")
    viewer, operator = Browser(client, app), Browser(client, app, "operator")
    for table in ("users", "counters"):
        assert await keys(viewer, table, "begins=%2B39") == []
        assert await keys(operator, table, "begins=%2B39") == []
        assert await keys(operator, table, "begins=%2B39&unmask=1") == [PHONE]
    status, _, headers = await viewer.get("/tables/users?key=%2B393331234567")
    assert status == 303
    assert PHONE[1:] not in headers["Location"]
    assert "+39…67" in (await viewer.get(headers["Location"].removeprefix("/console")))[1]


async def test_a_submission_that_is_not_there_yet_and_a_receipt_that_waits_are_nobodys(parts: Parts) -> None:
    client, app, _ = parts
    put(outbox, "acme/1", outbox.written(Sent(), FAR))
    wait(5, "receipt/acme/1/delivered", "acme/1", topics.RECEIPTS)
    assert await keys(Browser(client, app), "outbox") == []
    assert await keys(Browser(client, app), "schedule") == []


# -- by key -----------------------------------------------------------------------------------------


async def test_rows_are_found_by_their_keys(parts: Parts) -> None:
    client, app, _ = parts
    everything()
    user("u/1?&")
    viewer = Browser(client, app)
    row = made(PHONE)
    for table, key in (
        ("users", "u%2F1%3F%26"),
        ("users", "%2B393331234567"),
        ("counters", "%2B393331234567"),
        ("journeys", row.id),
        ("schedule", "77%2Fheld%2Facme"),
        ("outbox", "smsc-1%2Facme-1"),
    ):
        assert (await viewer.get(f"/tables/{table}/{key}"))[0] == 200, key
        status, _, headers = await viewer.get(f"/tables/{table}?key={key}")
        assert status == 303
        assert (await viewer.get(headers["Location"].removeprefix("/console")))[0] == 200


async def test_a_key_that_is_none_is_not_found(parts: Parts) -> None:
    client, app, _ = parts
    everything("volta")
    viewer = Browser(client, app)
    for view, key in product(VIEWS, ["x", "~x", "~", "9-x", "1/x", "%00", "%F0%9F%98%80", "x" * 3000]):
        assert (await viewer.get(f"/tables/{view.name}/{key}"))[0] == 404, (view, key)
        assert (await viewer.get(f"/tables/{view.name}?from={key}"))[0] == 404, (view, key)


async def test_what_has_ended_or_was_invalidated_is_not_there(parts: Parts) -> None:
    client, app, _ = parts
    user("late", expires=6)
    user("here")
    viewer = Browser(client, app)
    assert await keys(viewer, "users") == ["here"]
    for partition in users.users.table.partitions.values():
        partition[b"acme"] = users.marks.written(Marks(all=6), FAR)  # type: ignore[index]
    assert await keys(viewer, "users") == []


# -- page by page -----------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["users", "journeys", "schedule"])
async def test_a_long_list_is_in_the_order_of_its_keys_and_loses_nothing(parts: Parts, monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    client, app, _ = parts
    monkeypatch.setattr(tables, "MOST", 10)
    monkeypatch.setattr(tables, "PIECE", 7)
    for number in range(95):
        user(f"u{number:03}")
        user(f"u{number:03}", "volta")
        keep(made(f"u{number}"), made(f"u{number}", tenant="volta"))
        wait(number // 3, f"w{number:03}", f"acme/u{number}")
        wait(number // 3, f"v{number:03}", f"volta/u{number}")
    seen: list[str] = []
    place: str | None = ""
    for _ in range(80):
        page = await told(Browser(client, app), f"/tables/{table}?from={place}")
        assert len(page["rows"]) <= 10
        seen += [row["key"] for row in page["rows"]]
        place = page["next"]
        if place is None:
            break
    assert place is None
    assert len(seen) == len(set(seen)) == 95
    assert seen == sorted(seen, key=lambda key: key.partition("-")[2] if table == "journeys" else key.rjust(9, "0"))


async def test_filters_narrow_and_a_page_begins_where_they_do(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    client, app, _ = parts
    monkeypatch.setattr(tables, "BUDGET", 0.0)
    monkeypatch.setattr(tables, "PIECE", 5)
    for number in range(60):
        user(f"a{number:02}", language="en")
    user("b1", language="it")
    user("b2", expires=6, stale_until=FAR)
    user("c1", absent=True)
    viewer = Browser(client, app)
    assert await keys(viewer, "users", "begins=b") == ["b1", "b2"]
    assert await keys(viewer, "users", "begins=b&state=stale") == ["b2"]
    assert await keys(viewer, "users", "begins=c&state=absent") == ["c1"]
    page = await told(viewer, "/tables/users?language=it")
    assert page["rows"] == []
    assert page["next"], "its time was over"
    _, text, _ = await viewer.get("/tables/users?language=it")
    assert "Search on" in text
    assert "begins=" not in text
    assert "no rows that pass" in (await viewer.get("/tables/users?begins=z"))[1]


async def test_a_list_is_not_held_as_a_whole(parts: Parts) -> None:
    """However many rows there are, no more of them are looked at than a page needs."""
    client, app, _ = parts
    looked = 0

    class Endless(Partition):
        def scan(self, start: bytes = b"", end: bytes | None = None) -> Any:
            nonlocal looked
            stored = users.users.written(User("acme/u", FAR, loaded_at=5), FAR)
            for number in range(1_000_000):
                looked += 1
                yield b"acme/u%07d" % number, stored

    users.users.table.partitions = {number: Endless() for number in range(6)}  # type: ignore[misc]
    _, text, _ = await Browser(client, app).get("/tables/users")
    assert looked <= 6 * tables.MOST
    assert text.count("<tr>") == tables.MOST + 1
    assert len(text) < 100_000


@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=20))
def test_a_hidden_place_is_told_only_to_us_and_only_for_its_purpose(place: str, purpose: str, other: str) -> None:
    purpose, other = purpose.replace("\0", ""), other.replace("\0", "")
    hidden = places.hide(SECRET, purpose, place)
    assert places.seek(SECRET, purpose, hidden) == place
    assert (places.seek(SECRET, other, hidden) == place) == (other == purpose)
    assert places.seek(b"x" * 32, purpose, hidden) is None
    assert places.seek(SECRET, purpose, hidden[:-2]) is None


# -- several workers --------------------------------------------------------------------------------


async def test_what_another_worker_holds_is_found_and_what_nobody_holds_is_said(parts: Parts) -> None:
    client, app, _ = parts
    user("here")
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        row = {"key": "there", "state": "fresh", "language": None, "channel": None, "phone": None, "email": None, "expires": FAR}
        more: dict[str, Any] = {"found": [{"place": "there", "row": row}], "stop": None, "row": row | {"fields": {}}, "missing": []}
        return web.json_response({"partitions": [4], **more})

    other = web.Application()
    other.router.add_get("/console/tables/users", answer)
    other.router.add_get("/console/tables/users/{key}", answer)
    async with TestServer(other) as server:
        viewer = Browser(client, app)
        app.owner = str(server.make_url("/"))
        held = users.users.table.partitions
        away = {number: held.pop(number) for number in (4, 5) if topics.partition_of_key("acme/here", 6) != number}
        _, text, _ = await viewer.get("/tables/users?begins=")
        assert "partitions 5 are on no worker" in words(text)
        assert ">here</a>" in text
        assert ">there</a>" in text
        assert sessions.unseal(SECRET, "peer", asked[0].headers[FORWARDED]) == "id-of-acme-viewer"
        there = next(f"somebody-else-{number}" for number in range(99) if topics.partition_of_key(f"acme/somebody-else-{number}", 6) == 4)
        assert (await told(viewer, f"/tables/users/{there}"))["row"]["key"] == "there"
        assert there not in asked[-1].path, "the place is hidden on the way too"
        assert away


async def test_a_row_that_nobody_can_be_asked_for_is_not_said_to_be_none(parts: Parts) -> None:
    client, app, _ = parts
    partition = topics.partition_of_key("acme/u1", 6)
    del users.users.table.partitions[partition]
    viewer = Browser(client, app, "operator")
    for status, text, headers in (await viewer.get("/tables/users/u1"), await viewer.post("/tables/users/u1/invalidate", {"why": "x"})):
        assert (status, headers["Retry-After"]) == (503, "1")
        assert f"Partitions {partition} are on no worker" in words(text)
    assert not app.emitter.records


async def test_a_worker_that_is_asked_answers_by_its_own_rows(parts: Parts) -> None:
    client, app, _ = parts
    user("here")
    del users.users.table.partitions[(topics.partition_of_key("acme/here", 6) + 1) % 6]
    headers = {FORWARDED.replace("-", "_"): sessions.seal(SECRET, "peer", "id-of-acme-viewer"), "Accept": "application/json"}
    _, text, _ = await Browser(client, app).get("/tables/users", **headers)
    found = msgspec.json.decode(text)
    assert [each["place"] for each in found["found"]] == ["here"]
    assert len(found["partitions"]) == 5
    assert found["stop"] is None


# -- invalidating -----------------------------------------------------------------------------------


async def test_a_user_is_forgotten_with_a_reason(parts: Parts) -> None:
    client, app, _ = parts
    user(PHONE, phone=PHONE)
    operator = Browser(client, app, "operator")
    [row] = (await told(operator, "/tables/users"))["rows"]
    href = row["href"].removeprefix("/console")
    assert "Have it forgotten" not in (await Browser(client, app, "moderator").get(href))[1]
    assert (await Browser(client, app, "moderator").post(f"{href}/invalidate", {"why": "x"}))[0] == 403
    status, text, _ = await operator.post(f"{href}/invalidate", {"why": " "})
    assert (status, "Say why" in text, PHONE in text) == (422, True, False)
    assert not app.emitter.records
    status, _, headers = await operator.post(f"{href}/invalidate", {"why": "has moved"})
    assert (status, headers["Location"]) == (303, "/console/tables/users")
    assert app.emitter.of(topics.USERS) == [{"action": "invalidate", "key": f"acme/{PHONE}"}]
    [(partition, key)] = [(partition, key) for topic, partition, key, _ in app.emitter.records if topic == topics.USERS]
    assert (partition, key) == (topics.partition_of_key(f"acme/{PHONE}", 6), f"acme/{PHONE}".encode())
    [entry] = app.emitter.of(topics.AUDIT)
    assert (entry["what"], entry["path"], entry["why"]) == ("invalidated", "acme/user/+39…67", "has moved")


async def test_what_is_written_into_the_address_is_shown_as_text(parts: Parts) -> None:
    client, app, _ = parts
    _, text, _ = await Browser(client, app).get("/tables/users?begins=%3Cscript%3E&state=%3Cb%3E&language=" + "x" * 5000)
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "<script>" in unescape(text)
