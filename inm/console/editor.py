"""The editor of templates: a form with a preview that follows what is typed, and a version made of it."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from inm.console import drafts
from inm.console.drafts import PARTS, Draft, VariantDraft, Written
from inm.console.route import Route, get, post
from inm.console.templates import CHANNELS, LONGEST_COMMENT, known, number, place, seen
from inm.console.trying import Trying
from inm.console.visit import Visit
from inm.core.differences import differences
from inm.core.reference import Held, Item, versions
from inm.web.problems import Problem


class Editor:
    """The handlers."""

    def __init__(self, trying: Trying) -> None:
        self._trying = trying

    def routes(self) -> list[Route]:
        return [
            get("/new-template", "write", self.blank),
            post("/new-template", "write", self.create),
            get("/templates/{name}/edit", "write", self.edit),
            post("/templates/{name}/edit", "write", self.save),
        ]

    async def blank(self, visit: Visit) -> web.StreamResponse:
        """An empty form."""
        draft = Draft("", "sms", [VariantDraft(visit.book.tenant.language)])
        return await self._page(visit, draft, 0)

    async def create(self, visit: Visit) -> web.StreamResponse:
        """The first version of a template."""
        draft = self._draft(visit, visit.field("name", 200))
        if visit.form.get("do") in ("add", "preview"):
            return await self._again(visit, draft, 0)
        wrong = ""
        if not drafts.NAME.fullmatch(draft.name):
            wrong = visit.gettext("A name has letters, digits, dots, dashes and underscores.")
        elif f"{visit.tenant}/template/{draft.name}/1" in visit.app.library.held(visit.tenant):
            wrong = visit.gettext("There is a template of this name.")
        return await self._again(visit, draft, 0, {"name": wrong}) if wrong else await self._save(visit, draft, 0)

    async def edit(self, visit: Visit) -> web.StreamResponse:
        """The newest version, to write the next one from."""
        rows = known(visit)
        return await self._page(visit, drafts.of_document(rows[-1].document), len(rows))

    async def save(self, visit: Visit) -> web.StreamResponse:
        """The next version: a draft, or handed in at once. Who was slower than another one is shown both texts."""
        newest = known(visit)[-1]
        draft = self._draft(visit, newest.document["name"], newest.document["channel"])
        if visit.form.get("do") in ("add", "preview"):
            return await self._again(visit, draft, seen(visit))
        return await self._save(visit, draft, seen(visit))

    # -- saving -------------------------------------------------------------------------------------

    def _draft(self, visit: Visit, name: str, channel: str = "") -> Draft:
        chosen = channel or visit.field("channel", 20)
        return drafts.of_form(visit.form, name, chosen if chosen in CHANNELS else "sms")

    async def _save(self, visit: Visit, draft: Draft, revision: int) -> web.StreamResponse:
        written = await asyncio.to_thread(drafts.written, draft, visit.tenant)
        if not written.is_good:
            return await self._page(visit, draft, revision, written, status=422)
        comment = visit.field("comment", LONGEST_COMMENT) or None
        path = f"{visit.tenant}/template/{draft.name}"
        try:
            [done] = await visit.change([Item("apply", path, written.document, expected=revision, comment=comment)])
            if visit.form.get("do") == "submit" and done.result != "unchanged":
                await visit.change([Item("submit", done.path, expected=done.revision, comment=comment)])
        except Problem as problem:
            return await self._refused(visit, draft, revision, written, problem)
        words = {
            "unchanged": visit.gettext("Nothing was changed."),
            "submit": visit.gettext("It was handed in: another person reviews it."),
        }
        told = words.get(done.result) or words.get(visit.form.get("do", "")) or visit.gettext("The draft was kept.")
        return visit.redirect(f"/templates/{draft.name}/{done.path.rpartition('/')[2]}", told)

    async def _refused(self, visit: Visit, draft: Draft, revision: int, written: Written, problem: Problem) -> web.StreamResponse:
        if problem.kind == "conflict":
            return await self._page(visit, draft, revision, written, conflict=True, status=412)
        if problem.kind not in ("invalid-document", "too-large"):
            # nothing of what was written is lost, whatever went wrong
            words = problem.detail or problem.kind
            refused = Written(written.document, written.template, {}, [words])
            return await self._page(visit, draft, revision, refused, status=503)
        fields, general = drafts.placed(problem.errors, draft)
        refused = Written(written.document, written.template, fields, general or [problem.detail or problem.kind] * (not fields))
        return await self._page(visit, draft, revision, refused, status=422)

    # -- the page -----------------------------------------------------------------------------------

    async def _again(self, visit: Visit, draft: Draft, revision: int, wrong: Mapping[str, str] | None = None) -> web.StreamResponse:
        """The form with one more variant, or with its preview, or with a fault of its own."""
        if visit.form.get("do") == "add":
            draft.variants.append(VariantDraft())
        written = await asyncio.to_thread(drafts.written, draft, visit.tenant)
        refused = Written(written.document, written.template, {**written.fields, **(wrong or {})}, written.general)
        return await self._page(visit, draft, revision, refused, status=422 if wrong else 200)

    async def _page(
        self,
        visit: Visit,
        draft: Draft,
        revision: int,
        written: Written | None = None,
        *,
        conflict: bool = False,
        status: int = 200,
    ) -> web.Response:
        checked = await asyncio.to_thread(drafts.written, draft, visit.tenant) if written is None else written
        shown = await self._trying.preview(visit, checked.template)
        theirs = await _theirs(visit, draft.name, checked) if conflict else None
        data = {
            "name": draft.name,
            "channel": draft.channel,
            "revision": theirs["version"] if theirs else revision,
            "document": checked.document,
            "fields": {name: _said(visit, words) for name, words in checked.fields.items()} if written else {},
            "faults": checked.general if written else [],
            "theirs": theirs,
        }
        form = {name: visit.field(name, LONGEST_COMMENT) for name in ("comment", "user")} | {"full": bool(visit.form.get("full"))}
        more = {"draft": draft, "shown": shown, "form": form, "parts": PARTS, "is_new": revision == 0 and not theirs}
        return visit.page(
            "template-edit.html", data, status, **more, channels_named=[(each, each) for each in CHANNELS], offered=offered(visit)
        )


async def _theirs(visit: Visit, name: str, mine: Written) -> dict[str, Any]:
    """The version that somebody else made meanwhile, and what differs from it to what was written here."""
    rows = versions(visit.app.library.held(visit.tenant), f"{visit.tenant}/template/{name}")
    newest: Held = rows[-1]
    changed = await asyncio.to_thread(differences, newest.document, mine.document)
    return {
        "version": number(newest),
        "author": newest.author,
        "at": newest.at,
        "place": place(newest),
        "document": newest.document,
        "differences": [each._asdict() for each in changed],
    }


def offered(visit: Visit) -> list[tuple[str, str, str]]:
    """The variables that a text may have: how each is written, its type and what it is."""
    book = visit.book
    fields = {**book.user.fields, **book.request.fields}
    found = [(f"{{{{ {name} }}}}", field.type, field.description) for name, field in fields.items()]
    return [*found, ("{{ name }}", "string", visit.gettext("The name of the user"))]


def _said(visit: Visit, words: str) -> str:
    """What the console says in the language of the visit; the rest says it as everywhere."""
    return visit.gettext(words) if words in drafts.OURS else words
