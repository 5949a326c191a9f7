"""One connection to an SMTP server: opened, used for one message after another, closed."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from time import monotonic
from typing import cast

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPConnectResponseError,
    SMTPException,
    SMTPHeloError,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from inm.channels.smtp import codes
from inm.channels.smtp.codes import Phase
from inm.channels.smtp.dialogue import Dialogue, Reply
from inm.channels.smtp.message import Mail
from inm.channels.smtp.route import EmailRoute
from inm.core.results import Answer

GARBLED = -1
"""The code that aiosmtplib gives to a reply that is none."""

CLOSING = 421
"""The server says good-bye (RFC 5321 section 3.8): whatever was under way may be tried on another connection."""

PHASES: dict[type[Exception], Phase] = {
    SMTPConnectResponseError: Phase.GREETING,
    SMTPHeloError: Phase.EHLO,
    SMTPResponseException: Phase.STARTTLS,
    SMTPAuthenticationError: Phase.AUTH,
}

EXTENSIONS = ("pipelining", "size", "smtputf8")
"""Those that are made use of, as they are in the reply to EHLO: RFC 2920, RFC 1870, RFC 6531."""


class LinkFaultError(Exception):
    """The connection could not be opened; ``answer`` is what messages get meanwhile."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.text)
        self.answer = answer


class LinkLostError(Exception):
    """The connection ended before the message was written: it is safe to send it again."""


