"""Searching notifications: by anything that somebody may have at hand, in any spelling."""

import re
from collections.abc import Iterator

from msgspec import Struct

from inm.core.ids import NOTIFICATION, notification_id, user_key
from inm.core.ledger import Journey

_ID = re.compile(NOTIFICATION)
_PHONE = re.compile(r"(?:\+|00)?[\d\s().\-/]{5,25}")
PREFIX = 13
"""Characters of an id, behind its partition, that all notifications of a recipient have in common."""


class Wanted(Struct, frozen=True):
    """What is looked for; an empty text is anything. ``since`` and ``until`` in ms since 1970."""

    tenant: str
    text: str = ""
    scenario: str = ""
    state: str = ""
    """A state, or ``open``: not final."""
    since: int = 0
    until: int = 2**63

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is asked."""
        return not (self.text or self.scenario or self.state or self.since)


def id_in(text: str) -> str | None:
    """The notification's id that stands in a text: by itself, or at the beginning of an id of a delivery, an EDR or an outcome."""
    found = _ID.search(text.lower())
    return found[0] if found else None


def spellings(text: str) -> list[str]:
    """What somebody may mean who writes this: as it is, an e-mail address in small letters, a number without its spaces and dashes."""
    text = text.strip()
    found = [text, text.lower()] if "@" in text else [text]
    if _PHONE.fullmatch(text):
        digits = re.sub(r"\D", "", text)
        found += [f"+{digits.removeprefix('00')}"] if text.startswith(("+", "00")) else [f"+{digits}", digits]
    return list(dict.fromkeys(filter(None, found)))


def beginnings(wanted: Wanted, partitions: int) -> dict[str, int]:
    """With what the ids begin of notifications whose recipient is called so, and in which partition they lie."""
    found = {}
    for spelling in spellings(wanted.text):
        notification = notification_id(user_key(wanted.tenant, spelling, None, None), "", partitions)
        partition, _, rest = notification.partition("-")
        found[f"{partition}-{rest[:PREFIX]}"] = int(partition)
    return found


def matches(journey: Journey, wanted: Wanted) -> bool:
    """Whether this is one of those that are looked for."""
    if journey.tenant != wanted.tenant or not wanted.since <= journey.received < wanted.until:
        return False
    if wanted.scenario not in ("", journey.scenario):
        return False
    if wanted.state and (journey.final if wanted.state == "open" else wanted.state != journey.state):
        return False
    return not wanted.text or not set(spellings(wanted.text)).isdisjoint(_names(journey))


def _names(journey: Journey) -> Iterator[str]:
    yield journey.id
    yield journey.key.partition("/")[2]
    yield from filter(None, (journey.request_id, journey.user, journey.parent, journey.campaign))
    for sent in journey.deliveries:
        yield sent.to
        yield from sent.provider_ids
