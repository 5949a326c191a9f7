"""Signing in with a name and a password, and signing out."""

import json
from secrets import token_urlsafe
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit
from uuid import uuid4

from aiohttp import web

from inm.console import passwords
from inm.console.route import PREFIX, Route, get, post
from inm.console.visit import Visit
from inm.core import sessions
from inm.core.attempts import Attempts
from inm.core.audit import Entry
from inm.core.documents import Account
from inm.core.sessions import Session
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.console.console import Console

MAX_KEPT = 1024 * 1024
"""Characters of a form that are kept over a sign-in."""


class SignIn:
    """The handlers."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._attempts = Attempts()

    def routes(self) -> list[Route]:
        return [get("/sign-in", None, self.form), post("/sign-in", None, self.enter), post("/sign-out", "see", self.leave)]

    def address(self, following: str) -> str:
        """The form, from where it goes on to a page."""
        return f"{PREFIX}/sign-in?next={quote(following, safe='/')}"

    async def form(self, visit: Visit) -> web.StreamResponse:
        """The form."""
        following = visit.query("next", 2000)
        return self.page(visit, visit.query("tenant"), "", following)

    def again(self, visit: Visit) -> web.StreamResponse:
        """The form, instead of what a form of a session that is over was to do: nothing of what was written is lost."""
        if visit.is_part:
            words = visit.gettext("Your session is over. What you wrote stays: go on, and you will be asked to sign in.")
            return visit.instead({"detail": words, "errors": ()}, 401)
        session = sessions.read(self._console.secret, visit.request.cookies.get("inm_session", ""))
        tenant, name = (session.tenant, session.account) if session else ("", "")
        words = visit.gettext("Your session is over. Sign in again: what you wrote is still here.")
        return self.page(visit, tenant, name, visit.request.path_qs, words, 401, visit.kept)

    async def enter(self, visit: Visit) -> web.StreamResponse:
        """Check the password, and begin a session."""
        tenant, name, following = visit.field("tenant"), visit.field("name"), visit.field("next", 2000)
        kept = visit.field("kept", MAX_KEPT)
        if not visit.app.informed:
            raise Problem("unavailable", visit.gettext("The worker does not know the accounts yet."), headers={"Retry-After": "1"})
        key, address = f"{tenant}/{name}"[:300], visit.request.remote or ""
        wait = self._attempts.wait(key, address, visit.now)
        if wait:
            self._note(visit, tenant, name, "sign-in-refused", "too many attempts")
            words = visit.gettext("Too many attempts. Try again in %(minutes)s minutes.", minutes=wait // 60_000 + 1)
            response = self.page(visit, tenant, name, following, words, 429, kept)
            response.headers["Retry-After"] = str(wait // 1000 + 1)
            return response
        self._attempts.failed(key, address, visit.now)
        account = self._console.account(tenant, name)
        if not await passwords.is_right(visit.form.get("password", ""), account.password if account else None) or account is None:
            self._note(visit, tenant, name, "sign-in-refused", "wrong password, or no such account")
            words = visit.gettext("There is no such account, or the password is wrong.")
            return self.page(visit, tenant, name, following, words, 401, kept)
        self._attempts.succeeded(key, address)
        return self.begin(visit, account, following, kept)

    def begin(self, visit: Visit, account: Account, following: str, kept: str = "") -> web.StreamResponse:
        """A session of somebody who has proved who she is, and on to the page, or to what she was writing."""
        stamp = sessions.stamp(account.password, account.identity)
        session = Session(token_urlsafe(18), account.tenant, account.name, visit.now, stamp)
        entered = Visit(self._console, visit.request, session, account)
        place = inside(following)
        response = entered.page("resume.html", {"place": place, "fields": _fields(kept)}) if kept else entered.redirect(place)
        self._console.set_session(response, session)
        self._note(visit, account.tenant, account.name, "signed-in")
        return response

    async def leave(self, visit: Visit) -> web.StreamResponse:
        """End the session, on all workers."""
        self._console.ended.end(visit.session)
        self._note(visit, visit.tenant, visit.account.name, "signed-out")
        response = visit.redirect(f"/sign-in?tenant={visit.tenant}", visit.gettext("You have signed out."))
        response.del_cookie("inm_session", path=PREFIX)
        return response

    def page(
        self, visit: Visit, tenant: str, name: str, following: str, words: str = "", status: int = 200, kept: str = ""
    ) -> web.Response:
        """The form, with a fault and what is kept over it."""
        providers = [provider.title or provider.issuer for provider in self._console.settings.oidc]
        values = {"tenant": tenant, "name": name, "next": following, "error": words, "kept": kept, "providers": providers}
        return visit.page("sign-in.html", values, status)

    def _note(self, visit: Visit, tenant: str, name: str, what: str, why: str | None = None) -> None:
        """Of tenants that there are: what somebody guesses at is no tenant's."""
        if visit.app.catalogue.book(tenant) is not None:
            self._console.note(Entry(uuid4().hex, visit.now, tenant, name[:100], what, why=why, address=visit.request.remote))


def inside(following: str) -> str:
    """The page below the prefix that an address leads to; the first one if it leads anywhere else."""
    parts = urlsplit(following)
    if parts.scheme or parts.netloc or not parts.path.startswith(f"{PREFIX}/") or "\\" in following or not following.isprintable():
        return "/"
    return following.removeprefix(PREFIX)


def _fields(kept: str) -> list[tuple[str, str]]:
    """What was written, as it was kept."""
    try:
        return [(str(name), str(value)) for name, value in json.loads(kept) if name != "csrf"]
    except (ValueError, TypeError):
        return []
