"""The life of one notification from the decision to its end: a pure state machine, and the ledger against doing it twice.

Laws, which hold for any order and repetition of outcomes: exactly one EDR is final; the same outcome twice
changes nothing; after the end there are corrections and reads, never a new step; what a step before the
current ones reports is recorded, and may end the notification as delivered, and stop what was not sent yet, but begins
nothing. Steps that begin together end together: when the first of them arrives, or the last one has come to nothing.
"""

from collections.abc import Sequence

from inm.core.decide import Decision, Hold, Send
from inm.core.ledger import Effects, Journey, Sent, Told, copy
from inm.core.progress import HORIZON, Progress
from inm.core.reaction import Reaction
from inm.core.records import Notification, Outcome
from inm.core.results import Result

__all__ = ["HORIZON", "Effects", "Journey", "Sent", "Told", "advance", "begin", "expand", "is_early", "postpone", "resume"]
__all__ += ["asks_for", "waits_for"]

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
        campaign=notification.campaign,
        row=notification.row,
    )


def postpone(notification: Notification, now: int) -> tuple[Journey, Effects]:
    """A new journey that waits for the notification's time: in the ledger from now on, decided then."""
    journey = _new(notification, now)
    journey.notification = notification
    work = Progress(journey, now)
    work.emit("scheduled", None)
    return work.done()


def waits_for(journey: Journey, notification: Notification) -> bool:
    """Whether this is the notification that the journey was postponed for, or held until its window opens."""
    waiting = journey.notification
    undecided = not journey.step and not journey.final and waiting is not None
    return undecided and waiting is not None and (waiting.at, waiting.held) == (notification.at, notification.held)


def asks_for(journey: Journey, notification: Notification) -> bool:
    """Whether the journey waits for this further step to be decided."""
    ended = journey.pending is not None and not journey.open
    return ended and notification.step > journey.step and notification.held == journey.held


def is_early(journey: Journey, outcome: Outcome) -> bool:
    """Whether the outcome is of a step that the row does not have yet: a worker died between evaluate's outputs and its row."""
    return outcome.step > (journey.step or int(journey.final))


def begin(
    notification: Notification, decision: Decision, now: int, further: Sequence[Notification] = (), known: Journey | None = None
) -> tuple[Journey, Effects]:
    """A journey by the decision for its first step, new or the one that was waiting for it.

    ``further`` are the notifications for the user's other addresses.
    """
    work = Progress(copy(known) if known else _new(notification, now), now)
    if isinstance(decision, Send):
        work.start(decision, notification, "accepted")
    elif isinstance(decision, Hold):
        work.hold(decision, notification)
    else:
        work.refused(decision)
    work.effects.children.extend(further)
    return work.done()


def expand(notification: Notification, children: Sequence[Notification], now: int, known: Journey | None = None) -> tuple[Journey, Effects]:
    """A journey that ends at once: each of its ``children`` has its own."""
    work = Progress(copy(known) if known else _new(notification, now), now)
    work.emit("accepted", None)
    if children:
        work.end("expanded", None, children=len(children))
    else:
        work.end("failed", None, reason="unknown-offer", text=f"no members of {notification.key.partition('/')[2]}")
    work.effects.children.extend(children)
    return work.done()


def resume(journey: Journey, notification: Notification, decision: Decision, now: int) -> tuple[Journey, Effects]:
    """A further step by its decision. The same journey and no effects if it has ended meanwhile or has that step already."""
    if not asks_for(journey, notification):
        return journey, Effects()
    work = Progress(copy(journey), now)
    if isinstance(decision, Send):
        work.start(decision, notification, "step")
    elif isinstance(decision, Hold):
        work.hold(decision, notification)
    else:
        work.give_up(decision)
    return work.done()


def advance(journey: Journey, outcome: Outcome, now: int) -> tuple[Journey, Effects]:
    """What an outcome makes of the journey. The same journey and no effects if it changes nothing."""
    mark = outcome.id.removeprefix(journey.id)
    held = outcome.answer is not None and outcome.answer.result in HELD and outcome.retry_at is not None
    if held or mark in journey.seen:
        return journey, Effects()
    work = Reaction(copy(journey), now)
    work.journey.seen.append(mark)
    if outcome.kind == "cancel":
        if journey.final or journey.calling:
            return journey, Effects()
        work.cancel()
        return work.done()
    if outcome.kind in ("deadline", "silence"):
        if not work.is_over(outcome):
            return journey, Effects()
        work.end_of_time(outcome.step)
        return work.done()
    sent = work.attempt(outcome)
    if sent is None:
        return journey, Effects()
    if outcome.answer:
        work.answered(sent, outcome, outcome.answer)
    elif outcome.receipt:
        work.reported(sent, outcome, outcome.receipt)
    return work.done()
