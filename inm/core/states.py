"""States: what is known of a notification, a step or an attempt. Events of EDRs are the same words: the state is what came last.

The one table; code, the schema of EDRs and ``docs/states.md`` go by it.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

Group = Literal["waiting", "under way", "arrived", "not arrived", "not sent"]
Ends = Literal["always", "sometimes", "never"]


class State(Struct, frozen=True):
    """``final``: whether a notification may end with it. ``permanent``: nothing that comes later can change it but a correction.

    ``rank``: of two states of an attempt the higher one counts, in whatever order they come.
    """

    group: Group
    final: Ends
    permanent: bool
    rank: int
    meaning: str


STATES: Mapping[str, State] = {
    "scheduled": State("waiting", "never", False, 0, "it waits for its time"),
    "held": State("waiting", "never", False, 0, "it waits for its window to open"),
    "accepted": State("under way", "never", False, 0, "the request is taken and decided, or refused by the decision"),
    "step": State("under way", "never", False, 0, "a further step of the plan begins"),
    "retried": State("under way", "never", False, 1, "an attempt failed, another follows"),
    "unknown": State("not arrived", "sometimes", False, 2, "no one knows whether it arrived"),
    "submitted": State("under way", "sometimes", False, 3, "the provider took it"),
    "expired": State("not arrived", "sometimes", True, 4, "its time ended before it could be sent, or the provider gave up"),
    "failed": State("not arrived", "sometimes", True, 4, "it could not be sent or delivered"),
    "suppressed": State("not sent", "always", True, 4, "nothing is sent, for a rule of the scenario or the recipient wants it so"),
    "cancelled": State("not sent", "sometimes", True, 4, "it was called back, or was not needed any more, before it was sent"),
    "expanded": State("not sent", "always", True, 4, "it stood for the members of an offer, who have notifications of their own"),
    "delivered": State("arrived", "sometimes", True, 5, "the provider reported all parts as delivered"),
    "read": State("arrived", "sometimes", True, 6, "it was read"),
}
"""By name. ``unknown`` stands below ``submitted``: an answer that comes at last says more."""

RANK: Mapping[str, int] = {"decided": 0} | {name: state.rank for name, state in STATES.items()}
"""What an attempt is known to be only grows: an answer that comes after its receipt does not undo it."""

WORTH = ("read", "delivered", "submitted", "unknown", "failed", "expired", "cancelled")
"""Of several ways that were tried, the best known is how the notification ends."""
