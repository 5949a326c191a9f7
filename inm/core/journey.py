"""The life of one notification from the decision to its end: a pure state machine, and the ledger against doing it twice.

Laws, which hold for any order and repetition of outcomes: exactly one EDR is final; the same outcome twice
changes nothing; after the end there are corrections and reads, never a new step; what a step before the
current one reports is recorded, and may end the notification as delivered, but begins nothing.
"""

from collections.abc import Sequence

from inm.core.decide import Decision, Send
from inm.core.ledger import Effects, Journey, Sent, Told, copy
from inm.core.progress import HORIZON, Progress
from inm.core.records import Notification, Outcome
from inm.core.results import Result

__all__ = ["HORIZON", "Effects", "Journey", "Sent", "Told", "advance", "begin", "expand", "is_early", "postpone", "resume", "waits_for"]

HELD = frozenset({Result.THROTTLED, Result.ROUTE_FAULT})
"""No attempts: the route waits, not the notification."""


def _new(notification: Notification, now: int) -> Journey:
    return Journey(
        id=notification.id,
        key=notification.key,
        tenant=notification.tenant,
        scenario=notification.scenario,
        received=notification.received,
        lane=notification.lane or "normal",
        steps=0,
        expires=max(now, notification.at or 0) + HORIZON,
        request_id=notification.request_id,
        user=notification.user,
        fingerprint=notification.fingerprint,
        test=notification.test,
        parent=notification.parent,
    )


def postpone(notification: Notification, now: int) -> tuple[Journey, Effects]:
    """A new journey that waits for the notification's time: in the ledger from now on, decided then."""
    journey = _new(notification, now)
    journey.notification = notification
    work = Progress(journey, now)
    work.emit("scheduled", None)
    return work.done()


def waits_for(journey: Journey, notification: Notification) -> bool:
    """Whether this is the notification that the journey was postponed for."""
    held = journey.notification
    return journey.state == "scheduled" and held is not None and held.at == notification.at


def is_early(journey: Journey, outcome: Outcome) -> bool:
    """Whether the outcome is of a step that the row does not have yet: a worker died between evaluate's outputs and its row."""
    return journey.state == "scheduled" or outcome.step > journey.step


def begin(notification: Notification, decision: Decision, now: int, further: Sequence[Notification] = ()) -> tuple[Journey, Effects]:
    """A new journey by the decision for its first step; ``further`` are the notifications for the user's other addresses."""
    journey = _new(notification, now)
    journey.steps = decision.steps if isinstance(decision, Send) else 0
    work = Progress(journey, now)
    if isinstance(decision, Send):
        work.start(decision, notification, "accepted")
    else:
        work.refused(decision)
    work.effects.children.extend(further)
    return work.done()


def expand(notification: Notification, children: Sequence[Notification], now: int) -> tuple[Journey, Effects]:
    """A new journey that ends at once: each of its ``children`` has its own."""
    work = Progress(_new(notification, now), now)
    work.emit("accepted", None)
    if children:
        work.end("expanded", None, children=len(children))
    else:
        work.end("failed", None, reason="unknown-offer", text=f"no members of {notification.key.partition('/')[2]}")
    work.effects.children.extend(children)
    return work.done()


def resume(journey: Journey, notification: Notification, decision: Decision, now: int) -> tuple[Journey, Effects]:
    """A further step by its decision. The same journey and no effects if it has ended meanwhile or has that step already."""
    if journey.pending is None or notification.step <= journey.step:
        return journey, Effects()
    work = Progress(copy(journey), now)
    if isinstance(decision, Send):
        work.start(decision, notification, "step")
    else:
        work.give_up(decision)
    return work.done()


def advance(journey: Journey, outcome: Outcome, now: int) -> tuple[Journey, Effects]:
    """What an outcome makes of the journey. The same journey and no effects if it changes nothing."""
    mark = outcome.id.removeprefix(journey.id)
    held = outcome.answer is not None and outcome.answer.result in HELD and outcome.retry_at is not None
    if held or mark in journey.seen:
        return journey, Effects()
    work = Progress(copy(journey), now)
    work.journey.seen.append(mark)
    if outcome.kind == "deadline":
        if not work.current(outcome.step):
            return journey, Effects()
        work.end_of_time()
        return work.done()
    sent = work.attempt(outcome)
    if sent is None:
        return journey, Effects()
    if outcome.answer:
        work.answered(sent, outcome, outcome.answer)
    elif outcome.receipt:
        work.reported(sent, outcome, outcome.receipt)
    return work.done()
