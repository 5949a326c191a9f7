"""Dead letters without Kafka: a topic in memory, read and written as the letterbox does."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, Self

import msgspec

from inm.core import deadletters
from inm.core.audit import of_closing
from inm.core.deadletters import Closing, Letter, Original, Resend
from inm.core.records import Dead


def dead(topic: str = "inm.requests.acme", value: str | None = '{"scenario":"otp"}', **more: Any) -> Dead:
    given = {"reason": "unknown-scenario", "detail": "no such scenario", "stage": "intake", "partition": 3, "offset": 55, "at": 0}
    return Dead(**{**given, "topic": topic, "value": value, **more})


class Topic:
    """``inm.dead``; ``sent`` is what went back. Stands for :class:`inm.web.letterbox.Letterbox` and for ``tail``."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes | None, bytes]] = []
        self.sent: list[Resend] = []
        self.broken: Exception | None = None
        self.recorded: list[str] = []
        """Who did what, to what."""

    def keep(self, letter: Dead, key: str | None = None) -> int:
        """A letter more; its id."""
        self.records.append((key.encode() if key else None, msgspec.json.encode(letter)))
        return len(self.records) - 1

    def __call__(self, settings: object) -> Self:
        return self

    async def __aenter__(self) -> Self:
        if self.broken:
            raise self.broken
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def tail(self, *_: object) -> AsyncIterator[SimpleNamespace]:
        if self.broken:
            raise self.broken
        for offset, (key, value) in enumerate(self.records):
            yield SimpleNamespace(offset=offset, key=key, value=value)

    async def letter(self, number: int) -> Letter | None:
        if not 0 <= number < len(self.records):
            return None
        item = deadletters.read(number, *self.records[number])
        return item if isinstance(item, Letter) else None

    async def fate(self, number: int) -> Letter | None:
        letter = await self.letter(number)
        ends = [deadletters.read(0, *record) for record in self.records]
        for end in ends:
            if letter and isinstance(end, Closing) and end.closes == number and letter.closed is None:
                letter.closed = end
        return letter

    async def original(self, letter: Letter, mended: bytes | None = None) -> Original:
        return deadletters.original(letter, None, 1024, mended)

    async def send(self, resend: Resend) -> "asyncio.Future[Any]":
        self.sent.append(resend)
        return done(SimpleNamespace(topic=resend.topic, partition=resend.partition or 0, offset=88))

    async def close(self, closing: Closing, tenant: str) -> "asyncio.Future[Any]":
        self.records.append((b"", msgspec.json.encode(closing)))
        entry = of_closing(closing, tenant)
        self.recorded.append(f"{entry.who} {entry.what} {entry.path}")
        return done(None)


def done(value: Any) -> "asyncio.Future[Any]":
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.set_result(value)
    return future
