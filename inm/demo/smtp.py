"""An SMTP server that keeps books of what it took, and misbehaves as it is told.

``python -m inm.demo.smtp --port 2525 --json-ledger mails.jsonl`` runs it alone.
"""

import asyncio
import signal
import ssl
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email import policy
from email.parser import BytesHeaderParser
from pathlib import Path
from time import time
from typing import Any, AnyStr, Literal

import click
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from inm.demo.mails import Ledger, Received

Moment = Literal["greeting", "MAIL", "RCPT", "DATA", "end"]
"""Before which reply; ``end`` is the one after the final dot."""


@dataclass(slots=True)
class Behaviour:
    """What the server does; may be changed while it runs and holds from the next command on."""

    greeting: str | None = None
    """Said instead of 220, and then it hangs up."""
    refuse_sender: Callable[[str], str | None] = lambda _: None
    refuse_recipient: Callable[[str], str | None] = lambda _: None
    """A reply to RCPT for an address, or None to take it."""
    refuse_content: Callable[[bytes], str | None] = lambda _: None
    """A reply after the final dot, or None to take it."""
    delay: float = 0.0
    """Seconds before the reply after the final dot."""
    hang: Moment | None = None
    """Says nothing at this moment, as long as it is set."""
    close: Moment | None = None
    """Hangs up instead of this reply. At ``end`` the message has been taken."""
    garble: Moment | None = None
    """Answers what is no SMTP."""


class Mailbox:
    """The handler behind the protocol: decides by the behaviour, books in the ledger."""

    def __init__(self, ledger: Ledger, behaviour: Behaviour, *, pipelining: bool) -> None:
        self.ledger = ledger
        self.behaviour = behaviour
        self._extensions = ["250-PIPELINING"] if pipelining else []
        self.refused: Counter[str] = Counter()
        """Replies other than success, by their code."""

    async def handle_EHLO(self, server: SMTP, session: Session, envelope: Envelope, hostname: str, replies: list[str]) -> list[str]:  # noqa: N802
        """EHLO. aiosmtpd takes commands from a stream, one after the other, and so several at once (RFC 2920); but it does not say so."""
        session.host_name = hostname
        return [*replies[:-1], *self._extensions, replies[-1]]

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802
        """MAIL FROM."""
        await misbehave(server, self.behaviour, "MAIL")
        refusal = self.behaviour.refuse_sender(address)
        if refusal:
            return self._refuse(refusal)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender ok"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802
        """RCPT TO."""
        await misbehave(server, self.behaviour, "RCPT")
        refusal = self.behaviour.refuse_recipient(address)
        if refusal:
            return self._refuse(refusal)
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Recipient ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """The whole message, after its final dot."""
        content = envelope.original_content or b""
        refusal = self.behaviour.refuse_content(content)
        if refusal:
            return self._refuse(refusal)
        queue_id = f"{self.ledger.count + 1:010X}"
        headers = BytesHeaderParser(policy=policy.compat32).parsebytes(content.partition(b"\r\n\r\n")[0])
        for recipient in envelope.rcpt_tos:
            message_id, subject = str(headers["Message-ID"]), str(headers["Subject"])
            row = Received(queue_id, message_id, envelope.mail_from or "", recipient, subject, len(content), time(), content)
            self.ledger.add(row)
        if self.behaviour.delay:
            await asyncio.sleep(self.behaviour.delay)
        await misbehave(server, self.behaviour, "end")
        return f"250 2.0.0 Ok: queued as {queue_id}"

    def _refuse(self, reply: str) -> str:
        self.refused[reply[:3]] += 1
        return reply


async def misbehave(server: SMTP, behaviour: Behaviour, moment: Moment) -> None:
    """Hang, hang up or talk nonsense if it is the moment to. aiosmtpd ends the session when the transport closes."""
    if behaviour.garble == moment:
        await server.push("¿Qué?".encode())
    if behaviour.close == moment and isinstance(server.transport, asyncio.Transport):
        server.transport.abort()
    if moment in (behaviour.close, behaviour.garble):
        await asyncio.get_running_loop().create_future()
    while behaviour.hang == moment:  # noqa: ASYNC110 - a plain attribute is easier to set than an event
        await asyncio.sleep(0.01)


