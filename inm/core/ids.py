"""Keys, partitions and the deterministic ids by which a replay meets itself."""

import re
from functools import lru_cache
from hashlib import blake2b
from zlib import crc32

from aiokafka.partitioner import murmur2

NOTIFICATION = "[0-9]{1,4}-[0-9a-f]{26}"
"""How the id of a notification is written (a regular expression)."""


@lru_cache(maxsize=50_000)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of ``key`` as Kafka's default partitioner has it (murmur2, as the Java client).

    Remembered, for the same users come again, and murmur2 is Python that looks at each byte.
    """
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


OFFER = "offer:"
"""What the key of a shared offer has before its id, so that it is no user's."""


def user_key(tenant: str, user: str | None, phone: str | None, email: str | None, offer: str | None = None) -> str:
    """``tenant/user-id``, ``tenant/address`` when the request names no user, or ``tenant/offer:<id>``."""
    return f"{tenant}/{OFFER}{offer}" if offer else f"{tenant}/{user or phone or (email or '').lower()}"


def _digest(text: str) -> str:
    """52 bits of a hash as 13 hexadecimal digits: Python's base 32 takes three times as long as all the rest of an id."""
    return blake2b(text.encode(), digest_size=7).hexdigest()[:13]


def notification_id(key: str, identity: str, partitions: int) -> str:
    """``<partition>-<user><request>``: any worker finds the owner by the id, and a user's ids sort together.

    ``identity`` is what makes the request itself: the idempotency key, the producer's request id or
    the record's place on its topic.
    """
    return f"{partition_of(key.encode(), partitions)}-{_digest(key)}{_digest(key + chr(0) + identity)}"


def partition_of_notification(notification: str) -> int:
    """The partition that a notification id begins with. ``ValueError`` if it is no such id."""
    head, _, tail = notification.partition("-")
    if not (head.isdigit() and tail):
        raise ValueError(f"{notification!r} is not a notification id")
    return int(head)


def is_possible(notification: str, partitions: int) -> bool:
    """Whether it can be the id of a notification here."""
    return bool(re.fullmatch(NOTIFICATION, notification)) and partition_of_notification(notification) < partitions


def delivery_id(notification: str, step: int, attempt: int) -> str:
    """``<notification>.<step>.<attempt>``, both counted from 1."""
    return f"{notification}.{step}.{attempt}"


def offer_id(delivery: str, offer: int) -> str:
    """One offer of a delivery to its route: unique among all that is ever on a delivery topic."""
    return f"{delivery}/{offer}"


RETRY = "retry/"


def retry_id(offer: str) -> str:
    """What waits until an offer is made: one item an offer."""
    return RETRY + offer


def partition_of_receipt(key: bytes, partitions: int) -> int:
    """The partition of a :func:`receipt_key`, of which each is new; nobody but INM writes there, so it may be any quick hash."""
    return crc32(key) % partitions


def receipt_key(route: str, provider_id: str) -> str:
    """What a provider's report and our submission have in common: provider ids are unique within a route only."""
    return f"{route}/{provider_id}"
