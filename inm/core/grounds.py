"""Grounds: what a decision rests on, so that anybody can be told later why it came out so. Names and reasons, never values."""

from typing import Literal

from msgspec import Struct

UserState = Literal["none", "unknown", "fresh", "stale", "loaded"]
"""What was known of the user: no data, a source that knows no such user, a row in time, one past its time, one fetched for this."""

Called = Literal["used", "failed", "late", "busy", "resting", "missing"]
"""What came of a plug-in: it was used, raised or answered nonsense, took too long, is not done with an earlier call,
is left out for a while since it was late too often, or is not installed."""


class Skip(Struct, frozen=True):
    """A step that could not be made, and why: ``reason`` is one of ``REASONS``."""

    step: int
    channel: str
    reason: str
    detail: str


class Report(Struct, frozen=True):
    """What came of one call of a plug-in."""

    name: str
    hook: Literal["choose", "enrich"]
    result: Called
    detail: str = ""


class Grounds(Struct, frozen=True, array_like=True):
    """What was known, which rule held, what was rejected. Steps and rules count from 1; field names are those that had a value."""

    step: int = 1
    revision: int = 0
    """The scenario's."""
    user: UserState = "none"
    rules: int = 0
    """How many rules the scenario has."""
    rule: int | None = None
    """Which of them held first."""
    rule_name: str = ""
    misses: list[str] = []
    """Why rules before it that could not be told do not count, and which field values could not be used."""
    skipped: list[Skip] = []
    reports: list[Report] = []
    language: str | None = None
    """What was asked for, by the request or the user data."""
    tone: str | None = None
    preferred: str | None = None
    """The user's channel, if its steps were put first."""
    request_fields: list[str] = []
    user_fields: list[str] = []
