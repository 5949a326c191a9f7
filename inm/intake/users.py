"""The users of a tenant over REST: what INM knows of one, telling it more, and having it forgotten."""

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from inm import topics
from inm.core import marks
from inm.core.users import Invalidate, Member, Upsert, UserData, UserKey, UserRecord
from inm.intake import body
from inm.streaming.chunks import now_ms
from inm.tables import users
from inm.web import peers
from inm.web.mailbox import Mailbox
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.app import Inm

_encode = msgspec.json.Encoder().encode


class Known(Struct, frozen=True, omit_defaults=True):
    """What INM knows of a user. Times in ms since 1970: after ``expires`` a source is asked again."""

    id: str
    expires: int
    loaded: int
    language: str | None = None
    tone: str | None = None
    channel: str | None = None
    name: str | None = None
    phone: str | None = None
    email: str | None = None
    phones: list[str] = []
    emails: list[str] = []
    opt_out: list[str] = []
    members: list[Member] = []
    fields: dict[str, Any] = {}
    absent: bool = False
    """The tenant's source was asked, and knows no such user."""


class Some(Struct, frozen=True, forbid_unknown_fields=True):
    """Which users to forget: those that ``where`` (CEL over ``user``) holds of; without it, all of the tenant."""

    where: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None


class Users:
    """The handlers, over the application they belong to."""

    def __init__(self, app: "Inm", mailbox: Mailbox) -> None:
        self._app = app
        self._mailbox = mailbox

    async def get(self, request: web.Request, tenant: str) -> web.Response:
        """What is known of a user, from whichever worker has the row."""
        key = _key(request, tenant)
        partition = topics.partition_of_key(key, self._app.partitions)
        book = self._app.catalogue.book(tenant)
        try:
            row = users.peek(partition, key, book, now_ms()) if book else None
        except KeyError:
            return await peers.answer_of_owner(self._app, request, partition, "user")
        if row is None:
            raise Problem("not-found", "INM knows nothing of such a user now.")
        same = {name: getattr(row, name) for name in Known.__struct_fields__[3:]}
        known = Known(request.match_info["id"], row.expires_at, row.loaded_at, **same)
        return web.Response(body=_encode(known), content_type="application/json")

    async def put(self, request: web.Request, tenant: str) -> web.Response:
        """All that is known of a user: 202 when Kafka has it."""
        data = await body.read_as(request, UserData)
        key = _key(request, tenant)
        book = self._app.catalogue.book(tenant)
        faults = book.user.convert(data.fields)[1] if book else []
        if faults:
            raise Problem("invalid-document", errors=faults)
        return await self._tell(key, Upsert(key=key, **msgspec.structs.asdict(data)))

    async def delete(self, request: web.Request, tenant: str) -> web.Response:
        """Forget a user: 202 when Kafka has it."""
        key = _key(request, tenant)
        return await self._tell(key, Invalidate(key))

    async def invalidate(self, request: web.Request, tenant: str) -> web.Response:
        """Forget all users, or those that a rule holds of: 202 when Kafka has it."""
        some = await body.read_as(request, Some)
        book = self._app.catalogue.book(tenant)
        faults = marks.faults(some.where, book.user) if some.where and book else []
        if faults:
            raise Problem("invalid-document", errors=faults)
        return await self._tell(tenant, Invalidate(tenant=tenant, where=some.where))

    async def _tell(self, key: str, item: UserRecord) -> web.Response:
        await self._mailbox.put([(topics.USERS, topics.partition_of_key(key, self._app.partitions), key.encode(), _encode(item))])
        return web.Response(status=202)


def _key(request: web.Request, tenant: str) -> str:
    key = f"{tenant}/{request.match_info['id']}"
    try:
        return msgspec.convert(key, UserKey)
    except msgspec.ValidationError as error:
        raise Problem("not-found", "No user can have such an id.") from error
