"""Sources of user data: a customer's database or HTTP service, and how its answer becomes a user."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError
from msgspec import Meta, Struct

from inm.core.faults import Fault
from inm.core.fields import Field, FieldName, Fields, FieldSet
from inm.core.ids import OFFER
from inm.core.records import ChannelName, Language, Name, Tone
from inm.core.users import Member, User

Variable = Annotated[str, Meta(pattern=r"^[A-Z][A-Z0-9_]*$(?!\n)", description="a variable of the environment, as CRM_PASSWORD")]
"""The name of an environment variable that holds a secret."""
Kind = Literal["users", "offers"]
Row = Any
"""SQL: a dict by column; HTTP: JSON data."""


class Map(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which column (SQL) or JMESPath (HTTP) each part of a user comes from. ``key``: what was asked for, SQL only."""

    key: str = "id"
    language: str | None = None
    tone: str | None = None
    channel: str | None = None
    name: str | None = None
    phone: str | None = None
    """One address, or a list: the first and further ones."""
    email: str | None = None
    opt_out: str | None = None
    """A list, or a text with commas; true is all."""
    role: str | None = None
    """Only of an offer's members."""
    user: str | None = None
    """Likewise: the member's own id."""
    fields: dict[FieldName, str] = {}

    @property
    def places(self) -> dict[str, str]:
        """The columns or paths by what they are for, with JSON pointers below ``map``."""
        own = {name: getattr(self, name) for name in self.__struct_fields__ if name not in ("key", "fields")}
        return {name: place for name, place in own.items() if place} | {f"fields/{name}": place for name, place in self.fields.items()}


