"""Telling: the story of a journey, for explain, and its EDRs, for the world."""

from operator import attrgetter
from typing import Any

from inm.core.edr import Edr, Event, Times
from inm.core.ledger import Effects, Journey, Sent, Told
from inm.core.states import RANK

SHARED = ("channel", "route", "to", "sender", "template", "version", "language", "tone", "step", "attempt", "parts", "encoding")
"""What a delivery, the attempt in the ledger and its EDRs have in common."""
_shared = attrgetter(*SHARED)


class Telling:
    """A journey being changed, and the effects so far."""

    def __init__(self, journey: Journey, now: int) -> None:
        self.journey = journey
        self.now = now
        self.effects = Effects()

    def tell(self, event: str, detail: str = "") -> None:
        """A line of the story."""
        self.journey.events.append(Told(self.now, event, detail))

    def emit(
        self,
        event: Event,
        sent: Sent | None,
        *,
        at: int | None = None,
        final: bool = False,
        correction: bool = False,
        qualifier: str = "",
        **more: Any,
    ) -> None:
        """Tell the story on, and the world. An EDR's id says what it is of, so that a replay makes the same one."""
        journey = self.journey
        subject = sent.id if sent else journey.id
        mark = "final" if final else qualifier or ("late" if correction else "")
        edr = Edr(
            id=f"{subject}.{event}.{mark}" if mark else f"{subject}.{event}",
            event=event,
            at=self.now if at is None else at,
            notification=journey.id,
            tenant=journey.tenant,
            scenario=journey.scenario,
            times=_times(journey, sent),
            final=final,
            request_id=journey.request_id,
            user=journey.user,
            lane=journey.lane,
            correction=correction,
            test=journey.test,
            parent=journey.parent,
            campaign=journey.campaign,
            **((_of(sent) | more) if sent else more),
        )
        self.effects.edrs.append(edr)
        self.tell(event, " ".join(filter(None, (subject, "final" if final else None, edr.reason, edr.code, edr.text))))
        if not journey.final or RANK[event] > RANK[journey.state]:
            journey.state = event


def _times(journey: Journey, sent: Sent | None) -> Times:
    if sent is None:
        return Times(journey.received)
    return Times(journey.received, sent.decided, sent.started, sent.submitted, sent.delivered)


def _of(sent: Sent) -> dict[str, Any]:
    """What an EDR takes from the attempt."""
    return dict(zip(SHARED, _shared(sent), strict=True), provider_ids=list(sent.provider_ids))
