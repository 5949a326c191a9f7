"""A journey being changed: what each kind of outcome does to it."""

from typing import Any

from msgspec import structs

from inm.core.decide import Decision, Refusal, Send
from inm.core.edr import Decided, Edr, Event, Rejected, Times
from inm.core.grounds import Grounds
from inm.core.ids import delivery_id
from inm.core.ledger import Effects, Journey, Sent, Told
from inm.core.records import Notification, Outcome, Receipt
from inm.core.results import Answer, Result

HORIZON = 7 * 24 * 3600 * 1000
"""Milliseconds that a journey is kept after its last event or deadline: how long a repeated request is recognised."""

RANK: dict[str, int] = {"scheduled": 0, "decided": 0, "accepted": 0, "step": 0, "retried": 1, "unknown": 2, "submitted": 3}
RANK |= {"expired": 4, "failed": 4, "suppressed": 4, "expanded": 4, "delivered": 5, "read": 6}
"""What a delivery is known to be only grows: an answer that comes after its receipt does not undo it."""

_AT_DEADLINE: tuple[tuple[str, Event, str], ...] = (
    ("submitted", "unknown", "no-receipt"),
    ("unknown", "unknown", "no-answer"),
    ("failed", "failed", "undelivered"),
    ("expired", "expired", "provider-expired"),
)
"""The state of a step's attempts, the first that is found; the event that it makes of the step; the reason."""

_SHARED = ("channel", "route", "to", "sender", "template", "version", "language", "tone", "step", "attempt", "parts", "encoding")
_FROM_DELIVERY = ("id", "decided", *_SHARED)


_ENDS: dict[str, Event] = {"expired": "expired", "user-data-unavailable": "expired", "suppressed": "suppressed", "opted-out": "suppressed"}
"""The final event of a refusal, by its reason; ``failed`` for all others."""


