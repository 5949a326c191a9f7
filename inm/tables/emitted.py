"""What workers that died had already emitted: read when their partitions are taken over, so that a replay does not emit it again.

Outputs come first, then state: a worker that dies between leaves outputs whose cause is processed again. Every such output has
an id that says what it is of, so the second one can be left out. In memory; empty unless somebody died.
"""

from collections.abc import AsyncIterable

import msgspec

from inm import topics
from inm.core.records import Outcome
from inm.streaming.chunks import Record

SKEW = 2_000
"""Milliseconds by which the clocks of two workers may differ."""


class Identified(msgspec.Struct):
    """Any of our records: what it is of."""

    id: str


class Emitted:
    """Ids of EDRs and deliveries, and the answers of providers by delivery."""

    TOPICS = (topics.EDR, topics.OUTCOMES, *topics.DELIVERIES)

    def __init__(self) -> None:
        self.edrs: set[str] = set()
        self.deliveries: set[str] = set()
        self.answers: dict[str, Outcome] = {}
        self._identify = msgspec.json.Decoder(Identified).decode
        self._outcome = msgspec.json.Decoder(Outcome).decode

    async def learn(self, records: AsyncIterable[Record]) -> None:
        """Take in the last outputs of a dead worker. What is no record of ours is passed over."""
        async for record in records:
            try:
                self._learn(record.topic, record.value or b"")
            except msgspec.DecodeError:
                continue

    def _learn(self, topic: str, value: bytes) -> None:
        if topic == topics.EDR:
            self.edrs.add(self._identify(value).id)
        elif topic == topics.OUTCOMES:
            outcome = self._outcome(value)
            if outcome.kind == "answer":
                self.answers[outcome.delivery] = outcome
        else:
            self.deliveries.add(self._identify(value).id)


emitted = Emitted()
