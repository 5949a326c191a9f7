"""A way past every page of the console."""

from collections.abc import Mapping
from typing import NamedTuple


class Stop(NamedTuple):
    """A page by a name; ``{…}`` in its path is something that there must be. ``name`` is also that of its picture."""

    name: str
    path: str


STOPS = (
    Stop("overview", "/"),
    Stop("notifications", "/notifications?state={state}"),
    Stop("notifications-empty", "/notifications"),
    Stop("story", "/notifications/{notification}"),
    Stop("text", "/notifications/{notification}/text"),
    Stop("campaigns", "/campaigns"),
    Stop("campaign", "/campaigns/{campaign}"),
    Stop("dead", "/dead?closed=1"),
    Stop("letter", "/dead/{letter}"),
    Stop("tables", "/tables"),
    Stop("users", "/tables/users"),
    Stop("user", "{user}"),
    Stop("journeys", "/tables/journeys"),
    Stop("schedule", "/tables/schedule"),
    Stop("outbox", "/tables/outbox"),
    Stop("counters", "/tables/counters"),
    Stop("templates", "/templates"),
    Stop("template", "/templates/{template}"),
    Stop("template-edit", "/templates/{template}/edit"),
    Stop("template-email", "/templates/{email}/edit"),
    Stop("template-new", "/new-template"),
    Stop("template-test", "/templates/{template}/test"),
    Stop("scenarios", "/scenarios"),
    Stop("scenario", "/scenarios/{scenario}"),
    Stop("audit", "/audit"),
    Stop("accounts", "/accounts"),
    Stop("account", "/accounts/{account}"),
    Stop("me", "/me"),
    Stop("missing", "/notifications/nobodys"),
)


def stops(places: Mapping[str, str]) -> list[Stop]:
    """With what there is."""
    return [Stop(stop.name, stop.path.format_map(places)) for stop in STOPS]
