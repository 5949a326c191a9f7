"""When to try again, by class of result: a schedule that a deployment may set. The documentation states the defaults from here."""

from typing import Annotated
from zlib import crc32

from msgspec import Meta, Struct

from inm.core.results import Result

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Waits = Annotated[tuple[Seconds, ...], Meta(max_length=20)]
Rounds = Annotated[tuple[Seconds, ...], Meta(min_length=1, max_length=20)]

SPREAD = 0.5
"""Share of the wait by which it varies for what was no attempt: these come in crowds, and would come back as one."""
NOT_AN_ATTEMPT = frozenset({Result.THROTTLED, Result.ROUTE_FAULT})
"""The provider never looked at it."""


class Retries(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Seconds until the next try, by what the last one came to."""

    temporary: Waits = (5, 30, 120, 600, 1800, 7200)
    """After attempt 1, 2, …; then the step has failed."""
    unknown: Waits = (1, 1, 1, 1, 1, 1)
    """Likewise, for scenarios that want a message sent again whose fate is unknown."""
    throttled: Rounds = (2, 4, 8, 15, 30, 60)
    """After it was not taken for the first time, the second, …; then by the last one, until the delivery expires."""
    route_fault: Rounds = (2, 4, 8, 15, 30)
    """Likewise."""
    jitter: Annotated[float, Meta(ge=0, le=0.5)] = 0.1
    """Share of the wait by which ``temporary`` and ``unknown`` vary, so that what failed together does not come back together."""


DEFAULT = Retries()


def next_attempt(retries: Retries, result: Result, attempt: int, offer: int, now: int, expires: int, delivery: str) -> int | None:
    """When (ms) a delivery is due again that got ``result`` at its ``attempt`` (from 1) and ``offer`` (from 0); None if never.

    For ``unknown`` ask only if the delivery's policy is ``resend``. The variation is fixed by delivery and time.
    """
    if result in NOT_AN_ATTEMPT:
        rounds = retries.throttled if result is Result.THROTTLED else retries.route_fault
        wait, jitter = rounds[min(offer, len(rounds) - 1)], SPREAD
    else:
        waits = {Result.TEMPORARY: retries.temporary, Result.UNKNOWN: retries.unknown}.get(result, ())
        if attempt > len(waits):
            return None
        wait, jitter = waits[attempt - 1], retries.jitter
    chance = crc32(f"{delivery}@{now}".encode()) / 0xFFFF_FFFF
    due = now + round(wait * 1000 * (1 - jitter + 2 * jitter * chance))
    return due if due <= expires else None
