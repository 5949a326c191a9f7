"""The laws that every channel keeps, whatever its protocol. A new channel joins by a :class:`Peer`."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from inm.channels import rest
from inm.channels.base import Channel
from inm.channels.email import Email, EmailRoute
from inm.channels.rest import RestRoute
from inm.channels.sms import Sms, SmsRoute
from inm.core.records import Content, Delivery, Lane, Receipt
from inm.core.results import REASONS, Answer, Result
from inm.demo.inbox import Inbox, Message
from inm.demo.smsc import Behaviour, Smsc, Verdict
from inm.demo.smtp import SmtpServer


class Peer(ABC):
    """A provider that can be told how to behave, and the channel that leads to it."""

    good: str
    """An address that the provider takes."""
    refused: str
    """One that it refuses for good."""
    sender: str

    @abstractmethod
    async def start(self) -> None:
        """Listen, on the same port each time."""

    @abstractmethod
    async def stop(self) -> None:
        """Hang up and listen no more."""

    @abstractmethod
    def channel(self, *, narrow: bool = False) -> Channel:
        """A new channel to the provider; a narrow one has one message under way at a time. It loses patience soon."""

    @abstractmethod
    def fall_silent(self, silent: bool) -> None:
        """Take messages and answer nothing, or answer again."""

    @property
    @abstractmethod
    def taken(self) -> Sequence[str]:
        """The texts of the messages that the provider took, in order."""


class MailPeer(Peer):
    """An SMTP server."""

    good, refused, sender = "bob@example.org", "nobody@example.org", "INM <no-reply@example.com>"

    def __init__(self) -> None:
        self.server = SmtpServer()
        self.server.behaviour.refuse_recipient = lambda to: "550 5.1.1 No such user" if to == self.refused else None

    async def start(self) -> None:
        await self.server.start()

    async def stop(self) -> None:
        await self.server.stop()

    def channel(self, *, narrow: bool = False) -> Channel:
        connections = 1 if narrow else 3
        # One attempt to send takes two seconds at most, so that silence is soon told from slowness.
        return Email(EmailRoute("mail", "127.0.0.1", self.server.port, "none", connections=connections, submit_timeout=2.0, patience=0.3))

    def fall_silent(self, silent: bool) -> None:
        self.server.behaviour.hang = "end" if silent else None

    @property
    def taken(self) -> Sequence[str]:
        return [mail.subject for mail in self.server.ledger.mails]


class SmsPeer(Peer):
    """An SMSC."""

    good, refused, sender = "+393331234567", "+393330000000", "INM"

    def __init__(self) -> None:
        self.smsc = Smsc(behaviour=Behaviour(answer_delay=0.01, decide=self._decide))
        self.silent = False

    async def start(self) -> None:
        await self.smsc.start()

    async def stop(self) -> None:
        await self.smsc.stop()

    def channel(self, *, narrow: bool = False) -> Channel:
        hosts = [("127.0.0.1", self.smsc.port)]
        return Sms(SmsRoute("sms", hosts, *self.smsc.account, window=1 if narrow else 10, submit_timeout=2.0))

    def fall_silent(self, silent: bool) -> None:
        self.silent = silent

    @property
    def taken(self) -> Sequence[str]:
        return [sms.text for sms in self.smsc.ledger.last]

    def _decide(self, destination: str) -> Verdict | None:
        if self.silent:
            return Verdict(fault="silence")
        return Verdict(status=0x0B) if destination == self.refused.removeprefix("+") else None  # ESME_RINVDSTADR


class RestPeer(Peer):
    """A system that takes messages by HTTP."""

    good, refused, sender = "+393331234567", "+393330000000", "INM"

    def __init__(self) -> None:
        self.inbox = Inbox()
        self.inbox.behaviour.refuse = self._refuse
        self.inbox.behaviour.delay = 0.01

    async def start(self) -> None:
        await self.inbox.start()

    async def stop(self) -> None:
        await self.inbox.stop()

    def channel(self, *, narrow: bool = False) -> Channel:
        connections, networks = 1 if narrow else 10, ["127.0.0.1"]
        return rest.build(
            RestRoute(
                "rest", self.inbox.url, secret=self.inbox.secret, networks=networks, connections=connections, submit_timeout=2.0,
                patience=0.3,
            )
        )  # fmt: skip

    def fall_silent(self, silent: bool) -> None:
        self.inbox.behaviour.fault = "silence" if silent else None

    @property
    def taken(self) -> Sequence[str]:
        return [received.message.text for received in self.inbox.ledger.taken]

    def _refuse(self, message: Message) -> int | None:
        return 404 if message.to == self.refused else None


PEERS: list[type[Peer]] = [MailPeer, SmsPeer, RestPeer]


@pytest.fixture(params=PEERS, ids=lambda peer: peer.__name__)
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    peer: Peer = request.param()
    await peer.start()
    yield peer
    await peer.stop()


@pytest.fixture
async def channel(peer: Peer) -> AsyncIterator[Channel]:
    channel = peer.channel()
    await channel.open(ignore)
    yield channel
    await channel.close()


NUMBERS = iter(range(1, 1_000_000))


def delivery(peer: Peer, *, to: str | None = None, lane: Lane = "normal") -> Delivery:
    """A delivery whose text and subject are found again in what the provider took."""
    n = next(NUMBERS)
    return Delivery(
        id=f"3-{n:026}.1.1", notification=f"3-{n:026}", key="acme/7", tenant="acme", scenario="law", channel="any", lane=lane,
        route="route", to=to or peer.good, sender=peer.sender, content=Content(text=f"m{n}", subject=f"m{n}"), template="law",
        version=1, language="en", step=1, attempt=1, decided=1_700_000_000_000, expires=1_900_000_000_000,
    )  # fmt: skip


def texts(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.content.text for delivery in deliveries]


async def ignore(receipts: Sequence[Receipt]) -> None:
    """Nobody is interested in receipts here."""


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - the other side has no event to wait for
            await asyncio.sleep(0.005)


def lawful(answers: Sequence[Answer]) -> bool:
    """A reason of the one list unless it was sent; an id of the provider if it was."""
    return all(bool(a.provider_ids) and a.reason is None if a.result is Result.SENT else a.reason in REASONS for a in answers)


def results(answers: Sequence[Answer]) -> list[Result]:
    assert lawful(answers)
    return [answer.result for answer in answers]


async def test_one_answer_a_delivery_in_order(peer: Peer, channel: Channel) -> None:
    batch = [delivery(peer, to=peer.refused if n % 5 == 0 else None) for n in range(50)]
    answers = results(await channel.send(batch))
    assert answers == [Result.INVALID_ADDRESS if d.to == peer.refused else Result.SENT for d in batch]
    assert sorted(peer.taken) == sorted(texts([d for d in batch if d.to == peer.good]))


async def test_nothing_in_nothing_out(channel: Channel) -> None:
    assert await channel.send([]) == []


async def test_batches_at_the_same_time_keep_their_answers_apart(peer: Peer, channel: Channel) -> None:
    batches = [[delivery(peer, to=peer.refused if n % 3 == k else None) for n in range(10)] for k in range(4)]
    for batch, answers in zip(batches, await asyncio.gather(*map(channel.send, batches)), strict=True):
        assert results(answers) == [Result.INVALID_ADDRESS if d.to == peer.refused else Result.SENT for d in batch]
    assert len(peer.taken) == len(set(peer.taken))


async def test_each_sent_message_has_an_id_of_its_own(peer: Peer, channel: Channel) -> None:
    answers = await channel.send([delivery(peer) for _ in range(20)])
    ids = [provider_id for answer in answers for provider_id in answer.provider_ids]
    assert len(set(ids)) == len(ids) >= 20


async def test_an_address_that_is_none_disturbs_nobody(peer: Peer, channel: Channel) -> None:
    answers = await channel.send([delivery(peer), delivery(peer, to="\r\n\0"), delivery(peer)])
    assert results(answers) == [Result.SENT, Result.INVALID_ADDRESS, Result.SENT]


async def test_urgent_overtakes(peer: Peer) -> None:
    channel = peer.channel(narrow=True)
    await channel.open(ignore)
    await until(lambda: channel.up)
    bulk, urgent = [delivery(peer, lane="bulk") for _ in range(40)], delivery(peer, lane="urgent")
    crowd = asyncio.create_task(channel.send(bulk))
    await until(lambda: len(peer.taken) > 0)
    assert results(await channel.send([urgent])) == [Result.SENT]
    assert results(await crowd) == [Result.SENT] * 40
    assert peer.taken.index(urgent.content.text) < 35
    await channel.close()


async def test_a_throttled_route_writes_no_more_than_it_may_and_urgent_goes_first(peer: Peer, channel: Channel) -> None:
    await until(lambda: channel.up)
    channel.throttle.limit(20.0)
    bulk, urgent = [delivery(peer, lane="bulk") for _ in range(30)], delivery(peer, lane="urgent")
    began = time.monotonic()
    crowd = asyncio.create_task(channel.send(bulk))
    await until(lambda: len(peer.taken) > 0)
    assert results(await channel.send([urgent])) == [Result.SENT]
    assert not crowd.done()
    assert results(await crowd) == [Result.SENT] * 30
    assert time.monotonic() - began > 1.0  # thirty-one, of which a second takes twenty
    assert peer.taken.index(urgent.content.text) < 10


async def test_what_waits_is_given_back_when_it_is_released(peer: Peer, channel: Channel) -> None:
    await until(lambda: channel.up)
    channel.throttle.limit(0.5)
    batch = [delivery(peer) for _ in range(20)]
    sending = asyncio.create_task(channel.send(batch))
    await until(lambda: len(peer.taken) > 0)
    channel.release()
    async with asyncio.timeout(1.5):  # the second one would not have been written by then
        found = results(await sending)
    assert found.count(Result.SENT) == len(peer.taken) < 3
    assert set(found) == {Result.SENT, Result.THROTTLED}


async def test_without_a_provider_it_is_the_routes_fault(peer: Peer) -> None:
    await peer.stop()
    channel = peer.channel()
    await channel.open(ignore)
    assert not channel.up
    async with asyncio.timeout(20):
        assert results(await channel.send([delivery(peer), delivery(peer)])) == [Result.ROUTE_FAULT] * 2
    await channel.close()
    assert not peer.taken


async def test_it_comes_up_by_itself_and_comes_back(peer: Peer) -> None:
    await peer.stop()
    channel = peer.channel()
    await channel.open(ignore)
    await peer.start()
    await until(lambda: channel.up)
    assert results(await channel.send([delivery(peer)])) == [Result.SENT]
    await peer.stop()
    await until(lambda: not channel.up)
    await peer.start()
    await until(lambda: channel.up)
    assert results(await channel.send([delivery(peer)])) == [Result.SENT]
    assert len(peer.taken) == 2
    await channel.close()


async def test_a_provider_lost_in_the_middle_leaves_no_doubt_unsaid(peer: Peer) -> None:
    """What was taken is ``sent`` or ``unknown``: nothing that may be retried safely has reached the provider."""
    channel = peer.channel()
    await channel.open(ignore)
    await until(lambda: channel.up)
    batch = [delivery(peer) for _ in range(300)]
    sending = asyncio.create_task(channel.send(batch))
    await until(lambda: len(peer.taken) > 20)
    await peer.stop()
    answers = await sending
    taken = set(peer.taken)
    found = dict(zip(texts(batch), results(answers), strict=True))
    assert len(taken) == len(peer.taken)
    assert all(found[text] in (Result.SENT, Result.UNKNOWN) for text in taken)
    assert all(text in taken for text, result in found.items() if result is Result.SENT)
    assert Result.SENT in found.values()
    assert set(found.values()) - {Result.SENT, Result.UNKNOWN} <= {Result.ROUTE_FAULT, Result.TEMPORARY}
    await channel.close()


async def test_silence_after_the_message_is_unknown(peer: Peer, channel: Channel) -> None:
    await until(lambda: channel.up)
    peer.fall_silent(True)
    [answer] = await channel.send([delivery(peer)])
    assert (answer.result, answer.reason) == (Result.UNKNOWN, "no-answer")
    peer.fall_silent(False)


async def test_closed_is_closed(peer: Peer) -> None:
    channel = peer.channel()
    await channel.open(ignore)
    await until(lambda: channel.up)
    batch = [delivery(peer) for _ in range(200)]
    sending = asyncio.create_task(channel.send(batch))
    await until(lambda: len(peer.taken) > 0)
    await channel.close()
    assert not channel.up
    answers = results(await sending)
    assert answers.count(Result.SENT) == len(peer.taken) < 200
    assert set(answers) <= {Result.SENT, Result.ROUTE_FAULT}
    assert results(await channel.send([delivery(peer)])) == [Result.ROUTE_FAULT]
    await channel.close()
