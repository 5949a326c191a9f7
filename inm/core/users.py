"""What INM knows of a recipient, and the records by which others tell it (topic ``inm.users``)."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from inm.core.faults import Fault, find
from inm.core.records import ChannelName, Email, Language, Name, Notification, Phone, Tone

UserKey = Annotated[str, Meta(min_length=3, max_length=400, pattern=r"^[^/\x00-\x1f]+/[^\x00-\x1f]+$(?!\n)")]
"""``tenant/user-id`` or ``tenant/address``, as the key of the record."""
MAX_TTL = 366 * 24 * 3600
"""Seconds. Personal data that nobody has confirmed for a year is nobody's."""

LATELY = 60_000
"""Milliseconds in which a row that was loaded for a notification serves it, however short its ttl."""


class Member(Struct, frozen=True, omit_defaults=True):
    """A member of a shared offer: a user of the tenant or an address, and its role."""

    role: str
    user: str | None = None
    phone: str | None = None
    email: str | None = None


class User(Struct, omit_defaults=True):
    """The cached data of one user, or the members of one offer; a row of the users table."""

    key: str
    expires_at: int
    """Milliseconds since 1970; after that the source is asked again."""
    language: str | None = None
    phone: str | None = None
    email: str | None = None
    name: str | None = None
    fields: dict[str, Any] = {}
    tone: str | None = None
    channel: str | None = None
    """The channel that the user prefers."""
    phones: list[str] = []
    """Further ones, beside ``phone``."""
    emails: list[str] = []
    opt_out: list[str] = []
    """What the user does not want: a channel, a scenario, ``scenario/channel``, or ``*``."""
    members: list[Member] = []
    absent: bool = False
    """The source knows no such user."""
    loaded_at: int = 0
    """When the source was asked, or the record came (ms). Of two writes the one with the later time stays."""
    stale_until: int = 0
    """Until then the row serves while the source fails. 0: it does not come from a source."""

    @property
    def forgotten(self) -> bool:
        """It was invalidated. The row stands for a minute, so that what was asked before that is not written after it."""
        return self.expires_at == 0

    @property
    def ends(self) -> int:
        """When (ms) the row is of no more use."""
        return max(self.expires_at, self.stale_until, self.loaded_at + LATELY)


class UserData(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """All that is known of a user; replaces what was known. ``ttl`` is in seconds."""

    ttl: Annotated[int, Meta(ge=1, le=MAX_TTL)] = 24 * 3600
    language: Language | None = None
    phone: Phone | None = None
    email: Email | None = None
    name: Annotated[str, Meta(max_length=200)] | None = None
    fields: dict[str, Any] = {}
    tone: Tone | None = None
    channel: ChannelName | None = None
    phones: Annotated[list[Phone], Meta(max_length=10)] = []
    emails: Annotated[list[Email], Meta(max_length=10)] = []
    opt_out: Annotated[list[Annotated[str, Meta(min_length=1, max_length=210)]], Meta(max_length=100)] = []
    members: Annotated[list[Member], Meta(max_length=1000)] = []


class Upsert(UserData, tag="upsert", tag_field="action", omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Keep what is known of a user, or of an offer."""

    key: UserKey

    def user(self, now: int) -> User:
        """The row that this record makes at ``now`` (ms)."""
        given = {name: getattr(self, name) for name in self.__struct_fields__ if name != "ttl"}
        return User(expires_at=now + self.ttl * 1000, loaded_at=now, **given)


class Invalidate(Struct, tag="invalidate", tag_field="action", forbid_unknown_fields=True, omit_defaults=True):
    """Forget a user by ``key``, or all users of a ``tenant``, or those of them that ``where`` (CEL over ``user``) holds of."""

    key: UserKey | None = None
    tenant: Name | None = None
    where: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None

    def __post_init__(self) -> None:
        if (self.key is None) == (self.tenant is None) or (self.where and not self.tenant):
            raise ValueError("has a key, or a tenant with or without where")


class Mark(Struct, tag="mark", tag_field="action", forbid_unknown_fields=True, omit_defaults=True):
    """Internal: an :class:`Invalidate` of a tenant, for the partition that it is in."""

    tenant: Name
    where: str | None = None


class Load(Struct, tag="load", tag_field="action", omit_defaults=True, forbid_unknown_fields=True):
    """Internal: ask the source for a user; ``notification`` waits for the answer, or it is a refresh before the row ends."""

    key: UserKey
    notification: Notification | None = None


UserRecord = Upsert | Invalidate | Mark | Load
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
