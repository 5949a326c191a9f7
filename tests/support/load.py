"""Realistic requests, and books of what the SMSC took of them."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from time import monotonic
from types import TracebackType
from typing import Self

import msgspec
from aiokafka import AIOKafkaProducer

from inm import topics
from inm.core.edr import Edr
from inm.demo.smsc import Smsc
from inm.demo.smsc.pdus import Part
from inm.demo.traffic import Traffic
from tests.support.tap import Tap


def patient(text: str, value: bytes) -> bytes:
    """A request to the same recipient, in a scenario that sends nothing twice and whose time is over soon."""
    request = msgspec.json.decode(value) | {"scenario": "patient", "fields": {"text": text}}
    request["to"].pop("language", None)
    return msgspec.json.encode(request)


class Load:
    """Up to ``count`` requests with ids ``<run>-<n>``, one recipient each: the demo's, but those of volta are lab's ``patient``."""

    def __init__(self, producer: AIOKafkaProducer, run: str, count: int = 100_000, seed: int = 1) -> None:
        self._producer = producer
        self._run = run
        self._requests = Traffic(run, seed).requests(count, users=0)
        self._enough = False
        self.ids: set[str] = set()
        """Of what has been sent."""

    async def send(self, rate: float | None = None) -> None:
        """Send all, at ``rate`` a second or at once."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, (tenant, value) in enumerate(self._requests):
            if rate is not None and (early := began + number / rate - loop.time()) > 0:
                await asyncio.sleep(early)
            if self._enough:
                break
            self.ids.add(f"{self._run}-{number}")
            if tenant != "acme":
                tenant, value = "lab", patient(f"{self._run} {number}", value)
            await self._producer.send(topics.requests(tenant), value)
        await self._producer.flush()

    @contextlib.asynccontextmanager
    async def flowing(self, rate: float) -> AsyncIterator[None]:
        """As long as the block lasts."""
        sending = asyncio.create_task(self.send(rate))
        try:
            yield
        finally:
            self._enough = True
            await sending

    def missing(self, tap: Tap) -> set[str]:
        """Requests without a final EDR."""
        return self.ids - {edr.request_id for edr in tap.edrs if edr.final and edr.request_id}

    async def ended(self, tap: Tap, seconds: float = 60.0) -> None:
        """Until each request has its final EDR and nothing more comes."""
        await tap.when(lambda: not self.missing(tap), seconds, lambda: f"{len(self.missing(tap))} of {len(self.ids)} requests have no end")
        await tap.quiet()

    def marked(self, tap: Tap) -> list[Edr]:
        """EDRs that say that something may have been, or was, submitted more than once."""
        return [edr for edr in tap.edrs if edr.request_id in self.ids and (edr.redelivered or edr.duplicate)]


class Books:
    """``with Books(smsc) as books``: every part that the SMSC takes meanwhile, in order."""

    def __init__(self, smsc: Smsc) -> None:
        self._smsc = smsc
        self._take = smsc.take
        self.parts: list[Part] = []
        self.times: list[float] = []
        """When each was taken, as ``monotonic`` has it."""
        self._awaited: list[tuple[int, asyncio.Event]] = []

    def __enter__(self) -> Self:
        self._smsc.take = self._book  # type: ignore[method-assign]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._smsc.take = self._take  # type: ignore[method-assign]

    def _book(self, part: Part) -> int:
        self.parts.append(part)
        self.times.append(monotonic())
        for count, reached in self._awaited:
            if len(self.parts) >= count:
                reached.set()
        return self._take(part)

    async def until(self, count: int, seconds: float = 60.0) -> None:
        """Until so many parts have been taken: returns in the middle of the traffic, not after it."""
        reached = asyncio.Event()
        self._awaited.append((count, reached))
        if len(self.parts) < count:
            async with asyncio.timeout(seconds):
                await reached.wait()

    @property
    def texts(self) -> dict[str, list[str]]:
        """By number, without its plus: texts of one part in plain letters, in order."""
        found: dict[str, list[str]] = {}
        for part in self.parts:
            found.setdefault(part.destination, []).append(part.text.decode("ascii", "replace"))
        return found

    def reach(self, killed: float) -> float:
        """How many seconds before ``killed`` the first of the parts was taken that came again after it; 0 if none was."""
        again = {(part.destination, part.text, part.number) for part, at in zip(self.parts, self.times, strict=True) if at > killed}
        before = [
            killed - at
            for part, at in zip(self.parts, self.times, strict=True)
            if at <= killed and (part.destination, part.text, part.number) in again
        ]
        return max(before, default=0.0)

    def doubles(self) -> Counter[str]:
        """By number (with its plus): parts that came again, and how often."""
        times = Counter((part.destination, part.text, part.number) for part in self.parts)
        again: Counter[str] = Counter()
        for (destination, *_), count in times.items():
            if count > 1:
                again[f"+{destination}"] += count - 1
        return again
