"""The e-mail channel against our simulator, with every fault it knows."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
import trustme

from inm.channels.email import Email, EmailRoute
from inm.channels.smtp import codes
from inm.channels.smtp.dialogue import Dialogue, Reply
from inm.channels.smtp.link import Link, LinkFaultError
from inm.core.records import Content, Delivery, Lane
from inm.core.results import Answer, Result
from inm.demo.smtp import Moment, SmtpServer

NUMBERS = iter(range(1, 1_000_000))


def mail(to: str = "bob@example.org", *, content: Content | None = None, lane: Lane = "normal", sender: str = "a@example.com") -> Delivery:
    n = next(NUMBERS)
    content = content or Content("Hello\n", subject=f"Mail {n}")
    return Delivery(
        id=f"3-{n:026}.1.1", notification=f"3-{n:026}", key="acme/7", tenant="acme", scenario="invoice", channel="email", lane=lane,
        route="mail", to=to, sender=sender, content=content, template="invoice", version=1, language="en", step=1, attempt=1,
        decided=1_700_000_000_000, expires=1_800_000_000_000,
    )  # fmt: skip


async def no_receipts(receipts: object) -> None:
    raise AssertionError("e-mail has no receipts yet")


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - the other side has no event to wait for
            await asyncio.sleep(0.005)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


class Bench:
    """Servers and channels that a test uses; all closed at its end."""

    def __init__(self, *, pipelining: bool) -> None:
        self.servers: list[SmtpServer] = []
        self.channels: list[Email] = []
        self.pipelining = pipelining

    async def server(self, **options: Any) -> SmtpServer:
        server = SmtpServer(pipelining=self.pipelining, **options)
        self.servers.append(server)
        await server.start()
        return server

    async def channel(self, server: SmtpServer | int, **options: Any) -> Email:
        port = server if isinstance(server, int) else server.port
        defaults: dict[str, Any] = {"security": "none", "patience": 0.3, "command_timeout": 5.0}
        channel = Email(EmailRoute("mail", "localhost", port, **(defaults | options)))
        self.channels.append(channel)
        await channel.open(no_receipts)
        return channel

    async def send(self, server: SmtpServer | int, *deliveries: Delivery, **options: Any) -> list[Answer]:
        return await (await self.channel(server, **options)).send(deliveries or [mail()])


@pytest.fixture(params=[True, False], ids=["pipelining", "one-by-one"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    bench = Bench(pipelining=request.param)
    yield bench
    for channel in bench.channels:
        await channel.close()
    for server in bench.servers:
        await server.stop()


def verdict(answer: Answer) -> tuple[str, str | None]:
    return answer.result.value, answer.reason


ROUTE_DOWN = ("route-fault", "route-down")
ROUTE_REFUSED = ("route-fault", "route-refused")
TEMPORARY = ("temporary", "provider-temporary")
UNKNOWN = ("unknown", "no-answer")


# What arrives


@pytest.mark.parametrize(
    "content",
    [
        Content("Уважаемый клиент,\n- спасибо!\n", subject="Счёт за ноябрь: 1 234,56 ₽ к оплате до 15 декабря, внутри письма подробности"),
        Content("È pronta: 12,50 €.\n", subject="La bolletta è arrivata", html="<p>È <b>pronta</b>: 12,50 €.</p>\n"),
        Content(".\n..\n.dots at the start\n", subject="Dots"),
    ],
)
async def test_the_mail_that_arrives_is_the_one_that_was_written(bench: Bench, content: Content) -> None:
    server = await bench.server()
    delivery = mail(content=content, sender="Энергия <no-reply@example.com>")
    [answer] = await bench.send(server, delivery)
    [received] = server.ledger.mails
    assert answer.result is Result.SENT
    assert answer.provider_ids == [received.queue_id]
    message = message_from_bytes(received.content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert message["Subject"] == content.subject
    assert message["From"].addresses[0].display_name == "Энергия"
    assert message["Message-ID"] == f"<{delivery.id}@example.com>"
    for kind, text in (("plain", content.text), ("html", content.html)):
        part = message.get_body((kind,))
        assert (part.get_content().replace("\r\n", "\n") if part else None) == text


async def test_a_resend_shows_as_a_duplicate_in_the_ledger(bench: Bench) -> None:
    server = await bench.server()
    delivery = mail()
    await bench.send(server, delivery, mail(), delivery)
    assert server.ledger.count == 3
    assert server.ledger.duplicates == {f"<{delivery.id}@example.com>": 2}


async def test_a_mailbox_beyond_ascii_needs_smtputf8(bench: Bench) -> None:
    knows, knows_not = await bench.server(utf8=True), await bench.server(utf8=False)
    assert [a.result for a in await bench.send(knows, mail("борис@пример.рф"))] == [Result.SENT]
    assert knows.ledger.mails[0].recipient == "борис@xn--e1afmkfd.xn--p1ai"
    answers = await bench.send(knows_not, mail("борис@пример.рф"), mail("boris@пример.рф"), mail(sender="лев@example.com"))
    assert [a.result.value for a in answers] == ["invalid-address", "sent", "permanent"]


# What the server refuses


async def test_one_refused_recipient_disturbs_no_other(bench: Bench) -> None:
    server = await bench.server()
    server.behaviour.refuse_recipient = lambda to: "550 5.1.1 No such user" if to.startswith("nobody") else None
    answers = await bench.send(server, mail(), mail("nobody@example.org"), mail(), connections=1)
    assert [verdict(a) for a in answers] == [("sent", None), ("invalid-address", "invalid-address"), ("sent", None)]
    assert answers[1].code == "550 5.1.1"
    assert server.ledger.count == 2
    assert server.connections == 1


async def test_refusals_of_sender_and_content(bench: Bench) -> None:
    server = await bench.server(size_limit=20_000)
    server.behaviour.refuse_sender = lambda address: "550 5.7.1 Not your name" if address.startswith("spoof") else None
    server.behaviour.refuse_content = lambda octets: "452 4.3.1 Disk full" if b"later" in octets else None
    answers = await bench.send(
        server,
        mail(sender="spoof@example.com"),
        mail(content=Content("later", subject="s")),
        mail(content=Content("x\n" * 20_000, subject="too big")),
        mail(),
        connections=1,
    )
    assert [a.result.value for a in answers] == ["permanent", "temporary", "permanent", "sent"]
    assert server.ledger.count == 1


# What is wrong with the route


@pytest.mark.parametrize(("greeting", "expected"), [("421 4.3.2 Busy", ROUTE_DOWN), ("554 5.3.2 No service", ROUTE_REFUSED)])
async def test_an_unfriendly_greeting_is_the_routes_fault(bench: Bench, greeting: str, expected: tuple[str, str]) -> None:
    server = await bench.server()
    server.behaviour.greeting = greeting
    channel = await bench.channel(server)
    assert [verdict(a) for a in await channel.send([mail(), mail()])] == [expected, expected]
    assert not channel.up
    assert server.connections < 10, "a server in trouble must not be hammered"
    server.behaviour.greeting = None
    await until(lambda: channel.up)
    assert [a.result for a in await channel.send([mail()])] == [Result.SENT]


async def test_a_server_that_is_silent_from_the_start(bench: Bench) -> None:
    server = await bench.server()
    server.behaviour.hang = "greeting"
    assert [verdict(a) for a in await bench.send(server)] == [ROUTE_DOWN]


async def test_a_server_that_speaks_no_smtp(bench: Bench) -> None:
    server = await bench.server()
    server.behaviour.garble = "greeting"
    [answer] = await bench.send(server)
    assert answer.result is Result.ROUTE_FAULT


@pytest.mark.parametrize("implicit", [True, False])
async def test_tls_and_credentials(bench: Bench, authority: trustme.CA, tls: ssl.SSLContext, implicit: bool, tmp_path: Any) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = await bench.server(tls=tls, implicit_tls=implicit, users={"inm": "right"}, require_starttls=not implicit)
    route: dict[str, Any] = {"security": "tls" if implicit else "starttls", "username": "inm", "ca_file": str(tmp_path / "ca.pem")}
    assert [a.result for a in await bench.send(server, password="right", **route)] == [Result.SENT]
    assert [verdict(a) for a in await bench.send(server, password="wrong", **route)] == [ROUTE_REFUSED]
    stranger = route | {"ca_file": None, "password": "right"}
    assert [verdict(a) for a in await bench.send(server, **stranger)] == [ROUTE_REFUSED]
    assert [a.result for a in await bench.send(server, **stranger, verify=False)] == [Result.SENT]
    assert server.ledger.count == 2


async def test_starttls_is_never_done_without(bench: Bench, tls: ssl.SSLContext) -> None:
    plain, strict = await bench.server(), await bench.server(tls=tls, require_starttls=True)
    assert [verdict(a) for a in await bench.send(plain, security="starttls")] == [ROUTE_REFUSED]
    assert [verdict(a) for a in await bench.send(strict, security="none")] == [ROUTE_REFUSED]


async def test_a_channel_closes_whose_connection_failed_at_that_moment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """``wait_for`` of Python 3.11 swallows a cancellation that meets a result."""
    waiting = asyncio.Event()

    async def swallowing(_link: Link) -> None:
        waiting.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        raise LinkFaultError(codes.fault(codes.ROUTE_DOWN, "refused"))

    monkeypatch.setattr(Link, "open", swallowing)
    channel = await bench.channel(1, connections=2)
    await waiting.wait()
    async with asyncio.timeout(5.0):
        await channel.close()


# What breaks on the way


@pytest.mark.parametrize("moment", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("fault", ["close", "hang", "garble"])
async def test_a_loss_before_the_message_was_written_is_safe_to_retry(bench: Bench, fault: str, moment: Moment) -> None:
    server = await bench.server()
    setattr(server.behaviour, fault, moment)
    channel = await bench.channel(server, command_timeout=0.2, connections=1)
    assert [verdict(a) for a in await channel.send([mail()])] == [TEMPORARY]
    setattr(server.behaviour, fault, None)
    await until(lambda: channel.up)
    assert [a.result for a in await channel.send([mail()])] == [Result.SENT]
    assert server.ledger.count == 1


@pytest.mark.parametrize("fault", ["close", "hang", "garble"])
async def test_a_loss_after_the_final_dot_is_unknown_and_not_sent_again(bench: Bench, fault: str) -> None:
    server = await bench.server()
    setattr(server.behaviour, fault, "end")
    channel = await bench.channel(server, submit_timeout=0.5, connections=1)
    assert [verdict(a) for a in await channel.send([mail()])] == [UNKNOWN]
    setattr(server.behaviour, fault, None)
    await until(lambda: channel.up)
    assert [a.result for a in await channel.send([mail()])] == [Result.SENT]
    assert server.ledger.count == 2
    assert not server.ledger.duplicates


async def test_what_is_answered_before_it_was_written_is_never_written(bench: Bench) -> None:
    server = await bench.server()
    server.behaviour.hang = "MAIL"
    channel = await bench.channel(server, submit_timeout=1.0, connections=1)
    await until(lambda: channel.up)
    answers = await channel.send([mail(), mail()])
    assert [a.result.value for a in answers] == ["temporary", "throttled"]
    server.behaviour.hang = None
    await until(lambda: server.connections == 2 and channel.up)
    assert [a.result for a in await channel.send([mail("last@example.org")])] == [Result.SENT]
    assert [received.recipient for received in server.ledger.mails] == ["last@example.org"]


async def test_a_message_that_meets_only_connections_that_are_gone_is_sent_over_a_new_one(bench: Bench) -> None:
    server = await bench.server()
    channel = await bench.channel(server, connections=3)
    await until(lambda: server.open_connections == 3)
    await channel.send([mail() for _ in range(9)])
    server.hang_up()
    [answer] = await channel.send([mail()])
    assert verdict(answer) == ("sent", None)


async def test_idle_connections_that_the_server_closed_come_back(bench: Bench) -> None:
    server = await bench.server()
    channel = await bench.channel(server, connections=2)
    await until(lambda: server.open_connections == 2)
    await channel.send([mail(), mail()])
    server.hang_up()
    assert [a.result for a in await channel.send([mail(), mail()])] == [Result.SENT] * 2
    await until(lambda: server.open_connections == 2 and channel.up)
    assert server.ledger.count == 4


async def test_connections_are_kept_and_renewed_after_their_share(bench: Bench) -> None:
    server = await bench.server()
    await bench.send(server, *[mail() for _ in range(20)], connections=1, messages=7)
    assert server.ledger.count == 20
    assert server.connections == 3


async def test_closing_does_not_wait_for_a_silent_server(bench: Bench) -> None:
    server = await bench.server()
    server.behaviour.hang = "end"
    channel = await bench.channel(server, command_timeout=0.2, submit_timeout=300.0)
    sending = asyncio.create_task(channel.send([mail()]))
    await until(lambda: server.ledger.count == 1)
    async with asyncio.timeout(20):
        await channel.close()
        assert [verdict(a) for a in await sending] == [UNKNOWN]


# Several commands at once


async def test_a_server_that_waits_for_a_message_it_will_not_take_gets_a_dot(bench: Bench) -> None:
    """RFC 2920 section 3.1: DATA may be answered before anybody has seen that the recipient was refused."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 script\r\n")
        refused = False
        while line := await reader.readline():
            heard.append(line.strip())
            command = line[:4].upper()
            if command == b"EHLO":
                writer.write(b"250-script\r\n250 PIPELINING\r\n")
            elif command == b"RCPT" and b"nobody" in line:
                refused = True
                writer.write(b"550 5.1.1 No such user\r\n")
            elif command == b"DATA":
                writer.write(b"354 Go on\r\n")
                content = await reader.readuntil(b".\r\n") if refused else await reader.readuntil(b"\r\n.\r\n")
                heard.append(b"nothing" if content == b".\r\n" else b"a message")
                writer.write(b"554 5.5.1 No valid recipients\r\n" if refused else b"250 2.0.0 Ok: queued as 1\r\n")
                refused = False
            else:
                writer.write(b"250 Ok\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "localhost", 0) as server:
        channel = await bench.channel(server.sockets[0].getsockname()[1], connections=1)
        answers = await channel.send([mail("nobody@example.org"), mail()])
        await channel.close()
    assert [(verdict(answer), answer.code) for answer in answers] == [
        (("invalid-address", "invalid-address"), "550 5.1.1"),
        (("sent", None), "250"),
    ]
    said = [line.partition(b" ")[0] for line in heard]
    transaction = [b"MAIL", b"RCPT", b"DATA"]
    assert said == [b"EHLO", *transaction, b"nothing", b"RSET", *transaction, b"a", b"QUIT"]


async def test_commands_leave_together_where_the_server_takes_them_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await bench.server()
    groups: list[int] = []
    say = Dialogue.say

    async def counted(self: Dialogue, octets: bytes, replies: int, seconds: float) -> list[Reply]:
        groups.append(replies)
        return await say(self, octets, replies, seconds)

    monkeypatch.setattr(Dialogue, "say", counted)
    assert [a.result for a in await bench.send(server, mail(), connections=1)] == [Result.SENT]
    assert groups == ([3, 1] if bench.pipelining else [1, 1, 1, 1])
