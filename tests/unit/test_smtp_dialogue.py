"""Commands and replies of SMTP: however replies are cut on the wire, and whatever is no reply."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.channels.smtp.dialogue import MAX_REPLY, Dialogue, Reply

LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n", exclude_categories=["C", "Z"]), max_size=20)
REPLIES = st.lists(st.tuples(st.integers(200, 599), st.lists(LINES, min_size=1, max_size=3)), min_size=1, max_size=4)


class Wire(asyncio.Transport):
    """What a dialogue writes to."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None: ...

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def octets(replies: Iterable[tuple[int, Sequence[str]]]) -> bytes:
    lines = [f"{code}{' ' if n == len(texts) else '-'}{text}\r\n" for code, texts in replies for n, text in enumerate(texts, 1)]
    return "".join(lines).encode()


async def told(pieces: Iterable[bytes], replies: int, seconds: float = 60.0) -> tuple[list[Reply], Dialogue]:
    """What ``say`` returns if the server answers with these pieces."""
    dialogue = Dialogue(Wire())
    saying = asyncio.create_task(dialogue.say(b"NOOP\r\n" * replies, replies, seconds))
    await asyncio.sleep(0)
    for piece in pieces:
        dialogue.data_received(piece)
    return await saying, dialogue


@given(REPLIES, st.data())
def test_replies_are_the_same_however_they_are_cut(replies: list[tuple[int, list[str]]], data: st.DataObject) -> None:
    whole = octets(replies)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    found, dialogue = asyncio.run(told(pieces, len(replies)))
    assert found == [Reply(code, "\n".join(texts)) for code, texts in replies]
    assert dialogue.alive


@pytest.mark.parametrize("line", [b"hello\r\n", b"25\r\n", b"2500 ok\r\n", b"150 wait\r\n", b"250+ok\r\n", b"\r\n", "²50 ok\r\n".encode()])
async def test_what_is_no_reply_ends_it(line: bytes) -> None:
    found, dialogue = await told([b"250 ok\r\n", line, b"250 ok\r\n"], 3)
    assert found == [Reply(250, "ok")]
    assert not dialogue.alive
    assert dialogue.ended.startswith("the server answered what is no reply")


@pytest.mark.parametrize("endless", [b"x" * 1000, b"250-more\r\n", b"250-\r\n"])
async def test_a_reply_without_end_is_not_kept(endless: bytes) -> None:
    found, dialogue = await told([endless] * (MAX_REPLY // len(endless) + 1), 1)
    assert (found, dialogue.ended) == ([], "the server's reply is too long")


async def test_what_nobody_asked_for_ends_it() -> None:
    """It would be taken for the reply to the next command."""
    found, dialogue = await told([b"250 ok\r\n421 4.4.2 idle for too long\r\n"], 1)
    assert found == [Reply(250, "ok")]
    assert dialogue.ended == "421 4.4.2 idle for too long"
    assert await dialogue.say(b"NOOP\r\n", 1, 60.0) == []


async def test_what_nobody_asked_for_ends_it_also_while_nothing_is_said() -> None:
    found, dialogue = await told([b"250 ok\r\n"], 1)
    assert (found, dialogue.alive) == ([Reply(250, "ok")], True)
    dialogue.data_received(b"421 4.4.2 idle for too long\r\n")
    assert dialogue.ended == "421 4.4.2 idle for too long"
    assert found == [Reply(250, "ok")]


async def test_silence_counts_from_each_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    clock, ahead = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: clock() + ahead)
    dialogue = Dialogue(Wire())
    saying = asyncio.create_task(dialogue.say(b"NOOP\r\n" * 3, 3, 60.0))
    for _ in range(2):
        await asyncio.sleep(0)
        ahead += 50.0
        for _ in range(2):  # timers run behind what is ready
            await asyncio.sleep(0)
        dialogue.data_received(b"250 ok\r\n")
    assert not saying.done()
    ahead += 61.0
    assert await saying == [Reply(250, "ok")] * 2
    assert dialogue.ended == "no reply within 60 s"


async def test_a_command_that_is_given_up_takes_the_connection_with_it() -> None:
    wire = Wire()
    dialogue = Dialogue(wire)
    saying = asyncio.create_task(dialogue.say(b"NOOP\r\n", 1, 60.0))
    await asyncio.sleep(0)
    saying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saying
    assert wire.closed
    assert await dialogue.say(b"NOOP\r\n", 1, 60.0) == []
    assert wire.written == b"NOOP\r\n"
