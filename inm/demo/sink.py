"""An SMTP server that takes every mail and forgets it: for measurements, of which it must not be the limit.

The demo's own server (:mod:`inm.demo.smtp`) misbehaves as it is told and keeps books. It is built on aiosmtpd, to which a mail is
as much work as to INM. ``python -m inm.demo.sink --port 2525`` runs this one.
"""

import asyncio
import signal
from itertools import count

import click

END = b"\r\n.\r\n"
"""What a message ends with (RFC 5321 section 4.1.1.4)."""

EHLO = b"250-sink.invalid\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n"
OK = b"250 2.0.0 Ok\r\n"
OUT_OF_TURN = b"503 5.5.1 Out of turn\r\n"
UNKNOWN = b"500 5.5.1 Unknown command\r\n"


class Session(asyncio.Protocol):
    """One connection (RFC 5321). What comes together is answered together (RFC 2920)."""

    def __init__(self, numbers: "count[int]") -> None:
        """``numbers`` are those of the mails, over all connections."""
        self._numbers = numbers
        self._buffer = b""
        self._in_message = False
        self._sender = self._recipient = False
        """Whether the transaction that is open has them."""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink.invalid ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        """Commands, messages, or pieces of them."""
        self._buffer += data
        replies = []
        while reply := self._message() if self._in_message else self._command():
            replies.append(reply)
        self._transport.write(b"".join(replies))
        if replies and replies[-1].startswith(b"221"):
            self._transport.close()

    def _message(self) -> bytes:
        """The reply to a whole message, or nothing."""
        _message, end, rest = self._buffer.partition(END)
        if not end:
            return b""
        self._buffer = rest
        self._in_message = self._sender = self._recipient = False
        return b"250 2.0.0 Ok: queued as %X\r\n" % next(self._numbers)

    def _command(self) -> bytes:
        """The reply to a whole command, or nothing."""
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return b""
        self._buffer = rest
        match line[:4].upper():
            case b"EHLO" | b"HELO":
                return EHLO
            case b"MAIL" if not self._sender:
                self._sender = True
                return OK
            case b"RCPT" if self._sender:
                self._recipient = True
                return OK
            case b"DATA" if self._recipient:
                self._in_message = True
                self._buffer = b"\r\n" + rest  # a message of nothing but its end has no line before that
                return b"354 End with <CR><LF>.<CR><LF>\r\n"
            case b"MAIL" | b"RCPT" | b"DATA":
                return OUT_OF_TURN
            case b"RSET":
                self._sender = self._recipient = False
                return OK
            case b"NOOP":
                return OK
            case b"QUIT":
                return b"221 2.0.0 Bye\r\n"
        return UNKNOWN


async def serve(port: int) -> None:
    """Run a server until SIGINT or SIGTERM."""
    loop, numbers, stopped = asyncio.get_running_loop(), count(1), asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopped.set)
    server = await loop.create_server(lambda: Session(numbers), "127.0.0.1", port)
    host, port = server.sockets[0].getsockname()
    click.echo(f"{host}:{port}")
    await stopped.wait()
    server.close()
    click.echo(f"{next(numbers) - 1} mails", err=True)


@click.command()
@click.option("--port", default=2525, show_default=True, help="Port on 127.0.0.1; 0 takes a free one. The address is printed.")
def main(port: int) -> None:
    """Take mail over SMTP and forget it."""
    asyncio.run(serve(port))


if __name__ == "__main__":
    main()
