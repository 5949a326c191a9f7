"""Whether what is known of a user serves a notification, or the source is to be asked first, or nothing comes of it."""

from zlib import crc32

from msgspec import Struct, structs

from inm.core.latest import Latest
from inm.core.records import Notification
from inm.core.scenarios import Scenario
from inm.core.sources import Source
from inm.core.users import LATELY, User

LOADS = 3
"""How often it is asked again at once, since a row that was loaded is gone already, before that counts as a failure."""
FIRST, LONGEST = 2_000, 60_000
"""Milliseconds until a notification whose user data cannot be had is tried again: doubling from the first to the longest."""
REMEMBERED = 10_000
"""Keys of which a worker knows that it has asked."""
REFRESH = 0.2
"""The last share of a row's life in which its use asks the source for a newer one."""


class Use(Struct, frozen=True):
    """Decide, by this row or none; it may say that the source knows no such user. ``refresh``: have a newer one asked for meanwhile."""

    row: User | None
    refresh: bool = False


class Ask(Struct, frozen=True):
    """Ask the source; ``notification`` comes back with what it said."""

    notification: Notification


class Hold(Struct, frozen=True):
    """Try again at ``due`` (ms)."""

    notification: Notification
    due: int


class Never(Struct, frozen=True):
    """Its validity has ended before the source answered."""

    detail: str


def consult(notification: Notification, row: User | None, source: Source | None, scenario: Scenario, now: int) -> Use | Ask | Hold | Never:
    """What to do for a notification at ``now`` (ms), by the ``row`` of its key; None: there is none, or it was invalidated."""
    fresh = row if row is not None and row.expires_at >= now else None
    if fresh is not None or source is None or not (notification.user or notification.offer):
        return Use(fresh, refresh=fresh is not None and source is not None and ends_soon(fresh, now))
    if notification.loaded == "unknown":
        return Use(row if row is not None and row.absent else None)
    if notification.loaded == "known" and row is not None and row.loaded_at >= now - LATELY:
        return Use(row)
    if notification.loaded is None or (notification.loaded == "known" and notification.asked < LOADS):
        return Ask(structs.replace(notification, loaded=None, asked=notification.asked + 1))
    return _without(notification, row, scenario, now)


def _without(notification: Notification, row: User | None, scenario: Scenario, now: int) -> Use | Hold | Never:
    """The source fails."""
    if scenario.user_data != "fresh" and row is not None and row.stale_until >= now:
        return Use(row)
    if scenario.user_data == "optional":
        return Use(None)
    ends = scenario.ends(notification)
    if now > ends:
        return Never(f"the source of user data did not answer until the validity of {scenario.validity} s had ended")
    chance = crc32(f"{notification.id}@{notification.asked}".encode()) / 0xFFFF_FFFF
    spacing = min(LONGEST, FIRST << min(notification.asked - 1, 10))
    # The last look is just after the end, for an answer that says so.
    due = min(now + round(spacing * (0.75 + chance / 2)), ends + 1)
    return Hold(structs.replace(notification, loaded=None), due)


def ends_soon(row: User, now: int) -> bool:
    """Whether it is worth a refresh. What was pushed, and that a source knows no such user, is asked for at its end only."""
    return row.stale_until > 0 and row.expires_at - now < REFRESH * (row.expires_at - row.loaded_at)


class Refreshes:
    """Lets so many refreshes through as a tenant's source may bear, and one for each life of a row. One of these a worker and tenant."""

    def __init__(self) -> None:
        self._tokens = 1.0
        self._at = 0
        self._asked: Latest[str, int] = Latest(REMEMBERED)

    def allow(self, row: User, rate: int, now: int) -> bool:
        """Whether the row may be asked for again now (ms), at ``rate`` a second."""
        if self._asked.get(row.key) == row.expires_at:
            return False
        self._tokens = min(float(max(rate, 1)), self._tokens + (now - self._at) / 1000 * rate)
        self._at = now
        if rate == 0 or self._tokens < 1:
            return False
        self._tokens -= 1
        self._asked.put(row.key, row.expires_at)
        return True
