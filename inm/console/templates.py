"""Templates: which there are, their versions, what differs between them, and what becomes of them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from msgspec.structs import asdict

from inm.console.drafts import of_document
from inm.console.lines import Entry, Lines
from inm.console.route import Route, get, post
from inm.console.trying import Trying
from inm.console.visit import Visit
from inm.core.differences import differences
from inm.core.documents import decode
from inm.core.moderation import same
from inm.core.reference import Action, Held, Item, versions
from inm.core.templates import Template, TemplateDocument
from inm.core.usage import scenarios_by_template
from inm.web.problems import Problem

PAGE = 50
"""Templates on a page of the list."""
STATES = ("draft", "submitted", "approved", "rejected")
CHANNELS = ("sms", "email", "rest")
LONGEST_COMMENT = 2000


class Templates:
    """The handlers."""

    def __init__(self, trying: Trying) -> None:
        self._trying = trying
        self._lines = Lines()

    def routes(self) -> list[Route]:
        return [
            get("/templates", "see", self.index),
            get("/templates/{name}", "see", self.newest),
            get("/templates/{name}/{version}", "see", self.show),
            post("/templates/{name}/{version}/submit", "write", self.submit),
            post("/templates/{name}/{version}/withdraw", "write", self.withdraw),
            post("/templates/{name}/{version}/approve", "review", self.approve),
            post("/templates/{name}/{version}/reject", "review", self.reject),
            post("/templates/{name}/{version}/restore", "write", self.restore),
        ]

    # -- reading ------------------------------------------------------------------------------------

    async def index(self, visit: Visit) -> web.StreamResponse:
        """The list by name, as the filter of the address has it, a page at a time."""
        wanted = {name: visit.query(name, 100) for name in ("q", "channel", "state")}
        held = visit.app.library.held(visit.tenant)
        found = [entry for entry in await self._lines.of(visit.tenant, held) if _passes(entry, wanted)]
        given = visit.query("page", 6)
        last = max(1, -(-len(found) // PAGE))
        page = min(max(int(given), 1), last) if given.isascii() and given.isdecimal() else 1
        data = {"templates": found[(page - 1) * PAGE : page * PAGE], "total": len(found), "page": page, "pages": last, "filter": wanted}
        states = [(state, state) for state in STATES]
        return visit.page("templates.html", data, states=states, channels=[(channel, channel) for channel in CHANNELS])

    async def newest(self, visit: Visit) -> web.StreamResponse:
        """The newest version."""
        return await self._page(visit, known(visit)[-1])

    async def show(self, visit: Visit) -> web.StreamResponse:
        """A version: its texts, what differs from another one, and what may be done to it."""
        return await self._page(visit, version(visit))

    # -- moderation ---------------------------------------------------------------------------------

    async def submit(self, visit: Visit) -> web.StreamResponse:
        """Hand a draft in for review."""
        return await self._moderate(visit, "submit", visit.gettext("It was handed in: another person reviews it."))

    async def withdraw(self, visit: Visit) -> web.StreamResponse:
        """Take it back from review."""
        return await self._moderate(visit, "withdraw", visit.gettext("It was taken back, and is a draft again."))

    async def approve(self, visit: Visit) -> web.StreamResponse:
        """Let it serve from now on. Not by its author, where the tenant has its texts moderated."""
        return await self._moderate(visit, "approve", visit.gettext("It was approved: it serves from now on."))

    async def reject(self, visit: Visit) -> web.StreamResponse:
        """Refuse it, and say why."""
        return await self._moderate(visit, "reject", visit.gettext("It was rejected, with your comment."), must_comment=True)

    async def restore(self, visit: Visit) -> web.StreamResponse:
        """Make the text of an older version the newest one again, and hand it in for review."""
        row, rows = version(visit), known(visit)
        words = visit.field("comment", LONGEST_COMMENT) or f"as version {number(row)}"
        try:
            [done] = await visit.change([Item("apply", path_of(row), row.document, expected=seen(visit), comment=words)])
            if done.result == "unchanged":
                return visit.redirect(place(rows[-1]), visit.gettext("The newest version has this text already."))
            await visit.change([Item("submit", done.path, expected=done.revision, comment=words)])
        except Problem as problem:
            return await self._refused(visit, row, problem)
        name, _, made = done.path.rpartition("/")
        told = visit.gettext("Version %(version)s has this text again, and waits for its review.", version=made)
        return visit.redirect(f"/templates/{name.rpartition('/')[2]}/{made}", told)

    async def _moderate(self, visit: Visit, action: Action, told: str, *, must_comment: bool = False) -> web.StreamResponse:
        row, comment = version(visit), visit.field("comment", LONGEST_COMMENT)
        if must_comment and not comment:
            return await self._page(visit, row, [visit.gettext("Say why: its author reads it.")], 422)
        try:
            await visit.change([Item(action, row.path, expected=seen(visit), comment=comment or None)])
        except Problem as problem:
            return await self._refused(visit, row, problem)
        return visit.redirect(place(row), told)

    async def _refused(self, visit: Visit, row: Held, problem: Problem) -> web.StreamResponse:
        """The page as it is now, with what is wrong: nothing of what was written is lost."""
        if problem.kind not in ("conflict", "invalid-document"):
            raise problem
        now = visit.app.library.held(visit.tenant).get(row.path, row)
        return await self._page(visit, now, [str(error) for error in problem.errors], 412 if problem.kind == "conflict" else 422)

    # -- the page -----------------------------------------------------------------------------------

    async def _page(self, visit: Visit, row: Held, faults: Sequence[str] = (), status: int = 200) -> web.Response:
        rows = known(visit)
        document = decode(row.document)
        assert isinstance(document, TemplateDocument)
        shown = await self._trying.preview(visit, Template(document, number(row)))
        against = _against(visit, row, rows)
        changed = await asyncio.to_thread(differences, against.document, row.document) if against else []
        data = {
            **told(row),
            "document": row.document,
            "versions": [told(each) for each in reversed(rows)],
            "serving": serving(rows),
            "scenarios": scenarios_by_template(visit.book).get(document.name, []),
            "against": number(against) if against else None,
            "differences": [each._asdict() for each in changed],
        }
        may = _may(visit, row, rows)
        comment = visit.field("comment", LONGEST_COMMENT)
        more = {
            "shown": shown,
            "draft": of_document(row.document),
            "faults": faults,
            "may": may,
            "reviews": may - {"edit", "restore"},
            "given": comment,
        }
        return visit.page("template.html", data, status, **more)


def known(visit: Visit) -> list[Held]:
    """The versions of the template that the address names, from the first on."""
    found = versions(visit.app.library.held(visit.tenant), f"{visit.tenant}/template/{visit.request.match_info['name']}")
    if not found:
        raise Problem("not-found")
    return found


def version(visit: Visit) -> Held:
    """The version that the address names."""
    given = visit.request.match_info["version"]
    rows = known(visit)
    if not (given.isascii() and given.isdecimal() and len(given) < 7 and 1 <= int(given) <= len(rows)):
        raise Problem("not-found")
    return rows[int(given) - 1]


def seen(visit: Visit) -> int:
    """The revision that the form was made of."""
    given = visit.field("revision", 9)
    if not (given.isascii() and given.isdecimal()):
        raise Problem("bad-request", "revision: a number")
    return int(given)


def number(row: Held) -> int:
    """The version of a row."""
    return int(row.path.rpartition("/")[2])


def path_of(row: Held) -> str:
    """The template's path, without its version."""
    return row.path.rpartition("/")[0]


