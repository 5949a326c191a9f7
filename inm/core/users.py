"""What INM knows of a recipient, and the records by which others tell it (topic ``inm.users``)."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from inm.core.faults import Fault, find
from inm.core.records import Email, Language, Phone

UserKey = Annotated[str, Meta(min_length=3, max_length=400, pattern=r"^[^/\x00-\x1f]+/[^\x00-\x1f]+$(?!\n)")]
"""``tenant/user-id`` or ``tenant/address``, as the key of the record."""
MAX_TTL = 366 * 24 * 3600
"""Seconds. Personal data that nobody has confirmed for a year is nobody's."""


class User(Struct, omit_defaults=True):
    """The cached data of one user; a row of the users table."""

    key: str
    expires_at: int
    """Milliseconds since 1970; after that it is as if it were not there."""
    language: str | None = None
    phone: str | None = None
    email: str | None = None
    name: str | None = None
    fields: dict[str, Any] = {}


class Upsert(Struct, tag="upsert", tag_field="action", omit_defaults=True, forbid_unknown_fields=True):
    """All that is known of a user; replaces what was known. ``ttl`` is in seconds."""

    key: UserKey
    ttl: Annotated[int, Meta(ge=1, le=MAX_TTL)] = 24 * 3600
    language: Language | None = None
    phone: Phone | None = None
    email: Email | None = None
    name: Annotated[str, Meta(max_length=200)] | None = None
    fields: dict[str, Any] = {}

    def user(self, now: int) -> User:
        """The row that this record makes at ``now`` (ms)."""
        return User(self.key, now + self.ttl * 1000, self.language, self.phone, self.email, self.name, self.fields)


class Invalidate(Struct, tag="invalidate", tag_field="action", forbid_unknown_fields=True):
    """Forget a user; the next notification asks the source again."""

    key: UserKey


UserRecord = Upsert | Invalidate
_decoder: msgspec.json.Decoder[UserRecord] = msgspec.json.Decoder(UserRecord)


class InvalidUserError(ValueError):
    """A record on ``inm.users`` that is none; ``faults`` say where."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


def parse(value: bytes) -> UserRecord:
    """A record of ``inm.users``. ``InvalidUserError`` with every fault."""
    try:
        return _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        try:
            faults = find(msgspec.json.decode(value), UserRecord)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            faults = []
        raise InvalidUserError(faults or [Fault("", str(error))]) from error
