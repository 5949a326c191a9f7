"""Providers that refuse, fall silent, talk nonsense or hang up: each notification has its end, and other routes do not wait."""

import asyncio
from collections.abc import AsyncIterator, Callable
from time import time_ns

import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from inm import topics
from inm.core.records import Receipt as Reported
from inm.core.records import Wait
from inm.core.results import REASONS
from inm.demo.installation import Installation
from inm.demo.smsc import Verdict
from inm.demo.smsc.pdus import Receipt
from tests.support.asks import Asker, encode
from tests.support.load import Books
from tests.support.tap import Tap

PATIENCE = 120_000
"""Milliseconds, as the stage ``receipts`` has it: importing it would start an application."""
Phones = Callable[[], str]
TAKEN = Verdict()


@pytest.fixture
def asker(tap: Tap, producer: AIOKafkaProducer) -> Asker:
    return Asker(tap, producer)


def first(installation: Installation, *verdicts: Verdict) -> None:
    """The SMSC's verdicts on the next submits to each number; then it takes what comes."""
    left: dict[str, list[Verdict]] = {}
    installation.smsc.behaviour.decide = lambda number: (left.setdefault(number, list(verdicts)) or [TAKEN]).pop(0)


SMSC = {
    "delivered": ([Verdict(receipt="DELIVRD")], "delivered", None, ["accepted", "submitted", "delivered"]),
    "no such subscriber": ([Verdict(0x0B)], "failed", "invalid-address", ["accepted", "failed"]),
    "refused": ([Verdict(0x0A)], "failed", "provider-rejected", ["accepted", "failed"]),
    "an error, then taken": ([Verdict(0x08)], "delivered", None, ["accepted", "retried", "submitted", "delivered"]),
    "a vendor's code, then taken": ([Verdict(0x4FF)], "delivered", None, ["accepted", "retried", "submitted", "delivered"]),
    "throttled, then taken": ([Verdict(0x58)], "delivered", None, ["accepted", "submitted", "delivered"]),
    "reported undelivered": ([Verdict(receipt="UNDELIV")], "failed", "undelivered", ["accepted", "submitted", "failed"]),
    "reported rejected": ([Verdict(receipt="REJECTD")], "failed", "provider-rejected", ["accepted", "submitted", "failed"]),
    "reported expired": ([Verdict(receipt="EXPIRED")], "expired", "provider-expired", ["accepted", "submitted", "expired"]),
}


async def test_each_answer_and_receipt_has_its_end(installation: Installation, asker: Asker, phones: Phones) -> None:
    numbers = {name: phones() for name in SMSC}
    verdicts = {numbers[name].removeprefix("+"): list(case[0]) for name, case in SMSC.items()}
    installation.smsc.behaviour.decide = lambda number: (verdicts.get(number) or [TAKEN]).pop(0)
    asked = {name: await asker.send(numbers[name], text=name) for name in SMSC}
    for name, (_, event, reason, events) in SMSC.items():
        final = await asker.end(asked[name])
        assert (name, final.event, final.reason) == (name, event, reason)
        assert final.reason is None or final.reason in REASONS
        assert [event for event, _ in asker.story(final)] == events, name


async def test_receipts_that_come_before_the_answer(installation: Installation, asker: Asker, phone: str) -> None:
    installation.smsc.behaviour.receipt_before_answer = True
    installation.smsc.behaviour.answer_delay = 0.5
    final = await asker.ask(phone, text="before " * 40)
    assert (final.event, final.parts) == ("delivered", 2)
    assert asker.story(final) == [("accepted", None), ("submitted", None), ("delivered", None)]


async def test_receipts_that_come_again_or_contradict_change_nothing(
    installation: Installation, tap: Tap, books: Books, asker: Asker, phone: str
) -> None:
    final = await asker.ask(phone)
    for state in ("DELIVRD", "UNDELIV", "DELIVRD"):
        installation.smsc.report(Receipt(int(final.provider_ids[0]), books.parts[0], state))
    await tap.quiet()
    assert asker.story(final) == [("accepted", None), ("submitted", None), ("delivered", None)]
    assert tap.repeated == 0


async def test_receipts_of_parts_come_twice_and_in_any_order(installation: Installation, tap: Tap, asker: Asker, phones: Phones) -> None:
    installation.smsc.behaviour.receipt_copies = 2
    installation.smsc.behaviour.receipt_jitter = 1.0
    asked = [await asker.send(phones(), text=f"{number} " * 200) for number in range(10)]
    for request_id in asked:
        final = await asker.end(request_id)
        assert final.parts == 3
    await tap.quiet()
    for request_id in asked:
        assert [edr.event for edr in tap.of(request_id)] == ["accepted", "submitted", "delivered"]
    assert tap.dead == []


