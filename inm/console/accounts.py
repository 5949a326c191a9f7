"""The accounts of a tenant: who may sign in, with which roles."""

import re
from typing import Any, get_args

import msgspec
from aiohttp import web

from inm.console import passwords
from inm.console.route import Route, get, post
from inm.console.visit import Visit
from inm.core.reference import Held, Item
from inm.core.roles import Role
from inm.web.problems import Problem

ROLES: tuple[Role, ...] = get_args(Role)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Accounts:
    """The handlers."""

    def routes(self) -> list[Route]:
        return [
            get("/accounts", "accounts", self.index),
            post("/accounts", "accounts", self.create),
            get("/accounts/{name}", "accounts", self.show),
            post("/accounts/{name}", "accounts", self.change),
        ]

    async def index(self, visit: Visit) -> web.StreamResponse:
        """All of them, with their roles, and a form for another one."""
        return self._index(visit)

    async def create(self, visit: Visit) -> web.StreamResponse:
        """Another account, with a password that its owner changes, or by the identity that the OpenID provider knows."""
        name = visit.field("name", 100)
        document, faults = await self._document(visit, {"kind": "account", "tenant": visit.tenant, "name": name})
        if not NAME.fullmatch(name):
            faults["name"] = visit.gettext("A name has letters, digits, dots, dashes and underscores.")
        elif f"{visit.tenant}/account/{name}" in visit.app.library.held(visit.tenant):
            faults["name"] = visit.gettext("There is an account of this name.")
        elif not ({"password", "identity"} & document.keys() or faults):
            faults["password"] = visit.gettext("Give it a password, or an identity.")
        if faults:
            return self._index(visit, faults, 422)
        await visit.change([Item("apply", f"{visit.tenant}/account/{name}", document, expected=0)], as_operator=True)
        return visit.redirect(f"/accounts/{name}", visit.gettext("The account was created."))

    async def show(self, visit: Visit) -> web.StreamResponse:
        """One of them."""
        return self._account(visit, self._row(visit))

    async def change(self, visit: Visit) -> web.StreamResponse:
        """Its roles, and whether it may sign in; and a new password, if one is given."""
        row = self._row(visit)
        given = visit.field("revision", 12)
        if not given.isdecimal():
            raise Problem("bad-request", "revision: a number")
        before = {name: value for name, value in row.document.items() if name not in ("title", "identity", "disabled")}
        document, faults = await self._document(visit, before)
        if row.document["name"] == visit.account.name and ("admin" not in document["roles"] or visit.field("disabled")):
            faults["roles"] = visit.gettext("Nobody takes her own role of admin away, or disables herself: another admin does.")
        if faults:
            return self._account(visit, row, faults, 422)
        document |= {"disabled": True} if visit.field("disabled") else {}
        await visit.change([Item("apply", row.path, document, expected=int(given))], as_operator=True)
        return visit.redirect(f"/accounts/{row.document['name']}", visit.gettext("The account was changed."))

    async def _document(self, visit: Visit, before: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """The account as the form has it, and what is wrong with it."""
        faults: dict[str, str] = {}
        roles = [role for role in ROLES if role in visit.form.getall("roles", [])]
        if not roles:
            faults["roles"] = visit.gettext("An account has one role at least.")
        members = {"title": visit.field("title", 100), "identity": visit.field("identity", 254)}
        document = before | {"roles": roles} | {name: value for name, value in members.items() if value}
        password = visit.form.get("password", "")
        if password:
            try:
                document["password"] = await passwords.hashed_aside(str(password))
            except ValueError:
                faults["password"] = visit.gettext(
                    "A password has %(least)s to %(most)s characters.", least=passwords.SHORTEST, most=passwords.LONGEST
                )
        return document, faults

    def _row(self, visit: Visit) -> Held:
        row = visit.app.library.held(visit.tenant).get(f"{visit.tenant}/account/{visit.request.match_info['name']}")
        if row is None:
            raise Problem("not-found")
        return row

    def _index(self, visit: Visit, faults: dict[str, str] | None = None, status: int = 200) -> web.Response:
        accounts = [_told(msgspec.to_builtins(each)) for _, each in sorted(visit.book.accounts.items())]
        form = {name: visit.field(name) for name in ("name", "title", "identity")} | {"roles": visit.form.getall("roles", [])}
        return visit.page("accounts.html", {"accounts": accounts}, status, form=form, faults=faults or {}, roles=ROLES)

    def _account(self, visit: Visit, row: Held, faults: dict[str, str] | None = None, status: int = 200) -> web.Response:
        told = _told(row.document) | {"revision": row.revision, "author": row.author, "at": row.at}
        return visit.page("account.html", told, status, faults=faults or {}, known=ROLES)


def _told(document: dict[str, Any]) -> dict[str, Any]:
    """What is shown of an account: whether it has a password, and not which."""
    return {
        "name": document["name"],
        "title": document.get("title", ""),
        "roles": document["roles"],
        "identity": document.get("identity"),
        "has_password": "password" in document,
        "state": "disabled" if document.get("disabled") else "enabled",
    }
