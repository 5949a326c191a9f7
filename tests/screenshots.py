"""``make screenshots``: every page of the console of a demo, light and dark, as pictures for docs/console.md; elsewhere also on a phone."""

import asyncio
import io
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from aiokafka import AIOKafkaProducer
from PIL import Image
from playwright.async_api import expect

from inm import topics
from inm.demo import accounts, examples
from inm.demo.command import ERRORS, RECEIPTS
from inm.demo.installation import Installation
from inm.demo.smsc import Behaviour
from tests.support import commands
from tests.support.chromium import PHONE, People, Person, Scheme, chromium
from tests.support.tap import until, until_async
from tests.support.tour import Stop, stops

FOLDER = Path(__file__).parents[1] / "docs" / "console"
WIDTH = 1280
TALLEST = 1300
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
COLOURS = (64, 32, 16)
"""As many as leave the file below ``SMALL``."""
SMALL = 100_000
SHORTER = "Welcome to {{ country }}! Calls {{ call|money }}, SMS {{ sms|money }}, data {{ data|money }} per MB. Acme"
REQUESTS = 400
RATE = 40.0
RECIPIENTS = 1500


async def main(folder: Path, *, phone: bool) -> None:
    for each in [folder, folder / "phone"][: 1 + phone]:
        each.mkdir(parents=True, exist_ok=True)
    async with Installation() as installation, chromium() as browser:
        installation.smsc.behaviour = Behaviour(receipt_delay=0.5, receipts=RECEIPTS, errors=ERRORS)
        await asyncio.gather(installation.start_worker("worker-1"), installation.start_worker("worker-2"))
        await examples.apply(installation)
        passwords = await accounts.create(installation)
        run = examples.MixedRun(installation, secrets.token_hex(2), 1)
        await run.start()
        people = People(browser, installation.url())
        try:
            await asyncio.gather(run.send(REQUESTS, RATE), _work(installation, people, passwords))
            await run.send_poison(12)
            await _send_wrong(installation)
            await until(lambda: run.census.ended > 0.9 * REQUESTS, what=run.report)
            places = await _places(people, passwords["operator"])
            for scheme in SCHEMES:
                await _tour(people, passwords, places, scheme, folder, WIDTH)
            if phone:
                await _tour(people, passwords, places, "light", folder / "phone", PHONE)
        finally:
            await run.stop()


async def _work(installation: Installation, people: People, passwords: Mapping[str, str]) -> None:
    """What people did before the pictures are taken."""
    with _audience(installation.folder) as file:
        campaign = ("--scenario", "roaming-welcome", "--audience", file, "--pace", 10, "--start")
        await commands.done(installation, "campaign", "create", "autumn-prices", *campaign)
    async with people.person() as editor:
        await editor.enter(accounts.TENANT, "editor", passwords["editor"])
        await editor.open("/templates/roaming-welcome-sms/edit")
        await editor.page.get_by_label("Text").first.fill(SHORTER)
        await editor.page.get_by_label("What was changed, and why").fill("Shorter: one part in place of two")
        await editor.press("Hand in for review")


async def _send_wrong(installation: Installation) -> None:
    """A request that an operator can mend."""
    asked = {"scenario": "roaming-welcom", "to": {"phone": "+393331112223"}, "fields": {"country": "Croatia"}, "request_id": "crm-20417"}
    async with AIOKafkaProducer(bootstrap_servers=installation.bootstrap) as producer:
        await producer.send_and_wait(topics.requests(accounts.TENANT), msgspec.json.encode(asked), b"crm-20417")


@contextmanager
def _audience(folder: Path) -> Iterator[Path]:
    file = folder / "audience.csv"
    rows = (f"+39334{number:07};it;Croatia;0.19;0.06;0.002;500" for number in range(RECIPIENTS))
    file.write_text("\n".join(["phone;language;country;call;sms;data;included", *rows, "not a number;it;Croatia;0.19;0.06;0.002;500"]))
    yield file
    file.unlink()


async def _places(people: People, password: str) -> dict[str, str]:
    """Something of each kind."""
    async with people.person() as operator:
        await operator.enter(accounts.TENANT, "operator", password)
        letters = await _listed(operator, "/dead?reason=unknown-scenario", "letters")
        welcomes = await _listed(operator, "/notifications?scenario=roaming-welcome&state=delivered", "found")
        users = await _listed(operator, "/tables/users", "rows")
    return {
        "scenario": "roaming-welcome",
        "state": "delivered",
        "notification": welcomes[0]["id"],
        "campaign": "autumn-prices",
        "letter": str(letters[0]["id"]),
        "user": users[0]["href"].removeprefix("/console"),
        "template": "roaming-welcome-sms",
        "email": "invoice-ready-email",
        "account": "editor",
    }


async def _listed(person: Person, path: str, name: str) -> list[dict[str, Any]]:
    """A page's list, when it has something."""
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        answer = await person.page.request.get(person.url + path, headers={"Accept": "application/json"})
        found[:] = (await answer.json())[name]
        return bool(found)

    await until_async(there)
    return found


async def _tour(people: People, passwords: Mapping[str, str], places: Mapping[str, str], scheme: Scheme, folder: Path, width: int) -> None:
    async with people.person(width=width, scheme=scheme) as admin:
        await admin.open("/sign-in?tenant=acme")
        await _picture(admin, Stop("sign-in", ""), scheme, folder)
        await admin.enter(accounts.TENANT, "admin", passwords["admin"])
        for stop in stops(places):
            await admin.open(stop.path)
            await _picture(admin, stop, scheme, folder)


async def _picture(person: Person, stop: Stop, scheme: Scheme, folder: Path) -> None:
    """In few colours: that is enough for a page, and a fourth of the bytes."""
    height: int = await person.page.evaluate("document.documentElement.scrollHeight")
    width: int = await person.page.evaluate("window.innerWidth")
    await person.page.set_viewport_size({"width": width, "height": min(max(height, 800), TALLEST)})
    for frame in await person.page.locator("iframe").all():
        await frame.scroll_into_view_if_needed()
        await expect(frame.content_frame.locator("body > *").first).to_be_attached()
    await person.page.evaluate("document.querySelectorAll('*').forEach(each => { each.scrollTop = 0 })")
    taken = Image.open(io.BytesIO(await person.page.screenshot())).convert("RGB")
    file = folder / f"{stop.name}-{scheme}.png"
    for colours in COLOURS:
        taken.quantize(colours, dither=Image.Dither.NONE).save(file, optimize=True)
        if file.stat().st_size < SMALL:
            break
    wider = await person.overflow()
    await person.page.set_viewport_size({"width": width, "height": 800})
    click.echo(f"{file.name} {file.stat().st_size // 1024} kB, {height} px" + (f", {wider} px too wide" if wider else ""))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER, phone=len(sys.argv) > 1))
