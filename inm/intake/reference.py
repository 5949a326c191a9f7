"""Reference data over REST: a key sees and changes the documents of its own tenant."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, get_args

import msgspec
from aiohttp import hdrs, web
from aiohttp.web import AbstractRouteDef
from msgspec import Meta, Struct

from inm.core.apikeys import ApiKey
from inm.core.copies import newest, shown
from inm.core.documents import Document
from inm.core.reference import Action, Done, Held, Item, Result, kind_of, versions
from inm.core.templates import State
from inm.intake.body import read_as
from inm.web import changing
from inm.web.problems import Handler, Problem

if TYPE_CHECKING:
    from inm.app import Inm

KINDS = tuple(kind.__struct_config__.tag for kind in get_args(Document))

KeyHandler = Callable[[web.Request, ApiKey], Awaitable[web.Response]]
_TAG = re.compile(r'"?([0-9]{1,9})"?')
_encode = msgspec.json.Encoder().encode


class Entry(Struct, omit_defaults=True):
    """A document as it is held. ``revision`` counts its changes; of a template, ``version`` its texts."""

    path: str
    kind: str
    name: str
    revision: int
    author: str
    at: int
    version: int | None = None
    state: State | None = None
    reviewer: str | None = None
    comment: str | None = None
    document: dict[str, Any] | None = None


class Wanted(Struct, forbid_unknown_fields=True):
    """One thing to change, in a list. ``name`` of a template may have a version: ``otp-sms/4``."""

    action: Action
    kind: str
    name: str
    document: dict[str, Any] | None = None
    expected: int | None = None
    comment: str | None = None


class Batch(Struct, forbid_unknown_fields=True):
    """Several changes, of which all are made or none."""

    items: Annotated[list[Wanted], Meta(min_length=1, max_length=1000)]
    dry_run: bool = False


class Remark(Struct, forbid_unknown_fields=True):
    """Why something is done."""

    comment: Annotated[str, Meta(max_length=2000)] | None = None


class Made(Struct, omit_defaults=True):
    """What became of a change: ``revision`` is what ``If-Match`` names next; of a template, its newest version."""

    path: str
    result: Result
    revision: int = 0
    warnings: list[str] = []


class Reference:
    """The handlers, over the application they belong to."""

    def __init__(self, app: "Inm") -> None:
        self._app = app

    def routes(self, of_key: Callable[[KeyHandler], Handler]) -> list[AbstractRouteDef]:
        """``of_key`` makes a handler of one that is told the API key."""
        return [
            web.get("/v1/reference", of_key(self.index)),
            web.post("/v1/reference", of_key(self.post)),
            web.get("/v1/reference/{kind}/{name}", of_key(self.get)),
            web.put("/v1/reference/{kind}/{name}", of_key(self.put)),
            web.delete("/v1/reference/{kind}/{name}", of_key(self.delete)),
            web.post("/v1/templates/{name}/{version}/{action}", of_key(self.moderate)),
        ]

    # -- reading ----------------------------------------------------------------------------------

    async def index(self, request: web.Request, key: ApiKey) -> web.Response:
        """All of the tenant, or those of ``?kind=``; of templates the newest versions, with ``?state=`` all that are in it."""
        kind, state = request.query.get("kind"), request.query.get("state")
        held = self._app.library.held(key.tenant)
        rows = (held if state else newest(held)).values()
        chosen = [_entry(row) for row in rows if kind in (None, kind_of(row.path)) and state in (None, row.state)]
        return _json({"documents": [msgspec.to_builtins(entry) for entry in chosen]})

    async def get(self, request: web.Request, key: ApiKey) -> web.Response:
        """A document; of a template the newest version, or that of ``?version=``."""
        held = self._app.library.held(key.tenant)
        path = _path(key.tenant, request.match_info["kind"], request.match_info["name"])
        version = request.query.get("version")
        row = held.get(f"{path}/{version}") if version else newest(_near(held, path)).get(path)
        if row is None:
            raise Problem("not-found", f"{key.tenant} has no such document.")
        entry = _entry(row)
        entry.document = shown(row.document)
        return _json(msgspec.to_builtins(entry), headers={hdrs.ETAG: f'"{entry.version or entry.revision}"'})

    # -- changing ---------------------------------------------------------------------------------

    async def put(self, request: web.Request, key: ApiKey) -> web.Response:
        """Create a document or change it. What the path says need not stand in the document."""
        kind, name = request.match_info["kind"], request.match_info["name"]
        path = _path(key.tenant, kind, name)
        said = {"kind": kind, "name": name} | ({} if kind == "tenant" else {"tenant": key.tenant})
        document = said | await read_as(request, dict[str, Any])
        [done] = await self._change(key, [Item("apply", path, document, _expected(request))])
        return _json(msgspec.to_builtins(_made(done)), status=201 if done.result == "created" else 200, headers=_tag(done))

    async def delete(self, request: web.Request, key: ApiKey) -> web.Response:
        """Delete a document that is not in use; a template with all its versions."""
        path = _path(key.tenant, request.match_info["kind"], request.match_info["name"])
        [done] = await self._change(key, [Item("delete", path, expected=_expected(request))])
        if done.result == "unchanged":
            raise Problem("not-found", f"{key.tenant} has no such document.")
        return web.Response(status=204)

    async def post(self, request: web.Request, key: ApiKey) -> web.Response:
        """Several changes as one."""
        batch = await read_as(request, Batch)
        items = [
            Item(each.action, _path(key.tenant, each.kind, each.name), each.document, each.expected, each.comment) for each in batch.items
        ]
        done = await self._change(key, items, batch.dry_run)
        return _json({"done": [msgspec.to_builtins(_made(each)) for each in done]})

    async def moderate(self, request: web.Request, key: ApiKey) -> web.Response:
        """Submit, withdraw, approve or reject a version of a template. The author is the key: another one must review."""
        name, version, action = (request.match_info[part] for part in ("name", "version", "action"))
        path = f"{key.tenant}/template/{name}/{version}"
        if action not in ("submit", "withdraw", "approve", "reject") or path not in self._app.library.held(key.tenant):
            raise Problem("not-found", f"{key.tenant} has no such version of a template, or this cannot be done to one.")
        comment = (await read_as(request, Remark)).comment if request.can_read_body else None
        [done] = await self._change(key, [Item(action, path, expected=_expected(request), comment=comment)])  # type: ignore[arg-type]
        return _json(msgspec.to_builtins(done))

    async def _change(self, key: ApiKey, items: list[Item], dry_run: bool = False) -> list[Done]:
        """Have the worker that decides changes make this one, and wait until it can be seen here."""
        if key.test:
            raise Problem("forbidden", "A test key changes nothing.")
        return changing.done(await changing.change(self._app, key.author, items, key.tenant, dry_run=dry_run))


def _expected(request: web.Request) -> int | None:
    """The revision that ``If-Match`` names; 0 for ``If-None-Match: *``: there must be none."""
    if request.headers.get(hdrs.IF_NONE_MATCH) == "*":
        return 0
    given = request.headers.get(hdrs.IF_MATCH)
    if given is None:
        return None
    match = _TAG.fullmatch(given.strip())
    if match is None:
        raise Problem("conflict", 'If-Match takes one ETag as it was given, such as "4".')
    return int(match[1])


def _path(tenant: str, kind: str, name: str) -> str:
    if kind not in KINDS or (kind == "tenant" and name != tenant):
        raise Problem("not-found", f"{tenant} has no such document; kinds are {', '.join(KINDS)}.")
    return f"{tenant}/tenant" if kind == "tenant" else f"{tenant}/{kind}/{name}"


def _near(held: Mapping[str, Held], path: str) -> dict[str, Held]:
    """What a path means: the document, or the versions of the template."""
    found = {path: held[path]} if path in held else {}
    return found | {row.path: row for row in versions(held, path)}


def _entry(row: Held) -> Entry:
    parts = row.path.split("/")
    version = int(parts[3]) if len(parts) > 3 else None
    name = row.document["name"]
    return Entry(row.path, parts[1], name, row.revision, row.author, row.at, version, row.state, row.reviewer, row.comment)


def _made(done: Done) -> Made:
    version = done.path.split("/")[3:]
    return Made(done.path, done.result, int(version[0]) if version else done.revision, done.warnings)


def _tag(done: Done) -> dict[str, str]:
    return {hdrs.ETAG: f'"{_made(done).revision}"'}


def _json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=_encode(value), status=status, content_type="application/json", headers=headers)
