"""Consent: what a user does not want, and when that counts."""

from inm.core.scenarios import Scenario
from inm.core.users import User

EVERYTHING = "*"


def refusal(user: User | None, scenario: Scenario) -> str | None:
    """The entry by which the user wants nothing of this scenario, whatever the channel. Of a critical one nobody can opt out."""
    return _entry(user, scenario, EVERYTHING, scenario.name)


def channel_refusal(user: User | None, scenario: Scenario, channel: str) -> str | None:
    """The entry by which the user wants nothing of it over this channel."""
    return _entry(user, scenario, EVERYTHING, scenario.name, channel, f"{scenario.name}/{channel}")


def _entry(user: User | None, scenario: Scenario, *entries: str) -> str | None:
    if user is None or not user.opt_out or scenario.critical:
        return None
    return next((entry for entry in entries if entry in user.opt_out), None)
