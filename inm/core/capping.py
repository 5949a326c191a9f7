"""The cap: so many messages a recipient and time, and a digest of what exceeds it. Times are milliseconds."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, structs

from inm.core.records import Name, Notification

MOST_ITEMS = 50
"""Messages that a digest tells of one by one; of more it has the number."""

LARGEST = 2000
"""Bytes of a message's fields (as JSON) that a digest keeps; of one with more it has no fields."""
KEPT = 24 * 3600 * 1000
"""How long a digest is kept after its time, until it has surely been made."""

_encode = msgspec.json.Encoder().encode


class Cap(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """At most ``most`` notifications ``within`` seconds to one recipient, urgent ones and tests not counted."""

    most: Annotated[int, Meta(ge=1, le=100)]
    within: Annotated[int, Meta(ge=1, le=30 * 24 * 3600)]
    digest: Name | None = None
    """The scenario that tells of those beyond, in one, as soon as there is room again; without it they are not told of."""


class Item(Struct, omit_defaults=True):
    """A notification that waits for a digest."""

    id: str
    scenario: str
    title: str
    received: int
    fields: dict[str, Any] = {}


class Digest(Struct, array_like=True):
    """A digest that is collected until ``due``, and kept until it has surely been made."""

    due: int
    items: list[Item] = []
    more: int = 0
    """Beyond :data:`MOST_ITEMS`."""


class Had(Struct, array_like=True):
    """What a recipient has had lately; a row of the counters table."""

    times: list[int] = []
    """Of the last messages that count, oldest first; no more than the cap allows."""
    digests: dict[str, Digest] = {}
    """By the notification id of each."""

    def collecting(self, now: int) -> str | None:
        """The digest that further messages go into."""
        return next((name for name, digest in self.digests.items() if digest.due > now), None)


def is_full(had: Had, cap: Cap, now: int) -> bool:
    """Whether the recipient has had as many as the cap allows."""
    return len(had.times) >= cap.most and had.times[-cap.most] > now - cap.within * 1000


def room_at(had: Had, cap: Cap, now: int) -> int:
    """When there is room again, if nothing more is sent."""
    return had.times[-cap.most] + cap.within * 1000 if is_full(had, cap, now) else now + 1


def counted(had: Had, cap: Cap, now: int) -> Had:
    """With a message that is sent now."""
    return structs.replace(had, times=[*had.times, now][-cap.most :])


def collected(had: Had, item: Item, name: str, due: int, now: int) -> Had:
    """With one more in a digest, which is made at ``due`` if it is a new one; the same item again changes nothing."""
    digest = had.digests.get(name, Digest(due))
    if any(known.id == item.id for known in digest.items):
        return had
    if len(digest.items) < MOST_ITEMS:
        digest = structs.replace(digest, items=[*digest.items, item])
    else:
        digest = structs.replace(digest, more=digest.more + 1)
    kept = {other: made for other, made in had.digests.items() if made.due > now - KEPT}
    return structs.replace(had, digests=kept | {name: digest})


def item_of(notification: Notification, title: str) -> Item:
    """What a digest keeps of a notification."""
    told = notification.fields if len(_encode(notification.fields)) <= LARGEST else {}
    return Item(notification.id, notification.scenario, title, notification.received, told)


def digest(notification: Notification, name: str, scenario: str, due: int) -> Notification:
    """The digest to come for the recipient of a notification, itself named ``name``; what it tells of is filled in when it is decided."""
    return Notification(
        name,
        notification.key,
        notification.tenant,
        scenario,
        due,
        user=notification.user,
        phone=notification.phone,
        email=notification.email,
        language=notification.language,
        tone=notification.tone,
    )


def fields(digest: Digest) -> dict[str, Any]:
    """What the digest's template sees: ``count``, and ``items`` with ``scenario``, ``title``, ``received`` and their ``fields``."""
    items = [
        {"scenario": item.scenario, "title": item.title, "received": _moment(item.received), "fields": item.fields} for item in digest.items
    ]
    return {"count": len(items) + digest.more, "items": items}


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
