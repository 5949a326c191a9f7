"""HTTP services that answer with JSON, a request a key."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import aiohttp
import jmespath
import msgspec
from yarl import URL

from inm.core.sources import Kind, Row, Source
from inm.sources.base import Client, SourceError

MAX_BODY = 1024 * 1024
"""Bytes of an answer."""
NONE = (204, 404, 410)
"""Statuses that say there is no such user."""


class HttpClient(Client):
    """One ``GET`` a key. Follows no redirects and believes no proxy settings of the environment."""

    def __init__(self, source: Source, url: str, token: str | None) -> None:
        """:class:`SourceError` if the URL is none."""
        base = URL(url.rstrip("/"))
        if base.scheme not in ("http", "https") or not base.host:
            raise SourceError("misconfigured", f"{source.url_env} holds no URL that begins with http:// or https://")
        self._base = str(base)
        self._source = source
        self._headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._session: aiohttp.ClientSession | None = None
        lookups = {"users": source.users, "offers": source.offers}
        self._rows = {kind: jmespath.compile(lookup.rows) for kind, lookup in lookups.items() if lookup and lookup.rows}

    async def fetch(self, kind: Kind, keys: Sequence[str]) -> Mapping[str, list[Row] | str]:
        lookup = self._source.lookup(kind)
        if lookup is None or lookup.path is None:
            return {}
        answers = await asyncio.gather(*(self._get(lookup.path, key) for key in keys))
        found: dict[str, list[Row] | str] = {}
        for key, answer in zip(keys, answers, strict=True):
            if isinstance(answer, bytes):
                found[key] = self._parse(kind, answer)
            elif answer is not None:
                found[key] = answer
        return found

    async def _get(self, path: str, key: str) -> bytes | str | None:
        """The body, or what is wrong with it; None if there is no such user."""
        if key in (".", ".."):
            return None  # it would lead to another resource
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._source.connections)
            self._session = aiohttp.ClientSession(connector=connector, headers=self._headers, trust_env=False)
        url = URL(self._base + path.replace("{key}", quote(key, safe="")), encoded=True)
        try:
            async with self._session.get(url, allow_redirects=False) as answer:
                if answer.status in NONE:
                    return None
                if answer.status != 200:
                    raise SourceError("refused", f"HTTP status {answer.status}")
                body = bytearray()
                async for piece in answer.content.iter_any():
                    body += piece
                    if len(body) > MAX_BODY:
                        return "too-large"
                return bytes(body)
        except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as error:
            raise SourceError("unreachable", type(error).__name__) from None

    def _parse(self, kind: Kind, body: bytes) -> list[Row]:
        """The rows in an answer: a list as it is, anything else as one, null and nothing as none."""
        if not body.strip():
            return []
        try:
            value = msgspec.json.decode(body)
            if kind in self._rows:
                value = self._rows[kind].search(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, jmespath.exceptions.JMESPathError):
            raise SourceError("bad-answer", "no JSON, or not of the form that rows finds its way in") from None
        if value is None:
            return []
        rows = value if isinstance(value, list) else [value]
        if not all(isinstance(row, dict) for row in rows):
            raise SourceError("bad-answer", f"JSON that is no object: {type(value).__name__}")
        return rows

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
