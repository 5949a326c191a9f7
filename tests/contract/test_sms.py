"""The SMS channel against our SMSC, with every fault it knows."""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import trustme
from aiosmpplib.protocol import DeliverSm
from aiosmpplib.state import SmppCommandStatus as Status

from inm.channels.smpp import session, wire
from inm.channels.sms import Sms, SmsRoute
from inm.core.records import Content, Delivery, Receipt
from inm.core.results import Answer, Result
from inm.core.sms import segment
from inm.demo.smsc import Behaviour, Smsc, Verdict

NUMBERS = iter(range(1, 1_000_000))


def sms(text: str = "", *, to: str | None = None, flash: bool = False, **more: Any) -> Delivery:
    n = next(NUMBERS)
    values: dict[str, Any] = {
        "id": f"3-{n:026}.1.1", "notification": f"3-{n:026}", "key": "acme/7", "tenant": "acme", "scenario": "otp", "channel": "sms",
        "lane": "normal", "route": "main", "to": to or f"+39333{n:07}", "sender": "Acme", "template": "otp", "version": 1,
        "content": Content(text or f"Code {n}", flash=flash), "language": "en", "step": 1, "attempt": 1,
        "decided": 1_700_000_000_000, "expires": 1_800_000_000_000,
    }  # fmt: skip
    return Delivery(**(values | more))


def begin(channel: Sms, *deliveries: Delivery) -> asyncio.Task[list[Answer]]:
    return asyncio.create_task(channel.send(deliveries))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 (the SMSC knows of no event for it)
            await asyncio.sleep(0.005)


class Bench:
    """SMSCs and channels that a test uses; all closed at its end."""

    def __init__(self) -> None:
        self.smscs: list[Smsc] = []
        self.channels: list[Sms] = []
        self.receipts: list[Receipt] = []
        self.refusals = 0
        """How many batches of receipts to fail with."""

    async def take(self, receipts: Sequence[Receipt]) -> None:
        await asyncio.sleep(0)
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError("Kafka is away")
        self.receipts += receipts

    async def smsc(self, tls: ssl.SSLContext | None = None, **behaviour: Any) -> Smsc:
        smsc = Smsc(behaviour=Behaviour(**({"receipt_delay": 0.01} | behaviour)))
        self.smscs.append(smsc)
        await smsc.start(tls)
        return smsc

    async def channel(self, *ports: Smsc | int, **options: Any) -> Sms:
        hosts = [("localhost" if "tls" in options else "127.0.0.1", port if isinstance(port, int) else port.port) for port in ports]
        defaults: dict[str, Any] = {"system_id": "inm", "password": "secret", "patience": 0.5, "submit_timeout": 5.0}
        channel = Sms(SmsRoute("main", hosts, **(defaults | options)))
        self.channels.append(channel)
        await channel.open(self.take)
        return channel

    async def bound(self, **options: Any) -> tuple[Smsc, Sms]:
        behaviour = options.pop("behaviour", {})
        smsc = await self.smsc(**behaviour)
        channel = await self.channel(smsc, **options)
        await until(lambda: len(smsc.binds) == options.get("binds", 1))
        await until(lambda: channel.up)
        return smsc, channel

    async def close(self) -> None:
        await asyncio.gather(*(channel.close() for channel in self.channels))
        await asyncio.gather(*(smsc.stop() for smsc in self.smscs))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.close()


def results(answers: Sequence[Answer]) -> set[Result]:
    return {answer.result for answer in answers}


TEXTS = ["Your code is 123456", "è già [scontato] 5€", "a" * 160, "a" * 161, "{€}" * 200, "Ваш код 12", "Привет " * 40, "😀" * 100, "\n\r"]


async def test_what_was_sent_is_what_the_handset_shows(bench: Bench) -> None:
    smsc, channel = await bench.bound(binds=2)
    deliveries = [sms(text, flash=flash) for text in TEXTS for flash in (False, True)]
    answers = await channel.send(deliveries)
    assert results(answers) == {Result.SENT}
    shown = {(got.destination, got.text, got.flash, got.parts, got.source) for got in smsc.ledger.last}
    assert shown == {(d.to[1:], d.content.text, d.content.flash, segment(d.content.text).parts, "Acme") for d in deliveries}
    assert [len(answer.provider_ids) for answer in answers] == [segment(d.content.text).parts for d in deliveries]
    ids = [provider_id for answer in answers for provider_id in answer.provider_ids]
    assert len(ids) == len(set(ids)) == smsc.ledger.parts
    await until(lambda: len(bench.receipts) >= len(ids))
    assert sorted(receipt.provider_id for receipt in bench.receipts) == sorted(ids)
    await until(lambda: smsc.ledger.receipts_taken == len(ids))
    assert not smsc.ledger.violations


