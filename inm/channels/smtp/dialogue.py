"""Commands and their replies on a connection that stands (RFC 5321), several at once if the server takes them so (RFC 2920).

aiosmtplib opens the connection, with TLS and credentials. But it awaits each reply by itself, and loses those that come together.
"""

import asyncio
import re
from typing import NamedTuple

MAX_REPLY = 32 * 1024
"""Octets of a reply with all of its lines; what is longer is none (RFC 5321 section 4.5.3.1.5 has 512 for a line)."""

LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
"""A line of a reply; a hyphen says that there are more (RFC 5321 section 4.2)."""


class Reply(NamedTuple):
    """What the server said to one command."""

    code: int
    text: str


class Dialogue(asyncio.Protocol):
    """Takes over an open connection whose last command has been answered. One group of commands at a time."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._buffer = b""
        self._lines: list[bytes] = []
        """Of the reply that is coming."""
        self._octets = 0
        """Of these lines."""
        self._replies: list[Reply] = []
        self._awaited = 0
        """Replies that are still to come."""
        self._answered: asyncio.Future[None] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._seconds = 0.0
        self.ended = ""
        """Why the connection is over, if it is."""
        transport.set_protocol(self)

    @property
    def alive(self) -> bool:
        """Whether the connection stands, as far as this side knows."""
        return not (self.ended or self._transport.is_closing())

    async def say(self, octets: bytes, replies: int, seconds: float) -> list[Reply]:
        """Write commands, or a message, and return the replies. The server may take ``seconds`` for each of them.

        If there are fewer than ``replies``, the connection is over: see :attr:`ended`.
        """
        self._replies = []
        if self.alive:
            self._awaited, self._seconds = replies, seconds
            self._answered = asyncio.get_running_loop().create_future()
            self._transport.write(octets)
            self._be_patient()
            try:
                await self._answered
            finally:
                self._stop_waiting()
                if self._answered.cancelled():
                    self.close("it was given up")  # its replies would be taken for those of what is said next
        return self._replies

    def close(self, why: str) -> None:
        """End the connection from this side."""
        self.ended = self.ended or why
        self._transport.close()
        self._wake()

    def data_received(self, data: bytes) -> None:
        """Replies, in pieces or several at once."""
        self._buffer += data
        while self.alive and (end := self._buffer.find(b"\n")) >= 0:
            line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
            self._octets += end + 1
            self._take(line.rstrip())
        if len(self._buffer) + self._octets > MAX_REPLY:
            self.close("the server's reply is too long")

    def _take(self, line: bytes) -> None:
        found = LINE.fullmatch(line)
        if found is None:
            self.close(f"the server answered what is no reply: {line[:200].decode(errors='replace')}")
            return
        self._lines.append(found[3] or b"")
        if found[2] == b"-":
            return
        reply = Reply(int(found[1]), b"\n".join(self._lines).decode(errors="replace"))
        self._lines.clear()
        self._octets = 0
        if not self._awaited:
            self.close(f"{reply.code} {reply.text}")  # nobody has asked: it says good-bye, or is out of step
            return
        self._replies.append(reply)
        self._awaited -= 1
        if self._awaited:
            self._be_patient()
        else:
            self._wake()

    def eof_received(self) -> None:
        """The server says no more: the connection is closed."""

    def connection_lost(self, error: Exception | None) -> None:
        """However it came about."""
        self.ended = self.ended or (repr(error) if error else "the server closed the connection")
        self._wake()

    def _be_patient(self) -> None:
        self._stop_waiting()
        self._patience = asyncio.get_running_loop().call_later(self._seconds, self._lose_patience)

    def _stop_waiting(self) -> None:
        if self._patience:
            self._patience.cancel()

    def _lose_patience(self) -> None:
        self.close(f"no reply within {self._seconds:g} s")

    def _wake(self) -> None:
        if self._answered and not self._answered.done():
            self._answered.set_result(None)
