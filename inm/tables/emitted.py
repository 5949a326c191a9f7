"""What workers that died had already emitted: read when their partitions are taken over, so that a replay does not emit it again.

Outputs come first, then state: a worker that dies between leaves outputs whose cause is processed again. Every such output has
an id that says what it is of, so the second one can be left out. In memory; empty unless somebody died.
"""

from collections.abc import AsyncIterable

import msgspec

from inm import topics
from inm.core.records import Begun, Outcome
from inm.streaming.chunks import Record

SKEW = 2_000
"""Milliseconds by which the clocks of two workers may differ."""


class Identified(msgspec.Struct):
    """Any of our records: what it is of."""

    id: str


class Emitted:
    """Ids of EDRs and deliveries, and the answers of providers by delivery."""

    TOPICS = (topics.EDR, topics.OUTCOMES, topics.BEGUN, *topics.DELIVERIES)

    def __init__(self) -> None:
        self.edrs: set[str] = set()
        self.deliveries: set[str] = set()
        self.answers: dict[str, Outcome] = {}
        self._begun: dict[tuple[str, int], list[Begun]] = {}
        self._identify = msgspec.json.Decoder(Identified).decode
        self._begin = msgspec.json.Decoder(Begun).decode
        self._outcome = msgspec.json.Decoder(Outcome).decode

    async def learn(self, records: AsyncIterable[Record]) -> None:
        """Take in the last outputs of a dead worker. What is no record of ours is passed over."""
        async for record in records:
            try:
                self._learn(record.topic, record.partition, record.value or b"")
            except msgspec.DecodeError:
                continue

    def begun(self, record: Record) -> bool:
        """Whether a worker that died had begun to hand this delivery to its route."""
        ranges = self._begun.get((record.topic, record.partition), ())
        return any(begun.first <= record.offset < begun.next for begun in ranges)

    def _learn(self, topic: str, partition: int, value: bytes) -> None:
        if topic == topics.EDR:
            self.edrs.add(self._identify(value).id)
        elif topic == topics.OUTCOMES:
            outcome = self._outcome(value)
            if outcome.kind == "answer":
                self.answers[outcome.delivery] = outcome
        elif topic == topics.BEGUN:
            begun = self._begin(value)
            self._begun.setdefault((begun.topic, partition), []).append(begun)
        else:
            self.deliveries.add(self._identify(value).id)


emitted = Emitted()
