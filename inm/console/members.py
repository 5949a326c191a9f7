"""What members of rows are called, and how they are shown."""

from collections.abc import Mapping
from typing import Literal

from inm.console.texts import mark as _

Kind = Literal["text", "key", "state", "time", "number", "yes", "data"]

MEMBERS: Mapping[str, tuple[str, Kind]] = {
    "key": (_("Key"), "key"),
    "state": (_("State"), "state"),
    "final": (_("Final"), "yes"),
    "scenario": (_("Scenario"), "text"),
    "recipient": (_("Recipient"), "text"),
    "to": (_("To"), "data"),
    "request": (_("Request id"), "text"),
    "campaign": (_("Campaign"), "text"),
    "lane": (_("Lane"), "text"),
    "step": (_("Step"), "number"),
    "steps": (_("Steps"), "number"),
    "test": (_("A test"), "yes"),
    "received": (_("Received"), "time"),
    "held": (_("Held until"), "time"),
    "expires": (_("Kept until"), "time"),
    "language": (_("Language"), "text"),
    "tone": (_("Tone"), "text"),
    "channel": (_("Channel"), "text"),
    "name": (_("Name"), "text"),
    "phone": (_("Phone"), "text"),
    "email": (_("E-mail"), "text"),
    "phones": (_("Further phones"), "data"),
    "emails": (_("Further e-mail addresses"), "data"),
    "opt_out": (_("Does not want"), "data"),
    "members": (_("Members"), "data"),
    "fields": (_("Fields"), "data"),
    "loaded": (_("Known since"), "time"),
    "stale": (_("Serves until, if the source fails"), "time"),
    "due": (_("Due"), "time"),
    "topic": (_("Topic"), "text"),
    "record": (_("Record"), "data"),
    "notification": (_("Notification"), "text"),
    "delivery": (_("Delivery"), "text"),
    "submitted": (_("Submitted"), "time"),
    "part": (_("Part"), "number"),
    "parts": (_("Parts"), "number"),
    "counted": (_("Messages"), "number"),
    "first": (_("First"), "time"),
    "last": (_("Last"), "time"),
    "waiting": (_("Waiting for a digest"), "number"),
    "digests": (_("Digests"), "data"),
    "begins": (_("Begins with"), "text"),
}