class Progress:
    """A journey being changed, and the effects so far."""

    def __init__(self, journey: Journey, now: int) -> None:
        self.journey = journey
        self.now = now
        self.effects = Effects()

    def done(self) -> tuple[Journey, Effects]:
        last = self.effects.deadline.at if self.effects.deadline else self.now
        self.journey.expires = max(self.journey.expires, last + HORIZON)
        return self.journey, self.effects

    def current(self, step: int) -> bool:
        """Whether this step is the one that can still end or begin something."""
        return step == self.journey.step and not self.journey.final and self.journey.pending is None

    def attempts(self, step: int) -> list[Sent]:
        return [sent for sent in self.journey.deliveries if sent.step == step]

    def attempt(self, outcome: Outcome) -> Sent | None:
        """The attempt that an outcome is of; a new one takes over what the step's first has. None if it is not of ours."""
        known = self.attempts(outcome.step)
        if not known or outcome.delivery != delivery_id(self.journey.id, outcome.step, outcome.attempt):
            return None
        for sent in known:
            if sent.attempt == outcome.attempt:
                return sent
        fresh: dict[str, Any] = {"id": outcome.delivery, "attempt": outcome.attempt, "state": "decided", "superseded": False}
        fresh |= {"arrived": 0, "provider_ids": (), "started": None, "submitted": None, "delivered": None}
        self.journey.deliveries.append(structs.replace(known[0], **fresh))
        return self.journey.deliveries[-1]

    def start(self, send: Send, notification: Notification, event: Event) -> None:
        """Begin a step."""
        delivery, journey = send.delivery, self.journey
        journey.step, journey.steps, journey.until = delivery.step, send.steps, send.until
        journey.lane, journey.pending = delivery.lane, None
        further = delivery.step < send.steps
        journey.notification = structs.replace(notification, lane=delivery.lane) if further else None
        journey.plan = send.plan if further else []
        self.grounded(send)
        sent = Sent(**{name: getattr(delivery, name) for name in _FROM_DELIVERY})
        journey.deliveries.append(sent)
        self.emit(event, sent, decision=_decided(send.grounds))
        self.effects.delivery = delivery
        self.effects.deadline = Outcome(
            id=f"{delivery.id}.deadline",
            kind="deadline",
            notification=journey.id,
            delivery=delivery.id,
            key=journey.key,
            at=send.deadline,
            step=delivery.step,
        )

    def answered(self, sent: Sent, outcome: Outcome, answer: Answer) -> None:
        """A provider's answer to a submit. After one that accepted it, no other answer to the same delivery counts."""
        if answer.result is not Result.SENT:
            # parts that were accepted before another was refused: they are paid for, and receipts come for them
            sent.provider_ids += tuple(filter(None, answer.provider_ids))
        said = {"reason": answer.reason, "code": answer.code, "text": answer.text, "redelivered": outcome.redelivered}
        sent.superseded |= outcome.retry_at is not None
        if answer.result is Result.SENT:
            self.submitted(sent, outcome, answer)
        elif sent.submitted is not None or RANK[sent.state] > RANK["submitted"]:
            self.tell("answer", f"{sent.id} {answer.result} after it was submitted")
        elif answer.result is Result.UNKNOWN and (outcome.retry_at is not None or outcome.receipts):
            self.noted(sent, outcome, "unknown", said)
        elif outcome.retry_at is not None:
            self.noted(sent, outcome, "retried", said)
        elif answer.result is Result.UNKNOWN:
            self.settle(sent, outcome, "unknown", said)
        else:
            exhausted = {"reason": "retries-exhausted"} if answer.result is Result.TEMPORARY else {}
            self.settle(sent, outcome, "expired" if answer.reason == "expired" else "failed", said | exhausted)

    def submitted(self, sent: Sent, outcome: Outcome, answer: Answer) -> None:
        """The provider took it: the first time of this step, or again."""
        # also by its receipt: the answer may be what a dead worker took with it
        arrived = any(other is not sent and RANK[other.state] >= RANK["delivered"] for other in self.attempts(sent.step))
        duplicate = arrived or any(other.submitted is not None for other in self.attempts(sent.step))
        current = self.current(sent.step)
        if sent.submitted is None:
            sent.submitted, sent.started = outcome.at, outcome.started or None
        sent.provider_ids += tuple(answer.provider_ids)
        if RANK[sent.state] < RANK["submitted"]:
            sent.state = "submitted"
        more: dict[str, Any] = {"provider_ids": answer.provider_ids, "redelivered": outcome.redelivered, "duplicate": duplicate}
        more |= {"code": answer.code, "text": answer.text, "at": outcome.at}
        if current and (self.journey.until == "submitted" or not outcome.receipts):
            self.end("submitted", sent, **more)
        else:
            mark = outcome.id.removeprefix(sent.id).strip(".") if duplicate else ""
            self.emit("submitted", sent, qualifier=mark, correction=not current, **more)

    def reported(self, sent: Sent, outcome: Outcome, receipt: Receipt) -> None:
        """A receipt for one part."""
        said: dict[str, Any] = {"code": receipt.code, "text": receipt.text, "redelivered": outcome.redelivered}
        if receipt.state in ("failed", "expired"):
            event: Event = "expired" if receipt.state == "expired" else "failed"
            default = "provider-expired" if receipt.state == "expired" else "undelivered"
            self.settle(sent, outcome, event, said | {"reason": receipt.reason or default})
        elif receipt.state in ("delivered", "read"):
            complete = (1 << sent.parts) - 1
            sent.arrived |= complete if receipt.state == "read" else 1 << outcome.part - 1 & complete
            self.tell("part", f"{sent.id} part {outcome.part} {receipt.state}")
            if sent.arrived == complete and RANK[sent.state] < RANK["delivered"]:
                self.arrived(sent, outcome, said)
            if receipt.state == "read" and sent.state != "read":
                sent.state = "read"
                self.emit("read", sent, at=outcome.at, **said)
        else:
            self.tell("receipt", f"{sent.id} part {outcome.part} {receipt.state}")

    def arrived(self, sent: Sent, outcome: Outcome, said: dict[str, Any]) -> None:
        """All parts are delivered: the end, from whichever step, or a correction of it."""
        late = not self.current(sent.step)
        sent.state, sent.delivered = "delivered", outcome.at
        if self.journey.final:
            self.emit("delivered", sent, at=outcome.at, correction=True, **said)
        else:
            self.end("delivered", sent, at=outcome.at, correction=late, **said)

    def noted(self, sent: Sent, outcome: Outcome, event: Event, said: dict[str, Any]) -> None:
        """Something that ends no step."""
        if RANK[event] > RANK[sent.state]:
            sent.state = event
            self.emit(event, sent, at=outcome.at, correction=not self.current(sent.step), **said)

    def settle(self, sent: Sent, outcome: Outcome, event: Event, said: dict[str, Any]) -> None:
        """An attempt has come to nothing. That ends the step, unless another attempt of it may still arrive."""
        if RANK[event] <= RANK[sent.state]:
            self.tell(event, f"{sent.id} is {sent.state} already")
            return
        sent.state = event
        standing = any(other.state == "submitted" for other in self.attempts(sent.step))
        if self.current(sent.step) and not sent.superseded and not standing:
            self.end_step(event, sent, at=outcome.at, **said)
        else:
            self.emit(event, sent, at=outcome.at, correction=not self.current(sent.step), **said)

    def end_of_time(self) -> None:
        """The step's deadline has come. The best known of its attempts says what that means."""
        attempts = self.attempts(self.journey.step)
        for state, event, reason in _AT_DEADLINE:
            sent = next((sent for sent in attempts if sent.state == state), None)
            if sent:
                self.end_step(event, sent, again=state == event, reason=reason)
                return
        self.end_step("expired", attempts[-1], reason="expired")

    def end_step(self, event: Event, sent: Sent, *, again: bool = False, **more: Any) -> None:
        """On to the next step, or the end. ``again``: the event has been emitted for this attempt, and only the end repeats it."""
        notification = self.journey.notification
        if notification is None:
            self.end(event, sent, **more)
            return
        if not again:
            self.emit(event, sent, **more)
        self.journey.pending = (event, more.get("reason") or "")
        self.effects.again = structs.replace(notification, step=self.journey.step + 1, loaded=None, asked=0)

    def give_up(self, refusal: Refusal) -> None:
        """No further step can be made: the end is what the last step came to."""
        assert self.journey.pending
        event, reason = self.journey.pending
        self.grounded(refusal)
        self.end(event, self.attempts(self.journey.step)[-1], reason=reason, text=refusal.detail)

    def end(self, event: Event, sent: Sent | None, **more: Any) -> None:
        self.emit(event, sent, final=True, **more)
        self.journey.final = True
        self.journey.pending = self.journey.notification = None
        self.journey.plan = []

    def tell(self, event: str, detail: str = "") -> None:
        self.journey.events.append(Told(self.now, event, detail))

    def refused(self, refusal: Refusal) -> None:
        """Nothing can be sent from the first."""
        self.grounded(refusal)
        self.emit("accepted", None, decision=_decided(refusal.grounds))
        self.end(_ENDS.get(refusal.reason, "failed"), None, reason=refusal.reason, text=refusal.detail)

    def grounded(self, decision: Decision) -> None:
        """Keep what a decision rests on, with the steps that it could not take."""
        self.journey.grounds.append(decision.grounds)

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
        ours: dict[str, Any] = {"times": Times(journey.received)}
        if sent:
            ours = {name: getattr(sent, name) for name in _SHARED}
            ours["provider_ids"] = list(sent.provider_ids)
            ours["times"] = Times(journey.received, sent.decided, sent.started, sent.submitted, sent.delivered)
        ours.update(more)
        edr = Edr(
            id=".".join(filter(None, (subject, event, mark))),
            event=event,
            at=self.now if at is None else at,
            notification=journey.id,
            tenant=journey.tenant,
            scenario=journey.scenario,
            final=final,
            request_id=journey.request_id,
            user=journey.user,
            lane=journey.lane,
            correction=correction,
            test=journey.test,
            parent=journey.parent,
            **ours,
        )
        self.effects.edrs.append(edr)
        words = (subject, "final" if final else "", edr.reason or "", edr.code or "", edr.text or "")
        self.tell(event, " ".join(filter(None, words)))
        if not journey.final or RANK[event] > RANK[journey.state]:
            journey.state = event


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
