"""The SMTP server of measurements: takes mails whole, in any pieces, and nothing out of turn."""

import asyncio
import smtplib
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.demo.sink import Session

MAIL = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"


class Wire(asyncio.Transport):
    """What a session writes, and whether it has hung up."""

    def __init__(self) -> None:
        super().__init__()
        self.said = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += data

    def close(self) -> None:
        self.closed = True


def told(*pieces: bytes) -> tuple[list[bytes], bool]:
    """The codes of the replies to these pieces after the greeting, and whether the server has hung up."""
    wire, session = Wire(), Session(count(1))
    session.connection_made(wire)
    for piece in pieces:
        session.data_received(piece)
    return [line[:3] for line in wire.said.splitlines() if line[3:4] != b"-"][1:], wire.closed


@given(st.data(), st.integers(1, 5))
def test_pieces_make_no_difference(data: st.DataObject, mails: int) -> None:
    message = b"Subject: x\r\n\r\n..dots\r\n...\r\nRSET\r\n.\r\n"
    whole = b"EHLO x\r\n" + (MAIL + message) * mails + b"QUIT\r\n"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=12)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert told(*pieces) == told(whole) == ([b"250", *[b"250", b"250", b"354", b"250"] * mails, b"221"], True)


@pytest.mark.parametrize(
    ("commands", "codes"),
    [
        (b"RCPT TO:<c@d.example>\r\n", [b"503"]),
        (b"DATA\r\n", [b"503"]),
        (b"MAIL FROM:<>\r\nDATA\r\n", [b"250", b"503"]),
        (b"MAIL FROM:<>\r\nMAIL FROM:<>\r\n", [b"250", b"503"]),
        (b"MAIL FROM:<>\r\nRSET\r\nRCPT TO:<c@d.example>\r\n", [b"250", b"250", b"503"]),
        (MAIL + b".\r\nRCPT TO:<c@d.example>\r\n", [b"250", b"250", b"354", b"250", b"503"]),
        (b"VRFY me\r\nnoop\r\n", [b"500", b"250"]),
    ],
)
def test_nothing_out_of_turn(commands: bytes, codes: list[bytes]) -> None:
    assert told(commands) == (codes, False)


async def test_the_standard_librarys_client_is_content() -> None:
    numbers = count(1)
    server = await asyncio.get_running_loop().create_server(lambda: Session(numbers), "127.0.0.1", 0)
    address: tuple[str, int] = server.sockets[0].getsockname()

    def send() -> None:
        with smtplib.SMTP(*address, timeout=10) as client:
            for _ in range(3):
                assert client.sendmail("a@b.example", ["c@d.example", "e@f.example"], "Subject: x\n\n.\n.dot\n") == {}

    await asyncio.to_thread(send)
    server.close()
    assert next(numbers) == 4, "mails, not recipients"
