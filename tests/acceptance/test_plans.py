"""Plans through the whole path: until it is read, two at once, what a late receipt stops, windows, and calling back."""

import re
from email import message_from_bytes
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer

from inm.core.edr import Edr
from inm.demo.smsc import Verdict
from tests.support.asks import Asker
from tests.support.commands import done, inm
from tests.support.lab import LINKS, Lab
from tests.support.load import Books
from tests.support.tap import Tap

READER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"}
PROXY = {"User-Agent": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"}


@pytest.fixture
def asker(tap: Tap, producer: AIOKafkaProducer) -> Asker:
    return Asker(tap, producer)


def mails(installation: Lab, to: str) -> list[str]:
    """The bodies that the mail server took for an address, HTML last."""
    found = [message_from_bytes(mail.content) for mail in installation.smtp.ledger.mails if mail.recipient == to]
    bodies = [[part.get_payload(decode=True) for part in mail.walk() if not part.is_multipart()] for mail in found]
    return [b"\n".join(body).decode() for body in bodies]  # type: ignore[arg-type]


def addresses(mail: str) -> dict[str, str]:
    """Path and query of the link (``l``) and the picture (``o``) in a letter."""
    found = [urlsplit(unescape(url)) for url in re.findall(rf"{re.escape(LINKS)}[^\"\s]+", mail)]
    return {url.path[1]: f"{url.path}?{url.query}" for url in found}


async def delete(installation: Lab, notification: str) -> tuple[int, dict[str, Any]]:
    url, key = f"{installation.url()}/v1/notifications/{notification}", installation.live_key
    async with aiohttp.ClientSession() as session, session.delete(url, headers={"Authorization": f"Bearer {key}"}) as answer:
        return answer.status, await answer.json()


async def first(tap: Tap, request_id: str, event: str) -> Edr:
    await tap.when(lambda: any(edr.event == event for edr in tap.of(request_id)), what=lambda: tap.of(request_id))
    return next(edr for edr in tap.of(request_id) if edr.event == event)


async def test_a_letter_that_is_read_is_the_end_and_one_that_is_not_is_followed_by_an_sms(
    installation: Lab, tap: Tap, books: Books, asker: Asker, phone: str, run: str
) -> None:
    read, unread = f"read-{run}@customer.example", f"unread-{run}@customer.example"
    asked = {to: await asker.send(phone, "read-me", text=run, to={"phone": phone, "email": to}) for to in (read, unread)}
    for request_id in asked.values():
        await first(tap, request_id, "submitted")
    async with aiohttp.ClientSession() as session:
        for to, headers in ((read, READER), (unread, PROXY)):
            [mail] = mails(installation, to)
            paths = addresses(mail)
            async with session.get(installation.url() + paths["o"], headers=headers) as answer:
                assert (answer.status, answer.content_type) == (200, "image/gif")
        async with session.get(installation.url() + paths["l"], headers=PROXY, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, "https://lab.example/pay?a=1&b=2")
        async with session.get(installation.url() + paths["l"].replace("lab.example", "evil.example"), allow_redirects=False) as answer:
            assert answer.status == 404
    end = await asker.end(asked[read])
    assert asker.story(end) == [("accepted", None), ("submitted", None), ("delivered", None), ("read", None)]
    end = await asker.end(asked[unread])
    assert asker.story(end) == [("accepted", None), ("submitted", None), ("step", None), ("submitted", None), ("delivered", None)]
    assert (end.channel, books.texts[phone.removeprefix("+")]) == ("sms", [run])
    told = (await done(installation, "explain", end.notification)).out
    assert "opened by an image proxy: automated, counts as nothing" in told


async def test_two_steps_at_once_both_go_and_one_is_the_end(
    installation: Lab, tap: Tap, books: Books, asker: Asker, phone: str, run: str
) -> None:
    to = f"both-{run}@customer.example"
    request_id = await asker.send(phone, "both", text=run, to={"phone": phone, "email": to})
    await asker.end(request_id)
    await tap.when(lambda: {edr.channel for edr in tap.of(request_id) if edr.event == "submitted"} == {"sms", "email"})
    await first(tap, request_id, "delivered")
    assert len(mails(installation, to)) == 1
    assert books.texts[phone.removeprefix("+")] == [run]
    assert sum(edr.final for edr in tap.of(request_id)) == 1


async def test_a_late_receipt_stops_what_was_begun_in_its_place(installation: Lab, tap: Tap, asker: Asker, phone: str, run: str) -> None:
    to = f"late-{run}@customer.example"
    installation.smsc.behaviour.receipt_delay = 4.0
    installation.smtp.behaviour.refuse_recipient = lambda address: "451 4.3.0 later" if address == to else None
    request_id = await asker.send(phone, "sms-then-mail", text=run, to={"phone": phone, "email": to})
    end = await asker.end(request_id)
    assert (end.event, end.step, end.correction) == ("delivered", 1, True), asker.story(end)
    installation.smtp.behaviour.refuse_recipient = lambda _: None
    stopped = await first(tap, request_id, "cancelled")
    assert (stopped.step, stopped.reason, stopped.correction, stopped.final) == (2, "stopped", True, False)
    assert mails(installation, to) == []


async def test_what_waits_can_be_called_back_and_what_was_sent_cannot(
    installation: Lab, tap: Tap, books: Books, asker: Asker, phone: str, run: str
) -> None:
    scheduled = await asker.send(phone, text=f"scheduled {run}", at="2027-06-01T00:00:00Z")
    waits = await first(tap, scheduled, "scheduled")
    for _ in range(2):
        status, told = await delete(installation, waits.notification)
        assert (status, told["state"], told["final"]) == (200, "cancelled", True)
    held = await asker.send(phone, "tomorrow", text=f"held {run}")
    window = await first(tap, held, "held")
    assert window.until
    assert window.reason == "window-closed"
    said = await inm(installation, "cancel", "--request-id", held, "--tenant", "lab")
    assert (said.code, said.out) == (0, f"{window.notification}: cancelled (cancelled)\n"), said
    urgent = await asker.ask(phone, "tomorrow", text=f"urgent {run}", lane="urgent")
    assert urgent.event == "delivered"
    status, told = await delete(installation, urgent.notification)
    assert (status, told["type"]) == (409, "/problems/wrong-state")
    said = await inm(installation, "cancel", urgent.notification)
    assert (said.code, said.out) == (1, f"{urgent.notification}: too late (delivered)\n"), said
    assert [edr.event for edr in tap.of(scheduled) + tap.of(held)] == ["scheduled", "cancelled", "held", "cancelled"]
    assert books.texts[phone.removeprefix("+")] == [f"urgent {run}"]
    assert (await delete(installation, "3-" + "a" * 26))[0] == 404


async def test_what_waits_for_a_further_attempt_can_be_called_back(installation: Lab, tap: Tap, asker: Asker, phone: str) -> None:
    installation.smsc.behaviour.decide = lambda _: Verdict(0x08)
    request_id = await asker.send(phone, "insistent")
    await tap.when(lambda: sum(edr.event == "retried" for edr in tap.of(request_id)) == 2, what=lambda: tap.of(request_id))
    installation.smsc.behaviour.decide = lambda _: None
    status, told = await delete(installation, tap.of(request_id)[0].notification)
    assert (status, told["state"]) == (200, "cancelled")
    await first(tap, request_id, "cancelled")
    assert [edr.event for edr in tap.of(request_id)] == ["accepted", "retried", "retried", "cancelled"]
