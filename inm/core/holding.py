"""Holding: how long a step waits until its windows are open."""

from collections.abc import Sequence

from msgspec import Struct

from inm.core.case import Case
from inm.core.records import Lane
from inm.core.scenarios import Step
from inm.core.windows import RECIPIENT, Opening, closing, spread, together
from inm.core.zones import is_zone, zone_of

ZONE = "timezone"
"""The field of user data that says in which zone somebody lives (IANA name)."""


class Wait(Struct, frozen=True):
    """Not now, but at ``until`` (ms); None: not within its validity."""

    until: int | None
    detail: str


class Times(Struct, frozen=True):
    """When the windows of a step that may be sent now close (ms), and when one that has missed that goes on; None: they do not close."""

    closes: int | None = None
    reopens: int | None = None


def openings(case: Case, step: Step, lane: Lane) -> list[Opening]:
    """The windows that a step must heed: the scenario's and its channel's. Who tests wants to see it now."""
    if case.notification.test or (lane == "urgent" and case.scenario.urgent_anytime):
        return []
    names = dict.fromkeys(filter(None, (case.scenario.window, case.book.tenant.windows.get(step.channel))))
    windows = case.book.windows
    return [windows.bound(name, zone(case, windows.documents[name].zone)) for name in names if name in windows.documents]


def zone(case: Case, wanted: str | None) -> str:
    """The zone that a window is of: its own, the tenant's, or the recipient's by user data, or by the phone number."""
    home = case.book.tenant.timezone
    if wanted != RECIPIENT:
        return wanted or home
    lives = case.user_fields.get(ZONE)
    if isinstance(lives, str) and is_zone(lives):
        return lives
    phone = case.phone
    return zone_of(phone, home) if phone else home


def wait(shut: Sequence[Opening], now: int, ends: int, identity: str) -> Wait | None:
    """How long to wait for windows, not beyond ``ends`` (ms); None if all are open."""
    opens = together(shut, now) if shut else now
    if opens == now:
        return None
    names = ", ".join(f"{one.name} ({one.zone.key})" for one in shut)
    if opens is None or opens > ends:
        return Wait(None, f"window {names} does not open within its validity")
    return Wait(min(spread(shut, opens, identity), ends), f"window {names} is shut")


def times(open_now: Sequence[Opening], now: int, identity: str) -> Times:
    """What dispatch goes by, should the windows close before the step is sent."""
    closes = closing(open_now, now) if open_now else None
    if closes is None:
        return Times()
    opens = together(open_now, closes)
    return Times(closes, None if opens is None else spread(open_now, opens, identity))
