"""A journey being changed: what each kind of outcome does to it."""

from typing import Any

from inm.core.edr import Event
from inm.core.ledger import Deadline, Sent
from inm.core.progress import Progress
from inm.core.records import Outcome, Receipt
from inm.core.results import Answer, Result
from inm.core.states import RANK

_AT_DEADLINE: tuple[tuple[str, Event, str], ...] = (
    ("delivered", "delivered", "not-read"),
    ("submitted", "unknown", "no-receipt"),
    ("unknown", "unknown", "no-answer"),
    ("failed", "failed", "undelivered"),
    ("expired", "expired", "provider-expired"),
)
"""The state of a step's attempts, the first that is found; the event that it makes of the step; the reason."""


class Reaction(Progress):
    """What outcomes do."""

    def answered(self, sent: Sent, outcome: Outcome, answer: Answer) -> None:
        """A provider's answer to a submit. After one that accepted it, no other answer to the same delivery counts."""
        if answer.reason == "stopped":
            self.was_stopped(sent)
            return
        sent.route = outcome.route or sent.route
        if answer.reason == "window-closed" and outcome.retry_at is not None:
            self.put_off(sent, outcome.retry_at)
            return
        if answer.result is not Result.SENT:
            # parts that were accepted before another was refused: they are paid for, and receipts come for them
            sent.provider_ids += tuple(filter(None, answer.provider_ids))
        said = {"reason": answer.reason, "code": answer.code, "text": answer.text, "redelivered": outcome.redelivered}
        sent.superseded |= outcome.retry_at is not None
        sent.due = outcome.retry_at or 0
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
            self.settle(sent, outcome, "expired" if answer.reason in ("expired", "window-closed") else "failed", said | exhausted)

    def was_stopped(self, sent: Sent) -> None:
        """It met the mark before it was sent."""
        if RANK[sent.state] > RANK["retried"] or sent.step not in self.journey.stopped:
            self.tell("answer", f"{sent.id} stopped, and is {sent.state}")
            return
        sent.state = "cancelled"
        # an earlier attempt without answer: a worker died with it, and its fate will be told
        others = [other for other in self.attempts(sent.step) if other is not sent]
        doubtful = any(other.state in ("unknown", "decided") for other in others)
        if self.current(sent.step) and not doubtful and not self.standing(sent.step):
            self.end_step("cancelled", sent, reason="stopped")
        else:
            self.emit("cancelled", sent, reason="stopped", correction=True)

    def put_off(self, sent: Sent, until: int) -> None:
        """Its windows closed before it was sent."""
        sent.due = until
        late = not self.current(sent.step)
        self.emit("held", sent, qualifier=str(until), correction=late, until=until, reason="window-closed")

    def submitted(self, sent: Sent, outcome: Outcome, answer: Answer) -> None:
        """The provider took it: the first time of this step, or again."""
        # also by its receipt: the answer may be what a dead worker took with it
        duplicate = any(
            other.submitted is not None or (other is not sent and RANK[other.state] >= RANK["delivered"])
            for other in self.attempts(sent.step)
        )
        current = self.current(sent.step)
        if sent.submitted is None:
            sent.submitted, sent.started = outcome.at, outcome.started or None
        sent.provider_ids += tuple(answer.provider_ids)
        sent.reports = outcome.receipts
        if RANK[sent.state] < RANK["submitted"]:
            sent.state = "submitted"
        more: dict[str, Any] = {"provider_ids": answer.provider_ids, "redelivered": outcome.redelivered, "duplicate": duplicate}
        more |= {"code": answer.code, "text": answer.text, "at": outcome.at}
        if current and (sent.until == "submitted" or (sent.until == "delivered" and not outcome.receipts)):
            self.end("submitted", sent, **more)
        else:
            mark = outcome.id.removeprefix(sent.id).strip(".") if duplicate else ""
            self.emit("submitted", sent, qualifier=mark, correction=not current, **more)
            if current and outcome.receipts and outcome.silence_at is not None:
                self.journey.deadlines.append(Deadline(outcome.silence_at, "silence", outcome.step, outcome.attempt))

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
                self.was_read(sent, outcome, said)
        else:
            self.tell("receipt", " ".join(filter(None, (f"{sent.id} part {outcome.part} {receipt.state}", receipt.text))))

    def arrived(self, sent: Sent, outcome: Outcome, said: dict[str, Any]) -> None:
        """All parts are delivered."""
        sent.state, sent.delivered = "delivered", outcome.at
        if self.journey.final or sent.until == "read":
            self.emit("delivered", sent, at=outcome.at, correction=not self.current(sent.step), **said)
        else:
            self.satisfied("delivered", sent, outcome, said)

    def was_read(self, sent: Sent, outcome: Outcome, said: dict[str, Any]) -> None:
        sent.state = "read"
        if self.journey.final or sent.until != "read":
            self.emit("read", sent, at=outcome.at, **said)
        else:
            self.satisfied("read", sent, outcome, said)

    def satisfied(self, event: Event, sent: Sent, outcome: Outcome, said: dict[str, Any]) -> None:
        """The end, from whichever step. Of one that had been given up it also stops what was begun in its place."""
        late = not self.current(sent.step)
        steps = [sent.step, *self.journey.open] if late else [sent.step]
        self.end(event, sent, at=outcome.at, correction=late, **said)
        self.stop(steps)

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
        if self.told(event, sent):
            return  # its deadline has said so
        if self.current(sent.step) and not sent.superseded and not self.standing(sent.step):
            self.end_step(event, sent, at=outcome.at, **said)
        else:
            self.emit(event, sent, at=outcome.at, correction=not self.current(sent.step), **said)

    def told(self, event: Event, sent: Sent) -> bool:
        """Whether the world knows this of the attempt."""
        return any((line.event, line.detail.partition(" ")[0]) == (event, sent.id) for line in self.journey.events)

    def standing(self, step: int) -> bool:
        """Whether an attempt of the step is on its way, or there."""
        return any(sent.state in ("submitted", "delivered") for sent in self.attempts(step))

    def is_over(self, outcome: Outcome) -> bool:
        """Whether a deadline, or silence after what was submitted, is the end of a step."""
        silent = [sent for sent in self.attempts(outcome.step) if sent.id == outcome.delivery and sent.state == "submitted"]
        return self.current(outcome.step) and bool(outcome.kind == "deadline" or silent)

    def end_of_time(self, step: int) -> None:
        """A step's deadline has come. The best known of its attempts says what that means."""
        attempts = self.attempts(step)
        for state, event, reason in _AT_DEADLINE:
            sent = next((sent for sent in attempts if sent.state == state), None)
            if sent and state == "submitted" and not sent.reports:
                self.end_step("submitted", sent, again=True, reason="not-read")
                return
            if sent:
                self.end_step(event, sent, again=self.told(event, sent), reason=reason)
                return
        self.end_step("expired", attempts[-1], certain=False, reason="expired")