@pytest.mark.parametrize("sender", ["Acme", "+393331112223", "44777"])
async def test_senders_of_every_form_are_accepted(bench: Bench, sender: str) -> None:
    smsc, channel = await bench.bound()
    assert results(await channel.send([sms(sender=sender)])) == {Result.SENT}
    assert smsc.ledger.last[0].source == sender.removeprefix("+")


@pytest.mark.parametrize(
    ("wrong", "result"),
    [({"to": "+39 333"}, Result.INVALID_ADDRESS), ({"to": "bob"}, Result.INVALID_ADDRESS), ({"sender": "Società"}, Result.PERMANENT),
     ({"text": "a" * 40_000}, Result.PERMANENT)],
)  # fmt: skip
async def test_what_no_sms_can_carry_is_refused_beside_what_can_be_sent(bench: Bench, wrong: dict[str, Any], result: Result) -> None:
    smsc, channel = await bench.bound()
    answers = await channel.send([sms(), sms(**wrong), sms()])
    assert [answer.result for answer in answers] == [Result.SENT, result, Result.SENT]
    assert smsc.ledger.parts == 2


@pytest.mark.parametrize("form", ["text", "tlv", "both"])
@pytest.mark.parametrize("id_format", ["as-is", "hex-to-dec"])
async def test_receipts_of_both_forms_meet_their_answers(bench: Bench, form: str, id_format: str) -> None:
    states = {"1": "DELIVRD", "2": "UNDELIV", "3": "EXPIRED", "4": "REJECTD", "5": None}
    behaviour = {
        "receipt_form": form,
        "ids": "hex" if id_format == "hex-to-dec" else "decimal",
        "decide": lambda to: Verdict(receipt=states[to[-1]]),
    }
    _, channel = await bench.bound(behaviour=behaviour, id_format=id_format)
    answers = await channel.send([sms(to=f"+39333000000{digit}") for digit in states])
    await until(lambda: len(bench.receipts) >= 4)
    got = {receipt.provider_id: (receipt.state, receipt.reason) for receipt in bench.receipts}
    assert [got.get(answer.provider_ids[0]) for answer in answers] == [
        ("delivered", None), ("failed", "undelivered"), ("expired", "provider-expired"), ("failed", "provider-rejected"), None,
    ]  # fmt: skip


async def test_receipts_may_come_before_the_answer(bench: Bench) -> None:
    _, channel = await bench.bound(behaviour={"receipt_before_answer": True, "answer_delay": 0.5})
    sending = begin(channel, sms())
    await until(lambda: bool(bench.receipts))
    assert not sending.done()
    assert (await sending)[0].provider_ids == [bench.receipts[0].provider_id]


async def test_receipts_that_could_not_be_kept_are_repeated(bench: Bench) -> None:
    smsc, channel = await bench.bound(behaviour={"redelivery_delay": 0.01})
    bench.refusals = 3
    answers = await channel.send([sms() for _ in range(5)])
    await until(lambda: smsc.ledger.receipts_taken == 5)
    assert bench.refusals == 0
    assert sorted(receipt.provider_id for receipt in bench.receipts) == sorted(answer.provider_ids[0] for answer in answers)


async def test_a_receipt_is_acknowledged_only_when_it_is_durable(bench: Bench) -> None:
    smsc = await bench.smsc()
    asked, durable = asyncio.Event(), asyncio.Event()

    async def take(receipts: Sequence[Receipt]) -> None:
        asked.set()
        await durable.wait()

    channel = Sms(SmsRoute("main", [("127.0.0.1", smsc.port)], "inm", "secret"))
    bench.channels.append(channel)
    await channel.open(take)
    await channel.send([sms()])
    await asked.wait()
    await channel.send([sms()])  # a round trip: an acknowledgement written before would be there by now
    assert smsc.ledger.receipts_taken == 0
    durable.set()
    await until(lambda: smsc.ledger.receipts_taken == 2)


