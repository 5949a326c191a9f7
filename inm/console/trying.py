"""Trying a text out in the console: the values it is made with, of a sample or of a user, and what it looks like then."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from inm.console import peers
from inm.console.letters import Letters
from inm.console.route import Route, get
from inm.console.visit import Visit
from inm.core.ids import partition_of, user_key
from inm.core.latest import Latest
from inm.core.preview import Matrix, matrix
from inm.core.samples import samples, seen
from inm.core.templates import Template
from inm.core.users import User
from inm.tables import users
from inm.web.problems import Problem

AT_ONCE = 2
"""Texts that a worker makes for previews at the same time: each may take most of a second."""
AGAIN = 10 * 60_000
"""Milliseconds in which it is recorded once that somebody looks at a text with the data of a user."""
REMEMBERED = 1000
"""Looks that a worker knows to be recorded."""
MOST_VALUES = 60
SHOWN = 4_000
"""Characters of a text that a preview shows."""


class Shown(Struct, frozen=True):
    """A preview. ``letters`` has the address of the HTML of each variant."""

    matrix: Matrix | None
    values: dict[str, tuple[str, str]]
    """By the variable: what was typed for it, and what stands there otherwise."""
    letters: dict[str, str]
    serving: str = ""
    """The variant that the user gets."""
    user_fault: str = ""
    wrong: list[str] = []
    """Values that are not what the tenant's fields declare."""
    unknown: list[str] = []
    """Variables that are no fields."""


class Trying:
    """Previews over what was asked for in a form; beside them a handler that other workers ask for users."""

    def __init__(self, letters: Letters) -> None:
        self._letters = letters
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._recorded: Latest[tuple[str, str], int] = Latest(REMEMBERED)

    def routes(self) -> list[Route]:
        return [get("/preview/user", "write", self.user)]

    async def user(self, visit: Visit) -> Any:
        """What this worker has of a user, for another one."""
        if not visit.is_forwarded:
            raise Problem("not-found")
        row = users.peek(*_place(visit, visit.query("id")), visit.book, visit.now)
        return visit.page("problem.html", {"user": msgspec.to_builtins(row)})

    async def preview(self, visit: Visit, template: Template | None) -> Shown:
        """The text in all languages and tones, with the values of the form over those of the user or of the sample."""
        read = _read(template) if template else []
        given, user = typed(visit), visit.field("user", 200)
        base = samples(visit.book.request, visit.book.user, read)
        serving = fault = ""
        if user and template:
            row, fault = await self._row(visit, user)
            if row is not None:
                base |= await self._seen(visit, user, row)
                serving = template.serving(row.language, row.tone, visit.book.fallback)
        values, wrong = _converted(visit, base | given)
        shown = await self._matrix(visit, template, values) if template else None
        cells = [cell for row_ in (shown.rows if shown else ()) for cell in row_ if cell.content and cell.content.html]
        letters = {cell.variant: self._letters.keep(visit.tenant, cell.content.html or "") for cell in cells if cell.content}
        texts = {name: (text_of(given.get(name, "")), text_of(base.get(name, ""))) for name in read[:MOST_VALUES]}
        return Shown(shown, texts, letters, serving, fault, wrong, _unknown(visit, read))

    async def _matrix(self, visit: Visit, template: Template, values: Mapping[str, Any]) -> Matrix:
        async with self._turns:
            return await asyncio.to_thread(matrix, template, visit.book.tenant, visit.book.fallback, values)

    async def _row(self, visit: Visit, user: str) -> tuple[User | None, str]:
        unknown = visit.gettext("Nothing is known of this user: the sample stands in.")
        partition, key = _place(visit, user)
        try:
            row = users.peek(partition, key, visit.book, visit.now)
        except KeyError:
            try:
                answer = await peers.of_owner(visit, partition, page=f"/preview/user?id={quote(user, safe='')}")
            except Problem as problem:
                return None, problem.detail or unknown
            row = msgspec.convert(answer["user"], User | None)
        return (None, unknown) if row is None or row.absent else (row, "")

    async def _seen(self, visit: Visit, user: str, row: User) -> dict[str, Any]:
        full = visit.may("unmask") and bool(visit.form.get("full"))
        known = (visit.session.id, user)
        if full and visit.now - (self._recorded.get(known) or 0) > AGAIN:
            await visit.console.record(visit, "unmasked", f"{visit.tenant}/user/{user}", "preview")
            self._recorded.put(known, visit.now)
        return seen(row, visit.book.user, full=full)


def typed(visit: Visit) -> dict[str, Any]:
    """The values of the form: what looks like a list or an object of JSON is one."""
    found: dict[str, Any] = {}
    for field in list(visit.form)[:2000]:
        kind, _, name = field.partition(":")
        if kind == "value" and name and (text := visit.field(field, 10_000)):
            found[name] = _json(text) if text[0] in "[{" else text
    return found


def text_of(value: Any) -> str:
    """A value as it stands in a field of the form."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _read(template: Template) -> list[str]:
    """The variables of those variants that compile."""
    found: set[str] = set()
    for key in template.keys:
        with suppress(ValueError):
            found |= template.message(key).variables
    return sorted(found)


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _converted(visit: Visit, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Each value as what it is declared to be, of a request or else of a user."""
    found = dict(values)
    wrong: list[str] = []
    for declared in (visit.book.user, visit.book.request):
        if declared.declared:
            converted, faults = declared.convert({name: value for name, value in values.items() if name in declared.fields}, "")
            found |= converted
            wrong += [str(fault).lstrip("/") for fault in faults if fault.pointer.lstrip("/") in values]
    return found, wrong


def _unknown(visit: Visit, read: list[str]) -> list[str]:
    book = visit.book
    if not (book.request.declared and book.user.declared):
        return []
    return [name for name in read if name not in book.request.fields and name not in book.user.fields and name != "name"]


def _place(visit: Visit, user: str) -> tuple[int, str]:
    key = user_key(visit.tenant, user, None, None)
    return partition_of(key.encode(), visit.app.partitions), key
