"""The console of real workers: an account made by the command, pages over HTTP, rows of the other worker, sessions that end everywhere."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from inm import topics
from inm.demo.installation import Installation
from tests.support.asks import Asker
from tests.support.commands import done
from tests.support.console import words
from tests.support.lab import Lab
from tests.support.tap import Tap, until, until_async
from tests.support.visitors import PASSWORD, admin, entered, made

AT = (datetime.now(UTC) + timedelta(days=2)).isoformat()
"""When nobody waits for it any more."""
WELL = r"✓ well Nothing is wrong\.|! look \d+ records came to the dead letters in the last ten minutes\."
"""The overview's alarms: none, or what other tests have left in the dead letters."""


@pytest_asyncio.fixture(loop_scope="session")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Each person brings their own cookie."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


async def test_an_operator_finds_a_story_on_whichever_worker_it_is_and_what_he_does_is_recorded(
    installation: Installation, tap: Tap, producer: AIOKafkaProducer, phones: Callable[[], str], run: str, session: aiohttp.ClientSession
) -> None:
    name = f"olga-{run}".lower()[:40]
    await made(installation, name, "operator")
    person = await entered(installation, session, name)
    asker = Asker(tap, producer)
    finals = [(phone, await asker.ask(phone)) for phone in (phones() for _ in range(8))]
    await installation.start_worker("worker-2")

    async def found_by_both() -> bool:
        """Both workers know every one of them, by their own tables or each other's."""
        for url in (installation.url("worker-1"), installation.url("worker-2")):
            for phone, final in finals:
                status, text = await person.at(url).get(f"/notifications?q={phone.replace('+', '%2B')}", Accept="application/json")
                if status != 200 or final.notification not in text:
                    return False
        return True

    await until_async(found_by_both)
    phone, final = finals[0]
    for url in (installation.url("worker-1"), installation.url("worker-2")):
        status, text = await person.at(url).get(f"/notifications/{final.notification}")
        assert (status, phone in text) == (200, False)
        assert "delivered" in words(text)
        status, text = await person.at(url).get(f"/notifications/{final.notification}?unmask=1")
        assert (status, phone in text) == (200, True)
        status, text = await person.at(url).get("/")
        assert re.search(rf"Alarms ({WELL}) Scenarios, the last 24 hours", words(text)), words(text)
        assert re.search(r"worker-1.*worker-2|worker-2.*worker-1", words(text))
        status, text = await person.at(url).get(f"/notifications/{final.notification}/text")
        assert (status, "Hello" in words(text)) == (200, True)
    token = await person.token()
    status, place = await person.post(f"/notifications/{final.notification}/resend", {"csrf": token, "why": "lost", "mark": "1"})
    assert status == 303, place
    await until(lambda: len([edr for edr in tap.of(str(final.request_id)) if edr.final]) == 2)
    status, text = await person.get(f"/audit?who={name}")
    assert status == 200
    assert all(deed in words(text) for deed in ("signed in", "saw personal data", "sent again"))
    status, text = await person.get("/audit?what=created")
    assert f"lab/account/{name}" in text
    assert PASSWORD not in text
    assert (await person.post("/sign-out", {"csrf": token}))[0] == 303

    async def out_everywhere() -> bool:
        return (await person.at(installation.url("worker-2")).get("/"))[0] == 303

    await until_async(out_everywhere, 10)


async def test_a_live_page_streams_and_a_role_ends_at_its_limits(
    installation: Installation, run: str, session: aiohttp.ClientSession
) -> None:
    name = f"vera-{run}".lower()[:40]
    await made(installation, name, "viewer")
    person = await entered(installation, session, name)
    async with session.get(f"{person.url}/live", headers=person.headers()) as answer:
        for _ in range(2):
            assert b"data: " in await answer.content.readuntil(b"\n\n")
    assert (await person.get("/audit"))[0] == 403
    await installation.start_worker("worker-2")
    async with session.get(f"{person.at(installation.url('worker-2')).url}/live", headers=person.headers()) as answer:
        await answer.content.readuntil(b"\n\n")
        async with asyncio.timeout(20):  # the worker does not wait for those who look at it
            assert await installation.stop_worker("worker-2") == 0
    assert (await person.post("/notifications/0-" + "a" * 26 + "/cancel", {"csrf": await person.token(), "why": "x"}))[0] == 403


