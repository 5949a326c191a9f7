"""Calling back: what a sender who cancels a notification is told, and the record that asks for it."""

from typing import Literal

from inm.core.ledger import Journey
from inm.core.records import Outcome

Called = Literal["cancelled", "too-late", "asked"]
"""It was called back; it may have been sent, or has ended otherwise; it is not known yet."""


def called(journey: Journey) -> Called:
    """How far the wish has come."""
    if journey.final:
        return "cancelled" if journey.state == "cancelled" else "too-late"
    return "too-late" if is_out(journey) else "asked"


def is_out(journey: Journey) -> bool:
    """Whether anything of it may have reached a provider."""
    return any(sent.submitted is not None or sent.state == "unknown" or sent.arrived for sent in journey.deliveries)


def cancel(notification: str, key: str, at: int, by: str, why: str | None = None) -> Outcome:
    """The record for ``inm.outcomes``; asked for twice it is the same one. ``at`` in ms."""
    return Outcome(f"{notification}.cancel", "cancel", notification, "", key, at, 0, by=by, why=why)
