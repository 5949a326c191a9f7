"""Time zones: which one a recipient lives in."""

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone


@lru_cache(1000)
def is_zone(name: str) -> bool:
    """Whether there is such a zone (IANA name)."""
    try:
        ZoneInfo(name)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return False
    return True


@lru_cache(10_000)
def zone_of(phone: str, home: str) -> str:
    """The time zone (IANA name) of a number (E.164): of those of its region the one whose clock is nearest to ``home``'s, or ``home``."""
    try:
        zones = timezone.time_zones_for_geographical_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return home
    known = [zone for zone in zones if zone != "Etc/Unknown"]
    if home in known or not known:
        return home
    return min(known, key=lambda zone: (abs(_standard(zone) - _standard(home)), zone))


def _standard(zone: str) -> timedelta:
    """Its offset in January 2026: numbers do not tell where exactly somebody is."""
    return datetime(2026, 1, 1, tzinfo=ZoneInfo(zone)).utcoffset() or timedelta()