def place(row: Held) -> str:
    """Its page."""
    return f"/templates/{row.document['name']}/{number(row)}"


def serving(rows: Sequence[Held]) -> int:
    """The version that serves; 0 if none does."""
    return max((number(row) for row in rows if row.state == "approved"), default=0)


def told(row: Held) -> dict[str, Any]:
    """What is shown of a version beside its text."""
    fields = asdict(row)
    kept = {name: fields[name] for name in ("revision", "author", "at", "state", "reviewer", "comment")}
    return {"name": row.document["name"], "version": number(row), "channel": row.document["channel"]} | kept


def _passes(entry: Entry, wanted: Mapping[str, str]) -> bool:
    return (
        wanted["q"].casefold() in entry.name.casefold()
        and wanted["channel"] in ("", entry.channel)
        and wanted["state"] in ("", entry.state)
    )


def _against(visit: Visit, row: Held, rows: Sequence[Held]) -> Held | None:
    """The version that another one is compared with: the one that is asked for, else that which serves, else the one before."""
    given = visit.query("against", 6)
    chosen = int(given) if given.isascii() and given.isdecimal() else serving(rows)
    if not 1 <= chosen <= len(rows) or chosen == number(row):
        chosen = number(row) - 1
    return rows[chosen - 1] if chosen else None


def _may(visit: Visit, row: Held, rows: Sequence[Held]) -> set[str]:
    """What this person may do to a version now."""
    found: set[str] = set()
    if visit.may("write"):
        found |= {"draft": {"submit"}, "submitted": {"withdraw"}}.get(row.state or "", set())
        found |= {"restore"} if number(row) < len(rows) else {"edit"}
    own = visit.book.tenant.moderation and same(visit.account.name, row.author)
    if row.state == "submitted" and visit.may("review"):
        found |= {"own"} if own else {"approve", "reject"}
    return found
