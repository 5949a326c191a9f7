"""The console over the application it belongs to: who may enter, and what becomes of a visit that goes wrong."""

import logging
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
from aiohttp import hdrs, web

from inm import topics
from inm.console import pages, static
from inm.console.accounts import Accounts
from inm.console.audit import Audit
from inm.console.campaigns import Campaigns
from inm.console.dead import DeadLetters
from inm.console.ended import Ended
from inm.console.me import Me
from inm.console.notifications import Notifications
from inm.console.oidc import Oidc
from inm.console.overview import Overview
from inm.console.route import PREFIX, Route
from inm.console.signin import SignIn
from inm.console.story import Stories
from inm.console.tables import Tables
from inm.console.visit import Visit
from inm.console.writing import Writing
from inm.core import sessions
from inm.core.audit import Entry
from inm.core.documents import Account
from inm.core.sessions import Session
from inm.settings.console import Console as Settings
from inm.streaming.chunks import now_ms
from inm.web.mailbox import Mailbox
from inm.web.problems import KINDS, Handler, Problem, of_aiohttp

if TYPE_CHECKING:
    from inm.app import Inm

log = logging.getLogger("inm.console")

COOKIE = "inm_session"
MAX_FORM = 2 * 1024 * 1024
"""Bytes of a form: the longest document, as a form writes it."""
SAFE = {"same-origin", "none"}
"""What ``Sec-Fetch-Site`` says of a form of ours."""
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    hdrs.CACHE_CONTROL: "no-store",
}
"""Of every answer that has not said something else."""

_encode = msgspec.json.Encoder().encode


