"""Campaigns as their managers run them, by command and by API, also while workers die; and the ledger adds up afterwards."""

import asyncio
import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import aiohttp

from inm.demo.installation import Installation
from tests.support import commands
from tests.support.lab import Lab
from tests.support.load import Books
from tests.support.tap import Tap, until_async

RECIPIENTS = 400
TENANT = ("--tenant", "lab")


def audience(folder: Path, phones: Collection[str], *more: str, encoding: str = "utf-8") -> Path:
    path = folder / "audience.csv"
    path.write_bytes("\n".join(["phone;text", *(f"{phone};città {number}" for number, phone in enumerate(phones)), *more]).encode(encoding))
    return path


async def told(installation: Installation, *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await commands.done(installation, "campaign", *arguments, *TENANT, "--json")).out)
    return found


async def ended(installation: Installation, name: str) -> dict[str, Any]:
    """Until all of its recipients have their final event."""
    last: dict[str, Any] = {}

    async def over() -> bool:
        nonlocal last
        last = await told(installation, "show", name)
        different = last["recipients"] - last.get("repeated", 0)
        return bool(last["state"] == "done") and not last["open"] and bool(sum(last["finals"].values()) >= different)

    await until_async(over, 90, lambda: last)
    return last


def reached(books: Books, phones: Collection[str]) -> dict[str, int]:
    """How many parts each of these numbers has got."""
    texts = books.texts
    return {phone: len(texts.get(phone.removeprefix("+"), [])) for phone in phones}


async def test_each_recipient_is_reached_once_though_a_worker_is_killed_and_resume_is_pressed_again(
    installation: Installation, tap: Tap, books: Books, run: str, phones: Callable[[], str], tmp_path: Path
) -> None:
    numbers = [phones() for _ in range(RECIPIENTS)]
    file = audience(tmp_path, numbers, f"{numbers[0]};again", "0039;wrong", encoding="latin-1")
    said = await commands.inm(installation, "campaign", "check", *TENANT, "--scenario", "patient", "--audience", file)
    assert "cp1252" in said.out
    assert f"{RECIPIENTS} recipients, 1 faulty rows, 1 duplicates" in said.out
    assert f"line {RECIPIENTS + 3}, column phone" in said.out
    name = f"{run}-kill"
    await installation.start_worker("worker-2")
    made = await told(installation, "create", name, "--scenario", "patient", "--audience", file, "--pace", "40", "--start")
    assert (made["state"], made["recipients"], made["released"]) == ("running", RECIPIENTS, 0)
    await books.until(60)
    installation.kill_worker("worker-1")
    await installation.start_worker("worker-1")
    await told(installation, "pause", name)
    await asyncio.gather(*(commands.inm(installation, "campaign", "resume", name, *TENANT) for _ in range(2)))
    installation.kill_worker("worker-2")
    await installation.start_worker("worker-2")
    last = await ended(installation, name)
    assert sum(last["finals"].values()) == RECIPIENTS
    found = reached(books, numbers)
    marked = {edr.to for edr in tap.edrs if edr.redelivered or edr.duplicate}
    assert {phone for phone, parts in found.items() if parts != 1} <= marked
    await tap.quiet()
    finals = [edr for edr in tap.edrs if edr.final and edr.campaign == name]
    assert len(finals) == len({edr.notification for edr in finals}) == RECIPIENTS
    await adds_up(installation)


async def adds_up(installation: Installation) -> None:
    """The ledger is what the records say, as soon as the last tick has told it."""

    async def same() -> bool:
        said = await commands.inm(installation, "ledger", *TENANT, "--check", "--hours", "2")
        return "differ" not in said.talk and "the EDRs have" not in said.talk

    await until_async(same, 30)