async def test_refusals_are_told_apart(bench: Bench) -> None:
    statuses = {"0": 0, "1": Status.ESME_RINVDSTADR, "2": Status.ESME_RSYSERR, "3": Status.ESME_RINVSRCADR, "4": 0x400, "5": 0x401}
    decide = lambda to: Verdict(int(statuses[to[-1]]))  # noqa: E731
    smsc, channel = await bench.bound(behaviour={"decide": decide}, codes={0x401: Result.NOT_ALLOWED})
    answers = await channel.send([sms(to=f"+39333000000{digit}") for digit in statuses])
    assert [(answer.result, answer.reason, answer.code) for answer in answers] == [
        (Result.SENT, None, None),
        (Result.INVALID_ADDRESS, "invalid-address", "0x0000000b"),
        (Result.TEMPORARY, "provider-temporary", "0x00000008"),
        (Result.PERMANENT, "provider-rejected", "0x0000000a"),
        (Result.TEMPORARY, "provider-temporary", "0x00000400"),
        (Result.NOT_ALLOWED, "not-allowed", "0x00000401"),
    ]
    assert len(smsc.binds) == 1
    assert smsc.binds_accepted == 1


async def test_no_answer_is_unknown_and_the_bind_goes_on(bench: Bench) -> None:
    decide = lambda to: Verdict(fault="silence") if to.endswith("1") else None  # noqa: E731
    smsc, channel = await bench.bound(behaviour={"decide": decide}, submit_timeout=0.3)
    answers = await channel.send([sms(to="+393330000001"), sms(to="+393330000002"), sms("a" * 400, to="+393330000001")])
    assert [answer.result for answer in answers] == [Result.UNKNOWN, Result.SENT, Result.UNKNOWN]
    assert answers[0].reason == "no-answer"
    assert channel.counts["timeouts"] == 4
    assert results(await channel.send([sms(to="+393330000002")])) == {Result.SENT}
    assert smsc.binds_accepted == 1


async def test_an_answer_that_comes_when_nobody_waits_any_more_is_told_once_all_parts_have_theirs(bench: Bench) -> None:
    _, channel = await bench.bound(behaviour={"answer_delay": 0.5}, submit_timeout=0.2)
    late: list[tuple[Delivery, Answer]] = []
    channel.late = lambda delivery, answer: late.append((delivery, answer))
    deliveries = [sms(), sms("a" * 400)]
    assert results(await channel.send(deliveries)) == {Result.UNKNOWN}
    await until(lambda: channel.counts["late"] == 4)
    assert [(delivery, answer.result, len(answer.provider_ids)) for delivery, answer in late] == [
        (deliveries[0], Result.SENT, 1),
        (deliveries[1], Result.SENT, 3),
    ]
    await until(lambda: len(bench.receipts) == 4)
    assert sorted(receipt.provider_id for receipt in bench.receipts) == sorted(late[0][1].provider_ids + late[1][1].provider_ids)


async def test_a_refusal_that_comes_late_and_an_answer_to_nothing_are_told_to_nobody(bench: Bench) -> None:
    smsc, channel = await bench.bound(behaviour={"answer_delay": 0.5, "decide": lambda _: Verdict(status=0x08)}, submit_timeout=0.2)
    late: list[Delivery] = []
    channel.late = lambda delivery, _: late.append(delivery)
    assert results(await channel.send([sms()])) == {Result.UNKNOWN}
    await until(lambda: channel.counts["late"] == 1)
    smsc.inject(wire.pdu(wire.SUBMIT_SM_RESP, 99, b"nobody's\0"))
    await until(lambda: channel.counts["late"] == 2)
    assert late == []


async def test_an_answer_that_comes_while_others_are_waited_for_counts(bench: Bench) -> None:
    decide = lambda to: Verdict(fault="silence") if to.endswith("1") else None  # noqa: E731
    _, channel = await bench.bound(behaviour={"answer_delay": 0.5, "decide": decide}, submit_timeout=0.2, window=1)
    late: list[Delivery] = []
    channel.late = lambda delivery, _: late.append(delivery)
    # one after the other: each is written when the one before it has been given up
    answers = await channel.send([sms(to="+393330000002"), *(sms(to="+393330000001") for _ in range(3))])
    assert [answer.result for answer in answers] == [Result.SENT, *[Result.UNKNOWN] * 3]
    assert (channel.counts["timeouts"], channel.counts["late"], late) == (4, 1, [])