async def test_a_live_page_says_what_is_not_there_while_another_worker_is_dead(
    installation: Installation, run: str, session: aiohttp.ClientSession
) -> None:
    name = f"leo-{run}".lower()[:40]
    await made(installation, name, "viewer")
    person = await entered(installation, session, name)
    await installation.start_worker("worker-2")
    here = session.get(f"{person.url}/live", headers=person.headers())
    there = session.get(f"{person.at(installation.url('worker-2')).url}/live", headers=person.headers())
    async with here as living, there as dying, asyncio.timeout(60):
        while "worker-2" not in (said := words((await living.content.readuntil(b"\n\n")).decode())):
            pass
        await dying.content.readuntil(b"\n\n")
        installation.kill_worker("worker-2")
        while not re.search(r"Partitions? [\d, ]+ (is|are) on no worker that answers", said):
            said = words((await living.content.readuntil(b"\n\n")).decode())
        with pytest.raises(aiohttp.ClientError):
            await dying.content.read()
        while "on no worker that answers" in said or "worker-2" in said:
            said = words((await living.content.readuntil(b"\n\n")).decode())


async def test_what_is_done_by_commands_and_over_rest_is_in_the_trail_too(
    installation: Lab, tap: Tap, producer: AIOKafkaProducer, phone: str, run: str, session: aiohttp.ClientSession
) -> None:
    name = f"aldo-{run}".lower()[:40]
    await made(installation, name, "operator")
    person = await entered(installation, session, name)
    asker = Asker(tap, producer)
    waits = [await asker.send(phone, text=f"{run} {number}", at=AT) for number in range(2)]
    await tap.when(lambda: all(tap.of(request) for request in waits))
    one, other = (tap.of(request)[0].notification for request in waits)
    await done(installation, "cancel", one, "--why", "called off")
    bearer = {"Authorization": f"Bearer {installation.live_key}"}
    rest = f"{installation.url()}/v1"
    async with session.delete(f"{rest}/notifications/{other}", headers=bearer) as answer:
        assert answer.status == 200
    async with session.post(f"{rest}/campaigns", json={"name": f"{run}-rest", "scenario": "patient"}, headers=bearer) as answer:
        assert answer.status == 201
    async with session.post(f"{rest}/campaigns/{run}-rest/cancel", headers=bearer) as answer:
        assert answer.status == 200
    await producer.send_and_wait(topics.requests("lab"), b"no json", run.encode())
    await tap.letter(run)
    listed = await done(installation, "dead", "list", "--topic", topics.requests("lab"), "--json", "--limit", "1")
    letter = json.loads(listed.lines[0])["id"]
    await done(installation, "dead", "drop", letter, "--why", "late")
    await done(installation, "route", "out", "smsc-gone", "--why", "repairs")
    await done(installation, "route", "in", "smsc-gone")
    status, text = await person.get("/audit?days=1", Accept="application/json")
    assert status == 200
    told = {(entry["what"], entry["path"]): (entry["who"], entry["why"]) for entry in json.loads(text)["entries"]}
    assert told["cancelled", f"lab/notification/{one}"] == ("olga", "called off")
    assert told["cancelled", f"lab/notification/{other}"] == ("key lab", None)
    assert told["campaign-created", f"lab/campaign/{run}-rest"] == ("key lab", None)
    assert told["campaign-cancelled", f"lab/campaign/{run}-rest"] == ("key lab", None)
    assert told["dropped", f"lab/dead/{letter}"] == ("olga", "late")
    assert told["route-out", "route/smsc-gone"] == ("olga", "repairs")
    assert told["route-in", "route/smsc-gone"] == ("olga", None)


async def test_an_account_is_shut_out_and_let_in_again_by_the_command(
    installation: Installation, run: str, session: aiohttp.ClientSession
) -> None:
    name = f"dora-{run}".lower()[:40]
    await made(installation, name, "editor")
    person = await entered(installation, session, name)
    assert (await person.get("/"))[0] == 200
    assert await admin(installation, "disable", "lab", name) == f"lab/account/{name} configured"

    async def is_out() -> bool:
        return (await person.get("/"))[0] == 303

    await until_async(is_out, 10)
    assert f"lab/account/{name}" in await admin(installation, "list", "--tenant", "lab")
    assert "argon2" not in await admin(installation, "list", "--json")
    await admin(installation, "enable", "lab", name)
    await entered(installation, session, name)
    await admin(installation, "password", "lab", name, typed="another password of the tests\n")
    await until_async(is_out, 10)
