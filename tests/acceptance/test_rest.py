"""A system that takes messages by HTTP, in plans with SMS behind it: receipts by webhook, failover, and what comes late."""

from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaProducer

from inm.demo.inbox import Message
from inm.demo.installation import Installation
from tests.support.asks import Asker
from tests.support.load import Books
from tests.support.tap import Tap, until

Phones = Callable[[], str]


@pytest.fixture
def asker(tap: Tap, producer: AIOKafkaProducer) -> Asker:
    return Asker(tap, producer)


def messages(installation: Installation, phone: str) -> list[Message]:
    return [received.message for received in installation.inbox.ledger.taken if received.message.to == phone]


async def test_a_message_is_shown_and_reported(installation: Installation, asker: Asker, books: Books, phone: str) -> None:
    final = await asker.ask(phone, scenario="shown")
    assert (final.event, final.channel, final.route, final.step) == ("delivered", "rest", "inbox-1", 1)
    [message] = messages(installation, phone)
    assert (message.title, message.text, message.data, message.language) == ("Note", "Hello", {"screen": "home"}, "en")
    assert message.id == f"{final.notification}.1"
    assert not books.parts


async def test_what_it_refuses_goes_by_sms_at_once(installation: Installation, asker: Asker, phone: str) -> None:
    installation.inbox.behaviour.refuse = lambda message: 404 if message.to == phone else None
    final = await asker.ask(phone, scenario="shown")
    assert (final.event, final.channel, final.step) == ("delivered", "sms", 2)
    assert ("failed", "invalid-address") in asker.story(final)
    assert not messages(installation, phone)


async def test_what_it_does_not_report_goes_by_sms_and_what_it_reports_then_is_a_correction(
    installation: Installation, tap: Tap, asker: Asker, phone: str
) -> None:
    installation.inbox.behaviour.receipts = lambda _: ()
    final = await asker.ask(phone, scenario="shown-soon")
    assert (final.event, final.channel) == ("delivered", "sms"), asker.story(final)
    [message] = messages(installation, phone)
    await installation.inbox.report(message.id, "delivered", "read")
    await tap.when(
        lambda: len([edr for edr in tap.edrs if edr.notification == final.notification and edr.channel == "rest" and edr.correction]) > 0
    )
    await tap.quiet()
    assert len([edr for edr in tap.edrs if edr.notification == final.notification and edr.final]) == 1


async def test_a_message_of_which_nobody_knows_is_found_by_its_receipt(
    installation: Installation, asker: Asker, books: Books, phone: str
) -> None:
    installation.inbox.behaviour.fault = "close"
    final = await asker.ask(phone, scenario="shown")
    assert (final.event, final.channel, final.step) == ("delivered", "rest", 1)
    assert len(messages(installation, phone)) == 1
    assert not books.parts


async def test_a_service_that_is_away_delays_nothing_else(installation: Installation, asker: Asker, phones: Phones) -> None:
    waiting, other = phones(), phones()
    await installation.inbox.stop()
    try:
        asked = await asker.send(waiting, scenario="shown")
        assert (await asker.ask(other)).event == "delivered"
    finally:
        await installation.inbox.start()
    final = await asker.end(asked)
    assert (final.event, final.channel) == ("delivered", "rest")
    await until(lambda: len(messages(installation, waiting)) == 1)
