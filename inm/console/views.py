"""What the views of tables show: how a row is found and named, whose it is, and what of it is masked."""

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import msgspec

from inm import topics
from inm.console.texts import mark as _
from inm.core.books import Book
from inm.core.ids import partition_of_notification, partition_of_receipt
from inm.core.masking import Mask, shape
from inm.core.records import Wait
from inm.core.states import STATES
from inm.core.story import masked
from inm.core.users import Member, User
from inm.streaming.tables import Table
from inm.tables import schedule, users
from inm.tables.counters import counters
from inm.tables.journeys import journeys
from inm.tables.outbox import outbox

Told = dict[str, Any]


class Viewer(NamedTuple):
    """For whom rows are told: ``unmask`` as they are. ``now`` in ms since 1970."""

    tenant: str
    book: Book
    now: int
    unmask: bool = False

    def owns(self, key: str) -> bool:
        """Whether ``tenant/…`` is the tenant's."""
        return key.partition("/")[0] == self.tenant

    def name(self, text: str) -> str:
        """Somebody's id: masked if it is an address."""
        return masked(text) if not self.unmask and is_address(text) else text

    def address(self, text: str | None) -> str | None:
        """A phone number or an e-mail address."""
        return text if self.unmask or text is None else masked(text)

    def data(self, item: Any) -> Any:
        """Members that may say anything of a person."""
        return item if self.unmask else Mask(msgspec.json.encode({"fields": item})).document["fields"]


def is_address(text: str) -> bool:
    """Whether somebody's id is a phone number or an e-mail address."""
    return "@" in text or text.startswith("+")


class View:
    """A table: ``columns`` of its list, ``filters`` with the values there are (None: any text).

    A row's *place* is its key as text, by which the list is ordered; several partitions are one list.
    """

    name: str
    title: str
    about: str
    table: Table
    columns: tuple[str, ...]
    filters: Mapping[str, tuple[str, ...] | None]
    shared = False
    """Rows of all tenants lie between one another."""

    def find(self, text: str, viewer: Viewer, partitions: int) -> tuple[str, Collection[int]]:
        """Place, and partitions in which it can be, of a key as people write it. ``ValueError`` if it is none."""
        return text, range(partitions)

    def key(self, place: str, partition: int, viewer: Viewer) -> bytes:
        """The key of a place."""
        return place.encode()

    def place(self, key: bytes) -> str:
        """The place of a key."""
        return key.decode(errors="replace")

    def end(self, viewer: Viewer) -> bytes | None:
        """Before which key the tenant's rows end."""
        return None

    def tell(self, partition: int, place: str, stored: bytes, viewer: Viewer) -> Told | None:
        """A row; None if it is not the tenant's, or past its end."""
        raise NotImplementedError


class OfTenant(View):
    """Its keys begin with the tenant, and are of a recipient."""

    def find(self, text: str, viewer: Viewer, partitions: int) -> tuple[str, Collection[int]]:
        return text, [topics.partition_of_key(f"{viewer.tenant}/{text}", partitions)]

    def key(self, place: str, partition: int, viewer: Viewer) -> bytes:
        return f"{viewer.tenant}/{place}".encode()

    def place(self, key: bytes) -> str:
        return key.decode(errors="replace").partition("/")[2]

    def end(self, viewer: Viewer) -> bytes | None:
        return f"{viewer.tenant}0".encode()  # 0 follows /


class Users(OfTenant):
    """What is known of users."""

    name, title, about = "users", _("Users"), _("What is known of users, as their source said or a producer told.")
    table = users.users.table
    columns = ("key", "state", "language", "channel", "phone", "email", "expires")
    filters: Mapping[str, tuple[str, ...] | None] = {"begins": None, "state": ("fresh", "stale", "absent"), "language": None}

    def tell(self, partition: int, place: str, stored: bytes, viewer: Viewer) -> Told | None:
        row = users.peeked(partition, stored, viewer.book, viewer.now)
        if row is None:
            return None
        return {
            "key": viewer.name(place),
            "state": _state(row, viewer.now),
            "language": row.language,
            "tone": row.tone,
            "channel": row.channel,
            "name": row.name if viewer.unmask or row.name is None else shape(row.name),
            "phone": viewer.address(row.phone),
            "email": viewer.address(row.email),
            "phones": list(map(viewer.address, row.phones)),
            "emails": list(map(viewer.address, row.emails)),
            "opt_out": row.opt_out,
            "members": [_member(member, viewer) for member in row.members],
            "fields": viewer.data(row.fields),
            "loaded": row.loaded_at,
            "expires": row.expires_at,
            "stale": row.stale_until or None,
        }


class Counters(OfTenant):
    """What recipients have had lately."""

    name, title, about = "counters", _("Counters"), _("How many messages a recipient has had lately, and what waits for a digest.")
    table = counters.table
    columns = ("key", "counted", "first", "last", "waiting")
    filters: Mapping[str, tuple[str, ...] | None] = {"begins": None}

    def tell(self, partition: int, place: str, stored: bytes, viewer: Viewer) -> Told | None:
        row = counters.read(stored, viewer.now)
        if row is None:
            return None
        digests = [{"id": name, "due": each.due, "items": len(each.items), "more": each.more} for name, each in row.digests.items()]
        times = {"first": min(row.times, default=None), "last": max(row.times, default=None)}
        waiting = sum(len(each.items) + each.more for each in row.digests.values() if each.due > viewer.now)
        return {"key": viewer.name(place), "counted": len(row.times), **times, "waiting": waiting, "digests": digests}


