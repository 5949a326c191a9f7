"""The HTML part of e-mails that are looked at: each a document of its own, which runs nothing and fetches nothing."""

from collections import OrderedDict
from hashlib import sha256
from typing import Any

from aiohttp import web

from inm.console import peers
from inm.console.route import PREFIX, Route, get
from inm.console.visit import FRAMED, Visit
from inm.web.problems import Problem

ROOM = 16 * 1024 * 1024
"""Bytes that are kept, those of the latest."""


class Letters:
    """The handler, and what it serves: by tenant and by the content's hash, as long as it is among the latest."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._size = 0

    def routes(self) -> list[Route]:
        return [get("/letters/{id}", "see", self.show)]

    def keep(self, tenant: str, html: str) -> str:
        """The address under which it is shown for a while."""
        content = html.encode(errors="replace")
        key = (tenant, sha256(content).hexdigest())
        self._size -= len(self._kept.pop(key, b""))
        self._kept[key] = content
        self._size += len(content)
        while self._size > ROOM:
            self._size -= len(self._kept.popitem(last=False)[1])
        return f"{PREFIX}/letters/{key[1]}"

    async def show(self, visit: Visit) -> web.StreamResponse:
        """One of them, from whichever worker made it."""
        content = self._kept.get((visit.tenant, visit.request.match_info["id"]))
        own: dict[str, Any] = {"partitions": [], "html": content.decode() if content is not None else None}
        if visit.is_forwarded:
            return visit.page("problem.html", own)
        if content is None:
            gathered = await peers.gather(visit, own, visit.app.assignments.partitions)
            html = next((answer["html"] for answer in gathered.answers if answer["html"] is not None), None)
            if html is None:
                raise Problem("not-found")
            content = html.encode()
        return web.Response(body=content, content_type="text/html", charset="utf-8", headers={"Content-Security-Policy": FRAMED})