async def test_a_receipt_that_comes_to_another_process_than_submitted(
    installation: Installation, tap: Tap, books: Books, asker: Asker, phone: str
) -> None:
    first(installation, Verdict(receipt=None))
    asked = await asker.send(phone)
    await tap.when(lambda: [edr.event for edr in tap.of(asked)] == ["accepted", "submitted"])
    [provider_id] = tap.of(asked)[1].provider_ids
    await installation.stop_worker("worker-1")
    installation.smsc.report(Receipt(int(provider_id), books.parts[0], "DELIVRD"))
    await installation.start_worker("worker-1")
    assert (await asker.end(asked)).event == "delivered"


async def test_no_receipt_until_the_deadline_is_unknown(installation: Installation, asker: Asker, phone: str) -> None:
    first(installation, Verdict(receipt=None))
    final = await asker.ask(phone, "brief")
    assert asker.story(final) == [("accepted", None), ("submitted", None), ("unknown", "no-receipt")]


@pytest.mark.parametrize(("fault", "taken"), [("silence", 1), ("garbage", 1), ("close", 0)])
async def test_an_answer_that_does_not_come(
    fault: str, taken: int, installation: Installation, tap: Tap, books: Books, asker: Asker, phones: Phones
) -> None:
    """Whether it was taken nobody knows: the one scenario sends again, the other waits and gives up."""
    first(installation, Verdict(receipt=None, fault=fault))  # type: ignore[arg-type]
    again = await asker.ask(phones(), text="again")
    never = await asker.ask(phones(), "brief", text="not again")  # afterwards: a bind that ends takes all that is under way with it
    assert asker.story(again) == [("accepted", None), ("unknown", "no-answer"), ("submitted", None), ("delivered", None)]
    assert (again.attempt, again.event) == (2, "delivered")
    assert asker.story(never) == [("accepted", None), ("unknown", "no-answer"), ("unknown", "no-answer")]
    assert [part.text for part in books.parts].count(b"again") == taken + 1
    assert [part.text for part in books.parts].count(b"not again") == taken


async def test_an_answer_that_comes_late(installation: Installation, tap: Tap, books: Books, asker: Asker, phone: str) -> None:
    """After its route's time-out: it is known then that the message was taken, and its receipt finds it."""
    installation.smsc.behaviour.answer_delay = 2.0
    final = await asker.ask(phone, "patient")
    assert asker.story(final) == [("accepted", None), ("unknown", "no-answer"), ("submitted", None), ("delivered", None)]
    assert [edr.correction for edr in tap.of(final.request_id or "")] == [False] * 4
    assert len(books.parts) == 1
    assert tap.dead == []


async def test_an_smsc_that_refuses_to_be_bound(installation: Installation, asker: Asker, phones: Phones) -> None:
    installation.smsc.behaviour.refuse_binds = 0x0D
    installation.smsc.drop()
    final = await asker.ask(phones(), "brief")
    assert (final.event, final.reason) == ("expired", "expired")
    installation.smsc.behaviour.refuse_binds = 0
    assert (await asker.ask(phones())).event == "delivered"


async def test_a_refused_recipient_gets_an_sms(installation: Installation, asker: Asker, phone: str) -> None:
    installation.smtp.behaviour.refuse_recipient = lambda address: "550 5.1.1 No such user" if address.startswith("gone") else None
    to = [{"phone": phone, "email": "gone@lab.example"}, {"user": "other", "email": "there@lab.example"}]
    refused = await asker.ask(phone, "mail-then-sms", to=to[0])
    taken = await asker.ask(phone, "mail-then-sms", to=to[1])
    assert [event for event, _ in asker.story(taken)] == ["accepted", "submitted"]
    assert asker.story(refused) == [
        ("accepted", None), ("failed", "invalid-address"), ("step", None), ("submitted", None), ("delivered", None),
    ]  # fmt: skip
    assert refused.channel == "sms"


async def test_a_mail_server_that_takes_it_the_second_time(installation: Installation, asker: Asker, phone: str) -> None:
    refusals = ["451 4.7.1 Greylisted"]
    installation.smtp.behaviour.refuse_content = lambda _: refusals.pop() if refusals else None
    final = await asker.ask(phone, "mail-only", to={"email": "grey@lab.example"})
    assert asker.story(final) == [("accepted", None), ("retried", "provider-temporary"), ("submitted", None)]