class Console:
    """The routes of all parts, and what they have in common."""

    def __init__(self, app: "Inm", settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.secret = settings.secret
        self.mailbox = Mailbox(app.emitter)
        self.ended = Ended(app)
        self.sign_in = SignIn(self)
        self.overview = Overview(app)
        parts = (
            self.overview, Notifications(), Stories(app), self.sign_in, Oidc(self), Me(), Writing(), Accounts(), Audit(app),
            *_operating(app),
        )  # fmt: skip
        self.routes: list[Route] = [*static.ROUTES, *chain.from_iterable(part.routes() for part in parts)]

    def install(self, web_app: web.Application) -> None:
        """Put the console into an application that has not started."""
        inner = web.Application(middlewares=[self._answer])
        for route in self.routes:
            add = inner.router.add_get if route.method == "GET" else inner.router.add_post
            add(route.path, partial(self._enter, route))
        inner.on_shutdown.append(self.overview.close)
        web_app.router.add_get(PREFIX, _to_the_front)
        web_app.add_subapp(PREFIX, inner)
        self.app.openers += [self.ended.open, self.overview.sampler.open, self._prepare]

    async def _prepare(self) -> None:
        self.app.add_future(self._when_ready())

    async def _when_ready(self) -> None:
        """What may wait until the worker has its partitions: taking them over comes first."""
        await self.app.assignments.ready.wait()
        await pages.compile_ahead()

    # -- entering -----------------------------------------------------------------------------------

    async def _enter(self, route: Route, request: web.Request) -> web.StreamResponse:
        visit = self.visit(request)
        if route.method == "POST":
            await self._read(visit)
        if route.right is None:
            return await route.handler(visit)
        if not visit.is_signed_in:
            return self._sign_in(visit)
        if not visit.may(route.right):
            raise Problem("forbidden", visit.gettext("Your roles do not allow this."))
        if route.method == "POST" and not sessions.is_token(self.secret, visit.session, visit.form.get("csrf", "")):
            raise Problem("forbidden", visit.gettext("The form is of another session. Load the page again."))
        return await route.handler(visit)

    def visit(self, request: web.Request) -> Visit:
        """Who it is, if the session is good and the account still is what it was."""
        session = sessions.read(self.secret, request.cookies.get(COOKIE, ""))
        account = self._account(session) if session else None
        return Visit(self, request, session if account else None, account)

    def _account(self, session: Session) -> Account | None:
        account = self.account(session.tenant, session.account)
        if account is None or sessions.is_over(session, now_ms()) or session.id in self.ended:
            return None
        return account if session.stamp == sessions.stamp(account.password, account.identity) else None

    def account(self, tenant: str, name: str) -> Account | None:
        """An account that may sign in."""
        book = self.app.catalogue.book(tenant)
        account = book.accounts.get(name) if book else None
        return None if account is None or account.disabled else account

    async def _read(self, visit: Visit) -> None:
        """The form. A :class:`Problem` if another site has sent it, or it is none."""
        request = visit.request
        origin = request.headers.get(hdrs.ORIGIN)
        ours = {request.host, urlsplit(self.settings.url or f"//{request.host}").netloc}
        strange = origin is not None and urlsplit(origin).netloc not in ours
        if strange or request.headers.get("Sec-Fetch-Site", "none") not in SAFE:
            raise Problem("forbidden", visit.gettext("The form is of another site."))
        try:
            visit.form.extend(await request.clone(client_max_size=MAX_FORM).post())
        except (LookupError, ValueError) as error:
            raise Problem("bad-request", "the form cannot be read") from error

    def _sign_in(self, visit: Visit) -> web.StreamResponse:
        """To the form to sign in: what was written goes with it, and comes back."""
        if visit.wants_json:
            raise Problem("unauthorized", "Sign in, and send the cookie inm_session.")
        request = visit.request
        if visit.form:
            return self.sign_in.again(visit)
        if visit.is_framed:
            return visit.instead({"detail": visit.gettext("Your session is over."), "errors": ()}, 401)
        if visit.is_part:
            place = urlsplit(request.headers.get("HX-Current-URL", "")).path or PREFIX + "/"
            return web.Response(status=401, headers={"HX-Redirect": self.sign_in.address(place)})
        return web.Response(status=303, headers={hdrs.LOCATION: self.sign_in.address(request.path_qs)})

    # -- answers ------------------------------------------------------------------------------------

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except Problem as problem:
            response = self._wrong(request, problem)
        except web.HTTPException as error:
            response = self._wrong(request, of_aiohttp(error))
        except Exception:
            log.exception("%s failed", request.match_info.route.resource)
            response = self._wrong(request, Problem("internal"))
        if not response.prepared:
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
        return response

    def _wrong(self, request: web.Request, problem: Problem) -> web.StreamResponse:
        visit = self.visit(request)
        if visit.wants_json:
            return problem.response(request.path)
        kind = KINDS[problem.kind]
        data = {"problem": msgspec.to_builtins(kind), "detail": problem.detail, "errors": list(map(str, problem.errors))}
        is_inside = visit.is_part or visit.is_framed
        response = visit.instead(data, kind.status) if is_inside else visit.page("problem.html", data, kind.status)
        response.headers.update(problem.headers)
        return response

    def set_cookie(self, response: web.Response, name: str, value: str, max_age: int | None = None) -> None:
        """A cookie that no script reads and no other site sends with a form."""
        response.set_cookie(name, value, max_age=max_age, path=PREFIX, secure=self.settings.is_secure, httponly=True, samesite="Lax")

    def set_session(self, response: web.Response, session: Session) -> None:
        """The cookie of a session. It stays when the session is over: then it still says whose it was."""
        self.set_cookie(response, COOKIE, sessions.cookie(self.secret, session))

    # -- the audit trail ----------------------------------------------------------------------------

    def note(self, entry: Entry) -> None:
        """Put something into the audit trail that is no reason to make anybody wait."""
        self.app.emitter.emit(topics.AUDIT, 0, entry.tenant.encode(), _encode(entry))

    async def record(self, visit: Visit, what: str, path: str = "", why: str | None = None) -> None:
        """Put into the audit trail what is about to be done: it is not done unless it is there. A :class:`Problem` without Kafka."""
        address = visit.request.remote
        entry = Entry(uuid4().hex, visit.now, visit.tenant, visit.account.name, what, path, why or None, address)
        await self.mailbox.put([(topics.AUDIT, 0, entry.tenant.encode(), _encode(entry))])


def _operating(app: "Inm") -> tuple[Tables, Campaigns, DeadLetters]:
    """What operators look after."""
    return Tables(app), Campaigns(app), DeadLetters(app)


async def _to_the_front(_: web.Request) -> web.StreamResponse:
    return web.Response(status=308, headers={hdrs.LOCATION: PREFIX + "/"})
