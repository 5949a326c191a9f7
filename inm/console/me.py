"""What everybody sets for herself: password, language and colours."""

from aiohttp import web

from inm.console import passwords
from inm.console.route import Route, get, post
from inm.console.signin import inside
from inm.console.texts import LANGUAGES
from inm.console.visit import THEME, THEMES, Visit
from inm.core import sessions
from inm.core.reference import Item
from inm.core.sessions import Session

YEAR = 365 * 24 * 3600


class Me:
    """The handlers."""

    def routes(self) -> list[Route]:
        return [
            get("/me", "see", self.page),
            post("/me/language", "see", self.language),
            post("/me/password", "see", self.password),
            post("/theme", None, self.theme),
        ]

    async def page(self, visit: Visit) -> web.StreamResponse:
        """Who I am here, and what I may."""
        return self._page(visit)

    async def language(self, visit: Visit) -> web.StreamResponse:
        """The language of the pages."""
        chosen = visit.field("language")
        await self._change(visit, {"language": chosen if chosen in LANGUAGES else None})
        return visit.redirect("/me")

    async def password(self, visit: Visit) -> web.StreamResponse:
        """Another password: all other sessions end with it."""
        if not await passwords.is_right(visit.form.get("old_password", ""), visit.account.password):
            return self._page(visit, {"old_password": visit.gettext("This is not your password.")}, 422)
        try:
            hashed = await passwords.hashed_aside(visit.form.get("new_password", ""))
        except ValueError:
            words = visit.gettext("A password has %(least)s to %(most)s characters.", least=passwords.SHORTEST, most=passwords.LONGEST)
            return self._page(visit, {"new_password": words}, 422)
        await self._change(visit, {"password": hashed})
        response = visit.redirect("/me", visit.gettext("Your password was changed. Other sessions of yours are over."))
        session = visit.session
        fresh = Session(session.id, session.tenant, session.account, session.at, sessions.stamp(hashed, visit.account.identity))
        visit.console.set_session(response, fresh)
        return response

    async def theme(self, visit: Visit) -> web.StreamResponse:
        """Light, dark, or as the system has it."""
        chosen = visit.field("theme")
        response = visit.redirect(inside(visit.field("next", 2000)))
        visit.console.set_cookie(response, THEME, chosen if chosen in THEMES else THEMES[0], max_age=YEAR)
        return response

    async def _change(self, visit: Visit, members: dict[str, str | None]) -> None:
        row = visit.app.library.held(visit.tenant)[f"{visit.tenant}/account/{visit.account.name}"]
        document = {name: value for name, value in (row.document | members).items() if value is not None}
        await visit.change([Item("apply", row.path, document, expected=row.revision)], as_operator=True)

    def _page(self, visit: Visit, faults: dict[str, str] | None = None, status: int = 200) -> web.Response:
        account = visit.account
        data = {"roles": account.roles, "rights": sorted(visit.rights), "chosen": account.language or "", "faults": faults or {}}
        return visit.page("me.html", data, status)