async def test_a_mail_server_that_hangs_is_left_and_tried_again(installation: Installation, tap: Tap, asker: Asker, phones: Phones) -> None:
    installation.smtp.behaviour.hang = "RCPT"
    mail = await asker.send("", "mail-only", to={"email": "hang@lab.example"})
    for _ in range(5):
        assert (await asker.ask(phones())).event == "delivered"
    await tap.when(lambda: len(tap.of(mail)) == 2)
    installation.smtp.behaviour.hang = None
    final = await asker.end(mail)
    assert asker.story(final) == [("accepted", None), ("retried", "provider-temporary"), ("submitted", None)]
    assert final.attempt == 2


@pytest.mark.parametrize("fault", ["hang", "close", "garble"])
async def test_a_mail_of_which_nobody_knows_is_not_sent_again(
    fault: str, installation: Installation, tap: Tap, asker: Asker, run: str
) -> None:
    setattr(installation.smtp.behaviour, fault, "end")
    address = f"{run}@lab.example"
    final = await asker.ask("", "mail-only", to={"email": address})
    setattr(installation.smtp.behaviour, fault, None)
    assert asker.story(final) == [("accepted", None), ("unknown", "no-answer")]
    await tap.quiet()
    assert len([mail for mail in installation.smtp.ledger.mails if mail.recipient == address]) == 1


async def test_a_receipt_of_nothing_waits_and_is_buried(kafka: str, tap: Tap, producer: AIOKafkaProducer, run: str) -> None:
    """Its patience is minutes: what is to come then is read from ``inm.schedule`` and sent now."""
    scheduled = [TopicPartition(topics.SCHEDULE, number) for number in range(6)]
    async with AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False) as consumer:
        consumer.assign(scheduled)
        await consumer.seek_to_end()
        for partition in scheduled:
            await consumer.position(partition)
        receipt = Reported("smsc-1", run, "delivered", time_ns() // 1_000_000)
        sent = await producer.send_and_wait(topics.RECEIPTS, encode(receipt), run.encode(), partition=0)
        async with asyncio.timeout(30):
            wait = msgspec.json.decode((await consumer.getone()).value, type=Wait)
    assert (wait.topic, wait.id) == (topics.RECEIPTS, f"receipt/smsc-1/{run}/delivered")
    assert wait.due >= sent.timestamp + PATIENCE
    assert tap.dead == []
    await producer.send(wait.topic, bytes(wait.value), run.encode(), partition=0)
    letter = await tap.letter(run)
    assert (letter.reason, letter.stage, letter.topic) == ("unknown-receipt", "receipts", topics.RECEIPTS)


INTERNAL = [*topics.NOTIFICATIONS, topics.RECEIPTS, topics.OUTCOMES, topics.SCHEDULE, topics.RETRIES, topics.USERS, *topics.DELIVERIES]


async def test_garbage_on_any_topic_is_buried_and_stops_nothing(
    tap: Tap, producer: AIOKafkaProducer, asker: Asker, run: str, phones: Phones
) -> None:
    for topic in INTERNAL:
        for number, value in enumerate((b"\xff\x00garbage", b'{"id": 1}', None)):
            await producer.send(topic, value, f"{run} {topic} {number}".encode(), partition=0)
    await asyncio.gather(*(tap.letter(f"{run} {topic} {number}") for topic in INTERNAL for number in range(3)))
    assert {dead.topic for dead in tap.dead} == set(INTERNAL)
    assert {dead.reason for dead in tap.dead} <= REASONS.keys()
    asked = [await asker.send(phones()) for _ in range(12)]
    for request_id in asked:
        assert (await asker.end(request_id)).event == "delivered"


@pytest_asyncio.fixture(loop_scope="session")
async def forgets(installation: Installation) -> AsyncIterator[None]:
    """The worker is another one afterwards: a route that was down is tried again ever more seldom."""
    yield
    await installation.stop_worker("worker-1")


async def test_a_mail_server_that_is_down_costs_its_step_and_delays_no_sms(
    installation: Installation, forgets: None, tap: Tap, asker: Asker, phones: Phones
) -> None:
    for greeting in ("421 4.3.2 Closing", "451 4.3.0 Later", "554 5.3.0 No"):
        installation.smtp.behaviour.greeting = greeting
        installation.smtp.hang_up()
        mails = [await asker.send(phone, "mail-then-sms", to={"phone": phone, "email": "a@lab.example"}) for phone in (phones(), phones())]
        quick = [await asker.send(phones()) for _ in range(20)]
        for request_id in quick:
            assert (await asker.end(request_id)).event == "delivered"
        for request_id in mails:
            first, *told = [step for step in asker.story(await asker.end(request_id))[1:] if step[0] != "retried"]
            assert first in [("expired", "expired"), ("failed", "route-down"), ("failed", "route-refused")]
            # the attempt that stands in retries when its step is over comes to its end after it
            assert [step for step in told if step != ("expired", "expired")] == [("step", None), ("submitted", None), ("delivered", None)]
