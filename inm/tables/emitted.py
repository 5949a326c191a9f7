"""What workers that died had already emitted: read when their partitions are taken over, so that a replay does not emit it again.

Outputs come first, then state: a worker that dies between leaves outputs whose cause is processed again. Every such output has
an id that says what it is of, so the second one can be left out. In memory; empty unless somebody died lately.
"""

from collections.abc import AsyncIterable

import msgspec

from inm import topics
from inm.core.edr import Edr, Event
from inm.core.ids import RETRY, delivery_id, offer_id
from inm.core.records import Begun, Outcome
from inm.streaming.chunks import Record

SKEW = 2_000
"""Milliseconds by which the clocks of two workers may differ."""


class _Named(msgspec.Struct):
    id: str
    event: Event = "accepted"
    notification: str = ""
    final: bool = False
    step: int | None = None
    reason: str | None = None
    text: str | None = None


class _Delivery(msgspec.Struct):
    id: str
    decided: int
    offer: int = 0


class Emitted:
    """EDRs, deliveries, retries and answers that are out, and what had been begun."""

    TOPICS = (topics.EDR, topics.OUTCOMES, topics.RETRIES, topics.BEGUN, *topics.DELIVERIES)

    def __init__(self) -> None:
        self.edrs: set[str] = set()
        self.finals: dict[str, tuple[str, Event]] = {}
        """Id and event of the end of a notification."""
        self.refusals: dict[str, tuple[str, str]] = {}
        """Reason and detail of ends that are of no step: of notifications that had none, or were called back."""
        self.retries: set[str] = set()
        self.offers: dict[str, int] = {}
        """When each was decided (ms), by :func:`offer_id`."""
        self.answers: dict[str, Outcome] = {}
        """By :func:`offer_id`."""
        self._begun: set[tuple[str, int, int]] = set()
        """Topic, partition and offset of deliveries."""
        self._doubtful = False
        self._named = msgspec.json.Decoder(_Named).decode
        self._delivery = msgspec.json.Decoder(_Delivery).decode
        self._outcome = msgspec.json.Decoder(Outcome).decode
        self._begin = msgspec.json.Decoder(Begun).decode

    async def learn(self, records: AsyncIterable[Record]) -> None:
        """Take in the last outputs of a dead worker. What is no record of ours is passed over."""
        self._doubtful = True
        async for record in records:
            try:
                self._learn(record.topic, record.partition, record.value or b"")
            except msgspec.DecodeError:
                continue

    def forget(self) -> None:
        """All that could be repeated has been processed, or is for the next assignment to ask for."""
        self._doubtful = False
        for known in (self.edrs, self.finals, self.refusals, self.retries, self.offers, self.answers, self._begun):
            known.clear()

    def may_go(self, waiting: str) -> bool:
        """Whether an item that waited is to go on. A retry does once: in a replay its record and its row may both let it go."""
        offer = waiting.removeprefix(RETRY)
        if not self._doubtful or offer == waiting:
            return True
        if offer in self.offers:
            return False
        self.offers[offer] = 0
        return True

    def goes_on(self, notification: str, step: int) -> bool:
        """Whether a delivery of a later step is out, which a replay has yet to decide."""
        begins = f"{notification}."
        return any(offer.startswith(begins) and int(offer[len(begins) :].partition(".")[0]) > step for offer in self.offers)

    def agreed(self, edr: Edr) -> list[Edr]:
        """The record; if a worker that died had told another end, since outcomes came to it in another order: that, and the record as a
        correction of it.
        """
        told = self.finals.get(edr.notification)
        if not edr.final or told is None or told[0] == edr.id:
            return [edr]
        end = msgspec.structs.replace(edr, id=told[0], event=told[1])
        late = f"{edr.id.removesuffix('.final')}.late"
        return [end, msgspec.structs.replace(edr, id=late, final=False, correction=True)]

    def begun(self, record: Record) -> bool:
        """Whether a worker that died had begun to hand this delivery to its route."""
        return (record.topic, record.partition, record.offset) in self._begun

    def decided(self, notification: str, step: int) -> int | None:
        """When (ms) a step was decided whose delivery is out: decided again as of then, it comes out the same."""
        return self.offers.get(offer_id(delivery_id(notification, step, 1), 0)) if self.offers else None

    def _learn(self, topic: str, partition: int, value: bytes) -> None:
        if topic == topics.EDR:
            edr = self._named(value)
            self.edrs.add(edr.id)
            if edr.final:
                self.finals[edr.notification] = edr.id, edr.event
            if edr.final and edr.step is None and edr.reason:
                self.refusals[edr.notification] = (edr.reason, edr.text or "")
        elif topic == topics.RETRIES:
            self.retries.add(self._named(value).id)
        elif topic == topics.OUTCOMES:
            outcome = self._outcome(value)
            if outcome.kind == "answer" and not outcome.late:
                self.answers[offer_id(outcome.delivery, outcome.offer)] = outcome
        elif topic == topics.BEGUN:
            begun = self._begin(value)
            self._begun.update((begun.topic, partition, offset) for offset in begun.offsets)
        else:
            delivery = self._delivery(value)
            self.offers[offer_id(delivery.id, delivery.offer)] = delivery.decided


emitted = Emitted()
