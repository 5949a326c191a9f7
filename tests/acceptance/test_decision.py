"""Who gets what, through the whole path: magic recipients, offers, several addresses, plug-ins, trials and why it came out so."""

import asyncio
import json
import os
import sys
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from inm import topics
from inm.core import ids, magic
from inm.core.users import Member, Upsert
from inm.demo.installation import Installation
from tests.support.asks import Asker, request
from tests.support.lab import Lab
from tests.support.load import Books
from tests.support.tap import Tap

SMS = {fate: number for number, fate in magic.ADDRESSES["sms"].items()}
PARTITIONS = 6


@pytest.fixture
def asker(tap: Tap, producer: AIOKafkaProducer) -> Asker:
    return Asker(tap, producer)


async def post(installation: Installation, path: str, body: Any, key: str) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession() as session, session.post(installation.url() + path, json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def know(producer: AIOKafkaProducer, user: Upsert) -> None:
    await producer.send_and_wait(
        topics.USERS, msgspec.json.encode(user), user.key.encode(), partition=ids.partition_of(user.key.encode(), PARTITIONS)
    )


async def inm(installation: Installation, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "inm", *arguments, env=os.environ | installation.environment(), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


async def test_each_magic_recipient_takes_the_whole_way_and_ends_as_it_says(installation: Lab, tap: Tap, books: Books) -> None:
    scenarios = {fate: "insistent" if fate == "temporary" else "brief" for fate in SMS}
    asked = {fate: request(number, scenarios[fate]) for fate, number in SMS.items()}
    for body in asked.values():
        status, told = await post(installation, "/v1/requests", body, installation.test_key)
        assert status == 202, told
    ends = {fate: await tap.final(body["request_id"]) for fate, body in asked.items()}
    assert {fate: (edr.event, edr.reason) for fate, edr in ends.items()} == {
        "delivered": ("delivered", None),
        "permanent": ("failed", "provider-rejected"),
        "temporary": ("delivered", None),
        "late": ("unknown", "no-receipt"),
        "never": ("unknown", "no-receipt"),
    }
    late = asked["late"]["request_id"]
    await tap.when(lambda: any(edr.event == "delivered" and edr.correction for edr in tap.of(late)))
    edrs = [edr for body in asked.values() for edr in tap.of(body["request_id"])]
    assert all(edr.test for edr in edrs)
    assert {edr.route for edr in edrs} == {"magic-sms"}
    assert [edr.event for edr in tap.of(asked["temporary"]["request_id"])] == ["accepted", "retried", "submitted", "delivered"]
    assert not any(number.removeprefix("+") in books.texts for number in SMS.values()), "no provider has seen any of it"


async def test_an_offer_reaches_master_and_slaves_each_with_their_own_text(
    installation: Lab, tap: Tap, books: Books, producer: AIOKafkaProducer, asker: Asker, phone: str, run: str
) -> None:
    slave = f"slave-{run}"
    await know(producer, Upsert(key=f"lab/{slave}", phone="+393480000001"))
    members = [Member("master", phone=phone), Member("slave", user=slave)]
    await know(producer, Upsert(key=ids.user_key("lab", None, None, None, run), members=members))
    request_id = uuid4().hex
    for _ in range(2):  # the second one is a repetition
        await asker.send("", "family", request_id=request_id, to={"offer": run})
    await tap.when(lambda: sum(edr.final for edr in tap.of(request_id)) == 3, what=lambda: tap.of(request_id))
    await tap.quiet()
    finals = [edr for edr in tap.of(request_id) if edr.final]
    (parent,) = [edr for edr in finals if edr.event == "expanded"]
    assert parent.children == 2
    children = [edr for edr in finals if edr is not parent]
    assert {(edr.event, edr.parent, edr.template) for edr in children} == {
        ("delivered", parent.notification, "to-master"),
        ("delivered", parent.notification, "text"),
    }
    assert books.texts[phone.removeprefix("+")] == ["master: Hello"]
    assert books.texts["393480000001"] == ["Hello"]
    assert [edr.event for edr in tap.of(request_id)].count("accepted") == 3


async def test_all_addresses_of_a_user_and_none_of_one_who_has_opted_out(
    installation: Lab, tap: Tap, books: Books, producer: AIOKafkaProducer, asker: Asker, run: str
) -> None:
    numbers = ["+393480000011", "+393480000012", "+393480000013"]
    await know(producer, Upsert(key=f"lab/many-{run}", phone=numbers[0], phones=numbers[1:]))
    await know(producer, Upsert(key=f"lab/out-{run}", phone=numbers[0], opt_out=["everywhere/sms"]))
    everywhere = await asker.send("", "everywhere", text=f"all {run}", to={"user": f"many-{run}"})
    nowhere = await asker.send("", "everywhere", text=f"none {run}", to={"user": f"out-{run}"})
    await tap.when(lambda: sum(edr.event == "delivered" for edr in tap.of(everywhere)) == 3, what=lambda: tap.of(everywhere))
    assert [books.texts[number.removeprefix("+")] for number in numbers] == [[f"all {run}"]] * 3
    final = await tap.final(nowhere)
    assert (final.event, final.reason) == ("suppressed", "opted-out")


async def test_a_plug_in_has_its_say_and_the_story_tells_why(installation: Lab, tap: Tap, books: Books, asker: Asker, phone: str) -> None:
    final = await asker.ask(phone, "purchase", fields={"text": "Thank you", "amount": 42.5})
    assert books.texts[phone.removeprefix("+")] == ["Thank you: 42 points"]
    accepted = next(edr for edr in tap.of(final.request_id or "") if edr.event == "accepted")
    assert accepted.decision is not None
    assert accepted.decision.algorithms == {"points": "used"}
    story = await inm(installation, "explain", final.notification)
    assert "algorithm points (enrich) had its say" in story
    assert phone not in story
    broken = await asker.ask(phone, "purchase", fields={"text": "Thank you"})
    assert (broken.event, broken.reason) == ("failed", "missing-field"), "it raised, and the text needs what it would have added"
    told = json.loads(await inm(installation, "explain", broken.notification, "--json"))
    assert [(one["name"], one["result"], one["detail"]) for one in told["decisions"][0]["algorithms"]] == [
        ("points", "failed", "it raised KeyError")
    ]


async def test_a_trial_tells_the_same_as_what_is_sent_then(
    installation: Lab, tap: Tap, books: Books, producer: AIOKafkaProducer, asker: Asker, phone: str, run: str
) -> None:
    user = f"tried-{run}"
    await know(producer, Upsert(key=f"lab/{user}", phone=phone))
    body = {"scenario": "family", "to": {"user": user, "role": "master"}, "fields": {"text": run}}

    async def tried() -> dict[str, Any]:
        return (await post(installation, "/v1/try", {"request": body}, installation.live_key))[1]

    while (told := await tried())["outcome"] != "send":  # the user is not known yet
        assert told["reason"] == "no-address"
        await asyncio.sleep(0.05)
    assert told["message"]["text"] == f"master: {run}"
    assert phone.removeprefix("+") not in books.texts
    said = await inm(
        installation, "try", "family", "--tenant", "lab", "--user", user, "--role", "master", "--field", f"text={run}", "--json", "--unmask"
    )
    assert json.loads(said)["message"] == told["message"]
    assert json.loads(said)["decision"] == told["decision"]
    sent = (await post(installation, "/v1/try", {"request": body, "to": "+393480000021"}, installation.live_key))[1]
    await tap.when(lambda: sent["notification"] in tap.finals())
    final = tap.finals()[sent["notification"]]
    assert (final.event, final.test, final.route) == ("delivered", True, "smsc-1")
    assert books.texts["393480000021"] == [f"master: {run}"]
    assert phone.removeprefix("+") not in books.texts, "the user himself has heard nothing"