class Dialogue(SMTP):
    """One session. Every reply passes ``push``, also those that no hook of a handler sees: the greeting and 354."""

    def __init__(self, mailbox: Mailbox, sessions: set["Dialogue"], listening: Callable[[], bool], **options: Any) -> None:
        super().__init__(mailbox, **options)
        self._mailbox = mailbox
        self._sessions = sessions
        self._listening = listening
        self._greeted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be known to the server from now on, unless it has stopped while the connection was made."""
        self._sessions.add(self)
        super().connection_made(transport)
        if not self._listening():
            self.hang_up()

    def connection_lost(self, error: Exception | None) -> None:
        """Be forgotten."""
        self._sessions.discard(self)
        super().connection_lost(error)

    async def push(self, status: AnyStr) -> None:
        """Send a reply, unless the behaviour has another idea."""
        behaviour = self._mailbox.behaviour
        if not self._greeted:
            self._greeted = True
            await misbehave(self, behaviour, "greeting")
            if behaviour.greeting:
                await super().push(behaviour.greeting)
                self.hang_up()
                return
        elif str(status).startswith("354"):
            await misbehave(self, behaviour, "DATA")
        await super().push(status)

    def hang_up(self) -> None:
        """Close the connection from this side."""
        if self.transport is not None:
            self.transport.close()


class SmtpServer:
    """The server: ``start`` it, look into its ``ledger``, change its ``behaviour``, ``stop`` it. Lives on one event loop."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        require_starttls: bool = False,
        users: dict[str, str] | None = None,
        utf8: bool = True,
        pipelining: bool = True,
        size_limit: int = 10 * 1024 * 1024,
        ledger_file: Path | None = None,
    ) -> None:
        """``port`` 0 takes a free one. With ``tls`` it offers STARTTLS, or speaks TLS at once; with ``users`` it requires AUTH."""
        self.host, self.port = host, port
        self.behaviour = Behaviour()
        self.ledger = Ledger(ledger_file)
        self.mailbox = Mailbox(self.ledger, self.behaviour, pipelining=pipelining)
        self.connections = 0
        """Accepted since the start."""
        self._implicit = tls if implicit_tls else None
        self._users = users or {}
        self._options: dict[str, Any] = {
            "hostname": "mail.demo.invalid",
            "ident": "INM demo",
            "enable_SMTPUTF8": utf8,
            "data_size_limit": size_limit,
            "tls_context": None if implicit_tls else tls,
            "require_starttls": require_starttls,
            "auth_required": bool(users),
            "auth_require_tls": not implicit_tls,
            "authenticator": self._authenticate,
        }
        self._sessions: set[Dialogue] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. ``OSError`` if the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, self.host, self.port, ssl=self._implicit)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and hang up; may be started again, on the same port."""
        server, self._server = self._server, None
        if server:
            server.close()
            self.hang_up()
            await server.wait_closed()
        self.ledger.close()

    def hang_up(self) -> None:
        """Close all connections, as a server does with idle ones."""
        for session in list(self._sessions):
            session.hang_up()

    @property
    def open_connections(self) -> int:
        """Sessions that stand now."""
        return len(self._sessions)

    def _session(self) -> Dialogue:
        self.connections += 1
        with warnings.catch_warnings():
            # aiosmtpd knows of STARTTLS only and warns of AUTH in the clear when TLS was there from the first byte.
            warnings.simplefilter("ignore", UserWarning)
            return Dialogue(
                self.mailbox, self._sessions, lambda: self._server is not None, loop=asyncio.get_running_loop(), **self._options
            )

    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        """PLAIN and LOGIN against ``users``; what fails is answered 535 by aiosmtpd."""
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        known = self._users.get(data.login.decode("utf-8", "replace"))
        good = known is not None and known.encode() == data.password
        return AuthResult(success=good, handled=False)


async def serve(port: int, ledger_file: Path | None) -> None:
    """Run a server until SIGINT or SIGTERM."""
    server = SmtpServer(port=port, ledger_file=ledger_file)
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    await server.start()
    click.echo(f"{server.host}:{server.port}")
    await stopped.wait()
    await server.stop()
    click.echo(f"{server.ledger.count} mails, {len(server.ledger.duplicates)} of them more than once", err=True)


@click.command()
@click.option("--port", default=2525, show_default=True, help="Port on 127.0.0.1; 0 takes a free one. The address is printed.")
@click.option("--json-ledger", type=click.Path(path_type=Path, dir_okay=False), help="Append a JSON object a mail to this file.")
def main(port: int, json_ledger: Path | None) -> None:
    """Take mail over SMTP and keep books of it."""
    asyncio.run(serve(port, json_ledger))


if __name__ == "__main__":
    main()
