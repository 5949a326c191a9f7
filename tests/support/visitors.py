"""People at the console of real workers, by plain HTTP: their sessions, and the forms that they find."""

import asyncio
import os
import re
import sys
from collections.abc import Mapping, Sequence
from html import unescape
from html.parser import HTMLParser
from typing import NamedTuple

import aiohttp

from inm.demo.installation import Installation
from tests.support.tap import until_async

PASSWORD = "a password of the tests"
Fields = Mapping[str, str] | Sequence[tuple[str, str]]


class Visitor:
    """Somebody with a browser, who follows no redirects."""

    def __init__(self, url: str, session: aiohttp.ClientSession, cookie: str = "") -> None:
        self.url = f"{url}/console"
        self.session = session
        self._cookie = cookie

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Status and text of a page."""
        async with self.session.get(self.url + path, headers=self.headers(headers), allow_redirects=False) as answer:
            return answer.status, await answer.text()

    async def post(self, path: str, form: Fields) -> tuple[int, str]:
        """Status and text, or where it leads to, of a form as it is: without a token if it has none."""
        async with self.session.post(self.url + path, data=form, headers=self.headers(), allow_redirects=False) as answer:
            if "inm_session" in answer.cookies:
                self._cookie = f"inm_session={answer.cookies['inm_session'].value}"
            return answer.status, answer.headers.get("Location", await answer.text())

    async def send(self, path: str, form: Mapping[str, str]) -> tuple[int, str]:
        """A form with its token."""
        return await self.post(path, {"csrf": await self.token(), **form})

    async def token(self) -> str:
        """What every form of this session has in it."""
        found = re.search(r'name="csrf" value="([^"]+)"', (await self.get("/me"))[1])
        assert found
        return unescape(found[1])

    def at(self, url: str) -> "Visitor":
        """The same session at another worker, or in another window."""
        return Visitor(url, self.session, self._cookie)

    def headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"Cookie": self._cookie, **{name.replace("_", "-"): value for name, value in (more or {}).items()}}


async def admin(installation: Installation, *arguments: str, typed: str = "") -> str:
    """What ``inm admin`` says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "inm", "admin", *arguments,
        env=os.environ | installation.environment() | {"USER": "tests"}, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate(typed.encode())
    assert process.returncode == 0, said.decode()
    return said.decode().strip()


async def made(installation: Installation, name: str, *roles: str, tenant: str = "lab") -> None:
    """An account, by the command."""
    options = [word for role in roles for word in ("--role", role)]
    assert await admin(installation, "create", tenant, name, *options, typed=f"{PASSWORD}\n") == f"{tenant}/account/{name} created"


async def entered(installation: Installation, session: aiohttp.ClientSession, name: str, tenant: str = "lab") -> Visitor:
    """Somebody who has signed in, as soon as the worker knows the account."""
    visitor = Visitor(installation.url(), session)

    async def enters() -> bool:
        form = {"tenant": tenant, "name": name, "password": PASSWORD, "next": "/console/"}
        return await visitor.post("/sign-in", form) == (303, "/console/")

    await until_async(enters, 10)
    return visitor


class Form(NamedTuple):
    """A form that is posted: where to, and what its fields have in them."""

    path: str
    fields: dict[str, str]


def forms(page: str) -> list[Form]:
    """The forms of a page."""
    reader = _Forms()
    reader.feed(page)
    return reader.found


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._open = False
        self._text: str | None = None

    def handle_starttag(self, tag: str, attributes: Sequence[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self._open = given.get("method") == "post"
            if self._open:
                self.found.append(Form(given["action"].removeprefix("/console"), {}))
        name = given.get("name", "")
        if not (self._open and name):
            return
        if tag in ("input", "button", "select"):
            self.found[-1].fields.setdefault(name, given.get("value", ""))
        elif tag == "textarea":
            self._text = name
            self.found[-1].fields[name] = ""

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self.found[-1].fields[self._text] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = False
        elif tag == "textarea" and self._text is not None:
            fields = self.found[-1].fields
            fields[self._text] = fields[self._text].removeprefix("\n")
            self._text = None
