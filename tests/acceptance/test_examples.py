"""The example tenants on a running installation: applied as editors do, each scenario once, and what recipients read."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from email import message_from_bytes, policy
from hashlib import sha256
from time import time
from uuid import uuid4

import aiohttp
import msgspec
from aiokafka import AIOKafkaProducer

from inm import topics
from inm.core.decide import Send
from inm.demo.installation import Installation
from tests.support.commands import done
from tests.support.examples import FOLDER, TENANTS, Example, Sample
from tests.support.tap import Tap, until_async

Told = tuple[str, ...]
"""Of an SMS sender, number and text; of a mail address, subject and text."""


def firsts(example: Example) -> list[Sample]:
    """One sample a scenario."""
    found: dict[str, Sample] = {}
    for sample in example.samples:
        found.setdefault(sample.scenario, sample)
    return [*found.values()]


def expected(example: Example) -> Iterator[tuple[Told, str]]:
    """What the first samples make now, each with its variant; rules may look at the hour."""
    for sample in firsts(example):
        for notification, user in example.notifications(sample):
            decision = next(example.decided(notification, user, int(time() * 1000)))
            if isinstance(decision, Send):
                delivery = decision.delivery
                text, subject = delivery.content.text, delivery.content.subject
                told = (delivery.to, subject, text.strip()) if subject else (delivery.sender, delivery.to, text)
                yield told, f"{delivery.language}/{delivery.tone}"


def received(installation: Installation, earlier: int) -> Iterator[Told]:
    """What the SMSC and the mail server took of the example tenants."""
    senders = {sender.address for folder in TENANTS for sender in Example(folder).book.senders.values()}
    yield from ((sms.source, f"+{sms.destination}", sms.text) for sms in installation.smsc.ledger.last if sms.source in senders)
    for mail in installation.smtp.ledger.mails[earlier:]:
        message = message_from_bytes(mail.content, policy=policy.default)
        body = message.get_body(("plain",))
        if str(message["From"]) in senders and body:
            yield mail.recipient, str(message["Subject"]), body.get_content().replace("\r\n", "\n").strip()


async def introduce(installation: Installation, example: Example) -> None:
    """Tell INM of the users over REST, and wait until it knows them."""
    secret = f"inm_live_examples_{uuid4().hex}"
    key = {"kind": "key", "tenant": example.tenant, "name": "examples", "sha256": sha256(secret.encode()).hexdigest()}
    await done(installation, "apply", "-", given=msgspec.json.encode(key).decode())
    async with aiohttp.ClientSession(installation.url(), headers={"Authorization": f"Bearer {secret}"}) as session:
        paths: list[str] = []
        for line in (example.folder / "users.jsonl").read_bytes().splitlines():
            user = msgspec.json.decode(line)
            paths.append(f"/v1/users/{user['key'].partition('/')[2]}")
            given = {name: value for name, value in user.items() if name not in ("action", "key")}
            answer = await session.put(paths[-1], json=given)
            assert answer.status == 202, await answer.text()

        async def known() -> bool:
            return all([(await session.get(path)).status == 200 for path in paths])

        await until_async(known)


async def request(producer: AIOKafkaProducer, example: Example, run: str) -> set[str]:
    """Send the first samples; their request ids."""
    asked: set[str] = set()
    for sample in firsts(example):
        value = msgspec.json.decode(sample.line) | {"request_id": f"{run}-{example.tenant}-{sample.name}"}
        asked.add(value["request_id"])
        await producer.send(topics.requests(example.tenant), msgspec.json.encode(value))
    await producer.flush()
    return asked


async def test_sixty_scenarios_reach_their_recipients_in_their_words(
    installation: Installation, tap: Tap, producer: AIOKafkaProducer, run: str
) -> None:
    examples = [Example(folder) for folder in TENANTS]
    applied = await done(installation, "apply", FOLDER, "--approved-by", "boris")
    assert {line.split()[1] for line in applied.lines} == {"created"}
    assert applied.talk == ""
    await asyncio.gather(*(introduce(installation, example) for example in examples))
    earlier = len(installation.smtp.ledger.mails)
    before = Counter(told for example in examples for told, _ in expected(example))

    asked = {name for example in examples for name in await request(producer, example, run)}
    assert len(asked) == 60
    notifications = sum(1 for example in examples for sample in firsts(example) for _ in example.notifications(sample))
    assert notifications > 60

    def ended() -> bool:
        finals = {edr.notification for edr in tap.edrs if edr.final and edr.event != "expanded" and edr.request_id in asked}
        return len(finals) == notifications

    await tap.when(ended, what=lambda: (asked - {edr.request_id for edr in tap.edrs if edr.final}, tap.dead))
    await tap.quiet()

    after = [found for example in examples for found in expected(example)]
    found = Counter(received(installation, earlier))
    # The hour may have changed meanwhile, for the rules that look at it.
    wanted = before if found == before else Counter(told for told, _ in after)
    assert (found - wanted, wanted - found) == (Counter(), Counter())
    assert {variant for _, variant in after} == {
        f"{language}/{tone}" for language in ("en", "it", "ru") for tone in ("None", "young", "friendly")
    }
    assert tap.dead == []
    assert {line.split()[1] for line in (await done(installation, "apply", FOLDER)).lines} == {"unchanged"}