@pytest.mark.parametrize("fault", ["garbage", "close"])
async def test_a_connection_that_breaks_under_load_loses_and_doubles_nothing(bench: Bench, fault: Any) -> None:
    strikes = iter([False] * 700 + [True] + [False] * 700 + [True] + [False] * 10_000)
    decide = lambda _: Verdict(fault=fault) if next(strikes) else None  # noqa: E731
    smsc, channel = await bench.bound(behaviour={"decide": decide, "answer_delay": 0.005}, binds=2, window=50, patience=5.0)
    deliveries = [sms() for _ in range(2000)]
    answers = await channel.send(deliveries)
    assert results(answers) == {Result.SENT, Result.UNKNOWN}
    sent = sum(answer.result is Result.SENT for answer in answers)
    assert sent <= smsc.ledger.messages <= len(deliveries)
    assert len(deliveries) - sent <= 2 * 50
    assert smsc.ledger.duplicates == 0
    for delivery, answer in zip(deliveries, answers, strict=True):
        if answer.result is Result.SENT:
            assert smsc.ledger.copies(delivery.to[1:], delivery.content.text) == 1
    await until(lambda: len(smsc.binds) == 2)
    assert results(await channel.send([sms()])) == {Result.SENT}


async def test_receipts_lost_with_a_connection_come_over_the_next(bench: Bench) -> None:
    smsc, channel = await bench.bound(behaviour={"receipt_delay": 0.1})
    answers = await channel.send([sms() for _ in range(10)])
    smsc.drop()
    await until(lambda: len(bench.receipts) >= 10)
    assert sorted(receipt.provider_id for receipt in bench.receipts) == sorted(answer.provider_ids[0] for answer in answers)
    assert channel.counts["lost"] == 1


async def test_a_refused_bind_is_a_route_fault_until_it_is_accepted(bench: Bench) -> None:
    smsc = await bench.smsc(refuse_binds=int(Status.ESME_RBINDFAIL))
    channel = await bench.channel(smsc, patience=0.1)
    answer = (await channel.send([sms()]))[0]
    assert (answer.result, answer.reason, answer.code) == (Result.ROUTE_FAULT, "route-refused", "0x0000000d")
    assert not channel.up
    smsc.behaviour.refuse_binds = 0
    await until(lambda: channel.up)
    assert results(await channel.send([sms()])) == {Result.SENT}
    assert smsc.ledger.parts == 1


async def test_a_wrong_password_is_a_route_fault(bench: Bench) -> None:
    channel = await bench.channel(await bench.smsc(), password="wrong", patience=0.1)
    answer = (await channel.send([sms()]))[0]
    assert (answer.result, answer.text) == (Result.ROUTE_FAULT, "ESME_RINVPASWD")


async def test_nobody_there_is_a_route_fault(bench: Bench) -> None:
    smsc = await bench.smsc()
    port = smsc.port
    await smsc.stop()
    channel = await bench.channel(port, patience=0.1)
    answers = await channel.send([sms(), sms("a" * 400)])
    assert [(answer.result, answer.reason) for answer in answers] == [(Result.ROUTE_FAULT, "route-down")] * 2


async def test_closing_drains(bench: Bench) -> None:
    smsc, channel = await bench.bound(behaviour={"answer_delay": 0.05}, window=10)
    sending = begin(channel, *(sms("a" * 400) for _ in range(50)))
    await until(lambda: smsc.ledger.parts > 20)
    await channel.close()
    answers = await sending
    sent = [answer for answer in answers if answer.result is Result.SENT]
    assert results(answers) == {Result.SENT, Result.ROUTE_FAULT}
    assert (len(sent), smsc.ledger.incomplete) == (smsc.ledger.messages, 0)
    assert not smsc.binds
    assert not smsc.ledger.violations
    assert results(await channel.send([sms()])) == {Result.ROUTE_FAULT}


