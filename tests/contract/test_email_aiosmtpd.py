"""The e-mail channel against a server that others wrote: stock aiosmtpd, in a thread of its own."""

import asyncio
import socket
from collections.abc import Sequence
from email.message import EmailMessage, Message

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler

from inm.channels.email import Email, EmailRoute
from inm.core.records import Content, Delivery, Receipt
from inm.core.results import Result


class Collector(MessageHandler):
    def __init__(self) -> None:
        super().__init__(message_class=EmailMessage)
        self.ids: list[str] = []

    def handle_message(self, message: Message) -> None:
        self.ids.append(str(message["Message-ID"]))


def mail(n: int) -> Delivery:
    return Delivery(
        id=f"3-{n:026}.1.1", notification=f"3-{n:026}", key="acme/7", tenant="acme", scenario="invoice", channel="email", lane="normal",
        route="mail", to=f"bob{n}@example.org", sender="Società <a@example.com>",
        content=Content("Ciao", subject=f"È il {n}", html="<p>Ciao</p>"), template="invoice", version=1, language="it", step=1, attempt=1,
        decided=1_700_000_000_000, expires=1_800_000_000_000,
    )  # fmt: skip


async def no_receipts(receipts: Sequence[Receipt]) -> None:
    raise AssertionError("e-mail has no receipts yet")


async def test_stock_aiosmtpd_takes_each_mail_once() -> None:
    handler = Collector()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port, ready_timeout=10)
    await asyncio.to_thread(controller.start)
    channel = Email(EmailRoute("mail", "127.0.0.1", port, "none"))
    try:
        await channel.open(no_receipts)
        answers = await channel.send([mail(n) for n in range(30)])
        await channel.close()
    finally:
        await asyncio.to_thread(controller.stop)
    expected = [f"<{mail(n).id}@example.com>" for n in range(30)]
    assert [a.result for a in answers] == [Result.SENT] * 30
    # Stock aiosmtpd names no queue id, so the Message-ID stands for it.
    assert [a.provider_ids for a in answers] == [[message_id] for message_id in expected]
    assert sorted(handler.ids) == expected