class Journeys(View):
    """One row a notification."""

    name, title, about = "journeys", _("Journeys"), _("One row a notification: its state, and what is needed for its next steps.")
    table = journeys.table
    columns = ("key", "state", "final", "scenario", "recipient", "received", "expires")
    filters: Mapping[str, tuple[str, ...] | None] = {"state": tuple(STATES), "scenario": None}
    shared = True

    def find(self, text: str, viewer: Viewer, partitions: int) -> tuple[str, Collection[int]]:
        if "-" not in text:  # a place
            return text, range(partitions)
        return text.partition("-")[2], [partition_of_notification(text)]

    def key(self, place: str, partition: int, viewer: Viewer) -> bytes:
        return f"{partition}-{place or FIRST}".encode()

    def place(self, key: bytes) -> str:
        return key.decode(errors="replace").partition("-")[2]

    def tell(self, partition: int, place: str, stored: bytes, viewer: Viewer) -> Told | None:
        row = journeys.read(stored, viewer.now)
        if row is None or row.tenant != viewer.tenant:
            return None
        return {
            "key": row.id,
            "state": row.state,
            "final": row.final,
            "scenario": row.scenario,
            "recipient": viewer.name(row.key.partition("/")[2]),
            "to": sorted({f"{sent.channel} {viewer.address(sent.to)}" for sent in row.deliveries}),
            "request": row.request_id,
            "campaign": row.campaign,
            "lane": row.lane,
            "step": row.step,
            "steps": row.steps,
            "test": row.test,
            "received": row.received,
            "held": row.held or None,
            "expires": row.expires,
        }


FIRST = "0"
"""Before the first id of a notification, behind its partition."""


class Schedule(View):
    """What waits, in the order of its time."""

    name, title, about = "schedule", _("Schedule"), _("What waits for its time: attempts, held notifications, digests.")
    table = schedule.schedule
    columns = ("due", "key", "topic", "recipient")
    filters: Mapping[str, tuple[str, ...] | None] = {"topic": (topics.OUTCOMES, *topics.NOTIFICATIONS, *topics.DELIVERIES)}
    shared = True

    def find(self, text: str, viewer: Viewer, partitions: int) -> tuple[str, Collection[int]]:
        if not re.fullmatch(r"[0-9]{1,19}/.+", text, re.DOTALL):
            raise ValueError(text)
        due, _, identity = text.partition("/")
        return f"{int(due):019}/{identity}", range(partitions)

    def key(self, place: str, partition: int, viewer: Viewer) -> bytes:
        due, _, identity = place.partition("/")
        return schedule.key_of(int(due or 0), identity)

    def place(self, key: bytes) -> str:
        due, identity = schedule.place(key)
        return f"{due:019}/{identity}"

    def tell(self, partition: int, place: str, stored: bytes, viewer: Viewer) -> Told | None:
        row = _wait(stored)
        if not viewer.owns(row.key) or row.topic == topics.RECEIPTS:
            return None
        record = msgspec.json.decode(row.value) if viewer.unmask else Mask(bytes(row.value)).document
        return {
            "key": f"{row.due}/{row.id}",
            "due": row.due,
            "topic": row.topic,
            "recipient": viewer.name(row.key.partition("/")[2]),
            "record": record,
        }


class Outbox(View):
    """What was submitted, by the provider's id."""

    name, title, about = "outbox", _("Outbox"), _("Which message a provider's id stands for, so that its receipts find it.")
    table = outbox.table
    columns = ("key", "notification", "recipient", "submitted", "parts", "expires")
    filters: Mapping[str, tuple[str, ...] | None] = {"begins": None}
    shared = True

    def find(self, text: str, viewer: Viewer, partitions: int) -> tuple[str, Collection[int]]:
        return text, [partition_of_receipt(text.encode(), partitions)]

    def tell(self, partition: int, place: str, stored: bytes, viewer: Viewer) -> Told | None:
        row = outbox.read(stored, viewer.now)
        sent = row.submission if row else None
        if row is None or sent is None or not viewer.owns(sent.key):
            return None
        return {
            "key": place,
            "notification": sent.delivery.partition(".")[0],
            "delivery": sent.delivery,
            "recipient": viewer.name(sent.key.partition("/")[2]),
            "submitted": sent.at,
            "part": sent.part,
            "parts": sent.parts,
            "expires": outbox.end(stored),
        }


VIEWS: tuple[View, ...] = (Users(), Journeys(), Schedule(), Outbox(), Counters())

_wait = msgspec.json.Decoder(Wait).decode


def _state(row: User, now: int) -> str:
    return "absent" if row.absent else "fresh" if row.expires_at >= now else "stale"


def _member(member: Member, viewer: Viewer) -> Told:
    user = viewer.name(member.user) if member.user else None
    told = {"role": member.role, "user": user, "phone": viewer.address(member.phone), "email": viewer.address(member.email)}
    return {name: value for name, value in told.items() if value is not None}
