"""A visit: one request to the console, with who makes it, what she may do and how she is answered."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import hdrs, web
from markupsafe import Markup
from multidict import MultiDict

from inm.console import peers
from inm.console.route import PREFIX
from inm.console.texts import CATALOGUES, LANGUAGES, wanted
from inm.core import sessions
from inm.core.books import Book
from inm.core.documents import Account
from inm.core.reference import Done, Item, tenant_of
from inm.core.roles import Right, rights
from inm.core.sessions import Session
from inm.streaming.chunks import now_ms
from inm.web import changing
from inm.web.problems import Problem

if TYPE_CHECKING:
    from inm.console.console import Console

TOLD = "inm_told"
"""The cookie with what is said on the next page."""
FRAMED = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""The policy of what a page of ours may have in a frame: a mail, which has its styles inline, or what is said instead. Pictures of others
are not fetched: they would tell that somebody looks at a draft."""
THEME = "inm_theme"
THEMES = ("auto", "light", "dark")


class Visit:
    """What a handler is told of a request. ``form`` has what was posted, without the token."""

    def __init__(self, console: "Console", request: web.Request, session: Session | None, account: Account | None) -> None:
        self.console = console
        self.app = console.app
        self.request = request
        self.now = now_ms()
        self.form: MultiDict[Any] = MultiDict()
        self.rights = rights(account.roles) if account else frozenset[Right]()
        self._session = session
        self._account = account

    # -- who it is ----------------------------------------------------------------------------------

    @property
    def is_signed_in(self) -> bool:
        """Whether it is known who it is."""
        return self._account is not None

    @property
    def session(self) -> Session:
        """Of a route that takes a right there always is one."""
        assert self._session is not None
        return self._session

    @property
    def account(self) -> Account:
        """As :attr:`session`."""
        assert self._account is not None
        return self._account

    @property
    def tenant(self) -> str:
        """Whose documents and notifications there are for this visit: others are not there."""
        return self.session.tenant

    @property
    def book(self) -> Book:
        """The tenant's documents that serve. Of somebody signed in there always are."""
        book = self.app.catalogue.book(self.tenant)
        assert book is not None
        return book

    @property
    def zone(self) -> str:
        """In which time zone times are shown."""
        return self.book.tenant.timezone if self._account else "UTC"

    def may(self, right: Right) -> bool:
        """Whether one of her roles has a right."""
        return right in self.rights

    # -- what is asked ------------------------------------------------------------------------------

    def field(self, name: str, longest: int = 1000) -> str:
        """What was written into a field of the form, without spaces around it; a :class:`Problem` if it is too long or a file."""
        value = self.form.get(name, "")
        if not isinstance(value, str) or len(value) > longest:
            raise Problem("bad-request", f"{name}: at most {longest} characters")
        return value.strip()

    def query(self, name: str, longest: int = 200) -> str:
        """What the address says, cut to a length."""
        return self.request.query.get(name, "")[:longest].strip()

    @property
    def wants_json(self) -> bool:
        """Whether a program asks, not a browser."""
        accepted = self.request.headers.get(hdrs.ACCEPT, "")
        return "application/json" in accepted and "text/html" not in accepted

    @property
    def is_forwarded(self) -> bool:
        """Whether another worker asks for what this one holds."""
        return peers.is_forwarded(self)

    @property
    def is_part(self) -> bool:
        """Whether htmx asks, for a part of the page that is there."""
        return self.request.headers.get("HX-Request") == "true"

    @property
    def is_framed(self) -> bool:
        """Whether it is to stand in a frame of the page that is there."""
        return self.request.headers.get("Sec-Fetch-Dest") == "iframe"

    def address(self, **changes: object) -> str:
        """The address of this page with some of its query changed: the next page of a list, or another order. None takes a name away."""
        query = {**self.request.query, **changes}
        return str(self.request.rel_url.with_query({name: str(value) for name, value in query.items() if value not in (None, "")}))

    # -- languages ----------------------------------------------------------------------------------

    @cached_property
    def language(self) -> str:
        """The account's, else what the browser asks for."""
        chosen = self._account.language if self._account else None
        return chosen or wanted(self.request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))

    def gettext(self, text: str, **values: object) -> str:
        """A text of ours in the language of the visit; ``%(name)s`` stand for ``values``."""
        return CATALOGUES[self.language].gettext(text) % values

    # -- what is done -------------------------------------------------------------------------------

    async def change(self, items: Sequence[Item], *, as_operator: bool = False) -> list[Done]:
        """Have documents of the tenant changed. A :class:`Problem` names what is wrong, or says that somebody else was faster.

        ``as_operator`` for the kinds that say who may do what: accounts and keys, endpoints and sources, the tenant itself.
        """
        strange = [item.path for item in items if tenant_of(item.path) != self.tenant]
        if strange:
            raise Problem("not-found")
        answer = await changing.change(self.app, self.account.name, items, None if as_operator else self.tenant)
        return changing.done(answer)

    # -- answers ------------------------------------------------------------------------------------

    def page(self, template: str, data: Mapping[str, Any], status: int = 200, **more: Any) -> web.Response:
        """A page of these (JSON) data, and ``more`` that is only for the page; for programs the data themselves."""
        if self.wants_json:
            return web.Response(body=msgspec.json.encode(data), status=status, content_type="application/json")
        from inm.console.pages import render

        told = sessions.unseal(self.console.secret, "told", self.request.cookies.get(TOLD, "."))
        values = {**data, **more, "visit": self, "told": told, "theme": self._theme, "languages": LANGUAGES, "themes": THEMES}
        response = web.Response(text=render(template, self.language, values), status=status, content_type="text/html")
        if told is not None:
            response.del_cookie(TOLD, path=PREFIX)
        return response

    def instead(self, data: Mapping[str, Any], status: int) -> web.Response:
        """What is said where a part should be, or what a frame should show. The place of a part stays, and asks again."""
        response = web.Response(text=self.part("instead.html", data), status=status, content_type="text/html")
        response.headers.update({"HX-Reselect": ".instead", "HX-Reswap": "innerHTML", "Content-Security-Policy": FRAMED})
        return response

    def part(self, template: str, data: Mapping[str, Any]) -> str:
        """A part of a page, for what replaces it in the browser."""
        from inm.console.pages import render

        return render(template, self.language, {**data, "visit": self})

    def redirect(self, path: str, told: str | None = None) -> web.Response:
        """To another page (``/templates``), which says once what was done."""
        response = web.Response(status=303, headers={hdrs.LOCATION: PREFIX + path})
        if told:
            self.console.set_cookie(response, TOLD, sessions.seal(self.console.secret, "told", told[:1000]), max_age=60)
        return response

    @property
    def token(self) -> Markup:
        """What every form has in it."""
        value = sessions.token(self.console.secret, self._session) if self._session else ""
        return Markup('<input type="hidden" name="csrf" value="{}">').format(value)

    @property
    def kept(self) -> str:
        """What was posted, so that it can be posted again after signing in; nothing of it is a file or a password."""
        pairs = [(name, value) for name, value in self.form.items() if isinstance(value, str) and "password" not in name]
        return json.dumps(pairs, ensure_ascii=False)

    @property
    def _theme(self) -> str:
        chosen = self.request.cookies.get(THEME, "")
        return chosen if chosen in THEMES else THEMES[0]
