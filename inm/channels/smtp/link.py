"""One connection to an SMTP server: opened, used for one message after another, closed."""

import asyncio
import re
import ssl
from collections.abc import Callable
from time import monotonic

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
from aiosmtplib.response import SMTPResponse

from inm.channels.smtp import codes
from inm.channels.smtp.codes import Phase
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

LINE_DOTS = re.compile(rb"(?m)^\.")


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
        self._client = SMTP(
            hostname=route.host,
            port=route.port,
            username=route.username,
            password=route.password,
            local_hostname=route.local_hostname,
            timeout=route.command_timeout,
            use_tls=route.security == "tls",
            start_tls=route.security == "starttls",
            tls_context=tls,
        )
        self._opened = monotonic()
        self.carried = 0
        """Messages that the server has answered."""

    @property
    def alive(self) -> bool:
        """Whether the connection stands, as far as this side knows."""
        return self._client.is_connected

    @property
    def age(self) -> float:
        """Seconds since it was opened."""
        return monotonic() - self._opened

    async def open(self) -> None:
        """Connect, with TLS and credentials as the route says. Raises :class:`LinkFaultError`."""
        try:
            async with asyncio.timeout(self._route.connect_timeout):
                await self._client.connect()
                if self._client.is_ehlo_or_helo_needed:
                    await self._client.ehlo()
        except (SMTPException, OSError, TimeoutError, ValueError) as error:
            self._client.close()
            raise LinkFaultError(_connect_fault(error)) from error
        self._opened = monotonic()

    async def submit(self, mail: Mail, begin: Callable[[], bool]) -> Answer:
        """One transaction. ``begin`` is asked before the message is written; if it says no, nothing is.

        Raises :class:`LinkLostError` if the server cannot have taken the message.
        """
        if mail.utf8 and not self._client.supports_extension("smtputf8"):
            meaning = codes.PERMANENT if mail.recipient.isascii() else codes.BAD_ADDRESS
            return codes.fault(meaning, "the server knows ASCII addresses only (no SMTPUTF8)")
        for phase, command in self._envelope(mail):
            reply = await self._command(command)
            if reply.code // 100 != (3 if phase is Phase.DATA else 2):
                await self._reset(reply)
                self.carried += 1
                return codes.refusal(phase, *reply)
        if not begin():
            self._client.close()
            raise LinkLostError("the time of the message was over")
        answer = await self._content(mail)
        self.carried += 1
        return answer

    def drop(self) -> None:
        """Close without a word."""
        self._client.close()

    async def quit(self) -> None:
        """Say good-bye if the server still listens, and close."""
        try:
            if self.alive:
                await self._client.quit(timeout=1)
        except (SMTPException, OSError):
            pass
        finally:
            self._client.close()

    def _envelope(self, mail: Mail) -> list[tuple[Phase, tuple[bytes, ...]]]:
        options = [b"SMTPUTF8", b"BODY=8BITMIME"] if mail.utf8 else []
        if self._client.supports_extension("size"):
            options.append(b"SIZE=%d" % len(mail.octets))
        return [
            (Phase.MAIL, (b"MAIL", b"FROM:<%s>" % mail.sender.encode(), *options)),
            (Phase.RCPT, (b"RCPT", b"TO:<%s>" % mail.recipient.encode())),
            (Phase.DATA, (b"DATA",)),
        ]

    async def _command(self, command: tuple[bytes, ...]) -> SMTPResponse:
        try:
            reply = await self._client.execute_command(*command)
        except SMTPResponseException as garbled:
            self._client.close()
            raise LinkLostError(f"the server answered what is no reply: {garbled.message}") from garbled
        except (SMTPException, OSError) as lost:
            self._client.close()
            raise LinkLostError(str(lost)) from lost
        if reply.code == CLOSING:
            self._client.close()
            raise LinkLostError(str(reply))
        return reply

    async def _content(self, mail: Mail) -> Answer:
        """Write the message and its final dot. Past that point only a reply tells what became of it."""
        protocol = self._client.protocol
        if protocol is None:
            raise LinkLostError("the connection was lost before the message was written")
        try:
            protocol.write(LINE_DOTS.sub(b"..", mail.octets) + b".\r\n")
        except SMTPServerDisconnected as lost:
            raise LinkLostError(str(lost)) from lost
        try:
            reply = await protocol.read_response(timeout=self._route.submit_timeout)
        except (SMTPException, OSError) as lost:
            self._client.close()
            return codes.fault(codes.UNKNOWN, str(lost))
        if reply.code // 100 == 2:
            return codes.accepted(*reply, mail.message_id)
        if reply.code == CLOSING or reply.code // 100 not in (4, 5):
            self._client.close()
        return codes.refusal(Phase.END, *reply)

    async def _reset(self, reply: SMTPResponse) -> None:
        """Make the connection fit for the next message; close it if that fails or the server talks out of turn."""
        try:
            if reply.code // 100 not in (4, 5):
                self._client.close()
            elif self.alive:
                await self._client.rset()
        except (SMTPException, OSError):
            self._client.close()


def _connect_fault(error: Exception) -> Answer:
    """What a failure to open means for the route."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SMTPResponseException) and error.code != GARBLED:
        return codes.refusal(PHASES[type(error)], error.code, error.message)
    refused_by_us = isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError)
    # What is left of SMTPException, when it is neither a loss nor a time-out, is an extension that the server lacks.
    lacking = isinstance(error, SMTPException) and not isinstance(error, SMTPConnectError | SMTPServerDisconnected | SMTPTimeoutError)
    return codes.fault(codes.ROUTE_REFUSED if refused_by_us or lacking else codes.ROUTE_DOWN, text)