async def test_closing_ends_even_if_the_smsc_answers_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_DRAIN", 0.1)
    smsc, channel = await bench.bound(behaviour={"decide": lambda _: Verdict(fault="silence")}, window=3)
    sending = begin(channel, *(sms() for _ in range(10)))
    await until(lambda: smsc.ledger.parts == 3)
    await channel.close()
    assert [answer.result for answer in await sending] == [Result.UNKNOWN] * 3 + [Result.ROUTE_FAULT] * 7


async def test_what_nobody_waits_for_is_not_sent(bench: Bench) -> None:
    smsc, channel = await bench.bound(behaviour={"answer_delay": 0.02}, window=2)
    sending = begin(channel, *(sms("a" * 200) for _ in range(50)))
    await until(lambda: smsc.ledger.parts >= 2)
    sending.cancel()
    await asyncio.wait([sending])
    assert results(await channel.send([sms("last")])) == {Result.SENT}
    assert smsc.ledger.last[-1].text == "last"
    assert smsc.ledger.messages < 10
    assert smsc.ledger.incomplete == 0


async def test_the_window_is_kept_and_parts_stay_on_one_bind(bench: Bench) -> None:
    one, two = await bench.smsc(answer_delay=0.01), await bench.smsc(answer_delay=0.01)
    channel = await bench.channel(one, two, window=4)
    await until(lambda: len(one.binds) + len(two.binds) == 2)
    answers = await channel.send([sms("a" * 900) for _ in range(20)])
    assert results(answers) == {Result.SENT}
    assert one.ledger.incomplete == two.ledger.incomplete == 0
    assert min(one.ledger.messages, two.ledger.messages) > 0
    assert max(one.ledger.most_unanswered, two.ledger.most_unanswered) == 4


async def test_urgent_overtakes(bench: Bench) -> None:
    smsc, channel = await bench.bound(behaviour={"answer_delay": 0.005}, window=1)
    bulk = begin(channel, *(sms(lane="bulk") for _ in range(40)))
    await until(lambda: smsc.ledger.parts > 3)
    answers = await channel.send([sms("urgent", lane="urgent"), sms("normal")])
    assert results(answers) == {Result.SENT}
    assert not bulk.done()
    texts = [got.text for got in smsc.ledger.last]
    assert texts.index("urgent") < texts.index("normal") < 20
    assert results(await bulk) == {Result.SENT}


async def test_throttled_parts_go_again_at_the_rate_the_smsc_takes(bench: Bench) -> None:
    smsc, channel = await bench.bound(behaviour={"rate": 100.0}, window=200)
    answers = await channel.send([sms("a" * 200) for _ in range(120)])
    assert results(answers) == {Result.SENT}
    assert channel.counts["throttled"] > 0
    assert (smsc.ledger.messages, smsc.ledger.duplicates, smsc.ledger.duplicate_parts, smsc.ledger.incomplete) == (120, 0, 0, 0)


async def test_what_stays_throttled_is_said_to_be(bench: Bench) -> None:
    smsc, channel = await bench.bound(behaviour={"errors": {int(Status.ESME_RMSGQFUL): 1.0}}, submit_timeout=0.5)
    answer = (await channel.send([sms()]))[0]
    assert (answer.result, answer.reason, answer.text) == (Result.THROTTLED, "throttled", "ESME_RMSGQFUL")
    assert 1 < smsc.ledger.refused[Status.ESME_RMSGQFUL] < 6


async def test_an_agreed_rate_is_kept(bench: Bench) -> None:
    smsc, channel = await bench.bound(behaviour={"rate": 60.0})
    channel.throttle.limit(50.0)
    assert channel.capacity == 6
    assert results(await channel.send([sms() for _ in range(60)])) == {Result.SENT}
    assert not smsc.ledger.refused


ODD = [
    DeliverSm(short_message="STOP").pdu()[16:],
    b"\0\1\5" + b"393330000001\0" + b"\1\5" + b"44777\0" + bytes([0, 0, 0, 0, 0, 0, 0, 0x10, 0, 4]) + b"STOP",
    b"\0\1\1" + b"393330000001\0" + b"\1\1" + b"44777\0" + bytes([0, 0, 0, 0, 0, 0, 0, 0xF1, 0, 4]) + b"STOP",
    b"\0\1\1" + b"393330000001\0" + b"\1\1" + b"44777\0" + bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    b"\0\1\1" + b"393330000001\0" + b"\1\1" + b"44777\0" + bytes([0x40, 0, 0, 0, 0, 0, 0, 4, 0, 4]) + b"\xff\xfe\0\1",
    b"\0\1\1" + b"393330000001\0" + b"\1\1" + b"44777\0" + bytes([4, 0, 0, 0, 0, 0, 0, 0, 0, 5]) + b"hello",
    b"\0\1\1",
    b"",
]