class Lookup(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How to ask. SQL: a query with ``IN :keys``; HTTP: a path with ``{key}``."""

    query: str | None = None
    path: str | None = None
    keys: Literal["text", "integer"] = "text"
    """SQL: the type of the column that ``:keys`` is compared with. What is no such number is no user."""
    rows: str | None = None
    """HTTP: the JMESPath of the user, or of the list of members, where the answer itself is not it."""
    map: Map = Map()


class Source(Struct, frozen=True, forbid_unknown_fields=True, tag="source", tag_field="kind", omit_defaults=True):
    """Where a tenant's user data are asked for. Seconds everywhere."""

    tenant: Name
    name: Name
    type: Literal["sql", "http"]
    url_env: Variable
    """The environment variable with the database's or service's URL, passwords included."""
    users: Lookup
    offers: Lookup | None = None
    """The members of a shared offer: one row a member."""
    token_env: Variable | None = None
    """HTTP: a bearer token."""
    ttl: Annotated[int, Meta(ge=1, le=31_622_400)] = 86_400
    negative_ttl: Annotated[int, Meta(ge=1, le=86_400)] = 300
    """How long it is remembered that the source knows no such user."""
    stale: Annotated[int, Meta(ge=0, le=31_622_400)] = 86_400
    """How long after its ttl a row may serve while the source fails."""
    timeout: Annotated[float, Meta(gt=0, le=30)] = 2.0
    batch: Annotated[int, Meta(ge=1, le=1000)] = 200
    """Keys a query."""
    connections: Annotated[int, Meta(ge=1, le=50)] = 4
    refresh_rate: Annotated[int, Meta(ge=0, le=10_000)] = 50
    """Users a second, at most, that are asked for again before their rows end; for each worker. 0: none."""

    def lookup(self, kind: Kind) -> Lookup | None:
        """How to ask for users or offers; None if the source has none."""
        return self.users if kind == "users" else self.offers


def asked(key: str) -> tuple[Kind, str]:
    """What the key of a user or offer (``tenant/…``) is called at the source."""
    own = key.partition("/")[2]
    return ("offers", own.removeprefix(OFFER)) if own.startswith(OFFER) else ("users", own)


def variables_of(tenant: str) -> str:
    """How the names of the environment variables begin that a tenant's documents may name."""
    return re.sub(r"[^A-Z0-9]", "_", tenant.upper()) + "_"


def faults(source: Source, user: FieldSet) -> Iterator[Fault]:
    """What is wrong with a source's document. ``user`` are the fields of the tenant's users."""
    prefix = variables_of(source.tenant)
    for name in ("url_env", "token_env"):
        variable = getattr(source, name)
        # Another tenant's secret, or one of INM itself, would go to this tenant's service.
        if variable and not variable.startswith(prefix):
            yield Fault(f"/{name}", "no variable of this tenant", repr(variable), f"a name that begins with {prefix}")
    for kind in ("users", "offers"):
        lookup = source.lookup(kind)
        if lookup is not None:
            yield from _how(lookup, source.type, f"/{kind}")
            for place in lookup.map.fields:
                if user.declared and place not in user.fields:
                    yield Fault(f"/{kind}/map/fields/{place}", "no such field of users", None, ", ".join(user.fields) or "none is declared")


_PARTS = {
    "sql": ("query", re.compile(r"(?is)\s*(select|with)\b.*\bin\s*:keys\b.*"), "SELECT … WHERE … IN :keys"),
    "http": ("path", re.compile(r"/[^\s#]*\{key\}[^\s#]*"), "a path that begins with / and has {key}"),
}


def _how(lookup: Lookup, kind: str, pointer: str) -> Iterator[Fault]:
    wanted, pattern, allowed = _PARTS[kind]
    text = getattr(lookup, wanted)
    if text is None:
        yield Fault(f"{pointer}/{wanted}", "is missing", None, allowed)
    elif not pattern.fullmatch(text):
        yield Fault(f"{pointer}/{wanted}", f"no {wanted} of a source of type {kind}", repr(text[:60]), allowed)
    for place, expression in ({**lookup.map.places, "rows": lookup.rows} if kind == "http" else {}).items():
        try:
            if expression:
                jmespath.compile(expression)
        except JMESPathError as error:
            where = place if place == "rows" else f"map/{place}"
            yield Fault(f"{pointer}/{where}", f"no JMESPath: {str(error).splitlines()[0]}", expression)


MAX_USER = 64 * 1024
"""Bytes of one user as JSON: every change of it goes through the changelog."""
MAX_MEMBERS = 1000

FAULTS = {
    "invalid-value": "a value that is of another type than it is mapped to: it is left out",
    "two-rows": "two rows that differ for one user: he counts as unknown",
    "unreadable": "a row that the database cannot give: the user counts as unknown",
    "too-large": "a user above 64 KiB, an offer above 1000 members, or an answer above its limit: counts as unknown",
}
"""What can be wrong with the answer for one key, and what follows."""


class Answer(Struct, frozen=True):
    """The row that an answer makes, and what was wrong with it: names of :data:`FAULTS`."""

    user: User
    faults: list[str] = []


class Reader:
    """Makes users of a source's rows by its mapping. ``fields`` are those declared of the tenant's users."""

    def __init__(self, source: Source, fields: FieldSet) -> None:
        self._source = source
        self._fields = fields
        self._places = {kind: self._compile(source.lookup(kind)) for kind in ("users", "offers")}

    def _compile(self, lookup: Lookup | None) -> dict[str, Callable[[Row], Any]]:
        if lookup is None:
            return {}
        find = _column if self._source.type == "sql" else _path
        return {name: find(place) for name, place in lookup.map.places.items()}

    def read(self, key: str, rows: Sequence[Row] | str, began: int) -> Answer:
        """The row of ``key`` by the source's rows, none if it knows none, or by the name of what is wrong with them.

        ``began`` (ms) is when it was asked: what changed there after that may not be in the rows.
        """
        kind, _ = asked(key)
        if isinstance(rows, str) or not rows:
            return Answer(self._absent(key, began), [rows] if isinstance(rows, str) else [])
        found = self._offer(key, rows, began) if kind == "offers" else self._user(key, rows, began)
        if len(found.user.members) > MAX_MEMBERS or len(msgspec.json.encode(found.user)) > MAX_USER:
            return Answer(self._absent(key, began), [*found.faults, "too-large"])
        return found

    def _absent(self, key: str, began: int) -> User:
        return User(key, began + self._source.negative_ttl * 1000, absent=True, loaded_at=began)

    def _row(self, key: str, began: int, given: Mapping[str, Any]) -> User:
        ends = began + self._source.ttl * 1000
        return User(key, ends, loaded_at=began, stale_until=ends + self._source.stale * 1000, **given)

    def _user(self, key: str, rows: Sequence[Row], began: int) -> Answer:
        found = [self._parts("users", row) for row in rows]
        if any(parts != found[0][0] for parts, _ in found):
            return Answer(self._absent(key, began), ["two-rows"])
        parts, wrong = found[0]
        return Answer(self._row(key, began, parts), wrong)

    def _offer(self, key: str, rows: Sequence[Row], began: int) -> Answer:
        members, wrong = [], []
        for row in rows[: MAX_MEMBERS + 1]:
            parts, faulty = self._parts("offers", row)
            wrong += faulty
            member = {name: parts.get(name) for name in ("user", "phone", "email")}
            if parts.get("role") and any(member.values()):
                members.append(Member(parts["role"], **member))
            elif not faulty:
                wrong.append("invalid-value")
        return Answer(self._row(key, began, {"members": members}), wrong)

    def _parts(self, kind: str, row: Row) -> tuple[dict[str, Any], list[str]]:
        """What a row says, as the arguments of a user; and what of it was left out."""
        parts: dict[str, Any] = {}
        custom: dict[str, Any] = {}
        wrong: list[str] = []
        for name, find in self._places[kind].items():
            try:
                value = find(row)
                if name.startswith("fields/"):
                    custom[name.removeprefix("fields/")] = value
                elif value is not None and value != "":
                    part = _PART[name](value)
                    msgspec.json.encode(part)  # half a surrogate pair is text for Python alone
                    parts |= part
            except (ValueError, JMESPathError):
                wrong.append("invalid-value")
        converted, faulty = self._fields.convert({name: value for name, value in custom.items() if value is not None})
        fields = {}
        for name, value in converted.items():
            try:
                fields[name] = msgspec.json.decode(msgspec.json.encode(value))
            except (TypeError, ValueError, RecursionError):
                faulty = [*faulty, Fault(f"/fields/{name}", "no value of ours")]
        if fields:
            parts["fields"] = fields
        return parts, wrong + ["invalid-value"] * len(faulty)


def _column(name: str) -> Callable[[Row], Any]:
    return lambda row: row.get(name)


def _path(expression: str) -> Callable[[Row], Any]:
    found: Callable[[Row], Any] = jmespath.compile(expression).search
    return found


def _text(kind: Any) -> Callable[[str], Callable[[Any], dict[str, Any]]]:
    def of(name: str) -> Callable[[Any], dict[str, Any]]:
        return lambda value: {name: msgspec.convert(str(value).strip() if isinstance(value, str | int) else value, kind)}

    return of


_ADDRESSES = FieldSet(Fields("any", "user", {"phone": Field("phone"), "email": Field("email")}))


def _addresses(name: str) -> Callable[[Any], dict[str, Any]]:
    """The first one, and the further ones under the plural."""

    def read(value: Any) -> dict[str, Any]:
        found: list[str] = []
        for item in value if isinstance(value, list | tuple) else [value]:
            converted, wrong = _ADDRESSES.convert({name: item})
            if wrong:
                raise ValueError(name)
            found += converted.values()
        further = list(dict.fromkeys(found[1:]))
        return {name: found[0], **({f"{name}s": further} if further else {})} if found else {}

    return read


def _opt_out(value: Any) -> dict[str, Any]:
    if isinstance(value, bool | int):
        return {"opt_out": ["*"]} if value else {}
    items = value.split(",") if isinstance(value, str) else value
    return {"opt_out": [item.strip() for item in msgspec.convert(items, list[str]) if item.strip()]}


_PART: dict[str, Callable[[Any], dict[str, Any]]] = {
    "language": _text(Language)("language"),
    "tone": _text(Tone)("tone"),
    "channel": _text(ChannelName)("channel"),
    "name": _text(Annotated[str, Meta(max_length=200)])("name"),
    "role": _text(Tone)("role"),
    "user": _text(Annotated[str, Meta(min_length=1, max_length=200)])("user"),
    "phone": _addresses("phone"),
    "email": _addresses("email"),
    "opt_out": _opt_out,
}
