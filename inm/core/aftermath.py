"""What follows an answer to a delivery: the outcome, what its receipts are matched with, what these say of it, and the next try."""

from msgspec import structs

from inm.core.ids import delivery_id
from inm.core.records import Delivery, Outcome, Receipt, Submission
from inm.core.results import Answer, Result
from inm.core.retry import NOT_AN_ATTEMPT, Retries, next_attempt

EXPIRED = Answer(Result.PERMANENT, reason="expired")
NOBODY_KNOWS = Answer(Result.UNKNOWN, reason="no-answer", text="the worker died between the submit and its answer")
STOPPED = Answer(Result.NOT_ALLOWED, reason="stopped")
CLOSED = Answer(Result.NOT_ALLOWED, reason="window-closed")
NO_ROUTE = Answer(Result.PERMANENT, reason="no-route", text="no route that the tenant may use takes this address")
ALL_OUT = Answer(Result.ROUTE_FAULT, reason="route-out", text="every route that takes this address has been put out")
MOVING = Answer(Result.THROTTLED, reason="throttled", text="its partition moved to another worker while it waited for its route")
CROWDED = Answer(Result.THROTTLED, reason="throttled", text="too many wait for its route already")

_ELSEWHERE = frozenset({Result.TEMPORARY, Result.THROTTLED, Result.ROUTE_FAULT})
"""What another route may not say."""


def goes_elsewhere(answer: Answer) -> bool:
    """Whether another route is to be tried at once, if there is one."""
    return answer.result in _ELSEWHERE and answer not in (MOVING, ALL_OUT)


def outcome(
    delivery: Delivery, answer: Answer, receipts: bool, started: int, now: int, retries: Retries, other_route: bool = False, slot: int = 0
) -> Outcome:
    """What became of a delivery. Its ``retry_at`` is ``at`` if it goes to another route at once, or ``slot`` if there is one."""
    due = slot if 0 < slot <= delivery.expires else _due(delivery, answer, now, retries)
    return Outcome(
        id=f"{delivery.id}/answer/{next(filter(None, answer.provider_ids), now)}",
        kind="answer",
        notification=delivery.notification,
        delivery=delivery.id,
        key=delivery.key,
        at=now,
        step=delivery.step,
        attempt=delivery.attempt,
        route=delivery.route,
        answer=answer,
        parts=delivery.parts,
        started=started,
        retry_at=now if due is not None and other_route and goes_elsewhere(answer) else due,
        receipts=receipts,
        redelivered=delivery.redelivered,
        offer=delivery.offer,
    )


def accepted_late(delivery: Delivery, answer: Answer, receipts: bool, now: int) -> Outcome:
    """What became of a delivery that the provider has taken after all. There is an outcome of it already, which said ``unknown``."""
    became = outcome(delivery, answer, receipts, 0, now, Retries())
    return structs.replace(became, id=f"{became.id}/late", late=True)


def _due(delivery: Delivery, answer: Answer, now: int, retries: Retries) -> int | None:
    if answer.result is Result.SENT or (answer.result is Result.UNKNOWN and delivery.on_unknown != "resend"):
        return None
    if answer is CLOSED:
        return delivery.reopens if delivery.reopens is not None and delivery.reopens < delivery.expires else None
    return next_attempt(retries, answer.result, delivery.attempt, delivery.offer, now, delivery.expires, delivery.id)


def submissions(delivery: Delivery, outcome: Outcome) -> list[Submission]:
    """What the provider's receipts will be matched with, one a part that it took."""
    ids = outcome.answer.provider_ids if outcome.answer and outcome.receipts else []
    route = outcome.route or delivery.route
    return [
        Submission(route, provider_id, delivery.id, delivery.key, outcome.at, part, len(ids))
        for part, provider_id in enumerate(ids, 1)
        if provider_id
    ]


def reported(receipt: Receipt, submission: Submission) -> Outcome:
    """What a receipt says of the delivery that it is matched with."""
    notification, step, attempt = submission.delivery.rsplit(".", 2)
    return Outcome(
        id=f"{submission.delivery}/receipt/{receipt.provider_id}/{receipt.state}",
        kind="receipt",
        notification=notification,
        delivery=submission.delivery,
        key=submission.key,
        at=receipt.at,
        step=int(step),
        attempt=int(attempt),
        route=receipt.route,
        receipt=receipt,
        part=submission.part,
        parts=submission.parts,
    )


def again(delivery: Delivery, outcome: Outcome) -> Delivery | None:
    """The next attempt, due at the outcome's ``retry_at``; the same one again if the provider never looked at it. None if there is none."""
    if outcome.retry_at is None or outcome.answer is None:
        return None
    result = outcome.answer.result
    # not allowed is tried again only when its windows open
    held = result in NOT_AN_ATTEMPT or result is Result.NOT_ALLOWED
    attempt = delivery.attempt if held else delivery.attempt + 1
    tried = outcome.route or delivery.route
    return structs.replace(
        delivery,
        id=delivery_id(delivery.notification, delivery.step, attempt),
        attempt=attempt,
        offer=delivery.offer + 1 if held else 0,
        closes=None if result is Result.NOT_ALLOWED else delivery.closes,
        avoid=[*delivery.avoid, tried] if outcome.retry_at == outcome.at else [],
    )