async def test_whatever_is_delivered_is_acknowledged_and_nothing_breaks(bench: Bench) -> None:
    smsc, channel = await bench.bound()
    for number, body in enumerate(ODD, 5000):
        smsc.inject(wire.pdu(wire.DELIVER_SM, number, body))
    await until(lambda: smsc.ledger.violations["deliver_sm_resp to nothing"] == len(ODD))
    assert (channel.counts["mobile-originated"], channel.counts["unreadable"]) == (5, 3)
    assert results(await channel.send([sms()])) == {Result.SENT}
    assert smsc.binds_accepted == 1


async def test_unknown_commands_and_stray_answers_change_nothing(bench: Bench) -> None:
    smsc, channel = await bench.bound()
    for command in (0x0102, 0x0103, 0x0BAD, 0x8BAD_F00D & 0x8000_FFFF, wire.SUBMIT_SM_RESP, wire.GENERIC_NACK, wire.ENQUIRE_LINK):
        smsc.inject(wire.pdu(command, 4711, b"", 0x400))
    assert results(await channel.send([sms()])) == {Result.SENT}
    assert smsc.binds_accepted == 1


async def test_a_generic_nack_answers_a_submit(bench: Bench) -> None:
    smsc, channel = await bench.bound(behaviour={"decide": lambda _: Verdict(fault="silence")})
    sending = begin(channel, sms())
    await until(lambda: smsc.ledger.parts == 1)
    smsc.inject(wire.pdu(wire.GENERIC_NACK, 2, b"", Status.ESME_RINVCMDLEN))  # 1 was the bind
    assert (await sending)[0].result is Result.PERMANENT


async def test_an_smsc_that_unbinds_is_bound_again(bench: Bench) -> None:
    smsc, channel = await bench.bound()
    smsc.inject(wire.pdu(wire.UNBIND, 99))
    await until(lambda: not channel.up)
    await until(lambda: channel.up)
    assert results(await channel.send([sms()])) == {Result.SENT}


async def test_a_dead_peer_is_left(bench: Bench) -> None:
    connected: list[bytes] = []

    async def bind_and_die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        header = await reader.readexactly(16)
        # A bind_resp of the header only, as some SMSCs send it.
        writer.write(struct.pack("!IIII", 16, wire.BIND_TRANSCEIVER_RESP, 0, wire.HEADER.unpack(header)[3]))
        connected.append(await reader.read(10_000))
        await reader.read()
        writer.close()

    async with await asyncio.start_server(bind_and_die, "127.0.0.1", 0) as server:
        channel = await bench.channel(server.sockets[0].getsockname()[1], enquire_interval=0.2)
        await until(lambda: channel.up)
        await until(lambda: not channel.up)
        await until(lambda: channel.up)
        await channel.close()


async def test_tls(bench: Bench) -> None:
    authority = trustme.CA()
    served, trusting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(served)
    authority.configure_trust(trusting)
    smsc = await bench.smsc(tls=served)
    assert results(await (await bench.channel(smsc, tls=trusting)).send([sms()])) == {Result.SENT}
    distrusting = await bench.channel(smsc, tls=ssl.create_default_context(), patience=0.1)
    answer = (await distrusting.send([sms()]))[0]
    assert (answer.result, answer.reason, answer.text) == (Result.ROUTE_FAULT, "route-refused", "CERTIFICATE_VERIFY_FAILED")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"password": "ninechars"}, "password"), ({"hosts": []}, "hosts"), ({"window": 0}, "window is 0"), ({"id_format": "hex"}, "as-is")],
)  # fmt: skip
def test_a_bad_route_says_what_is_wrong(wrong: dict[str, Any], says: str) -> None:
    good: dict[str, Any] = {"hosts": [("h", 1)], "system_id": "inm", "password": "secret"}
    with pytest.raises(ValueError, match=f"route main: .*{says}"):
        SmsRoute("main", **(good | wrong))
    assert "secret" not in repr(SmsRoute("main", **good))
