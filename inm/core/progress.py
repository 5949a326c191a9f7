"""A journey being changed: how its steps begin, wait and end."""

from operator import attrgetter
from typing import Any

from msgspec import structs

from inm.core.calling import is_out
from inm.core.decide import Decision, Hold, Refusal, Send
from inm.core.edr import Decided, Event, Rejected
from inm.core.grounds import Grounds
from inm.core.ids import delivery_id
from inm.core.ledger import Deadline, Effects, Journey, Sent
from inm.core.records import Notification, Outcome
from inm.core.states import RANK, WORTH
from inm.core.telling import SHARED, Telling

HORIZON = 7 * 24 * 3600 * 1000
"""Milliseconds that a journey is kept after its last event or deadline: how long a repeated request is recognised."""

AHEAD = 5_000
"""Milliseconds before a further attempt in which it may be under way already: it can be called back for certain only earlier."""

_FROM_DELIVERY = ("id", "decided", *SHARED)
_taken = attrgetter(*_FROM_DELIVERY)

_ENDS: dict[str, Event] = {"expired": "expired", "user-data-unavailable": "expired", "window-closed": "expired"}
_ENDS |= {"suppressed": "suppressed", "opted-out": "suppressed", "not-needed": "suppressed", "cancelled": "cancelled"}
_ENDS |= {"capped": "suppressed", "digested": "suppressed"}
"""The final event of a refusal, by its reason; ``failed`` for all others."""


