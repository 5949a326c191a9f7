"""When to try again, by class of result. The schedules are stated in the documentation from here."""

from zlib import crc32

from inm.core.results import Result

SCHEDULE = (5, 30, 120, 600, 1800, 7200)
"""Seconds after a temporary failure of attempt 1, 2, …; then the step has failed."""
JITTER = 0.1
"""Share of the wait by which it varies, so that what failed together does not come back together."""
REOFFER = {Result.THROTTLED: (1_000, 5_000), Result.ROUTE_FAULT: (2_000, 30_000)}
"""Milliseconds, shortest and longest, after what is not an attempt: as often as it takes, until the delivery expires."""
RESEND = 1_000
"""Milliseconds until a message whose fate is unknown is sent again, where the scenario wants that."""


def next_attempt(result: Result, attempt: int, now: int, expires: int, delivery: str) -> int | None:
    """When (ms) a delivery is due again that got ``result`` at its ``attempt`` (from 1); None if never.

    For ``unknown`` ask only if the delivery's policy is ``resend``. The variation is fixed by delivery and time.
    """
    chance = crc32(f"{delivery}@{now}".encode()) / 0xFFFF_FFFF
    if result in REOFFER:
        shortest, longest = REOFFER[result]
        wait = shortest + chance * (longest - shortest)
    elif result is Result.TEMPORARY and attempt <= len(SCHEDULE):
        wait = SCHEDULE[attempt - 1] * 1000 * (1 - JITTER + 2 * JITTER * chance)
    elif result is Result.UNKNOWN and attempt <= len(SCHEDULE):
        wait = RESEND
    else:
        return None
    due = now + round(wait)
    return due if due <= expires else None