async def test_the_pace_is_kept_and_a_pause_holds(
    installation: Installation, books: Books, run: str, phones: Callable[[], str], tmp_path: Path
) -> None:
    numbers = [phones() for _ in range(200)]
    name = f"{run}-pace"
    await told(installation, "create", name, "--scenario", "patient", "--audience", audience(tmp_path, numbers), "--pace", "20", "--start")
    await books.until(20)
    paused = await told(installation, "pause", name)
    released = paused["released"]
    assert released < 200
    held = await told(installation, "show", name)
    assert (held["state"], held["released"]) == ("paused", released)
    assert (await told(installation, "pace", name, "1000"))["pace"] == 1000
    await told(installation, "resume", name)
    last = await ended(installation, name)
    assert last["finals"] == {"delivered": 200}
    assert set(reached(books, numbers).values()) == {1}


async def test_what_is_cancelled_goes_no_further(
    installation: Installation, books: Books, run: str, phones: Callable[[], str], tmp_path: Path
) -> None:
    numbers = [phones() for _ in range(50)]
    name = f"{run}-cancel"
    file = audience(tmp_path, numbers)
    await told(installation, "create", name, "--scenario", "patient", "--audience", file)
    await told(installation, "start", name, "--at", "2030-01-01T00:00:00+00:00")
    assert (await told(installation, "cancel", name))["state"] == "cancelled"
    said = await commands.inm(installation, "campaign", "start", name, *TENANT)
    assert (said.code, "it is cancelled" in said.talk) == (1, True)
    said = await commands.inm(installation, "campaign", "create", name, *TENANT, "--scenario", "patient", "--audience", file)
    assert (said.code, "there is a campaign of this name" in said.talk) == (1, True)
    assert set(reached(books, numbers).values()) == {0}


async def test_too_many_faults_are_refused_before_anything_is_handed_on(
    installation: Installation, run: str, phone: str, tmp_path: Path
) -> None:
    file = audience(tmp_path, [phone], "0039;wrong")
    said = await commands.inm(installation, "campaign", "create", f"{run}-faulty", *TENANT, "--scenario", "patient", "--audience", file)
    assert (said.code, "50.00% of the rows are faulty" in said.talk) == (1, True)
    file.write_text("number;text\n+393331234567;a\n")
    said = await commands.inm(installation, "campaign", "check", *TENANT, "--scenario", "patient", "--audience", file)
    assert (said.code, "no column says whom" in said.talk) == (1, True)


async def test_over_the_api_in_pieces(installation: Lab, books: Books, run: str, phones: Callable[[], str]) -> None:
    numbers = [phones() for _ in range(20)]
    name = f"{run}-api"
    url = f"{installation.url()}/v1/campaigns"
    key = {"Authorization": f"Bearer {installation.live_key}"}
    async with aiohttp.ClientSession(headers=key) as session:
        async with session.post(url, json={"name": name, "scenario": "patient", "pace": 10}) as answer:
            # The pace: else it may have ended before the answer to its start is made.
            assert answer.status == 201
        for number, rows in enumerate((numbers[:12], numbers[10:])):
            lines = "\n".join(json.dumps({"to": {"phone": phone}, "fields": {"text": f"{number}"}}) for phone in rows)
            place = f"{url}/{name}/audience/{number}?last={str(number == 1).lower()}"
            async with session.put(place, data=lines, headers={"Content-Type": "application/x-ndjson"}) as answer:
                assert answer.status == 200, await answer.text()
        async with session.post(f"{url}/{name}/start") as answer:
            assert (answer.status, (await answer.json())["state"]) == (200, "running")
        last = await ended(installation, name)
        assert (last["recipients"], last["repeated"], sum(last["finals"].values())) == (22, 2, 20)
        assert set(reached(books, numbers).values()) == {1}
        async with session.get(f"{installation.url()}/v1/ledger", params={"scenario": "patient"}) as answer:
            lines = (await answer.json())["lines"]
        assert sum(line["accepted"] for line in lines) >= 20
        assert all(line["tenant"] == "lab" for line in lines)