class Progress(Telling):
    """How steps begin, wait and end."""

    def done(self) -> tuple[Journey, Effects]:
        journey = self.journey
        journey.deadlines = [deadline for deadline in journey.deadlines if deadline.step in journey.open]
        last = max(self.now, journey.held, *(deadline.at for deadline in journey.deadlines))
        journey.expires = max(journey.expires, last + HORIZON)
        return journey, self.effects

    def current(self, step: int) -> bool:
        """Whether this step is one that can still end or begin something."""
        return step in self.journey.open and not self.journey.final

    def attempts(self, step: int) -> list[Sent]:
        return [sent for sent in self.journey.deliveries if sent.step == step]

    # -- beginning ------------------------------------------------------------------------------------

    def start(self, send: Send, notification: Notification, event: Event) -> None:
        """Begin a step, and those beside it."""
        journey = self.journey
        begun = [send, *send.beside]
        journey.step, journey.steps = max(send.last, begun[-1].delivery.step), send.steps
        journey.open = [each.delivery.step for each in begun]
        journey.lane, journey.pending, journey.held = send.delivery.lane, None, 0
        further = journey.step < send.steps
        journey.notification = structs.replace(notification, lane=send.delivery.lane, held=0) if further else None
        journey.plan = send.plan if further else []
        self.grounded(send)
        for number, each in enumerate(begun):
            self._begin(each, "step" if number else event, None if number else _decided(send.grounds))

    def _begin(self, send: Send, event: Event, decided: Decided | None) -> None:
        delivery = send.delivery
        sent = Sent(**dict(zip(_FROM_DELIVERY, _taken(delivery), strict=True)), until=send.until)
        self.journey.deliveries.append(sent)
        self.emit(event, sent, decision=decided)
        self.effects.deliveries.append(delivery)
        self.journey.deadlines.append(Deadline(send.deadline, "deadline", delivery.step))

    def hold(self, hold: Hold, notification: Notification) -> None:
        """Wait for a window: decided again then."""
        journey = self.journey
        waiting = structs.replace(notification, held=hold.until, loaded=None, asked=0)
        journey.held = hold.until
        if not journey.step:
            journey.notification = waiting
        self.effects.later = waiting
        until, step = hold.until, hold.step
        self.emit("held", None, qualifier=f"{notification.step}.{until}", reason="window-closed", text=hold.detail, until=until, step=step)

    def attempt(self, outcome: Outcome) -> Sent | None:
        """The attempt that an outcome is of; a new one takes over what the step's first has. None if it is not of ours."""
        known = self.attempts(outcome.step)
        if not known or outcome.delivery != delivery_id(self.journey.id, outcome.step, outcome.attempt):
            return None
        for sent in known:
            if sent.attempt == outcome.attempt:
                return sent
        fresh: dict[str, Any] = {"id": outcome.delivery, "attempt": outcome.attempt, "state": "decided", "superseded": False}
        fresh |= {"arrived": 0, "provider_ids": (), "started": None, "submitted": None, "delivered": None, "due": 0}
        self.journey.deliveries.append(structs.replace(known[0], **fresh))
        return self.journey.deliveries[-1]

    # -- ending ---------------------------------------------------------------------------------------

    def end_step(self, event: Event, sent: Sent, *, again: bool = False, certain: bool = True, **more: Any) -> None:
        """A step has come to nothing; when all that began together have, the next one begins, or it is the end.

        ``again``: the event has been emitted for this attempt, and only the end repeats it. ``certain``: dispatch has said what became
        of it; without that nobody may say of one that was called back that nothing was sent.
        """
        journey = self.journey
        journey.open.remove(sent.step)
        mine = (event, more.get("reason") or "", sent.step)
        journey.pending = min(filter(None, (journey.pending, mine)), key=lambda came: WORTH.index(came[0]))
        called = journey.calling and not is_out(journey)
        if not (journey.open or journey.notification or called) and journey.pending is mine:
            self.end(event, sent, **more)
            return
        if not again:
            self.emit(event, sent, **more)
        if journey.open:
            return
        if called and certain:
            self.end("cancelled", None, reason="cancelled")
        elif journey.notification and not called:
            self.effects.again = structs.replace(journey.notification, step=journey.step + 1, loaded=None, asked=0)
        else:
            self.give_up()

    def give_up(self, refusal: Refusal | None = None) -> None:
        """No further step can be made: the end is the best of what the last ones came to."""
        assert self.journey.pending
        event, reason, step = self.journey.pending
        if refusal:
            self.grounded(refusal)
        best = max(self.attempts(step), key=lambda sent: (sent.state == event, sent.attempt))
        self.end(event, best, reason=reason or None, text=refusal.detail if refusal else None)

    def refused(self, refusal: Refusal) -> None:
        """Nothing can be sent from the first."""
        self.grounded(refusal)
        self.emit("accepted", None, decision=_decided(refusal.grounds))
        self.end(_ENDS.get(refusal.reason, "failed"), None, reason=refusal.reason, text=refusal.detail)

    def end(self, event: Event, sent: Sent | None, **more: Any) -> None:
        self.emit(event, sent, final=True, **more)
        journey = self.journey
        journey.final = True
        journey.pending = journey.notification = None
        journey.plan, journey.open, journey.held = [], [], 0

    def stop(self, steps: list[int]) -> None:
        """What has not been sent of these steps is not to be."""
        self.journey.stopped += steps
        self.effects.stopped += [f"{self.journey.id}.{step}" for step in steps]

    def cancel(self) -> None:
        """The sender calls it back. What may be under way to a provider at this moment is waited for: it was sent, or it is the end."""
        journey = self.journey
        if is_out(journey):
            self.tell("cancel", "too late")
            return
        self.stop([*journey.open])
        last = [self.attempts(step)[-1] for step in journey.open]
        if any(RANK[sent.state] <= RANK["retried"] and sent.due <= self.now + AHEAD for sent in last):
            journey.calling = True
            self.tell("cancel", "asked for")
        else:
            self.end("cancelled", None, reason="cancelled")

    def grounded(self, decision: Decision) -> None:
        """Keep what a decision rests on, with the steps that it could not take."""
        self.journey.grounds.append(decision.grounds)


def _decided(grounds: Grounds) -> Decided:
    """The grounds as analysts have them: without field names and details."""
    return Decided(
        revision=grounds.revision,
        user=grounds.user,
        rule=grounds.rule,
        rule_name=grounds.rule_name,
        language=grounds.language,
        tone=grounds.tone,
        preferred=grounds.preferred,
        rejected=[Rejected(skip.step, skip.channel, skip.reason) for skip in grounds.skipped],
        algorithms={report.name: report.result for report in grounds.reports},
    )