class Link:
    """One connection. Opened once, used by one task."""

    def __init__(self, route: EmailRoute, tls: ssl.SSLContext | None) -> None:
        self._route = route
        self._tls = tls
        self._dialogue: Dialogue | None = None
        self._extensions: frozenset[str] = frozenset()
        self._opened = monotonic()
        self.carried = 0
        """Messages that the server has answered."""

    @property
    def alive(self) -> bool:
        """Whether the connection stands, as far as this side knows."""
        return self._dialogue is not None and self._dialogue.alive

    @property
    def age(self) -> float:
        """Seconds since it was opened."""
        return monotonic() - self._opened

    async def open(self) -> None:
        """Connect, with TLS and credentials as the route says. Raises :class:`LinkFaultError`."""
        route = self._route
        client = SMTP(
            hostname=route.host,
            port=route.port,
            username=route.username,
            password=route.password,
            local_hostname=route.local_hostname,
            timeout=route.command_timeout,
            use_tls=route.security == "tls",
            start_tls=route.security == "starttls",
            tls_context=self._tls,
        )
        try:
            async with asyncio.timeout(route.connect_timeout):
                await client.connect()
                if client.is_ehlo_or_helo_needed:
                    await client.ehlo()
        except (SMTPException, OSError, TimeoutError, ValueError) as error:
            client.close()
            raise LinkFaultError(_connect_fault(error)) from error
        if client.transport is None:
            raise LinkFaultError(codes.fault(codes.ROUTE_DOWN, "the connection was lost as soon as it stood"))
        self._extensions = frozenset(name for name in EXTENSIONS if client.supports_extension(name))
        self._dialogue = Dialogue(cast(asyncio.Transport, client.transport))
        self._opened = monotonic()

    async def submit(self, mail: Mail, begin: Callable[[], bool]) -> Answer:
        """One transaction. ``begin`` is asked before the message is written; if it says no, nothing is.

        Raises :class:`LinkLostError` if the server cannot have taken the message.
        """
        if mail.utf8 and "smtputf8" not in self._extensions:
            meaning = codes.PERMANENT if mail.recipient.isascii() else codes.BAD_ADDRESS
            return codes.fault(meaning, "the server knows ASCII addresses only (no SMTPUTF8)")
        envelope = self._envelope(mail)
        for group in [envelope] if "pipelining" in self._extensions else [[step] for step in envelope]:
            refusal = await self._ask(group)
            if refusal:
                self.carried += 1
                return refusal
        if not begin():
            self.drop()
            raise LinkLostError("the time of the message was over")
        answer = await self._content(mail)
        self.carried += 1
        return answer

    def drop(self) -> None:
        """Close without a word."""
        if self._dialogue:
            self._dialogue.close("it was dropped")

    async def quit(self) -> None:
        """Say good-bye if the server still listens, and close."""
        try:
            await self._say(b"QUIT\r\n", 1, 1.0)
        finally:
            self.drop()

    async def _say(self, octets: bytes, replies: int, seconds: float) -> list[Reply]:
        return await self._dialogue.say(octets, replies, seconds) if self._dialogue else []

    def _envelope(self, mail: Mail) -> list[tuple[Phase, bytes]]:
        options = b" SMTPUTF8 BODY=8BITMIME" if mail.utf8 else b""
        if "size" in self._extensions:
            options += b" SIZE=%d" % len(mail.octets)
        return [
            (Phase.MAIL, b"MAIL FROM:<%s>%s\r\n" % (mail.sender.encode(), options)),
            (Phase.RCPT, b"RCPT TO:<%s>\r\n" % mail.recipient.encode()),
            (Phase.DATA, b"DATA\r\n"),
        ]

    async def _ask(self, group: Sequence[tuple[Phase, bytes]]) -> Answer | None:
        """Say commands that the server takes together; the refusal, if one of them is refused. Raises :class:`LinkLostError`."""
        replies = await self._say(b"".join([command for _, command in group]), len(group), self._route.command_timeout)
        for (phase, _), reply in zip(group, replies, strict=False):
            if reply.code == CLOSING:
                self.drop()
                raise LinkLostError(f"{reply.code} {reply.text}")
            if reply.code // 100 != (3 if phase is Phase.DATA else 2):
                await self._reset(reply, waits=replies[-1].code // 100 == 3)
                return codes.refusal(phase, *reply)
        if len(replies) < len(group):
            raise LinkLostError(self._why)
        return None

    @property
    def _why(self) -> str:
        return (self._dialogue and self._dialogue.ended) or "there is no connection"

    async def _content(self, mail: Mail) -> Answer:
        """Write the message and its final dot. Past that point only a reply tells what became of it."""
        if not self.alive:
            raise LinkLostError("the connection was lost before the message was written")
        content = mail.octets.replace(b"\r\n.", b"\r\n..") + b".\r\n"  # its first line is a header, and has no dot
        replies = await self._say(content, 1, self._route.submit_timeout)
        if not replies:
            return codes.fault(codes.UNKNOWN, self._why)
        [reply] = replies
        if reply.code // 100 == 2:
            return codes.accepted(*reply, mail.message_id)
        if reply.code == CLOSING or reply.code // 100 not in (4, 5):
            self.drop()
        return codes.refusal(Phase.END, *reply)

    async def _reset(self, reply: Reply, *, waits: bool) -> None:
        """Make the connection fit for the next message; close it if that fails or the server talks out of turn.

        ``waits``: it waits for the message all the same. A dot tells it that there is none (RFC 2920 section 3.1).
        """
        if reply.code // 100 not in (4, 5):
            self.drop()
            return
        if waits:
            await self._say(b".\r\n", 1, self._route.command_timeout)
        replies = await self._say(b"RSET\r\n", 1, self._route.command_timeout)
        if not replies or replies[0].code // 100 != 2:
            self.drop()


def _connect_fault(error: Exception) -> Answer:
    """What a failure to open means for the route."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SMTPResponseException) and error.code != GARBLED:
        return codes.refusal(PHASES[type(error)], error.code, error.message)
    refused_by_us = isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError)
    # What is left of SMTPException, when it is neither a loss nor a time-out, is an extension that the server lacks.
    lacking = isinstance(error, SMTPException) and not isinstance(error, SMTPConnectError | SMTPServerDisconnected | SMTPTimeoutError)
    return codes.fault(codes.ROUTE_REFUSED if refused_by_us or lacking else codes.ROUTE_DOWN, text)
